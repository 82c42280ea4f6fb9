"""Stochastic minimax against known saddles, on noisy and on stiff losses, and what must not change
its result."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import OptionError
from simplicial import (
    Edgewise,
    Loss,
    OptimisationProblem,
    Optimizer,
    StochasticMinimax,
    garipov,
    linear,
)
from simplicial.landscapes import Landscape, double_well, himmelblau, mueller_brown, simplex_wells
from simplicial.loss import PenalisedLoss
from simplicial.maps.control_points import lay_out, straight
from simplicial.maps.interpolation import interpolate
from simplicial.optimizers import highest_points
from simplicial.optimizers.highest_points import HighestPoints
from simplicial.optimizers.moving_simplex import MovingSimplex
from simplicial.optimizers.nested_meshes import nested_meshes
from tests.simplicial.optimizers.shifted_loss import POINTS, SHORT, Shifted, build, rough

# few steps may end higher than a straight edge
pytestmark = pytest.mark.filterwarnings("ignore:.*keep their start")


def finite(bars: np.ndarray) -> np.ndarray:
    return bars[np.isfinite(bars[:, 1])]


@pytest.mark.parametrize("loss", [mueller_brown(), simplex_wells(1, curved=2), double_well(2)])
def test_paths_are_as_high_as_their_saddles(loss: Landscape) -> None:
    """Within 2 % of the range of the loss at the ends of bars, and below by no more than the
    tolerance of maxima.
    """
    exact = loss.exact_bars
    assert exact is not None
    optimizer = StochasticMinimax(segments=16, epochs=600)
    built = build(loss, np.array(loss.minima), optimizer=optimizer, tolerance=1e-5)
    bars = finite(built.barcode()[0])
    expected = finite(exact[0])
    excess = np.sort(bars[:, 1]) - np.sort(expected[:, 1])
    assert len(expected) > 0
    assert (excess >= -1e-4 * np.ptp(expected)).all()
    assert (excess <= 2e-2 * np.ptp(expected)).all()


def test_himmelblaus_bar_of_index_1() -> None:
    """[178.337, 181.617], of values to 181.6, within 1 % of them."""
    bars = build(
        himmelblau(), np.array(himmelblau().minima), 2, StochasticMinimax(epochs=500)
    ).barcode()[1]
    length = bars[:, 1] - bars[:, 0]
    assert bars[length.argmax()] == pytest.approx([178.337239, 181.616522], abs=1.8)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_no_learning_rate_is_too_large(factor: float) -> None:
    """Steps have a length whatever the loss: a factor of it changes the path by rounding alone."""

    def stiff(x: Tensor) -> Tensor:
        return 1e4 * (x[:, 1] - x[:, 0].square()).square() + (x[:, 0].square() - 1).square()

    points = np.array([[-1.0, 1.0], [1.0, 1.0]])
    plain = build(stiff, points, optimizer=StochasticMinimax(epochs=200))
    scaled = build(lambda x: factor * stiff(x), points, optimizer=StochasticMinimax(epochs=200))
    difference = (scaled.control_points - plain.control_points).abs().max()
    assert float(difference) < 1e-6
    assert plain.maxima[1].max() < 0.2 * float(stiff(torch.zeros(1, 2) + torch.tensor([0.0, 1.0])))


def test_mini_batches_lower_the_exact_loss() -> None:
    """Far below the straight edges, near the paths that exact gradients give."""
    noisy = Shifted()

    def exact(x: Tensor) -> Tensor:
        return noisy(x)

    straight_edges, lowered, lowest = (
        build(loss, optimizer=optimizer, tolerance=1e-3).maxima[1]
        for loss, optimizer in (
            (noisy, StochasticMinimax(epochs=0)),
            (noisy, StochasticMinimax(epochs=100, batch_size=8)),
            (exact, StochasticMinimax(epochs=500)),
        )
    )
    assert (lowest < 0.8 * straight_edges).any()
    gained = (straight_edges - lowered).sum() / (straight_edges - lowest).sum()
    assert gained > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [-0.9, 0.9])
def test_no_unit_of_length_is_too_large(dtype: torch.dtype, share: float) -> None:
    """Minima so far apart that squares of their distances overflow, or so near that they are 0."""
    info = torch.finfo(dtype)
    unit = 2.0 ** int(share * np.log2(info.max if share > 0 else 1 / info.tiny))
    points = torch.as_tensor(POINTS, dtype=dtype)
    optimizer = StochasticMinimax(segments=4, epochs=3)
    layout, found = lay_out(4, 2, Edgewise(4)), []
    for size in (1.0, unit):
        controls = straight(size * points, layout)
        problem = OptimisationProblem(layout.simplices[1], layout.rows(1), slice(4, 4), 0)
        optimizer.optimise(lambda x, size=size: rough(x / size), controls, problem, lambda: None)
        found.append(controls / size)
    assert (found[0] - straight(points, layout)).abs().max() > 1e-3
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("r", "segments"), [(1, 8), (1, 12), (2, 8), (3, 8)])
def test_finer_maps_start_as_the_coarse_ones(r: int, segments: int) -> None:
    """A motion of a coarse mesh's control points is the same map on the finest; faces stay."""
    meshes = nested_meshes(segments, r)
    rng = np.random.default_rng(3)
    t = rng.dirichlet(np.ones(r + 1), 50)
    finest = meshes[-1]
    assert len(meshes) > 1
    for coarse in meshes:
        controls = np.zeros((len(coarse.rows), 5))
        controls[coarse.mesh.inside] = rng.normal(size=(coarse.inner, 5))
        fine = np.zeros((len(finest.rows), 5))
        fine[finest.mesh.inside] = coarse.prolonged @ controls[coarse.mesh.inside]
        there, here = (
            interpolate(torch.as_tensor(points), mesh.simplex_map, t)
            for mesh, points in ((finest, fine), (coarse, controls))
        )
        torch.testing.assert_close(there, here)
        np.testing.assert_allclose(
            finest.mesh.barycentric[coarse.rows], coarse.mesh.barycentric, atol=1e-12
        )


