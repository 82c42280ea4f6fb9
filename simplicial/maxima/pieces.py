"""Parts of linear pieces, with the cubic that values and gradients at their corners define.

A part that may hold more than the largest loss known on its simplex is halved. What the loss may
exceed the cubic by is judged at check points: where the loss is known, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.loss import ValueAndGradient
from simplicial.maps.mesh import INSIDE, LinearPieces
from simplicial.maxima.bernstein import bernstein_range, cubic_values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNSEEN = 0.1  # error bound of an unrefined piece, as a share of its cubic's range
NEAR = 1.0  # how far outside a part, in its barycentric coordinates, its cubic is still to hold
TRUST = 2.0  # times the error of a cubic where it is known, that it may have elsewhere
DECAY = 0.25  # of the error bound when a piece is halved
LATE = 36  # halvings from which the longest edge is cut: where bent ones are, it may stay long
COPIES = 4  # of a piece at a time: those that may hold more, both halves, and all together


class EvaluatedSimplices(NamedTuple):
    """Simplices whose control points the loss and its gradient are known at.

    control_points  (K, d)
    at_controls     the loss and its gradient there
    controls        (m, c) rows of the control points, one simplex each
    mesh            their linear pieces
    """

    control_points: Tensor
    at_controls: ValueAndGradient
    controls: Ints
    mesh: LinearPieces


class CheckPoints(NamedTuple):
    """The loss inside simplices, at the same barycentric coordinates of each.

    barycentric  (p, r+1) float64
    values       (m, p) float64, in the loss's units
    """

    barycentric: Floats
    values: Floats

    @classmethod
    def none(cls, count: int, dim: int) -> "CheckPoints":
        """No check points, of simplices inside which the loss is known nowhere."""
        return cls(np.empty((0, dim + 1)), np.empty((count, 0)))


def own_point(corners: int) -> Floats:
    """Barycentric coordinates (corners,) of a linear piece's own check point.

    Its shares are as far from fractions of small denominators as can be, so that no period of the
    loss agrees with it, and with corners and middles, at once: that would let a ridge of the same
    period pass between them all. Powers of the root of x^r = x + 1 cut [0, 1], the golden section
    of an edge: Roberts (2018), "The unreasonable effectiveness of quasirandom sequences".
    """
    r = corners - 1
    root = max(np.roots([1.0, *[0.0] * (r - 1), -1.0, -1.0]).real)
    cuts = np.sort(np.mod(root ** -np.arange(1.0, r + 1), 1.0))
    return np.diff(cuts, prepend=0.0, append=1.0)


class PointsInPieces(NamedTuple):
    """The check points in each linear piece: those that are given, one of its own, and its centre
    where none of those that are given lies in its interior.

    points       (pieces, q) of the p check points, or p and more for those of `added`; -1 where a
                 row is filled up
    barycentric  (pieces, q, r+1) in the piece
    added        (e,) the pieces of the added points
    shares       (e, r+1) barycentric coordinates of these in their pieces
    """

    points: Ints
    barycentric: Floats
    added: Ints
    shares: Floats

    @classmethod
    def of(cls, mesh: LinearPieces, check_points: Floats) -> "PointsInPieces":
        """The points in pieces of check points (p, r+1), barycentric in the simplex."""
        pieces, corners = mesh.pieces.shape
        pairs, shares = mesh.holding(check_points)
        within = pairs[(shares > INSIDE).all(axis=1), 0]
        empty = np.setdiff1d(np.arange(pieces), within)
        added = np.append(np.arange(pieces), empty)
        own = np.tile(own_point(corners), (pieces, 1))
        of_added = np.append(own, np.full((len(empty), corners), 1 / corners), axis=0)
        numbers = len(check_points) + np.arange(len(added))
        pairs = np.append(pairs, np.stack([added, numbers], axis=1), axis=0)
        shares = np.append(shares, of_added, axis=0)
        order = np.argsort(pairs[:, 0], kind="stable")
        pairs, shares = pairs[order], shares[order]
        sizes = np.bincount(pairs[:, 0], minlength=pieces)
        column = np.arange(len(pairs)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        points = np.full((pieces, sizes.max()), -1)
        barycentric = np.zeros((*points.shape, corners))
        points[pairs[:, 0], column], barycentric[pairs[:, 0], column] = pairs[:, 1], shares
        return cls(points, barycentric, added, of_added)

    def values(self, known: Floats) -> Floats:
        """Values (m pieces, q) in pieces of m simplices, of values (m, p + e); rows end in NaN."""
        values = np.where(self.points < 0, np.nan, known[:, self.points])
        return values.reshape(len(known) * len(self.points), -1)

    def repeated(self, count: int) -> Floats:
        """Barycentric coordinates (count pieces, q, r+1) in the pieces of `count` simplices."""
        pieces, q, corners = self.barycentric.shape
        every = np.broadcast_to(self.barycentric, (count, pieces, q, corners))
        return every.reshape(count * pieces, q, corners)


class Estimates(NamedTuple):
    """What the loss may reach on pieces, (a,) each.

    expected  the largest coefficient of the cubic and its error bound, which a halving is taken to
              have lowered as it does on a smooth loss: what is lower than known is not halved
    at_worst  the same, but with an error bound that the last halving has not lowered, as on a rough
              loss, whose cubics do not come nearer to it
    """

    expected: Floats
    at_worst: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Parts of linear pieces: simplices whose corners are known in the piece that holds them.

    owner        (a,) the simplex
    piece        (a,) the linear piece in the mesh
    rows         (a, r+1) of the control points, the corners of that linear piece
    corners      (a, r+1, r+1) barycentric coordinates of the part's corners in it
    values       (a, r+1) the loss at the part's corners
    slopes       (a, r+1, r+1) gradient at each of them, times each of the linear piece's corners
    error_bound  (a,) what the loss may exceed the cubic by
    halvings     (a,) int64, of the linear piece down to the part
    known        (a, q) the loss at check points of that linear piece; NaN where a row is filled up
    barycentric  (a, q, r+1) their coordinates in the part, which need not hold them
    """

    owner: Ints
    piece: Ints
    rows: Ints
    corners: Floats
    values: Floats
    slopes: Floats
    error_bound: Floats
    halvings: Ints
    known: Floats
    barycentric: Floats

    @classmethod
    def joined(cls, parts: "list[Pieces]") -> "Pieces":
        """The pieces of all parts, at least one, one after the other."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def part(self, which: NDArray[np.bool_]) -> "Pieces":
        """Some of the pieces, in their order."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    def estimates(self) -> Estimates:
        """What the loss may reach on each piece, by the rule."""
        highest, _ = bernstein_range(self.values, self.rises())
        seen = TRUST * self.errors()
        return Estimates(
            highest + np.maximum(self.error_bound, seen),
            highest + np.maximum(self.error_bound / DECAY, seen),
        )

    def corner(self, i: Ints) -> Floats:
        """Barycentric coordinates (a, r+1) of one corner i (a,) of each."""
        return self.corners[np.arange(len(i)), i]

    def rises(self) -> Floats:
        """(a, r+1, r+1): the derivative at corner i in the direction of corner j, to its length."""
        at = np.einsum("aik,ajk->aij", self.slopes, self.corners)
        return at - np.einsum("aii->ai", at)[:, :, None]

    def errors(self) -> Floats:
        """The largest distance (a,) of the cubic from the loss at near check points, 0 without."""
        near = (self.barycentric >= -NEAR).all(axis=2) & ~np.isnan(self.known)
        off = np.abs(self.known - cubic_values(self.values, self.rises(), self.barycentric))
        return np.where(near, off, 0.0).max(axis=1, initial=0.0)

    def edges_to_cut(self) -> tuple[Ints, Ints]:
        """The edge (i, j) of each part along which its cubic is farthest from linear; the longest,
        in the linear piece, where the cubic is wrong, or after many halvings.
        """
        rise = self.rises()
        curved = np.abs(rise + rise.transpose(0, 2, 1))
        skew = self.values[:, None, :] - self.values[:, :, None]
        skew = np.abs(skew - (rise - rise.transpose(0, 2, 1)) / 2)
        first, second = np.triu_indices(self.values.shape[1], 1)
        bent = (curved + skew)[:, first, second]
        long = np.abs(self.corners[:, first] - self.corners[:, second]).sum(axis=2)
        wrong = (TRUST * self.errors() > self.error_bound) | (self.halvings >= LATE)
        choice = np.where(wrong[:, None], long, bent).argmax(axis=1)
        return first[choice], second[choice]

    def halved(self, i: Ints, j: Ints, middle: Floats, values: Floats, slopes: Floats) -> "Pieces":
        """Both halves, the part's edge (i, j) being cut at `middle`, where the loss is known."""
        a, rise = np.arange(len(i)), self.rises()
        cubic = (self.values[a, i] + self.values[a, j]) / 2 + (rise[a, i, j] + rise[a, j, i]) / 8
        error_bound = DECAY * np.maximum(self.error_bound, np.abs(values - cubic))
        middles = (middle, values, slopes)
        return self.joined([self._cut(*ends, middles, error_bound) for ends in ((i, j), (j, i))])

    def _cut(
        self, corner: Ints, kept: Ints, middles: tuple[Floats, Floats, Floats], error_bound: Floats
    ) -> "Pieces":
        """The half in which the middle of the edge from `corner` to `kept` replaces the corner."""
        a, parts = np.arange(len(corner)), (self.corners, self.values, self.slopes)
        copies = [part.copy() for part in parts]
        for copy, new in zip(copies, middles, strict=True):
            copy[a, corner] = new
        barycentric = self.barycentric.copy()  # s c + t k is 2 s (c + k) / 2 + (t - s) k
        barycentric[a, :, kept] -= barycentric[a, :, corner]
        barycentric[a, :, corner] *= 2
        return replace(
            self,
            corners=copies[0],
            values=copies[1],
            slopes=copies[2],
            error_bound=error_bound,
            halvings=self.halvings + 1,
            barycentric=barycentric,
        )


