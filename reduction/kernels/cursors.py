"""Reduction of the coboundary matrix of a complete complex while its columns are short.

Nothing of the matrix is stored. Columns are reduced from the last simplex to the first. The working
column is a set of simplices with coefficients, a column of V (see `reduction.boundary`), and each
has a cursor into its own coboundary, in a heap by (value, position) of where the cursor stands.
Cursors that stand at the earliest cofacet are taken together: where they cancel they move on. Where
they do not, and the pivot belongs to another column, they move on too, and the simplices of that
column enter behind the pivot: what lies before the cursors cancels in total.

The next cofacets of each simplex that ever entered are kept, NEXT of them at a time; what lies
behind them is looked for anew. A cofacet is noted as 2 * position + (1 where its sign is -1).

Sources: Bauer (2021), "Ripser": coboundaries enumerated, emergent and apparent pairs; Chen & Kerber
(2011): clearing. The cursors are this library's own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit, njit_step
from reduction.kernels.matrix import inverse
from reduction.kernels.simplices import (
    Coboundary,
    find_sign,
    find_vertices,
    latest_facet,
)
from reduction.kernels.tables import find_place

NEXT = 8
DONE, WORKED, COLUMNS_FULL = 0, 1, 2


class Cursors(NamedTuple):
    """Simplices that entered a working column, each in a slot, and their next cofacets."""

    used: NDArray[np.int64]  # (1,) slots
    slot: NDArray[np.int32]  # (m,) of each r-simplex; -1 if it never entered
    simplex: NDArray[np.int64]  # (S,)
    behind_value: NDArray[np.float64]  # (S,) where its next cofacets begin: behind this value
    behind: NDArray[np.int64]  # (S,) and this cofacet, a note
    value: NDArray[np.float64]  # (S, NEXT) of the next cofacets, in order
    cofacet: NDArray[np.int64]  # (S, NEXT) the same, as notes
    counts: NDArray[np.int8]  # (S,) how many
    at: NDArray[np.int8]  # (S,) which of them the cursor is at; -1 if not in the working column
    coefficient: NDArray[np.int64]  # (S,) in the working column


class Heap(NamedTuple):
    """The slots of the working column, the least (value, position) of a cofacet on top."""

    size: NDArray[np.int64]  # (1,)
    value: NDArray[np.float64]  # (S,)
    cofacet: NDArray[np.int64]  # (S,)
    slot: NDArray[np.int64]  # (S,)
    standing: NDArray[np.int64]  # (S,) room for slots that were taken off


class Chains(NamedTuple):
    """Columns of V, whose coboundaries have coefficient 1 at their pivots, and nothing before."""

    pivot: NDArray[np.int64]  # (N,)
    stop: NDArray[np.int64]  # (N+1,) chain k stands at stop[k]:stop[k + 1] in the next two
    simplices: NDArray[np.int64]
    multiples: NDArray[np.int64]


class Columns(NamedTuple):
    """Reduced columns, no two with the same pivot."""

    used: NDArray[np.int64]  # (1,) how many
    table: NDArray[np.int32]  # (2N or more,) chains by pivot
    chains: Chains


@njit_step
def precedes(value: Float, note: Int, other_value: Float, other_note: Int) -> bool:
    """Is the first cofacet, given by its value and its note, before the other?"""
    return value < other_value or (value == other_value and note >> 1 < other_note >> 1)


@njit_step
def push(heap: Heap, value: Float, note: Int, slot: Int) -> None:
    """Put a slot on the heap."""
    at = heap.size[0]
    heap.size[0] += 1
    while at > 0:
        up = (at - 1) >> 1
        if not precedes(value, note, heap.value[up], heap.cofacet[up]):
            break
        heap.value[at], heap.cofacet[at], heap.slot[at] = (
            heap.value[up],
            heap.cofacet[up],
            heap.slot[up],
        )
        at = up
    heap.value[at], heap.cofacet[at], heap.slot[at] = value, note, slot


@njit_step
def pop(heap: Heap) -> None:
    """Take the top off the heap."""
    heap.size[0] -= 1
    size, at = heap.size[0], 0
    value, note, slot = heap.value[size], heap.cofacet[size], heap.slot[size]
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and precedes(
            heap.value[down + 1], heap.cofacet[down + 1], heap.value[down], heap.cofacet[down]
        ):
            down += 1
        if not precedes(heap.value[down], heap.cofacet[down], value, note):
            break
        heap.value[at], heap.cofacet[at], heap.slot[at] = (
            heap.value[down],
            heap.cofacet[down],
            heap.slot[down],
        )
        at = down
    heap.value[at], heap.cofacet[at], heap.slot[at] = value, note, slot


@njit_step
def insert_cofacet(
    value: Float,
    note: Int,
    count: Int,
    values: NDArray[np.float64],
    notes: NDArray[np.int64],
) -> None:
    """Insert into the first `count` of a row in order; what falls off the end is lost."""
    at = min(count, NEXT - 1)
    while at > 0 and precedes(value, note, values[at - 1], notes[at - 1]):
        values[at], notes[at] = values[at - 1], notes[at - 1]
        at -= 1
    values[at], notes[at] = value, note


@njit_step
def next_cofacets(
    slot: Int,
    value: Float,
    position: Int,
    cursors: Cursors,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> None:
    """Find the first cofacets behind (value, position), and set the cursor at the first."""
    cursors.behind_value[slot], cursors.behind[slot] = value, 2 * position
    find_vertices(cursors.simplex[slot], d.r + 1, d.binomials, vertices)
    values, notes = cursors.value[slot], cursors.cofacet[slot]
    begin, low, count, highest = np.int64(0), 0, 0, np.inf
    for k in range(d.r + 1):
        begin += d.binomials[k + 2, vertices[k]]
    for k in range(d.r + 2):  # the new vertex has k before it
        for vertex in range(low, vertices[k] if k <= d.r else d.n):
            cofacet = begin + d.binomials[k + 1, vertex]
            height = d.above[cofacet]
            if height < value or height > highest or (height == value and cofacet <= position):
                continue
            note = 2 * cofacet + (k & 1)
            if count == NEXT and not precedes(height, note, highest, notes[NEXT - 1]):
                continue
            insert_cofacet(height, note, count, values, notes)
            count = min(count + 1, NEXT)
            if count == NEXT:
                highest = values[NEXT - 1]
        if k <= d.r:
            low = vertices[k] + 1
            begin += d.binomials[k + 1, vertices[k]] - d.binomials[k + 2, vertices[k]]
    cursors.counts[slot], cursors.at[slot] = count, 0 if count else -1


@njit_step
def find_slot(simplex: Int, cursors: Cursors) -> Int:
    """The slot of a simplex; a new one, with no cofacets found, if it never entered."""
    slot = np.int64(cursors.slot[simplex])
    if slot < 0:
        slot = cursors.used[0]
        cursors.used[0] += 1
        cursors.slot[simplex], cursors.simplex[slot] = slot, simplex
        cursors.counts[slot], cursors.at[slot], cursors.coefficient[slot] = 0, -1, 0
    return slot


@njit_step
def place_cursor(
    slot: Int,
    value: Float,
    position: Int,
    cursors: Cursors,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> None:
    """Set the cursor at the first cofacet behind (value, position); at -1 if there is none."""
    note, count = 2 * position, cursors.counts[slot]
    values, notes = cursors.value[slot], cursors.cofacet[slot]
    if (
        count == 0
        or precedes(value, note, cursors.behind_value[slot], cursors.behind[slot])
        or not precedes(value, note, values[count - 1], notes[count - 1])
    ):
        next_cofacets(slot, value, position, cursors, d, vertices)
        return
    at = 0
    while not precedes(value, note, values[at], notes[at]):
        at += 1
    cursors.at[slot] = at


@njit_step
def enter(
    simplex: Int,
    coefficient: Int,
    value: Float,
    position: Int,
    cursors: Cursors,
    heap: Heap,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> None:
    """Add a multiple of a simplex to the working column, behind the pivot (value, position)."""
    slot = find_slot(simplex, cursors)
    if cursors.at[slot] < 0:
        place_cursor(slot, value, position, cursors, d, vertices)
        at = cursors.at[slot]
        if at < 0:
            return
        push(heap, cursors.value[slot, at], cursors.cofacet[slot, at], slot)
    cursors.coefficient[slot] = (cursors.coefficient[slot] + coefficient) % d.p


@njit_step
def advance(
    slot: Int, cursors: Cursors, heap: Heap, d: Coboundary, vertices: NDArray[np.int64]
) -> None:
    """Move a cursor, taken off the heap, to its next cofacet and put it back, if there is one."""
    at = cursors.at[slot] + 1
    if at < cursors.counts[slot]:
        cursors.at[slot] = at
    else:
        value, note = cursors.value[slot, at - 1], cursors.cofacet[slot, at - 1]
        next_cofacets(slot, value, note >> 1, cursors, d, vertices)
        at = cursors.at[slot]
        if at < 0:
            cursors.coefficient[slot] = 0
            return
    push(heap, cursors.value[slot, at], cursors.cofacet[slot, at], slot)


@njit_step
def take_earliest(cursors: Cursors, heap: Heap, p: Int) -> tuple[Int, Int]:
    """Take the cursors off the heap that stand at the earliest cofacet: their total, and how many.

    They are left in `heap.standing`. Those whose simplices have left the working column are gone.
    """
    value, note = heap.value[0], heap.cofacet[0]
    total, standers = np.int64(0), 0
    while heap.size[0] and heap.value[0] == value and heap.cofacet[0] >> 1 == note >> 1:
        slot, sign = heap.slot[0], heap.cofacet[0] & 1
        pop(heap)
        coefficient = cursors.coefficient[slot]
        if coefficient:
            total += p - coefficient if sign else coefficient
            heap.standing[standers] = slot
            standers += 1
        else:
            cursors.at[slot] = -1
    return total % p, standers


@njit_step
def find_owner(pivot: Int, columns: Columns, d: Coboundary, vertices: NDArray[np.int64]) -> Int:
    """Who owns a pivot: a column k as k, the r-simplex j of an apparent pair as -2 - j, nobody -1.

    Apparent pairs stand in no table: they are found again.
    """
    column = columns.table[find_place(pivot, columns.table, columns.chains.pivot)]
    if column >= 0:
        return np.int64(column)
    facet = latest_facet(pivot, d, vertices)
    return -2 - facet if d.earliest[facet] == pivot else np.int64(-1)


@njit_step
def add_chain(
    k: Int,
    multiple: Int,
    value: Float,
    pivot: Int,
    chains: Chains,
    cursors: Cursors,
    heap: Heap,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> Int:
    """Add a multiple of chain k to the working column, behind the pivot; how many simplices."""
    begin, end = chains.stop[k], chains.stop[k + 1]
    for i in range(begin, end):
        coefficient = multiple * chains.multiples[i] % d.p
        enter(chains.simplices[i], coefficient, value, pivot, cursors, heap, d, vertices)
    return end - begin


@njit_step
def add_owner(
    owner: Int,
    total: Int,
    value: Float,
    pivot: Int,
    cursors: Cursors,
    heap: Heap,
    columns: Columns,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> Int:
    """Add the multiple of the owner's column that cancels `total` at the pivot; its size."""
    if owner >= 0:
        rest = d.p - total
        return add_chain(owner, rest, value, pivot, columns.chains, cursors, heap, d, vertices)
    rest = (d.p - total) * find_sign(-2 - owner, pivot, d, vertices) % d.p
    enter(-2 - owner, rest, value, pivot, cursors, heap, d, vertices)
    return 1


