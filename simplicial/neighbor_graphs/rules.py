"""Graphs that join minima near each other: whose sets of vertices, joined pairwise, are simplices.

A complete complex on n minima has C(n, r+1) r-simplices, of which few end or begin a bar: passes
lead from one basin to the next. Each graph has the edges of a minimum spanning tree of the
distances, too, so that it is connected, and index 0 has one bar without end.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay, QhullError
from scipy.spatial.distance import pdist, squareform

from reduction import OptionError
from reduction.validation import as_integer, is_number, short_repr
from simplicial.minima import Minima, check_minima

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = 1e-9  # of cosines


def nearest_neighbors(minima: Minima, k: int) -> Ints:
    """Edges (m, 2) between each of n minima and the k nearest to it, either way.

    k  1 .. n - 1; of equal distances the minimum of the lower number is nearer
    Raises OptionError.
    """
    distances = _distances(minima)
    as_integer("k", k, 1)
    if k > len(distances) - 1:
        raise OptionError(
            f"a minimum has the others as neighbours, got k={k} of {len(distances)} minima: give "
            f"at most {len(distances) - 1}"
        )
    order = np.argsort(distances + np.diag(np.full(len(distances), -1.0)), axis=1, kind="stable")
    joined = np.zeros(distances.shape, dtype=bool)
    np.put_along_axis(joined, order[:, 1 : k + 1], values=True, axis=1)
    return _edges(joined, distances)


def within_radius(minima: Minima, radius: float) -> Ints:
    """Edges (m, 2) between minima at most a distance apart, in the units of their coordinates.

    Raises OptionError for a radius that is not above 0.
    """
    distances = _distances(minima)
    if not (is_number(radius) and radius > 0):
        raise OptionError(
            f"radius must be a distance above 0, got {short_repr(radius)}: change radius"
        )
    return _edges(distances <= radius, distances)


def beta_skeleton(minima: Minima, beta: float = 1.0) -> Ints:
    """Edges (m, 2) between minima that no other one sees far apart: at an angle of more than
    pi - asin(beta).

    beta  above 0 and at most 1: the Gabriel graph, a part of the Delaunay triangulation in every
          dimension. With less there are more edges, 0.87 has those seen at 120 degrees or less
    O(n^3) operations, whatever the number of coordinates. Raises OptionError.
    Source: Kirkpatrick & Radke (1985), "A framework for computational morphology".
    """
    distances = _distances(minima)
    if not (is_number(beta) and 0 < beta <= 1):
        raise OptionError(
            f"beta must be above 0 and at most 1, got {short_repr(beta)}: change beta"
        )
    squares, cosine = distances**2, -np.sqrt(1 - beta**2) - ROUNDING
    joined = np.zeros(distances.shape, dtype=bool)
    for i in range(len(squares)):  # 2 ab cos = a^2 + b^2 - c^2, of each j and each minimum between
        legs = squares[i][None, :] + squares - squares[i][:, None]
        joined[i] = ~(legs < 2 * cosine * distances[i][None, :] * distances).any(axis=1)
    return _edges(joined, distances)


def delaunay_graph(minima: Minima) -> Ints:
    """Edges (m, 2) of the Delaunay triangulation of minima, of which the clique complex fills the
    convex hull. For a few coordinates: a triangulation may have n^(d/2) simplices.

    Raises OptionError for minima that span no volume, as fewer than d + 2 may.
    """
    points = _points(minima)
    try:
        simplices = Delaunay(points).simplices
    except (QhullError, ValueError) as error:
        raise OptionError(
            f"a Delaunay triangulation needs minima that span a volume, {len(points)} in "
            f"{points.shape[1]} coordinates do not: take beta_skeleton or nearest_neighbors"
        ) from error
    joined = np.zeros((len(points), len(points)), dtype=bool)
    for i, j in combinations(range(simplices.shape[1]), 2):
        joined[simplices[:, i], simplices[:, j]] = True
    return _edges(joined, squareform(pdist(points)))


def _distances(minima: Minima) -> Floats:
    """Distances (n, n) between minima."""
    return squareform(pdist(_points(minima)))


def _points(minima: Minima) -> Floats:
    """Coordinates (n, d)."""
    check_minima(minima)
    return minima.points.double().cpu().numpy()


def _edges(joined: NDArray[np.bool_], distances: Floats) -> Ints:
    """Pairs that are joined either way, and those of a minimum spanning tree."""
    tree = minimum_spanning_tree(distances).toarray() > 0
    joined = joined | tree
    return np.argwhere(np.triu(joined | joined.T, k=1))
