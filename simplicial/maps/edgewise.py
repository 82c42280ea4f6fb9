"""The edgewise subdivision: control points on a lattice, k segments to an edge (Freudenthal 1942,
Kuhn 1960; Edelsbrunner & Grayson 2000)."""

from dataclasses import dataclass
from itertools import permutations, product
from math import comb, factorial

import numpy as np

from reduction.memory import require
from reduction.validation import as_integer
from simplicial.maps.base import PIECES, Floats, Ints, Location, located
from simplicial.maps.lattice import lattice


@dataclass(frozen=True, slots=True)
class Edgewise:
    """The edgewise subdivision with `segments` segments to an edge.

    With x_i = k (t_i + ... + t_r), k >= x_1 >= ... >= x_r >= 0, the linear pieces are the Kuhn
    simplices of the integer grid: the corner floor(x), then one step along each axis in descending
    order of the fractional parts. Control points are the C(k+r, r) lattice points, in the order of
    `lattice(r, k)`.

    segments  k >= 1, whole; a simplex of dimension r has control points of its own from k = r + 1
              on
    Raises OptionError for fewer segments.
    """

    segments: int

    def __post_init__(self) -> None:
        as_integer("segments", self.segments, 1)

    def control_points(self, r: int) -> Floats:
        """The lattice {t : k t integer}, (C(k+r, r), r+1)."""
        return lattice(as_integer("r", r, 0), self.segments) / self.segments

    def locate(self, t: Floats) -> Location:
        """The Kuhn simplex that holds each point, and the coordinates of the point in it.

        Raises ShapeError for points off the simplex.
        """
        t = located(t)
        k, r = self.segments, t.shape[-1] - 1
        # summed from the last coordinate on, x is non-increasing in floating point too
        x = np.minimum(k * np.cumsum(t[..., :0:-1], axis=-1)[..., ::-1], k)
        floor = np.minimum(np.floor(x), k - 1)
        fraction = x - floor
        # stable: of equal fractions the earlier axis steps first, so corners stay in the simplex
        axes = np.argsort(-fraction, axis=-1, kind="stable")
        ranked = np.take_along_axis(fraction, axes, axis=-1)
        ends = np.ones_like(t[..., :1])
        weights = np.concatenate([ends, ranked], -1) - np.concatenate([ranked, 0 * ends], -1)
        steps = (np.arange(r + 1)[:, None] > np.argsort(axes, axis=-1)[..., None, :]).astype(
            np.int64
        )
        corners = floor.astype(np.int64)[..., None, :] + steps
        return Location(_rank_of_grid_point(corners, k), weights)

    def pieces(self, r: int) -> Ints:
        """The k^r Kuhn simplices k >= x_1 >= ... >= x_r >= 0 of the integer grid."""
        k, r = self.segments, as_integer("r", r, 0)
        require(PIECES * (r + 1) * k**r * factorial(r), f"the pieces of a simplex of dimension {r}")
        cells = np.array(list(product(range(k), repeat=r)), dtype=np.int64)
        cells = cells[(cells[:, :-1] >= cells[:, 1:]).all(axis=1)]  # those that hold any
        orders = np.array(list(permutations(range(r))), dtype=np.int64)
        steps = np.arange(r + 1)[:, None] > np.argsort(orders, axis=1)[:, None, :]
        corners = (cells[:, None, None, :] + steps).reshape(len(cells) * len(orders), r + 1, r)
        bounded = (corners[..., :-1] >= corners[..., 1:]).all(axis=(1, 2))
        return _rank_of_grid_point(corners[bounded], k)


def _rank_of_grid_point(x: Ints, k: int) -> Ints:
    """Rank of grid points k >= x_1 >= ... >= x_r >= 0, (..., r), in the order of `lattice(r, k)`.

    Axis i set to v leaves, for each smaller value u < v, every tail of r - i axes bounded by u.
    """
    r = x.shape[-1]
    table = np.array(
        [[comb(v + r - i - 1, r - i) for i in range(r)] for v in range(k + 1)], dtype=np.int64
    ).reshape(k + 1, r)
    return table[x, np.arange(r)].sum(axis=-1)
