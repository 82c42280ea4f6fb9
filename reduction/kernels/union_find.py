"""Components, joined by edges: union-find with path halving (Kruskal 1956)."""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit_step


@njit_step
def find_root(vertex: Int, parent: NDArray[np.int64]) -> Int:
    """The root of the vertex's tree."""
    while parent[vertex] != vertex:
        parent[vertex] = parent[parent[vertex]]
        vertex = parent[vertex]
    return vertex


@njit_step
def join(
    edges: NDArray[np.int64],
    vertices: NDArray[np.integer],
    values: NDArray[np.float64],
    parent: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> Int:
    """Join trees by the next edges in filtration order; the number of edges that did.

    edges     (k,)    positions
    vertices  (k, 2)  the positions of their ends
    values    (n,)    of the vertices; a tree's root is its oldest vertex by (value, position)
    parent    (n,)    of each vertex in its tree; a root is its own
    ends      (n,)    the death of each vertex's component, an edge; -1 for none so far
    """
    joined = 0
    for k in range(edges.size):
        a = find_root(np.int64(vertices[k, 0]), parent)
        b = find_root(np.int64(vertices[k, 1]), parent)
        if a == b:
            continue
        if values[a] > values[b] or (values[a] == values[b] and a > b):
            a, b = b, a
        parent[b], ends[b] = a, edges[k]
        joined += 1
    return joined