@njit_step
def keep_column(pivot: Int, stop: Int, columns: Columns) -> None:
    """What was written behind the last chain becomes a column, which owns the pivot."""
    k = columns.used[0]
    columns.used[0] += 1
    columns.chains.stop[k + 1], columns.chains.pivot[k] = stop, pivot
    columns.table[find_place(pivot, columns.table, columns.chains.pivot)] = k


@njit_step
def keep_chain(k: Int, begun: Chains, columns: Columns) -> None:
    """Emergent pairs: chain k, whose pivot is free, is a reduced column as it is."""
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
        slot = heap.slot[i]
        if cursors.coefficient[slot]:
            chains.simplices[at] = cursors.simplex[slot]
            chains.multiples[at] = cursors.coefficient[slot] * scale % p
            at += 1
    keep_column(pivot, at, columns)


@njit_step
def empty_column(cursors: Cursors, heap: Heap) -> None:
    """Take everything out of the working column."""
    for k in range(heap.size[0]):
        slot = heap.slot[k]
        cursors.at[slot], cursors.coefficient[slot] = -1, 0
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
    vertices: NDArray[np.int64],
) -> tuple[Int, Int, Int]:
    """Reduce chain k, whose pivot has an owner: the free pivot, the total there, and the work."""
    pivot, total = begun.pivot[k], np.int64(1)
    value = d.above[pivot]
    work = add_chain(k, 1, value, pivot, begun, cursors, heap, d, vertices)
    while True:
        work += add_owner(owner, total, value, pivot, cursors, heap, columns, d, vertices)
        total, owner = np.int64(0), np.int64(0)
        while True:
            value, pivot = heap.value[0], heap.cofacet[0] >> 1
            total, standers = take_earliest(cursors, heap, d.p)
            work += standers
            if total:
                owner = find_owner(pivot, columns, d, vertices)
                if owner == -1:
                    break
            for i in range(standers):
                advance(heap.standing[i], cursors, heap, d, vertices)
            if total:
                break
        if owner == -1:
            for i in range(standers):
                slot = heap.standing[i]
                push(heap, value, cursors.cofacet[slot, cursors.at[slot]], slot)
            return pivot, total, work


