"""Algorithm 1, for simplices of every dimension at once: SGD on free control points.

Each step draws t uniformly on the standard simplex, takes the gradient g of the loss at psi(t) =
W(t) P and moves the free control points by their share of it, grad_P = W(t)^T g. A minimum is the
case r = 0: one control point, W = 1. So networks, edges, triangles, ... are trained by the same few
lines, all simplices of a dimension in one batch.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError, ShapeError
from reduction.validation import as_integer, short_repr
from simplicial.errors import LossError, NotFiniteError
from simplicial.evaluation import (
    AdaptiveBatches,
    check_callable,
    gradient,
    points_at_once,
    steepest_curvature,
)
from simplicial.loss import Loss, PenalisedLoss, StochasticLoss
from simplicial.maps.barycentric import Barycentric
from simplicial.maps.control_points import Simplices
from simplicial.optimizers.base import SMALLER, OptimisationProblem, Optimizer, scaled
from simplicial.optimizers.random_points import UniformPoints
from simplicial.optimizers.recipe import EXACT, Recipe, check_recipe, factor, recipe_beside
from simplicial.run_folder.checkpoint import Checkpointer

STEP = 0.2  # learning rate times largest curvature: far inside what momentum 0.9 allows, 3.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm1(Optimizer):
    """The paper's optimisation of simplices, for every r; a step of progress is an epoch.

    recipe   None: the paper's `Recipe()` for a loss with mini-batches, without its weight decay if
             the loss holds a penalty itself; for one without mini-batches, `EXACT` at a learning
             rate of 0.2 over the largest curvature at the vertices
    sides    "fixed" trains the control points inside the simplex alone; "trainable" trains those of
             its faces with them, vertices excepted (Figure 1). Faces belong to all simplices that
             share them, so these are then trained jointly.
    samples  points t for each simplex in each step; 1 in the paper
    Raises OptionError for other values. Source: Algorithm 1, section 3. Deviations: the printed
    algorithm takes plain gradient steps, here the recipe has momentum, a schedule and a penalty, as
    the paper's experiments say; and all simplices of a dimension are trained in one batch.
    """

    recipe: Recipe | None = None
    sides: Literal["fixed", "trainable"] = "fixed"
    samples: int = 1

    def __post_init__(self) -> None:
        if self.sides not in ("fixed", "trainable"):
            raise OptionError(
                f"sides must be 'fixed' or 'trainable', got {self.sides!r}: choose one"
            )
        as_integer("samples", self.samples, 1)
        check_recipe(self.recipe)

    def recipe_for(self, loss: Loss, vertices: Tensor) -> Recipe:
        """The recipe that trains simplices of this loss on vertices (n, d).

        Raises LossError for a loss that is flat at the vertices, without a recipe; ShapeError for
        what are no vertices; OptionError for a recipe with a weight decay on a loss with its own.
        """
        check_callable(loss)
        if not isinstance(vertices, Tensor) or vertices.ndim != 2:
            raise ShapeError(
                f"vertices must be a tensor (n, d), got {short_repr(vertices)}: pass minima.points"
            )
        if self.recipe is not None or isinstance(loss, StochasticLoss):
            penalty = loss.weight_decay if isinstance(loss, PenalisedLoss) else 0.0
            return recipe_beside(penalty, self.recipe, Recipe())
        return EXACT.changed(learning_rate=STEP / steepest_curvature(loss, vertices))

    @property
    def simplex_map(self) -> Barycentric:
        """The subdivision of the paper (eqs. 5 and 6)."""
        return Barycentric()

    @property
    def moves_faces(self) -> bool:
        """Whether the sides are trainable."""
        return self.sides == "trainable"

    def with_smaller_steps(self) -> Self:
        """The algorithm with a tenth of its recipe's learning rate, once it is `prepared`."""
        assert self.recipe is not None, "a prepared optimizer has its recipe"
        slower = self.recipe.changed(learning_rate=SMALLER * self.recipe.learning_rate)
        return replace(self, recipe=slower)

    def with_effort(self, share: float) -> Self:
        """The algorithm, once it is `prepared`, with that multiple of its recipe's epochs, rounded,
        at least 1. Raises OptionError for a share that is not above 0.
        """
        recipe = self._prepared_recipe()
        return replace(self, recipe=recipe.changed(epochs=scaled(recipe.epochs, share)))

    def gradient_count(self, dim: int, mini_batches: int) -> int:
        """Gradients of a simplex, prepared, at passes of as many mini-batches."""
        del dim
        return (
            self._prepared_recipe().epochs
            * as_integer("mini_batches", mini_batches, 0)
            * (self.samples)
        )

    def mini_batch_count(self, loss: Loss) -> int:
        """Number of mini-batches in an epoch, prepared."""
        batch_size = self._prepared_recipe().batch_size
        return sum(1 for _ in estimates_of(loss, batch_size, np.random.default_rng(0)))

    def _prepared_recipe(self) -> Recipe:
        if self.recipe is None:
            raise OptionError(
                "an optimizer's effort is that of its recipe, this Algorithm1 has none yet: call "
                "prepared(loss, vertices) first, or give it a recipe"
            )
        return self.recipe

    def prepared(self, loss: Loss, vertices: Tensor) -> Self:
        """The algorithm with the recipe that `recipe_for` gives."""
        return replace(self, recipe=self.recipe_for(loss, vertices))

    def step_count(self, loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> int:
        """The recipe's epochs."""
        default = Recipe() if isinstance(loss, StochasticLoss) else EXACT
        return (self.recipe or default).epochs

    def optimise(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object],
    ) -> None:
        """Train the control points inside the simplices, and inside their sides if trainable.

        Raises NotFiniteError when the parameters stop being finite.
        """
        prepared = self.prepared(loss, control_points[: problem.sides.start])
        _Descent(prepared, loss, control_points, problem).run(on_step)


