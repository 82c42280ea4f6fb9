"""The number of threads: an option, an environment variable, or that of the cores."""

import os

import numpy as np
import pytest

from reduction import FilteredComplex, OptionError
from reduction.threads import cores, even_bounds, limited, spread, top_bounds

MANY = 1 << 20


def test_the_option_is_above_the_environment_and_that_above_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REDUCTION_THREADS", raising=False)
    usable = cores()
    assert usable == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else usable
    monkeypatch.setenv("REDUCTION_THREADS", "3")
    assert cores() == 3
    assert len(even_bounds(MANY)) == 4
    with limited(5), limited(None):
        assert cores() == 5
        assert len(top_bounds(200, 2, MANY)) == 6
    assert cores() == 3
    monkeypatch.setenv("REDUCTION_THREADS", "")
    assert cores() == usable


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "9" * 10, "1" * 5000])
def test_an_environment_variable_that_is_no_number_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDUCTION_THREADS", given)
    shown = f"'{given}'" if len(given) < 60 else "str"
    with pytest.raises(OptionError, match=f"digits, but it is {shown}: give one, or unset it"):
        cores()


def test_a_barcode_takes_as_many_threads_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def counted(function: object, bounds: list[int]) -> object:
        taken.append(len(bounds) - 1)
        return spread(function, bounds)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("reduction.persistence.implicit.spread", counted)
    distances = np.random.default_rng(1).random((130, 130))
    complex = FilteredComplex.rips((distances + distances.T) * (1 - np.eye(130)), 2)
    barcodes = [complex.barcode(threads=threads) for threads in (1, 2, 3)]
    assert {1, 2, 3} <= set(taken)
    assert max(taken) == 3
    for barcode in barcodes[1:]:
        for r in range(2):
            np.testing.assert_array_equal(barcode[r], barcodes[0][r])


def test_more_threads_than_columns_are_not_started() -> None:
    few = FilteredComplex.complete(3, [[0.0] * 3, [1.0, 2.0, 3.0], [4.0]])
    assert few.barcode(threads=10**9)[1].tolist() == few.barcode()[1].tolist() == [[3, 4]]
    assert even_bounds(2, 10**9) == [0, 1, 2]
    assert len(top_bounds(5, 2, 10, 10**9)) == 4
