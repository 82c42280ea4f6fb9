"""The largest loss on the simplices of a chunk, as their control points stand."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.construction.chunks import Chunk, ChunkResult, joined
from simplicial.evaluation import points_at_once, values_and_gradients
from simplicial.loss import Evaluation, Loss, ValueAndGradient
from simplicial.maps.control_points import Simplices
from simplicial.maps.lattice import interior_lattice
from simplicial.maps.mesh import Mesh
from simplicial.maxima.lattice_maximum import sample_interiors
from simplicial.maxima.maxima import Interior, Maxima
from simplicial.maxima.pieces import CheckPoints, EvaluatedSimplices
from simplicial.maxima.refined import refined_maxima, rounding_error
from simplicial.run_folder.checkpoint import SavedStages

Floats = NDArray[np.float64]

REFINED_BYTES = 64  # of a lattice point while maxima are refined: copies, barycentric coordinates


def measured(
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
    """Maxima of m simplices, the values on their lattices, evaluations and error bounds (m,)."""

    maxima: Maxima
    samples: Evaluation | None
    evaluations: NDArray[np.int64]
    error_bounds: Floats


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
        return _Found(found.maxima, found.samples, each, unknown)

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
        error_bounds = np.maximum(options.tolerance * np.ptp(around, axis=1), rounded)
        refined = refined_maxima(
            self.loss,
            simplices,
            known=np.maximum(sampled.maxima.values, face_maxima),
            tolerance=error_bounds,
            memory=options.memory,
            check_points=CheckPoints(interior_lattice(dim, options.resolution), on_lattice),
            stages=stages,
            on_evaluations=self.on_points,
        )
        maxima = sampled.maxima.or_higher(refined.maxima)
        evaluations = sampled.evaluations + refined.evaluations
        return _Found(maxima, sampled.samples, evaluations, error_bounds)
