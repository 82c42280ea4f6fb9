"""Periods of a loss: coordinates modulo a period each, and the cell that holds a point of each
class.

A loss with periods is a function on a torus, times R for each coordinate without one. A class of
points, modulo the periods, has one point in a cell; the others are its images.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import OptionError
from reduction.validation import short_repr
from simplicial.domains.declarations import Declared, declared
from simplicial.evaluation import check_callable
from simplicial.loss import BoundedLoss, Loss, PeriodicLoss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EDGE = 1e-9  # of a period: what is so near below the upper edge of the cell is at the lower one
LARGEST = 1e150  # period, so that float64 holds squares of distances
ONE = 1e-6  # of a period, by which the width of a box may differ from it


class _Periodic(Declared, PeriodicLoss):
    """A loss with periods."""

    @property
    def periods(self) -> Floats:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.declared

    def __reduce__(self) -> tuple[Any, ...]:
        return periodic, (self.loss, self.declared)  # its class is made anew there


def periodic(loss: Loss, periods: ArrayLike) -> PeriodicLoss:
    """A loss, declared to have periods, such as `[2 * pi, 2 * pi]` of two torsion angles.

    periods  (d,), in (0, 1e150], in units of the coordinates; inf in coordinates without a period
    The `domain` of a BoundedLoss, a gradient and a size in memory of its own are passed on; a loss
    with other abilities declares `simplicial.loss.PeriodicLoss` itself. Searches check what is
    declared.
    Raises LossError for what is no loss, or one with other abilities, among them rigid motions,
    OptionError for other periods.
    """
    check_callable(loss)
    dim = loss.dim if isinstance(loss, BoundedLoss) else None
    return declared(_Periodic, loss, as_periods(periods, dim))


def periods_of(given: Loss, dim: int) -> Floats:
    """The periods (d,) that a loss of dim variables declares, all inf if it declares none.

    Raises OptionError where they are out of range.
    """
    if not isinstance(given, PeriodicLoss):
        return np.full(dim, np.inf)
    return as_periods(given.periods, dim)


def as_periods(periods: ArrayLike, dim: int | None = None) -> Floats:
    """Periods (d,), checked; read-only. Raises OptionError."""
    try:
        given = np.array(periods)
    except (TypeError, ValueError, RuntimeError):
        given = np.empty(0)
    size = given.size if dim is None else dim
    is_list = given.dtype.kind in "fiu" and given.ndim == 1 and 0 < given.size == size
    if not (is_list and (given > 0).all() and np.isfinite(given).any()):
        numbers = "one number" if dim is None else f"{dim} numbers, one"
        raise OptionError(
            f"periods must be {numbers} above 0 for each coordinate, inf where there is none, and "
            f"one at least finite, got {short_repr(periods)}: give [2 * pi, inf], say"
        )
    given = given.astype(np.float64)
    if (far := np.isfinite(given) & (given > LARGEST)).any():
        i = int(np.argmax(far))
        raise OptionError(
            f"periods must be at most {LARGEST:g}, so that squares of distances are finite, "
            f"the one of coordinate {i} is {given[i]:g}: give inf there, or other units"
        )
    given.flags.writeable = False
    return given


class Cell(NamedTuple):
    """One point of each class: low <= x < low + periods, to a billionth of a period.

    low      (d,) the lowest corner
    periods  (d,), inf in coordinates without one
    """

    low: Floats
    periods: Floats

    @property
    def is_periodic(self) -> NDArray[np.bool_]:
        """Whether each coordinate (d,) has a period."""
        return np.isfinite(self.periods)

    def moved(self, points: Floats, shifts: Ints) -> Floats:
        """Points (m, d), moved by so many periods (m, d)."""
        return points + shifts * np.where(self.is_periodic, self.periods, 0.0)

    def within(self, points: Floats) -> Floats:
        """The images of points (m, d) in the cell; of what is not finite, the point itself."""
        finite = np.isfinite(points) & self.is_periodic
        away = np.where(finite, points - self.low, 0.0) / np.where(finite, self.periods, 1.0)
        return self.moved(points, -np.floor(away + EDGE).astype(np.int64))

    def on_circles(self, points: Floats) -> Floats:
        """Points (m, d + k) at which images are one: a circle for each of the k coordinates with a
        period, of that circumference. Distances are those modulo the periods where they are small.
        """
        radius = self.periods[self.is_periodic] / (2 * np.pi)
        angles = points[:, self.is_periodic] / radius
        circles = [radius * np.cos(angles), radius * np.sin(angles)]
        return np.concatenate([points[:, ~self.is_periodic], *circles], axis=1)

    def corners(self, box: Floats, *, walls: bool) -> Floats:
        """The corners (2, d) of a box, a period wide in coordinates with one, which have no walls.

        walls  whether the box's are meant, and not just where to start
        Raises OptionError for a wall in a coordinate with a period.
        """
        width = box[1] - box[0]
        off = self.is_periodic & ~(np.abs(width - self.periods) <= ONE * self.periods)
        if walls and off.any():
            i = int(np.argmax(off))
            low, period = float(box[0, i]), float(self.periods[i])
            raise OptionError(
                f"a coordinate with a period has no walls, coordinate {i} has the period "
                f"{period:.6g} and the box [{low:.6g}, {box[1, i]:.6g}]: give [{low:.6g}, "
                f"{low + period:.6g}] there"
            )
        return np.stack([box[0], np.where(self.is_periodic, box[0] + self.periods, box[1])])
