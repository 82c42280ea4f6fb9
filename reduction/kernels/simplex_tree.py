"""Listed simplices: what makes rows of vertices a filtered complex, and where the facets stand.

Simplices are found in a simplex tree (Boissonnat & Maria 2014), as children of their tails; see
`reduction.filtrations.simplex_tree`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit_step

Integers = NDArray[np.integer]


class Level(NamedTuple):
    """The simplices of dimension r, int32 where that fits; vertices are positions 0..n-1."""

    facets: Integers  # (m_r, r+1) where the facet that omits vertex i stands
    lowest: Integers  # (m_r,) v0
    begin: Integers  # (m_{r-1} + 1,) the children of tail t stand at begin[t]:begin[t + 1]


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
    """Where the child v0 of a tail stands; -1 if there is none."""
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
    """Write the facets (m, r+1) of simplices given as (tail, v0), r >= 2; -1 for what is not there.

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
