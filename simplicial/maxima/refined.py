"""The refined maximum: the largest loss on every linear piece, by halving where it may be higher.

On a linear piece the loss is bounded by what its values and gradients at the corners say: the cubic
that they define, whose Bernstein coefficients bound it (`bernstein`). What the loss may exceed the
cubic by is judged where both are known: at the midpoint of the edge that a piece was halved at, at
the points of a lattice that were evaluated before, at the centre of every piece in which there is
none of these, and at a point of every linear piece's own, which no period of the loss meets
together with these. A piece that may hold more than the largest
loss found on its simplex is halved, and the loss is evaluated at the midpoint: of the edge along
which the cubic bends most, or, where it is known to be wrong, of the longest. So evaluations gather
where the maximum is, on all simplices of a dimension at once, and end when no piece may be higher
by more than a tolerance, or where the budget of a simplex is spent (`budget`): then it is said how
much higher it may be.

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
from simplicial.loss import Loss, StochasticLoss
from simplicial.maxima.budget import Spent, best_first, bounded, most_halvings
from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import (
    CheckPoints,
    EvaluatedSimplices,
    Pieces,
    PointsInPieces,
    linear_pieces,
    piece_bytes,
)
from simplicial.run_folder.checkpoint import SavedStages

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = 16  # units in the last place by which a loss's largest values may be wrong
OF_DATA = 100  # gradients for an edge, where one is a pass over data
GROWTH = 10  # times as many for a simplex of one dimension more
OF_A_FORMULA = 1000  # gradients for an edge, where one is cheap
MOST = 100_000  # for a simplex of any dimension


def default_budget(loss: Loss, dim: int) -> int:
    """Gradients that the refined maximum of a simplex of dimension dim >= 1 may take.

    Twice those of the smooth functions on which it was measured (docs/networks/refinement.md).
    """
    of_an_edge = OF_DATA if isinstance(loss, StochasticLoss) else OF_A_FORMULA
    return min(of_an_edge * GROWTH ** (dim - 1), MOST)


class Refinement(NamedTuple):
    """Refined maxima of m simplices.

    evaluations   (m,) int64, of the loss
    error_bounds  (m,) what the largest loss on each, or what was known if that is higher, may be
                  too low by: the tolerance, or more where the budget ended it
    exhausted     (m,) bool, whether the budget ended it
    """

    maxima: Maxima
    evaluations: Ints
    error_bounds: Floats
    exhausted: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: "list[Refinement]") -> "Refinement":
        """Those of all parts, at least one, one after the other."""
        maxima = Maxima.joined([part.maxima for part in parts])
        return cls(maxima, *map(np.concatenate, zip(*(part[1:] for part in parts), strict=True)))


def refined_maxima(
    loss: Loss,
    simplices: EvaluatedSimplices,
    *,
    known: Floats,
    tolerance: float | Floats,
    memory: int,
    budget: int | None = None,
    check_points: CheckPoints | None = None,
    stages: SavedStages | None = None,
    on_evaluations: Callable[[int], object] = lambda _count: None,
) -> Refinement:
    """The largest loss inside simplices, wherever it exceeds what is known of them.

    known         (m,) the largest loss known on each: what is lower need not be told apart
    tolerance     in the loss's units, for all or (m,): where a maximum exceeds `known`, nothing is
                  higher by more
    memory        bytes for a batch of points, and for the parts that are pending, never the result
    budget        gradients at midpoints that each simplex may take; None: `default_budget`
    check_points  what else is known; `known` must be no lower
    stages        where what is found is saved, and gone on from; None: nowhere
    Raises LossError where the loss is not finite.
    """
    m, corners = len(simplices.controls), simplices.mesh.barycentric.shape[1]
    if check_points is None:
        check_points = CheckPoints.none(m, corners - 1)
    work = _Work(
        loss,
        simplices,
        known,
        np.broadcast_to(tolerance, m),
        memory,
        default_budget(loss, corners - 1) if budget is None else budget,
        check_points,
    )
    stages, step = stages or SavedStages(None), work.at_once
    if step >= m:
        return work.done(stages, on_evaluations)
    groups = [slice(first, min(first + step, m)) for first in range(0, m, step)]
    return Refinement.joined(
        [
            work.part(some).done(stages.part(f"{some.start}-{some.stop}"), on_evaluations)
            for some in groups
        ]
    )


class _Work(NamedTuple):
    """Simplices whose maxima are to be refined; see `refined_maxima`."""

    loss: Loss
    simplices: EvaluatedSimplices
    known: Floats
    tolerance: Floats
    memory: int
    budget: int
    check_points: CheckPoints

    @property
    def at_once(self) -> int:
        """Number of simplices whose pending parts fit into memory, as many as there may be."""
        mesh = self.simplices.mesh
        points = len(self.check_points.barycentric) // len(mesh.pieces) + 1
        size = piece_bytes(mesh.barycentric.shape[1], points)
        return max(1, self.memory // (size * max(self.budget, len(mesh.pieces))))

    def part(self, some: slice) -> "_Work":
        """Some of the simplices."""
        return self._replace(
            simplices=self.simplices._replace(controls=self.simplices.controls[some]),
            known=self.known[some],
            tolerance=self.tolerance[some],
            check_points=self.check_points._replace(values=self.check_points.values[some]),
        )

    def done(self, stages: SavedStages, on_evaluations: Callable[[int], object]) -> Refinement:
        """The refined maxima of all of them, saved in stages as they are found."""
        points, mesh = self.simplices.control_points, self.simplices.mesh
        evaluator = _Evaluator(self.loss, points, self.memory, stages)
        state = _State.from_tensors(stages.resume("refinement"))
        if state is None:
            state = _unrefined(evaluator, self)
            on_evaluations(int(state.evaluations.sum()))
        dim = mesh.barycentric.shape[1] - 1
        most = most_halvings(points, self.simplices.controls, dim)
        while True:
            maxima = state.maxima
            level = np.maximum(self.known, maxima.values) + self.tolerance
            pieces, now, spent = best_first(state.pieces, level, self.budget, most, state.spent)
            state = state._replace(pieces=pieces, spent=spent)
            stages.put("refinement", state.as_tensors)
            if not len(pieces.owner):
                break
            pieces, rest = pieces.part(now), pieces.part(~now)
            i, j = pieces.edges_to_cut()
            middle = (pieces.corner(i) + pieces.corner(j)) / 2
            values, slopes = evaluator.at_sums(pieces.rows, middle, state.rounds)
            on_evaluations(len(values))
            at = np.einsum("aj,aji->ai", middle, mesh.barycentric[mesh.pieces[pieces.piece]])
            each = np.bincount(pieces.owner, minlength=len(maxima.values))
            state = _State(
                Pieces.joined([pieces.halved(i, j, middle, values, slopes), rest]),
                maxima.with_values(pieces.owner, values, at),
                state.evaluations + each,
                spent._replace(gradients=spent.gradients + each),
                state.rounds + 1,
            )
        found = bounded(self.known, state.maxima, self.tolerance, state.spent)
        return Refinement(state.maxima, state.evaluations, *found)


class _State(NamedTuple):
    """Refinement under way: pieces that may hold more, maxima, evaluations (m,), and rounds."""

    pieces: Pieces
    maxima: Maxima
    evaluations: Ints
    spent: Spent
    rounds: int

    def as_tensors(self) -> dict[str, Tensor]:
        """The state as a checkpoint has it."""
        arrays = {f"pieces.{f.name}": getattr(self.pieces, f.name) for f in fields(Pieces)}
        arrays |= {f"maxima.{f.name}": getattr(self.maxima, f.name) for f in fields(Maxima)}
        arrays |= {f"spent.{name}": array for name, array in self.spent._asdict().items()}
        arrays |= {"evaluations": self.evaluations, "rounds": np.array(self.rounds)}
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
            Spent(*(arrays[f"spent.{name}"] for name in Spent._fields)),
            int(arrays["rounds"]),
        )


def _unrefined(evaluator: "_Evaluator", work: _Work) -> _State:
    """The linear pieces, of which none is halved yet."""
    _, at_controls, controls, mesh = work.simplices
    inside = PointsInPieces.of(mesh, work.check_points.barycentric)
    corners = mesh.pieces[inside.added]
    added = evaluator.at_shares(controls[:, corners], inside.shares)
    places = np.einsum("ej,eji->ei", inside.shares, mesh.barycentric[corners])
    maxima = Maxima.of(
        np.append(at_controls.values[controls[:, mesh.inside]], added, axis=1),
        np.append(mesh.barycentric[mesh.inside], places, axis=0),
    )
    values = np.append(work.check_points.values, added, axis=1)
    whole = linear_pieces(work.simplices, inside, values, evaluator.at_once)
    pieces, spent = Pieces.joined(list(whole)), Spent.nothing(len(controls))
    return _State(pieces, maxima, np.full(len(controls), added.shape[1]), spent, 0)


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

    def at_shares(self, corners: Ints, shares: Floats) -> Floats:
        """The loss (m, e) at points of linear pieces with corners (m, e, r+1), of barycentric
        coordinates (e, r+1) in them.
        """
        rows = torch.as_tensor(corners.reshape(-1, corners.shape[2]), device=self.points.device)
        every = np.tile(shares, (len(corners), 1))

        def at(some: slice) -> dict[str, Tensor]:
            share = torch.as_tensor(every[some], device=self.points.device).to(self.points)
            places = torch.einsum("aj,ajd->ad", share, self.points[rows[some]])
            return {"values": torch.as_tensor(evaluate(self.loss, places, self.memory).loss)}

        found = self.stages.rows("check points", len(rows), self.at_once, at)
        return found["values"].numpy().reshape(corners.shape[:2])

    def at_sums(self, rows: Ints, shares: Floats, rounds: int) -> tuple[Floats, Floats]:
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

        found = self.stages.rows("midpoints", len(rows), self.at_once, at, tag=rounds)
        return found["values"].numpy(), found["slopes"].numpy()
