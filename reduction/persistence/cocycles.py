"""Representative cocycles of bars: coboundary columns reduced with their cochains.

The coboundary matrix of the r-simplices (`explicit`) gets one more row for each of its columns,
behind all (r+1)-simplices, with 1 in its own column. Reduced, a column then holds the sum of
columns that it is, a cochain z, beside the coboundary of z; in the symbols of `boundary`, V beside
R = D V. The simplex sigma of the column is the oldest of z, and the oldest simplex of its
coboundary is the death tau of sigma, or there is none. So below tau z is a cocycle, and before
sigma it is 0. Nowhere between is it a coboundary: the oldest simplex of a coboundary ends a class
of index r - 1, and sigma does not. Source: de Silva, Morozov & Vejdemo-Johansson (2011), "Dualities
in persistent (co)homology".

Memory in bytes: 40 for each r-simplex, 28 for each (r+1)-simplex, and for each of its r + 2 facets
13 over Z/2, else 18; where columns become longer than they were, their buffers are doubled.
"""

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import index_type
from reduction.filtrations.sorting import filtration_order, ranks
from reduction.kernels.sparse_columns import (
    Matrix,
    count_cofacets,
    fill_columns,
    lead_with_pivots,
)
from reduction.memory import require
from reduction.persistence.boundary_reduction import Terms
from reduction.persistence.explicit import reduced


class ReducedCoboundary:
    """The columns of R and of V of the r-simplices that begin classes, all reduced at once.

    cleared  positions of those that end a class of index r - 1
    Raises CapacityError.
    """

    def __init__(self, filtration: Filtration, r: int, cleared: NDArray[np.int64], p: int) -> None:
        m = filtration.counts[r]
        above = filtration.counts[r + 1] if r < filtration.dim else 0
        facet = 13 if p == 2 else 18
        need = 40 * m + (28 + facet * (r + 2)) * above
        require(need, f"the coboundary matrix of {m} simplices, with its cochains")
        order = filtration_order(filtration.values[r])
        begins = np.ones(m, np.bool_)
        begins[cleared] = False
        self._p, self._above, self._order = p, above, order
        matrix = _with_cochains(filtration, r, order, begins, p)
        self._matrix = reduced(matrix, order[begins[order]][::-1])

    def cocycle(self, simplex: int) -> Terms:
        """The column of V of a simplex that begins a class, 1 there."""
        terms = slice(self._matrix.start[simplex], self._matrix.stop[simplex])
        rows = self._matrix.rows[terms]
        chain = rows >= self._above
        positions = self._order[rows[chain].astype(np.int64) - self._above]
        if self._p == 2:
            return Terms(positions, np.ones(positions.size, np.int64))
        multiples = self._matrix.multiples[terms][chain].astype(np.int64)
        own = int(multiples[positions == simplex][0])
        return Terms(positions, multiples * pow(own, -1, self._p) % self._p)


def _with_cochains(
    filtration: Filtration,
    r: int,
    order: NDArray[np.int64],
    begins: NDArray[np.bool_],
    p: int,
) -> Matrix:
    """The coboundary matrix, and behind it the identity, of the r-simplices that begin classes."""
    if r < filtration.dim:
        facets, rank = filtration.facets(r + 1), ranks(filtration_order(filtration.values[r + 1]))
    else:
        facets, rank = np.empty((0, r + 2), np.int64), np.empty(0, np.int64)
    count, cleared = rank.size + order.size, ~begins
    start = np.zeros(order.size + 1, np.int64)
    count_cofacets(facets, cleared, start[1:])
    start[1:] += begins
    np.cumsum(start, out=start)
    size = int(start[-1])
    capacity = size + size // 4 + 64
    rows = np.empty(capacity, index_type(count))
    multiples = np.empty(capacity if p > 2 else 0, np.int32)
    owner = np.full(count, -1, index_type(order.size))
    matrix = Matrix(p, start, start[:-1].copy(), rows, multiples, owner, np.array([size]))
    fill_columns(facets, rank, cleared, matrix)
    last = matrix.stop[begins]
    rows[last] = rank.size + ranks(order)[begins]
    if p > 2:
        multiples[last] = 1
    matrix.stop[begins] += 1
    lead_with_pivots(matrix)
    return matrix
