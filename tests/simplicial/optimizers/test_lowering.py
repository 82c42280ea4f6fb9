"""The last lowering of a triangle: what is offered, taken, pushed, and left alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import Edgewise, NudgedElastic
from simplicial.evaluation import values_and_gradients
from simplicial.loss import Loss
from simplicial.maps.mesh import Mesh
from simplicial.optimizers.elastic_relaxation import TOPS, Faces, Relaxation
from simplicial.optimizers.lowest import Lowest
from simplicial.optimizers.relaxation import nudge
from simplicial.options import MEMORY

CORNERS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def relaxation(loss: Loss, segments: int = 4) -> tuple[Relaxation, Tensor]:
    """A flat triangle (1, c, 3), and what lowers it."""
    elastic = NudgedElastic(segments=segments, steps=1)
    mesh = Mesh.of(elastic.simplex_map, 2)
    controls = torch.as_tensor(mesh.barycentric @ CORNERS)[None]
    values, slopes = values_and_gradients(loss, controls[0])
    on_faces = values[outer(mesh)]
    faces = Faces(
        on_faces.max(keepdims=True),
        values[None],
        slopes[None],
        np.ptp(on_faces, keepdims=True),
        np.zeros(1),
        ~np.isin(np.arange(len(mesh.barycentric)), mesh.inside)[None],
    )
    return Relaxation(elastic, loss, mesh, faces, MEMORY, None, lambda: None, None), controls


def outer(mesh: Mesh) -> np.ndarray:
    return np.setdiff1d(np.arange(len(mesh.barycentric)), mesh.inside)


def hill(x: Tensor) -> Tensor:
    """Over a triangle; it falls off in x_2 only, so that the way round it leaves the plane."""
    bump = (x[:, 0] * x[:, 1] * (1 - x[:, 0] - x[:, 1])).clamp(min=0)
    return 27 * bump * (1 - x[:, 2]) + 0.1 * x[:, 0]


def hill_beside_a_face(x: Tensor) -> Tensor:
    away = (x[:, :2] - x.new_tensor([0.3, 0.1])).square().sum(dim=1)
    return torch.exp(-60 * away) * (1 - x[:, 2])


def level_hill(x: Tensor) -> Tensor:
    return hill(x * x.new_tensor([1.0, 1.0, 0.0])) - 0.1 * x[:, 0]


def offered(lower: Relaxation, controls: Tensor) -> Lowest:
    best = Lowest(controls.clone(), lower.faces.maxima, np.zeros(1))
    lower._offer(best, np.array([0]), controls)
    return best


@pytest.mark.parametrize("loss", [hill, hill_beside_a_face])
def test_a_push_lowers_the_highest_point_and_moves_no_face(loss: Loss) -> None:
    """Nor where the piece that holds the highest point touches a face."""
    lower, controls = relaxation(loss)
    best = Lowest(controls.clone(), lower.faces.maxima, np.zeros(1))
    top = lower._offer(best, np.array([0]), controls)
    if loss is hill_beside_a_face:
        corners, weights = Edgewise(4).locate(top.maxima.barycentric)
        assert (weights[~np.isin(corners, lower.mesh.inside)] > 0.1).any()
    pushed = lower._pushed(
        np.array([0]), controls, top, torch.as_tensor(top.maxima.values - best.maxima)
    )
    still = outer(lower.mesh)
    assert torch.equal(pushed[:, still], controls[:, still])
    assert not torch.equal(pushed, controls)
    again = lower._offer(best, np.array([0]), pushed)
    assert again.maxima.values[0] < top.maxima.values[0]


@pytest.mark.parametrize("critical", [False, True])
def test_a_hill_is_lowered_unless_it_is_critical(critical: bool) -> None:
    lower, controls = relaxation(hill)
    best = offered(lower, controls)
    first = best.values[0]
    best.is_critical[:] = critical
    lower._lower(best, TOPS)
    assert torch.equal(best.controls, controls) == critical
    assert best.values[0] == first if critical else best.values[0] < 0.5 * first


@pytest.mark.parametrize(("loss", "expected"), [(hill, False), (level_hill, True)])
def test_critical_is_where_the_loss_is_level(
    loss: Callable[[Tensor], Tensor], expected: bool
) -> None:
    """On a hilltop that is steep across the triangle, and on one that is not."""
    best = offered(*relaxation(loss, 5))
    assert best.values[0] > 0.5
    assert best.is_critical.tolist() == [expected]


def test_what_is_no_lower_is_not_taken() -> None:
    best = Lowest(torch.zeros(3, 2, 1), np.zeros(3), np.zeros(3))
    first, then = torch.ones(3, 2, 1), torch.full((2, 2, 1), 2.0)
    best.take(np.arange(3), first, np.array([3.0, 3.0, 3.0]), np.zeros(3, dtype=bool))
    best.take(np.array([2, 0]), then, np.array([4.0, 1.0]), np.ones(2, dtype=bool))
    assert best.values.tolist() == [1.0, 3.0, 3.0]
    assert best.controls[:, 0, 0].tolist() == [2.0, 1.0, 1.0]
    assert best.is_critical.tolist() == [True, False, False]


def test_a_triangle_below_its_faces_is_left_at_once() -> None:
    mesh = Mesh.of(Edgewise(6), 2)
    controls = torch.as_tensor(mesh.barycentric @ CORNERS)[None]
    calls: list[int] = []

    def bowl(x: Tensor) -> Tensor:
        calls.append(len(x))
        return (x - 0.3).square().sum(dim=1)

    heights = torch.as_tensor(values_and_gradients(bowl, controls[0])[0])[None]
    calls.clear()
    nudge(
        bowl,
        controls,
        heights,
        torch.tensor([10.0]),
        mesh,
        steps=30,
        longest=0.5,
        memory=MEMORY,
        checkpoint=None,
        on_step=lambda: None,
    )
    assert len(calls) == 1
