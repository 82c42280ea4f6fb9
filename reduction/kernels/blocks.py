"""Reduction of the coboundary matrix of a complete complex where its columns are long.

Rows are ranks in filtration order, and a block is ROWS of them that follow each other (see
`kernels.residues`). A reduced column is a sum of its *summands*: simplices, and the columns that
were added, each with its multiple. Only those of its blocks are known that some reduction came
through, from that of its pivot on, one after the other. The next one is the sum of the same block
of the summands, which may have to be found first. So blocks that no reduction reads are never
computed, and each addition costs a block, however long the columns are.

A summand is one signed index: the slot of the last block that was summed of a reduced column, from
which the next one follows; or, as -1 - k, the index k behind that block in the sorted list of a
simplex's cofacets.

The idea of packed columns is Bauer, Kerber, Reininghaus & Wagner's (2017), "PHAT", section 4;
blocks found when they are needed are this library's own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.coboundary import Coboundary, Scan, find_cofacets
from reduction.kernels.compilation import Int, njit_inline, njit_step
from reduction.kernels.cursors import Chains
from reduction.kernels.residues import (
    ROWS,
    Block,
    add_multiple,
    add_residue,
    clear_before,
    find_residue,
    find_row,
)
from reduction.kernels.sparse_columns import inverse

END = 2**31 - 1  # behind the last cofacet of a list
MOST_ROWS = END // 2 - ROWS  # so that END is in no block
NOBODY = -1


class Rows(NamedTuple):
    """The (r+1)-simplices by rank in filtration order, and the owners of their pivots.

    An owner is a sum k as k, an r-simplex j of m as -2 - j, a chain k as -2 - m - k, or -1.
    """

    rank: NDArray[np.int32]  # (M,) of each position
    owner: NDArray[np.int64]  # (M,) of each rank


class Lists(NamedTuple):
    """The cofacets of simplices in order: 2 * rank + (1 where the sign is -1), then END."""

    used: NDArray[np.int64]  # (1,)
    begin: NDArray[np.int64]  # (m,) of each r-simplex; -1 where it has no list yet
    cofacets: NDArray[np.int32]  # (L,) encoded
    scan: Scan


class Summands(NamedTuple):
    """Summands of a column, as signed indices (see above)."""

    indices: NDArray[np.int64]  # (S,)
    multiples: NDArray[np.integer]  # (S,) 1..p-1


class Sums(NamedTuple):
    """Reduced columns by number, coefficients 1 at their pivots, and their blocks known so far."""

    used: NDArray[np.int64]  # (2,) sums, summands
    begin: NDArray[np.int64]  # (N,) sum k has begin[k]:begin[k] + counts[k] of the summands
    counts: NDArray[np.int64]  # (N,)
    summands: Summands
    head: NDArray[np.int64]  # (N,) its first block, that of its pivot
    tail: NDArray[np.int64]  # (N,) its last
    number: NDArray[np.int64]  # (N,) the number of the block of its last
    visited: NDArray[np.int64]  # (N,) a stack of sums,
    progress: NDArray[np.int64]  # (N,) and the number of summands of each that are known


class Blocks(NamedTuple):
    """Blocks of reduced columns."""

    used: NDArray[np.int64]  # (1,)
    next: NDArray[np.int64]  # (B,) the same column's next block; -1 if not known
    sum: NDArray[np.int64]  # (B,) its column
    residues: Block  # (B, words)
    buffer: Block  # (words,) for a multiple of one


class Work(NamedTuple):
    """Workspace of a reduction: blocks, and the columns whose sums they are."""

    rows: Rows
    lists: Lists
    sums: Sums
    blocks: Blocks
    working: Summands  # of the working column
    block: Block  # its block


@njit_step
def sort_cofacets(cofacets: NDArray[np.int32]) -> None:
    """Comb sort (Dobosiewicz 1980): its exchanges run side by side, and it needs no buffer."""
    gap = cofacets.size
    while gap > 2:
        gap = gap * 10 // 13
        for k in range(cofacets.size - gap):
            a, b = cofacets[k], cofacets[k + gap]
            cofacets[k], cofacets[k + gap] = min(a, b), max(a, b)
    for k in range(1, cofacets.size):
        cofacet, at = cofacets[k], k
        while at and cofacets[at - 1] > cofacet:
            cofacets[at] = cofacets[at - 1]
            at -= 1
        cofacets[at] = cofacet


@njit_step
def find_list(simplex: Int, lists: Lists, rank: NDArray[np.int32], d: Coboundary) -> Int:
    """The begin of the list of a simplex, which is made if there is none."""
    if lists.begin[simplex] < 0:
        first = lists.used[0]
        at = first + find_cofacets(simplex, d, lists.scan)
        for i in range(at - first):
            cofacet = lists.scan.cofacets[i]
            lists.cofacets[first + i] = 2 * rank[cofacet >> 1] + (cofacet & 1)
        sort_cofacets(lists.cofacets[first:at])
        lists.cofacets[at], lists.used[0], lists.begin[simplex] = END, at + 1, first
    return lists.begin[simplex]


@njit_step
def add_list(
    at: Int, multiple: Int, number: Int, cofacets: NDArray[np.int32], block: Block, p: Int
) -> Int:
    """Add a multiple of a list, from index `at` on, to the block `number`; the index behind it."""
    begin = 2 * number * ROWS
    while cofacets[at] < begin:
        at += 1
    while cofacets[at] < begin + 2 * ROWS:
        signed = p - multiple if cofacets[at] & 1 else multiple
        add_residue(signed, (cofacets[at] - begin) >> 1, block, p)
        at += 1
    return at


@njit_inline
def summands_from(begin: Int, count: Int, summands: Summands) -> Summands:
    """A range of summands."""
    return Summands(
        summands.indices[begin : begin + count], summands.multiples[begin : begin + count]
    )


@njit_step
def sum_block(
    number: Int,
    summands: Summands,
    block: Block,
    blocks: Blocks,
    cofacets: NDArray[np.int32],
    p: Int,
) -> None:
    """Sum the next block of some summands, all known, and move the summands on to it."""
    clear_before(ROWS, block, p)
    for k in range(summands.indices.size):
        index, multiple = summands.indices[k], np.int64(summands.multiples[k])
        if index >= 0:
            slot = blocks.next[index]
            add_multiple(multiple, blocks.residues[slot], block, blocks.buffer, p)
            summands.indices[k] = slot
        else:
            summands.indices[k] = -1 - add_list(-1 - index, multiple, number, cofacets, block, p)


@njit_step
def add_block(sum: Int, number: Int, blocks: Blocks, sums: Sums) -> Int:
    """A new last block of a sum, unset; its slot."""
    slot = blocks.used[0]
    blocks.used[0] += 1
    blocks.next[slot], blocks.sum[slot] = -1, sum
    sums.tail[sum], sums.number[sum] = slot, number
    return slot


@njit_step
def extend(sum: Int, blocks: Blocks, sums: Sums, cofacets: NDArray[np.int32], p: Int) -> bool:
    """Find the next block of a sum, and first those of its summands; False if the buffers are full.

    Sums wait on a stack for their summands.
    """
    depth, indices = 0, sums.summands.indices
    sums.visited[0], sums.progress[0] = sum, 0
    while depth >= 0:
        sum, begin = sums.visited[depth], sums.begin[sums.visited[depth]]
        k, count = sums.progress[depth], sums.counts[sum]
        while k < count and (indices[begin + k] < 0 or blocks.next[indices[begin + k]] >= 0):
            k += 1
        sums.progress[depth] = k
        if k < count:
            depth += 1
            sums.visited[depth], sums.progress[depth] = blocks.sum[indices[begin + k]], 0
            continue
        if blocks.used[0] == blocks.next.size:
            return False
        last, number = sums.tail[sum], sums.number[sum] + 1
        slot = add_block(sum, number, blocks, sums)
        blocks.next[last] = slot
        summands = summands_from(begin, count, sums.summands)
        sum_block(number, summands, blocks.residues[slot], blocks, cofacets, p)
        depth -= 1
    return True


@njit_step
def keep_sum(row: Int, count: Int, work: Work) -> Int:
    """Add a sum, which owns a row, behind the last one; the slot of its first block.

    -1 if the buffers are full. The caller writes the block and the summands.
    """
    sums, sum, begin = work.sums, work.sums.used[0], work.sums.used[1]
    full = work.blocks.used[0] == work.blocks.next.size
    if full or begin + count > sums.summands.indices.size:
        return -1
    sums.used[0], sums.used[1] = sum + 1, begin + count
    sums.begin[sum], sums.counts[sum] = begin, count
    sums.head[sum] = add_block(sum, row // ROWS, work.blocks, sums)
    work.rows.owner[row] = sum
    return sums.head[sum]


@njit_step
def sum_chain(
    k: Int, row: Int, chains: Chains, summands: Summands, block: Block, work: Work, d: Coboundary
) -> None:
    """Write the simplices of chain k, whose pivot is the row, as summands, and sum its block.

    Chains lack simplices that have no cofacets behind the pivot; with them nothing is before it.
    """
    for i in range(summands.indices.size):
        simplex = np.int64(chains.simplices[chains.stop[k] + i])
        summands.indices[i] = -1 - find_list(simplex, work.lists, work.rows.rank, d)
        summands.multiples[i] = chains.multiples[chains.stop[k] + i]
    sum_block(row // ROWS, summands, block, work.blocks, work.lists.cofacets, d.p)
    clear_before(row % ROWS, block, d.p)


@njit_step
def add_owner(row: Int, total: Int, count: Int, chains: Chains, work: Work, d: Coboundary) -> bool:
    """Cancel the working column's pivot, with residue `total`, by its owner: summand `count`.

    A chain that owns a row becomes a sum first. False if the buffers are full.
    """
    working, sums, owner = work.working, work.sums, work.rows.owner
    if count == working.indices.size:
        return False
    k = -2 - work.lists.begin.size - owner[row]
    if k >= 0:
        length = chains.stop[k + 1] - chains.stop[k]
        slot = keep_sum(row, length, work)
        if slot < 0:
            return False
        summands = summands_from(sums.used[1] - length, length, sums.summands)
        sum_chain(k, row, chains, summands, work.blocks.residues[slot], work, d)
    multiple = d.p - total
    if owner[row] >= 0:
        slot = sums.head[owner[row]]
        add_multiple(multiple, work.blocks.residues[slot], work.block, work.blocks.buffer, d.p)
        working.indices[count] = slot
    else:  # an apparent pair, whose row is the first in the list
        cofacets, at = (
            work.lists.cofacets,
            find_list(-2 - owner[row], work.lists, work.rows.rank, d),
        )
        multiple = total if cofacets[at] & 1 else multiple
        working.indices[count] = -1 - add_list(at, multiple, row // ROWS, cofacets, work.block, d.p)
    working.multiples[count] = multiple
    return True


@njit_step
def keep_working(row: Int, total: Int, count: Int, work: Work, p: Int) -> bool:
    """Keep the working column, whose residue at its free pivot is `total`; False if full."""
    slot = keep_sum(row, count, work)
    if slot < 0:
        return False
    summands = summands_from(work.sums.used[1] - count, count, work.sums.summands)
    factor, block = inverse(total, p), work.blocks.residues[slot]
    for i in range(count):
        summands.indices[i] = work.working.indices[i]
        summands.multiples[i] = np.int64(work.working.multiples[i]) * factor % p
    clear_before(ROWS, block, p)
    add_multiple(factor, work.block, block, work.blocks.buffer, p)
    return True


@njit_step
def move_on(number: Int, working: Summands, work: Work, p: Int) -> bool:
    """Sum the working column's next block; False if the buffers are full."""
    blocks, cofacets = work.blocks, work.lists.cofacets
    for index in working.indices:
        known = index < 0 or blocks.next[index] >= 0
        if not known and not extend(blocks.sum[index], blocks, work.sums, cofacets, p):
            return False
    sum_block(number, working, work.block, blocks, cofacets, p)
    return True


@njit_inline
def reduce_one(k: Int, row: Int, chains: Chains, work: Work, d: Coboundary) -> Int:
    """Reduce chain k, whose pivot `row` is not free: the free pivot, or -1 if buffers are full."""
    count, number, at = chains.stop[k + 1] - chains.stop[k], row // ROWS, row % ROWS
    if count > work.working.indices.size:
        return -1
    sum_chain(k, row, chains, summands_from(0, count, work.working), work.block, work, d)
    while True:
        at = find_row(at, work.block, d.p)
        if at == ROWS:
            number, at = number + 1, 0
            if not move_on(number, summands_from(0, count, work.working), work, d.p):
                return -1
            continue
        row = number * ROWS + at
        total = find_residue(at, work.block, d.p)
        if work.rows.owner[row] == NOBODY:
            return row if keep_working(row, total, count, work, d.p) else -1
        if not add_owner(row, total, count, chains, work, d):
            return -1
        count += 1


@njit_step
def reduce_blocks(
    first: Int, chains: Chains, found: NDArray[np.int64], work: Work, d: Coboundary
) -> bool:
    """Reduce the chains from `first` on; False if the buffers are full.

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
