"""Quadratic models: a loss near points to second order, and the steps to its critical points.

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

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DENSE = 128  # variables, at most, for which a Hessian is written out: from there on products win
SECULAR_STEPS = 20
PRODUCTS = 500  # with the Hessian, at most, for one linear system
MODES = 1e-4  # relative tolerance of the modes along which a step climbs
FORCING = 1e-3  # share of the gradient that conjugate gradients may leave
TINY = float(np.finfo(np.float64).tiny)

_Termination = Literal["newton", "radius", "curvature"]


class Step(NamedTuple):
    """Steps of n points within their trust radii, and the changes of f by the quadratic model."""

    vectors: Floats  # (n, d)
    predicted: Floats  # (n,) change of f
    size: Floats  # (n,) sum of the changes along single modes, all taken positive
    newton: Floats  # (n,) length of the step without a radius; inf where that is not known
    left: Floats  # (n,) size for that step


class QuadraticModel(Protocol):
    """Quadratic models of a loss at m points."""

    values: Floats  # (m,)
    norms: Floats  # (m,) of gradients
    finite: NDArray[np.bool_]  # (m,) value, gradient and Hessian are
    count: int  # e, number of eigenvalues of `lowest`

    @property
    def climbed(self) -> Floats:
        """Modes (m, d, q) along which steps ascend, padded by zeros to the largest index q."""
        ...

    def step(self, rows: Ints, radius: Floats) -> Step:
        """Steps from n of the points, no longer than radius (n,)."""
        ...

    def newton(self) -> Floats:
        """Plain Newton steps (m, d); none along modes whose eigenvalue is 0 within rounding."""
        ...

    def largest(self) -> Floats:
        """Largest |eigenvalue|, (m,)."""
        ...

    def lowest(self) -> Floats:
        """Lowest eigenvalues (m, e), ascending."""
        ...


class DenseModel:
    """Quadratic models at points (m, d) with Hessians written out."""

    def __init__(self, loss: Loss, points: Tensor, index: Ints, before: Floats | None) -> None:
        parts = derivatives(loss, points)
        self.values, g, hessians = (part.double().cpu().numpy() for part in parts)
        self.norms, self.count = np.linalg.norm(g, axis=1), points.shape[1]
        self.finite = np.isfinite(self.values) & np.isfinite(self.norms)
        self.finite &= np.isfinite(hessians).all(axis=(1, 2))
        known = self.finite[:, None]
        self._w, self._axes = np.linalg.eigh(np.where(known[:, None], hessians, 0.0))
        self._c = np.einsum("mij,mi->mj", self._axes, np.where(known, g, 0.0))
        self._least = float(torch.finfo(points.dtype).eps) ** (2 / 3) * self.largest()[:, None]
        order = np.argsort(-_likeness(before, self._axes), axis=1, kind="stable")
        climbs = np.arange(points.shape[1]) < index[:, None]
        self._sign = np.empty_like(self._w)
        np.put_along_axis(self._sign, order, np.where(climbs, 1.0, -1.0), axis=1)
        self.climbed = np.take_along_axis(self._axes, order[:, None, : index.max()], axis=2)
        self.climbed *= climbs[:, None, : index.max()]

    def step(self, rows: Ints, radius: Floats) -> Step:
        """Steps along every mode, all damped by the same mu."""
        c, w = self._c[rows], self._w[rows]
        size = np.maximum(np.abs(w), np.maximum(self._least[rows], TINY))
        damped = size + _damping(c, size, radius)[:, None]
        along = self._sign[rows] * c / damped
        change = along * (c + w * along / 2)
        return Step(
            np.einsum("mij,mj->mi", self._axes[rows], along),
            change.sum(axis=1),
            np.abs(change).sum(axis=1),
            np.linalg.norm(c / size, axis=1),
            (c**2 / size).sum(axis=1) / 2,
        )

    def newton(self) -> Floats:
        """Newton steps mode by mode."""
        along = np.where(np.abs(self._w) > self._least, -self._c, 0.0)
        along /= np.where(along == 0, 1.0, self._w)
        return np.einsum("mij,mj->mi", self._axes, along)

    def largest(self) -> Floats:
        """Largest of all d."""
        return np.abs(self._w).max(axis=1)

    def lowest(self) -> Floats:
        """All d of them; NaN where the Hessian is not finite."""
        return np.where(self.finite[:, None], self._w, np.nan)


def _likeness(before: Floats | None, axes: Floats) -> Floats:
    """Squared cosines (m, k) of axes (m, d, k) and the space of modes (m, d, q).

    Without modes, numbers that fall in the order of the axes.
    """
    if before is None:
        return np.broadcast_to(-np.arange(axes.shape[2], dtype=np.float64), axes[:, 0].shape)
    return (np.einsum("mdq,mdk->mqk", before, axes) ** 2).sum(axis=1)


def _damping(c: Floats, size: Floats, radius: Floats) -> Floats:
    """Least mu >= 0 (n,) with |c / (size + mu)| <= radius, to a thousandth of it.

    By Newton's method on 1 / |.|, from below; source: Nocedal & Wright (2006), 4.3.
    """
    mu = np.maximum(0.0, np.linalg.norm(c, axis=1) / radius - size.max(axis=1))
    for _ in range(SECULAR_STEPS):
        damped = size + mu[:, None]
        along = c / damped
        length = np.linalg.norm(along, axis=1)
        long = length > 1.001 * radius
        if not long.any():
            break
        slope = (along**2 / damped).sum(axis=1)[long]
        mu[long] += length[long] ** 2 / slope * (length[long] / radius[long] - 1)
    return mu


class MatrixFreeModel:
    """Quadratic model at one point (1, d), with products of its Hessian and vectors.

    count  number of eigenvalues of `lowest`
    """

    def __init__(
        self, loss: Loss, points: Tensor, index: int, count: int, before: Floats | None
    ) -> None:
        value, gradient, self._hessian = hessian_operator(loss, points[0])
        self._index, self.count, self._before = index, count, before
        self._g = gradient.double().cpu().numpy()
        self.values = value.double().cpu().numpy()[None]
        self.norms = np.array([float(np.linalg.norm(self._g))])
        self._tolerance = float(torch.finfo(points.dtype).eps) ** (2 / 3)
        self.finite = np.isfinite([self.values[0] + self._g.sum() + self._times(self._g).sum()])
        self._step: tuple[float, Step] | None = None

    def step(self, rows: Ints, radius: Floats) -> Step:
        """A step along the lowest modes, and on their complement by conjugate gradients."""
        if self._step is None or self._step[0] != radius[0]:
            self._step = (float(radius[0]), self._make_step(float(radius[0])))
        return self._step[1]

    def _make_step(self, radius: float) -> Step:
        part = radius / np.sqrt(2) if self._index else radius
        along, changes, newton = self._climb(part)
        axes = self._modes[1]

        def complement(v: Floats) -> Floats:
            return v - axes @ (v @ axes)

        rest, termination = _steihaug(
            lambda v: complement(self._times(v)), complement(self._g), part
        )
        descent = float(rest @ (self._g + self._times(rest) / 2))
        size = float(np.abs(changes).sum() + abs(descent))
        length = (
            float(np.hypot(newton, np.linalg.norm(rest))) if termination == "newton" else np.inf
        )
        # rounding bends directions in which f is flat: no more is known there
        known = newton <= part and termination != "radius"
        return Step(
            (axes @ along + rest)[None],
            np.array([changes.sum() + descent]),
            np.array([size]),
            np.array([length]),
            np.array([size if known else np.inf]),
        )

    def _climb(self, radius: float) -> tuple[Floats, Floats, float]:
        """Step along each of the lowest modes, changes of f, and its length without radius."""
        w, axes = self._modes
        c = self._g @ axes
        along = c / np.maximum(np.abs(w), max(self._tolerance * self._largest, TINY))
        newton = float(np.linalg.norm(along))
        along *= min(1.0, radius / max(newton, TINY))
        return along, along * (c + w * along / 2), newton

    def newton(self) -> Floats:
        """Newton's step by the minimal residual method."""
        if not self.finite[0] or not self._g.any():
            return np.zeros((1, self._g.size))
        return -minres(self._operator(0.0), self._g, maxiter=PRODUCTS)[0][None]

    def largest(self) -> Floats:
        """Largest |eigenvalue| by Lanczos' method, to a tenth."""
        return np.array([self._largest])

    def lowest(self) -> Floats:
        """Lowest `count` eigenvalues by Lanczos' method."""
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
                v0=self._first,
                return_eigenvectors=False,
            )
        except ArpackError:  # also for H = 0
            return 0.0
        return float(np.abs(w[0]))

    @cached_property
    def _modes(self) -> tuple[Floats, Floats]:
        """Eigenvalues (q,) and eigenvectors (d, q) of the modes to climb along."""
        if not self._index:
            return np.zeros(0), np.zeros((self._g.size, 0))
        count = self._index if self._before is None else 2 * self._index + 2
        w, axes = self._lowest(count, max(MODES, self._tolerance))
        chosen = np.argsort(-_likeness(self._before, axes[None])[0], kind="stable")[: self._index]
        return w[chosen], axes[:, chosen]

    @property
    def climbed(self) -> Floats:
        """The lowest modes, or those most alike to the modes before."""
        return self._modes[1][None]

    def _lowest(self, count: int, tolerance: float) -> tuple[Floats, Floats]:
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
                v0=self._first,
            )
        except ArpackError:
            return none
        order = np.argsort(shift - w)
        return (shift - w)[order], axes[:, order]

    @property
    def _first(self) -> Floats:
        """First vector of Lanczos' method: fixed, so that a result is reproducible."""
        return np.random.default_rng(0).standard_normal(self._g.size)

    def _operator(self, shift: float) -> LinearOperator:
        """H, or shift - H."""
        d = self._g.size
        times = (lambda v: shift * v - self._times(v)) if shift else self._times
        return LinearOperator((d, d), matvec=times, dtype=np.float64)  # pyright: ignore

    def _times(self, v: Floats) -> Floats:
        return self._hessian(torch.as_tensor(v.reshape(-1))).double().cpu().numpy()


def _steihaug(
    times: Callable[[Floats], Floats], g: Floats, radius: float
) -> tuple[Floats, _Termination]:
    """Descent in g.s + s.H.s / 2 within |s| <= radius by conjugate gradients, and its termination.

    That is success, the radius, or a direction of no positive curvature, followed to the radius.
    Source: Steihaug (1983); Nocedal & Wright (2006), algorithm 7.2.
    """
    s, r = np.zeros_like(g), g
    p, square = -r, float(r @ r)
    enough = FORCING**2 * square
    for _ in range(PRODUCTS):
        if square <= enough:
            return s, "newton"
        product = times(p)
        curvature = float(p @ product)
        longest = _to_radius(s, p, radius)
        if not square < longest * curvature:
            return s + longest * p, "radius" if curvature > 0 else "curvature"
        along = square / curvature
        s, r = s + along * p, r + along * product
        p, square = float(r @ r) / square * p - r, float(r @ r)
    return s, "radius"


def _to_radius(s: Floats, p: Floats, radius: float) -> float:
    """The t > 0 with |s + t p| = radius, of s within it."""
    a, b, c = p @ p, s @ p, s @ s - radius**2
    return float((np.sqrt(b * b - a * c) - b) / a)
