"""The domain of a search: the box of its starts, with walls or periods, as the loss declares."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from reduction import OptionError
from reduction.validation import as_integer, short_repr
from simplicial.critical_points.quadratic_model import DENSE
from simplicial.domains.boxes import as_box
from simplicial.domains.periods import Cell, periods_of
from simplicial.errors import LossError
from simplicial.evaluation import evaluate, gradient, where_finite
from simplicial.loss import (
    BoundedLoss,
    Loss,
    Motions,
    ParametrizedLoss,
    PeriodicLoss,
    SymmetricLoss,
    WalledLoss,
)

Floats = NDArray[np.float64]

REACH = 5.0  # of the box of a loss that declares none, in coordinates without a period
SLOPE = 1e-6  # along a motion, over the whole gradient, from which a loss is not invariant
OFF = 1e-6  # of the range of values, by which they differ a period away, from which it is none
COMPARED = 64  # points at which periods are checked, at most


class Domain(NamedTuple):
    """The box of the starts.

    corners  (2, d), one period wide in coordinates with a period
    walls    (2, d) the same where no step leaves it, infinite in coordinates without walls; None:
             there are none
    cell     of the periods of the loss; None: it has none
    """

    corners: Floats
    walls: Floats | None
    cell: Cell | None

    @classmethod
    def of(cls, loss: Any, dim: int | None, box: ArrayLike | None, *, walled: bool) -> "Domain":
        """From a user's arguments. Raises OptionError.

        walled  whether a box that is given has walls in coordinates without a period
        """
        corners = _corners(loss, dim, box)
        if isinstance(loss, WalledLoss):
            walled = True
            _check_within(corners, loss.domain)
        if not isinstance(loss, PeriodicLoss):
            return cls(corners, corners if walled else None, None)
        if isinstance(loss, SymmetricLoss):
            raise OptionError(
                f"a search takes periods or motions, {type(loss).__name__} declares both: declare "
                "one of them, and let copies be found by `distinct`"
            )
        cell = Cell(corners[0], periods_of(loss, corners.shape[1]))
        corners = cell.corners(corners, walls=walled)
        if not walled or cell.is_periodic.all():
            return cls(corners, None, cell)
        ends = np.array([[-np.inf], [np.inf]])
        return cls(corners, np.where(cell.is_periodic, ends, corners), cell)

    @property
    def dim(self) -> int:
        """Number of variables d."""
        return self.corners.shape[1]

    @property
    def diagonal(self) -> float:
        """Of the box."""
        return float(np.linalg.norm(self.corners[1] - self.corners[0]))


def _check_within(corners: Floats, domain: Floats) -> None:
    """Raise OptionError for a box that leaves the box of the loss, where that is constant."""
    if not ((corners[0] >= domain[0]).all() and (corners[1] <= domain[1]).all()):
        raise OptionError(
            f"the box of a search lies in that of the loss, {short_repr(domain.tolist())}, got "
            f"{short_repr(corners.tolist())}: leave it out"
        )


def check_periods(loss: Loss, points: Tensor, cell: Cell) -> None:
    """Raise LossError where a loss has not the periods that it declares.

    Values that are not finite tell nothing, but for one that is not while its translate's is.
    """

    def values(at: Tensor) -> Floats:
        return where_finite(lambda some: evaluate(loss, some).loss, at)

    some = points[:COMPARED]
    here = values(some)
    known = here[np.isfinite(here)]
    if not len(known):
        return
    scale = max(float(np.ptp(known)), np.finfo(np.float64).eps * float(np.abs(known).max()))
    for i in np.flatnonzero(cell.is_periodic).tolist():
        shifts = np.zeros(some.shape, dtype=np.int64)
        shifts[:, i] = 1
        there = values(torch.as_tensor(cell.moved(some.numpy(), shifts)))
        change = np.where(np.isnan(here) & np.isnan(there), 0, np.abs(there - here))
        worst = int(np.argmax(change))  # NaN, if there is one
        if not change[worst] <= OFF * scale:
            raise LossError(
                f"a loss must have the periods that it declares, {cell.periods[i]:.6g} in "
                f"coordinate {i} takes it from {here[worst]:.6g} to {there[worst]:.6g}: declare "
                "its own, or inf there"
            )


def check_periods_near(loss: Loss, points: NDArray[np.float64], cell: Cell) -> None:
    """Raise LossError likewise, at points (n, d) moved by random parts of the periods."""
    on = cell.is_periodic
    moved = points[np.arange(COMPARED) % len(points)].copy()
    moved[:, on] += np.random.default_rng(0).random(moved[:, on].shape) * cell.periods[on]
    check_periods(loss, torch.as_tensor(moved), cell)


def check_invariance(loss: Loss, points: Tensor, motions: Motions) -> None:
    """Raise LossError where a loss is not invariant under the motions that it declares."""
    slopes = gradient(loss, points).double().numpy()
    norms = np.linalg.norm(slopes, axis=1)
    known = np.isfinite(norms) & (norms > 0)
    tangents = motions.tangents(points.numpy()[known])
    lengths = np.linalg.norm(tangents, axis=1)
    along = np.abs(np.einsum("md,mdk->mk", slopes[known], tangents))
    along /= np.maximum(lengths, np.finfo(np.float64).tiny) * norms[known, None]
    if along.size and along.max() > SLOPE:
        motion = int(np.argmax(along.max(axis=0)))
        raise LossError(
            "a loss must be invariant under the motions that it declares, along motion "
            f"{motion} it has {along.max():.2g} of its slope: declare others, or none"
        )


def _corners(loss: Any, dim: int | None, box: ArrayLike | None) -> NDArray[np.float64]:
    if dim is None and isinstance(loss, BoundedLoss | ParametrizedLoss):
        dim = loss.dim
    if dim is None:
        raise OptionError(
            "a search needs the number of variables, which this loss does not tell: give dim=d"
        )
    dim = as_integer("dim", dim, 1)
    if dim > DENSE:
        raise OptionError(
            f"a search writes out Hessians, so it takes at most {DENSE} variables, got {dim}: "
            "follow single starts by simplicial.critical_points.eigenvector_following.follow"
        )
    return as_box(_own_box(loss, dim) if box is None else box, dim)


def _own_box(loss: Any, dim: int) -> Floats:
    """The box of a loss for which none is given."""
    if isinstance(loss, BoundedLoss):
        return loss.domain
    reach = np.array([[-REACH], [REACH]])
    return np.where(np.isfinite(periods_of(loss, dim)), [[0.0], [1.0]], reach)
