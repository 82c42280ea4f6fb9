"""Reduction over Z/2 of the coboundary matrix of a complete complex where its columns are long.

Rows are ranks in filtration order, and a window is WORDS * 64 rows that follow each other, as bits.
A reduced column is the sum of its *summands*: the simplex itself, and the columns that were added
to it. Of its bits only windows that some reduction came through are known, from the window of its
pivot on, one after the other. The next one is the sum of the same window of the summands, which
may have to be found first. So what no reduction looks at is never computed, and each addition
costs a window, however long the columns are.

A summand is noted as one number: a block of bits (window) of a reduced column, from which the next
ones follow, or, as -1 - k, a place k in the sorted list of ranks of a simplex's cofacets.

The idea of packed columns is Bauer, Kerber, Reininghaus & Wagner's (2017), "PHAT", section 4;
windows found when they are needed are this library's own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.cofacets import Scan, find_cofacets
from reduction.kernels.compilation import Int, njit, njit_step
from reduction.kernels.cursors import Chains
from reduction.kernels.simplices import Coboundary

WORDS = 32
ROWS = 64 * WORDS
END = 2**31 - 1  # behind the last rank of a list
MOST_ROWS = END - ROWS  # so that END is in no window
DONE, BLOCKS_FULL, SUMMANDS_FULL, RANKS_FULL = 0, 1, 2, 3
NOBODY = -1


class Rows(NamedTuple):
    """The (r+1)-simplices by rank in filtration order, and who owns them as pivots.

    An owner is a sum k as k, an r-simplex j of m as -2 - j, a chain k as -2 - m - k, or -1.
    """

    rank: NDArray[np.int32]  # (M,) of each position
    owner: NDArray[np.int64]  # (M,) of each rank


class Lists(NamedTuple):
    """Sorted ranks of the cofacets of simplices, each list followed by END."""

    used: NDArray[np.int64]  # (1,)
    begin: NDArray[np.int64]  # (m,) of each r-simplex; -1 where it has no list yet
    ranks: NDArray[np.int32]
    room: Scan


class Sums(NamedTuple):
    """Reduced columns by number, what each is the sum of, and the bits known of it."""

    used: NDArray[np.int64]  # (2,) sums, summands
    working: NDArray[np.int64]  # summands of the working column
    begin: NDArray[np.int64]  # (N,) sum k has begin[k]:begin[k] + count[k] of the summands
    counts: NDArray[np.int64]  # (N,)
    summands: NDArray[np.int64]  # each noted where it stands in the last window known of the sum
    head: NDArray[np.int64]  # (N,) its first block, the window of its pivot
    tail: NDArray[np.int64]  # (N,) its last
    window: NDArray[np.int64]  # (N,) the window of its last
    visited: NDArray[np.int64]  # (N,) room for a stack of sums,
    progress: NDArray[np.int64]  # (N,) and how many summands of each were looked at


class Blocks(NamedTuple):
    """Windows of reduced columns."""

    used: NDArray[np.int64]  # (1,)
    next: NDArray[np.int64]  # (B,) the same column's next window; -1 if not known
    sum: NDArray[np.int64]  # (B,) whose
    bits: NDArray[np.uint64]  # (B, WORDS)


class Work(NamedTuple):
    """All that a reduction over Z/2 needs, windows and what they are made of."""

    rows: Rows
    lists: Lists
    sums: Sums
    blocks: Blocks


@njit_step
def lowest_bit(word: np.uint64) -> Int:
    """The place of the lowest bit of a word that is not zero."""
    place, rest = 0, word
    for half in (32, 16, 8, 4, 2, 1):
        mask = (np.uint64(1) << np.uint64(half)) - np.uint64(1)
        if not rest & mask:
            rest >>= np.uint64(half)
            place += half
    return place


@njit_step
def sort_ranks(ranks: NDArray[np.int32]) -> None:
    """Comb sort (Dobosiewicz 1980): its exchanges run side by side, and it asks for no room."""
    gap = ranks.size
    while gap > 2:
        gap = gap * 10 // 13
        for k in range(ranks.size - gap):
            a, b = ranks[k], ranks[k + gap]
            ranks[k], ranks[k + gap] = min(a, b), max(a, b)
    for k in range(1, ranks.size):
        rank, at = ranks[k], k
        while at and ranks[at - 1] > rank:
            ranks[at] = ranks[at - 1]
            at -= 1
        ranks[at] = rank


@njit_step
def find_list(simplex: Int, lists: Lists, rows: Rows, d: Coboundary) -> Int:
    """Where the list of a simplex begins; it is made if there is none; -1 if there is no room."""
    if lists.begin[simplex] >= 0:
        return lists.begin[simplex]
    first = lists.used[0]
    if first + d.n - d.r > lists.ranks.size:
        return -1
    count = find_cofacets(simplex, d, lists.room)
    at = first + count
    for i in range(count):
        lists.ranks[first + i] = rows.rank[lists.room.notes[i] >> 1]
    sort_ranks(lists.ranks[first:at])
    lists.ranks[at], lists.used[0], lists.begin[simplex] = END, at + 1, first
    return first


@njit_step
def add_list(at: Int, window: Int, ranks: NDArray[np.int32], bits: NDArray[np.uint64]) -> Int:
    """Add the ranks of a list from place `at` on to the window's bits; the place behind them."""
    begin = window * ROWS
    while ranks[at] < begin:
        at += 1
    while ranks[at] < begin + ROWS:
        row = ranks[at] - begin
        bits[row >> 6] ^= np.uint64(1) << np.uint64(row & 63)
        at += 1
    return at


