"""Index 0: components, which edges join (Kruskal 1956; union-find with path halving)."""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit, njit_step
from reduction.kernels.simplices import find_vertices


@njit_step
def find_root(vertex: Int, parent: NDArray[np.int64]) -> Int:
    """The root of the vertex's tree."""
    while parent[vertex] != vertex:
        parent[vertex] = parent[parent[vertex]]
        vertex = parent[vertex]
    return vertex


@njit
def spanning_edges(
    order: NDArray[np.int64], binomials: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The edge that ends each vertex's component in a complete graph; -1 for what never ends.

    order   (m,)  positions of the edges in filtration order
    values  (n,)  of the vertices; the root of a tree is its earliest vertex by (value, position)
    """
    n = values.size
    vertices = np.empty(2, np.int64)
    ends, parent, left = np.full(n, -1, np.int64), np.arange(n), n - 1
    for k in range(order.size):
        find_vertices(order[k], 2, binomials, vertices)
        a, b = find_root(vertices[0], parent), find_root(vertices[1], parent)
        if a == b:
            continue
        if values[a] > values[b] or (values[a] == values[b] and a > b):
            a, b = b, a
        parent[b], ends[b], left = a, order[k], left - 1
        if left == 0:
            break
    return ends
