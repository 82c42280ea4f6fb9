"""Simplices of one dimension as the rows of an array, in colexicographic order.

Colexicographic order compares the largest vertices first. On n vertices 0..n-1 the simplex v0 < ...
< vr of the complete complex then stands at position sum_i C(v_i, i+1), whatever n is. In any other
complex see `simplex_tree`.
"""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def binomial_table(rows: int, columns: int) -> Positions:
    """(rows, columns): C(v, k) in row k and column v, the sum of C(u, k - 1) over all u < v."""
    table = np.zeros((rows, columns), np.int64)
    table[0] = 1
    for k in range(1, rows):
        np.cumsum(table[k - 1, :-1], out=table[k, 1:])
    return table


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
    r = simplices.shape[-1] - 1
    table = binomial_table(r + 2, int(simplices.max(initial=0)) + 1)
    return table[np.arange(1, r + 2), simplices].sum(axis=-1)


def positions_among(listed: Positions, simplices: Positions) -> Positions:
    """Positions (...) among listed simplices (m, r+1), in colexicographic order, of simplices
    (..., r+1); -1 of those that are not listed.
    """
    wanted = complete_positions(simplices)
    if not len(listed):
        return np.full(wanted.shape, -1)
    if complete_positions(listed[-1]) == len(listed) - 1:  # up to the last one all are there
        return np.where(wanted < len(listed), wanted, -1)
    ranks = complete_positions(listed)
    at = np.minimum(np.searchsorted(ranks, wanted), len(ranks) - 1)
    return np.where(ranks[at] == wanted, at, -1)