@njit_step
def add_bits(others: NDArray[np.uint64], bits: NDArray[np.uint64]) -> None:
    """The sum of two windows."""
    for k in range(WORDS):
        bits[k] ^= others[k]


@njit_step
def sum_window(
    window: Int, summands: NDArray[np.int64], bits: NDArray[np.uint64], work: Work
) -> None:
    """Sum the next window of some summands, all known, and move the summands on to it."""
    bits[:] = 0
    for k in range(summands.size):
        if summands[k] >= 0:
            summands[k] = work.blocks.next[summands[k]]
            add_bits(work.blocks.bits[summands[k]], bits)
        else:
            summands[k] = -1 - add_list(-1 - summands[k], window, work.lists.ranks, bits)


@njit_step
def clear_before(row: Int, bits: NDArray[np.uint64]) -> None:
    """Unset what stands before the row in its window.

    Chains lack simplices that have no cofacets behind the pivot; with them nothing stands there.
    """
    word, place = (row % ROWS) >> 6, np.uint64(row & 63)
    for k in range(word):
        bits[k] = 0
    bits[word] = bits[word] >> place << place


@njit_step
def add_block(sum: Int, window: Int, blocks: Blocks, sums: Sums) -> Int:
    """A new last block of a sum, its bits unset."""
    block = blocks.used[0]
    blocks.used[0] += 1
    blocks.next[block], blocks.sum[block] = -1, sum
    sums.tail[sum], sums.window[sum] = block, window
    return block


@njit_step
def extend(sum: Int, work: Work) -> bool:
    """Find the next window of a sum, and first those of its summands; False if there is no room.

    Sums wait on a stack for their summands.
    """
    sums, blocks, depth = work.sums, work.blocks, 0
    sums.visited[0], sums.progress[0] = sum, 0
    while depth >= 0:
        sum, begin = sums.visited[depth], sums.begin[sums.visited[depth]]
        k, count = sums.progress[depth], sums.counts[sum]
        while k < count and (
            sums.summands[begin + k] < 0 or blocks.next[sums.summands[begin + k]] >= 0
        ):
            k += 1
        sums.progress[depth] = k
        if k < count:
            depth += 1
            sums.visited[depth] = blocks.sum[sums.summands[begin + k]]
            sums.progress[depth] = 0
            continue
        if blocks.used[0] == blocks.next.size:
            return False
        last = sums.tail[sum]
        block = add_block(sum, sums.window[sum] + 1, blocks, sums)
        blocks.next[last] = block
        sum_window(sums.window[sum], sums.summands[begin : begin + count], blocks.bits[block], work)
        depth -= 1
    return True


@njit_step
def move_on(window: Int, count: Int, bits: NDArray[np.uint64], work: Work) -> bool:
    """Put the working column's next window into `bits`; False if there is no room to find it."""
    working = work.sums.working[:count]
    for k in range(count):
        unknown = working[k] >= 0 and work.blocks.next[working[k]] < 0
        if unknown and not extend(work.blocks.sum[working[k]], work):
            return False
    sum_window(window, working, bits, work)
    return True


