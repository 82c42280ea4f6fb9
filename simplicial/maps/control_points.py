"""The control points of a complex: rows of one tensor (K, d), shared by faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import FilteredComplex
from reduction.filtrations.colex import complete_positions, complete_simplices, positions_among
from simplicial.maps.barycentric import Barycentric
from simplicial.maps.base import SimplexMap, face_positions, interior_controls
from simplicial.maps.edgewise import Edgewise


@dataclass(frozen=True, slots=True, eq=False)
class Simplices:
    """Simplices of one dimension, as rows of indices into the control points of a complex.

    vertices     (m, r+1) int64, labels of the vertices; of a complex in colexicographic order
    controls     (m, c) int64, rows of the control points, in the order of the map's
    simplex_map  the subdivision, common to all
    """

    vertices: NDArray[np.int64]
    controls: NDArray[np.int64]
    simplex_map: SimplexMap

    def __repr__(self) -> str:
        count, each = self.controls.shape
        return f"Simplices(dim={self.dim}, count={count}, controls={each}, map={self.simplex_map})"

    @property
    def dim(self) -> int:
        """The dimension r."""
        return self.vertices.shape[1] - 1

    def positions(self, vertices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions (...) of simplices (..., r+1) among all those of a complex; -1 of others."""
        return positions_among(self.vertices, vertices)


class Layout(NamedTuple):
    """The rows of a complex's control points.

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

    def facets(self, r: int) -> NDArray[np.int64]:
        """Vertices (m, r) of the (r-1)-simplices, r >= 1."""
        return self.simplices[r - 1].vertices


def lay_out(
    n: int, max_dim: int, simplex_map: SimplexMap, edges: NDArray[np.int64] | None = None
) -> Layout:
    """The rows of all control points of a complex on n vertices.

    edges  (m, 2) of the graph whose clique complex it is; None: the complete complex
    """
    if edges is None:
        vertices = complete_simplices(n, max_dim)
    else:
        vertices = clique_simplices(n, max_dim, edges)
    own = [len(interior_controls(simplex_map, r)) for r in range(max_dim + 1)]
    starts = np.concatenate(
        [[0], np.cumsum([len(v) * k for v, k in zip(vertices, own, strict=True)])]
    )
    simplices = []
    for r, simplex in enumerate(vertices):
        columns = []
        for face, position in face_positions(simplex_map, r):
            k = len(face) - 1
            faces = positions_among(vertices[k], simplex[:, face])
            columns.append(starts[k] + faces * own[k] + position)
        simplices.append(Simplices(simplex, np.stack(columns, axis=1), simplex_map))
    return Layout(tuple(simplices), tuple(int(s) for s in starts))


def clique_simplices(n: int, max_dim: int, edges: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Vertices (m, r+1) of the clique complex of a graph on 0..n-1, in colexicographic order, of
    each dimension up to max_dim.

    edges  (m, 2) int64, ascending in each row
    """
    graph = FilteredComplex.cliques(
        [np.arange(n)[:, None], edges], [np.zeros(n), np.zeros(len(edges))], max_dim
    )
    return [rows[np.argsort(complete_positions(rows))] for rows in graph.vertices]


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


def complete_counts(n: int, max_dim: int) -> list[int]:
    """The number of simplices of each dimension of the complete complex on n vertices.

    Up to dimension n - 1; a single vertex has none up to max_dim.
    """
    return [comb(n, r + 1) for r in range((min(max_dim, n - 1) if n > 1 else max_dim) + 1)]


def control_point_count(simplex_map: SimplexMap, counts: Sequence[int]) -> int:
    """Number of control points of a complex.

    counts  of its simplices, by dimension
    """

    def inside(r: int) -> int:
        if isinstance(simplex_map, Edgewise):
            return comb(simplex_map.segments - 1, r)
        return 1 if isinstance(simplex_map, Barycentric) else len(interior_controls(simplex_map, r))

    return sum(m * inside(r) for r, m in enumerate(counts))
