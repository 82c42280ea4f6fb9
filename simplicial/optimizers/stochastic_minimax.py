"""Stochastic minimax: simplices lowered where the loss is high, on mini-batches, coarse to fine.

Algorithm 1 lowers the mean of the loss over a simplex; its maximum is wanted. Here each step takes
one mini-batch and, on each simplex, the gradients at a few of its inner control points, drawn
where the loss was seen to be high. They are spread over the mesh by its Green's functions (a
Sobolev gradient), gathered with momentum, and scaled in each coordinate by the gradients' root mean
square (Adam: Kingma & Ba 2015), so that a step has a length, which is a share of the simplex's own,
whatever the loss: no learning rate is to be found, and none can diverge. Of the motion only that
across the simplex counts; along it control points are spread evenly (a nudged elastic band:
Jonsson, Mills & Jacobsen 1998). A simplex begins with the coarsest mesh, on which gradients are
few and far, and a finer one goes on where the coarse one ended.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from reduction.validation import as_integer, is_number, short_repr
from simplicial.evaluation import check_callable, values_and_gradients
from simplicial.loss import Loss, PenalisedLoss, StochasticLoss
from simplicial.maps.edgewise import Edgewise
from simplicial.optimizers.algorithm1 import estimates_of
from simplicial.optimizers.base import SMALLER, OptimisationProblem, Optimizer, scaled
from simplicial.optimizers.moving_simplex import STATE, MovingSimplex
from simplicial.optimizers.nested_meshes import NestedMesh, nested_meshes
from simplicial.optimizers.recipe import Recipe, Schedule, linear, recipe_beside
from simplicial.run_folder.checkpoint import Checkpointer

Ints = NDArray[np.int64]

COARSEST = 0.4  # share of the gradients for the coarsest mesh; finer ones have as many each
DRAWN = 0.55  # share of a mesh's inner control points at which a step takes gradients
EXACT_EPOCHS = 2000  # gradients of a simplex, of a loss without mini-batches
EPOCHS = 50  # as the paper's


@dataclass(frozen=True, slots=True, kw_only=True)
class StochasticMinimax(Optimizer):
    """Simplices of every r >= 1 whose maxima are lowered; a step of progress is an epoch.

    segments      to an edge: its simplices have the map `Edgewise(segments)`; meshes of half as
                  many come before it, so a power of two is best
    epochs        gradients of each simplex, over the mini-batches of a pass; so it takes as many as
                  Algorithm 1 does. None: 50, as the paper's recipe; 2,000 of a loss without
                  mini-batches, whose epoch is one gradient
    batch_size    examples in a mini-batch; unused by a loss without mini-batches
    momentum      at least 0 and below 1
    weight_decay  adds 0.5 weight_decay |psi(t)|^2 to the loss, as a `Recipe`'s does; 0 for a loss
                  that holds its own penalty
    schedule      factor on the steps as a function of the share of gradients done, in [0, 1)
    longest       of a first step, over the mean distance of the simplex's vertices
    Raises OptionError for other values. The loss's learning rate is not asked for: see the module.
    A simplex's random points are keyed by the seed and its vertices, mini-batches by the seed and
    the dimension; so its result does not depend on those beside it. Deviations from the sources:
    coordinates have one scale for all control points of a simplex; even spacing by motion towards
    the mean of the neighbours in place of springs; none climbs.
    """

    segments: int = 8
    epochs: int | None = None
    batch_size: int = 128
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Schedule = linear
    longest: float = 0.07

    def __post_init__(self) -> None:
        as_integer("segments", self.segments, 2)
        if not (is_number(self.longest) and 0 < self.longest <= 1):
            raise OptionError(
                "longest must be a share of the simplex's size above 0 and at most 1, got "
                f"{short_repr(self.longest)}: change longest"
            )
        _ = self._recipe(EPOCHS)

    def _recipe(self, epochs: int) -> Recipe:
        """Its numbers, checked."""
        return Recipe(
            epochs=epochs if self.epochs is None else self.epochs,
            batch_size=self.batch_size,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
        )

    @property
    def simplex_map(self) -> Edgewise:
        """The subdivision of its simplices."""
        return Edgewise(self.segments)

    def with_smaller_steps(self) -> Self:
        """The optimizer with steps of a tenth."""
        return replace(self, longest=SMALLER * self.longest)

    def prepared(self, loss: Loss, vertices: Tensor) -> Self:
        """The optimizer with its number of epochs on this loss.

        Raises OptionError for a weight decay on a loss with its own.
        """
        check_callable(loss)
        recipe = self._recipe(EPOCHS if isinstance(loss, StochasticLoss) else EXACT_EPOCHS)
        own = loss.weight_decay if isinstance(loss, PenalisedLoss) else 0.0
        return replace(self, epochs=recipe_beside(own, recipe, recipe).epochs)

    def with_effort(self, share: float) -> Self:
        """The optimizer, once it is `prepared`, with that multiple of its epochs, rounded, at least
        1. Raises OptionError for a share that is not above 0.
        """
        return replace(self, epochs=scaled(self._prepared_epochs(), share))

    def _prepared_epochs(self) -> int:
        if self.epochs is None:
            raise OptionError(
                "an optimizer's effort is that of its epochs, this StochasticMinimax has none yet: "
                "call prepared(loss, vertices) first, or give it epochs"
            )
        return self.epochs

    def mini_batch_count(self, loss: Loss) -> int:
        """Number of mini-batches in an epoch."""
        return sum(1 for _ in estimates_of(loss, self.batch_size, np.random.default_rng(0)))

    def gradient_count(self, dim: int, mini_batches: int) -> int:
        """Gradients of a simplex of dimension dim, prepared, at passes of as many mini-batches."""
        gradients = self._prepared_epochs() * as_integer("mini_batches", mini_batches, 0)
        stages = Stage.all(nested_meshes(self.segments, as_integer("dim", dim, 1)), gradients)
        return sum(stage.drawn * stage.steps for stage in stages)

    def step_count(self, loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> int:
        """The epochs."""
        return self.prepared(loss, control_points).epochs or 0

    def optimise(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object],
    ) -> None:
        """Move the control points inside the simplices.

        Raises NotFiniteError where the loss or its gradient is not finite.
        """
        meshes = nested_meshes(self.segments, problem.simplices.dim)
        if meshes:
            prepared = self.prepared(loss, control_points[: problem.sides.start])
            _Descent(prepared, loss, control_points, problem, meshes).run(on_step)


class Stage(NamedTuple):
    """Steps on one mesh, each with gradients at `drawn` of its inner control points."""

    mesh: NestedMesh
    drawn: int
    steps: int

    @classmethod
    def all(cls, meshes: tuple[NestedMesh, ...], gradients: int) -> "list[Stage]":
        """The stages that take as many gradients; the coarsest has what is left by rounding."""
        if not meshes:
            return []
        shares = np.full(len(meshes), (1 - COARSEST) / max(1, len(meshes) - 1))
        shares[0] = COARSEST if len(meshes) > 1 else 1.0
        drawn = [int(np.ceil(DRAWN * mesh.inner)) for mesh in meshes]
        steps = [int(share * gradients / q) for share, q in zip(shares, drawn, strict=True)]
        steps[0] += (gradients - int(np.dot(steps, drawn))) // drawn[0]
        return [cls(*stage) for stage in zip(meshes, drawn, steps, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _Descent:
    """The optimisation of the simplices of a problem, all on the same mini-batches."""

    settings: StochasticMinimax
    loss: Loss
    control_points: Tensor
    problem: OptimisationProblem
    meshes: tuple[NestedMesh, ...]

    def run(self, on_step: Callable[[], object]) -> None:
        """All stages. Raises NotFiniteError."""
        epochs, rows = self.settings.epochs, self.problem.simplices.controls
        assert epochs is not None, "a prepared optimizer has its epochs"
        seeds = [
            np.random.SeedSequence(self.problem.seed, spawn_key=tuple(vertices))
            for vertices in self.problem.simplices.vertices.tolist()
        ]
        moving = [
            MovingSimplex(
                self.control_points[torch.as_tensor(row)], self.meshes, self.settings.longest, seed
            )
            for row, seed in zip(rows, seeds, strict=True)
        ]
        inner = torch.as_tensor(rows[:, self.meshes[-1].mesh.inside])
        checkpointer = Checkpointer(self.problem.checkpoint, self.control_points[inner])
        done, saved = checkpointer.resume()
        mini_batches, step, spent, told = self._mini_batches(), 0, 0, 0
        gradients = epochs * sum(1 for _ in self._one_pass(np.random.default_rng(0)))
        for stage in Stage.all(self.meshes, gradients):
            for simplex in moving:
                simplex.refine(stage.mesh)
            for _ in range(stage.steps):
                estimate, step = next(mini_batches), step + 1
                drawn = [simplex.draw(stage.drawn) for simplex in moving]
                if step > done:  # drawn as before, so that what follows is the same
                    self._step(estimate, moving, drawn, self.settings.schedule(spent / gradients))
                elif step == done:
                    for simplex, *own in zip(moving, *(saved[name] for name in STATE), strict=True):
                        simplex.restore(*own)
                if step > done and checkpointer.is_due:
                    checkpointer.save(step, self._state(moving))
                spent += stage.drawn
                while told < spent * epochs // gradients:
                    told += 1
                    on_step()
        self.control_points[inner] = torch.stack([simplex.inner() for simplex in moving])

    def _step(
        self, estimate: Loss, moving: list[MovingSimplex], drawn: list[Ints], rate: float
    ) -> None:
        """One step of all simplices, by gradients at inner control points that were drawn, (q,)."""
        points = torch.cat([s.points(at) for s, at in zip(moving, drawn, strict=True)])
        values, gradients = values_and_gradients(estimate, points, self.problem.memory)
        gradients = torch.add(gradients, points, alpha=self.settings.weight_decay)
        count = len(drawn[0])
        parts = zip(moving, drawn, values.reshape(-1, count), gradients.split(count), strict=True)
        for simplex, at, heights, slopes in parts:
            simplex.step(at, heights, slopes, rate, self.settings.momentum)

    def _one_pass(self, rng: np.random.Generator) -> Iterator[Loss]:
        return estimates_of(self.loss, self.settings.batch_size, rng)

    def _mini_batches(self) -> Iterator[Loss]:
        """Pass after pass over the data."""
        rng = np.random.default_rng([self.problem.seed, self.problem.simplices.dim])
        while True:
            yield from self._one_pass(rng)

    @staticmethod
    def _state(moving: list[MovingSimplex]) -> dict[str, Tensor]:
        parts = zip(*(simplex.state() for simplex in moving), strict=True)
        state = dict(zip(STATE, map(torch.stack, parts), strict=True))
        return state | {"main": torch.stack([simplex.inner() for simplex in moving])}
