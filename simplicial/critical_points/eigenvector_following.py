"""Critical points of any Morse index, from starts: eigenvector following with a trust radius.

Let v_1, ..., v_d be the Hessian's eigenvectors in order of their eigenvalues w_1 <= ... <= w_d, and
c_i = g.v_i. A step ascends along the q lowest of them and descends along the others,

    s = sum_i -+ c_i / (|w_i| + mu) v_i,    + for i <= q,  - for i > q,

mu >= 0 just large enough that s is no longer than the trust radius. Close to a point of Morse index
q it is Newton's method, which converges quadratically, and all other critical points repel it. For
q = 0 it is the saddle-free Newton method. The radius follows the agreement of f(x + s) - f(x) with
the quadratic model; where all is descent that is the classical ratio, and f falls.

Up to `DENSE` variables all starts take their steps in one batch; above, one after the other, with
products of the Hessian and vectors only (`simplicial.critical_points.matrix_free_model`).

Whether a point is degenerate is judged by the Hessian there, and by no other one: an eigenvalue is
0 within rounding of the largest, or is not the same over the next steps of Newton's method, which
would have it converge quadratically. In a box no step crosses a wall; along the motions under which
a loss says it is invariant there is none (`simplicial.critical_points.constraints`).

Where w_q and w_(q+1) cross, a start can circle for ever (Levitt & Ortner, SIAM J. Numer. Anal. 55,
2017). So after `LOWEST` steps the modes along which it climbs are no longer the lowest ones, but
those most alike to the modes of the step before.
Sources: Cerjan & Miller, J. Chem. Phys. 75, 2800 (1981); Wales, Energy Landscapes (2003), 6.2;
Dauphin et al. (2014), saddle-free Newton; Nocedal & Wright (2006), 4.1 and algorithm 7.2.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError, ShapeError
from simplicial.critical_points.constraints import Constraints, Invariance, Walls, projectors
from simplicial.critical_points.matrix_free_model import MatrixFreeModel
from simplicial.critical_points.quadratic_model import (
    DENSE,
    TINY,
    DenseModel,
    Floats,
    Ints,
    QuadraticModel,
    Step,
)
from simplicial.evaluation import points_at_once
from simplicial.loss import Loss
from simplicial.options import MEMORY

ITERATIONS = 200
ATTEMPTS = 20  # at a step, each with a quarter of the radius; 4^-20 is beyond rounding
NOISE = 32  # rounding of a loss's value, in units of the last place of its largest value so far
REJECTED = 0.75  # relative disagreement with the model at which a step is not taken
POLISHING = 2  # plain Newton steps at the end
LOWEST = 30  # steps; most starts that ever converge have done so by then
BEYOND = 1.5  # steps of Newton's method ahead, to where an eigenvalue must still be the same
CHANGED = 0.5  # share of an eigenvalue by which it is no longer the same


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """End points of s starts in d variables.

    points          (s, d), dtype and device of the starts
    values          (s,) float64, the loss there
    gradient_norms  (s,) float64, of what no wall and no symmetry holds
    eigenvalues     (s, e) float64, the lowest of the Hessian, ascending: all d of them up to
                    `DENSE` variables, above two more than the largest index looked for; NaN where
                    the start or Lanczos' method did not converge, and at the end as many as are
                    held by walls or are those of a declared symmetry
    morse           (s,) int64, number of negative eigenvalues: the Morse index; -1 where it is not
                    known, because the start did not converge, or all e eigenvalues of fewer than d
                    are negative, or because an eigenvalue is 0 within rounding or changes over the
                    next steps of Newton's method, so that the point is degenerate
    converged       (s,) bool; at a critical point, of whatever index
    """

    points: Tensor
    values: Floats
    gradient_norms: Floats
    eigenvalues: Floats
    morse: Ints
    converged: NDArray[np.bool_]


def follow(
    loss: Loss,
    starts: Tensor,
    index: int | Ints,
    reach: float | Floats,
    iterations: int = ITERATIONS,
    *,
    leash: float = np.inf,
    memory: int = MEMORY,
    on_step: Callable[[Tensor], object] = lambda _points: None,
    box: Floats | None = None,
    gradient_tolerance: float = 0.0,
) -> Arrival:
    """Steps from each start towards a critical point of a Morse index.

    loss        smooth; takes points of the starts' dtype, and is as accurate as that dtype
    starts      (s, d), s >= 1; not changed
    index       Morse index looked for, or (s,) one for each start, at most d, and d // 2 above
                `DENSE` variables; a start that symmetry holds at a point of another index ends
                there: `Arrival.morse` tells
    reach       largest trust radius, or (s,) one for each start; also the scale of distances: at
                convergence Newton's step is below sqrt(eps) reach, or changes f by rounding only
    iterations  steps, at most
    leash       distance from the start, over its reach, beyond which a start is given up
    memory      bytes for a batch of points, Hessians and what differentiates twice included; a
                product with the Hessian takes what the loss needs at one point
    on_step     called after each step with the points (n, d) of the starts that are taken together
    box         (2, d), lowest and highest corner, which starts are in and no step leaves; at most
                `DENSE` variables. Points on a wall towards which the loss falls are critical where
                the rest is, and have the index of the rest; None: no walls
    gradient_tolerance  norm of a gradient up to which it may be noise: there a start has converged
    A `simplicial.loss.SymmetricLoss` is followed across its symmetry, and indices are those there.
    A start that leaves where the loss is finite, or runs to infinity, has not converged.
    Raises OptionError for an index or a reach out of range, ShapeError for starts that are no
    (s, d), LossError for a loss that breaks its contract.
    """
    if starts.ndim != 2 or 0 in starts.shape:
        raise ShapeError(
            f"starts must have shape (s, d) with s, d >= 1, got {tuple(starts.shape)}: one row for "
            "each start"
        )
    indices = _indices(index, *starts.shape)
    reaches = _reaches(reach, len(starts))
    walls = None if box is None else Walls(box)
    model, size = _models(loss, starts, indices, walls, memory)
    chunks = [slice(i, i + size) for i in range(0, len(starts), size)]
    parts = [
        _follow(
            loss,
            model,
            _Run.begin(
                (starts[part], indices[part], reaches[part], leash), gradient_tolerance, walls
            ),
            iterations,
            on_step,
        )
        for part in chunks
    ]
    joined = [[getattr(part, field.name) for part in parts] for field in fields(Arrival)]
    return Arrival(torch.cat(joined[0]), *(np.concatenate(arrays) for arrays in joined[1:]))


def _models(
    loss: Loss, starts: Tensor, indices: Ints, walls: Walls | None, memory: int
) -> "tuple[_Model, int]":
    """The model of a loss, dense or by products, and at how many points at once."""
    invariance, count = Invariance.of(loss), int(indices.max()) + 2
    constraints: Constraints | None = walls or invariance

    def dense(points: Tensor, index: Ints, before: Floats | None = None) -> QuadraticModel:
        return DenseModel(loss, points, index, before, constraints)

    def by_products(points: Tensor, index: Ints, before: Floats | None = None) -> QuadraticModel:
        q = int(index[0])
        return MatrixFreeModel(loss, points, q, before, count=count, invariance=invariance)

    if starts.shape[1] > DENSE:
        return by_products, 1
    # Hessians, and what differentiates twice, take far more than a gradient
    return dense, points_at_once(loss, starts, max(1, memory // 16))


class _Model(Protocol):
    def __call__(self, points: Tensor, index: Ints, before: Floats | None = None) -> QuadraticModel:
        """Models at points; `before`, (m, d, q), are modes to go on with, None: the lowest."""
        ...


@dataclass(slots=True, eq=False)
class _Run:
    """State of s starts on their way; the arrays are written into."""

    x: Tensor  # (s, d)
    begin_at: Tensor  # (s, d)
    leash: Floats  # (s,) the largest distance between these two
    index: Ints  # (s,)
    reach: Floats  # (s,)
    curvature: Floats  # (s,) largest |eigenvalue| at the start
    radius: Floats  # (s,) of trust
    last_norm: Floats  # (s,) norm of the gradient one step before
    largest: Floats  # (s,) largest |f| on the way
    converged: NDArray[np.bool_]  # (s,)
    eps: float
    tolerance: float  # of gradients
    walls: Walls | None

    @classmethod
    def begin(
        cls, starts: tuple[Tensor, Ints, Floats, float], tolerance: float, walls: Walls | None
    ) -> "_Run":
        """At starts, each with its index and reach, and a leash for all."""
        points, index, reach, leash = starts
        s = len(points)
        return cls(
            x=points.detach().clone(),
            begin_at=points.detach(),
            leash=leash * reach,
            index=index,
            reach=reach,
            curvature=np.zeros(s),
            radius=reach.copy(),
            last_norm=np.full(s, np.inf),
            largest=np.zeros(s),
            converged=np.zeros(s, dtype=bool),
            eps=float(torch.finfo(points.dtype).eps),
            tolerance=tolerance,
            walls=walls,
        )

    def is_far(self, some: Ints) -> NDArray[np.bool_]:
        """Whether starts (n,) are farther from where they began than their leash."""
        distance = (self.x[some] - self.begin_at[some]).norm(dim=1).double().cpu().numpy()
        return distance > self.leash[some]


@np.errstate(over="ignore", invalid="ignore")  # a start may leave the finite
def _follow(
    loss: Loss,
    model: _Model,
    run: _Run,
    iterations: int,
    on_step: Callable[[Tensor], object],
) -> Arrival:
    here, active = model(run.x, run.index), np.arange(len(run.x))
    run.curvature[:] = here.largest()
    for iteration in range(iterations):
        rows = np.flatnonzero(here.finite)
        if not rows.size:
            break
        some = active[rows]
        run.largest[some] = np.maximum(run.largest[some], np.abs(here.values[rows]))
        converged = _converged(model, here, run, rows, some)
        run.converged[some] = converged
        run.last_norm[some] = here.norms[rows]
        moved = np.sort(_move(loss, here, run, active, rows[~converged]))
        on_step(run.x.clone())
        moved = moved[~run.is_far(moved)]
        if not moved.size:
            break
        modes = here.climbed[np.searchsorted(active, moved)]
        active = moved
        here = model(run.x[active], run.index[active], modes if iteration > LOWEST else None)
    return _finish(model, run)


def _converged(
    model: _Model, here: QuadraticModel, run: _Run, rows: Ints, some: Ints
) -> NDArray[np.bool_]:
    """Whether `rows` of the model are critical points, by Newton's step or by rounding of f."""
    step = here.step(rows, run.radius[some])
    least = np.sqrt(run.eps) * run.reach[some]
    # the gradient, too, lest a pole's curvature makes all steps tiny
    near = (step.newton <= least) & (here.norms[rows] <= least * run.curvature[some])
    unsure = (step.newton <= least) & ~near
    if unsure.any():  # from a start where the loss was flat: the curvature here is no pole's
        unsure[unsure] = here.norms[rows[unsure]] <= (least * here.largest()[rows])[unsure]
        near[unsure] = _is_steady(model, here, run, some[unsure], rows[unsure])
    # Steps halve the gradient until rounding ends it, even at a degenerate point, where they are
    # slow; and in a tiny radius no f would change.
    halted = step.left <= NOISE * run.eps * np.abs(here.values[rows])
    halted &= 2 * here.norms[rows] > run.last_norm[some]
    near |= here.norms[rows] <= run.tolerance
    return near | (halted & (run.radius[some] >= run.reach[some] / 100))


