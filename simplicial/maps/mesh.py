"""The linear pieces of a simplex as a mesh: neighbours of control points, tangents, spacing.

All simplices of a dimension share one mesh; only where its control points stand differs. Geometry
comes as control points (m, c, d), of m simplices at once.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.maps.base import SimplexMap

UPWIND = 0.05  # weight of neighbours that are lower, beside at most 1 for the highest
INSIDE = 1e-9  # rounding of barycentric coordinates


@dataclass(frozen=True, slots=True, eq=False)
class LinearPieces:
    """Control points and linear pieces of the standard r-simplex, or of a part of it.

    barycentric (c, r+1) float64, barycentric coordinates of the control points
    pieces      (p, r+1) int64, control points at the corners of the linear pieces
    inside      (i,) int64, the control points on no proper face
    """

    barycentric: NDArray[np.float64]
    pieces: NDArray[np.int64]
    inside: NDArray[np.int64]

    @classmethod
    def of(cls, simplex_map: SimplexMap, r: int) -> "LinearPieces":
        """All linear pieces of a subdivision in dimension r."""
        barycentric = simplex_map.control_points(r)
        inside = np.flatnonzero((barycentric > 0).all(axis=1))
        return LinearPieces(barycentric, simplex_map.pieces(r), inside)

    def holding(self, t: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Linear pieces that hold the points t (p, r+1), and barycentric coordinates in them.

        Returns pairs (q, 2) of a piece and a point, and barycentric coordinates (q, r+1) in the
        piece. A point on a common face is held by several pieces.
        """
        pairs, shares = [], []
        for k, corners in enumerate(self.barycentric[self.pieces]):
            share = np.linalg.solve(corners.T, t.T).T
            held = np.flatnonzero((share >= -INSIDE).all(axis=1))
            pairs.append(np.stack([np.full(held.size, k), held], axis=1))
            shares.append(share[held].clip(min=0))
        return np.concatenate(pairs), np.concatenate(shares)


@dataclass(frozen=True, slots=True, eq=False)
class Mesh(LinearPieces):
    """The linear pieces of the whole standard r-simplex, with the neighbours of control points.

    edges       (e, 2) int64, pairs of control points that share a piece
    neighbours  (i, q) int64, for each inner control point those it shares an edge with
    present     (i, q) bool, false where a row of neighbours is filled up
    harmonic    (i, c) float64, inner control points from the outer: each the mean of its
                neighbours
    """

    edges: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    present: NDArray[np.bool_]
    harmonic: NDArray[np.float64]

    @classmethod
    def of(cls, simplex_map: SimplexMap, r: int) -> "Mesh":
        """The mesh of a subdivision in dimension r."""
        of_map = LinearPieces.of(simplex_map, r)
        barycentric, pieces, inside = of_map.barycentric, of_map.pieces, of_map.inside
        linked = np.zeros((len(barycentric), len(barycentric)), dtype=bool)
        linked[pieces[:, :, None], pieces[:, None, :]] = True
        np.fill_diagonal(linked, False)
        rows = [np.flatnonzero(linked[c]) for c in inside]
        width = max((len(row) for row in rows), default=0)
        neighbours = np.array(
            [np.pad(row, (0, width - len(row)), mode="edge") for row in rows], dtype=np.int64
        ).reshape(len(rows), width)
        present = np.array([np.arange(width) < len(row) for row in rows]).reshape(len(rows), width)
        means = linked[inside] / linked[inside].sum(axis=1, keepdims=True)
        harmonic = np.zeros_like(means)
        outer = np.setdiff1d(np.arange(len(barycentric)), inside)
        harmonic[:, outer] = np.linalg.solve(
            np.eye(len(inside)) - means[:, inside], means[:, outer]
        )
        edges = np.argwhere(np.triu(linked))
        return cls(barycentric, pieces, inside, edges, neighbours, present, harmonic)

    def spacing(self, controls: Tensor) -> Tensor:
        """Mean length of the mesh's edges in parameter space, (m,), for controls (m, c, d)."""
        a, b = torch.as_tensor(self.edges.T, device=controls.device)
        return (controls[:, a] - controls[:, b]).norm(dim=2).mean(dim=1)

    def spread(self, controls: Tensor) -> Tensor:
        """Vectors (m, i, d) from each inner control point to the mean of its neighbours."""
        at, present = self._rows(controls)
        share = present.to(controls) / present.sum(dim=1, keepdim=True)
        means = torch.einsum("iq,miqd->mid", share, controls[:, at])
        return means - controls[:, torch.as_tensor(self.inside, device=controls.device)]

    def tangents(self, controls: Tensor, values: Tensor) -> Tensor:
        """Tangent vectors d psi / d t_1, ..., d psi / d t_r at inner control points, (m, i, r, d).

        A least-squares fit to the neighbours, in which higher neighbours count more: on a slope the
        tangent space is the one uphill, which keeps elastic bands free of kinks.
        values  (m, c), the loss at the control points
        Source: for r = 1 Henkelman & Jonsson 2000 (J. Chem. Phys. 113, 9978), eqs. 8 to 11, whose
        choice of one neighbour is smoothed here; for r > 1 the same by least squares.
        """
        at, present = self._rows(controls)
        here = torch.as_tensor(self.inside, device=controls.device)
        steps = (self.barycentric[self.neighbours] - self.barycentric[self.inside][:, None])[
            ..., 1:
        ]
        steps = torch.as_tensor(steps, device=controls.device).to(controls)
        values = values.double()  # the least divisor is 0 in single precision
        rise = (values[:, at] - values[:, here, None]) * present
        rise = rise.clamp(min=0) / rise.abs().amax(dim=2, keepdim=True).clamp(min=1e-300)
        weight = (UPWIND + rise.to(controls)) * present
        normal = torch.einsum("miq,iqr,iqs->mirs", weight, steps, steps)
        moments = torch.einsum(
            "miq,iqr,miqd->mird", weight, steps, controls[:, at] - controls[:, here][:, :, None]
        )
        return torch.linalg.solve(normal, moments)

    def _rows(self, controls: Tensor) -> tuple[Tensor, Tensor]:
        return (
            torch.as_tensor(self.neighbours, device=controls.device),
            torch.as_tensor(self.present, device=controls.device),
        )
