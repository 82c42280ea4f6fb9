"""Reduction of the coboundary matrix of a complete complex where its columns are long.

Rows are ranks in filtration order, and a window is ROWS of them that follow each other (see
`kernels.residues`). A reduced column is a sum of its *summands*: simplices, and the columns that
were added, each with its multiple. Of its rows only windows that some reduction came through are
known, from the window of its pivot on, one after the other. The next one is the sum of the same
window of the summands, which may have to be found first. So what no reduction looks at is never
computed, and each addition costs a window, however long the columns are.

A summand is noted as one number: the block of the last window that was summed of a reduced column,
from which the next one follows; or, as -1 - k, the place k behind that window in the sorted list of
a simplex's cofacets.

The idea of packed columns is Bauer, Kerber, Reininghaus & Wagner's (2017), "PHAT", section 4;
windows found when they are needed are this library's own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.coboundary import Coboundary, Scan, find_cofacets
from reduction.kernels.compilation import Int, njit_inline, njit_step
from reduction.kernels.cursors import Chains
from reduction.kernels.residues import (
    ROWS,
    Window,
    add_multiple,
    add_residue,
    clear_before,
    find_residue,
    find_row,
)
from reduction.kernels.sparse_columns import inverse

END = 2**31 - 1  # behind the last cofacet of a list
MOST_ROWS = END // 2 - ROWS  # so that END is in no window
NOBODY = -1


class Rows(NamedTuple):
    """The (r+1)-simplices by rank in filtration order, and who owns them as pivots.

    An owner is a sum k as k, an r-simplex j of m as -2 - j, a chain k as -2 - m - k, or -1.
    """

    rank: NDArray[np.int32]  # (M,) of each position
    owner: NDArray[np.int64]  # (M,) of each rank


class Lists(NamedTuple):
    """The cofacets of simplices in order: 2 * rank + (1 where the sign is -1), then END."""

    used: NDArray[np.int64]  # (1,)
    begin: NDArray[np.int64]  # (m,) of each r-simplex; -1 where it has no list yet
    notes: NDArray[np.int32]  # (L,)
    room: Scan


class Summands(NamedTuple):
    """What is added, as noted (see above)."""

    notes: NDArray[np.int64]  # (S,)
    multiples: NDArray[np.integer]  # (S,) 1..p-1


class Sums(NamedTuple):
    """Reduced columns by number, with coefficient 1 at their pivots, and what is known of them."""

    used: NDArray[np.int64]  # (2,) sums, summands
    begin: NDArray[np.int64]  # (N,) sum k has begin[k]:begin[k] + counts[k] of the summands
    counts: NDArray[np.int64]  # (N,)
    summands: Summands
    head: NDArray[np.int64]  # (N,) its first block, the window of its pivot
    tail: NDArray[np.int64]  # (N,) its last
    number: NDArray[np.int64]  # (N,) the number of the window of its last
    visited: NDArray[np.int64]  # (N,) room for a stack of sums,
    progress: NDArray[np.int64]  # (N,) and how many summands of each were looked at


class Blocks(NamedTuple):
    """Windows of reduced columns."""

    used: NDArray[np.int64]  # (1,)
    next: NDArray[np.int64]  # (B,) the same column's next window; -1 if not known
    sum: NDArray[np.int64]  # (B,) whose
    windows: Window  # (B, words)
    room: Window  # (words,) for a multiple of one


class Work(NamedTuple):
    """All that a reduction needs, windows and what they are made of."""

    rows: Rows
    lists: Lists
    sums: Sums
    blocks: Blocks
    working: Summands  # of the working column
    window: Window  # its window


@njit_step
def sort_notes(notes: NDArray[np.int32]) -> None:
    """Comb sort (Dobosiewicz 1980): its exchanges run side by side, and it asks for no room."""
    gap = notes.size
    while gap > 2:
        gap = gap * 10 // 13
        for k in range(notes.size - gap):
            a, b = notes[k], notes[k + gap]
            notes[k], notes[k + gap] = min(a, b), max(a, b)
    for k in range(1, notes.size):
        note, at = notes[k], k
        while at and notes[at - 1] > note:
            notes[at] = notes[at - 1]
            at -= 1
        notes[at] = note


@njit_step
def find_list(simplex: Int, lists: Lists, rank: NDArray[np.int32], d: Coboundary) -> Int:
    """Where the list of a simplex begins; it is made if there is none."""
    if lists.begin[simplex] < 0:
        first = lists.used[0]
        at = first + find_cofacets(simplex, d, lists.room)
        for i in range(at - first):
            note = lists.room.notes[i]
            lists.notes[first + i] = 2 * rank[note >> 1] + (note & 1)
        sort_notes(lists.notes[first:at])
        lists.notes[at], lists.used[0], lists.begin[simplex] = END, at + 1, first
    return lists.begin[simplex]


@njit_step
def add_list(
    at: Int, multiple: Int, number: Int, notes: NDArray[np.int32], window: Window, p: Int
) -> Int:
    """Add a multiple of a list, from place `at` on, to the window `number`; the place behind it."""
    begin = 2 * number * ROWS
    while notes[at] < begin:
        at += 1
    while notes[at] < begin + 2 * ROWS:
        signed = p - multiple if notes[at] & 1 else multiple
        add_residue(signed, (notes[at] - begin) >> 1, window, p)
        at += 1
    return at


@njit_inline
def summands_from(begin: Int, count: Int, summands: Summands) -> Summands:
    """So many summands from one on."""
    return Summands(
        summands.notes[begin : begin + count], summands.multiples[begin : begin + count]
    )


@njit_step
def sum_window(
    number: Int,
    summands: Summands,
    window: Window,
    blocks: Blocks,
    notes: NDArray[np.int32],
    p: Int,
) -> None:
    """Sum the next window of some summands, all known, and move the summands on to it."""
    clear_before(ROWS, window, p)
    for k in range(summands.notes.size):
        note, multiple = summands.notes[k], np.int64(summands.multiples[k])
        if note >= 0:
            block = blocks.next[note]
            add_multiple(multiple, blocks.windows[block], window, blocks.room, p)
            summands.notes[k] = block
        else:
            summands.notes[k] = -1 - add_list(-1 - note, multiple, number, notes, window, p)


@njit_step
def add_block(sum: Int, number: Int, blocks: Blocks, sums: Sums) -> Int:
    """A new last block of a sum, unset."""
    block = blocks.used[0]
    blocks.used[0] += 1
    blocks.next[block], blocks.sum[block] = -1, sum
    sums.tail[sum], sums.number[sum] = block, number
    return block


@njit_step
def extend(sum: Int, blocks: Blocks, sums: Sums, notes: NDArray[np.int32], p: Int) -> bool:
    """Find the next window of a sum, and first those of its summands; False if there is no room.

    Sums wait on a stack for their summands.
    """
    depth, noted = 0, sums.summands.notes
    sums.visited[0], sums.progress[0] = sum, 0
    while depth >= 0:
        sum, begin = sums.visited[depth], sums.begin[sums.visited[depth]]
        k, count = sums.progress[depth], sums.counts[sum]
        while k < count and (noted[begin + k] < 0 or blocks.next[noted[begin + k]] >= 0):
            k += 1
        sums.progress[depth] = k
        if k < count:
            depth += 1
            sums.visited[depth], sums.progress[depth] = blocks.sum[noted[begin + k]], 0
            continue
        if blocks.used[0] == blocks.next.size:
            return False
        last, number = sums.tail[sum], sums.number[sum] + 1
        block = add_block(sum, number, blocks, sums)
        blocks.next[last] = block
        summands = summands_from(begin, count, sums.summands)
        sum_window(number, summands, blocks.windows[block], blocks, notes, p)
        depth -= 1
    return True


@njit_step
def keep_sum(row: Int, count: Int, work: Work) -> Int:
    """One more sum, which owns a row, and has room behind the last summand: its first block.

    -1 if there is no room. The caller writes the block and the summands.
    """
    sums, sum, begin = work.sums, work.sums.used[0], work.sums.used[1]
    full = work.blocks.used[0] == work.blocks.next.size
    if full or begin + count > sums.summands.notes.size:
        return -1
    sums.used[0], sums.used[1] = sum + 1, begin + count
    sums.begin[sum], sums.counts[sum] = begin, count
    sums.head[sum] = add_block(sum, row // ROWS, work.blocks, sums)
    work.rows.owner[row] = sum
    return sums.head[sum]


@njit_step
def sum_chain(
    k: Int, row: Int, chains: Chains, summands: Summands, window: Window, work: Work, d: Coboundary
) -> None:
    """Note the simplices of chain k, whose pivot is the row, as summands, and sum its window.

    Chains lack simplices that have no cofacets behind the pivot; with them nothing is before it.
    """
    for i in range(summands.notes.size):
        simplex = np.int64(chains.simplices[chains.stop[k] + i])
        summands.notes[i] = -1 - find_list(simplex, work.lists, work.rows.rank, d)
        summands.multiples[i] = chains.multiples[chains.stop[k] + i]
    sum_window(row // ROWS, summands, window, work.blocks, work.lists.notes, d.p)
    clear_before(row % ROWS, window, d.p)


@njit_step
def add_owner(row: Int, total: Int, count: Int, chains: Chains, work: Work, d: Coboundary) -> bool:
    """Cancel the working column's pivot, with residue `total`, by its owner: summand `count`.

    A chain that owns a row becomes a sum first. False if there is no room.
    """
    working, sums, owner = work.working, work.sums, work.rows.owner
    if count == working.notes.size:
        return False
    k = -2 - work.lists.begin.size - owner[row]
    if k >= 0:
        length = chains.stop[k + 1] - chains.stop[k]
        block = keep_sum(row, length, work)
        if block < 0:
            return False
        summands = summands_from(sums.used[1] - length, length, sums.summands)
        sum_chain(k, row, chains, summands, work.blocks.windows[block], work, d)
    multiple = d.p - total
    if owner[row] >= 0:
        block = sums.head[owner[row]]
        add_multiple(multiple, work.blocks.windows[block], work.window, work.blocks.room, d.p)
        working.notes[count] = block
    else:  # an apparent pair, whose row is the first in the list
        notes, at = work.lists.notes, find_list(-2 - owner[row], work.lists, work.rows.rank, d)
        multiple = total if notes[at] & 1 else multiple
        working.notes[count] = -1 - add_list(at, multiple, row // ROWS, notes, work.window, d.p)
    working.multiples[count] = multiple
    return True


@njit_step
def keep_working(row: Int, total: Int, count: Int, work: Work, p: Int) -> bool:
    """Keep the working column, whose residue at its free pivot is `total`; False: no room."""
    block = keep_sum(row, count, work)
    if block < 0:
        return False
    summands = summands_from(work.sums.used[1] - count, count, work.sums.summands)
    factor, window = inverse(total, p), work.blocks.windows[block]
    for i in range(count):
        summands.notes[i] = work.working.notes[i]
        summands.multiples[i] = np.int64(work.working.multiples[i]) * factor % p
    clear_before(ROWS, window, p)
    add_multiple(factor, work.window, window, work.blocks.room, p)
    return True


@njit_step
def move_on(number: Int, working: Summands, work: Work, p: Int) -> bool:
    """Sum the working column's next window; False if there is no room to find it."""
    blocks, notes = work.blocks, work.lists.notes
    for note in working.notes:
        known = note < 0 or blocks.next[note] >= 0
        if not known and not extend(blocks.sum[note], blocks, work.sums, notes, p):
            return False
    sum_window(number, working, work.window, blocks, notes, p)
    return True


