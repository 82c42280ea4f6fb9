"""Chunks of simplices, and their results.

A chunk carries all that its simplices need: the control points on their faces, and what is known of
the loss there. So another process can finish it (`finishing`), and the result of a simplex does not
depend on the chunk that it is in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.evaluation import evaluate
from simplicial.loss import Evaluation, Loss, ValueAndGradient
from simplicial.maps.control_points import lay_out
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.lattice import interior_lattice
from simplicial.maxima.maxima import Maxima
from simplicial.optimizers.base import OptimisationProblem
from simplicial.options import BuildOptions
from simplicial.run_folder.checkpoint import Checkpoint

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Simplices of one dimension, with their faces: all that a worker needs beside the loss.

    problem         the simplices; their rows are those of `control_points`
    control_points  (k, d): vertices, inside faces, inside the simplices
    options         resolution, tolerance, memory, threads
    trains          whether the simplices are still to be trained
    gradients       whether the loss's gradients at control points are wanted
    keeps           whether every value on the lattice is
    starts          (m own, d) the control points inside before they were trained with their faces;
                    None of simplices that are still to be trained, or that never are
    """

    problem: OptimisationProblem
    control_points: Tensor
    options: BuildOptions
    trains: bool
    gradients: bool
    keeps: bool
    starts: Tensor | None = None

    def __len__(self) -> int:
        """Number of simplices."""
        return len(self.problem.simplices.vertices)

    @property
    def own(self) -> int:
        """Control points inside each simplex."""
        return (self.problem.inside.stop - self.problem.inside.start) // len(self)

    def part(self, some: slice, name: str) -> Self:
        """The chunk of some of the simplices, as they are before they are trained.

        name  of the part, by which its checkpoint is told from those of other parts
        """
        problem = self.problem
        first, own = problem.inside.start, self.own
        controls = problem.simplices.controls[some]
        start, stop, _ = some.indices(len(self))
        simplices = replace(
            problem.simplices,
            vertices=problem.simplices.vertices[some],
            controls=np.where(controls < first, controls, controls - start * own),
        )
        mine = slice(first + start * own, first + stop * own)
        rows, starts = self.control_points[mine], self.starts
        maxima, checkpoint = problem.face_maxima, problem.checkpoint
        return replace(
            self,
            control_points=torch.cat([self.control_points[:first], rows]),
            starts=None if starts is None else starts[start * own : stop * own],
            problem=replace(
                problem,
                simplices=simplices,
                inside=slice(first, first + len(rows)),
                face_maxima=None if maxima is None else maxima[some],
                checkpoint=None if checkpoint is None else checkpoint.part(name),
            ),
        )

    def saved_as(self, checkpoint: Checkpoint | None) -> Self:
        """The chunk with a checkpoint, or with none."""
        return replace(self, problem=replace(self.problem, checkpoint=checkpoint))

    def with_inside(self, points: Tensor) -> Self:
        """The chunk with other control points (m own, d) inside its simplices."""
        moved = self.control_points.clone()
        moved[self.problem.inside] = points.to(moved)
        return replace(self, control_points=moved)

    def along(self, points: Tensor) -> Self:
        """The chunk of one simplex with other control points (k, d) inside it; of an edge they may
        be more or fewer, and its map has as many segments.
        """
        if len(points) == self.own:
            return self.with_inside(points)
        old, ends = self.problem.simplices, self.problem.inside.start
        assert len(self) == old.dim == 1, "other simplices are meshes"
        simplices = lay_out(2, 1, Edgewise(len(points) + 1)).simplices[1]
        problem = replace(
            self.problem,
            simplices=replace(simplices, vertices=old.vertices),
            inside=slice(ends, ends + len(points)),
        )
        controls = torch.cat([self.control_points[:ends], points.to(self.control_points)])
        return replace(self, control_points=controls, problem=problem)

    def start(self) -> Self | None:
        """The simplices as they are before training; None of those that are not trained at all."""
        if self.starts is None:
            return replace(self, trains=False) if self.trains else None
        return replace(self.with_inside(self.starts), starts=None)