@dataclass(frozen=True, slots=True, eq=False)
class _Descent:
    """SGD on the free control points, at random points of the simplices (Algorithm 1).

    The random points belong to a simplex and the mini-batches to an epoch of a dimension, so
    neither depends on what else is trained beside it, nor on the memory budget. On a CUDA device
    sums over shared control points are taken in no fixed order, so last bits may differ from run to
    run.
    """

    algorithm: Algorithm1
    loss: Loss
    control_points: Tensor
    problem: OptimisationProblem

    @property
    def recipe(self) -> Recipe:
        assert self.algorithm.recipe is not None, "a prepared optimizer has its recipe"
        return self.algorithm.recipe

    @property
    def free(self) -> slice:
        """Rows of the control points that move."""
        inside, sides = self.problem.inside, self.problem.sides
        return slice(inside.start if self.algorithm.sides == "fixed" else sides.start, inside.stop)

    def run(self, on_step: Callable[[], object]) -> None:
        """All epochs. Raises NotFiniteError when the control points stop being finite."""
        recipe, moving = self.recipe, self.control_points[self.free]
        if not len(moving):
            return
        _check_rates(recipe, moving.dtype)
        moving.grad = torch.zeros_like(moving)
        sgd = torch.optim.SGD(
            [moving], recipe.learning_rate, recipe.momentum, nesterov=recipe.nesterov
        )
        simplices = self.problem.simplices
        draws = UniformPoints(self.problem.seed, simplices.vertices, self.algorithm.samples)
        mini_batches = np.random.default_rng([self.problem.seed, simplices.dim])
        at_once = points_at_once(self.loss, self.control_points, self.problem.memory)
        batches = AdaptiveBatches(at_once)
        checkpointer = Checkpointer(self.problem.checkpoint, moving)
        done, saved = checkpointer.resume()
        if done:
            moving.copy_(saved["main"])
            sgd.state[moving]["momentum_buffer"] = saved["momentum"].to(moving)
        step = 0
        for epoch in range(recipe.epochs):
            rate = factor(recipe.schedule, epoch / recipe.epochs)
            sgd.param_groups[0]["lr"] = recipe.learning_rate * rate
            for estimate in estimates_of(self.loss, recipe.batch_size, mini_batches):
                t, step = draws.draw(), step + 1
                if step <= done:  # drawn as before, so that what follows is the same
                    continue
                self._add_gradients(estimate, t, moving.grad.zero_(), batches)
                sgd.step()
                if checkpointer.is_due:
                    checkpointer.save(step, {"main": moving, "momentum": _momentum(moving, sgd)})
            if step >= done:
                self._check_finite(moving, epoch)
            on_step()

    def _add_gradients(
        self, estimate: Loss, t: NDArray[np.float64], grad: Tensor, batches: AdaptiveBatches
    ) -> None:
        """Add the gradients at psi(t), for t (m, samples, r+1), to that of the free rows."""
        every = _Pullback.of(self.control_points, self.problem.simplices, t)

        def add(some: slice) -> None:
            part = every.part(some)
            theta = part.points(self.control_points)
            g = torch.add(gradient(estimate, theta), theta, alpha=self.recipe.weight_decay)
            part.add(g / self.algorithm.samples, grad, self.free)

        batches.map(add, len(every.rows))

    def _check_finite(self, moving: Tensor, epoch: int) -> None:
        if not moving.isfinite().all():
            raise NotFiniteError(
                f"training must stay finite: parameters of {self.problem.simplices.dim}-simplices "
                f"were not after epoch {epoch + 1} at learning rate "
                f"{self.recipe.learning_rate:g}: choose a smaller learning rate"
            )


