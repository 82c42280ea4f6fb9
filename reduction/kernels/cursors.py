"""Reduction of the coboundary matrix of a complete complex while its columns are short.

Nothing of the matrix is stored. Columns are reduced from the last simplex to the first. The working
column is a set of simplices with coefficients, a column of V (see `persistence.boundary`), and each
has a cursor into its own coboundary, in a heap by (value, position) of where the cursor stands.
Cursors that stand at the oldest cofacet are taken together: where they cancel they move on. Where
they do not, and the pivot belongs to another column, they move on too, and the simplices of that
column enter behind the pivot: what lies before the cursors cancels in total.

The first cofacets of every simplex are known (`kernels.first_cofacets`). Where a cursor goes beyond
them the next ones are found among all (`kernels.coboundary`), a few at a time, and kept in a row of
its own.

Sources: Bauer (2021), "Ripser": coboundaries enumerated, emergent and apparent pairs; Chen & Kerber
(2011): clearing. The cursors are this library's own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.coboundary import (
    NEXT,
    Coboundary,
    Scan,
    find_sign,
    next_cofacets,
    oldest_cofacet,
    youngest_facet,
)
from reduction.kernels.compilation import Float, Int, njit, njit_inline, njit_step
from reduction.kernels.first_cofacets import FIRST
from reduction.kernels.heap import Heap, pop, precedes, push
from reduction.kernels.sparse_columns import inverse

COEFFICIENT, CURSOR = 0, 1
AT_BITS = 4
AT_MASK = (1 << AT_BITS) - 1  # FIRST + NEXT or more
DONE, WORKED, COLUMNS_FULL = 0, 1, 2


class Cursors(NamedTuple):
    """Cursors of the simplices in the working column, and the cofacets at which they stand.

    state  (m, 2): each simplex's coefficient in the working column; and its row << AT_BITS, 0 for
           none, + the index of its cursor: 0 if it is not in the working column; 1..FIRST-1 among
           the first cofacets in the coboundary operator; FIRST+1.. in the row
    rows   (R,) records, from 1 on: a cofacet, and the next ones behind it
    """

    used: NDArray[np.int64]  # (1,) rows
    state: NDArray[np.integer]
    rows: NDArray[np.void]
    ahead: NDArray[np.int64]  # (1,) of no meaning: so that reading ahead is not optimised away
    scan: Scan


class Chains(NamedTuple):
    """Columns of V, whose coboundaries have coefficient 1 at their pivots.

    They lack simplices that have no cofacets behind; with them nothing is before the pivot.
    """

    pivot: NDArray[np.int64]  # (N,)
    stop: NDArray[np.int64]  # (N+1,) chain k is stop[k]:stop[k + 1] of the next two
    simplices: NDArray[np.integer]
    multiples: NDArray[np.integer]


class Columns(NamedTuple):
    """Reduced columns, no two with the same pivot."""

    used: NDArray[np.int64]  # (2,) columns; steps of cursors for them
    table: NDArray[np.int32]  # (2N or more,) chains by pivot
    chains: Chains


@njit_inline
def standing(simplex: Int, cursors: Cursors, d: Coboundary) -> tuple[Float, Int]:
    """The value of the cofacet at which a cursor stands, and the encoded cofacet."""
    at, row = cursors.state[simplex, CURSOR] & AT_MASK, cursors.state[simplex, CURSOR] >> AT_BITS
    if at < FIRST:
        return d.first[simplex]["value"][at], np.int64(d.first[simplex]["cofacet"][at])
    return cursors.rows[row]["value"][at - FIRST], np.int64(
        cursors.rows[row]["cofacet"][at - FIRST]
    )


@njit_inline
def is_working(simplex: Int, cursors: Cursors) -> bool:
    """Whether the simplex is in the working column."""
    return cursors.state[simplex, CURSOR] & AT_MASK != 0


@njit_inline
def stand(simplex: Int, at: Int, cursors: Cursors) -> None:
    """Set the cursor to an index; 0 takes the simplex out of the working column."""
    state = cursors.state[simplex, CURSOR]
    cursors.state[simplex, CURSOR] = (state & ~AT_MASK) | at


@njit_inline
def set_cursor(simplex: Int, value: Float, position: Int, cursors: Cursors, d: Coboundary) -> None:
    """Set the cursor at the first cofacet behind (value, position); at 0 if there is none.

    A simplex enters behind its oldest cofacet, so this is among the first ones or behind them.
    """
    cofacet, at = 2 * position, 1
    values, cofacets = d.first[simplex]["value"], d.first[simplex]["cofacet"]
    while at < FIRST and not precedes(value, cofacet, values[at], cofacets[at]):
        at += 1
    if at < FIRST:
        stand(simplex, at if values[at] < np.inf else 0, cursors)
    else:
        set_in_row(simplex, value, position, cursors, d)


@njit_step
def set_in_row(simplex: Int, value: Float, position: Int, cursors: Cursors, d: Coboundary) -> None:
    """Set the cursor in the simplex's own row, written anew unless the cofacet is there."""
    cofacet, row = 2 * position, np.int64(cursors.state[simplex, CURSOR]) >> AT_BITS
    if row == 0:
        cursors.used[0] += 1
        row = cursors.used[0]
        cursors.state[simplex, CURSOR], cursors.rows[row]["value"][0] = row << AT_BITS, np.inf
    values, cofacets = cursors.rows[row]["value"], cursors.rows[row]["cofacet"]
    if precedes(value, cofacet, values[0], cofacets[0]) or not precedes(
        value, cofacet, values[NEXT], cofacets[NEXT]
    ):
        next_cofacets(simplex, value, position, d, values, cofacets, cursors.scan)
    at = 1
    while not precedes(value, cofacet, values[at], cofacets[at]):
        at += 1
    stand(simplex, FIRST + at if values[at] < np.inf else 0, cursors)


