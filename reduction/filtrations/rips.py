"""Vietoris-Rips complexes: the cliques of points, each at the length of its longest edge.

Points are at 0. Without a threshold all simplices are there, and none is listed: values are written
row by row (`kernels.rows`). With one it is the clique complex of the edges up to the threshold.

Source: Vietoris (1927); Bauer (2021), "Ripser", section 2.
"""

from math import comb
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.errors import FiltrationError, OptionError, ShapeError
from reduction.filtrations.cliques import check_dimension, clique_filtration
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete, Listed
from reduction.kernels.rows import longest_edges
from reduction.memory import require
from reduction.threads import spread, top_bounds
from reduction.validation import is_number

Number = TypeVar("Number", np.int64, np.float64)


def rips_filtration(distances: ArrayLike, dim: int, threshold: float | None) -> Filtration:
    """The filtration of distances (n, n). Raises the errors of `FilteredComplex.rips`."""
    matrix = _distances(distances)
    highest = np.inf if threshold is None else _threshold(threshold)
    check_dimension(dim, len(matrix))
    longest = matrix.max()
    if longest > highest:
        return clique_filtration(_graph(matrix, highest), dim)
    if longest == np.inf:
        i, j = np.argwhere(matrix == np.inf)[0]
        raise FiltrationError(
            f"values are finite, but the distance of the points {i} and {j} is inf; "
            "give a threshold"
        )
    return _all_simplices(matrix, dim)


def _all_simplices(distances: NDArray[np.float64], dim: int) -> Filtration:
    """All simplices up to a dimension, in as many threads as there are cores."""
    n = len(distances)
    require(
        8 * sum(comb(n, r + 1) for r in range(dim + 1)),
        f"the values of all simplices on {n} points up to dimension {dim}",
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


def _graph(distances: NDArray[np.float64], threshold: float) -> Filtration:
    """The points, and their edges up to the threshold, in colexicographic order."""
    above, below = np.nonzero(np.tril(distances <= threshold, -1))
    edges, ends = np.column_stack([below, above]), np.column_stack([above, below])
    points = np.arange(len(distances))[:, None]
    values = (np.zeros(len(points)), distances[above, below])
    for array in (points, edges, ends, *values):
        array.flags.writeable = False
    return Filtration(Listed((points, edges), (np.zeros_like(points), ends)), values)


def _read_only(array: NDArray[Number]) -> NDArray[Number]:
    array.flags.writeable = False
    return array


def _distances(given: ArrayLike) -> NDArray[np.float64]:
    """The distances in float64, checked."""
    try:
        matrix = np.asarray(given)
    except ValueError:
        raise ShapeError("distances is ragged; give a square matrix") from None
    n = len(matrix) if matrix.ndim else 0
    if matrix.shape != (n, n) or n == 0 or matrix.dtype.kind not in "fiu":
        raise ShapeError(
            f"distances has shape {matrix.shape} and type {matrix.dtype}; "
            "give a float64 array of shape (n, n) for n >= 1 points"
        )
    matrix = np.require(matrix, np.float64, ["C", "A", "W", "E"])
    _refuse(~(matrix >= 0), matrix, "distances are numbers from 0 on", "correct it")
    _refuse(matrix != matrix.T, matrix, "distances are symmetric", "give (d + d.T) / 2")
    _refuse(
        np.diag(np.diag(matrix) != 0), matrix, "a point is at distance 0 from itself", "set it to 0"
    )
    return matrix


def _refuse(wrong: NDArray[np.bool_], matrix: NDArray[np.float64], rule: str, remedy: str) -> None:
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        entries = f"distances[{i}, {j}] is {matrix[i, j]}"
        if i != j:
            entries += f" and distances[{j}, {i}] is {matrix[j, i]}"
        raise FiltrationError(f"{rule}, but {entries}; {remedy}")


def _threshold(given: float) -> float:
    if not (is_number(given) and given >= 0):
        raise OptionError(
            f"a threshold is a number from 0 on, where the points are, but threshold is {given!r}; "
            "give one, or None for all simplices"
        )
    return float(given)
