"""Persistence pairs of any filtered chain complex, from its boundary matrices.

Nothing is asked of the generators but their values: they may be simplices, cells, or critical
points (Barannikov 1994; for cells Carlsson & Zomorodian 2005, "Computing persistent homology"). The
columns reduced are those of the coboundary matrices, as for simplices (`explicit`), with clearing.
Source: de Silva, Morozov & Vejdemo-Johansson (2011), "Dualities in persistent (co)homology".
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.simplices import index_type
from reduction.filtrations.sorting import filtration_order, ranks
from reduction.kernels.sparse_columns import Matrix
from reduction.persistence.explicit import paired, reduced
from reduction.persistence.pairs import Pairing

if TYPE_CHECKING:  # loaded where it is used
    from scipy import sparse


def chain_pairings(
    boundaries: "Sequence[sparse.csc_array]", values: Sequence[NDArray[np.float64]], p: int
) -> list[Pairing]:
    """The persistence pairs over Z/p of the indices 0..dim.

    boundaries  [r - 1] (m_{r-1}, m_r) int64, of the generators of degree r = 1..dim
    values      [r] (m_r,)
    """
    found: list[Pairing] = []
    cleared = np.zeros(values[0].size, np.bool_)
    for r, boundary in enumerate(boundaries):
        order, above = filtration_order(values[r]), filtration_order(values[r + 1])
        matrix = _coboundary(boundary, ranks(above), cleared, p)
        left = matrix.stop > matrix.start[:-1]
        matrix = reduced(matrix, order[left[order]][::-1])
        found.append(paired(matrix, above, cleared))
        cleared = np.zeros(values[r + 1].size, np.bool_)
        cleared[found[-1].deaths] = True
    return [*found, Pairing(np.flatnonzero(~cleared), np.empty(0, np.int64))]


def _coboundary(
    boundary: "sparse.csc_array", rank: NDArray[np.int64], cleared: NDArray[np.bool_], p: int
) -> Matrix:
    """The columns (m,) of the generators that are not cleared, each scaled to 1 at its pivot.

    rank  (n,) of the generators one degree higher, in filtration order
    """
    entries: Any = boundary.tocoo()
    coefficients = entries.data % p
    kept = (coefficients != 0) & ~cleared[entries.coords[0]]
    column, row = entries.coords[0][kept], rank[entries.coords[1][kept]]
    order = np.lexsort((row, column))  # the pivot, the oldest row, comes first
    column, row, coefficients = column[order], row[order], coefficients[kept][order]
    start = np.searchsorted(column, np.arange(cleared.size + 1))
    heads = start[:-1][start[:-1] < start[1:]]
    inverses = [pow(int(pivot), -1, p) for pivot in coefficients[heads].tolist()]
    scale = np.repeat(np.array(inverses, np.int64), np.diff(np.append(heads, column.size)))
    multiples = coefficients * scale % p
    capacity = column.size + column.size // 4 + 64
    return Matrix(
        p,
        start.astype(np.int64),
        start[1:].astype(np.int64),
        np.resize(row.astype(index_type(rank.size)), capacity),
        np.resize(multiples.astype(np.int32), capacity if p > 2 else 0),
        np.full(rank.size, -1, index_type(cleared.size)),
        np.array([column.size]),
    )
