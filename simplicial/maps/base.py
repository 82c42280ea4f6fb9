"""Piecewise linear maps of the standard simplex into parameter space, psi(t) = W(t) P.

A map subdivides the standard r-simplex into linear pieces. The corners of the pieces are its
control points: each sits at fixed barycentric coordinates and may be put anywhere in parameter
space. A point t lies in a piece with r + 1 corners, and psi(t) is their mean weighted by t's
barycentric coordinates in that piece. Two subdivisions are known, both for every r:

- `Barycentric`, the paper's (eqs. 5 and 6): one control point for each face, at its barycentre.
- `Edgewise(k)` (Freudenthal 1942, Kuhn 1960; Edelsbrunner & Grayson 2000): control points on the
  lattice {t : k t integer}, k segments to an edge.

Both restrict to faces: where coordinates of t vanish, only control points of the face that is left
have weight, and they have the weights of the face's own map. So simplices that share a face agree
on it, and the filtration by the maximum of the loss is monotone by construction.
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations, product
from math import comb, factorial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import ShapeError
from reduction.memory import require
from reduction.validation import as_integer, short_repr
from simplicial.maps.lattice import lattice

OUTSIDE = 1e-6  # what barycentric coordinates may be below 0, or their sum off 1
PIECES = 24  # bytes of a number while faces or pieces are listed
LARGEST = 60  # vertices of a simplex whose faces fill any memory

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Location(NamedTuple):
    """Where points of the standard simplex lie in a subdivision.

    corners  (..., r+1) int64    the control points at the corners of each point's linear piece
    weights  (..., r+1) float64  barycentric coordinates in that piece: non-negative, rows sum to 1
    """

    corners: Ints
    weights: Floats


class SimplexMap(Protocol):
    """A subdivision of the standard simplex, for every dimension r."""

    def control_points(self, r: int) -> Floats:
        """Barycentric coordinates of the control points, (c, r+1), in the map's order."""
        ...

    def locate(self, t: Floats) -> Location:
        """The linear pieces that hold points t, (..., r+1), and t's coordinates in them."""
        ...

    def pieces(self, r: int) -> Ints:
        """The control points at the corners of every linear piece, (p, r+1)."""
        ...


@dataclass(frozen=True, slots=True)
class Barycentric:
    """The paper's map (eqs. 5 and 6): one control point for each face of the simplex.

    With t sorted descending, t_(0) >= ... >= t_(r), t_(r+1) = 0, the face spanned by the k + 1
    largest coordinates has weight (k+1) (t_(k) - t_(k+1)); r = 1 is eq. 5, r = 2 is eq. 6. The
    printed eq. 6 exchanges theta_1 and theta_3 against its own zeta(e_i) = theta_i; here psi(e_i) =
    theta_i. Faces are ordered by dimension, then colexicographically. Ties in t: any order gives
    the same psi.
    """

    def control_points(self, r: int) -> Floats:
        """Barycentres of the faces, (2**(r+1) - 1, r+1): vertices first, the centre last."""
        masks = _face_masks(_faced(r))
        members = (masks[:, None] >> np.arange(r + 1)) & 1
        return members / members.sum(axis=1, keepdims=True)

    def locate(self, t: Floats) -> Location:
        """The flag of faces spanned by the largest 1, 2, ..., r+1 coordinates, and its weights.

        Raises ShapeError for points off the simplex.
        """
        t = _located(t)
        r = t.shape[-1] - 1
        descending = np.argsort(-t, axis=-1, kind="stable")
        ranked = np.take_along_axis(t, descending, axis=-1)
        below = np.concatenate([ranked[..., 1:], np.zeros_like(ranked[..., :1])], axis=-1)
        weights = np.arange(1, r + 2) * (ranked - below)
        flag = np.cumsum(1 << descending, axis=-1)
        return Location(_position_of_mask(r)[flag], weights)

    def pieces(self, r: int) -> Ints:
        """The (r+1)! flags of faces: a vertex, an edge on it, a triangle on that, ..."""
        r = _faced(r)
        require(PIECES * (r + 1) * factorial(r + 1), f"the pieces of a simplex of dimension {r}")
        orders = np.array(list(permutations(range(r + 1))), dtype=np.int64)
        return _position_of_mask(r)[np.cumsum(1 << orders, axis=1)]


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
        t = _located(t)
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


