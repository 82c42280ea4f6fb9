"""The cost of a run: its evaluations of loss and gradient counted, one of each timed.

Nothing is trained. Times are those of this machine, now, for points that are evaluated together as
a run does.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from nets.commands.run_data import RunData
from nets.commands.settings import GIGABYTE, MemoryBudget, NetworkSettings
from nets.loss import NetworkLoss
from simplicial import NudgedElastic
from simplicial.display import dimension_name, duration
from simplicial.evaluation import evaluate, gradient, values_and_gradients
from simplicial.maps.base import interior_controls
from simplicial.maps.lattice import interior_lattice

POINTS = 4  # that are timed together
IMAGES = 256  # on which they are, at most
NEAR = 1e-3  # between them, in each parameter


class Costs(NamedTuple):
    """Seconds for one point: a gradient on a mini-batch; a loss and a gradient on all images."""

    step: float
    loss: float
    gradient: float


class DimensionPlan(NamedTuple):
    """Evaluations of a run in one dimension.

    steps      gradients on a mini-batch
    losses     losses on all images
    gradients  gradients on all images
    """

    name: str
    simplices: int
    steps: int
    losses: int
    gradients: int

    def seconds(self, costs: Costs) -> float:
        """Time by one process."""
        return self.steps * costs.step + self.losses * costs.loss + self.gradients * costs.gradient


@dataclass(frozen=True, slots=True)
class Plan:
    """Evaluations, time and memory of a run.

    dimensions  from the minima upwards
    costs       of one evaluation
    bounds      sentences on the counts that are bounds
    workers     processes
    memory      bytes for each process
    noun        "images" or "examples", of the data
    """

    dimensions: tuple[DimensionPlan, ...]
    costs: Costs
    bounds: tuple[str, ...]
    workers: int
    memory: MemoryBudget
    noun: str

    def table(self) -> str:
        """Counts and time, dimension by dimension; memory; the time of the first barcode."""
        rows = [("", "simplices", "steps", "losses", "gradients", "time")]
        rows += [(*d, duration(self._seconds(d))) for d in (*self.dimensions, self._total())]
        widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
        lines = [
            "   ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join([*lines, "", *self._remarks()])

    def _total(self) -> DimensionPlan:
        counts = zip(*(dimension[1:] for dimension in self.dimensions), strict=True)
        return DimensionPlan("in all", *map(sum, counts))

    def _seconds(self, dimension: DimensionPlan) -> float:
        return dimension.seconds(self.costs) / self.workers

    def _remarks(self) -> list[str]:
        minima, edges = self.dimensions[:2]
        # the edges at the lowest minimum come first
        cone = (minima.simplices - 1) / edges.simplices
        first = duration(self._seconds(minima) + cone * self._seconds(edges))
        program, controls, batches = (f"{size / GIGABYTE:.3g} GB" for size in self.memory)
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return [
            f"steps: gradients on one mini-batch; losses and gradients: on all {self.noun}",
            *self.bounds,
            f"time: on this machine, now, by {processes}; a first Barcode\u2070 after {first}",
            f"memory of a process: {program} for the program and its data, {controls} for control "
            f"points, and up to {batches} for batches of networks",
        ]


def plan(model: nn.Module, data: RunData, settings: NetworkSettings) -> Plan:
    """Count the evaluations of a run with these settings; time one step, one loss, one gradient.

    Raises the errors of `NetworkLoss` and of `NetworkSettings.memory_budget`.
    """
    loss, mini = (
        NetworkLoss(
            model, *data.train.source.between(0, min(size, data.size)), **settings.loss_options()
        )
        for size in (IMAGES, settings.recipe.batch_size)
    )
    bounds = []
    if not settings.sampled:
        bounds.append(
            "losses, gradients: at least; refined maxima take more, often many times as many"
        )
    if settings.optimizer == "elastic":
        bounds.append("gradients: of all steps; fillings that are compared take more of both")
    return Plan(
        dimensions=tuple(_counts(settings, data.size)),
        costs=_costs(loss, mini, data.size),
        bounds=tuple(bounds),
        workers=settings.workers or 1,
        memory=settings.memory_budget(loss),
        noun=data.noun,
    )


def _counts(settings: NetworkSettings, images: int) -> Iterator[DimensionPlan]:
    """Evaluations, dimension by dimension; images: number of training images."""
    n, recipe = settings.count, settings.recipe
    optimizer, simplex_map = settings.build["optimizer"], settings.build["simplex_map"]
    elastic = isinstance(optimizer, NudgedElastic)
    trained = recipe.epochs * -(-images // recipe.batch_size)
    exact = int(elastic or not settings.sampled)  # gradients at control points, once
    yield DimensionPlan("minima", n, 0 if settings.checkpoints else n * trained, n, exact * n)
    for r in range(1, settings.max_dim + 1):
        own, m = len(interior_controls(simplex_map, r)), comb(n, r + 1)
        steps = trained if own and not elastic else 0
        relaxing = optimizer.most_steps(r) if elastic else 0
        losses = len(interior_lattice(r, settings.resolution))
        gradients = own * (exact + relaxing)
        yield DimensionPlan(dimension_name(r), m, m * steps, m * losses, m * gradients)


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
