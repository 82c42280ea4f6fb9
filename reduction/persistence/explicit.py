"""Persistent cohomology of any complex: its coboundary matrices, sparse, reduced index by index.

1. Index 0 is a minimum spanning forest (`pairs.components`). Edges outside it begin the classes of
   index 1; the others are cleared, and so on upwards.
2. The facets of the (r+1)-simplices, transposed, are the coboundaries of the r-simplices: all but
   those that are cleared. Their rows are the (r+1)-simplices in filtration order.
3. One pass over the facets finds the apparent pairs.
4. The columns left are reduced, youngest first (`kernels.sparse_columns`).

Memory for index r, beside the complex, in bytes: 32 for each r-simplex, 28 for each (r+1)-simplex,
and for each of its r + 2 facets 5 over Z/2, else 10. Where reduced columns become longer than they
were, their buffers are doubled.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import index_type
from reduction.filtrations.sorting import filtration_order, ranks
from reduction.kernels.bit_tree import no_bits
from reduction.kernels.buffers import enlarged
from reduction.kernels.sparse_columns import (
    Matrix,
    count_cofacets,
    fill_columns,
    lead_with_pivots,
    pair_apparent,
    reduce_columns,
)
from reduction.memory import require
from reduction.persistence.pairs import Pairing, components
from reduction.threads import paced


def explicit_pairings(
    filtration: Filtration, p: int, max_index: int, *, clearing: bool = True
) -> list[Pairing]:
    """The persistence pairs of any complex over Z/p. `clearing` changes the time, nothing else.

    Raises CapacityError.
    """
    result: list[Pairing] = []
    cleared = np.zeros(
        filtration.counts[0], np.bool_
    )  # r-simplices that end a class of index r - 1
    order = np.empty(0, np.int64)  # of the r-simplices
    for r in range(max_index + 1):
        if r == filtration.dim:
            result.append(Pairing(np.flatnonzero(~cleared), np.empty(0, np.int64)))
            break
        _require(filtration.counts, r, p)
        above = filtration_order(filtration.values[r + 1])
        if r == 0:
            pairing = components(
                partial(filtration.simplices.facets_of, 1), filtration.values[0], above
            )
        else:
            facets = filtration.facets(r + 1)
            pairing = _pair(facets, order, above, cleared, p, clearing=clearing)
        result.append(pairing)
        order = above
        cleared = np.zeros(order.size, np.bool_)
        cleared[pairing.deaths] = True
    return result


def _require(counts: Sequence[int], r: int, p: int) -> None:
    """Raise CapacityError where the coboundary matrix of the r-simplices does not fit."""
    columns, rows = counts[r : r + 2]
    entry = 5 if p == 2 else 10
    require(
        32 * columns + (28 + entry * (r + 2)) * rows,
        f"the coboundary matrix of {columns} simplices",
    )


def _pair(
    facets: NDArray[np.integer],
    order: NDArray[np.int64],
    above: NDArray[np.int64],
    cleared: NDArray[np.bool_],
    p: int,
    *,
    clearing: bool,
) -> Pairing:
    """Pair r-simplices with (r+1)-simplices, whose facets and filtration orders are given."""
    rank, rank_above = (ranks(given, index_type(given.size)) for given in (order, above))
    matrix = _coboundary(facets, rank_above, cleared if clearing else np.zeros_like(cleared), p)
    left = matrix.stop > matrix.start[:-1]
    pair_apparent(facets, rank_above, rank, matrix, left)
    youngest_first = order[left[order]][::-1]
    return paired(reduced(matrix, youngest_first), above, cleared)


def paired(matrix: Matrix, above: NDArray[np.int64], cleared: NDArray[np.bool_]) -> Pairing:
    """The pairs of a reduced matrix.

    above    (M,) filtration order of its rows
    cleared  (m,) of its columns those that end a class of the index below
    """
    deaths = np.flatnonzero(matrix.owner >= 0)
    births = matrix.owner[deaths].astype(np.int64)
    essential = ~cleared
    essential[births] = False
    return Pairing(np.concatenate([births, np.flatnonzero(essential)]), above[deaths])


def _coboundary(
    facets: NDArray[np.integer], rank: NDArray[np.integer], cleared: NDArray[np.bool_], p: int
) -> Matrix:
    """The coboundary matrix of the simplices that are not cleared; no pivot has an owner yet."""
    start = np.zeros(cleared.size + 1, np.int64)
    count_cofacets(facets, cleared, start[1:])
    np.cumsum(start, out=start)
    size = int(start[-1])
    capacity = size + size // 4 + 64
    rows = np.empty(capacity, rank.dtype)
    multiples = np.empty(capacity if p > 2 else 0, np.int32)
    owner = np.full(rank.size, -1, index_type(cleared.size))
    matrix = Matrix(p, start, start[:-1].copy(), rows, multiples, owner, np.array([size]))
    fill_columns(facets, rank, cleared, matrix)
    lead_with_pivots(matrix)
    return matrix


def reduced(matrix: Matrix, order: NDArray[np.int64]) -> Matrix:
    """The matrix with its columns `order` reduced, in that order: the youngest first."""
    bits = no_bits(matrix.owner.size)
    residues = np.zeros(matrix.owner.size if matrix.p > 2 else 0, np.int32)
    for begin, end in paced(order.size):
        done = reduce_columns(begin, order[:end], matrix, bits, residues)
        while done < end:
            rows, multiples = enlarged(matrix.rows, matrix.multiples)
            matrix = matrix._replace(rows=rows, multiples=multiples)
            done = reduce_columns(done, order[:end], matrix, bits, residues)
    return matrix
