"""Algorithm 1 against its own lines written out, and what must not change its result."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor

import simplicial
from reduction import OptionError
from simplicial import (
    EXACT,
    Algorithm1,
    Barycentric,
    Edgewise,
    Minima,
    NudgedElastic,
    OptimisationProblem,
    Recipe,
    build_complex,
    constant,
    garipov,
)
from simplicial.errors import LossError
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import lay_out
from simplicial.optimizers.random_points import UniformPoints

POINTS = torch.tensor(
    [[0.0, 0.0, 1.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 1.0, -1.0]], dtype=torch.float64
)
FEW = Recipe(epochs=7, learning_rate=0.03, weight_decay=0.1, momentum=0.5)
SHORT = Algorithm1(recipe=FEW)


def bowl(x: Tensor) -> Tensor:
    """A loss that is curved differently in every direction, so that no term of a gradient hides."""
    weights = x.new_tensor([1.0, 2.0, 3.0])
    return ((x - 0.3) ** 2 * weights).sum(dim=1) + torch.sin(2 * x[:, 0] + x[:, 1])


def train(max_dim: int = 2, optimizer: Algorithm1 = SHORT, **changed: Any) -> Tensor:
    """Control points of a complex on POINTS, but for what is changed."""
    options: dict[str, Any] = {"points": POINTS, "resolution": 6, "seed": 3, "progress": False}
    options |= changed
    minima = Minima(options.pop("points"), bowl)
    return build_complex(minima, max_dim, optimizer=optimizer, **options).control_points


def slope(point: Tensor, weight_decay: float) -> Tensor:
    point = point.detach().requires_grad_()
    (g,) = torch.autograd.grad(bowl(point[None]).sum(), point)
    return g + weight_decay * point.detach()


def test_an_edge_is_trained_as_algorithm_1_says() -> None:
    """theta <- theta - eta v with v <- mu v + dW/dtheta grad L, one t a step, by hand."""
    stream = UniformPoints(3, np.array([[0, 1]]), 1)
    centre, velocity = POINTS[:2].mean(dim=0), torch.zeros(3, dtype=torch.float64)
    for epoch in range(FEW.epochs):
        t0, t1 = stream.draw()[0, 0]
        weight = 2 * min(t0, t1)
        point = weight * centre + max(t0 - t1, 0) * POINTS[0] + max(t1 - t0, 0) * POINTS[1]
        velocity = FEW.momentum * velocity + weight * slope(point, FEW.weight_decay)
        centre = centre - FEW.learning_rate * garipov(epoch / FEW.epochs) * velocity
    assert (centre - POINTS[:2].mean(dim=0)).norm() > 0.05
    found = train(1, points=POINTS[:2])[2]
    torch.testing.assert_close(found, centre, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sides", ["fixed", "trainable"])
@pytest.mark.parametrize("simplex_map", [Barycentric(), Edgewise(4)])
def test_the_gradient_is_that_of_autograd_through_the_map(
    sides: str, simplex_map: SimplexMap
) -> None:
    """One step of momentum 0 moves the free control points of triangles by -eta dL(psi)/dP."""
    one = Recipe(epochs=1, learning_rate=0.01, momentum=0.0, weight_decay=0.2, schedule=constant)
    none = Recipe(epochs=0)
    samples = 3
    options: dict[str, Any] = {"simplex_map": simplex_map, "resolution": 4, "seed": 9}

    def built(recipe: Recipe, dim: int) -> Tensor:
        optimizer = Algorithm1(recipe=recipe, sides=sides, samples=samples)  # pyright: ignore
        return train(dim, optimizer, **options)

    after = built(one, 2)
    straight = built(none, 2)
    edges = built(one, 1)
    start = straight.clone()
    start[: len(edges)] = edges  # triangles begin where edges have ended
    layout = lay_out(len(POINTS), 2, simplex_map).simplices[2]
    control = start.clone().requires_grad_()
    t = UniformPoints(9, layout.vertices, samples).draw()
    corners, weights = simplex_map.locate(t)
    rows = torch.as_tensor(np.take_along_axis(layout.controls[:, None], corners, axis=-1))
    psi = (torch.as_tensor(weights)[..., None] * control[rows]).sum(dim=-2).flatten(0, 1)
    objective = (bowl(psi) + 0.1 * psi.square().sum(dim=1)).sum() / samples
    (gradient,) = torch.autograd.grad(objective, control)
    free = torch.zeros(len(start), dtype=torch.bool)
    free[len(edges) if sides == "fixed" else len(POINTS) :] = True
    expected = start - 0.01 * gradient * free[:, None]
    assert gradient[free].abs().sum() > 0.1
    torch.testing.assert_close(after, expected, rtol=1e-12, atol=1e-12)


def test_fixed_sides_leave_edges_as_they_are_and_trainable_ones_move_them() -> None:
    edges = train(1)
    assert torch.equal(train(2, Algorithm1(recipe=FEW, sides="fixed"))[: len(edges)], edges)
    moved = train(2, Algorithm1(recipe=FEW, sides="trainable"))[: len(edges)]
    assert torch.equal(moved[: len(POINTS)], POINTS)
    assert ((moved - edges)[len(POINTS) :].norm(dim=1) > 1e-3).all()


def test_simplices_trained_together_are_those_trained_alone() -> None:
    """Each edge of four points, against the same edge of a complex on fewer points."""
    together = train(1)
    for n in (2, 3):
        alone = train(1, points=POINTS[:n])
        own = n * (n - 1) // 2  # colexicographic order: the edges of fewer points come first
        torch.testing.assert_close(alone[n:], together[4 : 4 + own], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("memory", [1, 5_000, 10**9])
def test_the_memory_budget_does_not_change_the_result(memory: int) -> None:
    found, reference = (
        train(3, Algorithm1(recipe=FEW, samples=2), **options)
        for options in ({"memory": memory}, {})
    )
    torch.testing.assert_close(found, reference, rtol=1e-13, atol=1e-13)


def test_a_seed_gives_the_same_complex_and_another_one_another() -> None:
    first, again, other = (train(simplex_map=Edgewise(5), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_steps_are_exact_without_data() -> None:
    exact = Algorithm1().recipe_for(bowl, POINTS)
    hessians = torch.stack([torch.func.hessian(lambda x: bowl(x[None])[0])(p) for p in POINTS])
    steepest = torch.linalg.eigvalsh(hessians).abs().max().item()
    assert exact == EXACT.changed(learning_rate=exact.learning_rate)
    assert 0.2 / steepest <= exact.learning_rate < 1.1 * 0.2 / steepest  # curvature from below
    assert EXACT.weight_decay == 0


def test_the_schedule_is_garipovs() -> None:
    """Constant for the first half, linear down to 1% at 90%, then constant."""
    progress = np.arange(1000) / 1000
    expected = np.interp(progress, [0, 0.5, 0.9, 1.0], [1, 1, 0.01, 0.01])
    np.testing.assert_allclose([garipov(t) for t in progress], expected, rtol=1e-12)
    assert {constant(t) for t in progress} == {1}


def test_training_that_diverges_says_so() -> None:
    """At a tenth of the learning rate too."""
    with pytest.raises(LossError, match=r"1-simplices were not after epoch .* learning rate 100:"):
        train(2, Algorithm1(recipe=Recipe(epochs=400, learning_rate=1e3)))


def test_former_names_of_optimizers_load_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="fitted is called prepared now"):
        prepared = Algorithm1(recipe=Recipe()).fitted(bowl, POINTS)
    assert prepared == Algorithm1(recipe=Recipe())
    with pytest.warns(DeprecationWarning, match="Stage is called OptimisationProblem now"):
        assert simplicial.Stage is simplicial.OptimisationProblem
    problem = OptimisationProblem(
        lay_out(2, 1, Barycentric()).simplices[1], slice(2, 3), slice(2, 2), 0
    )
    for old, new in {"floor": "face_maxima", "seen": "at_faces", "memo": "checkpoint"}.items():
        with pytest.warns(DeprecationWarning, match=f"OptimisationProblem.{old} is called {new}"):
            assert getattr(problem, old) is getattr(problem, new)
    with pytest.warns(DeprecationWarning, match="most_rounds is called most_steps"):
        assert NudgedElastic().most_rounds(2) == NudgedElastic().most_steps(2)
    assert not hasattr(prepared, "stages")


def test_methods_of_a_users_optimizer_are_taken_by_their_former_names() -> None:
    with pytest.warns(DeprecationWarning, match="gentler is called with_smaller_steps now"):

        class Own(Algorithm1):
            def gentler(self) -> Self:
                return replace(super().gentler(), samples=3)

    own = Own(recipe=Recipe())
    with pytest.warns(DeprecationWarning, match="gentler is called with_smaller_steps now"):
        assert own.with_smaller_steps().samples == 3


def test_an_optimizer_is_a_subclass() -> None:
    class Duck:
        optimise = simplex_map = None

    with pytest.raises(OptionError, match=r"must be an Optimizer .* got Duck: .* a subclass's"):
        build_complex(Minima(POINTS, bowl), optimizer=Duck())  # pyright: ignore[reportArgumentType]
