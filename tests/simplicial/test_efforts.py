"""Complexes of growing effort, beside builds that are given as many epochs by hand."""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import DataError, OptionError
from simplicial import (
    Algorithm1,
    Convergence,
    Minima,
    NudgedElastic,
    Optimizer,
    Recipe,
    RunError,
    StochasticMinimax,
    build_complex,
    convergence,
)
from simplicial.landscapes import himmelblau
from simplicial.loss import Loss
from simplicial.reports.status import RunStatus
from tests.simplicial.unaware_optimizer import UnawareOptimizer

# Of a few steps some are too long, and a simplex keeps its start.
pytestmark = pytest.mark.filterwarnings("ignore::simplicial.LossWarning")
LANDSCAPE = himmelblau()
MINIMA = Minima(torch.tensor(LANDSCAPE.minima), LANDSCAPE)
QUIET: dict[str, Any] = {"resolution": 4, "progress": False}


def wells(x: Tensor) -> Tensor:
    """The same function, which workers can import."""
    return (x[:, 0] ** 2 + x[:, 1] - 11) ** 2 + (x[:, 0] + x[:, 1] ** 2 - 7) ** 2


def algorithm1(epochs: int) -> Algorithm1:
    return Algorithm1(recipe=Recipe(epochs=epochs, learning_rate=1e-3, weight_decay=0.0))


class Stopped(Exception):
    """Ends a build from within its loss."""