def _check_rates(recipe: Recipe, dtype: torch.dtype) -> None:
    for name in ("learning_rate", "weight_decay"):
        if getattr(recipe, name) > torch.finfo(dtype).max:
            raise OptionError(
                f"{name} must be a number of type {dtype}, as the points are, got "
                f"{getattr(recipe, name):g}: choose a smaller {name}"
            )


def _momentum(moving: Tensor, optimizer: torch.optim.SGD) -> Tensor:
    """The momentum of SGD, (k, d)."""
    kept = optimizer.state[moving].get("momentum_buffer")
    return torch.zeros_like(moving) if kept is None else kept


def estimates_of(loss: Loss, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
    """One epoch: the loss's estimates on mini-batches, or the loss itself once."""
    if isinstance(loss, StochasticLoss):
        estimates = loss.estimates(batch_size, rng)
        if not isinstance(estimates, Iterable):
            raise LossError(
                "estimates of a loss that declares them must be an iterator of losses, those of "
                f"{type(loss).__name__} are {short_repr(estimates)}: see simplicial.loss"
            )
        yield from estimates
    else:
        yield loss


@dataclass(frozen=True, slots=True, eq=False)
class _Pullback:
    """W(t) and W(t)^T for points t: rows of the control points (b, r+1), and weights (b, r+1)."""

    rows: Tensor
    weights: Tensor

    @classmethod
    def of(cls, control_points: Tensor, simplices: Simplices, t: NDArray[np.float64]) -> Self:
        """The weights at points t (m, samples, r+1) of m simplices; b is m samples."""
        corners, weights = simplices.simplex_map.locate(t)
        rows = np.take_along_axis(simplices.controls[:, None, :], corners, axis=-1)
        share = torch.as_tensor(weights, dtype=control_points.dtype, device=control_points.device)
        return cls(
            torch.as_tensor(rows, device=control_points.device).flatten(0, 1), share.flatten(0, 1)
        )

    def part(self, some: slice) -> Self:
        """The weights at some of the points."""
        return replace(self, rows=self.rows[some], weights=self.weights[some])

    def points(self, control_points: Tensor) -> Tensor:
        """The points psi(t), (b, d)."""
        return torch.einsum("bj,bjd->bd", self.weights, control_points[self.rows])

    def add(self, g: Tensor, grad: Tensor, free: slice) -> None:
        """Add W(t)^T g, for g (b, d), to grad, the gradient of the free rows."""
        is_free = (self.rows >= free.start) & (self.rows < free.stop)
        point, corner = is_free.nonzero(as_tuple=True)
        share = self.weights[point, corner, None]
        grad.index_add_(0, self.rows[point, corner] - free.start, share * g[point])
