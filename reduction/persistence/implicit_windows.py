"""The second half of a reduction of a complete complex, by windows: see `kernels.windows`."""

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.sorting import filtration_order
from reduction.kernels.coboundary import Coboundary, Scan
from reduction.kernels.cursors import Chains
from reduction.kernels.residues import ROWS, room_for_windows
from reduction.kernels.windows import (
    NOBODY,
    Blocks,
    Lists,
    Rows,
    Summands,
    Sums,
    Work,
    reduce_windows,
)
from reduction.memory import available
from reduction.persistence.implicit_columns import earliest, joined


def reduce_packed(
    reduced: Chains, unreduced: Chains, apparent: NDArray[np.int64], d: Coboundary
) -> NDArray[np.int64] | None:
    """The pivots of columns of which some are reduced, and the others come behind them.

    apparent  the r-simplices in apparent pairs
    None where more room is needed than there is.
    """
    try:
        return _reduce(reduced, unreduced, apparent, d)
    except MemoryError:
        return None


def _reduce(
    reduced: Chains, unreduced: Chains, apparent: NDArray[np.int64], d: Coboundary
) -> NDArray[np.int64] | None:
    chains, first = joined([reduced, unreduced]), reduced.pivot.size
    order = filtration_order(d.above)
    rank = np.empty(order.size, np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    owner = np.full(order.size, NOBODY)
    owner[rank[earliest(apparent, d)]] = -2 - apparent
    owner[rank[reduced.pivot]] = -2 - d.values.size - np.arange(first)
    found = rank[chains.pivot].astype(np.int64)
    work = _room(Rows(rank, owner), chains, d)
    return order[found] if reduce_windows(first, chains, found, work, d) else None


def _room(ranked: Rows, chains: Chains, d: Coboundary) -> Work:
    """No sums yet, and room for as many as there are chains.

    Of what is free beside all lists, half is for blocks, a quarter for summands, an eighth for
    those of the working column; no more than they could need. What is never written to takes none.
    """
    m, most, rows = d.values.size, chains.pivot.size, d.above.size
    every = m * (d.n - d.r)  # each simplex has n - r - 1 cofacets, and the end of its list
    free = max(available() - 4 * every, 0) // 8
    longest = int(np.diff(chains.stop).max(initial=0)) + rows  # each addition takes a later pivot
    lists = Lists(
        np.zeros(1, np.int64),
        np.full(m, -1),
        np.empty(every, np.int32),
        Scan(np.empty(d.r + 2, np.int64), np.empty(d.n, np.int64)),
    )
    sums = Sums(
        used=np.zeros(2, np.int64),
        begin=np.empty(most, np.int64),
        counts=np.empty(most, np.int64),
        summands=_summands(2 * free, most * longest, chains),
        head=np.empty(most, np.int64),
        tail=np.empty(most, np.int64),
        number=np.empty(most, np.int64),
        visited=np.empty(most, np.int64),
        progress=np.empty(most, np.int64),
    )
    count = min(4 * free // (16 + room_for_windows(1, d.p).nbytes), most * (rows // ROWS + 1))
    blocks = Blocks(
        np.zeros(1, np.int64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        room_for_windows(count, d.p),
        room_for_windows(1, d.p)[0],
    )
    working = _summands(free, longest, chains)
    return Work(ranked, lists, sums, blocks, working, room_for_windows(1, d.p)[0])


def _summands(size: int, most: int, chains: Chains) -> Summands:
    """Room for summands of so many bytes in total, and no more than so many."""
    kind = chains.multiples.dtype
    count = min(size // (8 + kind.itemsize), most)
    return Summands(np.empty(count, np.int64), np.empty(count, kind))
