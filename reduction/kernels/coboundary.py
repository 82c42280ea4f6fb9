"""The coboundary operator of a complete complex, whose simplices are known by their positions.

The simplex v0 < ... < vr stands at position sum_i C(v_i, i+1): the combinatorial number system
(Knuth, TAOCP 4A, 7.2.1.3; for persistence Bauer 2021, "Ripser", section 4). `binomials[k, v]` is
C(v, k). Omitting vertex i moves the later vertices one column down, adding one moves them up.

Cofacets are enumerated, not stored, but for the first of each simplex. An encoded cofacet is 2 *
position + (1 where its sign is -1).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit, njit_step

NEXT = 7  # with the one that they are behind, a record of 96 bytes


class Coboundary(NamedTuple):
    """The coboundary operator of the r-simplices of a complete complex.

    Of each simplex only the first cofacets are stored. Simplices of one dimension are in the order
    (value, position).
    """

    r: int
    n: int  # vertices
    p: int  # coefficients in Z/p
    binomials: NDArray[np.int64]  # (r+3 or more, n+1)
    guesses: NDArray[np.int32]  # (r+3, 2**b): v with C(v, k) <= index << shifts[k] < C(v+1, k)
    shifts: NDArray[np.int64]  # (r+3,)
    values: NDArray[np.float64]  # of the r-simplices
    above: NDArray[np.float64]  # of the (r+1)-simplices
    first: NDArray[np.void]  # (m,) the first cofacets of each: see `kernels.first_cofacets`


@njit_step
def oldest_cofacet(simplex: Int, d: Coboundary) -> Int:
    """The position of the oldest cofacet of an r-simplex."""
    return np.int64(d.first[simplex]["cofacet"][0]) >> 1


@njit_step
def find_vertices(position: Int, count: Int, d: Coboundary, vertices: NDArray[np.int64]) -> None:
    """Write the vertices of a simplex, `count` of them, ascending.

    The highest bits of what is left of the position tell each vertex, or one a little lower.
    """
    for k in range(count, 1, -1):
        vertex = np.int64(d.guesses[k, position >> d.shifts[k]])
        while d.binomials[k, vertex + 1] <= position:
            vertex += 1
        vertices[k - 1] = vertex
        position -= d.binomials[k, vertex]
    vertices[0] = position


@njit_step
def youngest_facet(cofacet: Int, d: Coboundary, vertices: NDArray[np.int64]) -> Int:
    """The position of the youngest facet of an (r+1)-simplex; vertices (r+2,) is a buffer."""
    find_vertices(cofacet, d.r + 2, d, vertices)
    facet = np.int64(0)  # omit v0 first
    for k in range(1, d.r + 2):
        facet += d.binomials[k, vertices[k]]
    youngest, highest = facet, d.values[facet]
    for k in range(1, d.r + 2):
        facet += d.binomials[k, vertices[k - 1]] - d.binomials[k, vertices[k]]
        value = d.values[facet]
        if value > highest or (value == highest and facet > youngest):
            youngest, highest = facet, value
    return youngest


@njit_step
def is_apparent(simplex: Int, d: Coboundary, vertices: NDArray[np.int64]) -> bool:
    """Whether the simplex is the youngest facet of its oldest cofacet (Bauer 2021, def. 3.2).

    All facets are compared without a jump, so that they are waited for together.
    """
    find_vertices(oldest_cofacet(simplex, d), d.r + 2, d, vertices)
    facet, younger, own = np.int64(0), 0, d.values[simplex]
    for k in range(1, d.r + 2):
        facet += d.binomials[k, vertices[k]]
    for k in range(d.r + 2):
        if k > 0:
            facet += d.binomials[k, vertices[k - 1]] - d.binomials[k, vertices[k]]
        value = d.values[facet]
        younger += (value > own) | ((value == own) & (facet > simplex))
    return younger == 0


@njit
def mark_apparent(d: Coboundary, first: Int, last: Int, apparent: NDArray[np.bool_]) -> None:
    """Set apparent[j] for the r-simplices first..last-1."""
    vertices = np.empty(d.r + 2, np.int64)
    for simplex in range(first, last):
        apparent[simplex] = is_apparent(simplex, d, vertices)


@njit_step
def find_sign(facet: Int, cofacet: Int, d: Coboundary, vertices: NDArray[np.int64]) -> Int:
    """The coefficient of the cofacet in the facet's coboundary: 1 or p - 1, that is -1."""
    if d.p == 2:
        return 1
    find_vertices(cofacet, d.r + 2, d, vertices)
    position = np.int64(0)
    for k in range(1, d.r + 2):
        position += d.binomials[k, vertices[k]]
    omitted = 0
    while position != facet:
        omitted += 1
        position += d.binomials[omitted, vertices[omitted - 1]]
        position -= d.binomials[omitted, vertices[omitted]]
    return d.p - 1 if omitted & 1 else 1


@njit
def write_signs(
    facets: NDArray[np.int64],
    cofacets: NDArray[np.int64],
    d: Coboundary,
    signs: NDArray[np.integer],
) -> None:
    """Write the coefficient of each cofacet in its facet's coboundary."""
    vertices = np.empty(d.r + 2, np.int64)
    for k in range(facets.size):
        signs[k] = find_sign(facets[k], cofacets[k], d, vertices)


class Scan(NamedTuple):
    """Workspace for the enumeration of a simplex's cofacets."""

    vertices: NDArray[np.int64]  # (r+2,) its vertices
    cofacets: NDArray[np.int64]  # (n,) its cofacets, encoded


@njit_step
def find_cofacets(simplex: Int, d: Coboundary, scan: Scan) -> Int:
    """Write the encoded cofacets of an r-simplex by their new vertices; the number of them."""
    vertices, begin, low, count = scan.vertices, np.int64(0), 0, 0
    find_vertices(simplex, d.r + 1, d, vertices)
    for k in range(d.r + 1):
        begin += d.binomials[k + 2, vertices[k]]
    for k in range(d.r + 2):  # the new vertex has k before it
        for vertex in range(low, vertices[k] if k <= d.r else d.n):
            scan.cofacets[count] = 2 * (begin + d.binomials[k + 1, vertex]) + (k & 1)
            count += 1
        if k <= d.r:
            low = vertices[k] + 1
            begin += d.binomials[k + 1, vertices[k]] - d.binomials[k + 2, vertices[k]]
    return count


@njit_step
def next_cofacets(
    simplex: Int,
    value: Float,
    position: Int,
    d: Coboundary,
    values: NDArray[np.float64],
    cofacets: NDArray[np.integer],
    scan: Scan,
) -> None:
    """Write (value, position) and the NEXT cofacets behind it, inf where there are fewer."""
    count = find_cofacets(simplex, d, scan)
    values[0], cofacets[0] = value, 2 * position
    values[1:] = np.inf
    for i in range(count):
        cofacet = scan.cofacets[i]
        other = d.above[cofacet >> 1]
        if value <= other < values[NEXT] and (value < other or position < cofacet >> 1):
            insert_cofacet(other, cofacet, values, cofacets)


@njit_step
def insert_cofacet(
    value: Float, cofacet: Int, values: NDArray[np.float64], cofacets: NDArray[np.integer]
) -> None:
    """Insert behind the first entry and all that are not higher; the last one is lost."""
    at = NEXT
    while at > 1 and value < values[at - 1]:
        values[at], cofacets[at] = values[at - 1], cofacets[at - 1]
        at -= 1
    values[at], cofacets[at] = value, cofacet
