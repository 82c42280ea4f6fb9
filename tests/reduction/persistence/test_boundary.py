"""The boundary operator."""

import numpy as np
from hypothesis import given
from scipy import sparse

from reduction import FilteredComplex
from tests.oracles.complexes import Arrays, full_complexes, sparse_complexes

complexes = full_complexes() | sparse_complexes()


def test_the_boundary_of_a_triangle() -> None:
    """d(0,1,2) = (1,2) - (0,2) + (0,1); the edges appear in the order (1,2), (0,1), (0,2)."""
    complex = FilteredComplex.complete(3, [[0, 0, 0], [2, 3, 1], [4]])
    np.testing.assert_array_equal(complex.boundary(2).toarray(), [[1], [1], [-1]])
    np.testing.assert_array_equal(
        complex.boundary(1).toarray(), [[0, -1, -1], [-1, 1, 0], [1, 0, 1]]
    )


@given(arrays=complexes)
def test_the_boundary_of_a_boundary_is_zero(arrays: Arrays) -> None:
    complex = FilteredComplex(*arrays)
    for r in range(2, complex.dim + 1):
        product = sparse.csc_array(complex.boundary(r - 1) @ complex.boundary(r))
        assert product.shape == (complex.counts[r - 2], complex.counts[r])
        assert not product.toarray().any()


@given(arrays=complexes)
def test_entries_are_the_signs_of_the_omitted_vertices(arrays: Arrays) -> None:
    complex = FilteredComplex(*arrays)
    for r in range(1, complex.dim + 1):
        matrix = complex.boundary(r)
        assert matrix.dtype == np.int8
        assert matrix.has_sorted_indices
        rows = complex.vertices[r - 1][complex.order(r - 1)].tolist()
        expected = np.zeros(matrix.toarray().shape, np.int8)
        for column, simplex in enumerate(complex.vertices[r][complex.order(r)].tolist()):
            for i in range(r + 1):
                expected[rows.index(simplex[:i] + simplex[i + 1 :]), column] = (-1) ** i
        np.testing.assert_array_equal(matrix.toarray(), expected)