def _is_steady(
    model: _Model, here: QuadraticModel, run: _Run, some: Ints, rows: Ints
) -> NDArray[np.bool_]:
    """Whether the eigenvalues at starts `some`, `rows` of the model, are the same a little ahead.

    They are ahead of a critical point by its error, and of a degenerate one, where Newton's method
    converges but linearly, by the distance from it.
    """
    if not rows.size:
        return np.zeros(0, dtype=bool)
    ahead = run.x[some] + BEYOND * torch.as_tensor(here.ahead()[rows]).to(run.x)
    if run.walls is not None:
        ahead = run.walls.within(ahead)
    w = here.lowest()[rows]
    change = np.abs(model(ahead, run.index[some]).lowest() - w)
    least = here.error * here.largest()[rows, None]
    return np.all((change <= CHANGED * np.abs(w) + least) | np.isnan(w), axis=1)


def _move(loss: Loss, here: QuadraticModel, run: _Run, active: Ints, rows: Ints) -> Ints:
    """Steps from `rows` of the model, each with the first radius at which it agrees with f.

    Returns the starts that moved, in any order.
    """
    moved = [active[:0]]
    for _ in range(ATTEMPTS):
        if not rows.size:
            break
        some = active[rows]
        step = _step(here, run, some, rows)
        trial = run.x[some] + torch.as_tensor(step.vectors).to(run.x)
        if run.walls is not None:
            trial = run.walls.within(trial)
        with torch.no_grad():
            values = loss(trial.clone()).double().cpu().numpy()
        noise = NOISE * run.eps * run.largest[some]
        noise += run.tolerance * np.linalg.norm(step.vectors, axis=1)
        error = _disagreement(values - here.values[rows], step, noise)
        run.radius[some] = _next_radius(run.radius[some], run.reach[some], step, error)
        good, bad = np.flatnonzero(error <= REJECTED), np.flatnonzero(error > REJECTED)
        run.x[some[good]] = trial[good]
        moved.append(some[good])
        rows = rows[bad]
    return np.concatenate(moved)


