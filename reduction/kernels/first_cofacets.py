"""The first cofacets of all r-simplices of a complete complex, in one pass.

Fix all vertices of an r-simplex but v0 and v1: the simplices follow each other, and so do their
cofacets with the same new vertex, where that is above v1. So PAIRS of (v0, v1) are taken at a time,
and vertex after vertex added to all of them in step. Of each simplex the FIRST oldest cofacets
stay, in order: with five, most columns are reduced without any other. The
(r+1)-simplices are not sorted for that, and nothing is stored for each of them.

Cofacets come in the order of their new vertices, so later ones are inserted behind their equals.

Source: Bauer 2021, section 3.5, for the oldest one, which is searched for each simplex there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.coboundary import Coboundary
from reduction.kernels.compilation import Float, Int, njit, njit_step

FIRST = 5
PAIRS = 384  # whose buffers about fill a core's first cache
MANY = 64  # cofacets, from which on so few are among the first that branches are predicted


class FirstBuffers(NamedTuple):
    """Buffers for the first cofacets of some simplices that follow each other.

    values    (FIRST, N) of cofacets
    vertices  (FIRST, N) their new vertices
    row       (N,) values of their cofacets with a new vertex
    starts    (n,) position of the first cofacet with a new vertex above v1, if C(v1, 2) + v0 is 0
    """

    values: NDArray[np.float64]
    vertices: NDArray[np.int64]
    row: NDArray[np.float64]
    starts: NDArray[np.int64]


@njit
def first_cofacets(first: Int, last: Int, d: Coboundary) -> None:
    """Write the first cofacets of the r-simplices with top vertex in first..last-1, r >= 1."""
    most = max(PAIRS, d.n)
    buffer = FirstBuffers(
        np.empty((FIRST, most)),
        np.empty((FIRST, most), np.int64),
        np.empty(most),
        np.empty(d.n, np.int64),
    )
    tail = np.arange(d.r + 1)
    tail[d.r] = first
    low, high = first, last  # v1 of edges
    while tail[d.r] < last:
        if d.r > 1:
            low, high = np.int64(1), tail[2]
        scan_tail(low, high, tail, buffer, d)
        if d.r == 1:
            return
        next_tail(tail)


@njit_step
def next_tail(tail: NDArray[np.int64]) -> None:
    """Move on to the next v2 < ... < vr."""
    k = 2
    while k + 1 < tail.size and tail[k] + 1 == tail[k + 1]:
        tail[k] = k
        k += 1
    tail[k] += 1


@njit_step
def scan_tail(
    first: Int,
    last: Int,
    tail: NDArray[np.int64],
    buffer: FirstBuffers,
    d: Coboundary,
) -> None:
    """Write the first cofacets of (v0, v1, v2, ..., vr), for all v0 < v1 in first..last-1.

    The simplices follow each other, and are taken some PAIRS of (v0, v1) at a time.
    """
    begin, above = np.int64(0), np.int64(0)
    for k in range(2, tail.size):
        begin += d.binomials[k + 1, tail[k]]
        above += d.binomials[k + 2, tail[k]]
    find_starts(above, tail, buffer.starts, d)
    low = first
    while low < last:
        high = low + 1
        while high < last and d.binomials[2, high + 1] - d.binomials[2, low] <= PAIRS:
            high += 1
        size = d.binomials[2, high] - d.binomials[2, low]
        buffer.values[:, :size], buffer.vertices[:, :size] = np.inf, 0
        insert_all(low, high, above, tail, buffer, d)
        write_rows(low, high, begin, above, tail, buffer, d)
        low = high


@njit_step
def find_starts(
    above: Int, tail: NDArray[np.int64], starts: NDArray[np.int64], d: Coboundary
) -> None:
    """Write `starts`: positions of cofacets with a new vertex above v1, for C(v1, 2) + v0 = 0."""
    vertex = 2
    for k in range(2, tail.size + 1):
        while vertex < (tail[k] if k < tail.size else d.n):
            starts[vertex] = above + d.binomials[k + 1, vertex]
            vertex += 1
        if k < tail.size:
            above += d.binomials[k + 1, tail[k]] - d.binomials[k + 2, tail[k]]
            vertex += 1


@njit_step
def insert_all(
    low: Int, high: Int, above: Int, tail: NDArray[np.int64], buffer: FirstBuffers, d: Coboundary
) -> None:
    """Insert all cofacets of the simplices (v0, v1, ...), v1 in low..high-1, by their new vertex.

    Above all v1 they follow each other: that of (v0, v1, ...) is number C(v1, 2) + v0 there.
    """
    before, size = d.binomials[2, low], d.binomials[2, high] - d.binomials[2, low]
    for vertex in range(high):
        gather_row(vertex, low, high, above, buffer, d)
        insert_row(buffer.row[:size], vertex, buffer)
    k, vertex = 2, high
    while vertex < d.n:
        while k < tail.size and tail[k] < vertex:
            k += 1
        if k == tail.size or tail[k] != vertex:
            start = buffer.starts[vertex] + before
            insert_row(d.above[start : start + size], vertex, buffer)
        vertex += 1


@njit_step
def gather_row(
    vertex: Int, low: Int, high: Int, above: Int, buffer: FirstBuffers, d: Coboundary
) -> None:
    """Write the values of the cofacets with a new vertex below `high`; inf where it is not new."""
    at, pairs = 0, d.binomials[2]
    for v1 in range(low, high):
        row = buffer.row[at : at + v1]
        if vertex > v1:
            start = buffer.starts[vertex] + pairs[v1]
            for v0 in range(v1):
                row[v0] = d.above[start + v0]
        elif vertex == v1:
            row[:] = np.inf
        else:
            start = above + d.binomials[3, v1]
            for v0 in range(vertex):
                row[v0] = d.above[start + pairs[vertex] + v0]
            row[vertex] = np.inf
            for v0 in range(vertex + 1, v1):
                row[v0] = d.above[start + pairs[v0] + vertex]
        at += v1


@njit_step
def insert_row(row: NDArray[np.float64], vertex: Int, buffer: FirstBuffers) -> None:
    """Insert a cofacet of each of the simplices; equals stay behind those that came before.

    Behind many others few are among the first.
    """
    if vertex < MANY:
        insert_each(row, vertex, buffer)
        return
    last = buffer.values[FIRST - 1]
    for i in range(row.size):
        if row[i] < last[i]:
            insert_one(row[i], vertex, i, buffer)


@njit_step
def insert_one(value: Float, vertex: Int, i: Int, buffer: FirstBuffers) -> None:
    """Insert a cofacet of the simplex i."""
    k = FIRST - 1
    while k > 0 and value < buffer.values[k - 1, i]:
        buffer.values[k, i], buffer.vertices[k, i] = (
            buffer.values[k - 1, i],
            buffer.vertices[k - 1, i],
        )
        k -= 1
    buffer.values[k, i], buffer.vertices[k, i] = value, vertex


@njit_step
def insert_each(row: NDArray[np.float64], vertex: Int, buffer: FirstBuffers) -> None:
    """Insert a cofacet of each of the simplices, all in step."""
    for k in range(FIRST - 1, 0, -1):
        shift_row(
            row,
            vertex,
            buffer.values[k - 1],
            buffer.vertices[k - 1],
            buffer.values[k],
            buffer.vertices[k],
        )
    values, vertices = buffer.values[0, : row.size], buffer.vertices[0, : row.size]
    for i in range(row.size):
        value, own, vertex_own = row[i], values[i], vertices[i]
        values[i] = value if value < own else own
        vertices[i] = vertex if value < own else vertex_own


@njit_step
def shift_row(
    row: NDArray[np.float64],
    vertex: Int,
    before: NDArray[np.float64],
    vertices_before: NDArray[np.int64],
    values: NDArray[np.float64],
    vertices: NDArray[np.int64],
) -> None:
    """Write the k-th cofacet of each simplex after an insertion: a choice of three, no jump."""
    for i in range(row.size):
        value, own, lower = row[i], values[i], before[i]
        vertex_own, vertex_lower = vertices[i], vertices_before[i]
        rest = value if value < own else own
        vertex_rest = vertex if value < own else vertex_own
        values[i] = lower if value < lower else rest
        vertices[i] = vertex_lower if value < lower else vertex_rest


@njit_step
def write_rows(
    low: Int,
    high: Int,
    begin: Int,
    above: Int,
    tail: NDArray[np.int64],
    buffer: FirstBuffers,
    d: Coboundary,
) -> None:
    """Write the first cofacets found, encoded."""
    i = 0
    for v1 in range(low, high):
        for v0 in range(v1):
            simplex = begin + d.binomials[2, v1] + v0
            for k in range(FIRST):
                vertex = buffer.vertices[k, i]
                d.first[simplex]["value"][k] = buffer.values[k, i]
                if vertex > v1:
                    count = 2
                    while count < tail.size and tail[count] < vertex:
                        count += 1
                    position = buffer.starts[vertex] + d.binomials[2, v1] + v0
                    d.first[simplex]["cofacet"][k] = 2 * position + (count & 1)
                else:
                    a, b = min(vertex, v0), max(vertex, v0)
                    position = above + d.binomials[3, v1] + d.binomials[2, b] + a
                    d.first[simplex]["cofacet"][k] = 2 * position + (vertex > v0)
            i += 1