@pytest.mark.parametrize("epochs", [50, 600])
def test_as_many_gradients_as_algorithm_1_takes(epochs: int) -> None:
    """One for each mini-batch of each epoch and simplex, but for a remainder of stages; an exact
    one counts as those of all mini-batches.
    """
    noisy = Shifted()
    layout = lay_out(4, 1, Edgewise(8))
    points = straight(torch.as_tensor(POINTS), layout)
    problem = OptimisationProblem(layout.simplices[1], layout.rows(1), slice(4, 4), 0)
    optimizer, calls = StochasticMinimax(epochs=epochs, batch_size=8), []
    optimizer.optimise(noisy, points, problem, lambda: calls.append(1))
    each = noisy.points / len(layout.simplices[1].vertices)
    assert each == optimizer.prepared(noisy, points).gradient_count(1, 3)
    assert 0.95 * 3 * epochs < each <= 3 * epochs
    assert 0.95 * epochs < len(calls) <= optimizer.step_count(noisy, points, problem) == epochs


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        (rough, SHORT),
        (Shifted(), SHORT),
        (Shifted(), StochasticMinimax(segments=4, epochs=150, batch_size=8)),
    ],
)
def test_the_same_bits_whatever_is_beside_a_simplex(loss: Loss, optimizer: Optimizer) -> None:
    alone, together = (
        build(loss, max_dim=3, optimizer=optimizer, batch=batch, tolerance=None)
        for batch in (1, None)
    )
    assert torch.equal(alone.control_points, together.control_points)
    other = build(loss, max_dim=3, optimizer=optimizer, seed=1, tolerance=None)
    assert not torch.equal(other.control_points, together.control_points)


