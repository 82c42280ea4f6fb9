"""Critical points of any Morse index, from starts: eigenvector following with a trust radius.

Let v_1, ..., v_d be the Hessian's eigenvectors in order of their eigenvalues w_1 <= ... <= w_d, and
c_i = g.v_i. A step ascends along the q lowest of them and descends along the others,

    s = sum_i -+ c_i / (|w_i| + mu) v_i,    + for i <= q,  - for i > q,

mu >= 0 just large enough that s is no longer than the trust radius. Close to a point of Morse index
q it is Newton's method, which converges quadratically, and all other critical points repel it. For
q = 0 it is the saddle-free Newton method. The radius follows the agreement of f(x + s) - f(x) with
the quadratic model; where all is descent that is the classical ratio, and f falls.

Up to `DENSE` variables all starts take their steps in one batch; above, one after the other, with
products of the Hessian and vectors only (`simplicial.critical_points.quadratic_model`).

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
from simplicial.critical_points.quadratic_model import (
    DENSE,
    TINY,
    DenseModel,
    Floats,
    Ints,
    MatrixFreeModel,
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


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """End points of s starts in d variables.

    points          (s, d), dtype and device of the starts
    values          (s,) float64, the loss there
    gradient_norms  (s,) float64
    eigenvalues     (s, e) float64, the lowest of the Hessian, ascending: all d of them up to
                    `DENSE` variables, above two more than the largest index looked for; NaN where
                    the start or Lanczos' method did not converge
    morse           (s,) int64, number of negative eigenvalues: the Morse index; -1 where it is not
                    known, because the start did not converge, or all e eigenvalues of fewer than d
                    are negative, or because an eigenvalue is 0 within rounding, so that the point
                    is degenerate
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
    if starts.shape[1] <= DENSE:
        # Hessians, and what differentiates twice, take far more than a gradient
        size = points_at_once(loss, starts, max(1, memory // 16))

        def model(points: Tensor, index: Ints, before: Floats | None = None) -> QuadraticModel:
            return DenseModel(loss, points, index, before)
    else:
        size, count = 1, int(indices.max()) + 2

        def model(points: Tensor, index: Ints, before: Floats | None = None) -> QuadraticModel:
            return MatrixFreeModel(loss, points, int(index[0]), count, before)

    chunks = [slice(i, i + size) for i in range(0, len(starts), size)]
    parts = [
        _follow(
            loss,
            model,
            _Run.begin(starts[part], indices[part], reaches[part], leash),
            iterations,
            on_step,
        )
        for part in chunks
    ]
    joined = [[getattr(part, field.name) for part in parts] for field in fields(Arrival)]
    return Arrival(torch.cat(joined[0]), *(np.concatenate(arrays) for arrays in joined[1:]))


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

    @classmethod
    def begin(cls, starts: Tensor, index: Ints, reach: Floats, leash: float) -> "_Run":
        s = len(starts)
        return cls(
            x=starts.detach().clone(),
            begin_at=starts.detach(),
            leash=leash * reach,
            index=index,
            reach=reach,
            curvature=np.zeros(s),
            radius=reach.copy(),
            last_norm=np.full(s, np.inf),
            largest=np.zeros(s),
            converged=np.zeros(s, dtype=bool),
            eps=float(torch.finfo(starts.dtype).eps),
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
        converged = _converged(here, run, rows, some)
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


def _converged(here: QuadraticModel, run: _Run, rows: Ints, some: Ints) -> NDArray[np.bool_]:
    """Whether `rows` of the model are critical points, by Newton's step or by rounding of f."""
    step = here.step(rows, run.radius[some])
    least = np.sqrt(run.eps) * run.reach[some]
    # the gradient, too, lest a pole's curvature makes all steps tiny
    near = (step.newton <= least) & (here.norms[rows] <= least * run.curvature[some])
    # Steps halve the gradient until rounding ends it, even at a degenerate point, where they are
    # slow; and in a tiny radius no f would change.
    halted = step.left <= NOISE * run.eps * np.abs(here.values[rows])
    halted &= 2 * here.norms[rows] > run.last_norm[some]
    return near | (halted & (run.radius[some] >= run.reach[some] / 100))


def _move(loss: Loss, here: QuadraticModel, run: _Run, active: Ints, rows: Ints) -> Ints:
    """Steps from `rows` of the model, each with the first radius at which it agrees with f.

    Returns the starts that moved, in any order.
    """
    moved = [active[:0]]
    for _ in range(ATTEMPTS):
        if not rows.size:
            break
        some = active[rows]
        step = here.step(rows, run.radius[some])
        trial = run.x[some] + torch.as_tensor(step.vectors).to(run.x)
        with torch.no_grad():
            values = loss(trial.clone()).double().cpu().numpy()
        noise = NOISE * run.eps * run.largest[some]
        error = _disagreement(values - here.values[rows], step, noise)
        run.radius[some] = _next_radius(run.radius[some], run.reach[some], step, error)
        good, bad = np.flatnonzero(error <= REJECTED), np.flatnonzero(error > REJECTED)
        run.x[some[good]] = trial[good]
        moved.append(some[good])
        rows = rows[bad]
    return np.concatenate(moved)


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
    for _ in range(POLISHING if run.converged.any() else 0):
        here = model(run.x, run.index)
        step = here.newton()
        short = run.converged & (np.linalg.norm(step, axis=1) <= run.reach)
        trial = run.x + torch.as_tensor(np.where(short[:, None], step, 0.0)).to(run.x)
        lower = np.flatnonzero(model(trial, run.index).norms < here.norms)
        run.x[lower] = trial[lower]
    here = model(run.x, run.index)
    eigenvalues = np.full((len(run.x), here.count), np.nan)
    if run.converged.any():
        eigenvalues[run.converged] = here.lowest()[run.converged]
    flat = run.eps ** (2 / 3) * np.fmax(here.largest(), run.curvature)
    known = run.converged & (np.abs(eigenvalues).min(axis=1) > flat)
    negative = (eigenvalues < 0).sum(axis=1)
    known &= (negative < eigenvalues.shape[1]) | (negative == run.x.shape[1])
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
