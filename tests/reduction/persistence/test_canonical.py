"""The canonical form: an identity of matrices, and the pairs of the barcode."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import CanonicalForm, CapacityError, FieldError, FilteredComplex
from tests.oracles.complexes import (
    PROJECTIVE_PLANE,
    Arrays,
    filtered,
    full,
    full_complexes,
    sparse,
    sparse_complexes,
)
from tests.oracles.elimination import Simplex, pairs

LARGEST_PRIME = 2**31 - 1
MANY = 2 * settings.default.max_examples if settings.default else 1

complexes = full_complexes() | sparse_complexes()


def dense(matrix: scipy.sparse.csc_array) -> NDArray[np.object_]:
    """Whole numbers without a bound, so that no product overflows."""
    return np.asarray(matrix.toarray(), object)


def assert_canonical(complex: FilteredComplex, form: CanonicalForm, p: int) -> None:
    assert len(form.bases) == len(form.ends) == complex.dim + 1
    for r, basis in enumerate(form.bases):
        m = complex.counts[r]
        assert (basis.shape, basis.dtype) == ((m, m), np.int64)
        assert basis.nnz == 0 or 0 < basis.data.min() <= basis.data.max() < p
        places = basis.tocoo()
        assert (places.row <= places.col).all(), "it is not triangular"
        assert basis.diagonal().all(), "a simplex is not in its chain"
        if r:
            matching = form.matching(r)
            assert matching.shape == (complex.counts[r - 1], m)
            below = form.bases[r - 1]
            if p < 2**15:
                difference = scipy.sparse.csc_array(
                    complex.boundary(r) @ basis - below @ matching
                ).toarray()
            else:
                difference = dense(complex.boundary(r)) @ dense(basis)
                difference -= dense(below) @ dense(matching)
            assert not (difference % p).any(), "D V is not V P"


def matched(complex: FilteredComplex, form: CanonicalForm) -> set[tuple[Simplex, Simplex | None]]:
    names = [
        list(map(tuple, complex.vertices[r][complex.order(r)].tolist()))
        for r in range(complex.dim + 1)
    ]
    found: list[tuple[Simplex, Simplex | None]] = []
    for r in range(complex.dim + 1):
        found += [(names[r][i], names[r + 1][j]) for i, j in form.pairs(r).tolist()]
        found += [(names[r][i], None) for i in form.essential(r).tolist()]
    assert len(set(found)) == len(found)
    return set(found)


def test_a_triangle_filled_late() -> None:
    """d(1,2) becomes the whole cycle; the edges (0,1) and (0,2) end the classes of 1 and 2."""
    form = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]]).canonical_form(5)
    np.testing.assert_array_equal(form.bases[0].toarray(), [[1, 4, 4], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(form.bases[1].toarray(), [[1, 0, 1], [0, 1, 4], [0, 0, 1]])
    np.testing.assert_array_equal(form.bases[2].toarray(), [[1]])
    assert [ends.tolist() for ends in form.ends] == [[-1, 0, 1], [-1, -1, 0], [-1]]
    np.testing.assert_array_equal(form.matching(1).toarray(), [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(form.matching(2).toarray(), [[0], [0], [1]])
    assert [form.essential(r).tolist() for r in range(3)] == [[0], [], []]
    assert form.pairs(0).tolist() == [[1, 0], [2, 1]]
    assert repr(form) == "CanonicalForm(field=5, counts=(3, 3, 1))"


@pytest.mark.parametrize("p", [2, 3, 11])
@settings(max_examples=MANY)
@given(arrays=complexes)
def test_the_boundary_of_the_basis_is_a_matching(p: int, arrays: Arrays) -> None:
    complex = FilteredComplex(*arrays)
    assert_canonical(complex, complex.canonical_form(p), p)


@given(
    arrays=full_complexes(most=7) | sparse_complexes(most=7),
    p=st.sampled_from([2, 3, 11, LARGEST_PRIME]),
)
def test_the_matching_is_that_of_dense_elimination(arrays: Arrays, p: int) -> None:
    complex = FilteredComplex(*arrays)
    form = complex.canonical_form(p)
    assert matched(complex, form) == pairs(*arrays, p)
    assert_canonical(complex, form, p)


@pytest.mark.parametrize("p", [2, 3])
@given(arrays=complexes)
def test_the_matching_gives_the_bars(p: int, arrays: Arrays) -> None:
    complex = FilteredComplex(*arrays)
    form = complex.canonical_form(p)
    values = [complex.values[r][complex.order(r)] for r in range(complex.dim + 1)]
    barcode = complex.barcode(p, keep_zero=True, max_index=complex.dim)
    for r in range(complex.dim + 1):
        births, deaths = form.pairs(r).T
        ends = values[r + 1][deaths] if r < complex.dim else np.empty(0)
        bars = np.column_stack([values[r][births], ends])
        np.testing.assert_array_equal(bars[np.lexsort(bars.T[::-1])], barcode.finite(r))
        np.testing.assert_array_equal(values[r][form.essential(r)], barcode.essential(r))


@pytest.mark.parametrize("p", [2, 3, LARGEST_PRIME])
@given(seed=st.integers(0, 2**32))
def test_torsion(p: int, seed: int) -> None:
    arrays = filtered(PROJECTIVE_PLANE, np.random.default_rng(seed), 3)
    complex = FilteredComplex(*arrays)
    form = complex.canonical_form(p)
    assert_canonical(complex, form, p)
    assert [form.essential(r).size for r in range(3)] == ([1, 1, 1] if p == 2 else [1, 0, 0])


@pytest.mark.parametrize("p", [2, 11])
def test_long_chains(p: int) -> None:
    rng = np.random.default_rng(4)
    for simplices in (full(14, 3), sparse(30, 3, 150, rng)):
        complex = FilteredComplex(*filtered(simplices, rng, 0))
        form = complex.canonical_form(p)
        assert_canonical(complex, form, p)
        assert max(np.diff(basis.indptr).max() for basis in form.bases) > 30


@pytest.mark.parametrize("p", [2, 3])
def test_a_form_found_in_small_parts(p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All buffers grow, and the reduction pauses after each addition."""
    complex = FilteredComplex(*filtered(full(9, 4), np.random.default_rng(29), 0))
    expected = complex.canonical_form(p)
    monkeypatch.setattr("reduction.persistence.boundary_reduction.TERMS", 1)
    monkeypatch.setattr("reduction.persistence.boundary_reduction.AT_ONCE", 1)
    found = complex.canonical_form(p)
    for a, b in zip(found.bases, expected.bases, strict=True):
        np.testing.assert_array_equal(a.toarray(), b.toarray())
    for a, b in zip(found.ends, expected.ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_vertices_alone() -> None:
    form = FilteredComplex([[[4], [2]]], [[1.0, 0.5]]).canonical_form()
    np.testing.assert_array_equal(form.bases[0].toarray(), np.eye(2))
    assert form.essential(0).tolist() == [0, 1]
    assert form.pairs(0).shape == (0, 2)


def test_arrays_are_read_only() -> None:
    form = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]]).canonical_form()
    for basis in form.bases:
        with pytest.raises(ValueError, match="read-only"):
            basis.data[0] = 2
    with pytest.raises(ValueError, match="read-only"):
        form.ends[0][0] = 2
    with pytest.raises(AttributeError):
        form.field = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_no_prime_and_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    complex = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]])
    with pytest.raises(FieldError):
        complex.canonical_form(4)
    monkeypatch.setattr("reduction.memory.available", lambda: 512 * 7 - 1)
    monkeypatch.setattr("reduction.persistence.canonical.pairings", None)  # refused before any work
    with pytest.raises(CapacityError, match="the canonical form of 7 simplices needs"):
        complex.canonical_form()
