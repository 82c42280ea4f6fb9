"""The cofacets of an r-simplex, and the next ones behind some other, by a look at all of them.

A cofacet is noted as 2 * position + (1 where its sign is -1).

Source: Bauer (2021), "Ripser", section 4: coboundaries enumerated, not stored.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.coboundary import Coboundary, find_vertices
from reduction.kernels.compilation import Float, Int, njit_step

NEXT = 7  # with the one that they are behind, a record of 96 bytes


class Scan(NamedTuple):
    """Room for a look at all cofacets of a simplex."""

    vertices: NDArray[np.int64]  # (r+2,) its vertices
    notes: NDArray[np.int64]  # (n,) its cofacets


@njit_step
def find_cofacets(simplex: Int, d: Coboundary, room: Scan) -> Int:
    """Write the notes of an r-simplex's cofacets, in the order of their new vertices; how many."""
    vertices, begin, low, count = room.vertices, np.int64(0), 0, 0
    find_vertices(simplex, d.r + 1, d, vertices)
    for k in range(d.r + 1):
        begin += d.binomials[k + 2, vertices[k]]
    for k in range(d.r + 2):  # the new vertex has k before it
        for vertex in range(low, vertices[k] if k <= d.r else d.n):
            room.notes[count] = 2 * (begin + d.binomials[k + 1, vertex]) + (k & 1)
            count += 1
        if k <= d.r:
            low = vertices[k] + 1
            begin += d.binomials[k + 1, vertices[k]] - d.binomials[k + 2, vertices[k]]
    return count


@njit_step
def next_cofacets(
    simplex: Int,
    value: Float,
    position: Int,
    d: Coboundary,
    values: NDArray[np.float64],
    notes: NDArray[np.integer],
    room: Scan,
) -> None:
    """Write (value, position) and the NEXT cofacets behind it, inf where there are fewer."""
    count = find_cofacets(simplex, d, room)
    values[0], notes[0] = value, 2 * position
    values[1:] = np.inf
    for i in range(count):
        note = room.notes[i]
        height = d.above[note >> 1]
        if value <= height < values[NEXT] and (value < height or position < note >> 1):
            insert_cofacet(height, note, values, notes)


@njit_step
def insert_cofacet(
    value: Float, note: Int, values: NDArray[np.float64], notes: NDArray[np.integer]
) -> None:
    """Insert behind what stands first and all that are not higher; the last one is lost."""
    at = NEXT
    while at > 1 and value < values[at - 1]:
        values[at], notes[at] = values[at - 1], notes[at - 1]
        at -= 1
    values[at], notes[at] = value, note
