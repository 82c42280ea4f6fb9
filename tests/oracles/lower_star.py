"""Barcodes of a function in the plane by its linear interpolation on a triangulated grid.

Every cell of the grid is cut along one diagonal, and on each triangle the function is replaced by
the linear one with the same values at the corners. They differ by at most K R^2 / 2, K the largest
second derivative and R = h / sqrt(2) the radius of the circle around a triangle. Barcodes are
stable (Cohen-Steiner, Edelsbrunner & Harer 2007), so no end of a bar is further off than that, and
only bars of at most twice that length are missing or not there.

Index 0 is found from basins of steepest descent: a vertex is joined to its lowest neighbour, basins
meet at the higher end of the lowest edge between them, and the older one lives on. Index 1 is index
0 of -f with a vertex at infinity, by Alexander duality: a component of a superlevel set that does
not reach the border is a hole, born where it merges and dead at its highest point.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

STEPS = ((0, 1), (1, 0), (1, 1))  # and their opposites: the six neighbours of a vertex


class PlaneBarcode(NamedTuple):
    """Bars (m, 2) of index 0 and of index 1, inf for the one that never ends; none of length 0."""

    components: Array
    holes: Array


def plane_barcode(values: Array) -> PlaneBarcode:
    """The barcode of values (n, m) at the vertices of a grid, higher on the border than inside."""
    components = _merges(values)
    padded = np.pad(-values, 1, constant_values=-np.inf)  # the vertex at infinity
    holes = -_merges(padded)[:, ::-1]
    return PlaneBarcode(components, holes[np.isfinite(holes).all(axis=1)])


def interpolation_error(curvature: float, spacing: float) -> float:
    """Distance of a function from its linear interpolation.

    curvature  largest absolute eigenvalue of its Hessian
    spacing    of a square grid
    """
    return curvature * spacing**2 / 4


def _merges(values: Array) -> Array:
    """Bars (m, 2) of index 0 of positive length, in ascending order."""
    at = np.argsort(values, axis=None, kind="stable")  # flat positions by rank
    rank = np.empty(values.size, np.int64)
    rank[at] = np.arange(values.size)
    ranks = rank.reshape(values.shape)
    lowest = ranks.copy()
    for here, there in _neighbours():
        np.minimum(lowest[here], ranks[there], out=lowest[here])
        np.minimum(lowest[there], ranks[here], out=lowest[there])
    basin = lowest.ravel()[at]  # of each rank, a lower one or, of a minimum, itself
    while (basin[basin] != basin).any():
        basin = basin[basin]
    return _elder(values.ravel()[at], *_passes(ranks, basin))


def _passes(ranks: Rows, basin: Rows) -> tuple[Rows, Rows]:
    """Pairs of basins that meet (p, 2), and ranks (p,) of the lowest edges between, ascending."""
    found = []
    for here, there in _neighbours():
        a, b = ranks[here].ravel(), ranks[there].ravel()
        apart = basin[a] != basin[b]
        a, b = a[apart], b[apart]
        found.append(np.stack([basin[a], basin[b], np.maximum(a, b)]))
    edges = np.concatenate(found, axis=1)
    edges[:2].sort(axis=0)
    edges = edges[:, np.argsort(edges[2], kind="stable")]
    _, first = np.unique(edges[:2], axis=1, return_index=True)
    edges = edges[:, np.sort(first)]
    return edges[:2].T, edges[2]


def _elder(values: Array, pairs: Rows, passes: Rows) -> Array:
    """The bars of the components that meet in this order; values by rank."""
    root = {int(basin): int(basin) for basin in [0, *pairs.ravel()]}

    def find(basin: int) -> int:
        while root[basin] != basin:
            basin = root[basin]
        return basin

    bars = [(float(values[0]), np.inf)]
    for (a, b), rank in zip(pairs.tolist(), passes.tolist(), strict=True):
        older, younger = sorted((find(a), find(b)))
        if older != younger:
            root[younger] = older
            bars.append((float(values[younger]), float(values[rank])))
    rows = np.array(bars)
    rows = rows[rows[:, 0] < rows[:, 1]]
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _neighbours() -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Where in a grid the two ends of its edges are, for each of the three directions."""
    return [
        (
            (slice(None, -i or None), slice(None, -j or None)),
            (slice(i, None), slice(j, None)),
        )
        for i, j in STEPS
    ]
