"""Simplices that are finished together: trained, then measured, apart from all others.

A batch carries all that its simplices need: the control points on their faces, and what is known of
the loss there. So another process can finish it, and what becomes of a simplex does not depend on
the batch that it is in.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.errors import NotFiniteError
from simplicial.evaluation import evaluate, values_and_gradients
from simplicial.loss import Evaluation, Loss
from simplicial.maps.lattice import interior_lattice
from simplicial.maxima.lattice_maximum import refined, sample_interiors
from simplicial.maxima.refined import Highest, Seen, rounding
from simplicial.optimizers.algorithm1 import Stage
from simplicial.optimizers.base import Optimizer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFINED_BYTES = 64  # of a lattice point while maxima are refined: copies, places in linear pieces


def _nothing(_count: int = 1) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Simplices of one dimension, with their faces: all that a worker needs beside the loss.

    stage       the simplices; their rows are those of `pool`
    pool        (k, d) control points: vertices, inside faces, inside the simplices
    trains      whether the simplices are still to be trained
    gradients   whether the loss's gradients at control points are wanted
    keeps       whether every value on the lattice is
    resolution  of the lattice
    tolerance   None: maxima are sampled; else honest, up to this share of the range of the values
                that were seen on the simplex
    threads     that torch takes: sums of other numbers of threads may differ in their last bits
    """

    stage: Stage
    pool: Tensor
    trains: bool
    gradients: bool
    keeps: bool
    resolution: int
    tolerance: float | None
    threads: int

    @property
    def own(self) -> int:
        """Control points inside each simplex."""
        inside = self.stage.inside
        return (inside.stop - inside.start) // len(self.stage.simplices.vertices)

    def part(self, some: slice, name: str) -> Self:
        """Some of the simplices, as they are before they are trained.

        name  of the part, by which its checkpoint is told from others
        """
        stage = self.stage
        first, own = stage.inside.start, self.own
        controls = stage.simplices.controls[some]
        start, stop, _ = some.indices(len(stage.simplices.vertices))
        moved = np.where(controls < first, controls, controls - start * own)
        simplices = replace(
            stage.simplices, vertices=stage.simplices.vertices[some], controls=moved
        )
        rows = self.pool[first + start * own : first + stop * own]
        return replace(
            self,
            pool=torch.cat([self.pool[:first], rows]),
            stage=replace(
                stage,
                simplices=simplices,
                inside=slice(first, first + len(rows)),
                floor=None if stage.floor is None else stage.floor[some],
                checkpoint=None if stage.checkpoint is None else stage.checkpoint.part(name),
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What became of m simplices with k control points inside each.

    points       (m, k, d) control points inside, on the CPU as gradients are
    values       (m, k) float64, the loss there
    gradients    (m, k, d) its gradients; both None where they were not wanted
    largest      (m,) float64, the largest loss inside; -inf where no point inside was looked at,
                 inf where the loss was not finite
    place        (m, r+1) float64, where that is, barycentric; zeros where there is none
    samples      every loss on the lattice, (m, p), and accuracy where the loss has one; None where
                 not kept; inf and 0 where the loss was not finite
    evaluations  (m,) int64, of the loss, after training
    slack        (m,) float64, what `largest` may be too low by; inf where it was sampled
    retried      (m,) bool, whether steps had to be smaller than asked for
    failed       (m,) object, why there is no finite loss; empty where there is
    """

    points: Tensor
    values: Floats | None
    gradients: Tensor | None
    largest: Floats
    place: Floats
    samples: Evaluation | None
    evaluations: Ints
    slack: Floats
    retried: NDArray[np.bool_]
    failed: NDArray[np.object_]

    @classmethod
    def given_up(cls, loss: Loss, batch: Batch, reason: str) -> Self:
        """Of simplices that are not finite: control points as they came, no values, maxima inf."""
        m, dim = len(batch.stage.simplices.vertices), batch.stage.simplices.dim
        points = batch.pool[batch.stage.inside].reshape(m, batch.own, batch.pool.shape[1]).cpu()
        samples = None
        if batch.keeps:
            shape = (m, len(interior_lattice(dim, batch.resolution)))
            scored = evaluate(loss, batch.pool[:1], batch.stage.memory).accuracy is not None
            samples = Evaluation(np.full(shape, np.inf), np.zeros(shape) if scored else None)
        return cls(
            points=points,
            values=np.full(points.shape[:2], np.nan) if batch.gradients else None,
            gradients=torch.full_like(points, torch.nan) if batch.gradients else None,
            largest=np.full(m, np.inf),
            place=np.full((m, dim + 1), 1 / (dim + 1)),
            samples=samples,
            evaluations=np.zeros(m, np.int64),
            slack=np.full(m, np.inf),
            retried=np.full(m, batch.trains),
            failed=np.full(m, reason, object),
        )

    @classmethod
    def joined(cls, parts: "list[Finished]") -> Self:
        """Of all parts, at least one, one after the other."""
        return cls(*(_joined([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def without_points(self) -> Self:
        """What is needed once the control points are taken in."""
        empty = self.points[:, :0].clone()  # or it would hold what it is a part of
        return replace(self, points=empty, values=None, gradients=None)

    def part(self, simplices: slice | Ints) -> Self:
        """Of some of the simplices."""
        chosen = {f.name: _part(getattr(self, f.name), simplices) for f in fields(self)}
        return replace(self, **chosen)


def finish(
    loss: Loss,
    optimizer: Optimizer,
    batch: Batch,
    on_round: Callable[[], object] = _nothing,
    on_points: Callable[[int], object] = _nothing,
) -> Finished:
    """Train the simplices of a batch, and find the largest loss on them.

    Where the loss or parameters are not finite, the batch is halved until a simplex is alone; that
    is trained again by the gentler optimizer, and given up where this does not help either. Those
    beside it are as they would be without it.

    on_round, on_points  for progress, as `Optimizer.optimise` and `sample_interiors` call them
    Raises LossError where the loss breaks its contract.
    """
    torch.set_num_threads(batch.threads)
    progress = (on_round, on_points)
    try:
        return _together(loss, optimizer, replace(batch, pool=batch.pool.clone()), *progress)
    except NotFiniteError as error:
        reason = str(error)
    m = len(batch.stage.simplices.vertices)
    if m > 1:
        halves = [
            batch.part(slice(0, m // 2), "first half"),
            batch.part(slice(m // 2, m), "second half"),
        ]
        return Finished.joined([finish(loss, optimizer, half, *progress) for half in halves])
    if batch.trains and batch.own:
        again = batch.part(slice(0, 1), "gentler")
        try:
            finished = _together(loss, optimizer.gentler(), again, *progress)
            return replace(finished, retried=np.ones(1, dtype=bool))
        except NotFiniteError as error:
            reason = str(error)
    return Finished.given_up(loss, batch, reason)


def _together(
    loss: Loss,
    optimizer: Optimizer,
    batch: Batch,
    on_round: Callable[[], object],
    on_points: Callable[[int], object],
) -> Finished:
    """The simplices of a batch, whose pool moves. Raises NotFiniteError."""
    stage, pool = batch.stage, batch.pool
    if batch.trains:
        optimizer.optimise(loss, pool, stage, on_round)
    seen = _seen(loss, pool, batch) if batch.gradients else None
    m = len(stage.simplices.vertices)
    points = len(interior_lattice(stage.simplices.dim, batch.resolution))
    block = m if batch.tolerance is None else max(1, stage.memory // (points * REFINED_BYTES))
    parts = [
        _measured(loss, pool, batch, seen, slice(first, min(first + block, m)), on_points)
        for first in range(0, m, block)
    ]
    return Finished.joined(parts)


def _seen(loss: Loss, pool: Tensor, batch: Batch) -> Seen:
    """The loss and its gradients at all control points; known on faces."""
    before = batch.stage.seen
    assert before is not None, "what is wanted inside is known on faces"
    values, gradients = values_and_gradients(loss, pool[batch.stage.inside], batch.stage.memory)
    return Seen(np.append(before.values, values), torch.cat([before.gradients, gradients]))


def _measured(
    loss: Loss,
    pool: Tensor,
    batch: Batch,
    seen: Seen | None,
    some: slice,
    on_points: Callable[[int], object],
) -> Finished:
    """Some of the batch's simplices."""
    stage, tolerance = batch.stage, batch.tolerance
    vertices, controls = stage.simplices.vertices[some], stage.simplices.controls[some]
    simplices = replace(stage.simplices, vertices=vertices, controls=controls)
    m, keeps = len(vertices), batch.keeps or tolerance is not None
    interior = sample_interiors(
        loss,
        pool,
        simplices,
        resolution=batch.resolution,
        memory=stage.memory,
        keep=keeps,
        on_points=on_points,
    )
    each = np.full(m, interior.evaluations // m)
    found, slack = Highest(interior.largest, interior.place, each), np.full(m, np.inf)
    if tolerance is not None:
        assert seen is not None
        assert stage.floor is not None
        assert interior.samples is not None
        around = np.append(seen.values[controls], interior.samples.loss, axis=1)
        slack = np.maximum(tolerance * np.ptp(around, axis=1), rounding(around, pool))
        found = refined(
            loss,
            pool,
            seen,
            simplices,
            interior,
            stage.floor[some],
            resolution=batch.resolution,
            tolerance=slack,
            memory=stage.memory,
            on_points=on_points,
        )
    d = pool.shape[1]
    own, first = batch.own, stage.inside.start
    inside = slice(first + some.start * own, first + some.stop * own)
    return Finished(
        points=pool[inside].reshape(m, own, d).cpu(),
        values=None if seen is None else seen.values[inside].reshape(m, own),
        gradients=None if seen is None else seen.gradients[inside].reshape(m, own, d).cpu(),
        largest=found.largest,
        place=found.place,
        samples=interior.samples if batch.keeps else None,
        evaluations=found.evaluations + (0 if tolerance is None else own),
        slack=slack,
        retried=np.zeros(m, dtype=bool),
        failed=np.full(m, "", object),
    )


def _joined(parts: list[Any]) -> Any:
    """Arrays, tensors or evaluations, one after the other; None where one is None."""
    first = parts[0]
    if len(parts) == 1 or any(part is None for part in parts):
        return first if len(parts) == 1 else None
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, Evaluation):
        return Evaluation.joined(parts)
    return np.concatenate(parts)


def _part(whole: Any, simplices: slice | Ints) -> Any:
    if isinstance(whole, Evaluation):
        accuracy = None if whole.accuracy is None else whole.accuracy[simplices]
        return Evaluation(whole.loss[simplices], accuracy)
    if isinstance(whole, Tensor) and not isinstance(simplices, slice):
        return whole[torch.as_tensor(simplices)]
    return None if whole is None else whole[simplices]
