"""Complete complexes: every shortcut of their engine against GUDHI and reduced matrices."""

from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import CapacityError, FilteredComplex, FiltrationError
from reduction.filtrations.simplices import Complete
from reduction.kernels.buffers import enlarged
from reduction.kernels.cursors import find_slot
from reduction.persistence.implicit import coboundary
from tests.oracles.complexes import Arrays, filtered, full
from tests.reduction.complete import (
    FIELDS,
    INTERPRETED,
    arranged,
    complete_arrays,
    explicit,
    implicit,
    long_columns,
    positions,
)
from tests.reduction.persistence.test_persistence import assert_agrees_with_gudhi

WAYS: list[dict[str, Any]] = [
    {},
    {"threads": 1, "step_limit": np.inf},
    {"threads": 2, "step_limit": 0},
    {"threads": 3, "step_limit": 3},
    {"threads": 5, "step_limit": 300},
]


def assert_all_ways_agree(complex: FilteredComplex, p: int) -> None:
    expected = explicit(complex, p, complex.dim)
    for way in WAYS:
        assert implicit(complex, p, complex.dim, **way) == expected, way


@pytest.mark.parametrize("p", FIELDS)
@given(arrays=complete_arrays())
def test_every_way_of_reduction_finds_the_pairs_of_the_matrix(p: int, arrays: Arrays) -> None:
    n = len(arrays.vertices[0])
    assert_all_ways_agree(FilteredComplex.complete(n, arranged(arrays)), p)


@pytest.mark.parametrize("p", [2, 3, 11])
@given(arrays=complete_arrays())
def test_barcodes_agree_with_gudhi(p: int, arrays: Arrays) -> None:
    complex = FilteredComplex.complete(len(arrays.vertices[0]), arranged(arrays))
    barcode = complex.barcode(p, keep_zero=True, max_index=complex.dim)
    assert_agrees_with_gudhi(barcode, arrays, p)


@pytest.mark.parametrize("p", FIELDS)
@pytest.mark.parametrize(("n", "dim"), [(30, 2), (18, 3), (12, 5)])
@pytest.mark.parametrize("levels", [0, 5])
def test_long_columns_agree_with_the_matrix(n: int, dim: int, levels: int, p: int) -> None:
    """Vertices at 0 make the columns as long as they get: buffers of terms run out."""
    if INTERPRETED and p > 2:
        n -= dim + 1
    rng = np.random.default_rng(20240109)
    arrays = filtered(full(n, dim), rng, levels)
    values = arranged(arrays)
    values[0][:] = 0
    assert_all_ways_agree(FilteredComplex.complete(n, values), p)


