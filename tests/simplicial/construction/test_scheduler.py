"""Batches and workers change nothing: the same bits."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from simplicial import LossComplex
from tests.simplicial.construction.test_executors import Here
from tests.simplicial.schedulers import OPTIMIZERS, assert_same, built


@pytest.fixture(scope="module", params=list(OPTIMIZERS))
def whole(request: pytest.FixtureRequest) -> tuple[str, LossComplex]:
    return request.param, built(request.param)


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_the_chunk_changes_no_bit(whole: tuple[str, LossComplex], batch: int) -> None:
    assert_same(built(whole[0], batch=batch), whole[1])


@pytest.mark.parametrize("tolerance", [None, 1e-3])
def test_a_chunk_gets_the_same_maxima(tolerance: float | None) -> None:
    a, b = (built("elastic", batch=batch, tolerance=tolerance) for batch in (None, 2))
    assert_same(a, b)


@pytest.mark.parametrize("count", [1, 2])
def test_workers_change_no_bit(
    whole: tuple[str, LossComplex], count: int, pools: dict[int, ProcessPoolExecutor]
) -> None:
    name, alone = whole
    assert_same(built(name, executor=pools[count]), alone)


def test_a_worker_gets_a_chunk_of_simplices() -> None:
    executor = Here()
    assert_same(built("algorithm 1", executor=executor, batch=4), built("algorithm 1"))
    assert executor.chunks == [4, 4, 2, 4, 4, 2]


def test_another_budget_of_memory_goes_on(tmp_path: Path) -> None:
    """It decides only whether values on the lattice are kept."""
    built("algorithm 1", store=tmp_path)
    for path in sorted((tmp_path / "simplices-2").glob("*"))[4:]:
        path.unlink()
    again = built("algorithm 1", store=tmp_path, memory=1000)
    for one, other in zip(again.maxima, built("algorithm 1").maxima, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.interiors[0].samples is not None
    assert again.interiors[1].samples is None
