"""The second half of a reduction of a complete complex, by blocks: see `kernels.blocks`."""

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.sorting import filtration_order, ranks
from reduction.kernels.blocks import (
    NOBODY,
    Blocks,
    Lists,
    Rows,
    Summands,
    Sums,
    Work,
    reduce_blocks,
)
from reduction.kernels.coboundary import Coboundary, Scan
from reduction.kernels.cursors import Chains
from reduction.kernels.residues import ROWS, empty_blocks
from reduction.memory import available
from reduction.persistence.implicit_columns import first_chains, joined, oldest_cofacets
from reduction.threads import paced


def reduce_by_blocks(
    reduced: Chains, unreduced: Chains, apparent: NDArray[np.int64], d: Coboundary
) -> NDArray[np.int64] | None:
    """The pivots of reduced columns, and of unreduced ones behind them.

    apparent  the r-simplices in apparent pairs
    None where they do not fit into memory.
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
    rank = ranks(order, np.int32)
    owner = np.full(order.size, NOBODY)
    owner[rank[oldest_cofacets(apparent, d)]] = -2 - apparent
    owner[rank[reduced.pivot]] = -2 - d.values.size - np.arange(first)
    found = rank[chains.pivot].astype(np.int64)
    work = _workspace(Rows(rank, owner), chains, d)
    for begin, end in paced(chains.pivot.size - first):
        part = first_chains(chains, first + end)
        if not reduce_blocks(first + begin, part, found, work, d):
            return None
    return order[found]


def _workspace(ranked: Rows, chains: Chains, d: Coboundary) -> Work:
    """A workspace without sums, with buffers for as many as there are chains.

    Of the memory that is free beside all lists, half is for blocks, a quarter for summands, an
    eighth for those of the working column; no more than they could need. Pages that are never
    written to take none.
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
    count = min(4 * free // (16 + empty_blocks(1, d.p).nbytes), most * (rows // ROWS + 1))
    blocks = Blocks(
        np.zeros(1, np.int64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        empty_blocks(count, d.p),
        empty_blocks(1, d.p)[0],
    )
    working = _summands(free, longest, chains)
    return Work(ranked, lists, sums, blocks, working, empty_blocks(1, d.p)[0])


def _summands(size: int, most: int, chains: Chains) -> Summands:
    """Buffers of `size` bytes for summands, and no more than `most` of them."""
    kind = chains.multiples.dtype
    count = min(size // (8 + kind.itemsize), most)
    return Summands(np.empty(count, np.int64), np.empty(count, kind))
