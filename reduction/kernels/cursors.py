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

from reduction.kernels.compilation import Float, Int, njit, njit_inline, njit_step
from reduction.kernels.matrix import inverse
from reduction.kernels.simplices import (
    Coboundary,
    find_sign,
    find_vertices,
    latest_facet,
)
from reduction.kernels.streams import facet_row, first_tail, next_tail
from reduction.kernels.tables import find_place

NEXT = 7  # what is behind whom, and who, fit into two cache lines of 64 bytes
SIMPLEX, COEFFICIENT, COUNT, AT = 0, 1, 2, 3
DONE, WORKED, COLUMNS_FULL = 0, 1, 2


class Cursors(NamedTuple):
    """Simplices that entered a working column, each in a slot, and their next cofacets.

    state    (S, 4): the simplex; its coefficient in the working column; how many of its next
             cofacets are known; at which of them, 1.., the cursor stands, 0 where the simplex is
             not in the working column
    value    (S, 1 + NEXT): what the next cofacets are behind, then their values in order
    cofacet  (S, 1 + NEXT): the same, as notes
    """

    used: NDArray[np.int64]  # (1,) slots
    slot: NDArray[np.int32]  # (m,) of each r-simplex; -1 if it never entered
    state: NDArray[np.int64]
    value: NDArray[np.float64]
    cofacet: NDArray[np.int64]


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


@njit_inline
def precedes(value: Float, note: Int, other_value: Float, other_note: Int) -> bool:
    """Is the first cofacet, given by its value and its note, before the other?"""
    return value < other_value or (value == other_value and note >> 1 < other_note >> 1)


@njit_inline
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


@njit_inline
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
    value: Float, note: Int, count: Int, values: NDArray[np.float64], notes: NDArray[np.int64]
) -> None:
    """Insert into a row with `count` next cofacets, all in order; what falls off the end is lost.

    The cofacet is behind what stands first in the row.
    """
    at = min(count + 1, NEXT)
    while precedes(value, note, values[at - 1], notes[at - 1]):
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
    find_vertices(cursors.state[slot, SIMPLEX], d.r + 1, d, vertices)
    values, notes = cursors.value[slot], cursors.cofacet[slot]
    values[0], notes[0] = value, 2 * position
    begin, low, count, highest = np.int64(0), 0, 0, np.inf
    for k in range(d.r + 1):
        begin += d.binomials[k + 2, vertices[k]]
    for k in range(d.r + 2):  # the new vertex has k before it
        for vertex in range(low, vertices[k] if k <= d.r else d.n):
            cofacet = begin + d.binomials[k + 1, vertex]
            height = d.above[cofacet]
            if height < value or height >= highest or (height == value and cofacet <= position):
                continue
            insert_cofacet(height, 2 * cofacet + (k & 1), count, values, notes)
            count = min(count + 1, NEXT)
            if count == NEXT:
                highest = values[NEXT]
        if k <= d.r:
            low = vertices[k] + 1
            begin += d.binomials[k + 1, vertices[k]] - d.binomials[k + 2, vertices[k]]
    cursors.state[slot, COUNT], cursors.state[slot, AT] = count, min(count, 1)


@njit_inline
def find_slot(simplex: Int, cursors: Cursors) -> Int:
    """The slot of a simplex; a new one, with no cofacets found, if it never entered."""
    slot = np.int64(cursors.slot[simplex])
    if slot < 0:
        slot = cursors.used[0]
        cursors.used[0] += 1
        cursors.slot[simplex] = slot
        cursors.state[slot, SIMPLEX], cursors.state[slot, COEFFICIENT] = simplex, 0
        cursors.state[slot, COUNT], cursors.state[slot, AT] = 0, 0
    return slot


@njit_step
def note_cofacet(
    simplex: Int,
    value: Float,
    note: Int,
    highest: NDArray[np.float64],
    cursors: Cursors,
    d: Coboundary,
) -> None:
    """Put a cofacet among the next of its facet, unless it is the earliest."""
    if note >> 1 == d.earliest[simplex]:
        return
    slot = cursors.slot[simplex]
    values, count = cursors.value[slot], cursors.state[slot, COUNT]
    insert_cofacet(value, note, count, values, cursors.cofacet[slot])
    if count < NEXT:
        count += 1
        cursors.state[slot, COUNT] = count
    if count == NEXT:
        highest[simplex] = values[NEXT]


@njit
def place_ahead(simplices: NDArray[np.int64], cursors: Cursors, d: Coboundary) -> None:
    """Give simplices slots, and find their next cofacets behind the earliest in one pass.

    The pass is that of `kernels.streams`: it reads the values in the order in which they stand, and
    takes a fraction of the time of looking for each simplex's cofacets all over them.
    """
    highest = np.full(d.values.size, -np.inf)  # of the next cofacets found, once they are NEXT
    for simplex in simplices:
        slot = find_slot(simplex, cursors)
        cursors.value[slot, 0] = d.above[d.earliest[simplex]]
        cursors.cofacet[slot, 0] = 2 * d.earliest[simplex]
        highest[simplex] = np.inf
    vertices, begin = first_tail(d.r + 1, d.r + 1), 0
    while begin < d.above.size:
        row = d.above[begin : begin + vertices[1]]
        facet = facet_row(vertices, 0, d.binomials)
        for k in range(row.size):
            if row[k] < highest[facet]:
                note_cofacet(facet, row[k], 2 * (begin + k), highest, cursors, d)
        for omitted in range(1, d.r + 2):
            facet = facet_row(vertices, omitted, d.binomials)
            below = highest[facet : facet + row.size]
            for k in range(row.size):
                if row[k] < below[k]:
                    note = 2 * (begin + k) + (omitted & 1)
                    note_cofacet(facet + k, row[k], note, highest, cursors, d)
        begin += row.size
        next_tail(vertices)


