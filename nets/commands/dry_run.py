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

from nets.commands.settings import GIGABYTE, NetworkSettings, Room
from nets.data.images import ImageData
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


class Planned(NamedTuple):
    """One dimension's share of a run.

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
        """By one process."""
        return self.steps * costs.step + self.losses * costs.loss + self.gradients * costs.gradient


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will take.

    turns     dimension by dimension
    costs     of what they count
    notes     in which way the counts are bounds
    workers   processes
    room      bytes for each process
    """

    turns: tuple[Planned, ...]
    costs: Costs
    notes: tuple[str, ...]
    workers: int
    room: Room

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
        # the edges at the lowest minimum come first
        cone = (minima.simplices - 1) / edges.simplices
        first = duration(self._seconds(minima) + cone * self._seconds(edges))
        program, controls, batches = (f"{size / GIGABYTE:.3g} GB" for size in self.room)
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return [
            "steps: gradients on one mini-batch; losses and gradients: on all images",
            *self.notes,
            f"time: on this machine, now, by {processes}; a first Barcode\u2070 after {first}",
            f"memory of a process: {program} for the program and its data, {controls} for control "
            f"points, and up to {batches} for batches of networks",
        ]


def plan(model: nn.Module, images: ImageData, settings: NetworkSettings) -> Plan:
    """Count what a run with these settings takes, and time one step, one loss and one gradient.

    Raises what `NetworkLoss` and `NetworkSettings.room` raise.
    """
    build, n, recipe = settings.build, settings.count, settings.recipe
    optimizer, simplex_map = build["optimizer"], build["simplex_map"]
    elastic, honest = isinstance(optimizer, NudgedElastic), build["tolerance"] is not None
    batches = -(-len(images.train_targets) // recipe.batch_size)
    trained = recipe.epochs * batches
    exact = int(honest or elastic)  # gradients at control points, once
    turns = [Planned("minima", n, 0 if settings.checkpoints else n * trained, n, exact * n)]
    for r in range(1, settings.max_dim + 1):
        own, m = len(interior_controls(simplex_map, r)), comb(n, r + 1)
        steps = trained if own and not elastic else 0
        rounds = optimizer.most_rounds(r) if elastic else 0
        losses = len(interior_lattice(r, settings.resolution))
        gradients = own * (exact + rounds)
        turns.append(Planned(dimension_name(r), m, m * steps, m * losses, m * gradients))
    notes = []
    if honest:
        notes.append(
            "losses, gradients: at least; honest maxima take more, often many times as many"
        )
    if elastic:
        notes.append("gradients: of all steps; fillings that are compared take more of both")
    loss, mini = (
        NetworkLoss(
            model,
            images.train_inputs[:size],
            images.train_targets[:size],
            device=settings.device,
            precision=settings.precision,
        )
        for size in (IMAGES, recipe.batch_size)
    )
    return Plan(
        turns=tuple(turns),
        costs=_costs(loss, mini, len(images.train_targets)),
        notes=tuple(notes),
        workers=settings.workers or 1,
        room=settings.room(loss),
    )


def _costs(loss: NetworkLoss, mini: NetworkLoss, images: int) -> Costs:
    """By the clock, in proportion to all images.

    loss  on some of them, mini on a mini-batch
    """
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
    """For one of the points, the second time."""

    def done() -> float:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    began = done()
    return (done() - began) / POINTS
