"""Lowered maps: a simplex pushed down to a critical point, and measured.

Let c be a critical point of Morse index q, and E the span of the q lowest eigenvectors of the
Hessian there. With x - c = u + s, u in E and s orthogonal to E, a quadratic loss is convex along s
and concave along u, so

    f(c + u) <= f(c)    and    f(c + u + theta s) <= max(f(c), f(x)),    0 <= theta <= 1.

A deformation of space that takes s away near c raises no simplex above the level that it has, and
lowers those that cross the stable directions of c to f(c). So the part of a simplex above f(c) is
moved onto c + E, on a finer mesh, and the loss on the new map is measured by its refined maximum:
the critical value is the simplex's only where a map attains it, and no more. How far the quadratic
model holds is not assumed. A vertex moves to its minimum along a straight line, if that descends.
Source: Milnor (1963), "Morse Theory", theorem 3.2, whose deformation this is near c.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.critical_points.constraints import Invariance
from simplicial.critical_points.matrix_free_model import MatrixFreeModel
from simplicial.critical_points.quadratic_model import DENSE, DenseModel
from simplicial.errors import NotFiniteError
from simplicial.evaluation import evaluate, points_at_once, values_and_gradients
from simplicial.loss import Loss
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.mesh import INSIDE, LinearPieces
from simplicial.maxima.pieces import (
    EvaluatedSimplices,
    PointsInPieces,
    linear_pieces,
)
from simplicial.maxima.refined import refined_maxima

Ints = NDArray[np.int64]

SEGMENTS = {1: 16, 2: 6, 3: 3}  # of a linear piece that is moved; 2 in higher dimensions
BELOW = (1.0, 0.1, 0.01, 0.001)
GRID = 2**33  # barycentric coordinates that are the same on this grid are one point's


class CriticalPoint(NamedTuple):
    """A critical point (d,), the loss there, and its Morse index."""

    point: Tensor
    value: float
    morse: int


def attains(
    loss: Loss,
    control_points: Tensor,
    pieces: LinearPieces,
    critical: CriticalPoint,
    *,
    tolerance: float,
    memory: int,
) -> bool:
    """Whether a map of a simplex is made that attains a critical value, and no more.

    control_points  (c, d) of the simplex
    pieces          its linear pieces
    tolerance       of refined maxima, in the loss's units
    memory          bytes for a batch of points, never the result
    Control points on proper faces stay where they are. Raises LossError where the loss breaks its
    contract; a map on which it is not finite attains nothing.
    """
    try:
        if len(control_points) == 1:
            return _descends(loss, control_points[0], critical.point, tolerance, memory)
        simplex = evaluated(loss, control_points, pieces, memory)
        which = _pieces_above(loss, simplex, critical.value + tolerance, memory)
        level = critical.value - 2 * tolerance
        maps = _lowered(loss, simplex, which, critical, memory) if which.size else [simplex]
        for lowered in maps:
            highest = largest_inside(loss, lowered, level, tolerance, memory)
            if level <= highest <= critical.value + tolerance:
                return True
        return False
    except NotFiniteError:
        return False


def evaluated(loss: Loss, points: Tensor, pieces: LinearPieces, memory: int) -> EvaluatedSimplices:
    """One simplex (c, d), with the loss and its gradients at its control points."""
    at_points = values_and_gradients(loss, points, memory)
    return EvaluatedSimplices(points, at_points, np.arange(len(points))[None], pieces)


def largest_inside(
    loss: Loss, simplex: EvaluatedSimplices, known: float, tolerance: float, memory: int
) -> float:
    """The refined maximum inside one simplex, where it is above what is known; inf if unfinished.

    On an edge the loss is taken on a lattice, too: its pieces may be long.
    """
    found = refined_maxima(
        loss, simplex, known=np.full(1, known), tolerance=tolerance, memory=memory
    )
    if found.exhausted[0]:
        return np.inf  # nothing bounds it
    highest = float(found.maxima.values[0])
    if simplex.mesh.barycentric.shape[1] == 2:
        points = simplex.control_points
        highest = max(highest, float(on_lattice(loss, points, simplex.mesh, memory).max()))
    return highest


def _descends(loss: Loss, start: Tensor, end: Tensor, tolerance: float, memory: int) -> bool:
    """Whether the loss on the straight line between two points (d,) is highest at the start."""
    edge = evaluated(loss, torch.stack([start, end]), LinearPieces.of(Edgewise(1), 1), memory)
    level = float(edge.at_controls.values[0])
    return largest_inside(loss, edge, level, tolerance, memory) <= level + tolerance


def _pieces_above(loss: Loss, simplex: EvaluatedSimplices, level: float, memory: int) -> Ints:
    """The linear pieces on which the loss is above a level at a lattice, or may be between.

    What may be is judged as refined maxima judge it.
    """
    points, pieces = simplex.control_points, simplex.mesh
    r, at_once = pieces.barycentric.shape[1] - 1, points_at_once(loss, points, memory)
    higher = on_lattice(loss, points, pieces, memory) > level
    inside = PointsInPieces.of(pieces, np.empty((0, r + 1)))
    corners = points[torch.as_tensor(pieces.pieces[inside.added])]
    shares = torch.as_tensor(inside.shares, device=points.device).to(points)
    added = evaluate(loss, torch.einsum("ej,ejd->ed", shares, corners), memory)
    possible = [
        part.piece[part.estimates().expected > level]
        for part in linear_pieces(simplex, inside, added.loss[None], at_once)
    ]
    return np.union1d(np.flatnonzero(higher), np.concatenate(possible))


def on_lattice(
    loss: Loss, points: Tensor, pieces: LinearPieces, memory: int
) -> NDArray[np.float64]:
    """The largest loss (p,) on a lattice of each linear piece of a simplex (c, d).

    Raises LossError where the loss is not finite.
    """
    r = pieces.barycentric.shape[1] - 1
    shares = _division(r).control_points(r)
    step = max(1, points_at_once(loss, points, memory) // len(shares))
    values = [
        evaluate(loss, _places(shares, points, pieces.pieces[i : i + step]), memory).loss
        for i in range(0, len(pieces.pieces), step)
    ]
    return np.concatenate(values).reshape(-1, len(shares)).max(axis=1)


def _division(r: int) -> Edgewise:
    """The subdivision of a linear piece of dimension r."""
    return Edgewise(SEGMENTS.get(r, 2))


def _places(shares: NDArray[np.float64], points: Tensor, pieces: Ints) -> Tensor:
    """Points (p s, d) at barycentric coordinates (s, r+1) in each of the pieces (p, r+1)."""
    corners = points[torch.as_tensor(pieces, device=points.device)]
    at = torch.as_tensor(shares, device=points.device).to(points)
    return torch.einsum("sj,pjd->psd", at, corners).reshape(-1, points.shape[1])


def _lowered(
    loss: Loss, simplex: EvaluatedSimplices, which: Ints, critical: CriticalPoint, memory: int
) -> Iterator[EvaluatedSimplices]:
    """Some of the linear pieces of a simplex, divided, their highest part moved onto c + E.

    Moved, by the longest edge of these pieces at most, are control points in none of the other
    pieces: all above f(c) - b, where b is each of `BELOW` times what the lowest of them is below
    f(c) by. Between those that are moved and those
    that are not the loss must have fallen; far from c the quadratic model need not hold.
    """
    points, pieces, free = _subdivided(simplex, which)
    values = evaluate(loss, points, memory).loss
    axes = torch.as_tensor(unstable_axes(loss, critical), device=points.device).to(points)
    corners = simplex.control_points[torch.as_tensor(simplex.mesh.pieces[which])]
    longest = (corners[:, :, None] - corners[:, None]).norm(dim=3).max()
    onto = critical.point + ((points - critical.point) @ axes) @ axes.T
    free &= ((onto - points).norm(dim=1) <= longest).cpu().numpy()
    drop = max(critical.value - float(values[free].min(initial=critical.value)), 0.0)
    for share in BELOW:
        moved = torch.as_tensor(free & (values >= critical.value - share * drop))
        lowered = torch.where(moved.to(points.device)[:, None], onto, points)
        yield evaluated(loss, lowered, pieces, memory)


def unstable_axes(loss: Loss, critical: CriticalPoint) -> NDArray[np.float64]:
    """Orthonormal columns (d, q), eigenvectors of the q lowest eigenvalues of the Hessian.

    Zeros where Lanczos' method finds none.
    """
    point, q, invariance = critical.point[None], critical.morse, Invariance.of(loss)
    if point.shape[1] <= DENSE:
        return DenseModel(loss, point, np.array([q]), None, invariance).climbed[0]
    return MatrixFreeModel(loss, point, q, None, count=q, invariance=invariance).climbed[0]


class _Divided(NamedTuple):
    """Control points (k, d), their linear pieces, and which of them are free to move (k,)."""

    points: Tensor
    pieces: LinearPieces
    free: NDArray[np.bool_]


def _subdivided(simplex: EvaluatedSimplices, which: Ints) -> _Divided:
    """Some of the linear pieces of a simplex, each divided edgewise.

    Free are the control points that are on no proper face, and in none of the other pieces.
    """
    points, pieces = simplex.control_points, simplex.mesh
    r = pieces.barycentric.shape[1] - 1
    part, corners = _division(r), pieces.pieces[which]
    shares = part.control_points(r)
    every = np.einsum("sj,pjr->psr", shares, pieces.barycentric[corners]).reshape(-1, r + 1)
    on_grid = np.round(every * GRID).astype(np.int64)
    _, first, name = np.unique(on_grid, axis=0, return_index=True, return_inverse=True)
    barycentric, name = every[first], name.reshape(len(which), len(shares))
    held, _ = pieces.holding(barycentric)
    inner = (barycentric > INSIDE).all(axis=1)
    free = inner.copy()
    free[held[~np.isin(held[:, 0], which), 1]] = False
    fine = LinearPieces(
        barycentric, name[:, part.pieces(r)].reshape(-1, r + 1), np.flatnonzero(inner)
    )
    placed = _places(shares, points, corners)[torch.as_tensor(first, device=points.device)]
    return _Divided(placed, fine, free)
