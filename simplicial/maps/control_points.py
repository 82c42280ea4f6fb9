"""Where the control points of a complete complex stand: one pool of points, rows shared by
faces."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reduction.filtrations.colex import complete_positions, complete_simplices
from simplicial.maps.base import SimplexMap, face_positions, interior_controls
from simplicial.optimizers.algorithm1 import Simplices


class Layout(NamedTuple):
    """Where the control points of a complete complex stand in the pool.

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
    """Give every control point of the complete complex on n vertices its row in the pool."""
    vertices = complete_simplices(n, max_dim)
    own = [len(interior_controls(simplex_map, r)) for r in range(max_dim + 1)]
    starts = np.concatenate(
        [[0], np.cumsum([len(v) * k for v, k in zip(vertices, own, strict=True)])]
    )
    simplices = []
    for r, simplex in enumerate(vertices):
        columns = []
        for face, place in face_positions(simplex_map, r):
            k = len(face) - 1
            columns.append(starts[k] + complete_positions(simplex[:, face]) * own[k] + place)
        simplices.append(Simplices(simplex, np.stack(columns, axis=1), simplex_map))
    return Layout(tuple(simplices), tuple(int(s) for s in starts))


def straight(points: Tensor, layout: Layout) -> Tensor:
    """Control points of straight simplices; a centre is the mean of the vertices (section 3)."""
    pool = points.new_empty(layout.starts[-1], points.shape[1])
    for simplices in layout.simplices:
        t = simplices.simplex_map.control_points(simplices.dim)
        share = torch.as_tensor(t, dtype=points.dtype, device=points.device)
        corners = points[torch.as_tensor(simplices.vertices)]
        for c, column in enumerate(simplices.controls.T):
            pool[torch.as_tensor(column)] = torch.einsum("v,mvd->md", share[c], corners)
    pool[: len(points)] = points
    return pool
