"""Chunks of simplices: trained, then evaluated, apart from all others.

A chunk carries all that its simplices need: the control points on their faces, and what is known of
the loss there. So another process can finish it, and the result of a simplex does not depend on the
chunk that it is in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.configuration import torch_threads
from simplicial.errors import NotFiniteError
from simplicial.evaluation import evaluate, values_and_gradients
from simplicial.loss import Evaluation, Loss, ValueAndGradient
from simplicial.maps.lattice import interior_lattice
from simplicial.maps.mesh import Mesh
from simplicial.maxima.lattice_maximum import sample_interiors
from simplicial.maxima.maxima import Interior, Maxima
from simplicial.maxima.pieces import CheckPoints, EvaluatedSimplices
from simplicial.maxima.refined import Refinement, refined_maxima, rounding_error
from simplicial.optimizers.base import OptimisationProblem, Optimizer
from simplicial.options import BuildOptions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFINED_BYTES = 64  # of a lattice point while maxima are refined: copies, places in linear pieces


def _nothing(_count: int = 1) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Simplices of one dimension, with their faces: all that a worker needs beside the loss.

    problem         the simplices; their rows are those of `control_points`
    control_points  (k, d): vertices, inside faces, inside the simplices
    options         resolution, tolerance, memory, threads
    trains          whether the simplices are still to be trained
    gradients       whether the loss's gradients at control points are wanted
    keeps           whether every value on the lattice is
    """

    problem: OptimisationProblem
    control_points: Tensor
    options: BuildOptions
    trains: bool
    gradients: bool
    keeps: bool

    def __len__(self) -> int:
        """Number of simplices."""
        return len(self.problem.simplices.vertices)

    @property
    def own(self) -> int:
        """Control points inside each simplex."""
        return (self.problem.inside.stop - self.problem.inside.start) // len(self)

    def part(self, some: slice, name: str) -> Self:
        """Some of the simplices, as they are before they are trained.

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
        rows = self.control_points[first + start * own : first + stop * own]
        maxima, checkpoint = problem.face_maxima, problem.checkpoint
        return replace(
            self,
            control_points=torch.cat([self.control_points[:first], rows]),
            problem=replace(
                problem,
                simplices=simplices,
                inside=slice(first, first + len(rows)),
                face_maxima=None if maxima is None else maxima[some],
                checkpoint=None if checkpoint is None else checkpoint.part(name),
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ChunkResult:
    """Results of m simplices with k control points inside each.

    points        (m, k, d) control points inside, on the CPU as gradients are
    at_points     the loss there, (m, k), and its gradients (m, k, d); None where not wanted
    maxima        the largest loss inside each
    samples       the loss on the lattice, (m, p), and accuracy where it has one; None where not
                  kept; inf and 0 where the loss is not finite
    evaluations   (m,) int64, of the loss, after training
    error_bounds  (m,) float64, what `maxima` may be too low by; inf where they are sampled
    retried       (m,) bool, whether steps had to be smaller than asked for
    failed        (m,) object, why there is no finite loss; empty where there is
    """

    points: Tensor
    at_points: ValueAndGradient | None
    maxima: Maxima
    samples: Evaluation | None
    evaluations: Ints
    error_bounds: Floats
    retried: NDArray[np.bool_]
    failed: NDArray[np.object_]

    @classmethod
    def not_finite(cls, loss: Loss, chunk: Chunk, reason: str) -> Self:
        """Of simplices that failed: control points as they came, no values, maxima inf."""
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
            retried=np.full(m, chunk.trains),
            failed=np.full(m, reason, object),
        )

    @classmethod
    def joined(cls, parts: "Sequence[ChunkResult]") -> Self:
        """Of all parts, at least one, one after the other."""
        return cls(*(_joined([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def without_points(self) -> Self:
        """All but the control points and the loss there."""
        empty = self.points[:, :0].clone()  # or it would hold what it is a part of
        return replace(self, points=empty, at_points=None)

    def part(self, simplices: slice | Ints) -> Self:
        """Of some of the simplices."""
        return replace(
            self, **{f.name: _part(getattr(self, f.name), simplices) for f in fields(self)}
        )


def finish(
    loss: Loss,
    optimizer: Optimizer,
    chunk: Chunk,
    on_step: Callable[[], object] = _nothing,
    on_points: Callable[[int], object] = _nothing,
) -> ChunkResult:
    """Train the simplices of a chunk, and find the largest loss on them.

    Where the loss or parameters are not finite, the chunk is halved until a simplex is alone; that
    is trained again with smaller steps, and fails where this does not help either. Those beside it
    are as they would be without it. A vertex has no other to stand for it: its error is raised.

    on_step, on_points  for progress, as `Optimizer.optimise` and `sample_interiors` call them
    Raises LossError where the loss breaks its contract.
    """
    with torch_threads(chunk.options.threads):
        return _finish(loss, optimizer, chunk, (on_step, on_points))


Progress = tuple[Callable[[], object], Callable[[int], object]]


def _finish(loss: Loss, optimizer: Optimizer, chunk: Chunk, progress: Progress) -> ChunkResult:
    try:
        return _together(loss, optimizer, chunk, progress)
    except NotFiniteError as error:
        if chunk.problem.simplices.dim == 0:
            raise
        reason = str(error)
    m = len(chunk)
    if m > 1:
        halves = [
            chunk.part(slice(0, m // 2), "first half"),
            chunk.part(slice(m // 2, m), "second half"),
        ]
        return ChunkResult.joined([_finish(loss, optimizer, half, progress) for half in halves])
    if chunk.trains and chunk.own:
        again = chunk.part(slice(0, 1), "smaller steps")
        try:
            result = _together(loss, optimizer.with_smaller_steps(), again, progress)
            return replace(result, retried=np.ones(1, dtype=bool))
        except NotFiniteError as error:
            reason = str(error)
    return ChunkResult.not_finite(loss, chunk, reason)


def _together(loss: Loss, optimizer: Optimizer, chunk: Chunk, progress: Progress) -> ChunkResult:
    """All simplices of a chunk at once. Raises NotFiniteError."""
    on_step, on_points = progress
    chunk = replace(chunk, control_points=chunk.control_points.clone())  # they move
    if chunk.trains:
        optimizer.optimise(loss, chunk.control_points, chunk.problem, on_step)
    at_controls = _at_controls(loss, chunk) if chunk.gradients else None
    m, options = len(chunk), chunk.options
    points = len(interior_lattice(chunk.problem.simplices.dim, options.resolution))
    block = m if options.tolerance is None else max(1, options.memory // (points * REFINED_BYTES))
    parts = [
        _evaluated(loss, chunk, at_controls, slice(first, min(first + block, m)), on_points)
        for first in range(0, m, block)
    ]
    return ChunkResult.joined(parts)


def _at_controls(loss: Loss, chunk: Chunk) -> ValueAndGradient:
    """The loss and its gradients at all control points; known on faces."""
    known = chunk.problem.at_faces
    assert known is not None, "gradients that are wanted inside are known on faces"
    inside = chunk.control_points[chunk.problem.inside]
    new = values_and_gradients(loss, inside, chunk.options.memory)
    return _joined([known, new])


def _evaluated(
    loss: Loss,
    chunk: Chunk,
    at_controls: ValueAndGradient | None,
    some: slice,
    on_points: Callable[[int], object],
) -> ChunkResult:
    """Results of some of the chunk's simplices, which are trained."""
    problem, points, options = chunk.problem, chunk.control_points, chunk.options
    vertices, controls = problem.simplices.vertices[some], problem.simplices.controls[some]
    simplices = replace(problem.simplices, vertices=vertices, controls=controls)
    interior = sample_interiors(
        loss,
        points,
        simplices,
        resolution=options.resolution,
        memory=options.memory,
        keep=chunk.keeps or options.tolerance is not None,
        on_points=on_points,
    )
    m, d, own = len(vertices), points.shape[1], chunk.own
    each = np.full(m, interior.evaluations // m)
    found, error_bounds = Refinement(interior.maxima, each), np.full(m, np.inf)
    if options.tolerance is not None:
        assert at_controls is not None
        evaluated = EvaluatedSimplices(
            points, at_controls, controls, Mesh.of(simplices.simplex_map, simplices.dim)
        )
        error_bounds = _error_bounds(evaluated, interior, options.tolerance)
        assert problem.face_maxima is not None
        refined = _refined(
            loss, evaluated, interior, problem.face_maxima[some], error_bounds, options, on_points
        )
        found = Refinement(refined.maxima, each + own + refined.evaluations)
    first = problem.inside.start
    inside = slice(first + some.start * own, first + some.stop * own)
    at_points = None
    if at_controls is not None:
        at_points = ValueAndGradient(
            at_controls.values[inside].reshape(m, own),
            at_controls.gradients[inside].reshape(m, own, d).cpu(),
        )
    return ChunkResult(
        points=points[inside].reshape(m, own, d).cpu(),
        at_points=at_points,
        maxima=found.maxima,
        samples=interior.samples if chunk.keeps else None,
        evaluations=found.evaluations,
        error_bounds=error_bounds,
        retried=np.zeros(m, dtype=bool),
        failed=np.full(m, "", object),
    )


def _error_bounds(evaluated: EvaluatedSimplices, interior: Interior, tolerance: float) -> Floats:
    """What refined maxima may be too low by, (m,): a share of the range found, or rounding."""
    assert interior.samples is not None
    at_controls = evaluated.at_controls.values[evaluated.controls]
    around = np.append(at_controls, interior.samples.loss, axis=1)
    rounded = rounding_error(around, evaluated.control_points)
    return np.maximum(tolerance * np.ptp(around, axis=1), rounded)


def _refined(
    loss: Loss,
    evaluated: EvaluatedSimplices,
    interior: Interior,
    face_maxima: Floats,
    error_bounds: Floats,
    options: BuildOptions,
    on_points: Callable[[int], object],
) -> Refinement:
    """The refined maximum inside every simplex, where it exceeds the lattice's and the faces'."""
    assert interior.samples is not None
    dim = evaluated.mesh.barycentric.shape[1] - 1
    found = refined_maxima(
        loss,
        evaluated,
        known=np.maximum(interior.maxima.values, face_maxima),
        tolerance=error_bounds,
        memory=options.memory,
        check_points=CheckPoints(interior_lattice(dim, options.resolution), interior.samples.loss),
        on_evaluations=on_points,
    )
    return Refinement(interior.maxima.or_higher(found.maxima), found.evaluations)


def _joined(parts: Sequence[Any]) -> Any:
    """Arrays, tensors, or values made of these, one after the other; None where one is None."""
    first = parts[0]
    if len(parts) == 1 or any(part is None for part in parts):
        return first if len(parts) == 1 else None
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, Maxima):
        return Maxima.joined(parts)
    if isinstance(first, tuple):
        return type(first)(*map(_joined, zip(*parts, strict=True)))
    return np.concatenate(parts)


def _part(whole: Any, simplices: slice | Ints) -> Any:
    """Of some of the simplices."""
    if whole is None or isinstance(whole, Maxima):
        return whole if whole is None else whole.part(simplices)
    if isinstance(whole, tuple):
        return type(whole)(*(_part(part, simplices) for part in whole))
    if isinstance(whole, Tensor) and not isinstance(simplices, slice):
        return whole[torch.as_tensor(simplices)]
    return whole[simplices]
