"""The honest maximum: the largest loss on every linear piece, by refinement where it may be higher.

On a linear piece the loss is bounded by what its values and gradients at the corners say: the cubic
that they define has Bernstein coefficients, and no value of the cubic exceeds the largest of these
(Farin 1986, Triangular Bernstein-Bezier patches). What the loss may exceed the cubic by is judged
by where both are known: at the midpoint of the edge that a piece was halved at, at the points of a
lattice that were looked at before, and at the centre of every piece in which there is none of
these. A piece that may hold more than the largest loss seen on its simplex is halved, and the loss
is evaluated at the midpoint: of the edge along which the cubic bends most, or, where it is known to
be wrong, of the longest. So evaluations gather where the maximum is, on all simplices of a
dimension at once, and end when no piece may be higher by more than a tolerance.

The bound is as good as the cubic: a feature much smaller than a linear piece, away from its corners
and from all points inside that were looked at, can be missed, as by any method that evaluates a
black box at finitely many points.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.evaluation import evaluate, points_at_once, values_and_gradients
from simplicial.loss import Loss
from simplicial.maps.mesh import INSIDE, Mesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = 16  # units in the last place by which a loss's largest values may be wrong
UNSEEN = 0.1  # bound's allowance on an unrefined piece, as a share of its cubic's spread
NEAR = 1.0  # how far outside a part, in its barycentric coordinates, its cubic is still to hold
TRUST = 2.0  # times the error of a cubic where it is known, that it may have elsewhere
DECAY = 0.25  # of the allowance when a piece is halved
SMALLEST = 60  # halvings of a piece after which no more is known about it than rounding


class Highest(NamedTuple):
    """The largest loss found on simplices, faces included where pieces touch them.

    largest      (m,) float64
    place        (m, r+1) float64, barycentric
    evaluations  (m,) int64, of the loss
    """

    largest: Floats
    place: Floats
    evaluations: Ints


class Seen(NamedTuple):
    """The loss at control points: values (K,) float64 and gradients (K, d)."""

    values: Floats
    gradients: Tensor


class Lattice(NamedTuple):
    """What was seen before inside simplices, at the same places of each.

    places  (p, r+1) float64, barycentric
    values  (m, p) float64, in the loss's units
    """

    places: Floats
    values: Floats


def highest(
    loss: Loss,
    pool: Tensor,
    seen: Seen,
    controls: Ints,
    mesh: Mesh,
    *,
    known: Floats,
    tolerance: float | Floats,
    memory: int,
    on_evaluations: Callable[[int], object] = lambda _count: None,
    lattice: Lattice | None = None,
) -> Highest:
    """The largest loss inside simplices, wherever it exceeds what is known of them.

    pool       (K, d) control points, seen: the loss there
    controls   (m, c) rows of the pool, one simplex each
    known      (m,) the largest loss known on each: what is lower need not be told apart
    tolerance  in the loss's units, for all or (m,): where `largest` exceeds `known`, nothing is
               higher by more
    memory     bytes for a batch of points, never the result
    lattice    what else was seen; `known` must be no lower
    Raises LossError where the loss is not finite.
    """
    if lattice is None:
        lattice = Lattice(np.empty((0, mesh.places.shape[1])), np.empty((len(controls), 0)))
    at_once = points_at_once(loss, pool, memory)
    inside = _Inside.of(mesh, lattice.places)
    centres = _at_centres(loss, pool, controls[:, mesh.pieces[inside.empty]], at_once, memory)
    evaluations = np.full(len(controls), centres.shape[1])
    on_evaluations(centres.size)
    heights = np.append(seen.values[controls[:, mesh.inside]], centres, axis=1)
    middles = mesh.places[mesh.pieces[inside.empty]].mean(axis=1)
    top = Tops.over(heights, np.append(mesh.places[mesh.inside], middles, axis=0), len(controls))
    floor = np.maximum(known, top.largest) + tolerance
    witnesses = _Witnesses(np.append(lattice.values, centres, axis=1), inside)
    whole = _whole_pieces(pool, seen, controls, mesh, witnesses, at_once)
    pieces = _Pieces.joined([part.above(floor) for part in whole])
    for _ in range(SMALLEST):
        pieces = pieces.above(np.maximum(known, top.largest) + tolerance)
        if not len(pieces.owner):
            break
        i, j = pieces.edges_to_cut()
        middle = (pieces.corner(i) + pieces.corner(j)) / 2
        values, slopes = _probe(loss, pool, pieces.rows, middle, at_once, memory)
        evaluations += np.bincount(pieces.owner, minlength=len(controls))
        on_evaluations(len(values))
        places = np.einsum("aj,aji->ai", middle, mesh.places[mesh.pieces[pieces.piece]])
        top.update(pieces.owner, values, places)
        pieces = pieces.halved(i, j, middle, values, slopes)
    return Highest(top.largest, top.place, evaluations)


def rounding(values: Floats, points: Tensor) -> Floats:
    """By how much values (..., c) of a loss may be wrong in the points' precision, (...)."""
    return ROUNDING * torch.finfo(points.dtype).eps * np.abs(values).max(axis=-1)