@njit
def reduce_columns(
    first: Int,
    limit: Int,
    begun: Chains,
    cursors: Cursors,
    heap: Heap,
    columns: Columns,
    d: Coboundary,
) -> tuple[Int, Int]:
    """Reduce chains from `first` on, append them to the columns; the first not reduced, and why.

    limit  of cursors set or moved; beyond it reducing ends (WORKED)
    Every column of a complete complex has a pivot: below its top dimension the complex is acyclic.
    """
    vertices, work, chains = np.empty(d.r + 2, np.int64), 0, columns.chains
    for k in range(first, begun.pivot.size):
        room = chains.simplices.size - chains.stop[columns.used[0]]
        if room < begun.stop[k + 1] - begun.stop[k]:
            return k, COLUMNS_FULL
        owner = find_owner(begun.pivot[k], columns, d, vertices)
        if owner == -1:
            keep_chain(k, begun, columns)
            continue
        if work > limit:
            return k, WORKED
        pivot, total, entered = reduce_one(k, owner, begun, cursors, heap, columns, d, vertices)
        work += entered
        if room < heap.size[0]:
            empty_column(cursors, heap)
            return k, COLUMNS_FULL
        keep_working(pivot, total, cursors, heap, columns, d.p)
        empty_column(cursors, heap)
    return begun.pivot.size, DONE
