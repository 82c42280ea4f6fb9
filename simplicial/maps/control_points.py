"""The control points of a complete complex: rows of one tensor (K, d), shared by faces."""

from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.filtrations.colex import complete_positions, complete_simplices
from simplicial.maps.barycentric import Barycentric
from simplicial.maps.base import SimplexMap, face_positions, interior_controls
from simplicial.maps.edgewise import Edgewise


@dataclass(frozen=True, slots=True, eq=False)
class Simplices:
    """Simplices of one dimension, as rows of indices into the control points of a complex.

    vertices     (m, r+1) int64, labels of the vertices
    controls     (m, c) int64, rows of the control points, in the order of the map's
    simplex_map  the subdivision, common to all
    """

    vertices: NDArray[np.int64]
    controls: NDArray[np.int64]
    simplex_map: SimplexMap

    @property
    def dim(self) -> int:
        """The dimension r."""
        return self.vertices.shape[1] - 1


class Layout(NamedTuple):
    """The rows of a complete complex's control points.

    Dimension by dimension; within one, simplex by simplex; within one, the control points of its
    interior in the order of its map.

    simplices  one `Simplices` for each dimension 0 .. max_dim
    starts     first row of each dimension, and the number of all rows
    """

    simplices: tuple[Simplices, ...]
    starts: tuple[int, ...]

    def rows(self, r: int) -> slice:
        """The rows inside the r-simplices."""
        return slice(self.starts[r], self.starts[r + 1])


def lay_out(n: int, max_dim: int, simplex_map: SimplexMap) -> Layout:
    """The rows of all control points of the complete complex on n vertices."""
    vertices = complete_simplices(n, max_dim)
    own = [len(interior_controls(simplex_map, r)) for r in range(max_dim + 1)]
    starts = np.concatenate(
        [[0], np.cumsum([len(v) * k for v, k in zip(vertices, own, strict=True)])]
    )
    simplices = []
    for r, simplex in enumerate(vertices):
        columns = []
        for face, position in face_positions(simplex_map, r):
            k = len(face) - 1
            columns.append(starts[k] + complete_positions(simplex[:, face]) * own[k] + position)
        simplices.append(Simplices(simplex, np.stack(columns, axis=1), simplex_map))
    return Layout(tuple(simplices), tuple(int(s) for s in starts))


def straight(points: Tensor, layout: Layout) -> Tensor:
    """Control points of straight simplices; a centre is the mean of the vertices (section 3)."""
    control_points = points.new_empty(layout.starts[-1], points.shape[1])
    for simplices in layout.simplices:
        t = simplices.simplex_map.control_points(simplices.dim)
        share = torch.as_tensor(t, dtype=points.dtype, device=points.device)
        corners = points[torch.as_tensor(simplices.vertices)]
        for c, column in enumerate(simplices.controls.T):
            control_points[torch.as_tensor(column)] = torch.einsum("v,mvd->md", share[c], corners)
    control_points[: len(points)] = points
    return control_points


def control_point_count(simplex_map: SimplexMap, n: int, max_dim: int) -> int:
    """Number of control points of the complete complex on n vertices."""

    def inside(r: int) -> int:
        if isinstance(simplex_map, Edgewise):
            return comb(simplex_map.segments - 1, r)
        return 1 if isinstance(simplex_map, Barycentric) else len(interior_controls(simplex_map, r))

    return sum(comb(n, r + 1) * inside(r) for r in range(min(max_dim, n - 1) + 1))
