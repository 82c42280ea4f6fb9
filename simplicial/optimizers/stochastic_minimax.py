"""Stochastic minimax: simplices lowered where the loss is high, on mini-batches, coarse to fine.

Algorithm 1 lowers the mean of the loss over a simplex; its maximum is wanted. Here each step takes
one mini-batch and, on each simplex, the gradients at a few of its inner control points, drawn
where the loss was seen to be high. They are scaled by their second moments (see `Preconditioner`),
so that a step has a length, which is a share of the simplex's own, whatever the loss: no learning
rate is to be found, and none can diverge. They are spread over the mesh by its Green's functions (a
Sobolev gradient) and gathered with momentum. Of the motion only that across the simplex counts;
along it control points are spread evenly (a nudged elastic band: Jonsson, Mills & Jacobsen 1998). A
simplex begins with the coarsest mesh, on which gradients are few and far, and a finer one goes on
where the coarse one ended. Where the data are passed over often, the last gradients go to its
highest points, see `HighestPoints`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from reduction.reprs import of_fields
from reduction.validation import as_integer, is_number, short_repr
from simplicial.evaluation import check_callable, evaluate, values_and_gradients
from simplicial.loss import Loss, PenalisedLoss, StochasticLoss
from simplicial.maps.edgewise import Edgewise
from simplicial.optimizers.algorithm1 import estimates_of
from simplicial.optimizers.base import SMALLER, OptimisationProblem, Optimizer, scaled
from simplicial.optimizers.highest_points import STATE as HIGHEST_STATE
from simplicial.optimizers.highest_points import HighestPoints, Snapshots
from simplicial.optimizers.moving_simplex import STATE, MovingSimplex, simplex_bytes
from simplicial.optimizers.nested_meshes import NestedMesh, nested_meshes
from simplicial.optimizers.recipe import Recipe, Schedule, factor, linear, recipe_beside
from simplicial.run_folder.checkpoint import Checkpoint, Checkpointer

Ints = NDArray[np.int64]
Names = tuple[str, ...]
_Losses = Iterator[Loss]

LONGEST, PASS = 0.06, 0.2  # a first step, and those of a pass in a random direction each
COARSEST = 0.4  # share of the gradients for the coarsest mesh; finer ones have as many each
DRAWN, MOST = 0.55, 6  # share of a mesh's inner control points at which a step takes gradients
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
    longest       of a first step, over the mean distance of the simplex's vertices. None: 0.06, or
                  0.2 over the root of the number of mini-batches in a pass, if that is less: so far
                  would a pass's steps lead at random. Fits an MLP, and LeNet on 3,000 images and on
                  60,000
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
    longest: float | None = None

    def __repr__(self) -> str:
        return of_fields(self)

    def __post_init__(self) -> None:
        as_integer("segments", self.segments, 2)
        given = self.longest
        if given is not None and not (is_number(given) and 0 < given <= 1):
            raise OptionError(
                "longest must be a share of the simplex's size above 0 and at most 1, got "
                f"{short_repr(given)}: change longest"
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
        """The optimizer with steps of a tenth, once it is `prepared`."""
        assert self.longest is not None, "a prepared optimizer has its longest step"
        return replace(self, longest=SMALLER * self.longest)

    def prepared(self, loss: Loss, vertices: Tensor) -> Self:
        """The optimizer with its number of epochs, and its longest step, on this loss.

        Raises OptionError for a weight decay on a loss with its own.
        """
        check_callable(loss)
        recipe = self._recipe(EPOCHS if isinstance(loss, StochasticLoss) else EXACT_EPOCHS)
        own = loss.weight_decay if isinstance(loss, PenalisedLoss) else 0.0
        longest = self.longest
        if longest is None:
            longest = min(LONGEST, PASS / max(1, self.mini_batch_count(loss)) ** 0.5)
        return replace(self, epochs=recipe_beside(own, recipe, recipe).epochs, longest=longest)

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
        meshes = nested_meshes(self.segments, as_integer("dim", dim, 1))
        if not meshes:
            return 0
        last = Snapshots.of(meshes[-1], gradients, mini_batches)
        stages = Stage.all(meshes, gradients - last.gradients)
        return sum(stage.drawn * stage.steps for stage in stages) + last.gradients

    def step_count(self, loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> int:
        """The epochs, of each group of simplices that fits into memory."""
        epochs = self.prepared(loss, control_points).epochs or 0
        return epochs * max(1, len(self._groups(control_points, problem)))

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
        prepared = self.prepared(loss, control_points[: problem.sides.start])
        meshes = nested_meshes(self.segments, problem.simplices.dim)
        for group in self._groups(control_points, problem):
            _Descent(prepared, loss, control_points, problem, meshes, group).run(on_step)

    def _groups(self, control_points: Tensor, problem: OptimisationProblem) -> list[slice]:
        """Simplices whose gradients and control points fit into memory at once."""
        m = len(problem.simplices.vertices)
        if not (meshes := nested_meshes(self.segments, problem.simplices.dim)):
            return []
        size = max(1, problem.memory // simplex_bytes(meshes[-1], control_points[0]))
        return [slice(first, min(first + size, m)) for first in range(0, m, size)]


class Stage(NamedTuple):
    """Steps on one mesh, each with gradients at `drawn` of its inner control points."""

    mesh: NestedMesh
    drawn: int
    steps: int

    @classmethod
    def all(cls, meshes: tuple[NestedMesh, ...], gradients: int) -> "list[Stage]":
        """The stages that take as many gradients; the coarsest has what is left by rounding."""
        shares = np.full(len(meshes), (1 - COARSEST) / max(1, len(meshes) - 1))
        shares[0] = COARSEST if len(meshes) > 1 else 1.0
        drawn = [min(MOST, int(np.ceil(DRAWN * mesh.inner))) for mesh in meshes]
        steps = [int(share * gradients / q) for share, q in zip(shares, drawn, strict=True)]
        steps[0] += (gradients - int(np.dot(steps, drawn))) // drawn[0]
        return [cls(*stage) for stage in zip(meshes, drawn, steps, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _Descent:
    """The optimisation of a group of the simplices of a problem, all on the same mini-batches."""

    settings: StochasticMinimax
    loss: Loss
    control_points: Tensor
    problem: OptimisationProblem
    meshes: tuple[NestedMesh, ...]
    group: slice

    def run(self, on_step: Callable[[], object]) -> None:
        """All stages, and the last gradients. Raises NotFiniteError."""
        epochs, longest, problem = self.settings.epochs, self.settings.longest, self.problem
        assert epochs is not None, "a prepared optimizer has its epochs"
        assert longest is not None, "a prepared optimizer has its longest step"
        rows, finest = problem.simplices.controls[self.group], self.meshes[-1]
        seeds = [
            np.random.SeedSequence(problem.seed, spawn_key=tuple(vertices))
            for vertices in problem.simplices.vertices[self.group].tolist()
        ]
        moving = [
            MovingSimplex(self.control_points[torch.as_tensor(row)], self.meshes, longest, seed)
            for row, seed in zip(rows, seeds, strict=True)
        ]
        inner = torch.as_tensor(rows[:, finest.mesh.inside])
        passed = sum(1 for _ in self._one_pass(np.random.default_rng(0)))
        gradients = epochs * passed
        checkpointer = Checkpointer(self._checkpoint, self.control_points[inner])
        steps = _Steps(checkpointer, epochs, gradients, on_step)
        mini_batches, last = self._mini_batches(), Snapshots.of(finest, gradients, passed)
        self._all_stages(moving, gradients - last.gradients, mini_batches, steps)
        found = [simplex.inner() for simplex in moving]
        if last.number:
            highest = [
                HighestPoints(simplex, finest, last.points, seed.spawn(1)[0])
                for simplex, seed in zip(moving, seeds, strict=True)
            ]
            self._highest_points(highest, last, mini_batches, steps)
            found = [simplex.inner() for simplex in highest]
        self.control_points[inner] = torch.stack(found)

    @property
    def _checkpoint(self) -> Checkpoint | None:
        """That of the group: a part's, unless it is all simplices."""
        whole, group = self.problem.checkpoint, self.group
        if whole is None or group == slice(0, len(self.problem.simplices.vertices)):
            return whole
        return whole.part(f"{group.start}-{group.stop}")

    def _all_stages(
        self, moving: list[MovingSimplex], gradients: int, mini_batches: _Losses, steps: "_Steps"
    ) -> None:
        """From the coarsest mesh to the finest, by as many gradients of each simplex."""
        for stage in Stage.all(self.meshes, gradients):
            for simplex in moving:
                simplex.refine(stage.mesh)
            for _ in range(stage.steps):
                estimate, share = next(mini_batches), steps.spent / gradients
                # as before, if the step is done
                drawn = [simplex.draw(stage.drawn) for simplex in moving]
                if steps.begin(stage.drawn):
                    self._step(estimate, moving, drawn, factor(self.settings.schedule, share))
                steps.end(moving, STATE)

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

    def _highest_points(
        self,
        highest: list[HighestPoints],
        snapshots: Snapshots,
        mini_batches: _Losses,
        steps: "_Steps",
    ) -> None:
        """From snapshot to snapshot, and a last look at where the steps have led."""
        count = snapshots.number * snapshots.steps
        for step in range(count):
            if step % snapshots.steps == 0:
                if steps.are_new:
                    self._see(highest)
                    self._snapshot(highest)
                steps.spend(snapshots.exact)
            estimate, drawn = next(mini_batches), [simplex.draw() for simplex in highest]
            if steps.begin(2):
                self._reduced_step(estimate, highest, drawn, step / count)
            steps.end(highest, HIGHEST_STATE)
        self._see(highest)

    def _see(self, highest: list[HighestPoints]) -> None:
        points = torch.cat([simplex.finer() for simplex in highest])
        values = evaluate(self.loss, points, self.problem.memory).loss
        for simplex, own in zip(highest, values.reshape(len(highest), -1), strict=True):
            simplex.see(own)

    def _snapshot(self, highest: list[HighestPoints]) -> None:
        points = torch.cat([simplex.anchors() for simplex in highest])
        exact = values_and_gradients(self.loss, points, self.problem.memory).gradients
        for simplex, own in zip(highest, exact.chunk(len(highest)), strict=True):
            simplex.snapshot(own)

    def _reduced_step(
        self, estimate: Loss, highest: list[HighestPoints], drawn: list[float], share: float
    ) -> None:
        points = [s.points(at, share) for s, at in zip(highest, drawn, strict=True)]
        together, settings = torch.cat(points), self.settings
        gradients = values_and_gradients(estimate, together, self.problem.memory).gradients
        gradients[::2] += settings.weight_decay * together[::2]
        rate = factor(settings.schedule, share)
        for simplex, own in zip(highest, gradients.split(2), strict=True):
            simplex.step(own, rate, settings.momentum)

    def _one_pass(self, rng: np.random.Generator) -> _Losses:
        return estimates_of(self.loss, self.settings.batch_size, rng)

    def _mini_batches(self) -> _Losses:
        """Pass after pass over the data."""
        rng = np.random.default_rng([self.problem.seed, self.problem.simplices.dim])
        while True:
            yield from self._one_pass(rng)


