"""Cubical complexes: the cells of a grid, with values from an array.

A cell is a product of vertices and edges of the axes: an r-cell extends along r of them. The array
has a number either for each top-dimensional cell, and a face takes the lowest of the cells around
it (the T-construction); or for each vertex, and a cell takes the highest of its vertices (the
V-construction). On one array the two are different filtrations: in the plane, pixels that touch at
a corner are joined by the first, and not by the second.

The boundary of a cell that extends along the axes k_0 < k_1 < ... is the sum over i of (-1)^i times
its upper minus its lower end along k_i. Source: Kaczynski, Mischaikow & Mrozek (2004),
"Computational Homology", chapter 2; Garin, Heiss, Maggs, Bleile & Robins (2020), "Duality in
persistent homology of images", for the two constructions.
"""

from collections.abc import Sequence
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.errors import OptionError
from reduction.filtrations.images import filtration_values, numbers_on_grid
from reduction.memory import require
from reduction.validation import short_repr

if TYPE_CHECKING:  # loaded where it is used
    from scipy import sparse

TOP_CELLS, VERTICES = "top cells", "vertices"
CELL, FACE = 32, 14  # bytes of a cell, and of each facet of one, while matrices are made
Floats = NDArray[np.float64]


class Cells(NamedTuple):
    """The cells of a filtered cubical complex, by degree; within it by axes, then in C order."""

    boundaries: "list[sparse.csc_array]"  # [r - 1] (m_{r-1}, m_r) int64
    values: list[Floats]  # [r] (m_r,)


class Grid(NamedTuple):
    """The edges along each axis, and whether the last of them ends where the first begins."""

    edges: tuple[int, ...]
    periodic: tuple[bool, ...]

    def shape(self, along: Sequence[int]) -> tuple[int, ...]:
        """The shape of an array with a number for each cell that extends along some axes."""
        return tuple(
            n if k in along or closed else n + 1
            for k, (n, closed) in enumerate(zip(self.edges, self.periodic, strict=True))
        )

    def ends(self, of_vertices: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The numbers at the lower and the upper ends of the edges along an axis."""
        if self.periodic[axis]:
            return of_vertices, np.roll(of_vertices, -1, axis)
        return _neighbours(of_vertices, axis)


def cubical_cells(
    given: ArrayLike, values_on: str, *, superlevel: bool, periodic: "bool | Sequence[bool]"
) -> Cells:
    """The cells of an array. Raises the errors of `ChainComplex.cubical`."""
    if not isinstance(values_on, str) or values_on not in (TOP_CELLS, VERTICES):
        raise OptionError(
            f"an array has values on '{TOP_CELLS}' or on '{VERTICES}', but values_on is "
            f"{short_repr(values_on)}; give one of these"
        )
    array = numbers_on_grid(given)
    closed = _periodic(periodic, array.ndim)
    on_cells = values_on == TOP_CELLS
    edges = (
        n if on_cells or wraps else n - 1 for n, wraps in zip(array.shape, closed, strict=True)
    )
    grid = Grid(tuple(edges), closed)
    kinds = [list(combinations(range(array.ndim), r)) for r in range(array.ndim + 1)]
    counts = [sum(prod(grid.shape(along)) for along in kind) for kind in kinds]
    need = sum((CELL + 2 * r * FACE) * count for r, count in enumerate(counts))
    require(need, f"a cubical complex of {sum(counts)} cells", "take a smaller array")
    array, at = (
        filtration_values(array, superlevel=superlevel),
        _from_top if on_cells else _from_vertices,
    )
    values = [np.concatenate([at(grid, array, along).ravel() for along in kind]) for kind in kinds]
    return Cells([_boundary(grid, kinds[r - 1], kinds[r]) for r in range(1, len(kinds))], values)


def _periodic(given: "bool | Sequence[bool]", axes: int) -> tuple[bool, ...]:
    flags = [given] * axes if isinstance(given, bool | np.bool_) else given
    if not (
        isinstance(flags, Sequence | np.ndarray)
        and len(flags) == axes
        and all(isinstance(flag, bool | np.bool_) for flag in flags)
    ):
        raise OptionError(
            f"an axis is periodic or not, but periodic is {short_repr(given)} for {axes} axes; "
            "give True or False, or one of them for each axis"
        )
    return tuple(map(bool, flags))


def _from_vertices(grid: Grid, array: Floats, along: Sequence[int]) -> Floats:
    """The highest values of the vertices of cells."""
    for axis in along:
        array = np.maximum(*grid.ends(array, axis))
    return array


def _from_top(grid: Grid, array: Floats, along: Sequence[int]) -> Floats:
    """The lowest values of the top-dimensional cells around cells."""
    for axis in range(array.ndim):
        if axis in along:
            continue
        if grid.periodic[axis]:
            array = np.minimum(array, np.roll(array, 1, axis))
        else:
            margin = [(1, 1) if k == axis else (0, 0) for k in range(array.ndim)]
            padded = np.pad(array, margin, constant_values=np.inf)
            array = np.minimum(*_neighbours(padded, axis))
    return array


def _neighbours(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """All but the last, and all but the first, along an axis."""
    before = (slice(None),) * axis
    return array[*before, :-1], array[*before, 1:]


def _boundary(
    grid: Grid, below: Sequence[tuple[int, ...]], cells: Sequence[tuple[int, ...]]
) -> "sparse.csc_array":
    """The boundary matrix of the cells of one degree r; `below` and `cells` are sets of axes."""
    from scipy import sparse

    begin, positions = 0, {}
    for along in below:
        shape = grid.shape(along)
        positions[along] = np.arange(begin, begin + prod(shape)).reshape(shape)
        begin += prod(shape)
    facets: list[NDArray[np.int64]] = []
    for along in cells:
        ends = [grid.ends(positions[tuple(a for a in along if a != k)], k) for k in along]
        facets.append(np.stack([end.ravel() for pair in ends for end in pair], axis=1))
    rows = np.concatenate(facets)
    m, width = rows.shape
    signs = np.array([(-1) ** (k // 2 + 1 + k % 2) for k in range(width)])
    indptr = np.arange(0, m * width + 1, width)
    matrix: Any = sparse.csc_array((np.tile(signs, m), rows.ravel(), indptr), shape=(begin, m))
    matrix.sum_duplicates()  # an edge around an axis of length 1 has one vertex
    matrix.eliminate_zeros()
    return matrix
