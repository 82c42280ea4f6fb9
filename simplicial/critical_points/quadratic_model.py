"""Quadratic models: a loss near points to second order, and the steps to its critical points.

Up to `DENSE` variables Hessians are written out and diagonalised, of many points at once; above,
only products of the Hessian with vectors are made (`matrix_free_model`).
Source: Nocedal & Wright (2006), 4.1 and 4.3.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simplicial.critical_points.constraints import Constraints
from simplicial.evaluation import derivatives
from simplicial.loss import Loss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DENSE = 128  # variables, at most, for which a Hessian is written out: from there on products win
SECULAR_STEPS = 20
TINY = float(np.finfo(np.float64).tiny)


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
    error: float  # of eigenvalues, as a share of the largest

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

    def ahead(self) -> Floats:
        """Newton steps, exact along the modes of `lowest`."""
        ...

    def largest(self) -> Floats:
        """Largest |eigenvalue|, (m,)."""
        ...

    def lowest(self) -> Floats:
        """Lowest eigenvalues (m, e), ascending."""
        ...


class DenseModel:
    """Quadratic models at points (m, d) with Hessians written out.

    constraints  directions in which no step is taken, and no curvature is counted
    """

    def __init__(
        self,
        loss: Loss,
        points: Tensor,
        index: Ints,
        before: Floats | None,
        constraints: Constraints | None = None,
    ) -> None:
        parts = derivatives(loss, points)
        self.values, g, hessians = (part.double().cpu().numpy() for part in parts[:3])
        self.error = parts.error
        self.finite = np.isfinite(self.values) & np.isfinite(np.linalg.norm(g, axis=1))
        self.finite &= np.isfinite(hessians).all(axis=(1, 2))
        known = self.finite[:, None]
        self.gradients = np.where(known, g, 0.0)
        self.hessians = np.where(known[:, None], hessians, 0.0)
        self.held = None
        if constraints is not None:
            self.held = constraints.held(points.double().cpu().numpy(), self)
        self._index, self._before, self.count = index, before, points.shape[1]
        self._modes = self._diagonalised(np.arange(len(points)), self.held)
        self.norms = np.linalg.norm(g if self.held is None else self._modes.c, axis=1)
        self.climbed = self._modes.climbed

    def _diagonalised(self, rows: Ints, held: Floats | None) -> "_Modes":
        """Modes of some points, of which those within a projector (n, d, d) are held."""
        g, h, before = self.gradients[rows], self.hessians[rows], self._before
        within = np.zeros(g.shape, dtype=bool)
        if held is not None:
            free = np.eye(self.count) - held
            g, h = np.einsum("mij,mj->mi", free, g), free @ h @ free
            above = 1 + 2 * np.linalg.norm(h, axis=(1, 2))  # so that the held come last
            h = h + above[:, None, None] * held
            rank = np.rint(np.trace(held, axis1=1, axis2=2))
            within = np.arange(self.count) >= self.count - rank[:, None]
        w, axes = np.linalg.eigh(h)
        c = np.where(within, 0.0, np.einsum("mij,mi->mj", axes, g))
        alike = likeness(None if before is None else before[rows], axes)
        order = np.argsort(-alike, axis=1, kind="stable")
        climbs, q = np.arange(self.count) < self._index[rows, None], self._index.max()
        sign = np.empty_like(w)
        np.put_along_axis(sign, order, np.where(climbs, 1.0, -1.0), axis=1)
        climbed = np.take_along_axis(axes, order[:, None, :q], axis=2) * climbs[:, None, :q]
        least = self.error * np.where(within, 0.0, np.abs(w)).max(axis=1)
        return _Modes(w, axes, c, within, sign, climbed, least[:, None])

    def step(self, rows: Ints, radius: Floats, held: Floats | None = None) -> Step:
        """Steps along every mode, all damped by the same mu.

        held  projectors (n, d, d) on directions to hold, in place of those of the constraints
        """
        modes = self._modes.of(rows) if held is None else self._diagonalised(rows, held)
        c, w = modes.c, modes.w
        size = np.maximum(np.abs(w), np.maximum(modes.least, TINY))
        damped = size + _damping(c, size, radius)[:, None]
        along = modes.sign * c / damped
        change = along * (c + w * along / 2)
        return Step(
            np.einsum("mij,mj->mi", modes.axes, along),
            change.sum(axis=1),
            np.abs(change).sum(axis=1),
            np.linalg.norm(c / size, axis=1),
            (c**2 / size).sum(axis=1) / 2,
        )

    def changes(self, rows: Ints, step: Step, vectors: Floats) -> Step:
        """Steps with other vectors (n, d), and the changes of f along them."""
        modes = self._modes.of(rows)
        along = np.einsum("mij,mi->mj", modes.axes, vectors)
        change = along * (modes.c + modes.w * along / 2)
        size = np.abs(change).sum(axis=1)
        return step._replace(vectors=vectors, predicted=change.sum(axis=1), size=size)

    def newton(self) -> Floats:
        """Newton steps mode by mode."""
        w = self._modes.w
        along = np.where(np.abs(w) > self._modes.least, -self._modes.c, 0.0)
        along /= np.where(along == 0, 1.0, w)
        return np.einsum("mij,mj->mi", self._modes.axes, along)

    def ahead(self) -> Floats:
        """The same."""
        return self.newton()

    def largest(self) -> Floats:
        """Largest of all d that are not held."""
        return np.where(self._modes.within, 0.0, np.abs(self._modes.w)).max(axis=1)

    def lowest(self) -> Floats:
        """All d of them; NaN where the Hessian is not finite, and at the end where held."""
        known = self.finite[:, None] & ~self._modes.within
        return np.where(known, self._modes.w, np.nan)


class _Modes(NamedTuple):
    """Modes of m points."""

    w: Floats  # (m, d) eigenvalues, ascending; those that are held come last, and mean nothing
    axes: Floats  # (m, d, d)
    c: Floats  # (m, d) components of the gradient, 0 where held
    within: NDArray[np.bool_]  # (m, d) is held
    sign: Floats  # (m, d) 1 where steps ascend, -1 where they descend
    climbed: Floats  # (m, d, q) axes of those along which they ascend
    least: Floats  # (m, 1) size of an eigenvalue that rounding may be

    def of(self, rows: Ints) -> "_Modes":
        """Those of some points."""
        return _Modes(
            self.w[rows],
            self.axes[rows],
            self.c[rows],
            self.within[rows],
            self.sign[rows],
            self.climbed[rows],
            self.least[rows],
        )


def likeness(before: Floats | None, axes: Floats) -> Floats:
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
