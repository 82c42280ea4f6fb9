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

import numpy as np
import torch
from numpy.typing import NDArray

from simplicial.configuration import torch_threads
from simplicial.construction.chunks import Chunk, ChunkResult
from simplicial.construction.measuring import measured
from simplicial.errors import NotFiniteError
from simplicial.evaluation import evaluate
from simplicial.loss import Loss
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import interior_lattice
from simplicial.maxima.refined import rounding_error
from simplicial.optimizers.base import Optimizer
from simplicial.run_folder.checkpoint import SavedStages

Floats = NDArray[np.float64]
Progress = tuple[Callable[[], object], Callable[[int], object]]


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
    result = measured(loss, trained, stages, on_points)
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
    margin = np.where(np.isinf(result.error_bounds), rounding, result.error_bounds)
    if start.problem.simplices.dim == 0:
        below = _is_below(loss, start, highest - margin, has_moved, stages)
        return replace(result, worsened=below)
    suspects = has_moved & (highest > faces + margin)
    below = _is_below(loss, start, highest - margin, suspects, stages)
    better: dict[int, ChunkResult] = {}
    for row in np.flatnonzero(below).tolist():
        alone = start.part(slice(row, row + 1), f"start {row}")
        try:
            found = measured(loss, alone, stages.part(f"start {row}"), _nothing)
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
