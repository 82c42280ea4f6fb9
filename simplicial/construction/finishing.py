"""Finishing a chunk of simplices: training, then the largest loss on each."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simplicial.configuration import torch_threads
from simplicial.construction.chunks import Chunk, ChunkResult, joined
from simplicial.errors import NotFiniteError
from simplicial.evaluation import values_and_gradients
from simplicial.loss import Evaluation, Loss, ValueAndGradient
from simplicial.maps.control_points import Simplices
from simplicial.maps.lattice import interior_lattice
from simplicial.maps.mesh import Mesh
from simplicial.maxima.lattice_maximum import sample_interiors
from simplicial.maxima.maxima import Interior, Maxima
from simplicial.maxima.pieces import CheckPoints, EvaluatedSimplices
from simplicial.maxima.refined import refined_maxima, rounding_error
from simplicial.optimizers.base import Optimizer
from simplicial.options import BuildOptions

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
    return joined([known, new])


class _Found(NamedTuple):
    """Maxima of m simplices, the values on their lattices, evaluations and error bounds (m,)."""

    maxima: Maxima
    samples: Evaluation | None
    evaluations: NDArray[np.int64]
    error_bounds: Floats


def _evaluated(
    loss: Loss,
    chunk: Chunk,
    at_controls: ValueAndGradient | None,
    some: slice,
    on_points: Callable[[int], object],
) -> ChunkResult:
    """Results of some of the chunk's simplices, which are trained."""
    problem, points, own = chunk.problem, chunk.control_points, chunk.own
    vertices, controls = problem.simplices.vertices[some], problem.simplices.controls[some]
    simplices = replace(problem.simplices, vertices=vertices, controls=controls)
    found = _sampled(loss, points, simplices, chunk, on_points)
    if chunk.options.tolerance is not None:
        assert at_controls is not None
        assert problem.face_maxima is not None
        mesh = Mesh.of(simplices.simplex_map, simplices.dim)
        evaluated = EvaluatedSimplices(points, at_controls, controls, mesh)
        faces = problem.face_maxima[some]
        found = _refined(loss, evaluated, found, faces, options=chunk.options, on_points=on_points)
        found = found._replace(evaluations=found.evaluations + own)  # gradients at control points
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
        retried=np.zeros(m, dtype=bool),
        failed=np.full(m, "", object),
    )


def _sampled(
    loss: Loss,
    points: Tensor,
    simplices: Simplices,
    chunk: Chunk,
    on_points: Callable[[int], object],
) -> _Found:
    """Maxima on the lattice (Algorithm 2), which may be too low by any amount."""
    found: Interior = sample_interiors(
        loss,
        points,
        simplices,
        resolution=chunk.options.resolution,
        memory=chunk.options.memory,
        keep=chunk.keeps or chunk.options.tolerance is not None,
        on_points=on_points,
    )
    m = len(simplices.vertices)
    each, unknown = np.full(m, found.evaluations // m), np.full(m, np.inf)
    return _Found(found.maxima, found.samples, each, unknown)


def _refined(
    loss: Loss,
    simplices: EvaluatedSimplices,
    sampled: _Found,
    face_maxima: Floats,
    *,
    options: BuildOptions,
    on_points: Callable[[int], object],
) -> _Found:
    """Refined maxima, where they exceed the lattice's and the faces'."""
    assert sampled.samples is not None
    assert options.tolerance is not None
    on_lattice, dim = sampled.samples.loss, simplices.mesh.barycentric.shape[1] - 1
    around = np.append(simplices.at_controls.values[simplices.controls], on_lattice, axis=1)
    rounded = rounding_error(around, simplices.control_points)
    error_bounds = np.maximum(options.tolerance * np.ptp(around, axis=1), rounded)
    refined = refined_maxima(
        loss,
        simplices,
        known=np.maximum(sampled.maxima.values, face_maxima),
        tolerance=error_bounds,
        memory=options.memory,
        check_points=CheckPoints(interior_lattice(dim, options.resolution), on_lattice),
        on_evaluations=on_points,
    )
    maxima = sampled.maxima.or_higher(refined.maxima)
    evaluations = sampled.evaluations + refined.evaluations
    return _Found(maxima, sampled.samples, evaluations, error_bounds)
