"""The reduction of sparse coboundary matrices: what it is made of, and every path through it."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reduction.persistence.explicit
from reduction import CapacityError, FilteredComplex
from reduction.filtrations.sorting import ascending_order
from reduction.kernels.bit_tree import least, no_bits, toggle
from reduction.kernels.sparse_columns import inverse
from reduction.persistence.explicit import explicit_pairings
from tests.oracles.complexes import Arrays, closure, filtered, sparse, sparse_complexes
from tests.reduction.complete import filtration_of
from tests.reduction.persistence.test_persistence import (
    FIELDS,
    LARGEST_PRIME,
    assert_agrees_with_gudhi,
    whole_barcode,
)


def cubes(m: int) -> list[tuple[int, ...]]:
    """Tetrahedra of an m x m x m grid: six for each cube, around its diagonal."""
    paths = [(1, 3, 7), (1, 5, 7), (2, 3, 7), (2, 6, 7), (4, 5, 7), (4, 6, 7)]
    return [
        tuple((x + (c & 1)) * 36 + (y + (c >> 1 & 1)) * 6 + z + (c >> 2) for c in (0, *path))
        for x, y, z in product(range(m - 1), repeat=3)
        for path in paths
    ]


def lower_star(m: int, seed: int, levels: int) -> Arrays:
    """A triangulated cube; simplices are as high as their highest vertex."""
    rng = np.random.default_rng(seed)
    simplices = closure(cubes(m))
    heights = rng.integers(0, levels, 216) * 1.0 if levels else rng.random(216)
    return Arrays(simplices, [heights[rows].max(axis=1) for rows in simplices])


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("levels", [0, 5])
def test_triangulated_cubes_agree_with_gudhi(field: int, levels: int) -> None:
    arrays = lower_star(5, 20240501, levels)
    assert_agrees_with_gudhi(whole_barcode(arrays, field), arrays, field)


@pytest.mark.parametrize("field", [*FIELDS, 46337])
def test_columns_that_outgrow_their_buffers_are_reduced_again(
    field: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random simplices have long columns."""
    grown: list[int] = []
    enlarged = reduction.persistence.explicit.enlarged

    def counting(*arrays: np.ndarray) -> list[np.ndarray]:
        grown.append(len(arrays[0]))
        return enlarged(*arrays)

    arrays = filtered(sparse(40, 3, 500, np.random.default_rng(6)), np.random.default_rng(7), 0)
    monkeypatch.setattr(reduction.persistence.explicit, "enlarged", counting)
    barcode = whole_barcode(arrays, field)
    assert max(grown) > 0
    assert_agrees_with_gudhi(barcode, arrays, field)


@given(arrays=sparse_complexes(most=12), field=st.sampled_from(FIELDS))
def test_wide_positions_change_nothing(arrays: Arrays, field: int) -> None:
    narrow = FilteredComplex(*arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reduction.filtrations.simplices.FEWEST_WIDE", 0)
        wide = FilteredComplex(*arrays)
        found = explicit_pairings(filtration_of(wide), field, wide.dim)
    for r in range(1, wide.dim + 1):
        assert wide.facets(r).dtype == np.int64
        np.testing.assert_array_equal(wide.facets(r), narrow.facets(r))
    for pairing, expected in zip(
        found, explicit_pairings(filtration_of(narrow), field, narrow.dim), strict=True
    ):
        np.testing.assert_array_equal(pairing.births, expected.births)
        np.testing.assert_array_equal(pairing.deaths, expected.deaths)


def test_positions_of_few_simplices_are_narrow() -> None:
    complex = FilteredComplex(*lower_star(2, 1, 0))
    assert complex.facets(3).dtype == np.int32


def test_a_matrix_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    complex = FilteredComplex(*lower_star(4, 2, 0))
    monkeypatch.setattr("reduction.memory.available", lambda: 1000)
    with pytest.raises(CapacityError, match=r"the coboundary matrix of \d+ simplices needs .* GB"):
        complex.barcode()


@given(
    rows=st.lists(st.integers(0, 2**19) | st.integers(0, 70), min_size=1, max_size=60),
    m=st.just(2**19 + 1),
)
def test_bits_are_a_set_whose_least_row_is_found(rows: list[int], m: int) -> None:
    bits, members = no_bits(m), set[int]()
    for row in rows:
        members ^= {row}
        assert toggle(row, bits) == (1 if row in members else -1)
        if members:
            assert least(0, bits) == least(min(members), bits) == min(members)
    for row in sorted(members):
        assert least(row, bits) == row
        toggle(row, bits)
    assert not any(level.any() for level in bits)


@given(p=st.sampled_from([2, 3, 11, 65537, LARGEST_PRIME]), data=st.data())
def test_inverses(p: int, data: st.DataObject) -> None:
    a = data.draw(st.integers(1, p - 1))
    assert a * int(inverse(np.int64(a), p)) % p == 1


@given(
    keys=st.lists(
        st.integers(-1, 5) | st.integers(0, 10**6) | st.integers(2**40, 2**63 - 1), max_size=30
    )
)
def test_ascending_order_is_a_stable_sort(keys: list[int]) -> None:
    array = np.array(keys, np.int64)
    order = ascending_order(array)
    if order is None:
        assert keys == sorted(set(keys))
    else:
        np.testing.assert_array_equal(order, np.argsort(array, kind="stable"))
