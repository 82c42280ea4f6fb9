"""Barcodes against hand-computed ones, GUDHI, dense elimination, and the theorems they obey."""

import math
import os
import subprocess
import sys

import gudhi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import Barcode, FilteredComplex
from reduction.persistence.explicit import explicit_pairings
from tests.oracles.complexes import (
    PROJECTIVE_PLANE,
    Arrays,
    closure,
    filtered,
    full,
    full_complexes,
    sparse,
    sparse_complexes,
    surface,
)
from tests.oracles.elimination import Simplex, pairs
from tests.reduction.complete import filtration_of

FIELDS = (2, 3, 11)
LARGEST_PRIME = 2**31 - 1
MANY = 6 * settings.default.max_examples if settings.default else 1


def whole_barcode(arrays: Arrays, field: int = 2) -> Barcode:
    """Every bar there is: zero-length ones, and those of the top index, too."""
    complex = FilteredComplex(*arrays)
    return complex.barcode(field, keep_zero=True, max_index=complex.dim)


def whole_pairs(barcode: Barcode) -> set[tuple[Simplex, Simplex | None]]:
    found: list[tuple[Simplex, Simplex | None]] = []
    for r in range(len(barcode)):
        births, deaths = barcode.pairs(r)
        for birth, death in zip(births.tolist(), deaths.tolist(), strict=True):
            found.append((tuple(birth), None if death[0] < 0 else tuple(death)))
    assert len(found) == len(set(found))
    return set(found)


def gudhi_bars(arrays: Arrays, field: int) -> list[NDArray[np.float64]]:
    tree = gudhi.SimplexTree()
    for rows, values in zip(*arrays, strict=True):
        if len(rows):
            tree.insert_batch(np.ascontiguousarray(rows.T, dtype=np.int32), values)
    tree.compute_persistence(field, min_persistence=-1, persistence_dim_max=True)
    return [sorted_rows(tree.persistence_intervals_in_dimension(r)) for r in range(len(arrays[0]))]


def assert_agrees_with_gudhi(barcode: Barcode, arrays: Arrays, field: int) -> None:
    for bars, expected in zip(barcode, gudhi_bars(arrays, field), strict=True):
        np.testing.assert_array_equal(bars, expected)


def sorted_rows(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.reshape(bars, (-1, 2))
    return rows[np.lexsort(rows.T[::-1])]


def betti(simplices: list[NDArray[np.int64]], field: int) -> list[int]:
    """Ranks of homology, by way of a constant filtration."""
    barcode = whole_barcode(Arrays(simplices, [np.zeros(len(rows)) for rows in simplices]), field)
    return [barcode.essential(r).size for r in range(len(barcode))]


def assert_same_barcodes(a: Barcode, b: Barcode) -> None:
    assert len(a) == len(b)
    for bars, others in zip(a, b, strict=True):
        np.testing.assert_array_equal(bars, others)


# --- by hand


def test_three_minima_on_a_path() -> None:
    """The elder rule: a saddle ends the younger of the two components that it joins."""
    barcode = FilteredComplex(
        [[[0], [1], [2]], [[0, 1], [1, 2]]], [[0.0, 1.0, 2.0], [5.0, 3.0]]
    ).barcode()
    np.testing.assert_array_equal(barcode[0], [[0, math.inf], [1, 5], [2, 3]])
    np.testing.assert_array_equal(barcode.pairs(0).births, [[0], [1], [2]])
    np.testing.assert_array_equal(barcode.pairs(0).deaths, [[-1, -1], [0, 1], [1, 2]])


def test_a_triangle_filled_late() -> None:
    barcode = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]]).barcode()
    np.testing.assert_array_equal(barcode[0], [[0, 1], [0, 2], [0, math.inf]])
    np.testing.assert_array_equal(barcode[1], [[3, 5]])
    np.testing.assert_array_equal(barcode.pairs(1).births, [[1, 2]])
    np.testing.assert_array_equal(barcode.pairs(1).deaths, [[0, 1, 2]])


def test_four_minima_have_three_independent_cycles() -> None:
    """Four triples, but one relation between them: the last triangle only closes a sphere."""
    barcode = FilteredComplex.complete(
        4, [np.zeros(4), np.ones(6), [2.0, 3.0, 4.0, 5.0], [7.0]]
    ).barcode()
    np.testing.assert_array_equal(barcode[1], [[1, 2], [1, 3], [1, 4]])
    np.testing.assert_array_equal(barcode[2], [[5, 7]])


def test_a_hollow_tetrahedron_has_an_essential_class_in_its_top_index() -> None:
    sphere = FilteredComplex.complete(4, [np.zeros(4), np.ones(6), np.full(4, 2.0)])
    assert len(sphere.barcode()) == 2
    np.testing.assert_array_equal(sphere.barcode(max_index=2)[2], [[2, math.inf]])