@dataclass(frozen=True, slots=True, eq=False)
class ChunkResult:
    """Results of m simplices with k control points inside each.

    points        (m, k, d) control points inside, on the CPU as gradients are
    at_points     the loss there, (m, k), and its gradients (m, k, d); None where not wanted
    maxima        the largest loss inside each
    samples       the loss on the lattice, (m, p), and accuracy where it has one; None where not
                  kept; inf and 0 where the loss is not finite
    evaluations   (m,) int64, of the loss, for the maxima
    error_bounds  (m,) float64, what the larger of `maxima` and those of the faces may be too low
                  by; inf where they are sampled
    exhausted     (m,) bool, whether the refinement budget ended `maxima`
    retried       (m,) bool, whether steps had to be smaller than asked for
    worsened      (m,) bool, whether training made one worse: it is its start, a vertex excepted
    failed        (m,) object, why there is no finite loss; empty where there is
    """

    points: Tensor
    at_points: ValueAndGradient | None
    maxima: Maxima
    samples: Evaluation | None
    evaluations: Ints
    error_bounds: Floats
    exhausted: NDArray[np.bool_]
    retried: NDArray[np.bool_]
    worsened: NDArray[np.bool_]
    failed: NDArray[np.object_]

    @classmethod
    def not_finite(cls, loss: Loss, chunk: Chunk, reason: str) -> Self:
        """Results of simplices that failed: control points as they came, no values, maxima inf."""
        m, dim = len(chunk), chunk.problem.simplices.dim
        inside = chunk.control_points[chunk.problem.inside]
        points, samples, at_points = inside.reshape(m, chunk.own, inside.shape[1]).cpu(), None, None
        if chunk.keeps:
            shape = (m, len(interior_lattice(dim, chunk.options.resolution)))
            first = evaluate(loss, chunk.control_points[:1], chunk.options.memory)
            accuracy = None if first.accuracy is None else np.zeros(shape)
            samples = Evaluation(np.full(shape, np.inf), accuracy)
        if chunk.gradients:
            unknown = torch.full_like(points, torch.nan)
            at_points = ValueAndGradient(np.full(points.shape[:2], np.nan), unknown)
        return cls(
            points=points,
            at_points=at_points,
            maxima=Maxima(np.full(m, np.inf), np.full((m, dim + 1), 1 / (dim + 1))),
            samples=samples,
            evaluations=np.zeros(m, np.int64),
            error_bounds=np.full(m, np.inf),
            exhausted=np.zeros(m, dtype=bool),
            retried=np.full(m, chunk.trains),
            worsened=np.zeros(m, dtype=bool),
            failed=np.full(m, reason, object),
        )

    @classmethod
    def joined(cls, parts: "Sequence[ChunkResult]") -> Self:
        """Results of all parts, at least one, one after the other."""
        return cls(*(joined([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def without_points(self) -> Self:
        """The results but for the control points and the loss there."""
        empty = self.points[:, :0].clone()  # or it would hold what it is a part of
        return replace(self, points=empty, at_points=None)

    def part(self, simplices: slice | Ints) -> Self:
        """Results of some of the simplices."""
        return replace(
            self, **{f.name: _part(getattr(self, f.name), simplices) for f in fields(self)}
        )


def joined(parts: Sequence[Any]) -> Any:
    """Arrays, tensors, or values made of these, one after the other; None where one is None."""
    first = parts[0]
    if len(parts) == 1 or any(part is None for part in parts):
        return first if len(parts) == 1 else None
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, Maxima):
        return Maxima.joined(parts)
    if isinstance(first, tuple):
        return type(first)(*map(joined, zip(*parts, strict=True)))
    return np.concatenate(parts)


def _part(whole: Any, simplices: slice | Ints) -> Any:
    """Arrays, tensors, or values made of these, of some of the simplices."""
    if whole is None or isinstance(whole, Maxima):
        return whole if whole is None else whole.part(simplices)
    if isinstance(whole, tuple):
        return type(whole)(*(_part(part, simplices) for part in whole))
    if isinstance(whole, Tensor) and not isinstance(simplices, slice):
        return whole[torch.as_tensor(simplices)]
    return whole[simplices]
