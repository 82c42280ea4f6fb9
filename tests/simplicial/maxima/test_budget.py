"""Refined maxima that a budget ends, against dense scans of rough functions."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reduction import OptionError
from reduction.files import write_arrays
from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    LossComplex,
    LossWarning,
    Minima,
    NudgedElastic,
    Recipe,
    build_complex,
)
from simplicial.maps.base import SimplexMap
from simplicial.maxima.budget import Spent, best_first, bounded
from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import Pieces
from simplicial.maxima.refined import default_budget
from simplicial.reports.status import RunStatus
from tests.simplicial.maxima.test_refined import CASES, Counting, Formula, bent, measured
from tests.simplicial.schedulers import assert_same

SCAN = {1: 2000, 2: 140}  # segments of the dense lattice
STRAIGHT = Algorithm1(recipe=Recipe(epochs=0))


def many_sines(seed: int, d: int, highest: float, count: int = 60) -> Formula:
    """Waves of random directions, of up to `highest` radians on a unit edge."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(count, d))
    waves *= rng.uniform(1, highest, (count, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    frequencies = torch.as_tensor(waves)
    shifts, heights = (
        torch.as_tensor(rng.uniform(0, 6, count)),
        torch.as_tensor(rng.normal(size=count)),
    )
    return lambda x: torch.sin(x @ frequencies.T + shifts) @ heights


def unit(r: int) -> torch.Tensor:
    """Vertices (r+1, r) of the simplex with corners at 0 and at the unit vectors."""
    return torch.as_tensor(np.vstack([np.zeros(r), np.eye(r)]))


def built(loss: Any, r: int, budget: int, **options: Any) -> LossComplex:
    """The straight complex on the unit simplex, with warnings of budgets left out."""
    given: dict[str, Any] = {"optimizer": STRAIGHT, "simplex_map": Barycentric()} | options
    with pytest.warns(LossWarning, match=r"refinement ended by its budget, .* raise refinement_b"):
        return build_complex(
            Minima(unit(r), loss),
            r,
            refinement_budget=budget,
            progress=False,
            **given,
        )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("simplex_map", [Barycentric(), Edgewise(8)])
@pytest.mark.parametrize(
    ("r", "highest", "budget"), [(1, 300.0, 20), (1, 600.0, 50), (2, 60.0, 60)]
)
def test_the_true_maximum_lies_within_the_error_bound(
    seed: int, simplex_map: SimplexMap, r: int, highest: float, budget: int
) -> None:
    loss = many_sines(seed, r, highest)
    found = built(loss, r, budget, simplex_map=simplex_map)
    edges = [simplex for simplex in found.simplices[1].vertices.tolist() if 0 in simplex]
    tops = {(r, tuple(range(r + 1))), *((1, tuple(edge)) for edge in edges)}
    assert found.exhausted[r].tolist() == [list(range(r + 1))]
    for dim, vertices in tops:
        row = found.simplices[dim].vertices.tolist().index(list(vertices))
        scan = found[vertices].sample(SCAN[dim]).loss.max()
        largest, error_bound = found.maxima[dim][row], found.error_bounds[dim][row]
        assert scan <= largest + error_bound
    assert 0 < found.error_bounds[r][0] < np.inf
    assert (found.interiors[-1].maxima.values <= found.maxima[r]).all()


def test_no_simplex_takes_more_gradients_than_its_budget() -> None:
    loss, controls = many_sines(11, 2, 80.0), bent(11, Edgewise(4), 2, 2, 3)
    pieces = 16  # which are evaluated at their centres, and at a point of their own
    for budget in (1, 7, 100):
        counting = Counting(loss)
        found, known = measured(counting, controls, Edgewise(4), budget=budget)
        assert (found.evaluations == budget + 2 * pieces).all()
        assert counting.points == found.evaluations.sum() + controls.shape[0] * controls.shape[1]
        assert found.exhausted.all()
        assert (found.error_bounds > 1e-9).all()
    enough, _ = measured(loss, controls, Edgewise(4), 1e-2, budget=100_000)
    assert not enough.exhausted.any()
    np.testing.assert_array_equal(enough.error_bounds, 1e-2)
    assert (
        np.maximum(enough.maxima.values, known) <= found.maxima.values + found.error_bounds
    ).all()


@pytest.mark.parametrize(
    ("case", "evaluations"),
    list(enumerate((363, 413, 768, 1012, 257, 359, 431, 729))),
)
def test_smooth_functions_take_no_more_than_without_a_budget(case: int, evaluations: int) -> None:
    """Counts of the refinement without budgets."""
    loss, simplex_map, r, d, count = CASES[case]
    found, _ = measured(loss, bent(100 + r, simplex_map, r, d, count), simplex_map, 1e-7)
    assert found.evaluations.sum() == evaluations
    assert not found.exhausted.any()
    assert (found.error_bounds == 1e-7).all()


@pytest.mark.parametrize("r", [1, 2])
def test_neither_memory_nor_the_batch_changes_a_result_that_a_budget_ended(r: int) -> None:
    loss, controls = many_sines(13, 3, 90.0), bent(13, Edgewise(4), r, 3, 4)
    found, _ = measured(loss, controls, Edgewise(4), budget=50)
    assert found.exhausted.all()
    tiny, _ = measured(loss, controls, Edgewise(4), memory=1, budget=50)
    alone = [measured(loss, one[None], Edgewise(4), budget=50)[0] for one in controls]
    for other in (tiny, type(found).joined(alone)):
        np.testing.assert_allclose(other.maxima.values, found.maxima.values, rtol=1e-12)
        np.testing.assert_allclose(other.error_bounds, found.error_bounds, rtol=1e-9)
        np.testing.assert_array_equal(other.evaluations, found.evaluations)


def test_a_budget_is_spent_where_the_loss_is_high() -> None:
    """A peak among waves: halvings gather there, not all over the edge."""
    waves, near = many_sines(14, 1, 200.0), []

    def loss(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:
            near.extend((x[:, 0] - 0.4123).abs().tolist())
        peak = torch.exp(-((x[:, 0] - 0.4123) ** 2) / (2 * 0.02**2))
        return 1e-3 * waves(x) + peak

    found = built(loss, 1, 24, resolution=12)
    controls = 3
    assert len(near) == controls + 24
    assert sum(distance < 0.1 for distance in near[controls:]) >= 18
    expected = loss(torch.linspace(0, 1, 200_001, dtype=torch.float64)[:, None]).max().item()
    assert found.maxima[1][0] == pytest.approx(expected, abs=5e-3)
    assert expected <= found.maxima[1][0] + found.error_bounds[1][0]


def test_elastic_simplices_of_rough_functions_end() -> None:
    counting = Counting(many_sines(15, 2, 200.0))
    found = built(counting, 2, 10, optimizer=NudgedElastic(segments=3, steps=5), simplex_map=None)
    assert found.exhausted[2].tolist() == [[0, 1, 2]]
    assert counting.points < 8_000


def test_the_default_is_measured_and_grows_with_the_dimension() -> None:
    loss = many_sines(16, 2, 10.0)
    assert [default_budget(loss, r) for r in (1, 2, 3, 4)] == [1_000, 10_000, 100_000, 100_000]


def test_a_rough_path_ends_by_default() -> None:
    """White noise, as far as 1,000 gradients can tell."""
    counting = Counting(many_sines(17, 1, 1e6, count=400))
    with pytest.warns(LossWarning, match="1 of 1 edges have maxima whose refinement ended by its"):
        found = build_complex(Minima(unit(1), counting), 1, optimizer=STRAIGHT, progress=False)
    assert found.exhausted[1].tolist() == [[0, 1]]
    assert counting.points <= 1_000 + 100
    assert found[(0, 1)].sample(2000).loss.max() <= found.maxima[1][0] + found.error_bounds[1][0]


def test_error_bounds_of_faces_are_those_of_their_simplices_too() -> None:
    """Three edges that a budget ended, and a triangle that lies far below them inside."""
    rough = many_sines(18, 2, 300.0)

    def loss(x: torch.Tensor) -> torch.Tensor:
        inside = x[:, 0] * x[:, 1] * (1 - x[:, 0] - x[:, 1])
        return rough(x) - 1e9 * inside.clamp(min=0)

    found = built(loss, 2, 20)
    assert len(found.exhausted[1]) == 3
    reach = found.maxima[1] + found.error_bounds[1]
    assert found.maxima[2][0] + found.error_bounds[2][0] >= reach.max()


def test_sampled_maxima_may_be_too_low_by_any_amount() -> None:
    sampled = build_complex(
        Minima(unit(2), many_sines(19, 2, 9.0)), 2, optimizer=STRAIGHT, tolerance=None,
        progress=False,
    )  # fmt: skip
    assert [bounds.max() for bounds in sampled.error_bounds] == [0, np.inf, np.inf]
    assert not any(len(of) for of in sampled.exhausted)
    with pytest.raises(
        OptionError, match="refinement_budget is for refined maxima, got 5 with tol"
    ):
        build_complex(sampled.minima, 2, tolerance=None, refinement_budget=5)


def test_files_hold_error_bounds(tmp_path: Path) -> None:
    loss = many_sines(20, 2, 90.0)
    found = built(loss, 2, 20)
    found.save(tmp_path / "complex.npz")
    again = LossComplex.load(tmp_path / "complex.npz", loss)
    for ours, theirs in zip(found.error_bounds, again.error_bounds, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(found.exhausted, again.exhausted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_of_version_2_is_read_with_unknown_error_bounds(tmp_path: Path) -> None:
    loss = many_sines(21, 2, 9.0)
    found = build_complex(Minima(unit(2), loss), 2, optimizer=STRAIGHT, progress=False)
    found.save(tmp_path / "complex.npz")
    with np.load(tmp_path / "complex.npz") as archive:
        arrays = dict(archive)
    older = {k: v for k, v in arrays.items() if not k.startswith(("error_bounds_", "exhausted_"))}
    del older["sha256"]
    older["version"] = np.array(2)
    write_arrays(tmp_path / "older.npz", older)
    again = LossComplex.load(tmp_path / "older.npz", loss)
    np.testing.assert_array_equal(again.maxima[2], found.maxima[2])
    assert np.isinf(again.error_bounds[2]).all()


def test_a_run_folder_keeps_what_a_budget_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped again and again, with all that is found saved, it comes to the same bits."""
    monkeypatch.setattr("simplicial.run_folder.checkpoint.PERIOD", 0.0)
    loss = many_sines(22, 2, 90.0)
    alone = built(loss, 2, 60, store=tmp_path / "whole")

    class Breaking(Counting):
        def __call__(self, points: torch.Tensor) -> torch.Tensor:
            if self.points > 80:
                raise KeyboardInterrupt
            return super().__call__(points)

    stops = 0
    while stops < 30:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LossWarning)
                stored = build_complex(
                    Minima(unit(2), Breaking(loss)), 2, optimizer=STRAIGHT,
                    simplex_map=Barycentric(), refinement_budget=60, store=tmp_path / "stopped",
                    progress=False,
                )  # fmt: skip
            break
        except KeyboardInterrupt:
            stops += 1
    else:
        pytest.fail("it does not end")
    assert stops > 2
    assert_same(stored, alone)
    for ours, theirs in zip(stored.error_bounds, alone.error_bounds, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    told = RunStatus.read(tmp_path / "stopped").exhausted
    assert sorted(told) == sorted(tuple(s) for of in alone.exhausted for s in of.tolist())
    assert told[(0, 1, 2)] == alone.interiors[1].error_bounds[0]


def level_pieces(owner: list[int], values: list[float], error_bound: float = 0.0) -> Pieces:
    """Edges on which the loss is constant: cubics that reach their value."""
    a = len(owner)
    return Pieces(
        owner=np.array(owner),
        piece=np.zeros(a, int),
        rows=np.zeros((a, 2), int),
        corners=np.broadcast_to(np.eye(2), (a, 2, 2)),
        values=np.repeat(np.array(values)[:, None], 2, axis=1),
        slopes=np.zeros((a, 2, 2)),
        error_bound=np.full(a, error_bound),
        halvings=np.zeros(a, int),
        known=np.full((a, 1), np.nan),
        barycentric=np.zeros((a, 1, 2)),
    )


def test_the_highest_parts_of_each_simplex_are_halved_first() -> None:
    pieces = level_pieces([0, 0, 1, 0, 0, 0], [1, 4, 5, 3, 4, -1])
    chosen = best_first(pieces, np.zeros(2), 8, np.full(2, 60), Spent.nothing(2))
    assert chosen.pending.values[:, 0].tolist() == [1, 4, 5, 3, 4]
    assert chosen.now.tolist() == [False, True, True, False, True]
    np.testing.assert_array_equal(chosen.spent.given_up, [-np.inf, -np.inf])
    np.testing.assert_array_equal(chosen.spent.below, [-1, -np.inf])


def test_parts_that_the_budget_cannot_reach_are_given_up_with_what_they_may_hold() -> None:
    pieces = level_pieces([0, 0, 1, 0, 0], [1, 4, 5, 3, 4], error_bound=0.25)
    spent = Spent.nothing(2)._replace(gradients=np.array([6, 8]))
    chosen = best_first(pieces, np.zeros(2), 8, np.full(2, 60), spent)
    assert chosen.pending.values[:, 0].tolist() == [4, 4]
    assert chosen.now.all()
    np.testing.assert_array_equal(chosen.spent.given_up, [3 + 4 * 0.25, 5 + 4 * 0.25])


def test_parts_as_small_as_rounding_end_no_refinement() -> None:
    pieces = replace(level_pieces([0, 0], [1, 4]), halvings=np.array([59, 60]))
    chosen = best_first(pieces, np.zeros(1), 8, np.full(1, 60), Spent.nothing(1))
    assert chosen.pending.values[:, 0].tolist() == [1]
    np.testing.assert_array_equal(chosen.spent.given_up, [-np.inf])
    np.testing.assert_array_equal(chosen.spent.below, [4])


def test_an_error_bound_is_the_tolerance_unless_parts_were_given_up() -> None:
    """Then it reaches as far as any part may at worst, those below by the rule included."""
    spent = Spent(np.zeros(3, int), np.array([2.5, 2.5, -np.inf]), np.array([0.0, 3.5, 3.5]))
    maxima = Maxima(np.array([2.0, 1.0, 1.0]), np.zeros((3, 2)))
    found = bounded(np.full(3, 1.5), maxima, np.full(3, 0.125), spent)
    np.testing.assert_array_equal(found.exhausted, [True, True, False])
    np.testing.assert_array_equal(found.error_bounds, [0.5, 2.0, 0.125])