def _step(here: QuadraticModel, run: _Run, some: Ints, rows: Ints) -> Step:
    """Steps within the trust radius, up to the first wall and along the walls they start from."""
    if run.walls is None or not isinstance(here, DenseModel):
        return here.step(rows, run.radius[some])
    x = run.x[some].double().cpu().numpy()
    held = run.walls.holds(x, here, rows)
    step = here.step(rows, run.radius[some], projectors(held))
    while (out := run.walls.leaves(x, step.vectors) & ~held).any():
        held |= out
        step = here.step(rows, run.radius[some], projectors(held))
    return here.changes(rows, step, run.walls.shortened(x, np.where(held, 0.0, step.vectors)))


def _disagreement(change: Floats, step: Step, noise: Floats) -> Floats:
    """Distance (n,) of a change of f from the model's, over the model's, beyond rounding."""
    beyond = np.maximum(np.abs(change - step.predicted) - noise, 0.0)
    return np.nan_to_num(beyond / np.maximum(step.size, TINY), nan=np.inf)


def _next_radius(radius: Floats, reach: Floats, step: Step, error: Floats) -> Floats:
    """Trust radius (n,) after a step with this disagreement (n,)."""
    length = np.linalg.norm(step.vectors, axis=1)
    grown = np.where(length > 0.9 * radius, np.minimum(2 * radius, reach), radius)
    return np.select(
        [error <= REJECTED / 3, error <= 2 * REJECTED / 3, error <= REJECTED],
        [grown, radius, length / 2],
        length / 4,
    )


