"""A loss at points to second order: its quadratic model, and the steps that it suggests.

Up to `DENSE` variables Hessians are written out and diagonalised, of many points at once. Above,
only products of the Hessian with vectors are made, at one point: Lanczos' method for the lowest
eigenvectors, and on their complement conjugate gradients, which stop at the trust radius or where
they meet a direction of negative curvature (Steihaug).
Sources: Nocedal & Wright (2006), 4.1, 4.3 and algorithm 7.2; Steihaug (1983).
"""

from collections.abc import Callable
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh, minres
from torch import Tensor

from simplicial.evaluation import derivatives, hessian_operator
from simplicial.loss import Loss

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

DENSE = 128  # variables, at most, for which a Hessian is written out: from there on products win
SECULAR_STEPS = 20
PRODUCTS = 500  # with the Hessian, at most, for one linear system
MODES = 1e-4  # relative tolerance of the modes along which a step climbs
FORCING = 1e-3  # share of the gradient that conjugate gradients may leave
TINY = float(np.finfo(np.float64).tiny)

_End = Literal["newton", "held", "curved"]


class Step(NamedTuple):
    """Steps of n points within their trust radii, and what the quadratic model says about them."""

    vectors: Array  # (n, d)
    predicted: Array  # (n,) change of f
    size: Array  # (n,) sum of the changes along single modes, all taken positive
    newton: Array  # (n,) length of the step that no radius holds back; inf where that is not known
    left: Array  # (n,) size for that step


class Local(Protocol):
    """A loss at m points to second order."""

    values: Array  # (m,)
    norms: Array  # (m,) of gradients
    finite: NDArray[np.bool_]  # (m,) value, gradient and Hessian are
    count: int  # e, how many eigenvalues `lowest` gives

    @property
    def climbed(self) -> Array:
        """(m, d, q) the modes along which steps ascend, padded by zeros to the largest index q."""
        ...

    def step(self, rows: Rows, radius: Array) -> Step:
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


class Dense:
    """A loss at m points (m, d) with its Hessians written out."""

    def __init__(self, loss: Loss, points: Tensor, index: Rows, before: Array | None) -> None:
        seen = derivatives(loss, points)
        self.values, g, hessians = (part.double().cpu().numpy() for part in seen)
        self.norms, self.count = np.linalg.norm(g, axis=1), points.shape[1]
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

    def step(self, rows: Rows, radius: Array) -> Step:
        """Along every mode, all damped by the same mu."""
        c, w = self._c[rows], self._w[rows]
        size = np.maximum(np.abs(w), np.maximum(self._least[rows], TINY))
        held = size + _damping(c, size, radius)[:, None]
        along = self._sign[rows] * c / held
        change = along * (c + w * along / 2)
        return Step(
            np.einsum("mij,mj->mi", self._axes[rows], along),
            change.sum(axis=1),
            np.abs(change).sum(axis=1),
            np.linalg.norm(c / size, axis=1),
            (c**2 / size).sum(axis=1) / 2,
        )

    def newton(self) -> Array:
        """Mode by mode."""
        along = np.where(np.abs(self._w) > self._least, -self._c, 0.0)
        along /= np.where(along == 0, 1.0, self._w)
        return np.einsum("mij,mj->mi", self._axes, along)

    def largest(self) -> Array:
        """Of all d."""
        return np.abs(self._w).max(axis=1)

    def lowest(self) -> Array:
        """All d of them; NaN where the Hessian is not finite."""
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


class Products:
    """A loss at one point (1, d), with products of its Hessian and vectors.

    count  how many eigenvalues are asked for in the end
    """

    def __init__(
        self, loss: Loss, points: Tensor, index: int, count: int, before: Array | None
    ) -> None:
        value, gradient, self._hessian = hessian_operator(loss, points[0])
        self._index, self.count, self._before = index, count, before
        self._g = gradient.double().cpu().numpy()
        self.values = value.double().cpu().numpy()[None]
        self.norms = np.array([float(np.linalg.norm(self._g))])
        self._tolerance = float(torch.finfo(points.dtype).eps) ** (2 / 3)
        self.finite = np.isfinite([self.values[0] + self._g.sum() + self._times(self._g).sum()])
        self._step: tuple[float, Step] | None = None

    def step(self, rows: Rows, radius: Array) -> Step:
        """Along the lowest modes, and on their complement by conjugate gradients."""
        if self._step is None or self._step[0] != radius[0]:
            self._step = (float(radius[0]), self._make_step(float(radius[0])))
        return self._step[1]

    def _make_step(self, radius: float) -> Step:
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
        return Step(
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
        """By the minimal residual method."""
        if not self.finite[0] or not self._g.any():
            return np.zeros((1, self._g.size))
        return -minres(self._operator(0.0), self._g, maxiter=PRODUCTS)[0][None]

    def largest(self) -> Array:
        """By Lanczos' method, to a tenth."""
        return np.array([self._largest])

    def lowest(self) -> Array:
        """`count` of them, by Lanczos' method."""
        return self._lowest(self.count, self._tolerance)[0][None]

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
        """The lowest modes, or those most alike to the modes before."""
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
