"""Algorithm 1, for simplices of every dimension at once: SGD on free control points.

Each step draws t uniformly on the standard simplex, takes the gradient g of the loss at psi(t) =
W(t) P and moves the free control points by their share of it, grad_P = W(t)^T g. A minimum is the
case r = 0: one control point, W = 1. So networks, edges, triangles, ... are trained by the same few
lines, all simplices of a dimension in one batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError, ShapeError
from reduction.validation import as_integer, short_repr
from simplicial.errors import NotFiniteError
from simplicial.evaluation import (
    MEMORY,
    AdaptiveBatches,
    gradient,
    points_at_once,
    steepest_curvature,
)
from simplicial.loss import Loss, StochasticLoss, check_callable
from simplicial.maps.barycentric import Barycentric
from simplicial.maps.base import SimplexMap
from simplicial.maps.lattice import UniformPoints
from simplicial.maxima.refined import Seen
from simplicial.optimizers.recipe import EXACT, Recipe, check_recipe
from simplicial.run_folder.checkpoint import Checkpoint, Checkpointer

GENTLER = 0.1  # of a step, where steps did not stay finite
STEP = 0.2  # learning rate times largest curvature: far inside what momentum 0.9 allows, 3.8


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One dimension's turn to be optimised.

    simplices  what is optimised
    inside     rows of the pool that lie inside these simplices
    sides      rows of the pool that lie inside their faces, vertices excepted; ends where inside
               begins
    seed       non-negative; with a simplex's vertices it gives that simplex's random points
    memory     bytes for a batch of points, never the result
    floor      (m,) the largest loss on each simplex's faces; None for an optimizer that moves faces
    seen       the loss and its gradient at the rows before inside; None likewise, and for one that
               takes no gradients
    checkpoint  of its training; None: none is saved
    """

    simplices: Simplices
    inside: slice
    sides: slice
    seed: int
    memory: int = MEMORY
    floor: NDArray[np.float64] | None = None
    seen: Seen | None = None
    checkpoint: Checkpoint | None = None


class Optimizer(Protocol):
    """What lowers the loss on simplices by moving their free control points."""

    @property
    def simplex_map(self) -> SimplexMap:
        """The subdivision of the simplices, where the caller names none."""
        ...

    @property
    def moves_faces(self) -> bool:
        """Whether a dimension's turn may move lower dimensions' control points."""
        ...

    @property
    def takes_gradients(self) -> bool:
        """Whether it must be told the loss's gradients on faces."""
        ...

    def gentler(self) -> Self:
        """The same optimizer with smaller steps, for what did not stay finite."""
        ...

    def fitted(self, loss: Loss, vertices: Tensor) -> Self:
        """The same optimizer, with what it takes from a loss and its vertices (n, d) settled."""
        ...

    def rounds(self, loss: Loss, pool: Tensor, stage: Stage) -> int:
        """How often `optimise` will call `on_round`, at most."""
        ...

    def optimise(
        self, loss: Loss, pool: Tensor, stage: Stage, on_round: Callable[[], object]
    ) -> None:
        """Move rows of the pool (K, d), in place; `on_round` is for progress."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm1:
    """The paper's optimisation of simplices, for every r >= 1; a round is an epoch.

    recipe   None: the paper's `Recipe()` for a loss with mini-batches; for one without, `EXACT` at
             a learning rate of 0.2 over the largest curvature at the vertices
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
        what are no vertices.
        """
        check_callable(loss)
        if not isinstance(vertices, Tensor) or vertices.ndim != 2:
            raise ShapeError(
                f"vertices must be a tensor (n, d), got {short_repr(vertices)}: pass minima.points"
            )
        if self.recipe is not None:
            return self.recipe
        if isinstance(loss, StochasticLoss):
            return Recipe()
        return EXACT.changed(learning_rate=STEP / steepest_curvature(loss, vertices))

    @property
    def simplex_map(self) -> Barycentric:
        """The paper's (eqs. 5 and 6)."""
        return Barycentric()

    @property
    def moves_faces(self) -> bool:
        """With trainable sides."""
        return self.sides == "trainable"

    @property
    def takes_gradients(self) -> bool:
        """Never."""
        return False

    def gentler(self) -> Self:
        """With a tenth of its recipe's learning rate, once it is `fitted`."""
        assert self.recipe is not None, "a fitted optimizer has its recipe"
        slower = self.recipe.changed(learning_rate=GENTLER * self.recipe.learning_rate)
        return replace(self, recipe=slower)

    def fitted(self, loss: Loss, vertices: Tensor) -> Self:
        """With the recipe that `recipe_for` gives."""
        return replace(self, recipe=self.recipe_for(loss, vertices))

    def rounds(self, loss: Loss, pool: Tensor, stage: Stage) -> int:
        """The recipe's epochs."""
        default = Recipe() if isinstance(loss, StochasticLoss) else EXACT
        return (self.recipe or default).epochs

    def optimise(
        self, loss: Loss, pool: Tensor, stage: Stage, on_round: Callable[[], object]
    ) -> None:
        """Train the control points inside the simplices, and inside their sides if trainable.

        Raises NotFiniteError when the parameters stop being finite.
        """
        first = stage.inside.start if self.sides == "fixed" else stage.sides.start
        free = slice(first, stage.inside.stop)
        recipe = self.recipe_for(loss, pool[: stage.sides.start])
        descend(loss, pool, stage, free, recipe, self.samples, on_round)


