"""The bottleneck matching of bars, by k-d trees; no table of distances is made.

A length is enough if every bar farther than it from the diagonal has a partner within it. By the
theorem of Mendelsohn & Dulmage (1958) these may be sought for each side alone: a matching that
covers the far bars of a, and one that covers those of b, contain one that covers both. For each
side the least length is found by bisection between lengths: a matching that is found is no longer
than its longest pair, and where none is found, nothing changes up to the next length at which a
search could have gone on (`kernels.planar`). So the result is the length of a pair, exactly.

Memory is some 300 bytes for each bar. Time, in practice: some ten phases for each of some 50
lengths, each as many searches in a tree as there are bars.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.bars import Bars
from reduction.kernels.planar.kd_tree import LEAF, Tree, plant
from reduction.kernels.planar.matching import (
    Rows,
    least_length,
    match_far,
    matched_length,
    next_length,
)

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


class Cover(NamedTuple):
    """A matching of all bars of one side that are farther from the diagonal than a length."""

    length: float
    partners: Positions  # (m,) bars of the other side; -1 for the diagonal


def least_cover(a: Bars, to_diagonal: Floats, b: Bars, norm: float, least: float) -> Cover:
    """The cover of a (m, 2) by b (n, 2) of the least length, but not below `least`."""
    rows = Rows(
        np.ascontiguousarray(a),
        np.ascontiguousarray(to_diagonal),
        np.full(len(a), -1),
        np.ones(len(a), np.bool_),
        np.empty(len(a) + 1, np.int64),
    )
    owner, unmatched, unvisited = np.full(len(b), -1), _tree(b), _tree(b)
    low = max(least, float(least_length(norm, rows, unvisited)))
    high = max(least, float(to_diagonal.max(initial=0.0)))
    best, step, found = rows.column.copy(), low, False
    while low < high:
        if match_far(step, norm, rows, owner, unmatched, unvisited):
            high, found = max(least, float(matched_length(norm, rows, b))), True
            best = rows.column.copy()
        else:
            low = float(next_length(norm, rows, unvisited))
        step = low + (high - low) / 2 if found else min(1.25 * low, high)
        if found and step >= high:  # neighbouring numbers, whose middle is rounded up
            step = low
    return Cover(high, best)


def joined_covers(a: Cover, b: Cover) -> Positions:
    """(m,): a matching of the bars of a that covers what both cover, of the pairs of both.

    A bar of b that a's cover leaves out gets the partner that b's cover gives it; that partner's
    former one the one that it has there, and so on, until the path ends.
    """
    partners, left_out = a.partners.copy(), b.partners >= 0
    left_out[partners[partners >= 0]] = False
    for j in np.flatnonzero(left_out).tolist():
        while j >= 0 and b.partners[j] >= 0:
            i = int(b.partners[j])
            j, partners[i] = int(partners[i]), j
    return partners


def _tree(points: Bars) -> Tree:
    """A k-d tree of points (n, 2)."""
    n = len(points)
    most = 1 if n <= LEAF else 4 * n // LEAF + 3
    tree = Tree(
        np.ascontiguousarray(points),
        np.arange(n),
        np.zeros((most, 2), np.int64),
        np.full(most, -1),
        np.full(most, -1),
        np.zeros((most, 4)),
        np.zeros(n, np.int64),
        np.zeros(most, np.int64),
        np.ones(n, np.bool_),
        np.empty(128, np.int64),
    )
    nodes = plant(tree) if n else 1
    parts = {
        name: getattr(tree, name)[:nodes] for name in ("ranges", "child", "parent", "boxes", "left")
    }
    return tree._replace(**parts)
