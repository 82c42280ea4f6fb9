"""The boundary operator of a filtered complex, as a sparse matrix.

Symbols, here and in `kernels` and `persistence`:

    D   boundary matrix: column j holds the facets of simplex j, the one that omits vertex i
        with the sign (-1)^i
    R   reduced matrix: no two non-zero columns have the same pivot
    V   invertible and triangular: the operations that were done, R = D V
    r   dimension of a simplex, index of a bar; the pivot of a column is the row that gives its pair

Rows and columns stand in filtration order, so D is strictly upper triangular once its dimensions
are put together. Cohomology reduces the *coboundary*: the rows of D, from the last to the first.

Source: section 4 of the paper ("the alternated sum of its r-faces"); Barannikov (1994), where R = D
V is the canonical form of a framed Morse complex; Cohen-Steiner, Edelsbrunner & Morozov (2006) for
the symbols.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.sorting import ranks

if TYPE_CHECKING:  # loaded where it is used
    from scipy import sparse


def boundary_matrix(
    facets: NDArray[np.integer], order: NDArray[np.int64], facet_order: NDArray[np.int64]
) -> "sparse.csc_array":
    """The matrix D of the r-simplices.

    facets       (m, r+1)  position of the facet that omits vertex i, among the facets' dimension
    order        (m,)      positions of the r-simplices in filtration order
    facet_order  (n,)      the same for their facets
    returns      (n, m)    int8, entries (-1)^i; the rows of each column ascend
    """
    from scipy import sparse

    m, width = facets.shape
    signs = np.tile((-1) ** np.arange(width), m).astype(np.int8)
    indptr = np.arange(0, m * width + 1, width)
    matrix = sparse.csc_array(
        (signs, ranks(facet_order)[facets[order]].ravel(), indptr), shape=(facet_order.size, m)
    )
    matrix.sort_indices()
    return matrix
