"""Simplices that stochastic minimax has under way: their memory, and those that were stopped."""

from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
import torch

from simplicial import Edgewise, OptimisationProblem, StochasticMinimax
from simplicial.maps.control_points import lay_out, straight
from simplicial.optimizers import stochastic_minimax
from simplicial.optimizers.highest_points import HighestPoints
from simplicial.optimizers.moving_simplex import STATE, MovingSimplex, simplex_bytes
from simplicial.optimizers.nested_meshes import nested_meshes
from tests.simplicial.optimizers.shifted_loss import POINTS, Shifted, build

# few steps may end higher than a straight edge
pytestmark = pytest.mark.filterwarnings("ignore:.*keep their start")


def test_a_small_memory_budget_changes_nothing() -> None:
    large, small = (
        build(Shifted(), max_dim=2, memory=memory, tolerance=None) for memory in ("1GB", 20_000)
    )
    torch.testing.assert_close(small.control_points, large.control_points, rtol=0, atol=0)


@pytest.mark.parametrize("r", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_memory_of_a_simplex_is_counted(r: int, dtype: torch.dtype) -> None:
    """All tensors of its state, at either of its ends, and by no more than twice too much."""
    meshes = nested_meshes(8, r)
    controls = torch.rand(len(meshes[-1].rows), 50, dtype=dtype)
    moving = MovingSimplex(controls, meshes, 0.1, np.random.SeedSequence(6))
    highest = HighestPoints(moving, meshes[-1], 4 * r, np.random.SeedSequence(7))
    own = {t.data_ptr(): t.nbytes for t in (*moving.state(), *highest.state()) if t.ndim == 2}
    own.pop(moving.state()[STATE.index("products")].data_ptr())
    assert sum(own.values()) <= simplex_bytes(meshes[-1], controls[0]) < 2 * sum(own.values())


@pytest.mark.parametrize("fit", [1, 2, 3, 6])
def test_simplices_under_way_fit_into_memory(fit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six edges."""
    alive, most = WeakSet[MovingSimplex](), []

    def begun(*given: Any) -> MovingSimplex:
        alive.add(simplex := MovingSimplex(*given))
        most.append(len(alive))
        return simplex

    monkeypatch.setattr(stochastic_minimax, "MovingSimplex", begun)
    layout, loss, calls = lay_out(4, 1, Edgewise(4)), Shifted(), []
    points = straight(torch.as_tensor(POINTS), layout)
    memory = fit * simplex_bytes(nested_meshes(4, 1)[-1], points[0]) + 100
    problem = OptimisationProblem(layout.simplices[1], layout.rows(1), slice(4, 4), 0, memory)
    optimizer = StochasticMinimax(segments=4, epochs=4, batch_size=8)
    optimizer.optimise(loss, points, problem, lambda: calls.append(1))
    assert max(most) == fit
    assert len(calls) == optimizer.step_count(loss, points, problem) == 4 * 6 // fit


@pytest.mark.parametrize("stop", [36, 44, 74])
def test_groups_of_simplices_go_on_each_from_their_own_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Two of six edges at a time: the second group stopped on its coarse mesh or on the finer one,
    where a step has two batches of points, or the third.
    """
    monkeypatch.setattr("simplicial.run_folder.checkpoint.PERIOD", 0.0)
    memory = 2 * simplex_bytes(nested_meshes(4, 1)[-1], torch.as_tensor(POINTS[0]))
    optimizer = StochasticMinimax(segments=4, epochs=10, batch_size=8)
    plain = Shifted()
    alone = build(plain, optimizer=optimizer, memory=memory, tolerance=None)
    with pytest.raises(KeyboardInterrupt):
        build(
            Shifted(until=stop), optimizer=optimizer, memory=memory, store=tmp_path, tolerance=None
        )
    rest = Shifted()
    resumed = build(rest, optimizer=optimizer, memory=memory, store=tmp_path, tolerance=None)
    assert torch.equal(resumed.control_points, alone.control_points)
    assert rest.steps == plain.steps - stop


@pytest.mark.parametrize(
    ("stop", "epochs"), [(3, 50), (20, 50), (31, 50), (60, 50), (300, 300), (500, 300)]
)
def test_a_chunk_goes_on_from_the_last_step_that_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int, epochs: int
) -> None:
    """In every stage; steps that were saved are not taken again, and the bits are the same."""
    monkeypatch.setattr("simplicial.run_folder.checkpoint.PERIOD", 0.0)
    optimizer = StochasticMinimax(segments=8, epochs=epochs, batch_size=8)
    plain = Shifted()
    alone = build(plain, optimizer=optimizer, tolerance=None)
    with pytest.raises(KeyboardInterrupt):
        build(Shifted(until=stop), optimizer=optimizer, store=tmp_path, tolerance=None)
    rest = Shifted()
    resumed = build(rest, optimizer=optimizer, store=tmp_path, tolerance=None)
    assert torch.equal(resumed.control_points, alone.control_points)
    assert rest.steps == plain.steps - stop
