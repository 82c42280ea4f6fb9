"""Lengths of the longest edges of all simplices on some points, in colexicographic order."""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit
from reduction.kernels.streams import first_row, next_row

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
    vertices, facets = first_row(r, first, binomials)
    begin = binomials[r + 1, first]
    while vertices[r] < last:
        tail, edges = below[facets[0]], distances[vertices[1]]
        heights = below[facets[1] : facets[1] + vertices[1]]
        row = values[begin : begin + vertices[1]]
        for k in range(row.size):
            longest = heights[k] if heights[k] > tail else tail
            row[k] = edges[k] if edges[k] > longest else longest
        begin += row.size
        next_row(vertices, facets, binomials)
