"""Finishing a chunk of simplices: training, then the largest loss on each.

Training may end higher than it began, where steps are too large. A simplex that it made worse keeps
its start: any map bounds the minimax of eq. 2 from above, so the lower one counts. Worse is judged
by the filtration value, the largest loss on the simplex and its faces. The start's is looked for
only so far as it is needed: point by point from the middle, until one is as high as the trained
simplex; where none of its lattice is, in full. A vertex stays where training left it, since the
point that it began from is no minimum.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.configuration import torch_threads
from simplicial.construction.chunks import Chunk, ChunkResult, joined
from simplicial.errors import NotFiniteError
from simplicial.evaluation import evaluate, points_at_once, values_and_gradients
from simplicial.loss import Evaluation, Loss, ValueAndGradient
from simplicial.maps.control_points import Simplices
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import interior_lattice
from simplicial.maps.mesh import Mesh
from simplicial.maxima.lattice_maximum import sample_interiors
from simplicial.maxima.maxima import Interior, Maxima
from simplicial.maxima.pieces import CheckPoints, EvaluatedSimplices
from simplicial.maxima.refined import refined_maxima, rounding_error
from simplicial.optimizers.base import Optimizer
from simplicial.run_folder.checkpoint import SavedStages

Floats = NDArray[np.float64]
Progress = tuple[Callable[[], object], Callable[[int], object]]

REFINED_BYTES = 64  # of a lattice point while maxima are refined: copies, barycentric coordinates


def _nothing(_count: int = 1) -> None:
    """No progress."""


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
    A simplex that training made worse keeps its start.

    on_step, on_points  for progress, as `Optimizer.optimise` and `sample_interiors` call them
    Raises LossError where the loss breaks its contract.
    """
    with torch_threads(chunk.options.threads):
        return _finish(loss, optimizer, chunk, (on_step, on_points))


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
    stages = _stages(chunk, "maxima")
    trained = _trained(loss, optimizer, chunk, stages, on_step) if chunk.trains else chunk
    result = _measured(loss, trained, stages, on_points)
    start = chunk.start()
    if start is None or not chunk.own:
        return result
    inside = chunk.problem.inside
    moved = trained.control_points[inside] != start.control_points[inside]
    has_moved = moved.reshape(len(chunk), -1).any(dim=1).cpu().numpy()
    return _with_starts(loss, start, result, has_moved, stages)


def _stages(chunk: Chunk, name: str) -> SavedStages:
    checkpoint, device = chunk.problem.checkpoint, chunk.control_points.device
    return SavedStages(None if checkpoint is None else checkpoint.part(name), device)


def _trained(
    loss: Loss,
    optimizer: Optimizer,
    chunk: Chunk,
    stages: SavedStages,
    on_step: Callable[[], object],
) -> Chunk:
    """The chunk with its simplices trained. Raises NotFiniteError."""
    inside = chunk.problem.inside
    points = chunk.control_points.clone()  # they move
    if saved := stages.resume("trained"):
        points[inside] = saved["points"].to(points)
    else:
        optimizer.optimise(loss, points, chunk.problem, on_step)
    stages.put("trained", lambda: {"points": points[inside]})
    return replace(chunk, control_points=points)