def test_terms_that_outgrow_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    complex = long_columns(14, 3, 20273)

    def short(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
        monkeypatch.setattr("reduction.memory.available", lambda: 0)
        return enlarged(*arrays)

    monkeypatch.setattr("reduction.persistence.implicit_columns.enlarged", short)
    with pytest.raises(CapacityError, match=r"[0-9]+ terms of columns needs .* GB of memory"):
        implicit(complex, 2, 2, threads=1, step_limit=np.inf)


@pytest.mark.parametrize("levels", [0, 40])
def test_many_points_agree_with_the_matrix(levels: int) -> None:
    """So many that a pass takes pairs (v0, v1) in parts, and cofacets one by one in the end."""
    n = 20 if INTERPRETED else 90
    arrays = filtered(full(n, 2), np.random.default_rng(20262), levels)
    complex = FilteredComplex.complete(n, arranged(arrays))
    assert_all_ways_agree(complex, 2)


def test_positions_beyond_32_bits_take_64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is moved below the size of a small complex; long columns need rows of their own."""
    monkeypatch.setattr("reduction.filtrations.simplices.FEWEST_WIDE", 1000)
    n = 9 if INTERPRETED else 20
    complex = FilteredComplex.complete(
        n, arranged(filtered(full(n, 3), np.random.default_rng(20261), 0))
    )
    assert isinstance(complex.vertices, Complete)
    d = coboundary(complex.vertices, complex.values, 2, 2, 1)
    assert d.first["cofacet"].dtype == np.int64
    found = implicit(complex, 2, 2, step_limit=np.inf)
    monkeypatch.undo()
    narrow = coboundary(complex.vertices, complex.values, 2, 2, 1)
    assert narrow.first["cofacet"].dtype == np.int32
    np.testing.assert_array_equal(narrow.first["cofacet"], d.first["cofacet"])
    expected = implicit(complex, 2, 2, step_limit=np.inf)
    assert found == expected


@given(arrays=complete_arrays())
def test_first_cofacets_are_the_oldest_in_order(arrays: Arrays) -> None:
    n, values = len(arrays.vertices[0]), arranged(arrays)
    r = len(values) - 2
    if r < 1:
        return
    complex = FilteredComplex.complete(n, values)
    assert isinstance(complex.vertices, Complete)
    d = coboundary(complex.vertices, complex.values, r, 2, 2)
    for simplex in range(values[r].size):
        rows, signs = np.nonzero(complex.facets(r + 1) == simplex)
        order = np.lexsort((rows, values[r + 1][rows]))[: d.first["cofacet"].shape[1]]
        known = d.first[simplex]
        np.testing.assert_array_equal(known["value"][: order.size], values[r + 1][rows[order]])
        encoded = 2 * rows[order] + (signs[order] & 1)
        np.testing.assert_array_equal(known["cofacet"][: order.size], encoded)
        assert (known["value"][order.size :] == np.inf).all()


@pytest.mark.parametrize("levels", [0, 40])
def test_first_cofacets_among_many_are_the_oldest(levels: int) -> None:
    """More new vertices than are added in step, more pairs (v0, v1) than are taken at a time."""
    n = 30 if INTERPRETED else 70
    rng = np.random.default_rng(20263)
    sizes = [comb(n, r + 1) for r in range(4)]
    numbers = [rng.integers(0, levels, m) if levels else rng.random(m) for m in sizes]
    values = [row.astype(np.float64) for row in numbers]
    d = coboundary(Complete(np.arange(n), 3), values, 2, 2, 2)
    for simplex in rng.choice(n, (100, 3), replace=True):
        if len(set(simplex.tolist())) < 3:
            continue
        facet = np.sort(simplex)
        new = np.setdiff1d(np.arange(n), facet)
        cofacets = np.sort(np.column_stack([np.tile(facet, (new.size, 1)), new]), axis=1)
        rows, signs = positions(cofacets), np.argmax(cofacets == new[:, None], axis=1) & 1
        order = np.lexsort((rows, values[3][rows]))[: d.first["cofacet"].shape[1]]
        known = d.first[positions(facet[None])[0]]
        np.testing.assert_array_equal(known["value"], values[3][rows[order]])
        np.testing.assert_array_equal(known["cofacet"], 2 * rows[order] + signs[order])


def test_negative_zero_equals_zero() -> None:
    rng = np.random.default_rng(5)
    values = [np.where(rng.random(comb(7, r + 1)) < 0.5, -0.0, 0.0) for r in range(4)]
    assert_all_ways_agree(FilteredComplex.complete(7, values), 2)


def test_extreme_values_are_in_order() -> None:
    """Nearly the whole range of float64, so that differences overflow; and its smallest steps."""
    for scale, shift in ((1.7e308, -0.5), (5e-324 * 2**20, 0.0), (1e-7, 1e9)):
        arrays = filtered(full(8, 3), np.random.default_rng(8), 0)
        top = max(values.max() for values in arrays.values)
        values = [(row / top + shift) * scale for row in arranged(arrays)]
        assert_all_ways_agree(FilteredComplex.complete(8, values), 3)


# --- what a complete complex is


@given(arrays=complete_arrays(), stride=st.integers(1, 5))
def test_a_complete_complex_is_recognised_whatever_its_labels(arrays: Arrays, stride: int) -> None:
    listed = FilteredComplex([rows * stride + 3 for rows in arrays.vertices], arrays.values)
    made = FilteredComplex.complete(len(arrays.vertices[0]), arranged(arrays))
    assert isinstance(listed.vertices, Complete)
    for r in range(made.dim + 1):
        np.testing.assert_array_equal(listed.vertices[r], made.vertices[r] * stride + 3)
        np.testing.assert_array_equal(listed.values[r], made.values[r])
        at = np.arange(made.counts[r])[::-2]
        np.testing.assert_array_equal(listed.vertices.rows(r, at), listed.vertices[r][at])
    for r in range(1, made.dim + 1):
        for k in range(r + 1):
            np.testing.assert_array_equal(
                made.vertices[r - 1][made.facets(r)[:, k]], np.delete(made.vertices[r], k, axis=1)
            )


def test_one_missing_simplex_makes_a_list() -> None:
    arrays = filtered(full(5, 2), np.random.default_rng(3), 0)
    short = FilteredComplex(
        [*arrays.vertices[:2], arrays.vertices[2][1:]], [*arrays.values[:2], arrays.values[2][1:]]
    )
    assert not isinstance(short.vertices, Complete)
    assert len(short.vertices) == 3


def test_values_in_strides_or_of_other_types_are_copied() -> None:
    strided = np.ones(12)[::2]
    strided.flags.writeable = False
    swapped = np.ones(6, ">f8")
    swapped.flags.writeable = False
    for edges in (strided, swapped, np.ones(6, np.float32), [1] * 6):
        complex = FilteredComplex.complete(4, [np.zeros(4), edges])
        assert complex.values[1].flags.c_contiguous
        assert complex.values[1].dtype == np.float64
        assert complex.barcode()[0].tolist() == [[0, 1]] * 3 + [[0, np.inf]]


@given(arrays=complete_arrays(), data=st.data())
def test_the_first_violation_is_named(arrays: Arrays, data: st.DataObject) -> None:
    n, values = len(arrays.vertices[0]), arranged(arrays)
    r = data.draw(st.integers(1, len(values) - 1))
    i = data.draw(st.integers(0, values[r].size - 1))
    before = values[r][i]
    values[r][i] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    with pytest.raises(FiltrationError, match=rf"values\[{r}\]\[{i}\] is"):
        FilteredComplex.complete(n, values)
    values[r][i] = before - 1e3
    simplex = full(n, r)[r]
    name = tuple(simplex[np.argsort(positions(simplex))][i].tolist())
    with pytest.raises(FiltrationError, match="a face is not above its simplex") as caught:
        FilteredComplex.complete(n, values)
    assert f"of {name};" in str(caught.value)


# --- tables


@given(st.lists(st.integers(0, 10**12), max_size=40, unique=True))
def test_a_table_finds_what_was_put_into_it(keys: list[int]) -> None:
    array, table = np.array(keys, np.int64), np.full(64, -1, np.int32)
    for k, key in enumerate(keys):
        slot = find_slot(key, table, array)
        assert table[slot] == -1
        table[slot] = k
    assert [table[find_slot(key, table, array)] for key in keys] == list(range(len(keys)))


def test_what_does_not_fit_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    complex = FilteredComplex.complete(
        9, arranged(filtered(full(9, 2), np.random.default_rng(1), 0))
    )
    monkeypatch.setattr("reduction.memory.available", lambda: 100)
    with pytest.raises(
        CapacityError, match=r"reducing 36 columns needs .* GB of memory, but .* take"
    ):
        complex.barcode()
    with pytest.raises(CapacityError, match="a copy of the 84 values of dimension 2 needs"):
        FilteredComplex.complete(9, [*complex.values[:2], complex.values[2].copy()])