@njit_inline
def enter(
    simplex: Int,
    coefficient: Int,
    value: Float,
    position: Int,
    cursors: Cursors,
    heap: Heap,
    d: Coboundary,
) -> None:
    """Add a multiple of a simplex to the working column, behind the pivot (value, position).

    Where it has no cofacets behind the pivot it is left out.
    """
    if not is_working(simplex, cursors):
        set_cursor(simplex, value, position, cursors, d)
        if not is_working(simplex, cursors):
            cursors.state[simplex, COEFFICIENT] = 0
            return
        next_value, next_cofacet = standing(simplex, cursors, d)
        push(heap, next_value, next_cofacet, simplex)
    total = cursors.state[simplex, COEFFICIENT] + coefficient
    cursors.state[simplex, COEFFICIENT] = total % d.p


@njit_inline
def take_oldest(cursors: Cursors, heap: Heap, p: Int) -> tuple[Int, Int]:
    """Take the cursors off the heap that stand at the oldest cofacet: their total and number.

    They are left in `heap.standing`. Those whose simplices have left the working column are gone.
    """
    value, cofacet = heap.value[0], heap.cofacet[0]
    total, standers = np.int64(0), 0
    while heap.size[0] and heap.value[0] == value and heap.cofacet[0] >> 1 == cofacet >> 1:
        simplex, sign = heap.simplex[0], heap.cofacet[0] & 1
        pop(heap)
        coefficient = np.int64(cursors.state[simplex, COEFFICIENT])
        if coefficient:
            total += p - coefficient if sign else coefficient
            heap.standing[standers] = simplex
            standers += 1
        else:
            stand(simplex, 0, cursors)
    return total % p, standers


@njit_step
def find_slot(key: Int, table: NDArray[np.int32], keys: NDArray[np.int64]) -> Int:
    """The slot of a key's index in a hash table, or the empty one where it belongs.

    The table holds indices into an array of keys, -1 in empty slots; its size is a power of 2, and
    it is never full. Source: linear probing (Knuth, TAOCP 3, 6.4).
    """
    mask = table.size - 1
    slot = (((key ^ key >> 31) & 0x7FFFFFFF) * 0x9E3779B1 >> 24) & mask  # below 2**63
    while table[slot] >= 0 and keys[table[slot]] != key:
        slot = (slot + 1) & mask
    return slot


@njit_inline
def find_column(pivot: Int, columns: Columns) -> Int:
    """The column with this pivot, or -1."""
    return np.int64(columns.table[find_slot(pivot, columns.table, columns.chains.pivot)])


@njit_step
def find_owner(pivot: Int, cursors: Cursors, columns: Columns, d: Coboundary) -> Int:
    """The owner of a pivot: column k as k, r-simplex j of an apparent pair as -2 - j, none as -1.

    Apparent pairs are in no table: they are found again.
    """
    column = find_column(pivot, columns)
    if column >= 0:
        return column
    facet = youngest_facet(pivot, d, cursors.scan.vertices)
    return -2 - facet if oldest_cofacet(facet, d) == pivot else np.int64(-1)


@njit_step
def owner_chain(
    owner: Int, total: Int, pivot: Int, cursors: Cursors, columns: Columns, d: Coboundary
) -> tuple[Int, Int, Int]:
    """Bounds of the owner's chain, and its multiple that cancels `total` at the pivot.

    The chain of an apparent pair, one simplex, is written behind the columns.
    """
    chains, rest = columns.chains, d.p - total
    if owner >= 0:
        return chains.stop[owner], chains.stop[owner + 1], rest
    at = chains.stop[columns.used[0]]
    chains.simplices[at] = -2 - owner
    chains.multiples[at] = find_sign(-2 - owner, pivot, d, cursors.scan.vertices)
    return at, at + 1, rest


@njit_step
def read_ahead(begin: Int, end: Int, chains: Chains, cursors: Cursors, d: Coboundary) -> None:
    """Read a chain and the states of its simplices before `enter` does, to fetch them at once."""
    ahead = np.int64(0)
    for i in range(begin, end):
        simplex = chains.simplices[i]
        ahead ^= (
            cursors.state[simplex, CURSOR] ^ d.first[simplex]["cofacet"][0] ^ chains.multiples[i]
        )
    cursors.ahead[0] = ahead