def _with_starts(
    loss: Loss,
    start: Chunk,
    result: ChunkResult,
    has_moved: NDArray[np.bool_],
    stages: SavedStages,
) -> ChunkResult:
    """The results, but of those simplices that training made worse those of their start.

    start      the chunk before training
    has_moved  (m,) whether training moved them at all
    """
    faces = start.problem.face_maxima
    assert faces is not None, "faces stand still now, so that they are known"
    highest = np.maximum(result.maxima.values, faces)
    rounding = rounding_error(highest[:, None], start.control_points)
    # a value that was found is one of the simplex, whatever else the budget has left out
    unsure = np.isinf(result.error_bounds) | result.exhausted
    margin = np.where(unsure, rounding, result.error_bounds)
    if start.problem.simplices.dim == 0:
        below = _is_below(loss, start, highest - margin, has_moved, stages)
        return replace(result, worsened=below)
    suspects = has_moved & (highest > faces + margin)
    below = _is_below(loss, start, highest - margin, suspects, stages)
    better: dict[int, ChunkResult] = {}
    for row in np.flatnonzero(below).tolist():
        alone = start.part(slice(row, row + 1), f"start {row}")
        try:
            found = _measured(loss, alone, stages.part(f"start {row}"), _nothing)
        except NotFiniteError:
            continue
        bound = 0.0 if np.isinf(found.error_bounds[0]) else found.error_bounds[0]
        if max(found.maxima.values[0], faces[row]) + bound < highest[row] - margin[row]:
            better[row] = replace(found, worsened=np.ones(1, dtype=bool))
    if not better:
        return result
    rows = range(len(start))
    return ChunkResult.joined([better.get(r) or result.part(slice(r, r + 1)) for r in rows])


def _is_below(
    loss: Loss,
    start: Chunk,
    levels: Floats,
    suspects: NDArray[np.bool_],
    stages: SavedStages,
) -> NDArray[np.bool_]:
    """Whether the loss is below a level (m,) at all points of the lattice of each suspect (m,)."""
    saved = stages.resume("starts")
    found: list[bool] = saved["below"].tolist() if saved else []
    problem, memory = start.problem, start.options.memory
    t = interior_lattice(problem.simplices.dim, start.options.resolution)
    t = t[np.argsort(-t.min(axis=1), kind="stable")]  # from the middle, where paths are high
    ends = [*(2 ** np.arange(len(t).bit_length()) - 1).tolist(), len(t)]
    for row in range(len(found), len(start)):
        controls = start.control_points[torch.as_tensor(problem.simplices.controls[row])]
        found.append(bool(suspects[row]))
        for first, last in pairwise(ends):
            if not found[-1]:
                break
            points = interpolate(controls, problem.simplices.simplex_map, t[first:last])
            try:
                found[-1] = bool((evaluate(loss, points, memory).loss < levels[row]).all())
            except NotFiniteError:
                found[-1] = False
        stages.put("starts", lambda: {"below": torch.tensor(found)})
    return np.array(found, dtype=bool)


# --- the largest loss on simplices as they stand


