"""One pass over all simplices of a dimension of a complete complex, in colexicographic order.

Fix the tail v1 < ... < vr of an r-simplex. Its simplices follow each other as v0 = 0, 1, ..., v1 -
1 does, and so do their facets, but for the one that omits v0, which is the tail itself. So a pass
reads and writes rows of contiguous numbers. A pass over the simplices whose top vertex lies in a
range writes only to facets with the same top vertex, but for the facet that omits it; these it
writes to arrays of its own. So ranges may run at the same time.
"""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit, njit_step

Values = NDArray[np.float64]
Positions = NDArray[np.int64]


@njit
def first_tail(r: Int, top: Int) -> Positions:
    """The first r-simplex whose top vertex is `top`, v0 unset."""
    vertices = np.arange(r + 1)
    vertices[r] = top
    return vertices


@njit_step
def next_tail(vertices: Positions) -> None:
    """Move on to the next tail (v1, ..., vr)."""
    k = 1
    while k + 1 < vertices.size and vertices[k] + 1 == vertices[k + 1]:
        vertices[k] = k
        k += 1
    vertices[k] += 1


@njit_step
def facet_row(vertices: Positions, omitted: Int, binomials: Positions) -> Int:
    """Where the facets that omit vertex i >= 1 begin, with v0 = 0; for i = 0 where the one is."""
    position = np.int64(0)
    for k in range(1, vertices.size):
        if k != omitted:
            position += binomials[k + 1 if k < omitted else k, vertices[k]]
    return position


@njit
def first_violation(
    r: Int, first: Int, last: Int, binomials: Positions, below: Values, values: Values
) -> Int:
    """The first r-simplex with top vertex in first..last-1 below a facet or not finite; -1: none.

    A facet whose value is no number is above everything.
    """
    vertices, highest = first_tail(r, first), np.finfo(np.float64).max
    begin = binomials[r + 1, first]
    while vertices[r] < last:
        row, violations = values[begin : begin + vertices[1]], 0
        facet = below[facet_row(vertices, 0, binomials)]
        for k in range(row.size):
            violations += not (facet <= row[k] <= highest)
        for omitted in range(1, r + 1):
            at = facet_row(vertices, omitted, binomials)
            facets = below[at : at + row.size]
            for k in range(row.size):
                violations += not (facets[k] <= row[k])
        if violations:
            for k in range(row.size):
                violated = not (facet <= row[k] <= highest)
                for omitted in range(1, r + 1):
                    at = facet_row(vertices, omitted, binomials)
                    violated |= not (below[at + k] <= row[k])
                if violated:
                    return begin + k
        begin += row.size
        next_tail(vertices)
    return np.int64(-1)


@njit_step
def lower(row: Values, begin: Int, least: Values, earliest: Positions) -> None:
    """Where row[k] < least[k] put row[k] and its position begin + k there."""
    for k in range(row.size):
        less = row[k] < least[k]
        least[k] = row[k] if less else least[k]
        earliest[k] = begin + k if less else earliest[k]


@njit
def earliest_cofacets(
    r: Int,
    first: Int,
    last: Int,
    binomials: Positions,
    above: Values,
    least: Values,
    earliest: Positions,
    least_topless: Values,
    earliest_topless: Positions,
) -> None:
    """Lower each r-simplex's least cofacet value to those of cofacets with top in first..last-1.

    The first of equals stays. `least` and `earliest` get the facets with the same top vertex, the
    last two arrays those that omit it. Source: Bauer 2021, section 3.5, turned around: there
    each simplex looks for its cofacets.
    """
    vertices = first_tail(r + 1, first)
    begin = binomials[r + 2, first]
    while vertices[r + 1] < last:
        row = above[begin : begin + vertices[1]]
        tail = facet_row(vertices, 0, binomials)
        for k in range(row.size):
            if row[k] < least[tail]:
                least[tail], earliest[tail] = row[k], begin + k
        for omitted in range(1, r + 1):
            at = facet_row(vertices, omitted, binomials)
            end = at + row.size
            lower(row, begin, least[at:end], earliest[at:end])
        at = facet_row(vertices, r + 1, binomials)
        end = at + row.size
        lower(row, begin, least_topless[at:end], earliest_topless[at:end])
        begin += row.size
        next_tail(vertices)


@njit_step
def merge_earliest(
    least: Values, earliest: Positions, others: Values, other_earliest: Positions
) -> None:
    """Take over what is less in the others, or as low but earlier."""
    for k in range(others.size):
        if others[k] < least[k] or (others[k] == least[k] and other_earliest[k] < earliest[k]):
            least[k], earliest[k] = others[k], other_earliest[k]
