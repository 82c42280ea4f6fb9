"""Critical values below the maxima of simplices: taken only where a map attains them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import LossComplex, Minima, NudgedElastic, build_complex
from simplicial.critical_points.certificates import Acceptance, certify
from simplicial.critical_points.descents import Descents, joined
from simplicial.critical_points.lowered_maps import CriticalPoint, attains
from simplicial.landscapes import simplex_wells
from simplicial.loss import Loss
from simplicial.maps.control_points import lay_out, straight
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.mesh import LinearPieces
from simplicial.maxima.maxima import Maxima
from simplicial.options import MEMORY
from tests.simplicial.mixtures import mixture


def build(loss: Loss, points: Any, **options: Any) -> LossComplex:
    minima = Minima(torch.tensor(points), loss)
    return build_complex(minima, 1, certify=True, progress=False, **options)


def certified_deaths(built: LossComplex) -> list[bool]:
    ends = built.barcode().ends(0)
    assert ends is not None
    return ends.deaths.certified.tolist()


MENDS = "simplicial.construction.scheduler.mends"
PASS = -0.9014065  # the lowest between the two minima below, by a grid of 1,500 x 1,500


@pytest.mark.parametrize("tolerance", [1e-7, 0.05])
def test_a_lower_saddle_of_another_pass_is_not_a_paths_own(
    tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near its highest point, and lower by 0.093, but no path between the minima is that low."""
    points = np.array([[-2.198852044, -2.173133317], [1.315665459, 2.825811401]])
    optimizer = NudgedElastic(segments=8, steps=50)  # more lead it to the right pass
    monkeypatch.setattr(MENDS, lambda *_: False)  # which does so, too
    built = build(mixture(405), points, optimizer=optimizer, tolerance=tolerance)
    assert built.filtration.values[1] == pytest.approx(built.maxima[1])
    assert built.filtration.values[1] >= PASS
    assert not any(certified_deaths(built))


def test_where_a_lower_pass_is_beside_it_a_path_over_the_higher_one_is_not_certified() -> None:
    """Two passes on both sides of a low peak, at -0.89470 and, by a grid, at -0.90146."""
    points = [[0.674821976, 0.508637769], [-1.264310959, 2.180062245], [-1.921031828, 1.019255761]]
    built = build(mixture(514), np.array(points), optimizer=NudgedElastic(segments=12))
    assert built.filtration.values[1] == pytest.approx(
        [-0.8946984, -0.8946984, -1.853066], abs=1e-6
    )
    bars, certified = built.barcode()[0], certified_deaths(built)
    assert [bool(death < -1) for death in bars[:, 1]] == certified


