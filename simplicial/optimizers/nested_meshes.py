"""Nested edgewise meshes of a simplex, from coarse to fine, as in multigrid.

An edgewise map of k segments is linear on the pieces of that of 2k, so a finer map starts as the
coarse one, unchanged, and a motion of a coarse mesh is one of the finest: faces, which have the
finest mesh, stay where they are.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from simplicial.maps.edgewise import Edgewise
from simplicial.maps.mesh import Mesh

SMOOTH = 0.5  # weight of the Laplacian, beside the rest of the identity's


@dataclass(frozen=True, slots=True, eq=False)
class NestedMesh:
    """A mesh whose control points are some of the finest mesh's.

    simplex_map  the subdivision
    mesh         with c control points, i of them inside
    rows         (c,) int64, where these are among the control points of the finest mesh
    prolonged    (f, i) float64, the motion of the finest mesh's f inner points by those of this
    smoothing    (i, i) float64, Green's functions of the mesh, in rows: 1 on the diagonal
    tangents     (i, r, c) float64, tangents at inner control points by the control points, on a
                 level: those of `Mesh.tangents`, which are linear in the control points
    spread       (i, c) float64, `Mesh.spread` likewise
    """

    simplex_map: Edgewise
    mesh: Mesh
    rows: NDArray[np.int64]
    prolonged: NDArray[np.float64]
    smoothing: NDArray[np.float64]
    tangents: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def inner(self) -> int:
        """Number of inner control points i."""
        return len(self.mesh.inside)

    def interpolation(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights (p, c) of the control points at points t (p, r+1): W(t)."""
        corners, weights = self.simplex_map.locate(t)
        every = np.zeros((len(t), len(self.rows)))
        np.put_along_axis(every, corners, weights, axis=1)
        return every


@lru_cache(maxsize=16)
def nested_meshes(segments: int, r: int) -> tuple[NestedMesh, ...]:
    """Meshes of the standard r-simplex, the coarsest first: each of half as many segments as the
    next, as long as these are whole and leave control points inside; none where the finest has
    none.
    """
    if segments <= r:
        return ()
    counts = [segments]
    while counts[0] % 2 == 0 and counts[0] // 2 > r:
        counts.insert(0, counts[0] // 2)
    finest = Edgewise(segments)
    inside = Mesh.of(finest, r)
    inside = inside.barycentric[inside.inside]
    return tuple(_nested(Edgewise(count), finest, inside, r) for count in counts)


def _nested(
    simplex_map: Edgewise, finest: Edgewise, inside: NDArray[np.float64], r: int
) -> NestedMesh:
    """The mesh of a subdivision, in the finest one, whose inner control points are given."""
    mesh = Mesh.of(simplex_map, r)
    corners, weights = finest.locate(mesh.barycentric)
    rows = np.take_along_axis(corners, weights.argmax(axis=1)[:, None], axis=1)[:, 0]
    unit = torch.eye(len(rows), dtype=torch.float64)[None]  # a control point for each dimension
    tangents = mesh.tangents(unit, torch.zeros_like(unit[:, 0]))[0].numpy()
    spread, nothing = mesh.spread(unit)[0].numpy(), np.empty(0)
    nested = NestedMesh(simplex_map, mesh, rows, nothing, _smoothing(mesh), tangents, spread)
    return replace(nested, prolonged=nested.interpolation(inside)[:, mesh.inside])


def _smoothing(mesh: Mesh) -> NDArray[np.float64]:
    """The inverse of identity and Laplacian of the inner control points, 0 at the outer ones."""
    adjacent = np.zeros((len(mesh.barycentric),) * 2)
    adjacent[tuple(mesh.edges.T)] = 1
    adjacent += adjacent.T
    degree = adjacent.sum(axis=1)
    laplacian = 2 * (np.eye(len(degree)) - adjacent / degree[:, None])
    inner = np.ix_(mesh.inside, mesh.inside)
    inverse = np.linalg.inv((1 - SMOOTH) * np.eye(len(mesh.inside)) + SMOOTH * laplacian[inner])
    return inverse / np.diag(inverse)[:, None]
