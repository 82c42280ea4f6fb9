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

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.evaluation import evaluate, points_at_once, values_and_gradients
from simplicial.loss import Loss
from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import (
    CheckPoints,
    EvaluatedSimplices,
    Pieces,
    PointsInPieces,
    linear_pieces,
)
from simplicial.run_folder.checkpoint import SavedStages

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
    stages: SavedStages | None = None,
    on_evaluations: Callable[[int], object] = lambda _count: None,
) -> Refinement:
    """The largest loss inside simplices, wherever it exceeds what is known of them.

    known         (m,) the largest loss known on each: what is lower need not be told apart
    tolerance     in the loss's units, for all or (m,): where a maximum exceeds `known`, nothing is
                  higher by more
    memory        bytes for a batch of points, never the result
    check_points  what else is known; `known` must be no lower
    stages        where what is found is saved, and gone on from; None: nowhere
    Raises LossError where the loss is not finite.
    """
    stages, mesh = stages or SavedStages(None), simplices.mesh
    evaluator = _Evaluator(loss, simplices.control_points, memory, stages)
    state = _State.from_tensors(stages.resume("refinement"))
    if state is None:
        state = _unrefined(evaluator, simplices, known, tolerance, check_points)
        on_evaluations(int(state.evaluations.sum()))
    while state.halvings < SMALLEST:
        maxima = state.maxima
        pieces = state.pieces.above(np.maximum(known, maxima.values) + tolerance)
        state = state._replace(pieces=pieces)
        stages.put("refinement", state.as_tensors)
        if not len(pieces.owner):
            break
        i, j = pieces.edges_to_cut()
        middle = (pieces.corner(i) + pieces.corner(j)) / 2
        values, slopes = evaluator.at_sums(pieces.rows, middle, state.halvings)
        on_evaluations(len(values))
        at = np.einsum("aj,aji->ai", middle, mesh.barycentric[mesh.pieces[pieces.piece]])
        state = _State(
            pieces.halved(i, j, middle, values, slopes),
            maxima.with_values(pieces.owner, values, at),
            state.evaluations + np.bincount(pieces.owner, minlength=len(maxima.values)),
            state.halvings + 1,
        )
    stages.put("refinement", state.as_tensors)
    return Refinement(state.maxima, state.evaluations)


class _State(NamedTuple):
    """Refinement under way: pieces that may hold more, maxima, evaluations (m,), and halvings."""

    pieces: Pieces
    maxima: Maxima
    evaluations: Ints
    halvings: int

    def as_tensors(self) -> dict[str, Tensor]:
        """The state as a checkpoint has it."""
        arrays = {f"pieces.{f.name}": getattr(self.pieces, f.name) for f in fields(Pieces)}
        arrays |= {f"maxima.{f.name}": getattr(self.maxima, f.name) for f in fields(Maxima)}
        arrays |= {"evaluations": self.evaluations, "halvings": np.array(self.halvings)}
        return {name: torch.as_tensor(np.array(array)) for name, array in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "_State | None":
        """The state that `as_tensors` gave; None of no tensors."""
        if not tensors:
            return None
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return cls(
            Pieces(*(arrays[f"pieces.{f.name}"] for f in fields(Pieces))),
            Maxima(*(arrays[f"maxima.{f.name}"] for f in fields(Maxima))),
            arrays["evaluations"],
            int(arrays["halvings"]),
        )


def _unrefined(
    evaluator: "_Evaluator",
    simplices: EvaluatedSimplices,
    known: Floats,
    tolerance: float | Floats,
    check_points: CheckPoints | None,
) -> _State:
    """The linear pieces that may hold more than is known, of which none is halved yet."""
    _, at_controls, controls, mesh = simplices
    if check_points is None:
        check_points = CheckPoints.none(len(controls), mesh.barycentric.shape[1] - 1)
    inside = PointsInPieces.of(mesh, check_points.barycentric)
    centres = evaluator.at_centres(controls[:, mesh.pieces[inside.empty]])
    middles = mesh.barycentric[mesh.pieces[inside.empty]].mean(axis=1)
    maxima = Maxima.of(
        np.append(at_controls.values[controls[:, mesh.inside]], centres, axis=1),
        np.append(mesh.barycentric[mesh.inside], middles, axis=0),
    )
    level = np.maximum(known, maxima.values) + tolerance
    values = np.append(check_points.values, centres, axis=1)
    whole = linear_pieces(simplices, inside, values, evaluator.at_once)
    pieces = Pieces.joined([part.above(level) for part in whole])
    return _State(pieces, maxima, np.full(len(controls), centres.shape[1]), 0)


def rounding_error(values: Floats, points: Tensor) -> Floats:
    """Rounding error (...) of values (..., c) of a loss in the points' precision."""
    return ROUNDING * torch.finfo(points.dtype).eps * np.abs(values).max(axis=-1)


class _Evaluator(NamedTuple):
    """A loss on sums of control points (K, d), `memory` bytes at a time, saved as it is found."""

    loss: Loss
    points: Tensor
    memory: int
    stages: SavedStages

    @property
    def at_once(self) -> int:
        """Number of points in a batch, at most."""
        return points_at_once(self.loss, self.points, self.memory)

    def at_centres(self, corners: Ints) -> Floats:
        """The loss (m, e) at the centres of linear pieces with corners (m, e, r+1)."""
        rows = torch.as_tensor(corners.reshape(-1, corners.shape[2]), device=self.points.device)

        def at(some: slice) -> dict[str, Tensor]:
            centres = self.points[rows[some]].mean(dim=1)
            return {"values": torch.as_tensor(evaluate(self.loss, centres, self.memory).loss)}

        found = self.stages.rows("centres", len(rows), self.at_once, at)
        return found["values"].numpy().reshape(corners.shape[:2])

    def at_sums(self, rows: Ints, shares: Floats, halvings: int) -> tuple[Floats, Floats]:
        """The loss (a,) at sums by rows (a, r+1), and its slopes (a, r+1) towards these rows."""
        at_rows = torch.as_tensor(rows, device=self.points.device)

        def at(some: slice) -> dict[str, Tensor]:
            corners = self.points[at_rows[some]]
            share = torch.as_tensor(shares[some], device=self.points.device).to(self.points)
            values, gradients = values_and_gradients(
                self.loss, torch.einsum("aj,ajd->ad", share, corners), self.memory
            )
            slopes = torch.einsum("ad,ajd->aj", gradients, corners).double().cpu()
            return {"values": torch.as_tensor(values), "slopes": slopes}

        found = self.stages.rows("midpoints", len(rows), self.at_once, at, tag=halvings)
        return found["values"].numpy(), found["slopes"].numpy()
