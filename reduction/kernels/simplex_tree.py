"""The simplex tree of listed simplices: checks of their labels and values, facets, and cliques.

Simplices are found as children of their tails (Boissonnat & Maria 2014, "The simplex tree"): see
`reduction.filtrations.simplex_tree`.

A graph is expanded to its cliques dimension by dimension. The children of a simplex (v1, ..., vr)
are the w < v1 that complete it to a clique: its earlier siblings (w, v2, ..., vr), those whose w is
a neighbour of v1. Both stand in ascending order, so one merge finds them. Source: Boissonnat &
Maria (2014), section 3.3; Zomorodian (2010), "Fast construction of the Vietoris-Rips complex": the
inductive algorithm.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit_step

Integers = NDArray[np.integer]


class Level(NamedTuple):
    """The simplices of dimension r, int32 where that fits; vertices are positions 0..n-1."""

    facets: Integers  # (m_r, r+1) position of the facet that omits vertex i
    lowest: Integers  # (m_r,) v0
    begin: Integers  # (m_{r-1} + 1,) the children of tail t are begin[t]:begin[t + 1]


@njit_step
def first_disordered(rows: NDArray[np.int64]) -> Int:
    """The first row that is negative or does not ascend; -1 for none."""
    for i in range(len(rows)):
        wrong = rows[i, 0] < 0
        for k in range(1, rows.shape[1]):
            wrong |= rows[i, k] <= rows[i, k - 1]
        if wrong:
            return i
    return -1


@njit_step
def first_repeated(rows: NDArray[np.int64]) -> Int:
    """The first row that equals the next; -1 for none."""
    for i in range(len(rows) - 1):
        same = True
        for k in range(rows.shape[1]):
            same &= rows[i, k] == rows[i + 1, k]
        if same:
            return i
    return -1


@njit_step
def find_child(tail: Int, v0: Int, level: Level) -> Int:
    """The position of the child v0 of a tail; -1 if there is none."""
    low, end = np.int64(level.begin[tail]), np.int64(level.begin[tail + 1])
    high = end
    while low < high:
        middle = (low + high) >> 1
        if level.lowest[middle] < v0:
            low = middle + 1
        else:
            high = middle
    return low if low < end and level.lowest[low] == v0 else -1


@njit_step
def find_children(tails: Integers, v0: Integers, level: Level) -> None:
    """Replace each tail by its child v0; by -1 if there is none, or no such tail."""
    for i in range(tails.size):
        if tails[i] >= 0:
            tails[i] = find_child(tails[i], v0[i], level)


@njit_step
def find_facets(tails: Integers, v0: Integers, below: Level, facets: Integers) -> None:
    """Write the facets (m, r+1) of simplices given as (tail, v0), r >= 2; -1 for missing ones.

    Without vertex i >= 1, a simplex is v0 and what its tail is without that vertex; all are -1
    where there is no tail. below: dimension r - 1.
    """
    for i in range(tails.size):
        tail = tails[i]
        facets[i, 0] = tail
        for k in range(1, facets.shape[1]):
            facet = np.int64(-1)
            if tail >= 0:
                facet = find_child(below.facets[tail, k - 1], v0[i], below)
            facets[i, k] = facet


@njit_step
def first_lower(facets: Integers, below: NDArray[np.float64], values: NDArray[np.float64]) -> Int:
    """The first simplex whose value is below that of a facet; -1 for none."""
    for i in range(len(facets)):
        lower = False
        for k in range(facets.shape[1]):
            lower |= below[facets[i, k]] > values[i]
        if lower:
            return i
    return -1


class Cliques(NamedTuple):
    """The cliques of a dimension r, in colexicographic order."""

    rows: NDArray[np.int64]  # (m_r, r+1) labels
    values: NDArray[np.float64]  # (m_r,)
    level: Level


@njit_step
def next_common(
    sibling: Int, edge: Int, simplex: Int, siblings: Level, edges: Level
) -> tuple[Int, Int]:
    """The next earlier sibling, from the given one on, whose v0 is a neighbour of the simplex's.

    Returns the sibling, the simplex itself if there is none, and the edge that joins the two v0.
    """
    end = edges.begin[siblings.lowest[simplex] + 1]
    while sibling < simplex and edge < end:
        vertex, neighbour = siblings.lowest[sibling], edges.lowest[edge]
        if vertex == neighbour:
            return sibling, edge
        if vertex < neighbour:
            sibling += 1
        else:
            edge += 1
    return simplex, edge


@njit_step
def count_children(siblings: Level, edges: Level) -> Int:
    """The number of cliques one dimension higher."""
    count = 0
    for simplex in range(siblings.lowest.size):
        sibling = np.int64(siblings.begin[siblings.facets[simplex, 0]])
        edge = np.int64(edges.begin[siblings.lowest[simplex]])
        sibling, edge = next_common(sibling, edge, simplex, siblings, edges)
        while sibling < simplex:
            count += 1
            sibling, edge = next_common(sibling + 1, edge + 1, simplex, siblings, edges)
    return count


@njit_step
def write_clique(at: Int, v0: Int, simplex: Int, below: Cliques, made: Cliques) -> None:
    """Write the rows and the later facets of clique `at`, the child v0 of a simplex.

    Without vertex i >= 2, it is v0 and what its tail is without that vertex. The children of a
    simplex come in ascending order, and so do those of what it is without a vertex: `begin` of the
    level that is made holds, for now, the position of the last one found among them.
    """
    last = made.level.begin
    made.level.lowest[at] = v0
    for k in range(1, made.rows.shape[1]):
        made.rows[at, k] = below.rows[simplex, k - 1]
        if k > 1:
            facet = last[k]
            while below.level.lowest[facet] < v0:
                facet += 1
            made.level.facets[at, k] = last[k] = facet


@njit_step
def fill_children(below: Cliques, edges: Cliques, labels: NDArray[np.int64], made: Cliques) -> None:
    """Write the cliques one dimension higher, whose number is known. labels (n,) of the vertices.

    The tail, the sibling and the edge between their v0 contain all edges of a clique.
    """
    at = np.int64(0)
    for simplex in range(below.level.lowest.size):
        sibling = np.int64(below.level.begin[below.level.facets[simplex, 0]])
        edge = np.int64(edges.level.begin[below.level.lowest[simplex]])
        for k in range(1, below.rows.shape[1]):
            made.level.begin[k + 1] = below.level.begin[below.level.facets[simplex, k]]
        sibling, edge = next_common(sibling, edge, simplex, below.level, edges.level)
        while sibling < simplex:
            v0 = below.level.lowest[sibling]
            made.rows[at, 0] = labels[v0]
            made.level.facets[at, 0], made.level.facets[at, 1] = simplex, sibling
            write_clique(at, v0, simplex, below, made)
            highest = max(below.values[simplex], below.values[sibling])
            made.values[at] = max(highest, edges.values[edge])
            at += 1
            sibling, edge = next_common(sibling + 1, edge + 1, simplex, below.level, edges.level)
