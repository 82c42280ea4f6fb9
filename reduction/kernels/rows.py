"""One pass over all simplices of a dimension of a complete complex, in colexicographic order.

Fix the tail v1 < ... < vr of an r-simplex. Its simplices follow each other as v0 = 0, 1, ..., v1 -
1 does, and so do their facets, but for the one that omits v0, which is the tail itself. So a pass
reads and writes rows of contiguous numbers.
"""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit, njit_step

Values = NDArray[np.float64]
Positions = NDArray[np.int64]


@njit
def first_row(r: Int, top: Int, binomials: Positions) -> tuple[Positions, Positions]:
    """The first row of r-simplices whose top vertex is `top`, and its facets.

    vertices  (r+1,) the tail v1 < ... < vr, v0 unset
    facets    (r+1,) position of the facet that omits vertex i, with v0 = 0; for i = 0 the only one
    """
    vertices, facets = np.arange(r + 1), np.empty(r + 1, np.int64)
    vertices[r] = top
    find_facets(vertices, facets, binomials)
    return vertices, facets


@njit_step
def find_facets(vertices: Positions, facets: Positions, binomials: Positions) -> None:
    """Write the positions of the first facets of a row."""
    for omitted in range(vertices.size):
        facets[omitted] = 0
        for k in range(1, vertices.size):
            if k != omitted:
                facets[omitted] += binomials[k + 1 if k < omitted else k, vertices[k]]


@njit_step
def next_row(vertices: Positions, facets: Positions, binomials: Positions) -> None:
    """Move on to the next row: v1 alone, mostly, and facets by what that adds to C(v1, 2)."""
    v1, k = vertices[1], 1
    if k + 1 == vertices.size or v1 + 1 < vertices[k + 1]:
        vertices[1] = v1 + 1
        facets[0] += 1
        for omitted in range(2, vertices.size):
            facets[omitted] += v1
        return
    while k + 1 < vertices.size and vertices[k] + 1 == vertices[k + 1]:
        vertices[k] = k
        k += 1
    vertices[k] += 1
    find_facets(vertices, facets, binomials)


@njit
def first_violation(
    r: Int, first: Int, last: Int, binomials: Positions, below: Values, values: Values
) -> Int:
    """The first r-simplex with top vertex in first..last-1 below a facet or not finite; -1: none.

    A facet whose value is no number is above everything.
    """
    vertices, facets = first_row(r, first, binomials)
    begin = binomials[r + 1, first]
    while vertices[r] < last:
        if count_violations(begin, vertices, facets, below, values):
            for position in range(begin, begin + vertices[1]):
                violated = not (below[facets[0]] <= values[position] < np.inf)
                for omitted in range(1, r + 1):
                    facet = facets[omitted] + position - begin
                    violated |= not (below[facet] <= values[position])
                if violated:
                    return position
        begin += vertices[1]
        next_row(vertices, facets, binomials)
    return np.int64(-1)


@njit_step
def count_violations(
    begin: Int, vertices: Positions, facets: Positions, below: Values, values: Values
) -> Int:
    """The number of simplices of a row that are below a facet or not finite, with repetitions."""
    row, facet, violations = values[begin : begin + vertices[1]], below[facets[0]], 0
    for k in range(row.size):
        violations += not (facet <= row[k] < np.inf)
    for omitted in range(1, vertices.size):
        others = below[facets[omitted] : facets[omitted] + row.size]
        for k in range(row.size):
            violations += not (others[k] <= row[k])
    return violations


@njit
def longest_edges(
    r: Int,
    first: Int,
    last: Int,
    binomials: Positions,
    distances: Values,
    below: Values,
    values: Values,
) -> None:
    """Write the values of the r-simplices with top vertex in first..last-1, r >= 1.

    distances (n, n), below those of dimension r - 1. Every edge but (v0, v1) is in the facet that
    omits v0 or in the one that omits v1; rows of contiguous numbers, as above.
    """
    vertices, facets = first_row(r, first, binomials)
    begin = binomials[r + 1, first]
    while vertices[r] < last:
        tail, edges = below[facets[0]], distances[vertices[1]]
        others = below[facets[1] : facets[1] + vertices[1]]
        row = values[begin : begin + vertices[1]]
        for k in range(row.size):
            longest = others[k] if others[k] > tail else tail
            row[k] = edges[k] if edges[k] > longest else longest
        begin += row.size
        next_row(vertices, facets, binomials)