@njit_inline
def reduce_one(k: Int, row: Int, chains: Chains, work: Work, d: Coboundary) -> Int:
    """Reduce chain k, whose pivot `row` is not free: the free pivot, or -1 if there is no room."""
    count, number, at = chains.stop[k + 1] - chains.stop[k], row // ROWS, row % ROWS
    if count > work.working.notes.size:
        return -1
    sum_chain(k, row, chains, summands_from(0, count, work.working), work.window, work, d)
    while True:
        at = find_row(at, work.window, d.p)
        if at == ROWS:
            number, at = number + 1, 0
            if not move_on(number, summands_from(0, count, work.working), work, d.p):
                return -1
            continue
        row = number * ROWS + at
        total = find_residue(at, work.window, d.p)
        if work.rows.owner[row] == NOBODY:
            return row if keep_working(row, total, count, work, d.p) else -1
        if not add_owner(row, total, count, chains, work, d):
            return -1
        count += 1


@njit_step
def reduce_windows(
    first: Int, chains: Chains, found: NDArray[np.int64], work: Work, d: Coboundary
) -> bool:
    """Reduce the chains from `first` on; False if there is no room.

    found  (N,) the ranks of the pivots, which are replaced by those of the reduced columns
    """
    for k in range(first, chains.pivot.size):
        if work.rows.owner[found[k]] == NOBODY:
            work.rows.owner[found[k]] = -2 - work.lists.begin.size - k
        else:
            row = reduce_one(k, found[k], chains, work, d)
            if row < 0:
                return False
            found[k] = row
    return True
