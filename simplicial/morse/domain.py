"""Domains of gradient flows: R^d, a closed box, and either with periodic coordinates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simplicial.domains.boxes import as_box
from simplicial.domains.periods import Cell, periods_of
from simplicial.loss import Loss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ON_WALL = 1e-9  # of the box's extent, within which a coordinate is that of the wall


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Where a flow runs.

    walls    (2, d) float64, lowest and highest coordinates, -inf and inf where there is no wall
    periods  (d,) float64, inf for a coordinate that is not periodic
    """

    walls: Floats
    periods: Floats

    @classmethod
    def of(cls, loss: Loss, dim: int, box: ArrayLike | None = None) -> "Domain":
        """The domain of a loss: a box, or R^d, and in coordinates with a period circles.

        Raises OptionError for what is no box, or one with walls in a coordinate with a period.
        """
        periods = periods_of(loss, dim)
        walls = np.outer([-np.inf, np.inf], np.ones(dim))
        if box is not None:
            corners = as_box(box, dim)
            corners = Cell(corners[0], periods).corners(corners, walls=True)
            walls = np.where(np.isfinite(periods), walls, corners)
        return cls(walls, periods)

    @property
    def dim(self) -> int:
        """d, the number of coordinates."""
        return self.walls.shape[1]

    @property
    def betti_numbers(self) -> tuple[int, ...]:
        """Of the product of k circles with a contractible box: C(k, r), r = 0..d."""
        circles = np.poly1d([1])
        for _ in range(int(np.isfinite(self.periods).sum())):
            circles *= np.poly1d([1, 1])
        return tuple(int(c) for c in np.pad(circles.c, (0, self.dim))[: self.dim + 1])

    @property
    def euler_characteristic(self) -> int:
        """The alternating sum of the Betti numbers: 0 with a period, else 1."""
        return sum((-1) ** r * betti for r, betti in enumerate(self.betti_numbers))

    def displacement(self, begin: Floats, end: Floats) -> Floats:
        """The shortest way (..., d) from points to points, around the circles."""
        way = end - begin
        lengths = np.where(np.isfinite(self.periods), self.periods, 0.0)
        return way - lengths * np.rint(way / self.periods)

    def clipped(self, points: Floats) -> Floats:
        """The nearest points (b, d) within the walls."""
        return np.clip(points, *self.walls)

    def at_walls(self, points: Floats) -> NDArray[np.int8]:
        """(b, d): -1 at the lowest wall, 1 at the highest, 0 elsewhere."""
        low, high = self.walls[0] + self._tolerance, self.walls[1] - self._tolerance
        return (points >= high).astype(np.int8) - (points <= low).astype(np.int8)

    def is_outside(self, points: Floats) -> NDArray[np.bool_]:
        """Whether each coordinate (b, d) is beyond a wall, and not at it."""
        low, high = self.walls[0] - self._tolerance, self.walls[1] + self._tolerance
        return (points < low) | (points > high)

    @property
    def _tolerance(self) -> Floats:
        """Distance (d,) from a wall within which a coordinate is that of the wall."""
        extent = np.diff(self.walls, axis=0)[0]
        return np.where(np.isfinite(extent), ON_WALL * extent, 0.0)

    def along(self, velocities: Floats, points: Floats) -> Floats:
        """Velocities (b, d) without what would lead through a wall at which points are."""
        out = (points <= self.walls[0]) & (velocities < 0)
        out |= (points >= self.walls[1]) & (velocities > 0)
        return np.where(out, 0.0, velocities)