def piece_bytes(corners: int, points: int) -> int:
    """Bytes of a part with `corners` corners and `points` check points, copies while it is halved
    included.
    """
    own = 8 * (3 + 2 * corners + 2 * corners**2 + points * (1 + corners))
    return COPIES * own


def linear_pieces(
    simplices: EvaluatedSimplices, inside: PointsInPieces, known: Floats, at_once: int
) -> Iterator[Pieces]:
    """All linear pieces of all simplices, `at_once` points at a time.

    known  (m, p + e) the loss at all check points and those that were added
    """
    points, at_controls, controls, mesh = simplices
    count, corners = mesh.pieces.shape
    step = max(1, at_once // (count * (corners + inside.points.shape[1])))
    for first in range(0, len(controls), step):
        some = controls[first : first + step]
        rows = some[:, mesh.pieces].reshape(-1, corners)
        at = torch.as_tensor(rows, device=points.device)
        slopes = torch.einsum("aid,ajd->aij", at_controls.gradients[at], points[at])
        whole = Pieces(
            owner=np.repeat(np.arange(first, first + len(some)), count),
            piece=np.tile(np.arange(count), len(some)),
            rows=rows,
            corners=np.broadcast_to(np.eye(corners), (len(rows), corners, corners)),
            values=at_controls.values[rows],
            slopes=slopes.double().cpu().numpy(),
            error_bound=np.zeros(len(rows)),
            halvings=np.zeros(len(rows), np.int64),
            known=inside.values(known[first : first + len(some)]),
            barycentric=inside.repeated(len(some)),
        )
        highest, lowest = bernstein_range(whole.values, whole.rises())
        yield replace(whole, error_bound=UNSEEN * (highest - lowest))
