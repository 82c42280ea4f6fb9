"""Lengths of the longest edges of all simplices on some points, in colexicographic order."""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit
from reduction.kernels.streams import facet_row, first_tail, next_tail

Values = NDArray[np.float64]


@njit
def longest_edges(
    r: Int,
    first: Int,
    last: Int,
    binomials: NDArray[np.int64],
    distances: Values,
    below: Values,
    values: Values,
) -> None:
    """Write the values of the r-simplices with top vertex in first..last-1, r >= 1.

    distances (n, n), below those of dimension r - 1. Every edge but (v0, v1) is in the facet that
    omits v0 or in the one that omits v1; rows of contiguous numbers, as in `kernels.streams`.
    """
    vertices = first_tail(r, first)
    begin = binomials[r + 1, first]
    while vertices[r] < last:
        row = values[begin : begin + vertices[1]]
        edges = distances[vertices[1]]
        at = facet_row(vertices, 1, binomials)
        facets = below[at : at + row.size]
        tail = below[facet_row(vertices, 0, binomials)]
        for k in range(row.size):
            longest = facets[k] if facets[k] > tail else tail
            row[k] = edges[k] if edges[k] > longest else longest
        begin += row.size
        next_tail(vertices)
