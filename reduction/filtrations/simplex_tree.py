"""The simplex tree: each simplex is a child of its tail, in colexicographic order.

The tail of a simplex v0 < ... < vr is its facet (v1, ..., vr). In colexicographic order the
simplices with the same tail follow each other, v0 ascending. So two arrays hold a dimension: the v0
of each simplex, and the position of the first child of each tail. A simplex is found by its
vertices from the last to the first. The tail of a vertex is the empty simplex, at position 0 of
dimension -1.

Source: Boissonnat & Maria (2014), "The simplex tree"; there with the largest vertex last.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.simplices import index_type
from reduction.filtrations.sorting import ascending_order
from reduction.kernels.simplex_tree import Level, find_children, find_facets

Positions = NDArray[np.integer]


def vertex_level(n: int) -> Level:
    """Dimension 0."""
    kind = index_type(n)
    return Level(np.zeros((n, 1), kind), np.arange(n, dtype=kind), np.array([0, n], kind))


def level(facets: Positions, lowest: Positions, below: Level) -> Level:
    """The level above another, of simplices in colexicographic order."""
    kind = np.result_type(facets, index_type(len(facets)))
    begin = np.zeros(len(below.facets) + 1, kind)
    np.cumsum(np.bincount(facets[:, 0], minlength=len(below.facets)), out=begin[1:])
    return Level(facets, np.ascontiguousarray(lowest, kind), begin)


def tails(simplices: Positions, levels: Sequence[Level]) -> Positions:
    """(m,): positions of the tails of simplices (m, r+1), r >= 1; -1 for missing ones.

    levels  of the dimensions 0..r-1
    Column after column, from the last vertex on.
    """
    found = simplices[:, -1].astype(index_type(max(len(level.facets) for level in levels)))
    for k, below in enumerate(levels[1:], start=2):
        find_children(found, simplices[:, -k], below)
    return found


def colex_order(tails: Positions, lowest: Positions, n: int) -> NDArray[np.int64] | None:
    """(m,): the order of simplices by tail, then v0 < n; None where they ascend already."""
    keys = tails.astype(np.int64)
    keys *= n
    keys += lowest
    return ascending_order(keys)


def facets(tails: Positions, lowest: Positions, below: Level) -> Positions:
    """(m, r+1): positions of the facets of simplices, r >= 1; -1 for missing ones.

    tails, lowest  (m,) of the simplices; fastest in colexicographic order
    below          dimension r - 1
    """
    found = np.empty((tails.size, below.facets.shape[1] + 1), tails.dtype)
    if found.shape[1] == 2:
        found[:, 0], found[:, 1] = tails, lowest
    else:
        find_facets(tails, np.ascontiguousarray(lowest, tails.dtype), below, found)
    return found
