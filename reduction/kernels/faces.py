"""Listed simplices: what makes rows of vertices a filtered complex, and where the facets stand.

Simplices are found in a simplex tree (Boissonnat & Maria 2014), as children of their tails; see
`reduction.tree`.
"""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit, njit_step

Integers = NDArray[np.integer]


@njit
def first_disordered(rows: NDArray[np.int64]) -> Int:
    """The first row that is negative or does not ascend; -1 for none."""
    for i in range(len(rows)):
        wrong = rows[i, 0] < 0
        for k in range(1, rows.shape[1]):
            wrong |= rows[i, k] <= rows[i, k - 1]
        if wrong:
            return i
    return -1


@njit
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
def find_child(tail: Int, v0: Int, begin: Integers, lowest: Integers) -> Int:
    """Where the child v0 of a tail stands; -1 if there is none."""
    low, high = np.int64(begin[tail]), np.int64(begin[tail + 1])
    while low < high:
        middle = (low + high) >> 1
        if lowest[middle] < v0:
            low = middle + 1
        else:
            high = middle
    return low if low < begin[tail + 1] and lowest[low] == v0 else -1


@njit
def find_children(
    tails: Integers, v0: Integers, begin: Integers, lowest: Integers, children: Integers
) -> None:
    """Write where the child v0[i] of tails[i] stands; -1 if there is none, or no such tail."""
    for i in range(tails.size):
        children[i] = -1 if tails[i] < 0 else find_child(tails[i], v0[i], begin, lowest)


@njit
def find_facets(
    tails: Integers,
    v0: Integers,
    facets_below: Integers,
    begin: Integers,
    lowest: Integers,
    facets: Integers,
) -> None:
    """Write the facets of simplices given as (tail, v0), r >= 2; -1 for what is not there.

    facets_below  (m', r)   of the tails: without vertex i, a simplex is v0 and what the tail is
                            without it
    begin, lowest           children in dimension r - 1
    facets        (m, r+1)  the one that omits vertex i; all -1 where there is no tail
    """
    for i in range(tails.size):
        tail = tails[i]
        facets[i, 0] = tail
        for k in range(1, facets.shape[1]):
            facet = np.int64(-1)
            if tail >= 0:
                facet = find_child(facets_below[tail, k - 1], v0[i], begin, lowest)
            facets[i, k] = facet


@njit
def first_lower(facets: Integers, below: NDArray[np.float64], values: NDArray[np.float64]) -> Int:
    """The first simplex whose value is below that of a facet; -1 for none."""
    for i in range(len(facets)):
        lower = False
        for k in range(facets.shape[1]):
            lower |= below[facets[i, k]] > values[i]
        if lower:
            return i
    return -1
