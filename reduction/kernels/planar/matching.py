"""Bipartite matchings of points of the plane that are no farther apart than a length.

The graph is not made: neighbours are found in two k-d trees, of the columns that are not matched
and of those that a search has not visited. A search for an augmenting path goes down from a row to
an unmatched column, if there is one near, else to the row of a matched column that is near; columns
that were visited in vain serve no other row of the same phase. A phase in which no path is found
proves the matching to be the largest there is.

Sources: Hopcroft & Karp (1973); Pothen & Fan (1990), "Computing the block triangular form of a
sparse matrix", section 3, whose order of search this is; Efrat, Itai & Katz (2001) for points.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit_step
from reduction.kernels.planar.kd_tree import (
    Tree,
    fill,
    find_within,
    nearest_length,
    p_length,
    take_out,
)

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


class Rows(NamedTuple):
    """Points to be matched, those farther from the diagonal than the length."""

    points: Floats  # (m, 2)
    to_diagonal: Floats  # (m,)
    column: Positions  # (m,) of the other points, or -1
    visited: NDArray[np.bool_]  # (m,) in the last phase
    stack: Positions  # (m + 1,)


@njit_step
def least_length(norm: Float, rows: Rows, others: Tree) -> Float:
    """The farthest that a row is away from all other points and from the diagonal."""
    farthest = 0.0
    for i in range(rows.column.size):
        x, y = rows.points[i, 0], rows.points[i, 1]
        farthest = max(farthest, nearest_length(x, y, rows.to_diagonal[i], norm, others))
    return farthest


@njit_step
def restrict(length: Float, norm: Float, rows: Rows, owner: Positions, unmatched: Tree) -> None:
    """Give up pairs that are too long or not needed; `owner` (n,) are the rows of columns."""
    fill(unmatched)
    for i in range(rows.column.size):
        j = rows.column[i]
        if j < 0:
            continue
        x = rows.points[i, 0] - unmatched.points[j, 0]
        y = rows.points[i, 1] - unmatched.points[j, 1]
        if rows.to_diagonal[i] <= length or p_length(x, y, norm) > length:
            rows.column[i], owner[j] = -1, -1
        else:
            take_out(j, unmatched)


@njit_step
def augment(
    root: Int,
    length: Float,
    norm: Float,
    rows: Rows,
    owner: Positions,
    unmatched: Tree,
    unvisited: Tree,
) -> bool:
    """Match a row, by an augmenting path through columns that were not visited; whether it is."""
    depth, rows.stack[0], rows.visited[root] = 0, root, True
    while depth >= 0:
        i = rows.stack[depth]
        x, y = rows.points[i, 0], rows.points[i, 1]
        j = find_within(x, y, length, norm, unmatched)
        if j >= 0:
            take_out(j, unmatched)
            take_out(j, unvisited)
            for k in range(depth, -1, -1):
                i = rows.stack[k]
                before = rows.column[i]
                rows.column[i], owner[j] = j, i
                j = before
            return True
        j = find_within(x, y, length, norm, unvisited)
        if j < 0:
            depth -= 1
            continue
        take_out(j, unvisited)
        depth += 1
        rows.stack[depth] = owner[j]
        rows.visited[owner[j]] = True
    return False


@njit_step
def match_far(
    length: Float, norm: Float, rows: Rows, owner: Positions, unmatched: Tree, unvisited: Tree
) -> bool:
    """Match as many rows farther from the diagonal than the length as can be; whether all are.

    The pairs that there are, are improved. Where not all are matched, `visited` and `unvisited` are
    what searches from the others have reached, and have not.
    """
    restrict(length, norm, rows, owner, unmatched)
    while True:
        fill(unvisited)
        rows.visited[:] = False
        found, lacking = False, False
        for i in range(rows.column.size):
            if rows.column[i] >= 0 or rows.to_diagonal[i] <= length:
                continue
            if augment(i, length, norm, rows, owner, unmatched, unvisited):
                found = True
            else:
                lacking = True
        if not lacking or not found:
            return not lacking


@njit_step
def next_length(norm: Float, rows: Rows, unvisited: Tree) -> Float:
    """The least length with which more rows could be matched, or need not be, than in the last
    phase, which found none.
    """
    least = np.inf
    for i in range(rows.column.size):
        if rows.visited[i]:
            most = min(least, rows.to_diagonal[i])
            least = nearest_length(rows.points[i, 0], rows.points[i, 1], most, norm, unvisited)
    return least


@njit_step
def matched_length(norm: Float, rows: Rows, others: Floats) -> Float:
    """The longest of the pairs, and of the rows that are matched with the diagonal.

    Of a matching by `match_far`: a row that has a partner is nearer to it than to the diagonal.
    """
    longest = 0.0
    for i in range(rows.column.size):
        j, length = rows.column[i], rows.to_diagonal[i]
        if j >= 0:
            x, y = rows.points[i, 0] - others[j, 0], rows.points[i, 1] - others[j, 1]
            length = p_length(x, y, norm)
        longest = max(longest, length)
    return longest