@njit_inline
def place_cursor(
    slot: Int,
    value: Float,
    position: Int,
    cursors: Cursors,
    d: Coboundary,
    vertices: NDArray[np.int64],
) -> None:
    """Set the cursor at the first cofacet behind (value, position); at 0 if there is none."""
    note, count = 2 * position, cursors.state[slot, COUNT]
    values, notes = cursors.value[slot], cursors.cofacet[slot]
    if (
        count == 0
        or precedes(value, note, values[0], notes[0])
        or not precedes(value, note, values[count], notes[count])
    ):
        next_cofacets(slot, value, position, cursors, d, vertices)
        return
    at = 1
    while not precedes(value, note, values[at], notes[at]):
        at += 1
    cursors.state[slot, AT] = at


@njit_inline
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
    if cursors.state[slot, AT] == 0:
        place_cursor(slot, value, position, cursors, d, vertices)
        at = cursors.state[slot, AT]
        if at == 0:
            return
        push(heap, cursors.value[slot, at], cursors.cofacet[slot, at], slot)
    total = cursors.state[slot, COEFFICIENT] + coefficient
    cursors.state[slot, COEFFICIENT] = total % d.p


@njit_inline
def advance(
    slot: Int, cursors: Cursors, heap: Heap, d: Coboundary, vertices: NDArray[np.int64]
) -> None:
    """Move a cursor, taken off the heap, to its next cofacet and put it back, if there is one."""
    at = cursors.state[slot, AT] + 1
    if at <= cursors.state[slot, COUNT]:
        cursors.state[slot, AT] = at
    else:
        value, note = cursors.value[slot, at - 1], cursors.cofacet[slot, at - 1]
        next_cofacets(slot, value, note >> 1, cursors, d, vertices)
        at = cursors.state[slot, AT]
        if at == 0:
            cursors.state[slot, COEFFICIENT] = 0
            return
    push(heap, cursors.value[slot, at], cursors.cofacet[slot, at], slot)


@njit_inline
def take_earliest(cursors: Cursors, heap: Heap, p: Int) -> tuple[Int, Int]:
    """Take the cursors off the heap that stand at the earliest cofacet: their total, and how many.

    They are left in `heap.standing`. Those whose simplices have left the working column are gone.
    """
    value, note = heap.value[0], heap.cofacet[0]
    total, standers = np.int64(0), 0
    while heap.size[0] and heap.value[0] == value and heap.cofacet[0] >> 1 == note >> 1:
        slot, sign = heap.slot[0], heap.cofacet[0] & 1
        pop(heap)
        coefficient = cursors.state[slot, COEFFICIENT]
        if coefficient:
            total += p - coefficient if sign else coefficient
            heap.standing[standers] = slot
            standers += 1
        else:
            cursors.state[slot, AT] = 0
    return total % p, standers


@njit_inline
def find_owner(pivot: Int, columns: Columns, d: Coboundary, vertices: NDArray[np.int64]) -> Int:
    """Who owns a pivot: a column k as k, the r-simplex j of an apparent pair as -2 - j, nobody -1.

    Apparent pairs stand in no table: they are found again.
    """
    column = columns.table[find_place(pivot, columns.table, columns.chains.pivot)]
    if column >= 0:
        return np.int64(column)
    facet = latest_facet(pivot, d, vertices)
    return -2 - facet if d.earliest[facet] == pivot else np.int64(-1)


@njit_inline
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


@njit_inline
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
        coefficient = cursors.state[slot, COEFFICIENT]
        if coefficient:
            chains.simplices[at] = cursors.state[slot, SIMPLEX]
            chains.multiples[at] = coefficient * scale % p
            at += 1
    keep_column(pivot, at, columns)


@njit_step
def empty_column(cursors: Cursors, heap: Heap) -> None:
    """Take everything out of the working column."""
    for k in range(heap.size[0]):
        slot = heap.slot[k]
        cursors.state[slot, AT], cursors.state[slot, COEFFICIENT] = 0, 0
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
                push(heap, value, cursors.cofacet[slot, cursors.state[slot, AT]], slot)
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


@njit
def first_owners(pivots: NDArray[np.int64], d: Coboundary) -> NDArray[np.int64]:
    """Of pivots that are earliest cofacets the r-simplices of apparent pairs, each once."""
    vertices, count = np.empty(d.r + 2, np.int64), 0
    owners, found = np.empty(pivots.size, np.int64), np.zeros(d.values.size, np.bool_)
    for pivot in pivots:
        facet = latest_facet(pivot, d, vertices)
        if d.earliest[facet] == pivot and not found[facet]:
            found[facet], owners[count] = True, facet
            count += 1
    return owners[:count]