class Tops:
    """The largest value of each owner so far, and its place; grows by `update`."""

    def __init__(self, largest: Floats, place: Floats) -> None:
        self.largest, self.place = largest, place

    @classmethod
    def over(cls, heights: Floats, places: Floats, count: int) -> "Tops":
        """The largest of heights (m, i) at places (i, r+1); -inf and zeros where i is 0."""
        if not heights.shape[1]:
            return cls(np.full(count, -np.inf), np.zeros((count, places.shape[1])))
        best = heights.argmax(axis=1)
        return cls(heights[np.arange(count), best], places[best])

    def update(self, owner: Ints, values: Floats, places: Floats) -> None:
        """Take in values (a,) at places (a, r+1) of owners (a,)."""
        order = np.lexsort((-np.arange(len(owner)), values, owner))
        last = order[np.append(owner[order][1:] != owner[order][:-1], True)]
        last = last[values[last] > self.largest[owner[last]]]
        self.largest[owner[last]], self.place[owner[last]] = values[last], places[last]


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Parts of linear pieces: simplices whose corners are known in the piece that holds them.

    owner      (a,) which simplex
    piece      (a,) which of the mesh's linear pieces
    rows       (a, r+1) of the pool, the corners of that linear piece
    corners    (a, r+1, r+1) barycentric coordinates of the part's corners in it
    values     (a, r+1) the loss at the part's corners
    slopes     (a, r+1, r+1) gradient at each of them, times each of the linear piece's corners
    allowance  (a,) what the loss may exceed its cubic by
    witnesses  (a, q) what was seen inside that linear piece; NaN where a row is filled up
    places     (a, q, r+1) where, barycentric in the part, which need not hold them
    """

    owner: Ints
    piece: Ints
    rows: Ints
    corners: Floats
    values: Floats
    slopes: Floats
    allowance: Floats
    witnesses: Floats
    places: Floats

    @classmethod
    def joined(cls, parts: "list[_Pieces]") -> "_Pieces":
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def above(self, floor: Floats) -> "_Pieces":
        """Those that may hold more than the floor (m,) of their simplex."""
        highest, _ = _bernstein(self.values, self.rises())
        chosen = highest + np.maximum(self.allowance, TRUST * self.errors()) > floor[self.owner]
        return type(self)(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def corner(self, i: Ints) -> Floats:
        return self.corners[np.arange(len(i)), i]

    def rises(self) -> Floats:
        """(a, r+1, r+1): the derivative at corner i in the direction of corner j, to its length."""
        at = np.einsum("aik,ajk->aij", self.slopes, self.corners)
        return at - np.einsum("aii->ai", at)[:, :, None]

    def errors(self) -> Floats:
        """The largest distance (a,) of the cubic from what near witnesses saw; 0 without any."""
        near = (self.places >= -NEAR).all(axis=2) & ~np.isnan(self.witnesses)
        off = np.abs(self.witnesses - _cubic(self.values, self.rises(), self.places))
        return np.where(near, off, 0.0).max(axis=1, initial=0.0)

    def edges_to_cut(self) -> tuple[Ints, Ints]:
        """For each part the edge (i, j) along which its cubic is farthest from linear; the longest,
        in the linear piece, where the cubic is wrong.
        """
        rise = self.rises()
        curved = np.abs(rise + rise.transpose(0, 2, 1))
        skew = self.values[:, None, :] - self.values[:, :, None]
        skew = np.abs(skew - (rise - rise.transpose(0, 2, 1)) / 2)
        first, second = np.triu_indices(self.values.shape[1], 1)
        bent = (curved + skew)[:, first, second]
        long = np.abs(self.corners[:, first] - self.corners[:, second]).sum(axis=2)
        wrong = TRUST * self.errors() > self.allowance
        choice = np.where(wrong[:, None], long, bent).argmax(axis=1)
        return first[choice], second[choice]

    def halved(self, i: Ints, j: Ints, middle: Floats, values: Floats, slopes: Floats) -> "_Pieces":
        """Both halves, the part's edge (i, j) being cut at `middle`, where the loss is known."""
        a, rise = np.arange(len(i)), self.rises()
        cubic = (self.values[a, i] + self.values[a, j]) / 2 + (rise[a, i, j] + rise[a, j, i]) / 8
        allowance = DECAY * np.maximum(self.allowance, np.abs(values - cubic))
        middles = (middle, values, slopes)
        return self.joined([self._cut(*ends, middles, allowance) for ends in ((i, j), (j, i))])

    def _cut(
        self, corner: Ints, kept: Ints, middles: tuple[Floats, Floats, Floats], allowance: Floats
    ) -> "_Pieces":
        """The half in which the middle of the edge from `corner` to `kept` replaces the corner."""
        a, parts = np.arange(len(corner)), (self.corners, self.values, self.slopes)
        copies = [part.copy() for part in parts]
        for copy, new in zip(copies, middles, strict=True):
            copy[a, corner] = new
        places = self.places.copy()  # s c + t k is 2 s (c + k) / 2 + (t - s) k
        places[a, :, kept] -= places[a, :, corner]
        places[a, :, corner] *= 2
        return replace(
            self,
            corners=copies[0],
            values=copies[1],
            slopes=copies[2],
            allowance=allowance,
            places=places,
        )


