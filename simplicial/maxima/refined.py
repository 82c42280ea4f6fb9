"""The refined maximum: the largest loss on every linear piece, by halving where it may be higher.

On a linear piece the loss is bounded by what its values and gradients at the corners say: the cubic
that they define, whose Bernstein coefficients bound it (`bernstein`). What the loss may exceed the
cubic by is judged where both are known: at the midpoint of the edge that a piece was halved at, at
the points of a lattice that were evaluated before, and at the centre of every piece in which there
is none of these. A piece that may hold more than the largest loss found on its simplex is halved,
and the loss is evaluated at the midpoint: of the edge along which the cubic bends most, or, where
it is known to be wrong, of the longest. So evaluations gather where the maximum is, on all
simplices of a dimension at once, and end when no piece may be higher by more than a tolerance.

A rule and no proof: the bound is as good as the cubic, and a feature much smaller than a linear
piece, away from its corners and from all points inside that were evaluated, can be missed, as by
any method that evaluates a black box at finitely many points.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.evaluation import evaluate, points_at_once, values_and_gradients
from simplicial.loss import Loss, ValueAndGradient
from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import (
    CheckPoints,
    EvaluatedSimplices,
    Pieces,
    PointsInPieces,
    linear_pieces,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = 16  # units in the last place by which a loss's largest values may be wrong
SMALLEST = 60  # halvings of a piece after which no more is known about it than rounding


class Refinement(NamedTuple):
    """Refined maxima of m simplices, and the evaluations of the loss that they took, (m,) int64."""

    maxima: Maxima
    evaluations: Ints


def refined_maxima(
    loss: Loss,
    simplices: EvaluatedSimplices,
    *,
    known: Floats,
    tolerance: float | Floats,
    memory: int,
    check_points: CheckPoints | None = None,
    on_evaluations: Callable[[int], object] = lambda _count: None,
) -> Refinement:
    """The largest loss inside simplices, wherever it exceeds what is known of them.

    known         (m,) the largest loss known on each: what is lower need not be told apart
    tolerance     in the loss's units, for all or (m,): where a maximum exceeds `known`, nothing is
                  higher by more
    memory        bytes for a batch of points, never the result
    check_points  what else is known; `known` must be no lower
    Raises LossError where the loss is not finite.
    """
    points, at_controls, controls, mesh = simplices
    m, dim = len(controls), mesh.barycentric.shape[1] - 1
    check_points = check_points or CheckPoints.none(m, dim)
    at_once = points_at_once(loss, points, memory)
    inside = PointsInPieces.of(mesh, check_points.barycentric)
    centres = _at_centres(loss, points, controls[:, mesh.pieces[inside.empty]], at_once, memory)
    evaluations = np.full(m, centres.shape[1])
    on_evaluations(centres.size)
    middles = mesh.barycentric[mesh.pieces[inside.empty]].mean(axis=1)
    maxima = Maxima.of(
        np.append(at_controls.values[controls[:, mesh.inside]], centres, axis=1),
        np.append(mesh.barycentric[mesh.inside], middles, axis=0),
    )
    level = np.maximum(known, maxima.values) + tolerance
    values = np.append(check_points.values, centres, axis=1)
    whole = linear_pieces(simplices, inside, values, at_once)
    pieces = Pieces.joined([part.above(level) for part in whole])
    for _ in range(SMALLEST):
        pieces = pieces.above(np.maximum(known, maxima.values) + tolerance)
        if not len(pieces.owner):
            break
        i, j = pieces.edges_to_cut()
        middle = (pieces.corner(i) + pieces.corner(j)) / 2
        values, slopes = _at_sums(loss, points, pieces.rows, middle, memory)
        evaluations += np.bincount(pieces.owner, minlength=m)
        on_evaluations(len(values))
        at = np.einsum("aj,aji->ai", middle, mesh.barycentric[mesh.pieces[pieces.piece]])
        maxima = maxima.with_values(pieces.owner, values, at)
        pieces = pieces.halved(i, j, middle, values, slopes)
    return Refinement(maxima, evaluations)


def rounding_error(values: Floats, points: Tensor) -> Floats:
    """Rounding error (...) of values (..., c) of a loss in the points' precision."""
    return ROUNDING * torch.finfo(points.dtype).eps * np.abs(values).max(axis=-1)


def _at_centres(loss: Loss, points: Tensor, corners: Ints, at_once: int, memory: int) -> Floats:
    """The loss (m, e) at the centres of linear pieces with corners (m, e, r+1), rows of points."""
    rows = corners.reshape(-1, corners.shape[2])
    parts = [rows[first : first + at_once] for first in range(0, len(rows), at_once)]
    values = [
        evaluate(loss, points[torch.as_tensor(part, device=points.device)].mean(dim=1), memory).loss
        for part in parts
    ]
    return np.concatenate([np.empty(0), *values]).reshape(corners.shape[:2])


def _at_sums(
    loss: Loss, points: Tensor, rows: Ints, shares: Floats, memory: int
) -> tuple[Floats, Floats]:
    """The loss (a,) at sums of points by rows (a, r+1), and its slopes towards these rows."""
    at_once = points_at_once(loss, points, memory)
    values, slopes = [], []
    for first in range(0, len(rows), at_once):
        some = slice(first, first + at_once)
        corners = points[torch.as_tensor(rows[some], device=points.device)]
        share = torch.as_tensor(shares[some], device=points.device).to(points)
        at: ValueAndGradient = values_and_gradients(
            loss, torch.einsum("aj,ajd->ad", share, corners), memory
        )
        values.append(at.values)
        slopes.append(torch.einsum("ad,ajd->aj", at.gradients, corners).double().cpu().numpy())
    return np.concatenate(values), np.concatenate(slopes)
