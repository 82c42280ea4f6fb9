"""Persistence pairs of any filtered chain complex, from its boundary matrices.

Nothing is asked of the generators but their values: they may be simplices, cells, or critical
points (Barannikov 1994; for cells Carlsson & Zomorodian 2005, "Computing persistent homology"). The
columns reduced are those of the coboundary matrices, as for simplices (`explicit`), with clearing.
Where each generator of degree 1 leads from one of degree 0 to another, index 0 is a minimum
spanning forest (`pairs.components`).
Source: de Silva, Morozov & Vejdemo-Johansson (2011), "Dualities in persistent (co)homology".
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.simplices import index_type
from reduction.filtrations.sorting import filtration_order, ranks
from reduction.kernels.sparse_columns import Matrix, lead_with_pivots
from reduction.memory import require
from reduction.persistence.explicit import paired, reduced
from reduction.persistence.pairs import Pairing, components

if TYPE_CHECKING:  # loaded where it is used
    from scipy import sparse

ENTRY, COLUMN, ROW = 34, 32, 28  # bytes of a coboundary matrix while it is made and reduced


def chain_pairings(
    boundaries: "Sequence[sparse.csc_array]", values: Sequence[NDArray[np.float64]], p: int
) -> list[Pairing]:
    """The persistence pairs over Z/p of the indices 0..dim.

    boundaries  [r - 1] (m_{r-1}, m_r) int64, of the generators of degree r = 1..dim
    values      [r] (m_r,)
    """
    found: list[Pairing] = []
    cleared = np.zeros(values[0].size, np.bool_)
    order = filtration_order(values[0])
    for r, boundary in enumerate(boundaries):
        above = filtration_order(values[r + 1])
        if r == 0 and (ends := _ends(boundary)) is not None:
            found.append(components(ends.__getitem__, values[0], above))
        else:
            _require(boundary)
            matrix = _coboundary(boundary, ranks(above), cleared, p)
            left = matrix.stop > matrix.start[:-1]
            matrix = reduced(matrix, order[left[order]][::-1])
            found.append(paired(matrix, above, cleared))
        cleared = np.zeros(values[r + 1].size, np.bool_)
        cleared[found[-1].deaths] = True
        order = above
    return [*found, Pairing(np.flatnonzero(~cleared), np.empty(0, np.int64))]


def _require(boundary: Any) -> None:
    """Raise CapacityError where the coboundary matrix does not fit."""
    columns, rows = boundary.shape
    require(
        ENTRY * boundary.nnz + COLUMN * columns + ROW * rows,
        f"the coboundary matrix of {columns} generators",
        "take a smaller complex",
    )


def _ends(boundary: "sparse.csc_array") -> NDArray[np.integer] | None:
    """(m, 2): the ends of generators of degree 1, if each boundary is a difference of two."""
    if not (np.diff(boundary.indptr) == 2).all():
        return None
    coefficients: Any = boundary.data.reshape(-1, 2)
    if not ((coefficients.sum(axis=1) == 0) & (np.abs(coefficients[:, 0]) == 1)).all():
        return None
    return boundary.indices.reshape(-1, 2)


def _coboundary(
    boundary: "sparse.csc_array", rank: NDArray[np.int64], cleared: NDArray[np.bool_], p: int
) -> Matrix:
    """The columns (m,) of the generators that are not cleared, each scaled to 1 at its pivot.

    rank  (n,) of the generators one degree higher, in filtration order
    """
    by_row: Any = boundary.tocsr()
    residues = by_row.data % p
    kept = (residues != 0) & np.repeat(~cleared, np.diff(by_row.indptr))
    start = np.append(0, np.cumsum(kept))[by_row.indptr].astype(np.int64)
    size = int(start[-1])
    capacity = size + size // 4 + 64
    rows = np.empty(capacity, index_type(rank.size))
    rows[:size] = rank[by_row.indices[kept]]
    multiples = np.empty(capacity if p > 2 else 0, np.int32)
    if p > 2:
        multiples[:size] = residues[kept]
    owner = np.full(rank.size, -1, index_type(cleared.size))
    matrix = Matrix(p, start, start[1:].copy(), rows, multiples, owner, np.array([size]))
    lead_with_pivots(matrix)
    if p > 2:
        _scale(matrix)
    return matrix


def _scale(matrix: Matrix) -> None:
    """Divide each column by its coefficient at its pivot."""
    lengths = np.diff(matrix.start)
    pivots = matrix.multiples[matrix.start[:-1][lengths > 0]]
    distinct, which = np.unique(pivots, return_inverse=True)
    inverses = np.array([pow(pivot, -1, matrix.p) for pivot in distinct.tolist()], np.int64)
    scale = np.repeat(inverses[which], lengths[lengths > 0])
    terms = matrix.multiples[: scale.size]
    terms[:] = terms * scale % matrix.p