class _Inside(NamedTuple):
    """Where linear pieces are looked at: points of a lattice, and a centre where none lies inside.

    points  (pieces, q) of the p points of the lattice, or p and more for the centres; -1 where a
            row is filled up
    places  (pieces, q, r+1) barycentric in the piece
    empty   (e,) the pieces whose centres these are
    """

    points: Ints
    places: Floats
    empty: Ints

    @classmethod
    def of(cls, mesh: Mesh, lattice: Floats) -> "_Inside":
        """With the points of a lattice (p, r+1), barycentric in the simplex."""
        pieces, corners = mesh.pieces.shape
        pairs, shares = mesh.holding(lattice)
        within = pairs[(shares > INSIDE).all(axis=1), 0]
        empty = np.setdiff1d(np.arange(pieces), within)
        centres = np.stack([empty, len(lattice) + np.arange(len(empty))], axis=1)
        pairs = np.append(pairs, centres, axis=0)
        shares = np.append(shares, np.full((len(empty), corners), 1 / corners), axis=0)
        order = np.argsort(pairs[:, 0], kind="stable")
        pairs, shares = pairs[order], shares[order]
        sizes = np.bincount(pairs[:, 0], minlength=pieces)
        column = np.arange(len(pairs)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        points = np.full((pieces, sizes.max()), -1)
        places = np.zeros((*points.shape, corners))
        points[pairs[:, 0], column], places[pairs[:, 0], column] = pairs[:, 1], shares
        return cls(points, places, empty)


class _Witnesses(NamedTuple):
    """What was seen inside the linear pieces of all simplices: values (m, p + e)."""

    values: Floats
    inside: _Inside

    def each(self, owners: slice) -> tuple[Floats, Floats]:
        """Witnesses (a, q) and places (a, q, r+1) for all pieces of some simplices, in order."""
        points, places, _ = self.inside
        seen = np.where(points < 0, np.nan, self.values[owners][:, points])
        rows, (pieces, q, corners) = len(seen), places.shape
        places = np.broadcast_to(places, (rows, pieces, q, corners))
        return seen.reshape(rows * pieces, q), places.reshape(rows * pieces, q, corners)


def _bernstein(values: Floats, rises: Floats) -> tuple[Floats, Floats]:
    """Largest and smallest Bernstein coefficient, (a,), of the cubic with these corner data.

    Coefficients on edges are values + rises / 3; that in the middle of a triangle is the usual
    choice that reproduces quadratics. Those of 4 different corners do not exist in a cubic.
    """
    edges = values[:, :, None] + rises / 3
    highest, lowest = edges.max(axis=(1, 2)), edges.min(axis=(1, 2))
    for corners in combinations(range(values.shape[1]), 3):
        centre = _centre(edges, corners)
        highest, lowest = np.maximum(highest, centre), np.minimum(lowest, centre)
    return highest, lowest


def _cubic(values: Floats, rises: Floats, places: Floats) -> Floats:
    """The cubic of `_bernstein`, (a, q), at barycentric coordinates (a, q, r+1), outside too."""
    edges = values[:, :, None] + rises / 3
    squares = places * places
    sums = np.einsum("aij,aqi,aqj->aq", 3 * edges, squares, places)
    sums -= 2 * np.einsum("ai,aqi->aq", values, squares * places)
    for corners in combinations(range(values.shape[1]), 3):
        sums += 6 * _centre(edges, corners)[:, None] * places[:, :, corners].prod(axis=2)
    return sums


def _centre(edges: Floats, corners: tuple[int, ...]) -> Floats:
    """The coefficient (a,) in the middle of a triangle, by those on its edges (a, r+1, r+1)."""
    block = edges[:, corners][:, :, corners]
    vertices = np.einsum("aii->a", block) / 3
    sides = (block.sum(axis=(1, 2)) - 3 * vertices) / 6
    return 1.5 * sides - 0.5 * vertices


def _whole_pieces(
    pool: Tensor,
    seen: Seen,
    controls: Ints,
    mesh: Mesh,
    witnesses: _Witnesses,
    at_once: int,
) -> Iterator[_Pieces]:
    """All linear pieces of all simplices, a memory budget at a time."""
    count, corners = mesh.pieces.shape
    step = max(1, at_once // (count * (corners + witnesses.inside.points.shape[1])))
    for first in range(0, len(controls), step):
        some = controls[first : first + step]
        rows = some[:, mesh.pieces].reshape(-1, corners)
        at = torch.as_tensor(rows, device=pool.device)
        slopes = torch.einsum("aid,ajd->aij", seen.gradients[at], pool[at]).double().cpu().numpy()
        seen_before, places = witnesses.each(slice(first, first + len(some)))
        whole = _Pieces(
            owner=np.repeat(np.arange(first, first + len(some)), count),
            piece=np.tile(np.arange(count), len(some)),
            rows=rows,
            corners=np.broadcast_to(np.eye(corners), (len(rows), corners, corners)),
            values=seen.values[rows],
            slopes=slopes,
            allowance=np.zeros(len(rows)),
            witnesses=seen_before,
            places=places,
        )
        highest, lowest = _bernstein(whole.values, whole.rises())
        yield replace(whole, allowance=UNSEEN * (highest - lowest))


def _at_centres(loss: Loss, pool: Tensor, corners: Ints, at_once: int, memory: int) -> Floats:
    """The loss (m, e) at the centres of linear pieces with corners (m, e, r+1) in the pool."""
    rows = corners.reshape(-1, corners.shape[2])
    parts = [rows[first : first + at_once] for first in range(0, len(rows), at_once)]
    seen = [
        evaluate(loss, pool[torch.as_tensor(part, device=pool.device)].mean(dim=1), memory).loss
        for part in parts
    ]
    return np.concatenate([np.empty(0), *seen]).reshape(corners.shape[:2])


def _probe(
    loss: Loss, pool: Tensor, rows: Ints, shares: Floats, at_once: int, memory: int
) -> tuple[Floats, Floats]:
    """The loss (a,) at sums of the pool's rows (a, r+1), and its slopes towards these rows."""
    values, slopes = [], []
    for first in range(0, len(rows), at_once):
        some = slice(first, first + at_once)
        corners = pool[torch.as_tensor(rows[some], device=pool.device)]
        share = torch.as_tensor(shares[some], device=pool.device).to(pool)
        value, g = values_and_gradients(loss, torch.einsum("aj,ajd->ad", share, corners), memory)
        values.append(value)
        slopes.append(torch.einsum("ad,ajd->aj", g, corners).double().cpu().numpy())
    return np.concatenate(values), np.concatenate(slopes)