def test_vertices_alone_have_a_bar_each_which_never_ends() -> None:
    points = FilteredComplex([[[4], [2]]], [[1.0, 0.5]])
    for barcode in (points.barcode(), points.barcode(max_index=0)):
        assert len(barcode) == 1
        np.testing.assert_array_equal(barcode[0], [[0.5, math.inf], [1, math.inf]])


def test_zero_length_bars_are_dropped_unless_asked_for() -> None:
    segment = FilteredComplex.complete(2, [[0.0, 1.0], [1.0]])
    np.testing.assert_array_equal(segment.barcode()[0], [[0, math.inf]])
    kept = segment.barcode(keep_zero=True)
    np.testing.assert_array_equal(kept[0], [[0, math.inf], [1, 1]])
    np.testing.assert_array_equal(kept.pairs(0).deaths, [[-1, -1], [0, 1]])


def test_ties_are_broken_by_dimension_then_colexicographic_position() -> None:
    """All values equal: (0,1) comes before (0,2) before (1,2), and ends vertex 1."""
    barcode = FilteredComplex.complete(3, [np.zeros(3), np.zeros(3), [0.0]]).barcode(keep_zero=True)
    assert whole_pairs(barcode) == {
        ((0,), None),
        ((1,), (0, 1)),
        ((2,), (0, 2)),
        ((1, 2), (0, 1, 2)),
    }


@pytest.mark.parametrize(
    ("simplices", "field", "expected"),
    [
        (PROJECTIVE_PLANE, 2, [1, 1, 1]),
        (PROJECTIVE_PLANE, 3, [1, 0, 0]),
        (PROJECTIVE_PLANE, LARGEST_PRIME, [1, 0, 0]),
        (surface("klein"), 2, [1, 2, 1]),
        (surface("klein"), 3, [1, 1, 0]),
        (surface("torus"), 2, [1, 2, 1]),
        (surface("torus"), 3, [1, 2, 1]),
    ],
    ids=["RP2-2", "RP2-3", "RP2-large", "klein-2", "klein-3", "torus-2", "torus-3"],
)
def test_torsion_shows_in_the_field_it_belongs_to(
    simplices: list[NDArray[np.int64]], field: int, expected: list[int]
) -> None:
    assert betti(simplices, field) == expected


@pytest.mark.parametrize(("p", "expected"), [(3, [1, 1, 1]), (2, [1, 0, 0]), (5, [1, 0, 0])])
def test_torsion_of_order_three(p: int, expected: list[int]) -> None:
    """A disc whose boundary of nine edges wraps three times around a triangle: Z/3 in degree 1."""
    rim, middle, centre = [0, 1, 2] * 3, [3 + i for i in range(9)], 12
    triangles: list[tuple[int, int, int]] = []
    for i in range(9):
        j = (i + 1) % 9
        triangles += [
            (rim[i], rim[j], middle[i]),
            (rim[j], middle[i], middle[j]),
            (middle[i], middle[j], centre),
        ]
    assert betti(closure(triangles), p) == expected


# --- independent implementations


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("kind", [full_complexes(), sparse_complexes()], ids=["full", "sparse"])
@settings(max_examples=MANY)
@given(data=st.data())
def test_barcodes_agree_with_gudhi(
    field: int, kind: st.SearchStrategy[Arrays], data: st.DataObject
) -> None:
    arrays = data.draw(kind)
    assert_agrees_with_gudhi(whole_barcode(arrays, field), arrays, field)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("levels", [0, 4])
def test_large_complexes_agree_with_gudhi(field: int, levels: int) -> None:
    rng = np.random.default_rng(20240108)
    for simplices in (sparse(40, 4, 300, rng), full(25, 2), full(12, 4)):
        arrays = filtered(simplices, rng, levels)
        assert_agrees_with_gudhi(whole_barcode(arrays, field), arrays, field)


@given(
    arrays=full_complexes(most=7) | sparse_complexes(most=7),
    field=st.sampled_from([*FIELDS, LARGEST_PRIME]),
)
def test_pairs_agree_with_dense_elimination(arrays: Arrays, field: int) -> None:
    assert whole_pairs(whole_barcode(arrays, field)) == pairs(*arrays, field)


@pytest.mark.parametrize("field", [2, 3])
@given(seed=st.integers(0, 2**32), levels=st.sampled_from([0, 3]))
def test_filtered_surfaces_agree_with_gudhi(field: int, seed: int, levels: int) -> None:
    """Torsion comes and goes within these filtrations, so a wrong sign cannot hide."""
    for simplices in (PROJECTIVE_PLANE, surface("klein")):
        arrays = filtered(simplices, np.random.default_rng(seed), levels)
        assert_agrees_with_gudhi(whole_barcode(arrays, field), arrays, field)


# --- theorems

complexes = full_complexes() | sparse_complexes()


