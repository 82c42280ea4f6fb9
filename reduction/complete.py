"""Persistent cohomology of complete complexes, with no boundary matrix and no list of simplices.

Below its top dimension D a complete complex is acyclic, as the simplex is whose skeleton it is. So
in every index r < D each r-simplex either ends a class of index r - 1 or begins a class that ends;
only in index 0 one class is essential, and in index D all are. Index by index:

1. Index 0 is a minimum spanning forest (`components`). Edges outside it begin the classes of
   index 1; the others are cleared, and so on upwards.
2. One pass over the (r+1)-simplices, in as many threads as there are cores, gives each r-simplex
   its earliest cofacet, the first pivot of its column (`kernels.streams`). The (r+1)-simplices are
   not sorted for that, and nothing is stored for each of them.
3. Where an r-simplex is the latest facet of its earliest cofacet the two are a pair: an apparent
   one (`kernels.simplices`). Most are, and they stand in no table.
4. What is left is reduced, latest first, by cursors into coboundaries (`kernels.cursors`).
5. Over Z/2, where columns prove long, ranks are given to the (r+1)-simplices after all, and the
   reduction goes on with bits (`kernels.windows`).

Memory for index r, beside the values, in bytes: 32 for each r-simplex; about 250 for each that
enters a working column, in practice a third of them; 16 for each term of a reduced column. Windows
take 28 for each (r+1)-simplex besides, and start only where there are fewer than 2**25 of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reduction.components import components
from reduction.kernels.cursors import (
    COLUMNS_FULL,
    DONE,
    NEXT,
    WORKED,
    Columns,
    Cursors,
    Heap,
    reduce_columns,
    refill_table,
)
from reduction.kernels.simplices import Coboundary, mark_apparent
from reduction.kernels.streams import earliest_cofacets, merge_earliest
from reduction.memory import require
from reduction.order import filtration_order
from reduction.packed import reduce_packed
from reduction.pairing import Pairing
from reduction.room import enlarged
from reduction.simplices import Complete
from reduction.threads import spread, top_bounds

MOST_PACKED = 2**25  # (r+1)-simplices that get ranks


def complete_pairings(
    simplices: Complete,
    values: Sequence[NDArray[np.float64]],
    p: int,
    max_index: int,
    *,
    threads: int | None = None,
    patience: float = 0.25,
) -> list[Pairing]:
    """Who ends whom in a complete complex over Z/p, for the indices 0..max_index.

    threads   how many; by default as many as there are cores, one where there is little to do
    patience  over Z/2, cursors set or moved per (r+1)-simplex before the reduction goes on with
              bits: 0 at once, inf never. Neither changes the pairs.
    Raises CapacityError.
    """
    reduced = [row.size for row in values[: min(max_index + 1, simplices.dim)]]
    require(64 * max(reduced, default=0), f"reducing {max(reduced, default=0)} columns")
    result: list[Pairing] = []
    cleared = np.zeros(simplices.n, np.bool_)  # the r-simplices that end a class of index r - 1
    for r in range(max_index + 1):
        if r == simplices.dim:
            result.append(Pairing(np.flatnonzero(~cleared), np.empty(0, np.int64)))
        elif r == 0:
            result.append(components(simplices, values[0], filtration_order(values[1])))
        else:
            limit = patience if p == 2 and values[r + 1].size < MOST_PACKED else np.inf
            d = _coboundary(simplices, values, r, p, threads)
            result.append(_pair(d, cleared, limit, threads))
        if r + 1 < simplices.dim or max_index == simplices.dim:
            cleared = np.zeros(values[min(r + 1, simplices.dim)].size, np.bool_)
            cleared[result[-1].deaths] = True
    return result


def _coboundary(
    simplices: Complete, values: Sequence[NDArray[np.float64]], r: int, p: int, threads: int | None
) -> Coboundary:
    """The coboundary operator of the r-simplices, their earliest cofacets found."""
    n, m, binomials = simplices.n, values[r].size, simplices.binomials()
    least, earliest = np.full(m, np.inf), np.full(m, -1)

    def stream(first: int, last: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        # facets that omit the top vertex: those of other threads' ranges go to arrays apart
        if first == r + 1:
            own = (least, earliest)
        else:
            shared = binomials[r + 1, last - 1]
            own = (np.full(shared, np.inf), np.full(shared, -1))
        earliest_cofacets(r, first, last, binomials, values[r + 1], least, earliest, *own)
        return own

    for found in spread(stream, top_bounds(n, r + 1, values[r + 1].size, threads))[1:]:
        merge_earliest(least, earliest, *found)
    return Coboundary(r, n, p, binomials, values[r], values[r + 1], earliest)


def _pair(
    d: Coboundary, cleared: NDArray[np.bool_], patience: float, threads: int | None
) -> Pairing:
    """Pair the r-simplices that are not cleared, r >= 1."""
    m = d.values.size
    apparent = np.zeros(m, np.bool_)
    tops = top_bounds(m, 0, m, threads)
    spread(lambda first, last: mark_apparent(d, first, last, apparent), tops)
    assert not (apparent & cleared).any()
    at_once = np.flatnonzero(apparent)
    left = np.flatnonzero(~(apparent | cleared))
    order = left[filtration_order(d.values[left])[::-1]]
    pivots = _reduce(d, at_once, order, patience)
    return Pairing(np.concatenate([at_once, order]), np.concatenate([d.earliest[at_once], pivots]))


def _reduce(
    d: Coboundary, apparent: NDArray[np.int64], order: NDArray[np.int64], patience: float
) -> NDArray[np.int64]:
    """The pivots of the columns of the simplices `order`, reduced in that order."""
    columns = Columns(
        order,
        np.empty(order.size, np.int64),
        np.full(1 << (2 * order.size).bit_length(), -1),
        np.zeros(order.size + 1, np.int64),
        np.empty(2 * order.size + 16, np.int64),
        np.empty(2 * order.size + 16, np.int64),
    )
    cursors, heap = _room(1 << 12)
    limit = int(min(patience * d.above.size, 2**62))
    reduced, status = reduce_columns(0, limit, cursors, heap, columns, d)
    while status not in (DONE, WORKED):
        if status == COLUMNS_FULL:
            columns = columns._replace(
                simplices=enlarged(columns.simplices), multiples=enlarged(columns.multiples)
            )
        else:
            cursors, heap = _more_room(cursors)
        reduced, status = reduce_columns(reduced, limit, cursors, heap, columns, d)
    if status == WORKED:
        reduce_packed(reduced, columns, apparent, d)
    return columns.pivot


def _room(slots: int) -> tuple[Cursors, Heap]:
    """Empty cursors and an empty heap."""
    cursors = Cursors(
        np.zeros(1, np.int64),
        np.full(2 * slots, -1),
        np.empty(slots, np.int64),
        np.empty((slots, NEXT)),
        np.empty((slots, NEXT), np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
    )
    heap = Heap(
        np.zeros(1, np.int64),
        np.empty(slots),
        np.empty(slots, np.int64),
        np.empty(slots, np.int64),
    )
    return cursors, heap


def _more_room(cursors: Cursors) -> tuple[Cursors, Heap]:
    """Twice the slots, those in use kept, and an empty heap."""
    larger, heap = _room(2 * cursors.simplex.size)
    used = cursors.used[0]
    larger.used[0] = used
    for name in ("simplex", "value", "cofacet", "counts", "at", "coefficient"):
        getattr(larger, name)[:used] = getattr(cursors, name)[:used]
    refill_table(larger)
    return larger, heap