def test_the_ways_down_from_a_saddle_stand_for_a_poor_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A valley winds in seven dimensions; twelve straight pieces leave it far from the saddle."""
    loss = simplex_wells(1, curved=5)
    monkeypatch.setattr(MENDS, lambda *_: False)  # which makes the path a good one
    built = build(loss, loss.minima, optimizer=NudgedElastic())
    assert built.maxima[1][0] > 0.2506
    assert built.filtration.values[1] == pytest.approx([0.25], abs=1e-12)
    assert certified_deaths(built) == np.isfinite(built.barcode()[0][:, 1]).tolist()


def valley(x: Tensor) -> Tensor:
    """Minima of value 0 at (-1, 2), (0, 0), (1, 0), joined by a valley over 0.1053 and 0.1917.

    The second saddle is (s, 0): x^2 (x^2 - 1)^2 (1 + x / 2) is highest at s in (0, 1).
    """
    x, y = x.unbind(dim=1)
    floor = 2 * x.square() * (x < 0)
    return x.square() * (x.square() - 1).square() * (1 + x / 2) + (y - floor).square()


SADDLE = 0.19169799


def saddle() -> CriticalPoint:
    """The second one, by bisection of the derivative, whose sign does not depend on y."""
    low, high = 0.3, 0.9
    for _ in range(60):
        x = torch.tensor([[(low + high) / 2, 0.0]], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(valley(x).sum(), x)
        low, high = ((low + high) / 2, high) if slope[0, 0] > 0 else (low, (low + high) / 2)
    point = torch.tensor([low, 0.0], dtype=torch.float64)
    return CriticalPoint(point, float(valley(point[None])), 1)


VERTICES = torch.tensor([[-1.0, 2.0], [0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)


def test_ways_down_end_at_the_vertices_on_both_sides() -> None:
    """At those to which they descend; at none where the nearest one is behind a hill."""
    found = saddle()
    assert found.value == pytest.approx(SADDLE, abs=1e-8)
    ends = Descents(valley, VERTICES, 1e-7, MEMORY).ends(found, 0.5)
    assert ends is not None
    assert set(ends) == {1, 2}
    assert Descents(valley, VERTICES[:1], 1e-7, MEMORY).ends(found, 0.5) is None
    assert Descents(valley, VERTICES, 1e-7, MEMORY).ends(found._replace(value=0.19), 0.5) is None


@pytest.mark.parametrize(
    ("edges", "are"),
    [([], False), ([[0, 1]], True), ([[0, 3], [1, 3]], True), ([[0, 2]], False), ([[1, 2]], False)],
)
def test_vertices_are_joined_one_to_one(edges: list[list[int]], are: bool) -> None:
    links = np.array(edges, np.int64).reshape(-1, 2)
    for ends in ([0, 2], [2, 0]):
        assert joined(links, np.array(ends), (1, 2)) == are


@pytest.mark.parametrize(("other", "accepted"), [(0.12, True), (0.25, False)])
def test_ways_down_may_end_at_vertices_joined_to_the_edges_own(
    other: float, accepted: bool
) -> None:
    """An edge from the first minimum to the third that leaves the valley before the second.

    The ways down from the saddle end at the second and the third; the first is joined to the
    second by an edge whose maximum is `other`.
    """
    layout = lay_out(3, 1, Edgewise(4))
    control_points = straight(VERTICES, layout)
    edge = 1  # of (0, 1), (0, 2), (1, 2)
    rows = torch.as_tensor(layout.simplices[1].controls[edge])
    path = [[-1.0, 2.0], [-0.5, 0.0], [0.0, 0.0], [0.577, 0.42], [1.0, 0.0]]
    order = Edgewise(4).control_points(1)[:, 1].argsort()
    control_points[rows[torch.as_tensor(order.copy())]] = torch.tensor(path, dtype=torch.float64)
    highest = float(valley(torch.tensor([path[3]], dtype=torch.float64)))
    found = certify(
        valley,
        control_points,
        layout.simplices[1],
        np.array([edge]),
        Maxima(np.array([highest]), np.array([[0.25, 0.75]])),
        acceptance=Acceptance(
            highest_index=1,
            value_range=2.0,
            values=np.array([other, highest, SADDLE]),
            error_bounds=np.zeros(1),
            tolerance=1e-7,
        ),
        memory=MEMORY,
    )
    assert found.accepted.tolist() == [accepted]
    if accepted:
        assert found.values[0] == pytest.approx(SADDLE, abs=1e-8)
        assert found.points[0] == pytest.approx(saddle().point.numpy(), abs=1e-6)


def ridges(x: Tensor) -> Tensor:
    """A ridge along the y-axis with a pass of height 1/2 at the origin, and one without at 4."""
    along = torch.exp(-x[:, 1].square())
    near, beyond = (torch.exp(-4 * (x[:, 0] - at).square()) for at in (0.0, 4.0))
    return near * (1 - 0.5 * along) + 0.6 * beyond


@pytest.mark.parametrize(("end", "attained"), [(2.0, True), (6.0, False)])
def test_a_path_is_pushed_to_a_pass_where_it_crosses_nothing_higher(
    end: float, attained: bool
) -> None:
    """Across the ridge beside its pass; the second ridge is above that pass everywhere."""
    path = [[-2.0, 0.0], [-1.0, 0.3], [1.0, 0.3], [end, 0.0]]
    controls = torch.tensor(path, dtype=torch.float64)
    controls[torch.as_tensor(Edgewise(3).control_points(1)[:, 1].argsort())] = controls.clone()
    critical = CriticalPoint(torch.zeros(2, dtype=torch.float64), 0.5, 1)
    pieces = LinearPieces.of(Edgewise(3), 1)
    found = attains(ridges, controls, pieces, critical, tolerance=1e-7, memory=MEMORY)
    assert found == attained