class Stopping:
    """The landscape, until it was taken at as many points."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, points: Tensor) -> Tensor:
        self.left -= len(points)
        if self.left < 0:
            raise Stopped
        return LANDSCAPE(points)


def longest(bars: Any) -> float:
    """W_inf by its definition, without the library."""
    finite = [death - birth for birth, death in bars if death < np.inf]
    return max(finite, default=0.0) / 2**0.5


OPTIMIZERS: dict[str, Callable[[int], Optimizer]] = {
    "algorithm1": algorithm1,
    "elastic": lambda steps: NudgedElastic(segments=2, steps=steps),
    "minimax": lambda epochs: StochasticMinimax(segments=2, epochs=epochs),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_effort_is_a_build_of_its_own_with_as_many_steps(name: str) -> None:
    make = OPTIMIZERS[name]
    found = convergence(MINIMA, 2, (0.5, 1, 3), optimizer=make(8), **QUIET)
    assert found.efforts.tolist() == [0.5, 1, 3]
    for row, steps in enumerate((4, 8, 24)):
        barcode = build_complex(MINIMA, 2, optimizer=make(steps), **QUIET).barcode()
        for r, bars in enumerate(barcode):
            bounds = barcode.bounds(r)
            assert bounds is not None
            lowest = zip(bars[:, 0], bounds.lowest_deaths, strict=True)
            assert found.w_inf[row, r] == pytest.approx(longest(bars), rel=1e-15)
            assert found.lowest[row, r] == pytest.approx(longest(lowest), rel=1e-15)
            assert found.errors[row, r] == barcode.error(r)
    assert (found.w_inf[:2, 0] > 0).all()
    if name == "elastic":  # edges that end bars are mended: at their passes at any effort
        assert found.w_inf[0, 0] == pytest.approx(found.w_inf[1, 0], abs=1e-4)
    else:
        assert found.w_inf[0, 0] != found.w_inf[1, 0]


def test_gradients_are_those_of_all_edges_and_triangles() -> None:
    found = convergence(MINIMA, 2, (1, 2), optimizer=algorithm1(8), **QUIET)
    assert found.gradients.tolist() == [8 * (6 + 4), 16 * (6 + 4)]
    found = convergence(MINIMA, 1, (1, 2), optimizer=algorithm1(8), **QUIET)
    assert found.gradients.tolist() == [8 * 6, 16 * 6]
    assert found.w_inf.shape == (2, 1)


def test_w_inf_of_index_0_is_too_high_only_and_others_differ_by_a_multiple_of_the_error() -> None:
    efforts = (0.25, 1, 4, 16)
    found = convergence(MINIMA, 2, efforts, optimizer=algorithm1(8), resolution=4, progress=False)
    exact = LANDSCAPE.exact_bars
    assert exact is not None
    basins, ring = map(longest, exact)
    assert (found.w_inf[:, 0] >= basins).all()
    assert found.w_inf[-1, 0] > found.w_inf[1, 0]  # not lower at more effort
    assert found.w_inf[1, 1] < ring < found.w_inf[2, 1]
    assert (abs(found.w_inf - [basins, ring]) <= 2**0.5 * found.errors).all()


def test_the_lowest_w_inf_of_index_0_is_0_where_all_edges_are_there() -> None:
    found = convergence(MINIMA, 2, (1, 4), optimizer=algorithm1(8), **QUIET)
    assert (found.lowest[:, 0] == 0).all()
    assert (found.w_inf[:, 0] > 0).all()


def test_without_an_optimizer_it_is_nudged_elastic_for_a_function() -> None:
    """11 inner points, 200 steps, and 20 where paths cut bends; algorithm 1 has its own recipe."""
    found = convergence(MINIMA, 1, (0.01, 1), resolution=3, progress=False)
    assert found.gradients.tolist() == [2 * 11 * 6, 220 * 11 * 6]
    found = convergence(MINIMA, 1, (0.01, 1), optimizer=Algorithm1(), resolution=3, progress=False)
    assert found.gradients.tolist() == [20 * 6, 2000 * 6]


def test_what_is_stored_is_not_computed_again(tmp_path: Path) -> None:
    optimizer = algorithm1(8)
    found = convergence(MINIMA, 2, (0.5, 1), optimizer=optimizer, store=tmp_path, **QUIET)
    assert RunStatus.read(tmp_path).state == "finished"
    assert RunStatus.read(tmp_path / "effort-0.5").state == "finished"
    told = RunStatus.read(tmp_path).convergence
    assert told is not None
    assert told.table() == found.table()
    calls = 0

    def counted(points: Tensor) -> Tensor:
        nonlocal calls
        calls += len(points)
        return LANDSCAPE(points)

    minima = Minima(MINIMA.points, counted)
    again = convergence(minima, 2, (0.5, 1, 2), optimizer=optimizer, store=tmp_path, **QUIET)
    new, calls = calls, 0
    convergence(minima, 2, (2,), optimizer=optimizer, **QUIET)
    assert new < 1.3 * calls  # of the gradients at vertices, once for each effort
    np.testing.assert_array_equal(again.w_inf[:2], found.w_inf)
    assert (tmp_path / "effort-2").is_dir()
    alone = build_complex(MINIMA, 2, optimizer=optimizer, store=tmp_path, **QUIET)
    np.testing.assert_array_equal(alone.barcode().w_inf(1), found.w_inf[1, 1])


def test_efforts_are_any_numbers_that_ascend() -> None:
    expected = convergence(MINIMA, 1, (1, 2), optimizer=algorithm1(8), **QUIET)
    for efforts in (np.array([1, 2]), np.array([1.0, 2.0]), iter((1, 2)), range(1, 3)):
        found = convergence(MINIMA, 1, efforts, optimizer=algorithm1(8), **QUIET)
        assert found.efforts.tolist() == [1, 2]
        np.testing.assert_array_equal(found.w_inf, expected.w_inf)


def test_a_folder_has_a_status_from_its_first_effort_on(tmp_path: Path) -> None:
    stopping = Stopping(1000)
    minima, optimizer = Minima(MINIMA.points, stopping), algorithm1(40)
    stopping.left = 100  # of 6 * 40 points that training takes
    with pytest.raises(Stopped):
        convergence(minima, 1, (0.5, 1, 2), optimizer=optimizer, store=tmp_path, **QUIET)
    assert RunStatus.read(tmp_path).state == "stopped"


def test_efforts_without_1_are_refused_where_they_are_stored(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"efforts must hold 1, the run itself, .* got 2, 4: "):
        convergence(MINIMA, 1, (2, 4), optimizer=algorithm1(8), store=tmp_path / "new", **QUIET)
    assert not list(tmp_path.iterdir())
    assert len(convergence(MINIMA, 1, (2, 4), optimizer=algorithm1(8), **QUIET)) == 2


def test_a_comparison_that_was_stopped_goes_on(tmp_path: Path) -> None:
    def compared(loss: Loss, store: Path | None) -> Convergence:
        minima = Minima(MINIMA.points, loss)
        return convergence(minima, 1, (1, 2, 4, 8), optimizer=algorithm1(40), store=store, **QUIET)

    with pytest.raises(Stopped):
        compared(Stopping(3000), tmp_path)
    told = RunStatus.read(tmp_path).convergence
    assert told is not None
    assert 0 < len(told) < 4
    whole, expected = compared(LANDSCAPE, tmp_path), compared(LANDSCAPE, None)
    np.testing.assert_array_equal(whole.w_inf, expected.w_inf)
    np.testing.assert_array_equal(told.w_inf, expected.w_inf[: len(told)])


def test_workers_find_the_same(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        minima = Minima(MINIMA.points, wells)
        there = convergence(minima, 1, (1, 2), optimizer=algorithm1(4), executor=executor,
                            store=tmp_path, **QUIET)  # fmt: skip
    here = convergence(minima, 1, (1, 2), optimizer=algorithm1(4), **QUIET)
    np.testing.assert_array_equal(there.w_inf, here.w_inf)


def test_the_complex_of_effort_1_is_that_of_the_folder(tmp_path: Path) -> None:
    build_complex(MINIMA, 1, optimizer=algorithm1(4), store=tmp_path, **QUIET)
    convergence(MINIMA, 1, (1, 2), optimizer=algorithm1(4), store=tmp_path, **QUIET)
    with pytest.raises(RunError, match="was made with optimizer"):
        convergence(MINIMA, 1, (1, 2), optimizer=algorithm1(8), store=tmp_path, **QUIET)


def test_a_spoilt_file_of_a_folder_is_refused(tmp_path: Path) -> None:
    convergence(MINIMA, 1, (1, 2), optimizer=algorithm1(4), store=tmp_path, **QUIET)
    path = tmp_path / "convergence.json"
    document = json.loads(path.read_text("utf-8"))
    document["efforts"][1]["indices"][0]["w_inf"] /= 2
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(DataError, match="no convergence of version 1, or was altered"):
        _ = RunStatus.read(tmp_path).convergence


def test_an_optimizer_without_efforts_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="UnawareOptimizer has no with_effort: give"):
        convergence(MINIMA, 1, optimizer=UnawareOptimizer(), store=tmp_path / "new", **QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("epochs", [0, 1])
def test_efforts_of_as_many_steps_are_refused(epochs: int) -> None:
    with pytest.raises(OptionError, match=r"0\.5 and 1 both come to .* for all simplices: choose"):
        convergence(MINIMA, 1, (0.5, 1), optimizer=algorithm1(epochs), **QUIET)


def test_missing_simplices_leave_w_inf_without_a_bound() -> None:
    def holed(points: Tensor) -> Tensor:
        hole = (points - points.new_tensor([0.3, 0.1])).norm(dim=1) < 0.6
        return torch.where(hole, torch.inf, LANDSCAPE(points))

    minima = Minima(MINIMA.points, holed)
    built = build_complex(minima, 2, optimizer=algorithm1(2), **QUIET)
    assert sum(map(len, built.missing))
    expected, curve = built.barcode(), convergence(minima, 2, (1, 2), optimizer=algorithm1(2),
                                                   **QUIET)  # fmt: skip
    assert curve.w_inf[0].tolist() == [expected.w_inf(0), expected.w_inf(1)]
    assert np.isinf(curve.errors).all()
    assert "inf" in curve.table()
