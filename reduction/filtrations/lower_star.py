"""Lower-star filtrations: a simplex is at the value of its highest vertex.

It has the barcode of the function that is linear on each simplex (Edelsbrunner & Harer 2010,
"Computational Topology", VI.3). On a grid the simplices may be Freudenthal's (1942), also called
Kuhn's (1960): each cube is cut along the diagonal from its lowest corner into d! simplices, whose
vertices are reached from each other by steps along one or more axes, each axis once. Cubes cut so
fit together, and the complex is the same for the negative of the array.
"""

from collections.abc import Sequence
from itertools import product
from math import comb, prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_array, as_float64, as_numbers, dimensions
from reduction.errors import FiltrationError, ShapeError
from reduction.filtrations.filtration import Filtration, filtration
from reduction.filtrations.images import filtration_values, numbers_on_grid
from reduction.memory import require

LISTED = 36  # bytes of each vertex of each simplex, while simplices are listed and put in order
Rows = NDArray[np.int64]


def lower_star_filtration(simplices: Any, vertex_values: ArrayLike) -> Filtration:
    """The filtration of `FilteredComplex.lower_star`, whose errors it raises."""
    values = as_numbers("vertex_values", vertex_values, "give one number for each vertex")
    if values.ndim != 1 or not values.size or values.dtype.kind not in "fiu":
        raise ShapeError(
            f"vertex_values has shape {values.shape} and type {values.dtype}; give one number for "
            "each of n >= 1 vertices"
        )
    several = isinstance(simplices, list | tuple) and all(dimensions(x) == 2 for x in simplices)
    given = [
        _checked(f"simplices[{k}]" if several else "simplices", rows, values.size)
        for k, rows in enumerate(simplices if several else [simplices])
    ]
    need = sum(
        LISTED * len(rows) * sum(k * comb(rows.shape[1], k) for k in range(1, rows.shape[1] + 1))
        for rows in given
    )
    require(need, "the faces of the simplices", "give fewer, or of a lower dimension")
    return _filtration(_with_faces(given, values.size), as_float64(values))


def freudenthal_filtration(given: ArrayLike, *, superlevel: bool) -> Filtration:
    """The filtration of `FilteredComplex.freudenthal`, whose errors it raises."""
    array = numbers_on_grid(given)
    paths = [_paths(array.ndim, r) for r in range(array.ndim + 1)]
    count = [
        sum(prod(n - step for n, step in zip(array.shape, path[-1], strict=True)) for path in some)
        for some in paths
    ]
    need = LISTED * sum((r + 1) * m for r, m in enumerate(count))
    require(need, f"a triangulation of {sum(count)} simplices", "take a smaller array")
    values = filtration_values(array, superlevel=superlevel).ravel()
    return _filtration([_translates(array.shape, some) for some in paths], values)


def _filtration(rows: Sequence[Rows], values: NDArray[np.float64]) -> Filtration:
    return filtration(rows, [_highest(values, simplices) for simplices in rows])


def _highest(values: NDArray[np.float64], simplices: Rows) -> NDArray[np.float64]:
    """(m,): the highest value of the vertices of each simplex (m, r+1)."""
    found = values[simplices[:, 0]]
    for column in simplices.T[1:]:
        np.maximum(found, values[column], out=found)
    return found


def _checked(name: str, given: Any, n: int) -> Rows:
    """Simplices (m, r+1) of the vertices 0..n-1, ascending in each row."""
    rows = as_array(name, given, "give the same number of vertices in each row")
    if rows.ndim != 2 or not rows.shape[1] or rows.dtype.kind not in "iu":
        raise ShapeError(
            f"{name} has shape {rows.shape} and type {rows.dtype}; give an integer array of shape "
            "(m, r+1), or a list of them, one for each dimension"
        )
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        i = int(np.argmax(outside.any(axis=1)))
        raise FiltrationError(
            f"vertices are 0..{n - 1}, one for each of vertex_values, but row {i} of {name} is "
            f"{rows[i].tolist()}; relabel them, or give more values"
        )
    rows = np.sort(rows.astype(np.int64), axis=1)
    repeated = (rows[:, 1:] == rows[:, :-1]).any(axis=1)
    if repeated.any():
        i = int(np.argmax(repeated))
        raise FiltrationError(
            f"the vertices of a simplex are distinct, but row {i} of {name} has those of "
            f"{rows[i].tolist()}; remove the repeated vertex"
        )
    return rows


def _with_faces(given: Sequence[Rows], n: int) -> list[Rows]:
    """Simplices with all their faces, each once, by dimension; all n vertices are among them."""
    top = max(rows.shape[1] for rows in given) - 1 if given else 0
    found: list[list[Rows]] = [[np.empty((0, r + 1), np.int64)] for r in range(top + 1)]
    for rows in given:
        found[rows.shape[1] - 1].append(rows)
    for r in range(top, 1, -1):
        found[r] = [_distinct(np.concatenate(found[r]))]
        found[r - 1] += [np.delete(found[r][0], k, axis=1) for k in range(r + 1)]
    edges = [_distinct(np.concatenate(some)) for some in found[1:2]]
    return [np.arange(n)[:, None], *edges, *(some[0] for some in found[2:])]


def _distinct(rows: Rows) -> Rows:
    """Each row once, in colexicographic order."""
    rows = rows[np.lexsort(rows.T)]
    return rows[np.append(True, (rows[1:] != rows[:-1]).any(axis=1))[: len(rows)]]


def _paths(axes: int, r: int) -> list[list[tuple[int, ...]]]:
    """Ascending paths of r + 1 corners of a cube from its lowest one, which is the first."""
    corners: list[tuple[int, ...]] = list(product((0, 1), repeat=axes))
    paths = [[corners[0]]]
    for _ in range(r):
        paths = [
            [*path, corner]
            for path in paths
            for corner in corners
            if corner != path[-1] and all(a <= b for a, b in zip(path[-1], corner, strict=True))
        ]
    return paths


def _translates(shape: tuple[int, ...], paths: Sequence[Sequence[tuple[int, ...]]]) -> Rows:
    """(m, r+1): the simplices of the paths in all cubes of a grid, in colexicographic order.

    They follow each other by their last vertices, and at each of these by path.
    """
    strides = np.array([prod(shape[k + 1 :]) for k in range(len(shape))])
    corners = np.array(paths)  # (number of paths, r+1, axes)
    below = (corners[:, -1:] - corners) @ strides  # of the last vertex
    order = np.lexsort(-below.T)
    last = np.arange(prod(shape))
    inside = np.array(np.unravel_index(last, shape)).T > 0
    fits = (inside[:, None] | (corners[order, -1] == 0)).all(axis=2)
    vertex, path = np.nonzero(fits)
    return last[vertex][:, None] - below[order][path]
