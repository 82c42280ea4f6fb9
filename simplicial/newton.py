"""Critical points of any Morse index, from starts: eigenvector following with a trust radius.

Let v_1, ..., v_d be the Hessian's eigenvectors in order of their eigenvalues w_1 <= ... <= w_d, and
c_i = g.v_i. A step ascends along the q lowest of them and descends along the others,

    s = sum_i -+ c_i / (|w_i| + mu) v_i,    + for i <= q,  - for i > q,

mu >= 0 just large enough that s is no longer than the trust radius. Close to a point of Morse index
q it is Newton's method, which converges quadratically, and all other critical points repel it. For
q = 0 it is the saddle-free Newton method. The radius follows the agreement of f(x + s) - f(x) with
the quadratic model; where all is descent that is the classical ratio, and f falls.

Up to `DENSE` variables Hessians are dense, and all starts take their steps in one batch. Above,
only products of the Hessian with vectors are made: Lanczos' method for the q lowest eigenvectors,
and on their complement conjugate gradients, which stop at the trust radius or where they meet a
direction of negative curvature (Steihaug).

Where w_q and w_(q+1) cross, a start can circle for ever (Levitt & Ortner, SIAM J. Numer. Anal. 55,
2017). So after `LOWEST` steps the modes along which it climbs are no longer the lowest ones, but
those most alike to the modes of the step before.
Sources: Cerjan & Miller, J. Chem. Phys. 75, 2800 (1981); Wales, Energy Landscapes (2003), 6.2;
Dauphin et al. (2014), saddle-free Newton; Nocedal & Wright (2006), 4.1 and algorithm 7.2.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh, minres
from torch import Tensor

from reduction import OptionError, ShapeError
from simplicial.loss import MEMORY, Loss, derivatives, hessian_operator, points_at_once

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

DENSE = 128  # variables, at most, for which a Hessian is written out: from there on products win
ITERATIONS = 200
ATTEMPTS = 20  # at a step, each with a quarter of the radius; 4^-20 is beyond rounding
NOISE = 32  # rounding of a loss's value, in units of the last place of its largest value so far
REJECTED = 0.75  # relative disagreement with the model at which a step is not taken
POLISHED = 2  # plain Newton steps at the end
SECULAR_STEPS = 20
LOWEST = 30  # steps; most starts that ever arrive have done so by then
PRODUCTS = 500  # with the Hessian, at most, for one linear system
MODES = 1e-4  # relative tolerance of the modes along which a step climbs
FORCING = 1e-3  # share of the gradient that conjugate gradients may leave
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """Where s starts in d variables ended.

    points          (s, d), dtype and device of the starts
    values          (s,) float64, the loss there
    gradient_norms  (s,) float64
    eigenvalues     (s, e) float64, the lowest of the Hessian, ascending: all d of them up to
                    `DENSE` variables, above two more than the largest index looked for; NaN where
                    Lanczos' method did not converge
    morse           (s,) int64, how many eigenvalues are negative: the Morse index; -1 where it is
                    not known, because the start did not converge, or all e eigenvalues of fewer
                    than d are negative, or because an eigenvalue is 0 within rounding, so that the
                    point is degenerate
    converged       (s,) bool; at a critical point, of whatever index
    """

    points: Tensor
    values: Array
    gradient_norms: Array
    eigenvalues: Array
    morse: Rows
    converged: NDArray[np.bool_]


def follow(
    loss: Loss,
    starts: Tensor,
    index: int | Rows,
    reach: float | Array,
    iterations: int = ITERATIONS,
    leash: float = np.inf,
) -> Arrival:
    """Steps from each start towards a critical point of a Morse index.

    loss        smooth; takes points of the starts' dtype, and is as accurate as that dtype
    starts      (s, d), s >= 1; not changed
    index       Morse index looked for, or (s,) one for each start, at most d, and d // 2 above
                `DENSE` variables; a start that symmetry holds at a point of another index ends
                there: `Arrival.morse` tells
    reach       the longest step, or (s,) one for each start; also the scale of distances: at
                convergence Newton's step is below sqrt(eps) reach, or changes f by rounding only
    iterations  steps, at most
    leash       distance from where it began, over its reach, beyond which a start is given up
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
        size = points_at_once(loss, starts, MEMORY // 16)  # Hessians, and what differentiates twice

        def at(points: Tensor, index: Rows, before: Array | None = None) -> _Local:
            return _Dense(loss, points, index, before)
    else:
        size, count = 1, int(indices.max()) + 2

        def at(points: Tensor, index: Rows, before: Array | None = None) -> _Local:
            return _Products(loss, points, int(index[0]), count, before)

    chunks = [slice(i, i + size) for i in range(0, len(starts), size)]
    parts = [
        _follow(loss, at, _Run.begin(starts[part], indices[part], reaches[part], leash), iterations)
        for part in chunks
    ]
    joined = [[getattr(part, field.name) for part in parts] for field in fields(Arrival)]
    return Arrival(torch.cat(joined[0]), *(np.concatenate(arrays) for arrays in joined[1:]))


_End = Literal["newton", "held", "curved"]


class _Step(NamedTuple):
    """Steps of n points within their trust radii, and what the quadratic model says about them."""

    vectors: Array  # (n, d)
    predicted: Array  # (n,) change of f
    size: Array  # (n,) sum of the changes along single modes, all taken positive
    newton: Array  # (n,) length of the step that no radius holds back; inf where that is not known
    left: Array  # (n,) size for that step


class _Local(Protocol):
    """A loss at m points to second order."""

    values: Array  # (m,)
    norms: Array  # (m,) of gradients
    finite: NDArray[np.bool_]  # (m,) value, gradient and Hessian are

    @property
    def climbed(self) -> Array:
        """(m, d, q) the modes along which steps ascend, padded by zeros to the largest index q."""
        ...

    def step(self, rows: Rows, radius: Array) -> _Step:
        """Steps from n of the points, no longer than radius (n,)."""
        ...

    def newton(self) -> Array:
        """Plain Newton steps (m, d); none along modes whose eigenvalue is 0 within rounding."""
        ...

    def largest(self) -> Array:
        """(m,) the largest |eigenvalue|."""
        ...

    def lowest(self) -> Array:
        """(m, e) the lowest eigenvalues, ascending."""
        ...


class _At(Protocol):
    def __call__(self, points: Tensor, index: Rows, before: Array | None = None) -> _Local:
        """The loss at points; `before`, (m, d, q), are modes to go on with, None: the lowest."""
        ...


@dataclass(slots=True, eq=False)
class _Run:
    """Where s starts have come to; the arrays are written into."""

    x: Tensor  # (s, d)
    begun: Tensor  # (s, d)
    leash: Array  # (s,) the largest distance between these two
    index: Rows  # (s,)
    reach: Array  # (s,)
    scale: Array  # (s,) largest |eigenvalue| at the start
    radius: Array  # (s,) of trust
    slope: Array  # (s,) norm of the gradient one step before
    peak: Array  # (s,) largest |f| on the way
    converged: NDArray[np.bool_]  # (s,)
    eps: float

    def rise(self, who: Rows, values: Array) -> Array:
        """Take note of values (n,); the largest so far."""
        self.peak[who] = np.maximum(self.peak[who], np.abs(values))
        return self.peak[who]

    def is_far(self, who: Rows) -> NDArray[np.bool_]:
        """Which starts (n,) are off their leash."""
        distance = (self.x[who] - self.begun[who]).norm(dim=1).double().cpu().numpy()
        return distance > self.leash[who]

    @classmethod
    def begin(cls, starts: Tensor, index: Rows, reach: Array, leash: float) -> "_Run":
        s = len(starts)
        return cls(
            x=starts.detach().clone(),
            begun=starts.detach(),
            leash=leash * reach,
            index=index,
            reach=reach,
            scale=np.zeros(s),
            radius=reach.copy(),
            slope=np.full(s, np.inf),
            peak=np.zeros(s),
            converged=np.zeros(s, dtype=bool),
            eps=float(torch.finfo(starts.dtype).eps),
        )


@np.errstate(over="ignore", invalid="ignore")  # a start may leave the finite
def _follow(loss: Loss, at: _At, run: _Run, iterations: int) -> Arrival:
    here, active = at(run.x, run.index), np.arange(len(run.x))
    run.scale[:] = here.largest()
    for iteration in range(iterations):
        rows = np.flatnonzero(here.finite)
        who = active[rows]
        if not rows.size:
            break
        noise = NOISE * run.eps * run.rise(who, here.values[rows])
        arrived = _arrived(here, run, rows, who)
        run.converged[who] = arrived
        run.slope[who] = here.norms[rows]
        moved = np.sort(_move(loss, here, run, rows[~arrived], active, noise[~arrived]))
        moved = moved[~run.is_far(moved)]
        if not moved.size:
            break
        modes = here.climbed[np.searchsorted(active, moved)]
        active = moved
        here = at(run.x[active], run.index[active], modes if iteration > LOWEST else None)
    return _finish(at, run)


def _arrived(here: _Local, run: _Run, rows: Rows, who: Rows) -> NDArray[np.bool_]:
    """Which of `rows` are at a critical point: by Newton's step, or because f knows no more."""
    step = here.step(rows, run.radius[who])
    least = np.sqrt(run.eps) * run.reach[who]
    # the gradient, too, lest a pole's curvature makes all steps tiny
    near = (step.newton <= least) & (here.norms[rows] <= least * run.scale[who])
    # Steps halve the gradient until rounding ends it, even at a degenerate point, where they are
    # slow; and in a tiny radius no f would change.
    halted = step.left <= NOISE * run.eps * np.abs(here.values[rows])
    halted &= 2 * here.norms[rows] > run.slope[who]
    return near | (halted & (run.radius[who] >= run.reach[who] / 100))


def _move(loss: Loss, here: _Local, run: _Run, rows: Rows, active: Rows, noise: Array) -> Rows:
    """Move from `rows` of `here` with the first radius at which the model agrees; who has moved."""
    moved = [active[:0]]
    for _ in range(ATTEMPTS):
        if not rows.size:
            break
        who = active[rows]
        step = here.step(rows, run.radius[who])
        trial = run.x[who] + torch.as_tensor(step.vectors).to(run.x)
        with torch.no_grad():
            values = loss(trial.clone()).double().cpu().numpy()
        error = _disagreement(values - here.values[rows], step, noise)
        run.radius[who] = _next_radius(run.radius[who], run.reach[who], step, error)
        good, bad = np.flatnonzero(error <= REJECTED), np.flatnonzero(error > REJECTED)
        run.x[who[good]] = trial[good]
        moved.append(who[good])
        rows, noise = rows[bad], noise[bad]
    return np.concatenate(moved)


def _disagreement(change: Array, step: _Step, noise: Array) -> Array:
    """How far a change of f is from the model's, over the model's, beyond rounding; (n,)."""
    beyond = np.maximum(np.abs(change - step.predicted) - noise, 0.0)
    return np.nan_to_num(beyond / np.maximum(step.size, TINY), nan=np.inf)


def _next_radius(radius: Array, reach: Array, step: _Step, error: Array) -> Array:
    length = np.linalg.norm(step.vectors, axis=1)
    grown = np.where(length > 0.9 * radius, np.minimum(2 * radius, reach), radius)
    return np.select(
        [error <= REJECTED / 3, error <= 2 * REJECTED / 3, error <= REJECTED],
        [grown, radius, length / 2],
        length / 4,
    )


def _finish(at: _At, run: _Run) -> Arrival:
    """Newton's method while it lowers the gradient, and what is known at the end."""
    for _ in range(POLISHED):
        here = at(run.x, run.index)
        step = here.newton()
        short = run.converged & (np.linalg.norm(step, axis=1) <= run.reach)
        trial = run.x + torch.as_tensor(np.where(short[:, None], step, 0.0)).to(run.x)
        lower = np.flatnonzero(at(trial, run.index).norms < here.norms)
        run.x[lower] = trial[lower]
    here = at(run.x, run.index)
    eigenvalues = here.lowest()
    flat = run.eps ** (2 / 3) * np.fmax(here.largest(), run.scale)
    known = run.converged & (np.abs(eigenvalues).min(axis=1) > flat)
    negative = (eigenvalues < 0).sum(axis=1)
    known &= (negative < eigenvalues.shape[1]) | (negative == run.x.shape[1])
    return Arrival(
        run.x,
        here.values,
        here.norms,
        eigenvalues,
        np.where(known, negative, -1),
        run.converged,
    )


class _Dense:
    """A loss at m points (m, d) with its Hessians written out."""

    def __init__(self, loss: Loss, points: Tensor, index: Rows, before: Array | None) -> None:
        seen = derivatives(loss, points)
        self.values, g, hessians = (part.double().cpu().numpy() for part in seen)
        self.norms = np.linalg.norm(g, axis=1)
        self.finite = np.isfinite(self.values) & np.isfinite(self.norms)
        self.finite &= np.isfinite(hessians).all(axis=(1, 2))
        known = self.finite[:, None]
        self._w, self._axes = np.linalg.eigh(np.where(known[:, None], hessians, 0.0))
        self._c = np.einsum("mij,mi->mj", self._axes, np.where(known, g, 0.0))
        self._least = float(torch.finfo(points.dtype).eps) ** (2 / 3) * self.largest()[:, None]
        likeness = _likeness(before, self._axes)
        order = np.argsort(-likeness, axis=1, kind="stable")
        climbs = np.arange(points.shape[1]) < index[:, None]
        self._sign = np.empty_like(self._w)
        np.put_along_axis(self._sign, order, np.where(climbs, 1.0, -1.0), axis=1)
        self.climbed = np.take_along_axis(self._axes, order[:, None, : index.max()], axis=2)
        self.climbed *= climbs[:, None, : index.max()]

    def step(self, rows: Rows, radius: Array) -> _Step:
        c, w = self._c[rows], self._w[rows]
        size = np.maximum(np.abs(w), np.maximum(self._least[rows], TINY))
        held = size + _damping(c, size, radius)[:, None]
        along = self._sign[rows] * c / held
        change = along * (c + w * along / 2)
        return _Step(
            np.einsum("mij,mj->mi", self._axes[rows], along),
            change.sum(axis=1),
            np.abs(change).sum(axis=1),
            np.linalg.norm(c / size, axis=1),
            (c**2 / size).sum(axis=1) / 2,
        )

    def newton(self) -> Array:
        along = np.where(np.abs(self._w) > self._least, -self._c, 0.0)
        along /= np.where(along == 0, 1.0, self._w)
        return np.einsum("mij,mj->mi", self._axes, along)

    def largest(self) -> Array:
        return np.abs(self._w).max(axis=1)

    def lowest(self) -> Array:
        return np.where(self.finite[:, None], self._w, np.nan)


def _likeness(before: Array | None, axes: Array) -> Array:
    """(m, k) squared cosines of axes (m, d, k) and the space of modes (m, d, q); None: order."""
    if before is None:
        return np.broadcast_to(-np.arange(axes.shape[2], dtype=np.float64), axes[:, 0].shape)
    return (np.einsum("mdq,mdk->mqk", before, axes) ** 2).sum(axis=1)


def _damping(c: Array, size: Array, radius: Array) -> Array:
    """The least mu >= 0 with |c / (size + mu)| <= radius, to a thousandth of it; (n,).

    By Newton's method on 1 / |.|, from below; source: Nocedal & Wright (2006), 4.3.
    """
    mu = np.maximum(0.0, np.linalg.norm(c, axis=1) / radius - size.max(axis=1))
    for _ in range(SECULAR_STEPS):
        held = size + mu[:, None]
        along = c / held
        length = np.linalg.norm(along, axis=1)
        above = length > 1.001 * radius
        if not above.any():
            break
        slope = (along**2 / held).sum(axis=1)[above]
        mu[above] += length[above] ** 2 / slope * (length[above] / radius[above] - 1)
    return mu


class _Products:
    """A loss at one point (1, d), with products of its Hessian and vectors.

    count  how many eigenvalues are asked for in the end
    """

    def __init__(
        self, loss: Loss, points: Tensor, index: int, count: int, before: Array | None
    ) -> None:
        value, gradient, self._hessian = hessian_operator(loss, points[0])
        self._index, self._count, self._before = index, count, before
        self._g = gradient.double().cpu().numpy()
        self.values = value.double().cpu().numpy()[None]
        self.norms = np.array([float(np.linalg.norm(self._g))])
        self._tolerance = float(torch.finfo(points.dtype).eps) ** (2 / 3)
        self.finite = np.isfinite([self.values[0] + self._g.sum() + self._times(self._g).sum()])
        self._step: tuple[float, _Step] | None = None

    def step(self, rows: Rows, radius: Array) -> _Step:
        if self._step is None or self._step[0] != radius[0]:
            self._step = (float(radius[0]), self._make_step(float(radius[0])))
        return self._step[1]

    def _make_step(self, radius: float) -> _Step:
        part = radius / np.sqrt(2) if self._index else radius
        along, changes, newton = self._climb(part)
        axes = self._modes[1]

        def complement(v: Array) -> Array:
            return v - axes @ (v @ axes)

        rest, end = _steihaug(lambda v: complement(self._times(v)), complement(self._g), part)
        descent = float(rest @ (self._g + self._times(rest) / 2))
        size = float(np.abs(changes).sum() + abs(descent))
        length = float(np.hypot(newton, np.linalg.norm(rest))) if end == "newton" else np.inf
        # rounding bends directions in which f is flat: no more is known there
        known = newton <= part and end != "held"
        return _Step(
            (axes @ along + rest)[None],
            np.array([changes.sum() + descent]),
            np.array([size]),
            np.array([length]),
            np.array([size if known else np.inf]),
        )

    def _climb(self, radius: float) -> tuple[Array, Array, float]:
        """The step along each of the lowest modes, f's changes by it, and its unheld length."""
        w, axes = self._modes
        c = self._g @ axes
        along = c / np.maximum(np.abs(w), max(self._tolerance * self._largest, TINY))
        newton = float(np.linalg.norm(along))
        along *= min(1.0, radius / max(newton, TINY))
        return along, along * (c + w * along / 2), newton

    def newton(self) -> Array:
        if not self.finite[0] or not self._g.any():
            return np.zeros((1, self._g.size))
        return -minres(self._operator(0.0), self._g, maxiter=PRODUCTS)[0][None]

    def largest(self) -> Array:
        return np.array([self._largest])

    def lowest(self) -> Array:
        return self._lowest(self._count, self._tolerance)[0][None]

    @cached_property
    def _largest(self) -> float:
        if not self.finite[0]:
            return 0.0
        try:
            w = eigsh(
                self._operator(0.0),
                1,
                tol=0.1,  # pyright: ignore[reportArgumentType]
                v0=self._begin,
                return_eigenvectors=False,
            )
        except ArpackError:  # also for H = 0
            return 0.0
        return float(np.abs(w[0]))

    @cached_property
    def _modes(self) -> tuple[Array, Array]:
        """The eigenvalues (q,) and eigenvectors (d, q) of the modes to climb along."""
        if not self._index:
            return np.zeros(0), np.zeros((self._g.size, 0))
        count = self._index if self._before is None else 2 * self._index + 2
        w, axes = self._lowest(count, max(MODES, self._tolerance))
        chosen = np.argsort(-_likeness(self._before, axes[None])[0], kind="stable")[: self._index]
        return w[chosen], axes[:, chosen]

    @property
    def climbed(self) -> Array:
        return self._modes[1][None]

    def _lowest(self, count: int, tolerance: float) -> tuple[Array, Array]:
        """Eigenvalues, ascending, and eigenvectors; NaN and 0 where Lanczos' method finds none.

        They are the highest of L - H with L >= |H|, since its tolerance is relative: that of an
        eigenvalue near 0 could not be met.
        """
        none = np.full(count, np.nan), np.zeros((self._g.size, count))
        if not self._largest:
            return none
        shift = 1.2 * self._largest
        try:
            w, axes = eigsh(
                self._operator(shift),
                count,
                which="LA",
                tol=tolerance,  # pyright: ignore[reportArgumentType]
                v0=self._begin,
            )
        except ArpackError:
            return none
        order = np.argsort(shift - w)
        return (shift - w)[order], axes[:, order]

    @property
    def _begin(self) -> Array:
        """Where Lanczos' method begins: fixed, so that a result is reproducible."""
        return np.random.default_rng(0).standard_normal(self._g.size)

    def _operator(self, shift: float) -> LinearOperator:
        """H, or shift - H."""
        d = self._g.size
        times = (lambda v: shift * v - self._times(v)) if shift else self._times
        return LinearOperator((d, d), matvec=times, dtype=np.float64)  # pyright: ignore

    def _times(self, v: Array) -> Array:
        return self._hessian(torch.as_tensor(v.reshape(-1))).double().cpu().numpy()


def _steihaug(times: Callable[[Array], Array], g: Array, radius: float) -> tuple[Array, _End]:
    """Descent in g.s + s.H.s / 2 within |s| <= radius by conjugate gradients, and what ended them.

    That is the radius, or a direction of no positive curvature, followed to the radius, or success.
    Source: Steihaug (1983); Nocedal & Wright (2006), algorithm 7.2.
    """
    s, r = np.zeros_like(g), g
    p, square = -r, float(r @ r)
    enough = FORCING**2 * square
    for _ in range(PRODUCTS):
        if square <= enough:
            return s, "newton"
        bent = times(p)
        curvature = float(p @ bent)
        rim = _to_the_rim(s, p, radius)
        if not square < rim * curvature:
            return s + rim * p, "held" if curvature > 0 else "curved"
        along = square / curvature
        s, r = s + along * p, r + along * bent
        p, square = float(r @ r) / square * p - r, float(r @ r)
    return s, "held"


def _to_the_rim(s: Array, p: Array, radius: float) -> float:
    """The t > 0 at which |s + t p| = radius, of s within it."""
    a, b, c = p @ p, s @ p, s @ s - radius**2
    return float((np.sqrt(b * b - a * c) - b) / a)


def _indices(index: int | Rows, s: int, d: int) -> Rows:
    most = d if d <= DENSE else d // 2
    given = np.asarray(index)
    fits = given.dtype.kind in "iu" and given.shape in ((), (s,))
    if not fits or (given < 0).any() or (given > most).any():
        cure = "or follow -loss with index d - index" if most < d else "for one start or for each"
        raise OptionError(
            f"an index must be whole, 0 to {most} in {d} variables, one or {s} of them, got "
            f"{index}: give such an index, {cure}"
        )
    return np.broadcast_to(given, s).astype(np.int64)


def _reaches(reach: float | Array, s: int) -> Array:
    given = np.asarray(reach, dtype=np.float64)
    if given.shape not in ((), (s,)) or not ((given > 0) & np.isfinite(given)).all():
        raise OptionError(
            f"a reach must be positive and finite, one or {s} of them, got {reach}: give the "
            "longest step that makes sense"
        )
    return np.broadcast_to(given, s).copy()