def descend(
    loss: Loss,
    pool: Tensor,
    stage: Stage,
    free: slice,
    recipe: Recipe,
    samples: int = 1,
    on_round: Callable[[], object] = lambda: None,
) -> None:
    """Train the free rows of the pool (K, d), in place, by SGD on random points of the simplices.

    The random points belong to a simplex and the mini-batches to an epoch of a dimension, so
    neither depends on what else is trained beside it, nor on the memory budget. On a CUDA device
    sums over shared control points are taken in no fixed order, so last bits may differ from run to
    run.
    Raises NotFiniteError when the parameters stop being finite. Source: Algorithm 1.
    """
    moving = pool[free]
    if not len(moving):
        return
    _check_rates(recipe, pool.dtype)
    moving.grad = grad = torch.zeros_like(moving)
    optimizer = torch.optim.SGD(
        [moving], recipe.learning_rate, recipe.momentum, nesterov=recipe.nesterov
    )
    points = UniformPoints(stage.seed, stage.simplices.vertices, samples)
    batches = np.random.default_rng([stage.seed, stage.simplices.dim])
    batches_of_points = AdaptiveBatches(points_at_once(loss, pool, stage.memory))

    def pulled(estimate: Loss, pull: _Pull, portion: slice) -> None:
        part = pull.part(portion)
        theta = part.points(pool)
        g = torch.add(gradient(estimate, theta), theta, alpha=recipe.weight_decay)
        part.add(g / samples, grad, free)

    checkpointer = Checkpointer(stage.checkpoint, moving)
    done, kept = checkpointer.resume()
    if done:
        moving.copy_(kept["main"])
        optimizer.state[moving]["momentum_buffer"] = kept["momentum"].to(moving)
    for epoch in range(recipe.epochs):
        if epoch < done:  # drawn as before, so that what follows is the same
            for _ in _estimates(loss, recipe.batch_size, batches):
                points.draw()
            on_round()
            continue
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * recipe.schedule(
            epoch / recipe.epochs
        )
        for estimate in _estimates(loss, recipe.batch_size, batches):
            grad.zero_()
            pull = _Pull.of(pool, stage.simplices, points.draw())
            batches_of_points.map(partial(pulled, estimate, pull), len(pull.rows))
            optimizer.step()
        _check_finite(moving, stage.simplices, epoch, recipe)
        if checkpointer.is_due:
            checkpointer.save(epoch + 1, {"main": moving, "momentum": _momentum(moving, optimizer)})
        on_round()


def _check_rates(recipe: Recipe, dtype: torch.dtype) -> None:
    for name in ("learning_rate", "weight_decay"):
        if getattr(recipe, name) > torch.finfo(dtype).max:
            raise OptionError(
                f"{name} must be a number of type {dtype}, as the points are, got "
                f"{getattr(recipe, name):g}: choose a smaller {name}"
            )


def _momentum(moving: Tensor, optimizer: torch.optim.SGD) -> Tensor:
    """What SGD keeps beside the points (k, d)."""
    kept = optimizer.state[moving].get("momentum_buffer")
    return torch.zeros_like(moving) if kept is None else kept


def _estimates(loss: Loss, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
    """One epoch: the loss's estimates on mini-batches, or the loss itself once."""
    if isinstance(loss, StochasticLoss):
        yield from loss.estimates(batch_size, rng)
    else:
        yield loss


@dataclass(frozen=True, slots=True, eq=False)
class _Pull:
    """W(t) and W(t)^T for some points: rows of the pool (b, r+1), and their weights (b, r+1)."""

    rows: Tensor
    weights: Tensor

    @classmethod
    def of(cls, pool: Tensor, simplices: Simplices, t: NDArray[np.float64]) -> Self:
        """For the points t (m, samples, r+1) of m simplices; b is m samples."""
        corners, weights = simplices.simplex_map.locate(t)
        rows = np.take_along_axis(simplices.controls[:, None, :], corners, axis=-1)
        share = torch.as_tensor(weights, dtype=pool.dtype, device=pool.device)
        return cls(torch.as_tensor(rows, device=pool.device).flatten(0, 1), share.flatten(0, 1))

    def part(self, portion: slice) -> Self:
        """For some of the points."""
        return replace(self, rows=self.rows[portion], weights=self.weights[portion])

    def points(self, pool: Tensor) -> Tensor:
        """The points psi(t), (b, d)."""
        return torch.einsum("bj,bjd->bd", self.weights, pool[self.rows])

    def add(self, g: Tensor, grad: Tensor, free: slice) -> None:
        """Add W(t)^T g, for g (b, d), to grad, the gradient of the free rows."""
        is_free = (self.rows >= free.start) & (self.rows < free.stop)
        point, corner = is_free.nonzero(as_tuple=True)
        share = self.weights[point, corner, None]
        grad.index_add_(0, self.rows[point, corner] - free.start, share * g[point])


def _check_finite(moving: Tensor, simplices: Simplices, epoch: int, recipe: Recipe) -> None:
    if moving.isfinite().all():
        return
    raise NotFiniteError(
        f"training must stay finite: parameters of {simplices.dim}-simplices were not after epoch "
        f"{epoch + 1} at learning rate {recipe.learning_rate:g}: choose a smaller learning rate"
    )