class _Steps:
    """Steps of a chunk: those done before it was stopped, gradients of each simplex, and saving."""

    def __init__(
        self,
        checkpointer: Checkpointer,
        epochs: int,
        gradients: int,
        on_step: Callable[[], object],
    ) -> None:
        self._checkpointer, self._epochs, self._gradients = checkpointer, epochs, gradients
        self._on_step = on_step
        self._done, self._saved = checkpointer.resume()
        self._taken, self._told, self.spent = 0, 0, 0

    @property
    def are_new(self) -> bool:
        """Whether the next step comes after those that were done before."""
        return self._taken >= self._done

    def begin(self, gradients: int) -> bool:
        """Whether the step that begins, with gradients of each simplex, is a new one."""
        is_new, self._taken = self.are_new, self._taken + 1
        self.spend(gradients)
        return is_new

    def spend(self, gradients: int) -> None:
        """Count gradients of each simplex, and tell of each epoch."""
        self.spent += gradients
        while self._told < self.spent * self._epochs // self._gradients:
            self._told += 1
            self._on_step()

    def end(self, simplices: Sequence[MovingSimplex | HighestPoints], names: Names) -> None:
        """Restore the simplices after the last step that was done before; save new ones at times.

        names  of the tensors of their state
        """
        if self._taken == self._done:
            for simplex, *own in zip(simplices, *(self._saved[n] for n in names), strict=True):
                simplex.restore(*own)
        elif self._taken > self._done and self._checkpointer.is_due:
            parts = zip(*(simplex.state() for simplex in simplices), strict=True)
            state = dict(zip(names, map(torch.stack, parts), strict=True))
            inner = torch.stack([simplex.inner() for simplex in simplices])
            self._checkpointer.save(self._taken, state | {"main": inner})
