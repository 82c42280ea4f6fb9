"""The memory that a complex keeps: bars are those of the values when they were given."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from reduction import FilteredComplex, ShapeError

VERTICES = [0.0] * 4
BARS = [[0, 1], [0, 1], [0, 1], [0, np.inf]]  # of edges at 1


def ones(n: int = 6) -> NDArray[np.float64]:
    return np.ones(n)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def test_a_series_of_pandas_may_be_written_to_afterwards() -> None:
    """pandas hands out read-only views of memory that the series goes on writing to."""
    series = pd.Series(ones())
    complex = FilteredComplex.complete(4, [VERTICES, series.to_numpy()])
    for given in (series, series.to_numpy()):
        assert not np.shares_memory(FilteredComplex.complete(4, [VERTICES, given]).values[1], given)
    series[:] = 0.5
    assert complex.barcode()[0].tolist() == BARS


def test_a_read_only_view_of_memory_that_is_written_to_is_copied(tmp_path: Path) -> None:
    owner, buffer, mapped = ones(), bytearray(ones()), tmp_path / "values.npy"
    np.save(mapped, ones())
    tensor = torch.ones(6, dtype=torch.float64)
    shared = np.load(mapped, mmap_mode="r+")
    views = (
        (owner, read_only(owner[:])),
        (owner, read_only(owner.view()[:6])),
        (np.frombuffer(buffer), read_only(np.frombuffer(buffer))),
        (np.frombuffer(buffer), np.frombuffer(memoryview(buffer).toreadonly())),
        (tensor.numpy(), read_only(tensor.numpy())),
        (shared, read_only(shared[:])),
        (shared, shared),
        (owner, owner),
    )
    for written, given in views:
        written[:] = 1
        complex = FilteredComplex.complete(4, [VERTICES, given])
        written[:] = 0.5
        assert complex.barcode()[0].tolist() == BARS


def test_memory_that_is_read_only_altogether_is_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", ones())
    for given in (
        read_only(ones()),
        read_only(ones(9))[:6],
        np.frombuffer(ones().tobytes()),
        np.load(tmp_path / "values.npy", mmap_mode="r"),
    ):
        complex = FilteredComplex.complete(4, [VERTICES, given])
        assert np.shares_memory(complex.values[1], given)
        assert type(complex.values[1]) is np.ndarray
        assert complex.barcode()[0].tolist() == BARS


def test_what_is_handed_over_is_not_copied_and_becomes_read_only(tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", ones())
    for given in (ones(), ones(9)[:6], np.load(tmp_path / "values.npy", mmap_mode="r+")):
        complex = FilteredComplex.complete(4, [np.zeros(4), given], copy=False)
        assert np.shares_memory(complex.values[1], given)
        assert not given.flags.writeable
        assert complex.barcode()[0].tolist() == BARS


@pytest.mark.parametrize(
    "given", [[1.0] * 6, np.ones(12)[::2], np.ones(6, np.float32), np.ones(6, ">f8"), torch.ones(6)]
)
def test_what_cannot_be_handed_over_is_refused(given: Any) -> None:
    with pytest.raises(ShapeError, match=r"values\[1\] is of type .*; convert it, or leave out"):
        FilteredComplex.complete(4, [np.zeros(4), given], copy=False)


def test_the_constructor_copies_whatever_is_given() -> None:
    vertices, edges = read_only(np.arange(3)[:, None]), read_only(np.array([[0, 1], [1, 2]]))
    values = read_only(ones(2))
    for name in (vertices, edges, values):
        assert not any(
            np.shares_memory(name, kept)
            for complex in [FilteredComplex([vertices, edges], [[0.0] * 3, values])]
            for kept in (*complex.vertices, *complex.values)
        )


# --- numbers that NumPy would change in silence


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_tensors_give_their_values_without_the_gradient(kind: torch.dtype) -> None:
    values = torch.tensor([1, 1.5, 2, 1, 1.5, 2], dtype=kind, requires_grad=True)
    complex = FilteredComplex.complete(4, [torch.zeros(4, dtype=torch.int64), values])
    assert complex.values[1].tolist() == [1, 1.5, 2, 1, 1.5, 2]
    with torch.no_grad():
        values[:] = 7
    assert complex.values[1].tolist() == [1, 1.5, 2, 1, 1.5, 2]


def test_whole_numbers_that_float64_has_are_kept_and_others_refused() -> None:
    large = 2**53
    kept = (
        np.array([large, -large, 2**60, 1]),
        np.array([2**63, large + 2, 0, 1], np.uint64),
        [2**62, 0.5, large, 1],
    )
    for values in kept:
        complex = FilteredComplex.complete(4, [values])
        assert complex.values[0].tolist() == [float(value) for value in values]
    lost = (
        (np.array([0, large + 1, 0, 0]), large + 1),
        (np.array([-large - 1, 0, 0, 0]), -large - 1),
        (np.array([2**63 - 1, 0, 0, 0]), 2**63 - 1),
        (np.array([2**64 - 1, 0, 0, 0], np.uint64), 2**64 - 1),
        ([0.5, large + 1, 0, 0], large + 1),
    )
    for values, named in lost:
        with pytest.raises(ShapeError, match=rf"but values\[0\] has {named}; subtract"):
            FilteredComplex.complete(4, [values])
        with pytest.raises(ShapeError, match=rf"but values\[0\] has {named}; subtract"):
            FilteredComplex([[[0], [1], [2], [3]]], [values])


def test_masked_entries_are_refused() -> None:
    values = np.ma.masked_greater([1.0, 2, 3, 4], 2.5)
    with pytest.raises(ShapeError, match=r"2 of values\[0\], a masked array, are masked; fill or"):
        FilteredComplex.complete(4, [values])
    assert FilteredComplex.complete(2, [values[:2]]).values[0].tolist() == [1, 2]
    with pytest.raises(ShapeError, match=r"1 of vertices\[0\], a masked array, are masked"):
        FilteredComplex([np.ma.masked_equal([[0], [1]], 1)], [[0.0, 0.0]])
