"""Polished minima: gradients by plain torch, no loss that rises, and the norm that was reached."""

import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import DataError
from simplicial import LossWarning, Minima, Polish, RunError, polish
from tests.simplicial.schedulers import POINTS as ARRAY
from tests.simplicial.schedulers import Counting, loss

POINTS = torch.as_tensor(ARRAY)


def norms(points: Tensor, of=loss) -> list[float]:  # pyright: ignore
    """Of gradients, one point after another, by plain torch."""
    found = []
    for point in points:
        leaf = point.clone().requires_grad_()
        (slope,) = torch.autograd.grad(of(leaf[None]).sum(), leaf)
        found.append(float(slope.norm()))
    return found


def ravine(x: Tensor) -> Tensor:
    """Rosenbrock's function, whose minimum 0 at 1, 1 lies in a bent valley."""
    return 100 * (x[:, 1] - x[:, 0] ** 2) ** 2 + (1 - x[:, 0]) ** 2


def slope_without_end(x: Tensor) -> Tensor:
    return (-x[:, 0]).exp() + x[:, 1].square()


def half_space(x: Tensor) -> Tensor:
    """Not defined beyond x = 1, towards which it falls."""
    return (1 - x[:, 0]).sqrt() + x[:, 1].square()


def slow(x: Tensor) -> Tensor:
    """The loss, so slow that a progress bar is drawn again between two evaluations."""
    time.sleep(0.11)
    return loss(x)


def test_gradients_are_small_and_no_loss_rises() -> None:
    minima = Minima(POINTS, loss)
    found = polish(minima, progress=False)
    assert max(norms(minima.points)) > 1
    assert max(norms(found.points)) <= 1.5e-8
    assert (found.values < minima.values).all()
    np.testing.assert_allclose(found.gradient_norms(), norms(found.points), rtol=1e-6)
    np.testing.assert_array_equal(found.values, loss(found.points).numpy())


def test_a_bent_valley_is_followed_to_its_minimum() -> None:
    found = polish(Minima(torch.tensor([[-1.2, 1.0]]).double(), ravine), progress=False)
    torch.testing.assert_close(found.points[0], torch.ones(2).double(), rtol=0, atol=1e-7)


def test_the_tolerance_is_the_norm_at_which_a_descent_ends() -> None:
    minima = Minima(POINTS, loss)
    ends = [
        norms(polish(minima, Polish(tolerance=tolerance), progress=False).points)
        for tolerance in (1e-1, 1e-4, 1e-10)
    ]
    assert [max(end) <= limit for end, limit in zip(ends, (1e-1, 1e-4, 1e-10), strict=True)]
    assert max(ends[0]) > 1e-4
    assert max(ends[1]) > 1e-10


def test_minima_that_are_critical_stay_as_they_are() -> None:
    once = polish(Minima(POINTS, loss), progress=False)
    counted = Counting()
    again = polish(Minima(once.points, counted), progress=False)
    assert torch.equal(again.points, once.points)
    assert counted.points == 3 * len(POINTS)  # minima, a gradient, minima


def test_float32_reaches_the_square_root_of_its_rounding_unit() -> None:
    minima = Minima(POINTS.float(), loss)
    found = polish(minima, progress=False)
    assert found.points.dtype == torch.float32
    assert max(norms(found.points)) <= 3.5e-4
    assert (found.values <= minima.values).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_norm_out_of_reach_is_told_and_no_loss_rises(dtype: torch.dtype) -> None:
    minima = Minima(POINTS.to(dtype), loss)
    with pytest.warns(
        LossWarning, match=r"5 of 5 minima were not polished to .* 1e-30, \d reached"
    ):
        found = polish(minima, Polish(tolerance=1e-30), progress=False)
    assert max(norms(found.points)) <= 100 * torch.finfo(dtype).eps ** 0.5
    assert (found.values <= minima.values).all()


@pytest.mark.parametrize("evaluations", [1, 2, 7])
def test_evaluations_are_no_more_than_allowed(evaluations: int) -> None:
    counted = Counting()
    minima = Minima(POINTS[:1], counted)
    counted.points = 0
    with pytest.warns(LossWarning, match=f"in {evaluations} evaluations: allow more"):
        found = polish(minima, Polish(evaluations=evaluations), progress=False)
    assert counted.points == evaluations + 1  # and the value of the result
    assert found.values[0] <= minima.values[0]


def test_a_loss_without_minima_ends_with_the_norm_that_it_reached() -> None:
    minima = Minima(torch.tensor([[0.0, 1.0]]).double(), slope_without_end)
    options = Polish(tolerance=1e-300, evaluations=60)
    with pytest.warns(LossWarning, match="give a loss that has minima"):
        found = polish(minima, options, progress=False)
    assert 0 < norms(found.points, slope_without_end)[0] < 1
    assert found.values[0] < minima.values[0]


def test_a_descent_that_leaves_where_the_loss_is_defined_keeps_its_lowest_point() -> None:
    minima = Minima(torch.tensor([[0.9, 1.0]]).double(), half_space)
    with pytest.warns(LossWarning, match="1 of 1 minima were not polished"):
        found = polish(minima, progress=False)
    assert np.isfinite(found.values).all()
    assert found.values[0] <= minima.values[0]


def test_a_descent_does_not_depend_on_those_beside_it() -> None:
    together = polish(Minima(POINTS, loss), progress=False)
    for i in range(len(POINTS)):
        alone = polish(Minima(POINTS[i : i + 1], loss), progress=False)
        assert torch.equal(alone.points[0], together.points[i])


def test_workers_polish_to_the_same_bits(pools: dict[int, ProcessPoolExecutor]) -> None:
    here = polish(Minima(POINTS, loss), progress=False)
    there = polish(Minima(POINTS, loss), executor=pools[1], progress=False)
    assert torch.equal(here.points, there.points)


def test_polished_minima_are_stored_as_they_end(tmp_path: Path) -> None:
    whole = polish(Minima(POINTS, loss), progress=False)
    minima = Minima(POINTS, Counting(until=60))  # breaks at the second or third descent
    with pytest.raises(KeyboardInterrupt):
        polish(minima, store=tmp_path, progress=False)
    done = len([*(tmp_path / "polished").glob("*.json")])
    assert 0 < done < len(POINTS)
    counted = Counting()
    found = polish(Minima(POINTS, counted), store=tmp_path, progress=False)
    first = counted.points
    assert torch.equal(found.points, whole.points)
    again = polish(Minima(POINTS, counted), store=tmp_path, progress=False)
    assert counted.points == first + 2 * len(POINTS)  # values before and after
    assert torch.equal(again.points, whole.points)


def test_a_store_of_other_minima_or_options_is_refused(tmp_path: Path) -> None:
    polish(Minima(POINTS, loss), store=tmp_path, progress=False)
    with pytest.raises(RunError, match="was made with minima ="):
        polish(Minima(POINTS + 0.1, loss), store=tmp_path, progress=False)
    with pytest.raises(RunError, match="was made with options ="):
        polish(Minima(POINTS, loss), Polish(history=3), store=tmp_path, progress=False)
    record = tmp_path / "polished" / "000001.safetensors"
    record.write_bytes(record.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match="as a run wrote it"):
        polish(Minima(POINTS, loss), store=tmp_path, progress=False)


def test_progress_is_shown_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplicial.display.PERIOD", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        polish(Minima(POINTS[:1], slow))
    shown = capsys.readouterr()
    assert "minima: polishing" in shown.err
    assert "gradient norm" in shown.err
    assert shown.out == ""
