"""The cost of a run: its evaluations of loss and gradient counted, one of each timed.

Nothing of the run is trained. Times are those of this machine, now, for points that are evaluated
together as a run does. Refined maxima take as many gradients as the loss asks for: their number is
estimated by refining those of one straight edge and one straight triangle, between networks
that are trained briefly on a part of the images, or between the checkpoints.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nets.commands.work.memory_budget import MemoryBudget, memory_budget
from nets.commands.work.run_data import RunData
from nets.commands.work.settings import GIGABYTE, NetworkSettings
from nets.loss import NetworkLoss
from nets.training import train_minima
from simplicial import (
    Algorithm1,
    LossWarning,
    Minima,
    NudgedElastic,
    build_complex,
)
from simplicial.display import dimension_name, duration
from simplicial.evaluation import evaluate, gradient, values_and_gradients
from simplicial.maps.base import interior_controls
from simplicial.maps.lattice import interior_lattice

POINTS = 4  # that are timed together
IMAGES = 256  # on which they are, at most
NEAR = 1e-3  # between them, in each parameter
PROBED = 2  # highest dimension of a simplex whose maximum is refined to count its gradients
FEWEST = 16  # images on which it is, at least
PROBE_SECONDS = 20.0  # that this may take, about
PROBE_GRADIENTS = 400  # that it is taken to need
EPOCHS = 12  # of the networks between which it is


class Costs(NamedTuple):
    """Seconds for one point: a gradient on a mini-batch; a loss and a gradient on all images."""

    step: float
    loss: float
    gradient: float


class DimensionPlan(NamedTuple):
    """Evaluations of a run in one dimension.

    steps      gradients on a mini-batch
    losses     losses on all images
    gradients  gradients on all images, but for those of refined maxima
    refined    these, estimated; 0 where maxima are sampled
    """

    name: str
    simplices: int
    steps: int
    losses: int
    gradients: int
    refined: int

    def seconds(self, costs: Costs) -> float:
        """Time by one process."""
        gradients = self.gradients + self.refined
        return self.steps * costs.step + self.losses * costs.loss + gradients * costs.gradient


@dataclass(frozen=True, slots=True)
class Plan:
    """Evaluations, time and memory of a run.

    dimensions  from the minima upwards, of all efforts together
    own         minima and edges of the run itself, at effort 1, which come first
    costs       of one evaluation
    bounds      sentences on the counts that are bounds
    workers     processes
    memory      bytes for each process
    noun        "images" or "examples", of the data
    """

    dimensions: tuple[DimensionPlan, ...]
    own: tuple[DimensionPlan, ...]
    costs: Costs
    bounds: tuple[str, ...]
    workers: int
    memory: MemoryBudget
    noun: str

    def table(self) -> str:
        """Counts and time, dimension by dimension; memory; the time of the first barcode."""
        rows: list[tuple[str, ...]] = [
            ("", "simplices", "steps", "losses", "gradients", "refined", "time")
        ]
        for d in (*self.dimensions, self._total()):
            about = float(f"{d.refined:.2g}")  # no digits that the estimate has not
            rows.append((*map(str, d[:5]), f"{about:.0f}", duration(self._seconds(d))))
        widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
        lines = [
            "   ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join([*lines, "", *self._remarks()])

    def as_record(self) -> dict[str, Any]:
        """The same as JSON values; times in seconds, memory in bytes."""
        return {
            "dimensions": [d._asdict() | {"seconds": self._seconds(d)} for d in self.dimensions],
            "seconds": self._seconds(self._total()),
            "memory": self.memory._asdict(),
            "workers": self.workers,
            "bounds": list(self.bounds),
        }

    def _total(self) -> DimensionPlan:
        counts = zip(*(dimension[1:] for dimension in self.dimensions), strict=True)
        return DimensionPlan("in all", *map(sum, counts))

    def _seconds(self, dimension: DimensionPlan) -> float:
        return dimension.seconds(self.costs) / self.workers

    def _remarks(self) -> list[str]:
        minima, edges = self.own[:2]
        # the edges at the lowest minimum come first
        cone = (minima.simplices - 1) / edges.simplices
        first = duration(self._seconds(minima) + cone * self._seconds(edges))
        program, controls, batches = (f"{size / GIGABYTE:.3g} GB" for size in self.memory)
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return [
            f"steps: gradients on one mini-batch; losses, gradients, refined: on all {self.noun}",
            *self.bounds,
            f"time: on this machine, now, by {processes}; a first barcode of index 0 after {first}",
            f"memory of a process: {program} for the program and its data, {controls} for control "
            f"points, and up to {batches} for batches of networks",
        ]


def plan(
    whole: NetworkLoss,
    data: RunData,
    settings: NetworkSettings,
    *,
    init: Callable[[], nn.Module] | None = None,
    states: Sequence[Mapping[str, Tensor]] = (),
) -> Plan:
    """Count the evaluations of a run with these settings; time one step, one loss, one gradient.

    whole   the loss of the run, on all training examples, whose memory is told
    init    of networks that are trained; None: the model's modules are initialised anew
    states  of the checkpoints, if they are the minima
    Raises the errors of `NetworkLoss` and of `memory_budget`.
    """
    model = whole.model()
    loss, mini = (
        NetworkLoss(
            model, *data.train.source.between(0, min(size, data.size)), **settings.loss_options()
        )
        for size in (IMAGES, settings.recipe.batch_size)
    )
    costs, bounds = _costs(loss, mini, data.size), []
    each = None
    if not settings.sampled:
        fitting = int(PROBE_SECONDS / PROBE_GRADIENTS / costs.gradient * data.size)
        size = min(IMAGES, data.size, max(FEWEST, fitting))
        part = NetworkLoss(model, *data.train.source.between(0, size), **settings.loss_options())
        if states:
            networks = "the checkpoints"
            minima = Minima.from_state_dicts(states[: settings.max_dim + 1][: PROBED + 1], part)
        else:
            networks, minima = _trained_briefly(part, settings, init)
        each = _refined_each(minima, settings)
        where = f"as many as straight ones between {networks} take on {size} {data.noun}"
        if settings.max_dim > PROBED:
            where += f", from dimension {PROBED + 1} on more by what a triangle takes over an edge"
        bounds.append(f"refined: gradients of refined maxima, about: {where}")
    if settings.polishing is not None:
        most = settings.polishing.evaluations
        bounds.append(f"polishing: up to {most} gradients of each minimum, which are not counted")
    if settings.optimizer == "elastic":
        bounds.append("gradients: of all steps; fillings that are compared take more of both")
    if settings.limits is not None:
        bounds.append(
            "anytime: the counts are those of a full build, within the limits it takes up to 15/8 "
            "of the steps of edges and higher simplices, and measures each up to five times"
        )
    if settings.effort is not None:
        shares = ", ".join(f"{effort:g}" for effort in settings.effort)
        bounds.append(f"efforts {shares}: all complexes together, each as large as the run's own")
    return Plan(
        dimensions=tuple(_counts(settings, data.size, each, settings.effort or (1.0,))),
        own=tuple(_counts(settings, data.size, each, (1.0,))),
        costs=costs,
        bounds=tuple(bounds),
        workers=settings.workers or 1,
        memory=memory_budget(settings, whole),
        noun=data.noun,
    )


def _trained_briefly(
    part: NetworkLoss, settings: NetworkSettings, init: Callable[[], nn.Module] | None
) -> tuple[str, Minima]:
    """Networks trained on a part of the images, as many as a simplex has vertices, and words."""
    epochs, count = min(EPOCHS, settings.recipe.epochs), min(settings.max_dim, PROBED) + 1
    recipe = settings.recipe.changed(epochs=epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LossWarning)  # it is of these networks, none of the run's
        minima = train_minima(
            part, count, recipe=recipe, init=init, seed=settings.seed, progress=False
        )
    return f"networks trained for {epochs} epochs", minima


def _refined_each(minima: Minima, settings: NetworkSettings) -> list[float]:
    """Gradients that the refined maximum of a straight simplex between these networks takes,
    dimension by dimension from 1 on; above the highest that is probed, extrapolated.
    """
    dim, options = len(minima) - 1, dict(settings.build)
    straight = Algorithm1(recipe=settings.recipe.changed(epochs=0))
    options |= {"progress": False, "certify": False, "optimizer": straight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LossWarning)  # it is of these networks, none of the run's
        found = build_complex(minima, dim, **options)
    each = []
    for r, interior in enumerate(found.interiors, start=1):
        known = len(interior_lattice(r, settings.resolution))
        known += len(interior_controls(found.simplex_map, r))
        vertices = len(minima) if r == 1 else 0  # whose gradients are counted with the edges
        each.append((interior.evaluations - vertices) / len(found.simplices[r].vertices) - known)
    growth = each[-1] / max(each[0], 1.0)
    return each + [each[-1] * growth ** (r - dim) for r in range(dim + 1, settings.max_dim + 1)]


def _counts(
    settings: NetworkSettings,
    images: int,
    refined: list[float] | None,
    efforts: Sequence[float],
) -> Iterator[DimensionPlan]:
    """Evaluations, dimension by dimension, of the complexes of all efforts.

    images   number of training images
    refined  gradients of refined maxima of a simplex of each dimension from 1 on; None: sampled
    """
    n, recipe = settings.count, settings.recipe
    optimizer, simplex_map = settings.build["optimizer"], settings.build["simplex_map"]
    elastic = isinstance(optimizer, NudgedElastic)
    mini_batches = -(-images // recipe.batch_size)
    trained = 0 if settings.checkpoints else n * recipe.epochs * mini_batches
    exact = int(elastic or not settings.sampled)  # gradients at control points, once
    yield DimensionPlan("minima", n, trained, n, exact * n, 0)
    optimizers = [optimizer.with_effort(effort) for effort in efforts]
    for r in range(1, settings.max_dim + 1):
        own, m = len(interior_controls(simplex_map, r)), comb(n, r + 1)
        counts = [each.gradient_count(r, mini_batches) if own else 0 for each in optimizers]
        steps, relaxing = (0, sum(counts)) if elastic else (sum(counts), 0)
        every = m * len(efforts)
        losses, gradients = len(interior_lattice(r, settings.resolution)), own * exact
        more = 0 if refined is None else round(every * refined[r - 1])
        yield DimensionPlan(
            dimension_name(r),
            every,
            m * steps,
            every * losses,
            every * gradients + m * relaxing,
            more,
        )


def _costs(loss: NetworkLoss, mini: NetworkLoss, images: int) -> Costs:
    """Costs by the clock; `loss` is on a part of the images, `mini` on a mini-batch."""
    point = loss.flatten(loss.model().state_dict())
    noise = torch.randn((POINTS, loss.dim), generator=torch.Generator().manual_seed(0))
    points = point + NEAR * noise.to(point)
    estimate = next(iter(mini.estimates(len(mini), np.random.default_rng(0))))
    fraction = images / len(loss)
    return Costs(
        step=_seconds(lambda: gradient(estimate, points), loss.device),
        loss=_seconds(lambda: evaluate(loss, points), loss.device) * fraction,
        gradient=_seconds(lambda: values_and_gradients(loss, points), loss.device) * fraction,
    )


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time for one of the points, at the second call."""

    def done() -> float:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    began = done()
    return (done() - began) / POINTS
