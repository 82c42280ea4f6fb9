"""Vietoris-Rips complexes: the cliques of points, each at the length of its longest edge.

Points are at 0. Where all points are at finite distances, all simplices may be there, and none is
listed: values are written row by row (`kernels.rows`). Up to a threshold, or where some distances
are inf, it is the clique complex of the edges.

The enclosing radius is the least distance from some point within which all others lie. From there
on the complex is a cone with that point as its apex, so nothing begins or ends but bars of length
zero: as a threshold it changes no other bar of an index below the top dimension.

Source: Vietoris (1927); Bauer (2021), "Ripser", section 2, and for the radius its implementation.
"""

from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.errors import OptionError
from reduction.filtrations.cliques import check_dimension, clique_filtration
from reduction.filtrations.distance_matrix import (
    Edges,
    distance_matrix,
    distances_of,
    graph,
    is_graph,
)
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete, Listed
from reduction.kernels.rows import longest_edges
from reduction.memory import require
from reduction.threads import spread, top_bounds
from reduction.validation import as_float, is_number, short_repr

POINT = 40  # bytes of a point of a graph: its number, its facet, its value, and a copy of two

LISTED, KEPT = 12, 28  # bytes of a clique in a list: for each of its dimensions, and beside


def rips_filtration(
    distances: Any, dim: int, threshold: float | None, metric: Any = None
) -> Filtration:
    """The filtration of distances. Raises the errors of `FilteredComplex.rips`."""
    highest = None if threshold is None else _threshold(threshold)
    check_dimension(dim)
    if metric is None and is_graph(distances):
        edges = graph(distances)
        return clique_filtration(_graph(edges, np.inf if highest is None else highest), dim)
    matrix = distance_matrix(distances if metric is None else distances_of(distances, metric))
    longest = matrix.max()
    if highest is None:
        radius = float(matrix.max(axis=1).min())
        listed = longest == np.inf or _list_is_shorter(matrix <= radius, dim)
        highest = radius if listed else np.inf
    if longest > highest or longest == np.inf or dim >= len(matrix):
        return clique_filtration(_graph(_edges(matrix, highest), highest), dim)
    return _all_simplices(matrix, dim)


def _list_is_shorter(joined: NDArray[np.bool_], dim: int) -> bool:
    """Whether the cliques of a graph (n, n), in a list, take less memory than all values do.

    From edges and triangles at most so many cliques can be made of them, whatever the graph is:
    with C(x, 3) triangles C(x, r + 1) of dimension r (Lovász's form of the Kruskal-Katona theorem).
    """
    n = len(joined)
    near = joined.astype(np.float32) - np.eye(n, dtype=np.float32)
    cliques = [float(n), float(near.sum(dtype=np.float64)) / 2]
    if dim >= 2:
        cliques.append(float(((near @ near) * near).sum(dtype=np.float64)) / 6)
    while len(cliques) <= dim:
        r = len(cliques)
        cliques.append(cliques[-1] * max(_inverse(cliques[2]) - r, 0.0) / (r + 1))
    size = sum((LISTED * r + KEPT) * count for r, count in enumerate(cliques[: dim + 1]))
    return size < 8 * sum(comb(n, r + 1) for r in range(dim + 1))


def _inverse(triangles: float) -> float:
    """The x >= 2 with x (x - 1) (x - 2) / 6 triangles."""
    low, high = 2.0, 3.0 + 2 * triangles ** (1 / 3)
    for _ in range(60):
        middle = (low + high) / 2
        below = middle * (middle - 1) * (middle - 2) / 6 < triangles
        low, high = (middle, high) if below else (low, middle)
    return high


def _all_simplices(distances: NDArray[np.float64], dim: int) -> Filtration:
    """All simplices up to a dimension, in as many threads as there are cores."""
    n = len(distances)
    radius = distances.max(axis=1).min()
    require(
        8 * sum(comb(n, r + 1) for r in range(dim + 1)),
        f"the values of all simplices on {n} points up to dimension {dim}",
        f"give a threshold (from the enclosing radius {radius:.6g} on no bar depends on it), "
        "take fewer points or a lower dimension",
    )
    simplices = Complete(_read_only(np.arange(n)), dim)
    binomials, values = simplices.binomials(), [_read_only(np.zeros(n))]
    for r in range(1, dim + 1):
        row = np.empty(comb(n, r + 1))

        def write(first: int, last: int, r: int = r, row: NDArray[np.float64] = row) -> None:
            longest_edges(r, first, last, binomials, distances, values[r - 1], row)

        spread(write, top_bounds(n, r, row.size))
        values.append(_read_only(row))
    return Filtration(simplices, tuple(values))


def _edges(distances: NDArray[np.float64], threshold: float) -> Edges:
    """The edges up to the threshold, in colexicographic order."""
    near = np.tril(distances <= threshold, -1) & (distances < np.inf)
    above, below = np.nonzero(near)
    return Edges(len(distances), np.column_stack([below, above]), distances[above, below])


def _graph(edges: Edges, threshold: float) -> Filtration:
    """The points, and their edges up to the threshold, which are in colexicographic order."""
    short = edges.lengths <= threshold
    ends, lengths = edges.ends[short], edges.lengths[short]
    require(POINT * edges.n, f"a complex on {edges.n} points")
    points = np.arange(edges.n)[:, None]
    facets = np.ascontiguousarray(ends[:, ::-1])
    values = (np.zeros(edges.n), lengths)
    for array in (points, ends, facets, *values):
        array.flags.writeable = False
    return Filtration(Listed((points, ends), (np.zeros_like(points), facets)), values)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _threshold(given: float) -> float:
    if not (is_number(given) and given >= 0):
        raise OptionError(
            f"a threshold is a number from 0 on, where the points are, but threshold is "
            f"{short_repr(given)}; give one, inf for all edges, or leave it out"
        )
    return as_float(given)  # inf beyond the largest float
