"""Piecewise linear maps of the standard simplex into parameter space, psi(t) = W(t) P.

A map subdivides the standard r-simplex into linear pieces. The corners of the pieces are its
control points: each sits at fixed barycentric coordinates and may be put anywhere in parameter
space. A point t lies in a piece with r + 1 corners, and psi(t) is their mean weighted by t's
barycentric coordinates in that piece. Two subdivisions are known, `Barycentric` and `Edgewise`,
both for every r.

Both restrict to faces: where coordinates of t vanish, only control points of the face that is left
have weight, and they have the weights of the face's own map. So simplices that share a face agree
on it, and the filtration by the maximum of the loss is monotone by construction.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import ShapeError
from reduction.validation import short_repr

OUTSIDE = 1e-6  # what barycentric coordinates may be below 0, or their sum off 1
PIECES = 24  # bytes of a number while faces or pieces are listed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Location(NamedTuple):
    """Positions of points of the standard simplex in a subdivision.

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


def coordinates(t: ArrayLike) -> Floats:
    """Barycentric coordinates in float64. Raises ShapeError for what are no numbers."""
    try:
        array = np.asarray(t)
    except ValueError:
        array = np.empty(0, np.object_)
    if array.dtype.kind not in "fiu":
        raise ShapeError(
            f"barycentric coordinates must be an array of numbers, got {short_repr(t)}: give one "
            "row of them for each point"
        )
    return np.asarray(array, np.float64)


def located(t: Floats) -> Floats:
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


def face_positions(simplex_map: SimplexMap, r: int) -> list[tuple[tuple[int, ...], int]]:
    """The face that holds each control point of an r-simplex inside, and its position there.

    A face is the tuple of positions 0..r that span it; the position counts that face's own interior
    control points in the order of the face's map.
    """
    positions: list[tuple[tuple[int, ...], int]] = []
    for t in simplex_map.control_points(r):
        face = tuple(int(i) for i in np.flatnonzero(t > 0))
        interior = interior_controls(simplex_map, len(face) - 1)
        own = simplex_map.control_points(len(face) - 1)[interior]
        # barycentric coordinates of one point in two faces differ by their rounding alone
        position = np.flatnonzero((np.abs(own - t[list(face)]) < 1e-9).all(axis=1))
        positions.append((face, int(position[0])))
    return positions


def interior_controls(simplex_map: SimplexMap, r: int) -> Ints:
    """Positions of the control points of an r-simplex that lie on no proper face."""
    return np.flatnonzero((simplex_map.control_points(r) > 0).all(axis=1))
