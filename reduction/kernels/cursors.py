"""Reduction of the coboundary matrix of a complete complex while its columns are short.

Nothing of the matrix is stored. Columns are reduced from the last simplex to the first. The working
column is a set of simplices with coefficients, a column of V (see `reduction.boundary`), and each
has a cursor into its own coboundary, in a heap by (value, position) of where the cursor stands.
Whatever lies before the current pivot cancels in total, so a simplex enters at its first cofacet
from the pivot on. Cursors that stand at the same cofacet are taken together: where they cancel
they move on; at the pivot they stay, since the next addition may change or remove any of them.

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
DONE, WORKED, SLOTS_FULL, COLUMNS_FULL = 0, 1, 2, 3


class Cursors(NamedTuple):
    """Simplices that entered a working column, each in a slot, and their next cofacets."""

    used: NDArray[np.int64]  # (1,) slots
    table: NDArray[np.int64]  # (2S or more,) slots by simplex
    simplex: NDArray[np.int64]  # (S,)
    value: NDArray[np.float64]  # (S, NEXT) of the next cofacets, in order
    cofacet: NDArray[np.int64]  # (S, NEXT) the same, as notes
    counts: NDArray[np.int64]  # (S,) how many
    at: NDArray[np.int64]  # (S,) which of them the cursor is at; -1 if not in the working column
    coefficient: NDArray[np.int64]  # (S,) in the working column


class Heap(NamedTuple):
    """The slots of the working column, the least (value, position) of a cofacet on top."""

    size: NDArray[np.int64]  # (1,)
    value: NDArray[np.float64]  # (S,)
    cofacet: NDArray[np.int64]  # (S,)
    slot: NDArray[np.int64]  # (S,)


class Columns(NamedTuple):
    """Reduced columns of V, scaled to have 1 at their pivots, and who owns which pivot."""

    order: NDArray[np.int64]  # (N,) the simplices whose columns are reduced, in that order
    pivot: NDArray[np.int64]  # (N,)
    table: NDArray[np.int64]  # (2N or more,) columns by pivot
    stop: NDArray[np.int64]  # (N+1,) column k stands at stop[k]:stop[k + 1] in the next two
    simplices: NDArray[np.int64]
    multiples: NDArray[np.int64]


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
    """Find the first cofacets from (value, position) on, and set the cursor at the first."""
    find_vertices(cursors.simplex[slot], d.r + 1, d.binomials, vertices)
    values, notes = cursors.value[slot], cursors.cofacet[slot]
    begin, low, count, highest = np.int64(0), 0, 0, np.inf
    for k in range(d.r + 1):
        begin += d.binomials[k + 2, vertices[k]]
    for k in range(d.r + 2):  # the new vertex has k before it
        for vertex in range(low, vertices[k] if k <= d.r else d.n):
            cofacet = begin + d.binomials[k + 1, vertex]
            height = d.above[cofacet]
            if height < value or height > highest or (height == value and cofacet < position):
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
    place = find_place(simplex, cursors.table, cursors.simplex)
    if cursors.table[place] < 0:
        slot = cursors.used[0]
        cursors.used[0] += 1
        cursors.table[place], cursors.simplex[slot] = slot, simplex
        cursors.counts[slot], cursors.at[slot], cursors.coefficient[slot] = 0, -1, 0
    return cursors.table[place]


@njit_step
def place_cursor(
    slot: Int,
    value: Float,
    position: Int,
    cursors: Cursors,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> None:
    """Set the cursor at the first cofacet from (value, position) on; at -1 if there is none."""
    count, note = cursors.counts[slot], 2 * position
    values, notes = cursors.value[slot], cursors.cofacet[slot]
    if (
        count == 0
        or precedes(value, note, values[0], notes[0])
        or precedes(values[count - 1], notes[count - 1], value, note)
    ):
        next_cofacets(slot, value, position, cursors, d, vertices)
        return
    at = 0
    while precedes(values[at], notes[at], value, note):
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
    """Add a multiple of a simplex to the working column, whose pivot is (value, position)."""
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
        next_cofacets(slot, value, (note >> 1) + 1, cursors, d, vertices)
        at = cursors.at[slot]
        if at < 0:
            cursors.coefficient[slot] = 0
            return
    push(heap, cursors.value[slot, at], cursors.cofacet[slot, at], slot)


@njit_step
def find_pivot(
    cursors: Cursors,
    heap: Heap,
    standing: NDArray[np.int64],
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> tuple[Int, Int]:
    """The coefficient of the working column at its pivot, the heap's top, and the cursors taken.

    standing  room for all the slots of the heap
    """
    taken = 0
    while True:
        value, note = heap.value[0], heap.cofacet[0]
        total, standers = np.int64(0), 0
        while heap.size[0] and heap.value[0] == value and heap.cofacet[0] >> 1 == note >> 1:
            slot, sign = heap.slot[0], heap.cofacet[0] & 1
            pop(heap)
            taken += 1
            coefficient = cursors.coefficient[slot]
            if coefficient:
                total += d.p - coefficient if sign else coefficient
                standing[standers] = slot
                standers += 1
            else:
                cursors.at[slot] = -1
        total %= d.p
        for k in range(standers):
            slot = standing[k]
            if total:
                at = cursors.at[slot]
                push(heap, cursors.value[slot, at], cursors.cofacet[slot, at], slot)
            else:
                advance(slot, cursors, heap, d, vertices)
        if total:
            return total, taken


@njit_step
def find_owner(pivot: Int, columns: Columns, d: Coboundary, vertices: NDArray[np.int64]) -> Int:
    """Who owns a pivot: a column k as k, the r-simplex j of an apparent pair as -2 - j, nobody -1.

    Apparent pairs stand in no table: they are found again.
    """
    column = columns.table[find_place(pivot, columns.table, columns.pivot)]
    if column >= 0:
        return column
    facet = latest_facet(pivot, d, vertices)
    return -2 - facet if d.earliest[facet] == pivot else -1


@njit_step
def refill_table(cursors: Cursors) -> None:
    """Fill the empty table with the slots in use."""
    for slot in range(cursors.used[0]):
        place = find_place(cursors.simplex[slot], cursors.table, cursors.simplex)
        cursors.table[place] = slot


@njit_step
def add_owner(
    owner: Int,
    total: Int,
    cursors: Cursors,
    heap: Heap,
    columns: Columns,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> Int:
    """Add the multiple of the owner's column that cancels `total` at the pivot, the heap's top.

    Returns how many simplices enter, or -1, with nothing done, where there may be no slot for them.
    """
    value, pivot = heap.value[0], heap.cofacet[0] >> 1
    if owner < -1:
        if cursors.used[0] == cursors.simplex.size:
            return -1
        sign = find_sign(-2 - owner, pivot, d, vertices)
        multiple = (d.p - total) * sign % d.p
        enter(-2 - owner, multiple, value, pivot, cursors, heap, d, vertices)
        return 1
    begin, end = columns.stop[owner], columns.stop[owner + 1]
    if cursors.used[0] + end - begin > cursors.simplex.size:
        return -1
    for k in range(begin, end):
        multiple = (d.p - total) * columns.multiples[k] % d.p
        enter(columns.simplices[k], multiple, value, pivot, cursors, heap, d, vertices)
    return end - begin


@njit_step
def empty_column(cursors: Cursors, heap: Heap) -> None:
    """Take everything out of the working column."""
    for k in range(heap.size[0]):
        slot = heap.slot[k]
        cursors.at[slot], cursors.coefficient[slot] = -1, 0
    heap.size[0] = 0


@njit_step
def claim_at_once(k: Int, columns: Columns, d: Coboundary, vertices: NDArray[np.int64]) -> bool:
    """Emergent pairs: column k, untouched, takes its earliest cofacet as pivot if that is free."""
    simplex = columns.order[k]
    pivot = d.earliest[simplex]
    if find_owner(pivot, columns, d, vertices) != -1:
        return False
    at = columns.stop[k]
    columns.simplices[at] = simplex
    columns.multiples[at] = find_sign(simplex, pivot, d, vertices)  # its own inverse
    columns.stop[k + 1] = at + 1
    columns.pivot[k] = pivot
    columns.table[find_place(pivot, columns.table, columns.pivot)] = k
    return True


@njit_step
def claim(k: Int, total: Int, cursors: Cursors, heap: Heap, columns: Columns, p: Int) -> None:
    """Keep the working column as column k; its pivot, where it is `total`, belongs to it."""
    pivot, at, scale = heap.cofacet[0] >> 1, columns.stop[k], inverse(total, p)
    for i in range(heap.size[0]):
        slot = heap.slot[i]
        if cursors.coefficient[slot]:
            columns.simplices[at] = cursors.simplex[slot]
            columns.multiples[at] = cursors.coefficient[slot] * scale % p
            at += 1
    columns.stop[k + 1], columns.pivot[k] = at, pivot
    columns.table[find_place(pivot, columns.table, columns.pivot)] = k


@njit
def reduce_columns(
    first: Int, limit: Int, cursors: Cursors, heap: Heap, columns: Columns, d: Coboundary
) -> tuple[Int, Int]:
    """Reduce the columns from `first` on; the first not reduced, and why (DONE: there is none).

    limit  of cursors set or moved; beyond it reducing ends (WORKED)
    Every column of a complete complex has a pivot: below its top dimension the complex is acyclic.
    """
    vertices, standing = np.empty(d.r + 2, np.int64), np.empty(heap.slot.size, np.int64)
    work = 0
    for k in range(first, columns.order.size):
        if columns.stop[k] == columns.simplices.size:
            return k, COLUMNS_FULL
        if claim_at_once(k, columns, d, vertices):
            continue
        if work > limit:
            return k, WORKED
        simplex = columns.order[k]
        pivot = d.earliest[simplex]
        if cursors.used[0] == cursors.simplex.size:
            return k, SLOTS_FULL
        enter(simplex, 1, d.above[pivot], pivot, cursors, heap, d, vertices)
        owner, total = np.int64(0), np.int64(0)
        while owner != -1:
            total, taken = find_pivot(cursors, heap, standing, d, vertices)
            owner = find_owner(heap.cofacet[0] >> 1, columns, d, vertices)
            if owner != -1:
                entered = add_owner(owner, total, cursors, heap, columns, d, vertices)
                if entered < 0:
                    empty_column(cursors, heap)
                    return k, SLOTS_FULL
                work += taken + entered
        if columns.stop[k] + heap.size[0] > columns.simplices.size:
            empty_column(cursors, heap)
            return k, COLUMNS_FULL
        claim(k, total, cursors, heap, columns, d.p)
        empty_column(cursors, heap)
    return columns.order.size, DONE