@njit_step
def keep_sum(row: Int, count: Int, work: Work) -> Int:
    """The summands behind the last one in use become a sum that owns a row: its empty block."""
    sums, sum, begin = work.sums, work.sums.used[0], work.sums.used[1]
    sums.used[0], sums.used[1] = sum + 1, begin + count
    sums.begin[sum], sums.counts[sum] = begin, count
    sums.head[sum] = add_block(sum, row // ROWS, work.blocks, sums)
    work.rows.owner[row] = sum
    return sums.head[sum]


@njit_step
def lacks_room(count: Int, work: Work) -> Int:
    """What has no room left for one more sum of so many summands, or DONE."""
    if work.blocks.used[0] == work.blocks.next.size:
        return BLOCKS_FULL
    if work.sums.used[1] + count > work.sums.summands.size:
        return SUMMANDS_FULL
    return DONE


@njit_step
def find_lists(
    k: Int, chains: Chains, summands: NDArray[np.int64], work: Work, d: Coboundary
) -> bool:
    """Note the beginnings of the lists of chain k's simplices; False if there is no room."""
    for i in range(chains.stop[k], chains.stop[k + 1]):
        at = find_list(np.int64(chains.simplices[i]), work.lists, work.rows, d)
        if at < 0:
            return False
        summands[i - chains.stop[k]] = -1 - at
    return True


@njit_step
def adopt(k: Int, row: Int, chains: Chains, work: Work, d: Coboundary) -> Int:
    """Make a sum of chain k, whose pivot is the row. A status."""
    count, window = chains.stop[k + 1] - chains.stop[k], row // ROWS
    status = lacks_room(count, work)
    if status != DONE:
        return status
    summands = work.sums.summands[work.sums.used[1] : work.sums.used[1] + count]
    if not find_lists(k, chains, summands, work, d):
        return RANKS_FULL
    bits = work.blocks.bits[keep_sum(row, count, work)]
    sum_window(window, summands, bits, work)
    clear_before(row, bits)
    return DONE


@njit_step
def add_owner(
    row: Int,
    count: Int,
    bits: NDArray[np.uint64],
    chains: Chains,
    work: Work,
    d: Coboundary,
) -> Int:
    """Add the owner of the row, the working column's pivot, as its summand `count`. A status."""
    simplices = work.lists.begin.size
    if count == work.sums.working.size:
        return SUMMANDS_FULL
    if work.rows.owner[row] < -1 - simplices:
        status = adopt(-2 - simplices - work.rows.owner[row], row, chains, work, d)
        if status != DONE:
            return status
    owner = work.rows.owner[row]
    if owner >= 0:
        block = work.sums.head[owner]
        add_bits(work.blocks.bits[block], bits)
        work.sums.working[count] = block
        return DONE
    at = find_list(-2 - owner, work.lists, work.rows, d)
    if at < 0:
        return RANKS_FULL
    work.sums.working[count] = -1 - add_list(at, row // ROWS, work.lists.ranks, bits)
    return DONE


@njit_step
def reduce_one(
    k: Int,
    row: Int,
    bits: NDArray[np.uint64],
    chains: Chains,
    work: Work,
    d: Coboundary,
) -> tuple[Int, Int]:
    """Reduce chain k, whose pivot `row` is not free: the free pivot, and a status."""
    count, window, word = chains.stop[k + 1] - chains.stop[k], row // ROWS, 0
    if count > work.sums.working.size:
        return row, SUMMANDS_FULL
    if not find_lists(k, chains, work.sums.working, work, d):
        return row, RANKS_FULL
    sum_window(window, work.sums.working[:count], bits, work)
    clear_before(row, bits)
    while True:
        while word < WORDS and not bits[word]:
            word += 1
        if word == WORDS:
            window, word = window + 1, 0
            if not move_on(window, count, bits, work):
                return row, BLOCKS_FULL
            continue
        row = window * ROWS + 64 * word + lowest_bit(bits[word])
        if work.rows.owner[row] == NOBODY:
            break
        status = add_owner(row, count, bits, chains, work, d)
        if status != DONE:
            return row, status
        count += 1
    status = lacks_room(count, work)
    if status == DONE:
        for i in range(count):
            work.sums.summands[work.sums.used[1] + i] = work.sums.working[i]
        block = work.blocks.bits[keep_sum(row, count, work)]
        for i in range(WORDS):
            block[i] = bits[i]
    return row, status


@njit
def reduce_windows(
    first: Int, chains: Chains, found: NDArray[np.int64], work: Work, d: Coboundary
) -> tuple[Int, Int]:
    """Reduce the chains from `first` on; the first not reduced, and what was full, or DONE.

    found  (N,) the ranks of the pivots, which are replaced by those of the reduced columns
    """
    bits = np.empty(WORDS, np.uint64)
    for k in range(first, chains.pivot.size):
        if work.rows.owner[found[k]] == NOBODY:
            work.rows.owner[found[k]] = -2 - work.lists.begin.size - k
        else:
            row, status = reduce_one(k, found[k], bits, chains, work, d)
            if status != DONE:
                return k, status
            found[k] = row
    return chains.pivot.size, DONE
