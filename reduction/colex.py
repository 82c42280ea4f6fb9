"""Simplices of one dimension as the rows of an array, in colexicographic order.

Colexicographic order compares the largest vertices first. On n vertices 0..n-1 the simplex v0 < ...
< vr of the complete complex then stands at position sum_i C(v_i, i+1), whatever n is. In any
complex the order has a recursive key: the position of the facet (v1, ..., vr) one dimension below,
then v0. As a number that is position * n + v0: it cannot overflow where the positions fit into
memory, and one binary search finds it. The empty simplex stands at position 0 of dimension -1,
which starts the recursion.
"""

from math import comb

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def complete_simplices(n: int, dim: int) -> list[Positions]:
    """All simplices on the vertices 0..n-1: (C(n, r+1), r+1) for each r = 0..dim, in order."""
    simplices = [np.arange(n)[:, None]]
    for _ in range(dim):
        tails = simplices[-1]  # (v1, ..., vr), which every v0 < v1 completes
        tail = np.repeat(np.arange(len(tails)), tails[:, 0])
        begin = np.cumsum(tails[:, 0]) - tails[:, 0]
        simplices.append(np.column_stack([np.arange(tail.size) - begin[tail], tails[tail]]))
    return simplices


def complete_positions(simplices: Positions) -> Positions:
    """Positions (...) in the complete complex of simplices (..., r+1): sum_i C(v_i, i+1)."""
    columns = np.arange(simplices.shape[-1])
    table = [[comb(v, i + 1) for i in columns] for v in range(int(simplices.max(initial=0)) + 1)]
    return np.array(table, dtype=np.int64)[simplices, columns].sum(axis=-1)


def locate(keys: Positions, wanted: Positions) -> Positions:
    """Where `wanted` (any shape) stands in the ascending, non-empty `keys`; -1 where missing."""
    position = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.where(keys[position] == wanted, position, -1)


def facet_positions(
    simplices: Positions, keys: list[Positions], facets_below: Positions, n: int
) -> Positions:
    """Where the facets of r-simplices stand, r >= 1; -1 for a facet that is not there.

    simplices     (m, r+1)  vertices as ranks in 0..n-1, ascending; rows in any order
    keys          r arrays  the ascending keys of the dimensions 0..r-1
    facets_below  (m', r)   the same for the facets themselves
    returns       (m, r+1)  position in dimension r-1 of the facet that omits vertex i; where
                            the first is -1 the others of its row mean nothing
    """
    if keys[-1].size == 0:
        return np.full(simplices.shape, -1)
    tail = np.zeros(len(simplices), np.int64)
    for column, below in zip(simplices.T[:0:-1], keys, strict=True):
        tail = locate(below, tail * n + column)
    # Omitting vertex i >= 1 leaves v0, joined to what (v1, ..., vr) is without it.
    others = locate(keys[-1], facets_below[tail] * n + simplices[:, :1])
    return np.column_stack([tail, others])