def coordinates(t: ArrayLike) -> Floats:
    """Barycentric coordinates in float64. Raises ShapeError for what are no numbers."""
    try:
        array = np.asarray(t)
    except ValueError:
        array = np.empty(0, np.object_)
    if array.dtype.kind not in "fiu":
        raise ShapeError(
            f"barycentric coordinates must be an array of numbers, got {short_repr(t)}: give one row of "
            "them for each point"
        )
    return np.asarray(array, np.float64)


def _located(t: Floats) -> Floats:
    """Points of the standard simplex (..., r+1), up to rounding. Raises ShapeError for others."""
    t = coordinates(t)
    if (
        not t.ndim
        or not t.shape[-1]
        or not ((t >= -OUTSIDE).all() and (np.abs(t.sum(axis=-1) - 1) <= OUTSIDE).all())
    ):
        raise ShapeError(
            f"points of a simplex have barycentric coordinates from 0 on with sum 1, got "
            f"{short_repr(t)}: normalise the rows"
        )
    return t


def _faced(r: int) -> int:
    """A dimension whose simplex has faces that can be listed. Raises OptionError, CapacityError."""
    r = as_integer("r", r, 0)
    require(PIECES << min(r + 1, LARGEST), f"the faces of a simplex of dimension {r}")
    return r


def face_positions(simplex_map: SimplexMap, r: int) -> list[tuple[tuple[int, ...], int]]:
    """For each control point of an r-simplex: the face that holds it inside, and its place there.

    A face is the tuple of positions 0..r that span it; the place counts that face's own interior
    control points in the order of the face's map.
    """
    places: list[tuple[tuple[int, ...], int]] = []
    for t in simplex_map.control_points(r):
        face = tuple(int(i) for i in np.flatnonzero(t > 0))
        interior = interior_controls(simplex_map, len(face) - 1)
        own = simplex_map.control_points(len(face) - 1)[interior]
        # barycentric coordinates of one point in two faces differ by their rounding alone
        place = np.flatnonzero((np.abs(own - t[list(face)]) < 1e-9).all(axis=1))
        places.append((face, int(place[0])))
    return places


def interior_controls(simplex_map: SimplexMap, r: int) -> Ints:
    """Which control points of an r-simplex lie on no proper face, as positions."""
    return np.flatnonzero((simplex_map.control_points(r) > 0).all(axis=1))


def pool_size(simplex_map: SimplexMap, n: int, max_dim: int) -> int:
    """How many control points the complete complex on n vertices has, before any is laid out."""

    def inside(r: int) -> int:
        if isinstance(simplex_map, Edgewise):
            return comb(simplex_map.segments - 1, r)
        return 1 if isinstance(simplex_map, Barycentric) else len(interior_controls(simplex_map, r))

    return sum(comb(n, r + 1) * inside(r) for r in range(min(max_dim, n - 1) + 1))


@cache
def _face_masks(r: int) -> Ints:
    """The faces of an r-simplex as bit masks, by dimension, then colexicographically."""
    faces = [sum(1 << v for v in f) for k in range(1, r + 2) for f in _colex_subsets(r + 1, k)]
    return _read_only(np.array(faces, dtype=np.int64))


def _colex_subsets(n: int, k: int) -> list[tuple[int, ...]]:
    return sorted(combinations(range(n), k), key=lambda face: face[::-1])


@cache
def _position_of_mask(r: int) -> Ints:
    masks = _face_masks(r)
    position = np.zeros(1 << (r + 1), dtype=np.int64)
    position[masks] = np.arange(masks.size)
    return _read_only(position)


def _read_only(array: Ints) -> Ints:
    array.flags.writeable = False
    return array


def _rank_of_grid_point(x: Ints, k: int) -> Ints:
    """Place of grid points k >= x_1 >= ... >= x_r >= 0, (..., r), in the order of `lattice(r, k)`.

    Axis i set to v leaves, for each smaller value u < v, every tail of r - i axes bounded by u.
    """
    r = x.shape[-1]
    table = np.array(
        [[comb(v + r - i - 1, r - i) for i in range(r)] for v in range(k + 1)], dtype=np.int64
    ).reshape(k + 1, r)
    return table[x, np.arange(r)].sum(axis=-1)
