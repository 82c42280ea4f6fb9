"""What a run will take: its evaluations of loss and gradient counted, one of each timed.

Nothing is trained. Times are those of this machine, now, for points that are evaluated together as
a run does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from nets.data.images import ImageData
from nets.loss import NetworkLoss
from nets.settings import GIGABYTE, SPARE, NetworkSettings
from reduction.memory import resident
from simplicial import NudgedElastic
from simplicial.build import pool_bytes
from simplicial.gauge import dimension_name
from simplicial.loss import evaluate, gradient, values_and_gradients
from simplicial.maps import interior_controls
from simplicial.progress import duration
from simplicial.sampling import interior_lattice

POINTS = 4  # that are timed together
IMAGES = 256  # on which they are, at most
NEAR = 1e-3  # between them, in each parameter


class Costs(NamedTuple):
    """Seconds for one point: a gradient on a mini-batch; a loss, and a gradient, on all images."""

    step: float
    loss: float
    slope: float


class Planned(NamedTuple):
    """One dimension's share of a run.

    steps   gradients on a mini-batch
    losses  on all images, and gradients, on all images
    """

    name: str
    simplices: int
    steps: int
    losses: int
    gradients: int

    def seconds(self, costs: Costs) -> float:
        """By one process."""
        return self.steps * costs.step + self.losses * costs.loss + self.gradients * costs.slope


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will take.

    turns     dimension by dimension
    costs     of what they count
    notes     in which way the counts are bounds
    workers   processes
    controls  bytes for control points, their gradients and what moves them
    program   bytes that this process takes by now, data included
    memory    bytes that each process may take
    """

    turns: tuple[Planned, ...]
    costs: Costs
    notes: tuple[str, ...]
    workers: int
    controls: int
    program: int
    memory: int

    def table(self) -> str:
        """Counts and time, dimension by dimension; memory; when a first barcode is known."""
        counted = [(t.name, *t[1:], duration(self._seconds(t))) for t in (*self.turns, self._all())]
        rows = [("", "simplices", "steps", "losses", "gradients", "time"), *counted]
        columns = zip(*rows, strict=True)
        widths = [max(len(str(cell)) for cell in column) for column in columns]
        lines = [
            "   ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join([*lines, "", *self._remarks()])

    def _all(self) -> Planned:
        counts = zip(*(turn[1:] for turn in self.turns), strict=True)
        return Planned("in all", *map(sum, counts))

    def _seconds(self, turn: Planned) -> float:
        return turn.seconds(self.costs) / self.workers

    def _remarks(self) -> list[str]:
        minima, edges = self.turns[:2]
        cone = (
            minima.simplices - 1
        ) / edges.simplices  # the edges at the lowest minimum come first
        first = duration(self._seconds(minima) + cone * self._seconds(edges))
        program, controls, memory = (
            f"{size / GIGABYTE:.3g} GB" for size in (self.program, self.controls, self.memory)
        )
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return [
            "steps: gradients on one mini-batch; losses and gradients: on all images",
            *self.notes,
            f"time: on this machine, now, by {processes}; a first Barcode\u2070 after {first}",
            f"memory: up to {memory} for a process, of which the program and its data take about "
            f"{program} and control points {controls}",
        ]


def plan(model: nn.Module, images: ImageData, settings: NetworkSettings) -> Plan:
    """Count what a run with these settings takes, and time one step, one loss and one gradient.

    Raises what `NetworkLoss` and `build_complex` raise for a model, data and settings.
    """
    build, n, recipe = settings.build, settings.count, settings.recipe
    optimizer, simplex_map = build["optimizer"], build["simplex_map"]
    elastic, honest = isinstance(optimizer, NudgedElastic), build["tolerance"] is not None
    batches = -(-len(images.train_targets) // recipe.batch_size)
    trained = recipe.epochs * batches
    slopes = n if honest or elastic else 0
    turns = [Planned("minima", n, 0 if settings.checkpoints else n * trained, n, slopes)]
    for r in range(1, settings.max_dim + 1):
        own = len(interior_controls(simplex_map, r))
        steps = trained if own and not elastic else 0
        slopes = own * (int(honest or elastic) + (optimizer.most_rounds(r) if elastic else 0))
        losses = len(interior_lattice(r, settings.resolution))
        m = comb(n, r + 1)
        turns.append(Planned(dimension_name(r), m, m * steps, m * losses, m * slopes))
    notes = [
        "losses: those on the lattice; honest maxima look at more where it may be higher"
    ] * honest
    notes += ["gradients: those of simplices that take all their steps"] * elastic
    dim = sum(p.numel() for p in model.parameters() if p.requires_grad)
    controls = pool_bytes(simplex_map, n, settings.max_dim, dim * 4)
    return Plan(
        turns=tuple(turns),
        costs=_costs(model, images, settings),
        notes=tuple(notes),
        workers=settings.workers or 1,
        controls=controls,
        program=resident() + SPARE,
        memory=int(settings.memory * GIGABYTE),
    )


def _costs(model: nn.Module, images: ImageData, settings: NetworkSettings) -> Costs:
    """By the clock, on the first images, in proportion."""
    count = len(images.train_targets)
    few, batch_size = min(IMAGES, count), min(settings.recipe.batch_size, count)
    loss, mini = (
        NetworkLoss(
            model,
            images.train_inputs[:size],
            images.train_targets[:size],
            device=settings.device,
            precision=settings.precision,
        )
        for size in (few, batch_size)
    )
    point = loss.flatten(loss.model().state_dict())
    noise = torch.randn((POINTS, loss.dim), generator=torch.Generator().manual_seed(0))
    points = point + NEAR * noise.to(point)
    estimate = next(iter(mini.estimates(batch_size, np.random.default_rng(0))))
    return Costs(
        step=_seconds(lambda: gradient(estimate, points)),
        loss=_seconds(lambda: evaluate(loss, points)) * count / few,
        slope=_seconds(lambda: values_and_gradients(loss, points)) * count / few,
    )


def _seconds(work: Callable[[], object]) -> float:
    """For one of the points, the second time."""
    work()
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / POINTS
