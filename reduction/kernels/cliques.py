"""Cliques of a graph, dimension by dimension: the expansion of a simplex tree.

The children of a simplex (v1, ..., vr) are the w < v1 that complete it to a clique: its earlier
siblings (w, v2, ..., vr), those whose w is a neighbour of v1. Both stand in ascending order, so one
merge finds them. Source: Boissonnat & Maria (2014), "The simplex tree", section 3.3; Zomorodian
(2010), "Fast construction of the Vietoris-Rips complex": the inductive algorithm.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit_step
from reduction.kernels.simplex_tree import Level

Integers = NDArray[np.integer]


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
    level that is made says, for now, where among them the last one was found.
    """
    places = made.level.begin
    made.level.lowest[at] = v0
    for k in range(1, made.rows.shape[1]):
        made.rows[at, k] = below.rows[simplex, k - 1]
        if k > 1:
            place = places[k]
            while below.level.lowest[place] < v0:
                place += 1
            made.level.facets[at, k] = places[k] = place


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