def test_the_last_gradients_lower_what_noise_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what mini-batches alone leave above the best path that exact gradients find."""
    noisy = Shifted(size=0.4)

    def exact(x: Tensor) -> Tensor:
        return noisy(x)

    lasting = StochasticMinimax(epochs=400, batch_size=2)
    best = build(exact, optimizer=StochasticMinimax(epochs=1500), tolerance=1e-6).maxima[1]
    reduced = build(noisy, optimizer=lasting, tolerance=1e-6).maxima[1]
    monkeypatch.setattr(highest_points, "SEEN", np.inf)
    plain = build(noisy, optimizer=lasting, tolerance=1e-6).maxima[1]
    assert (reduced - best).mean() < 0.5 * (plain - best).mean()


def test_steps_that_raise_the_highest_point_are_undone() -> None:
    mesh = nested_meshes(4, 1)[-1]
    controls = torch.linspace(0, 1, 5)[:, None] * torch.ones(3)
    moving = MovingSimplex(controls, (mesh,), 0.1, np.random.SeedSequence(4))
    simplex = HighestPoints(moving, mesh, 2, np.random.SeedSequence(5))
    simplex.see(np.arange(7.0))
    torch.testing.assert_close(simplex.anchors(), torch.tensor([[7 / 8], [6 / 8]]).expand(2, 3))
    simplex.snapshot(torch.ones(2, 3))
    simplex.points(simplex.draw(), 0.0)
    simplex.step(torch.zeros(2, 3), 1.0, 0.9)
    moved = simplex.finer()
    assert (moved < controls[:, :1].max()).all()
    simplex.see(np.arange(7.0) + 0.1)
    torch.testing.assert_close(simplex.inner(), controls[1:-1])
    torch.testing.assert_close(simplex.finer()[1::2], controls[1:-1])


def test_faces_stand_still() -> None:
    edges, all_dims = (build(rough, max_dim=dim, tolerance=None) for dim in (1, 3))
    for vertices in [(0, 1), (1, 3)]:
        assert torch.equal(edges[vertices].controls, all_dims[vertices].controls)


def test_dimensions_without_control_points_of_their_own_stay_as_they_are() -> None:
    built = build(rough, max_dim=2, optimizer=StochasticMinimax(segments=2, epochs=20))
    assert built.maxima[2].shape == (4,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_points_stays(dtype: type) -> None:
    built = build(rough, POINTS.astype(dtype), tolerance=None)
    assert built.control_points.numpy().dtype == dtype


def test_a_flat_loss_moves_nothing() -> None:
    built = build(lambda x: 0 * x.sum(dim=1), max_dim=2)
    layout = lay_out(4, 2, Edgewise(4))
    torch.testing.assert_close(built.control_points, straight(torch.as_tensor(POINTS), layout))


def test_the_schedule_is_linear() -> None:
    assert [linear(share) for share in (0, 0.25, 1)] == [1, 0.75, 0]
    by_garipov = build(
        rough, tolerance=None, optimizer=StochasticMinimax(segments=4, epochs=40, schedule=garipov)
    )
    assert not torch.equal(by_garipov.control_points, build(rough, tolerance=None).control_points)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"segments": 1}, "segments must be a whole number of at least 2, got 1"),
        ({"epochs": -1}, "epochs must be a whole number of at least 0, got -1"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"momentum": 1.0}, r"momentum must be at least 0 and below 1, got 1\.0"),
        ({"weight_decay": -1}, "weight_decay must be 0 or more, got -1"),
        ({"schedule": 0.5}, r"schedule must be a function of the share of epochs done, got 0\.5"),
        ({"longest": 0}, "longest must be a share of the simplex's size above 0 and at most 1"),
        ({"longest": np.nan}, "longest must be a share .* got nan"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        StochasticMinimax(**options)


@pytest.mark.parametrize(("batch_size", "longest"), [(8, 0.06), (1, 0.2 / 24**0.5)])
def test_first_steps_are_shorter_where_a_pass_has_many(batch_size: int, longest: float) -> None:
    prepared = StochasticMinimax(batch_size=batch_size).prepared(Shifted(), torch.zeros(2, 3))
    assert prepared.longest == pytest.approx(longest)
    own = StochasticMinimax(longest=0.01).prepared(Shifted(), torch.zeros(2, 3))
    assert own.longest == 0.01
    assert own.with_smaller_steps().longest == pytest.approx(1e-3)


def test_another_map_is_refused() -> None:
    with pytest.raises(OptionError, match="give StochasticMinimax other segments"):
        build(rough, simplex_map=Edgewise(3))


class Penalised(Shifted, PenalisedLoss):
    """A loss that holds a penalty."""

    @property
    def weight_decay(self) -> float:
        return 0.01


def test_a_penalty_counts_once() -> None:
    optimizer = StochasticMinimax(segments=4, epochs=2, batch_size=8, weight_decay=0.1)
    with pytest.raises(OptionError, match="a penalty must count once"):
        build(Penalised(), optimizer=optimizer)


def test_a_weight_decay_is_a_penalty_in_the_loss() -> None:
    """Steps by it are those of a loss that has it in its values, on exact gradients."""

    def penalised(x: Tensor) -> Tensor:
        return rough(x) + 0.5 * 0.3 * x.square().sum(dim=1)

    own = StochasticMinimax(segments=4, epochs=20, weight_decay=0.3)
    layout = lay_out(2, 1, Edgewise(4))
    found = []
    for loss, optimizer in ((rough, own), (penalised, StochasticMinimax(segments=4, epochs=20))):
        points = straight(torch.as_tensor(POINTS[:2]), layout)
        problem = OptimisationProblem(layout.simplices[1], layout.rows(1), slice(2, 2), 0)
        optimizer.optimise(loss, points, problem, lambda: None)
        found.append(points)
    torch.testing.assert_close(*found)
