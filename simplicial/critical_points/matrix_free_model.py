"""The quadratic model at one point by products of the Hessian with vectors, for many variables.

Lanczos' method gives the lowest eigenvectors, and on their complement conjugate gradients give the
step, which stop at the trust radius or where they meet a direction of negative curvature.
Sources: Nocedal & Wright (2006), algorithm 7.2; Steihaug (1983).
"""

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh, minres
from torch import Tensor

from simplicial.critical_points.constraints import Invariance
from simplicial.critical_points.quadratic_model import TINY, Floats, Ints, Step, likeness
from simplicial.evaluation import hessian_operator
from simplicial.loss import Loss

PRODUCTS = 500  # with the Hessian, at most, for one linear system
MODES = 1e-4  # relative tolerance of the modes along which a step climbs
FORCING = 1e-3  # share of the gradient that conjugate gradients may leave

_Termination = Literal["newton", "radius", "curvature"]


class MatrixFreeModel:
    """Quadratic model at one point (1, d), with products of its Hessian and vectors.

    count       number of eigenvalues of `lowest`
    invariance  along whose motions no step is taken, and no curvature is counted
    """

    def __init__(
        self,
        loss: Loss,
        points: Tensor,
        index: int,
        before: Floats | None,
        *,
        count: int,
        invariance: Invariance | None = None,
    ) -> None:
        value, gradient, self._hessian, self.error = hessian_operator(loss, points[0])
        self._index, self.count, self._before = index, count, before
        self._held = None
        if invariance is not None:
            self._held = invariance.axes(points.double().cpu().numpy())[0]
        self._g = self._free(gradient.double().cpu().numpy())
        self.values = value.double().cpu().numpy()[None]
        self.norms = np.array([float(np.linalg.norm(self._g))])
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
        along = c / np.maximum(np.abs(w), max(self.error * self._largest, TINY))
        newton = float(np.linalg.norm(along))
        along *= min(1.0, radius / max(newton, TINY))
        return along, along * (c + w * along / 2), newton

    def newton(self) -> Floats:
        """Newton's step by the minimal residual method."""
        if not self.finite[0] or not self._g.any():
            return np.zeros((1, self._g.size))
        return -minres(self._operator(0.0), self._g, maxiter=PRODUCTS)[0][None]

    def ahead(self) -> Floats:
        """Newton's step, of which the minimal residual method leaves the softest modes open."""
        w, axes = self._bottom
        known = np.abs(w) > 0  # not NaN
        exact = np.where(known, -(self._g @ axes) / np.where(known, w, 1.0), 0.0)
        step = self.newton()
        return step + (axes @ np.where(known, exact - step[0] @ axes, 0.0))[None]

    def largest(self) -> Floats:
        """Largest |eigenvalue| by Lanczos' method, to a tenth."""
        return np.array([self._largest])

    def lowest(self) -> Floats:
        """Lowest `count` eigenvalues by Lanczos' method."""
        return self._bottom[0][None]

    @cached_property
    def _bottom(self) -> tuple[Floats, Floats]:
        """Lowest `count` eigenvalues and their eigenvectors."""
        return self._lowest(self.count, self.error)

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
        w, axes = self._lowest(count, max(MODES, self.error))
        chosen = np.argsort(-likeness(self._before, axes[None])[0], kind="stable")[: self._index]
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
        times = (lambda v: shift * self._free(v) - self._times(v)) if shift else self._times
        return LinearOperator((d, d), matvec=times, dtype=np.float64)  # pyright: ignore

    def _times(self, v: Floats) -> Floats:
        product = self._hessian(torch.as_tensor(self._free(v.reshape(-1))))
        return self._free(product.double().cpu().numpy())

    def _free(self, v: Floats) -> Floats:
        """The part of a vector (d,) that is not held."""
        return v if self._held is None else v - self._held @ (v @ self._held)


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
