"""Cliques of a graph, dimension by dimension: the expansion of a simplex tree.

The children of a simplex (v1, ..., vr) are the w < v1 that complete it to a clique: its earlier
siblings (w, v2, ..., vr), those whose w is a neighbour of v1. Both stand in ascending order, so one
merge finds them. Source: Boissonnat & Maria (2014), "The simplex tree", section 3.3; Zomorodian
(2010), "Fast construction of the Vietoris-Rips complex": the inductive algorithm.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit, njit_step
from reduction.kernels.faces import Level, find_child

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


@njit
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


@njit
def fill_children(below: Cliques, edges: Cliques, labels: NDArray[np.int64], made: Cliques) -> None:
    """Write the cliques one dimension higher, whose number is known. labels (n,) of the vertices.

    The tail, the sibling and the edge between their v0 contain all edges of a clique. Without
    vertex i >= 2, it is v0 and what its tail is without that vertex.
    """
    at, r = 0, made.rows.shape[1] - 1
    for simplex in range(below.level.lowest.size):
        sibling = np.int64(below.level.begin[below.level.facets[simplex, 0]])
        edge = np.int64(edges.level.begin[below.level.lowest[simplex]])
        sibling, edge = next_common(sibling, edge, simplex, below.level, edges.level)
        while sibling < simplex:
            v0 = below.level.lowest[sibling]
            made.rows[at, 0], made.level.lowest[at] = labels[v0], v0
            made.level.facets[at, 0], made.level.facets[at, 1] = simplex, sibling
            made.level.facets[at, 2] = edge  # if r = 2
            for k in range(1, r + 1):
                made.rows[at, k] = below.rows[simplex, k - 1]
                if k > 1 and r > 2:
                    facet = below.level.facets[simplex, k - 1]
                    made.level.facets[at, k] = find_child(facet, v0, below.level)
            highest = max(below.values[simplex], below.values[sibling])
            made.values[at] = max(highest, edges.values[edge])
            at += 1
            sibling, edge = next_common(sibling + 1, edge + 1, simplex, below.level, edges.level)