@njit_step
def keep_column(pivot: Int, stop: Int, columns: Columns) -> None:
    """Make a column, which owns the pivot, of the terms written behind the last chain."""
    k = columns.used[0]
    columns.used[0] += 1
    columns.chains.stop[k + 1], columns.chains.pivot[k] = stop, pivot
    columns.table[find_slot(pivot, columns.table, columns.chains.pivot)] = k


@njit_step
def keep_chain(k: Int, begun: Chains, columns: Columns) -> None:
    """Keep chain k, whose pivot is free, as a reduced column: an emergent pair."""
    at, chains = columns.chains.stop[columns.used[0]], columns.chains
    for i in range(begun.stop[k], begun.stop[k + 1]):
        chains.simplices[at], chains.multiples[at] = begun.simplices[i], begun.multiples[i]
        at += 1
    keep_column(begun.pivot[k], at, columns)


@njit_step
def keep_working(
    pivot: Int, total: Int, cursors: Cursors, heap: Heap, columns: Columns, p: Int
) -> None:
    """Keep the working column, whose coefficient at its free pivot is `total`."""
    at, chains, scale = columns.chains.stop[columns.used[0]], columns.chains, inverse(total, p)
    for i in range(heap.size[0]):
        simplex = heap.simplex[i]
        coefficient = np.int64(cursors.state[simplex, COEFFICIENT])
        if coefficient:
            chains.simplices[at] = simplex
            chains.multiples[at] = coefficient * scale % p
            at += 1
    keep_column(pivot, at, columns)


@njit_step
def empty_column(cursors: Cursors, heap: Heap) -> None:
    """Empty the working column."""
    for k in range(heap.size[0]):
        simplex = heap.simplex[k]
        cursors.state[simplex, COEFFICIENT] = 0
        stand(simplex, 0, cursors)
    heap.size[0] = 0


@njit_step
def reduce_one(
    k: Int,
    owner: Int,
    begun: Chains,
    cursors: Cursors,
    heap: Heap,
    columns: Columns,
    d: Coboundary,
) -> tuple[Int, Int, Int]:
    """Reduce chain k, whose pivot has an owner: the free pivot, the total there, and the steps."""
    chains, begin, end, multiple = begun, begun.stop[k], begun.stop[k + 1], np.int64(1)
    pivot, total, standers, steps, begins = begun.pivot[k], np.int64(1), 0, 0, True
    value = d.above[pivot]
    while True:
        read_ahead(begin, end, chains, cursors, d)
        for i in range(begin - standers, end):  # those that stood at the pivot, then the chain
            if i < begin:
                simplex, coefficient = heap.standing[begin - 1 - i], np.int64(0)
                stand(simplex, 0, cursors)
            else:
                simplex = np.int64(chains.simplices[i])
                coefficient = multiple * chains.multiples[i] % d.p
            enter(simplex, coefficient, value, pivot, cursors, heap, d)
        steps += standers + end - begin
        if not begins:
            value, pivot = heap.value[0], heap.cofacet[0] >> 1
            total, standers = take_oldest(cursors, heap, d.p)
            owner = find_owner(pivot, cursors, columns, d) if total else np.int64(-1)
            if total and owner == -1:
                for i in range(standers):
                    simplex = heap.standing[i]
                    push(heap, value, standing(simplex, cursors, d)[1], simplex)
                return pivot, total, steps
        chains, begins, begin, end = columns.chains, False, np.int64(0), np.int64(0)
        if total:
            begin, end, multiple = owner_chain(owner, total, pivot, cursors, columns, d)


@njit
def reduce_columns(
    first: Int,
    limit: Int,
    begun: Chains,
    apart: bool,
    cursors: Cursors,
    heap: Heap,
    columns: Columns,
    d: Coboundary,
) -> tuple[Int, Int]:
    """Reduce chains from `first` on, append them to the columns; the first not reduced, a status.

    limit  of steps, settings and moves of cursors; beyond it reducing ends (WORKED)
    apart  whether no apparent pair owns the chains' pivots
    Every column of a complete complex has a pivot: below its top dimension the complex is acyclic.
    """
    chains = columns.chains
    for k in range(first, begun.pivot.size):
        free = chains.simplices.size - chains.stop[columns.used[0]]
        if free <= begun.stop[k + 1] - begun.stop[k]:  # `owner_chain` writes one term
            return k, COLUMNS_FULL
        owner = find_column(begun.pivot[k], columns)
        if owner == -1 and not apart:
            owner = find_owner(begun.pivot[k], cursors, columns, d)
        if owner == -1:
            keep_chain(k, begun, columns)
            continue
        if columns.used[1] > limit:
            return k, WORKED
        pivot, total, entered = reduce_one(k, owner, begun, cursors, heap, columns, d)
        columns.used[1] += entered
        if free < heap.size[0]:
            empty_column(cursors, heap)
            return k, COLUMNS_FULL
        keep_working(pivot, total, cursors, heap, columns, d.p)
        empty_column(cursors, heap)
    return begun.pivot.size, DONE