def _finish(model: _Model, run: _Run) -> Arrival:
    """Newton's method while it lowers the gradient, then values and eigenvalues at the end."""
    here = model(run.x, run.index)
    for _ in range(POLISHING if run.converged.any() else 0):
        step = here.newton()
        short = run.converged & (np.linalg.norm(step, axis=1) <= run.reach)
        trial = run.x + torch.as_tensor(np.where(short[:, None], step, 0.0)).to(run.x)
        if run.walls is not None:
            trial = run.walls.within(trial)
        there = model(trial, run.index)
        lower = np.flatnonzero(there.norms < here.norms)
        if not lower.size:
            break
        run.x[lower] = trial[lower]
        here = there if len(lower) == len(run.x) else model(run.x, run.index)
    eigenvalues = np.full((len(run.x), here.count), np.nan)
    if run.converged.any():
        eigenvalues[run.converged] = here.lowest()[run.converged]
    flat = here.error * here.largest()[:, None]
    known = run.converged & ((np.abs(eigenvalues) > flat) | np.isnan(eigenvalues)).all(axis=1)
    negative = (eigenvalues < 0).sum(axis=1)
    known &= (negative < eigenvalues.shape[1]) | (negative == run.x.shape[1])
    rows = np.flatnonzero(known)
    known[rows] = _is_steady(model, here, run, rows, rows)
    morse = np.where(known, negative, -1)
    return Arrival(run.x, here.values, here.norms, eigenvalues, morse, run.converged)


def _indices(index: int | Ints, s: int, d: int) -> Ints:
    most = d if d <= DENSE else d // 2
    given = np.asarray(index)
    fits = given.dtype.kind in "iu" and given.shape in ((), (s,))
    if not fits or (given < 0).any() or (given > most).any():
        remedy = "or follow -loss with index d - index" if most < d else "for one start or for each"
        raise OptionError(
            f"an index must be whole, 0 to {most} in {d} variables, one or {s} of them, got "
            f"{index}: give such an index, {remedy}"
        )
    return np.broadcast_to(given, s).astype(np.int64)


def _reaches(reach: float | Floats, s: int) -> Floats:
    given = np.asarray(reach, dtype=np.float64)
    if given.shape not in ((), (s,)) or not ((given > 0) & np.isfinite(given)).all():
        raise OptionError(
            f"a reach must be positive and finite, one or {s} of them, got {reach}: give the "
            "longest step that makes sense"
        )
    return np.broadcast_to(given, s).copy()
