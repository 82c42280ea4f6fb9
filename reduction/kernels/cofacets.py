"""The next cofacets of an r-simplex behind some other, by a look at all of them.

Source: Bauer (2021), "Ripser", section 4: coboundaries enumerated, not stored.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit_step
from reduction.kernels.simplices import Coboundary, find_vertices

NEXT = 7  # with the one that they are behind, a record of 96 bytes


class Scan(NamedTuple):
    """Room for a look at all cofacets of a simplex."""

    vertices: NDArray[np.int64]  # (r+2,) its vertices
    heights: NDArray[np.float64]  # (n,) the value of its cofacet with each new vertex


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
    find_vertices(simplex, d.r + 1, d, room.vertices)
    read_heights(d, room)
    values[0], notes[0] = value, 2 * position
    values[1:] = np.inf
    begin, low = np.int64(0), 0
    for k in range(d.r + 1):
        begin += d.binomials[k + 2, room.vertices[k]]
    for k in range(d.r + 2):  # the new vertex has k before it
        for vertex in range(low, room.vertices[k] if k <= d.r else d.n):
            height = room.heights[vertex]
            if value <= height < values[NEXT]:
                cofacet = begin + d.binomials[k + 1, vertex]
                if value < height or position < cofacet:
                    insert_cofacet(height, 2 * cofacet + (k & 1), values, notes)
        if k <= d.r:
            low = room.vertices[k] + 1
            begin += d.binomials[k + 1, room.vertices[k]]
            begin -= d.binomials[k + 2, room.vertices[k]]


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


@njit_step
def read_heights(d: Coboundary, room: Scan) -> None:
    """Write the value of the cofacet with each new vertex: all reads wait for memory together."""
    begin, low, vertices = np.int64(0), 0, room.vertices
    for k in range(d.r + 1):
        begin += d.binomials[k + 2, vertices[k]]
    for k in range(d.r + 2):
        for vertex in range(low, vertices[k] if k <= d.r else d.n):
            room.heights[vertex] = d.above[begin + d.binomials[k + 1, vertex]]
        if k <= d.r:
            low = vertices[k] + 1
            begin += d.binomials[k + 1, vertices[k]] - d.binomials[k + 2, vertices[k]]