@given(arrays=complexes, field=st.sampled_from(FIELDS))
def test_clearing_changes_nothing(arrays: Arrays, field: int) -> None:
    complex = FilteredComplex(*arrays)
    cleared = explicit_pairings(filtration_of(complex), field, complex.dim)
    for fast, slow in zip(
        cleared,
        explicit_pairings(filtration_of(complex), field, complex.dim, clearing=False),
        strict=True,
    ):
        np.testing.assert_array_equal(fast.births, slow.births)
        np.testing.assert_array_equal(fast.deaths, slow.deaths)


@given(arrays=complexes)
def test_essential_bars_have_the_euler_characteristic(arrays: Arrays) -> None:
    signs = (-1) ** np.arange(len(arrays.vertices))
    barcode = whole_barcode(arrays)
    counts = [len(rows) for rows in arrays.vertices]
    assert signs @ counts == signs @ [barcode.essential(r).size for r in range(len(barcode))]


@given(arrays=complexes)
def test_every_simplex_is_in_one_pair(arrays: Arrays) -> None:
    found = whole_pairs(whole_barcode(arrays))
    ends = [simplex for pair in found for simplex in pair if simplex is not None]
    assert len(ends) == len(set(ends)) == sum(len(rows) for rows in arrays.vertices)


@given(arrays=complexes, seed=st.integers(0, 2**32))
def test_the_order_of_the_input_does_not_matter(arrays: Arrays, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffles = [rng.permutation(len(rows)) for rows in arrays.vertices]
    shuffled = Arrays(
        [rows[p] for rows, p in zip(arrays.vertices, shuffles, strict=True)],
        [values[p] for values, p in zip(arrays.values, shuffles, strict=True)],
    )
    a, b = whole_barcode(arrays), whole_barcode(shuffled)
    assert_same_barcodes(a, b)
    for r in range(len(a)):
        np.testing.assert_array_equal(a.pairs(r).births, b.pairs(r).births)
        np.testing.assert_array_equal(a.pairs(r).deaths, b.pairs(r).deaths)


@given(arrays=complexes, seed=st.integers(0, 2**32))
def test_relabelling_the_vertices_leaves_the_bars(arrays: Arrays, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(40) * 10**16
    relabelled = [np.sort(labels[rows], axis=1) for rows in arrays.vertices]
    assert_same_barcodes(whole_barcode(arrays), whole_barcode(Arrays(relabelled, arrays.values)))


@given(arrays=complexes)
def test_relabelling_in_order_relabels_the_pairs(arrays: Arrays) -> None:
    relabelled = [rows * 3 + 7 for rows in arrays.vertices]
    a, b = whole_barcode(arrays), whole_barcode(Arrays(relabelled, arrays.values))
    assert_same_barcodes(a, b)
    for r in range(len(a)):
        np.testing.assert_array_equal(a.pairs(r).births * 3 + 7, b.pairs(r).births)


@given(arrays=complexes, exponent=st.integers(-30, 30))
def test_scaling_by_a_power_of_two_scales_the_bars(arrays: Arrays, exponent: int) -> None:
    scaled = [values * 2.0**exponent for values in arrays.values]
    for bars, others in zip(
        whole_barcode(arrays), whole_barcode(Arrays(arrays.vertices, scaled)), strict=True
    ):
        np.testing.assert_array_equal(bars * 2.0**exponent, others)


@given(arrays=complexes, shift=st.integers(-1000, 1000))
def test_adding_a_constant_moves_the_bars(arrays: Arrays, shift: int) -> None:
    # values on a grid of 2^-20, so that sums are exact and no ties appear or vanish
    values = [np.floor(values * 2**20) / 2**20 for values in arrays.values]
    moved = [row + shift for row in values]
    for bars, others in zip(
        whole_barcode(Arrays(arrays.vertices, values)),
        whole_barcode(Arrays(arrays.vertices, moved)),
        strict=True,
    ):
        np.testing.assert_array_equal(bars + shift, others)


@given(arrays=complexes)
def test_bars_are_values_of_the_simplices_that_begin_and_end_them(arrays: Arrays) -> None:
    value = {
        tuple(row): height
        for rows, heights in zip(*arrays, strict=True)
        for row, height in zip(rows.tolist(), heights.tolist(), strict=True)
    } | {(): math.inf}
    barcode = whole_barcode(arrays)
    for r, bars in enumerate(barcode):
        births, deaths = barcode.pairs(r)
        rows = [
            (value[tuple(birth)], value[tuple(v for v in death if v >= 0)])
            for birth, death in zip(births.tolist(), deaths.tolist(), strict=True)
        ]
        np.testing.assert_array_equal(bars, np.reshape(rows, (-1, 2)))


# --- fields, and running where no cache can be kept


def test_numpy_integers_are_fields_too() -> None:
    barcode = FilteredComplex.complete(2, [[0, 0], [1]]).barcode(np.int8(3))  # pyright: ignore[reportArgumentType]
    assert type(barcode.field) is int


def test_numba_works_where_it_may_not_write_a_cache() -> None:
    script = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
from reduction.kernels.sparse_columns import inverse
assert inverse(3, 7) == 5
"""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
