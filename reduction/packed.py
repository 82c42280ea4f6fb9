"""The second half of a reduction over Z/2 of a complete complex, on bits: see `kernels.windows`."""

import numpy as np
from numpy.typing import NDArray

from reduction.columns import joined
from reduction.kernels.cofacets import Scan
from reduction.kernels.cursors import Chains
from reduction.kernels.simplices import Coboundary
from reduction.kernels.windows import (
    BLOCKS_FULL,
    DONE,
    NOBODY,
    RANKS_FULL,
    SUMMANDS_FULL,
    WORDS,
    Blocks,
    Lists,
    Rows,
    Sums,
    Work,
    reduce_windows,
)
from reduction.memory import available
from reduction.order import filtration_order
from reduction.room import enlarged

GROWING = {  # what is full, and the arrays that have to grow then
    RANKS_FULL: ("lists", ("ranks",)),
    BLOCKS_FULL: ("blocks", ("next", "sum", "bits")),
    SUMMANDS_FULL: ("sums", ("working", "summands")),
}


def reduce_packed(
    reduced: Chains, unreduced: Chains, apparent: NDArray[np.int64], d: Coboundary
) -> NDArray[np.int64] | None:
    """The pivots of columns of which some are reduced, and the others come behind them.

    apparent  the r-simplices in apparent pairs
    None where more room is needed than half of what is free.
    """
    chains, first = joined([reduced, unreduced]), reduced.pivot.size
    order = filtration_order(d.above)
    rank = np.empty(order.size, np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    owner = np.full(order.size, NOBODY)
    owner[rank[d.first["note"][apparent, 0] >> 1]] = -2 - apparent
    owner[rank[reduced.pivot]] = -2 - d.values.size - np.arange(first)
    work = _room(Rows(rank, owner), chains.pivot.size, d)
    found = rank[chains.pivot].astype(np.int64)
    done, status = reduce_windows(first, chains, found, work, d)
    while status != DONE:
        larger = _more_room(work, status)
        if larger is None:
            return None
        work = larger
        done, status = reduce_windows(done, chains, found, work, d)
    return order[found]


def _room(rows: Rows, most: int, d: Coboundary) -> Work:
    """No sums yet, and room for `most` of them."""
    lists = Lists(
        np.zeros(1, np.int64),
        np.full(d.values.size, -1),
        np.empty(1024 * (d.n - d.r), np.int32),
        Scan(np.empty(d.r + 2, np.int64), np.empty(d.n, np.int64)),
    )
    sums = Sums(
        used=np.zeros(2, np.int64),
        working=np.empty(1024, np.int64),
        summands=np.empty(4096, np.int64),
        begin=np.empty(most, np.int64),
        counts=np.empty(most, np.int64),
        head=np.empty(most, np.int64),
        tail=np.empty(most, np.int64),
        window=np.empty(most, np.int64),
        visited=np.empty(most, np.int64),
        progress=np.empty(most, np.int64),
    )
    blocks = Blocks(
        np.zeros(1, np.int64),
        np.empty(1024, np.int64),
        np.empty(1024, np.int64),
        np.empty((1024, WORDS), np.uint64),
    )
    return Work(rows, lists, sums, blocks)


def _more_room(work: Work, status: int) -> Work | None:
    """Twice the room for what was full, the rest as it is; None where memory is short."""
    part, names = GROWING[status]
    full = getattr(work, part)
    arrays = {name: getattr(full, name) for name in names}
    if 2 * sum(array.nbytes for array in arrays.values()) > available() // 2:
        return None
    larger = {name: enlarged(array) for name, array in arrays.items()}
    return work._replace(**{part: full._replace(**larger)})