def _measured(
    loss: Loss, chunk: Chunk, stages: SavedStages, on_points: Callable[[int], object]
) -> ChunkResult:
    """The largest loss on simplices that are not trained, or no longer; sampled, or refined.

    stages     where values are saved as they are found
    on_points  called with the number of points just evaluated, for progress
    Raises NotFiniteError where the loss is not finite.
    """
    evaluator = _Evaluator(loss, chunk, stages, on_points)
    at_controls = evaluator.at_controls() if chunk.gradients else None
    m, options = len(chunk), chunk.options
    points = len(interior_lattice(chunk.problem.simplices.dim, options.resolution))
    block = m if options.tolerance is None else max(1, options.memory // (points * REFINED_BYTES))
    parts = [
        evaluator.maxima(at_controls, slice(first, min(first + block, m)))
        for first in range(0, m, block)
    ]
    return ChunkResult.joined(parts)


class _Found(NamedTuple):
    """Maxima of m simplices, the values on their lattices, evaluations (m,), error bounds (m,), and
    whether the budget ended them (m,).
    """

    maxima: Maxima
    samples: Evaluation | None
    evaluations: NDArray[np.int64]
    error_bounds: Floats
    exhausted: NDArray[np.bool_]


class _Evaluator(NamedTuple):
    """A loss on the simplices of a chunk, saved as it is found."""

    loss: Loss
    chunk: Chunk
    stages: SavedStages
    on_points: Callable[[int], object]

    def at_controls(self) -> ValueAndGradient:
        """The loss and its gradients at all control points; known on faces."""
        chunk, known = self.chunk, self.chunk.problem.at_faces
        assert known is not None, "gradients that are wanted inside are known on faces"
        inside = chunk.control_points[chunk.problem.inside]
        memory = chunk.options.memory

        def at(some: slice) -> dict[str, Tensor]:
            values, gradients = values_and_gradients(self.loss, inside[some], memory)
            return {"values": torch.as_tensor(values), "gradients": gradients}

        at_once = points_at_once(self.loss, inside, memory)
        new = self.stages.rows("controls", len(inside), at_once, at)
        gradients = new["gradients"].to(inside)
        return joined([known, ValueAndGradient(new["values"].numpy(), gradients)])

    def maxima(self, at_controls: ValueAndGradient | None, some: slice) -> ChunkResult:
        """Results of some of the simplices."""
        chunk, points, own = self.chunk, self.chunk.control_points, self.chunk.own
        problem, stages = chunk.problem, self.stages.part(f"from {some.start} to {some.stop}")
        vertices, controls = problem.simplices.vertices[some], problem.simplices.controls[some]
        simplices = replace(problem.simplices, vertices=vertices, controls=controls)
        found = self._sampled(simplices, stages)
        if chunk.options.tolerance is not None:
            assert at_controls is not None
            assert problem.face_maxima is not None
            mesh = Mesh.of(simplices.simplex_map, simplices.dim)
            evaluated = EvaluatedSimplices(points, at_controls, controls, mesh)
            found = self._refined(evaluated, found, problem.face_maxima[some], stages)
            # gradients at control points
            found = found._replace(evaluations=found.evaluations + own)
        first, (m, d) = problem.inside.start, (len(vertices), points.shape[1])
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
            samples=found.samples if chunk.keeps else None,
            evaluations=found.evaluations,
            error_bounds=found.error_bounds,
            exhausted=found.exhausted,
            retried=np.zeros(m, dtype=bool),
            worsened=np.zeros(m, dtype=bool),
            failed=np.full(m, "", object),
        )

    def _sampled(self, simplices: Simplices, stages: SavedStages) -> _Found:
        """Maxima on the lattice (Algorithm 2), which may be too low by any amount."""
        options = self.chunk.options
        found: Interior = sample_interiors(
            self.loss,
            self.chunk.control_points,
            simplices,
            resolution=options.resolution,
            memory=options.memory,
            keep=self.chunk.keeps or options.tolerance is not None,
            stages=stages,
            on_points=self.on_points,
        )
        m = len(simplices.vertices)
        each, unknown = np.full(m, found.evaluations // m), np.full(m, np.inf)
        return _Found(found.maxima, found.samples, each, unknown, np.zeros(m, dtype=bool))

    def _refined(
        self,
        simplices: EvaluatedSimplices,
        sampled: _Found,
        face_maxima: Floats,
        stages: SavedStages,
    ) -> _Found:
        """Refined maxima, where they exceed the lattice's and the faces'."""
        options = self.chunk.options
        assert sampled.samples is not None
        assert options.tolerance is not None
        on_lattice, dim = sampled.samples.loss, simplices.mesh.barycentric.shape[1] - 1
        around = np.append(simplices.at_controls.values[simplices.controls], on_lattice, axis=1)
        rounded = rounding_error(around, simplices.control_points)
        tolerance = np.maximum(options.tolerance * np.ptp(around, axis=1), rounded)
        refined = refined_maxima(
            self.loss,
            simplices,
            known=np.maximum(sampled.maxima.values, face_maxima),
            tolerance=tolerance,
            memory=options.memory,
            budget=options.refinement_budget,
            check_points=CheckPoints(interior_lattice(dim, options.resolution), on_lattice),
            stages=stages,
            on_evaluations=self.on_points,
        )
        return sampled._replace(
            maxima=sampled.maxima.or_higher(refined.maxima),
            evaluations=sampled.evaluations + refined.evaluations,
            error_bounds=refined.error_bounds,
            exhausted=refined.exhausted,
        )
