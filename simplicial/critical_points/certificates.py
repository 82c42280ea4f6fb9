"""Certificates: critical points near the highest points of simplices, and births and deaths there.

A bar of index r is born at a critical point of Morse index r and dies at one of index r + 1. From
the highest point of each simplex the nearest critical point is sought. Where its value is the
simplex's maximum, the simplex runs through it. Where it is lower, its value is the simplex's only
if a map attains it, and no more: one is made, and measured (`lowered_maps`). For an edge that may
also be the two ways down from the critical point (`descents`), which end at the edge's vertices, or
at vertices that are joined to them by edges no higher. A refined maximum bounds the minimax from
above, so no critical value above it is accepted. Where components meet at an edge, passes beside
its own are sought too: if a lower one joins the two, the edge is not certified.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import Barcode, BarEnds, Ends
from reduction.filtrations.colex import positions_among
from reduction.validation import first_line
from simplicial.critical_points.descents import Descents
from simplicial.critical_points.eigenvector_following import follow
from simplicial.critical_points.findings import Acceptance, Candidate, Findings, Maps
from simplicial.critical_points.quadratic_model import DENSE, TINY
from simplicial.errors import LossError
from simplicial.evaluation import hessian_operator
from simplicial.loss import Loss
from simplicial.maps.control_points import Simplices
from simplicial.maxima.maxima import Maxima

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Values = tuple[Floats, ...]  # of all simplices of a complex, by dimension

NEAR = 0.1  # share of the loss's range within which a critical value is near a maximum
ITERATIONS = 50  # of eigenvector following: what is near is found in a few
LEASH = 2.0  # distance from the start, over the reach, at which a search is given up
ALONE = 0.1  # share of the distance to the next vertex within which a critical point is a vertex's


@dataclass(frozen=True, slots=True, eq=False)
class Certificates:
    """Critical points near the simplices of one dimension that are highest inside.

    simplices       (k,) int64, ranks of the simplices that are higher inside than on their faces
    accepted        (k,) bool: a critical point lies nearby, of Morse index r or more, and a map of
                    the simplex attains its value, and no more
    points          (k, d) float64, the critical point, or the highest point itself if none is near
    values          (k,) float64, the loss there
    gradient_norms  (k,) float64
    eigenvalues     (k, e) float64, the lowest of the Hessian, ascending; nan where unknown
    morse           (k,) int64, Morse index; -1 where unknown
    """

    simplices: Ints
    accepted: NDArray[np.bool_]
    points: Floats
    values: Floats
    gradient_norms: Floats
    eigenvalues: Floats
    morse: Ints

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            getattr(self, name).flags.writeable = False


def check_second_derivatives(loss: Loss, point: Tensor) -> None:
    """Raise LossError where torch has no second derivative of a loss at a point (d,)."""
    try:
        hessian_operator(loss, point).hessian(point)
    except RuntimeError as error:  # NotImplementedError is one
        reason = first_line(error)
        if "derivative" not in reason and "use_reentrant" not in reason:
            raise
        raise LossError(
            f"certify=True takes second derivatives, torch has none of this loss ({reason}): leave "
            "certify out, or compute the loss by operations that have them"
        ) from error


def certify(
    loss: Loss,
    control_points: Tensor,
    simplices: Simplices,
    which: Ints,
    maxima: Maxima,
    *,
    acceptance: Acceptance,
    memory: int,
    on_simplices: Callable[[int], object] = lambda _count: None,
) -> Certificates:
    """Critical points near the highest points of the simplices `which` (k,).

    maxima  (k,) of these simplices
    memory  bytes for a batch of points
    Searches go for Morse index r first, then for higher ones: by symmetry a path may cross a ridge
    at a point of index 2.
    """
    r, d, top = simplices.dim, control_points.shape[1], acceptance.highest_index
    starts, corners = _highest_points(control_points, simplices, which, maxima.barycentric)
    reach = _reach(control_points[: len(simplices.vertices)], corners)
    begin = starts.double().cpu().numpy()
    found = Findings.at(loss, starts, min(d, top + 2), memory)
    vertices = control_points[: int(simplices.vertices.max(initial=-1)) + 1]
    descents = Descents(loss, vertices, acceptance.tolerance, memory)
    maps = Maps(loss, control_points, simplices, acceptance, memory, descents)
    passes: list[Candidate] = []  # those of edges
    for index in range(r, min(d, top) + 1):
        lower: list[Candidate] = []
        for rows in _batches(np.flatnonzero(~found.accepted), d):
            start = starts[torch.as_tensor(rows)]
            arrival = follow(
                loss, start, index, reach[rows], ITERATIONS, leash=LEASH, memory=memory
            )
            rise, end = arrival.values - maxima.values[rows], arrival.points.double().cpu().numpy()
            near = np.linalg.norm(end - begin[rows], axis=1) <= reach[rows]
            near &= np.abs(rise) <= NEAR * acceptance.value_range
            near &= (rise <= acceptance.error_bounds[rows]) & (arrival.morse >= r)
            lower += [Candidate(int(rows[at]), arrival, int(at)) for at in np.flatnonzero(near)]
            on_simplices(len(rows) if index == r else 0)
        for candidate in lower:
            if maps.attain(which, candidate, maxima):
                found.accept(candidate)
        if index == r == 1:
            left = [candidate for candidate in lower if not found.accepted[candidate.row]]
            for candidate in maps.ways_down(which, found, left, reach):
                found.accept(candidate)
            passes = lower
    if passes:
        found.reject(maps.undercut(which, found, passes, reach))
    return Certificates(which, *found.arrays)


def with_certificates(
    barcode: Barcode,
    values: Values,
    simplices: tuple[Ints, ...],
    certificates: tuple[Certificates, ...],
) -> Barcode:
    """The barcode, with the critical points of births and deaths.

    simplices  vertices (m, r+1) of those that have the values, for each dimension
    A simplex has its value from the faces that have the same one: of these the one counts whose
    critical point has the Morse index of the birth or death, if there is one.
    """
    ends, of = [], Carriers(values, simplices, certificates)
    for r in range(len(barcode)):
        births, deaths = barcode.pairs(r)
        ends.append(BarEnds(of.ends(births, r), of.ends(deaths, r + 1)))
    return barcode.with_ends(ends)


def _highest_points(
    control_points: Tensor, simplices: Simplices, which: Ints, barycentric: Floats
) -> tuple[Tensor, Tensor]:
    """Points (k, d) of simplices `which`, and the corners (k, r+1, d) of their linear pieces."""
    located = simplices.simplex_map.locate(barycentric)
    rows = np.take_along_axis(simplices.controls[which], located.corners, axis=1)
    corners = control_points[torch.as_tensor(rows, device=control_points.device)]
    weights = torch.as_tensor(located.weights, device=corners.device).to(corners)
    return torch.einsum("kj,kjd->kd", weights, corners), corners


def _batches(which: Ints, dim: int) -> list[Ints]:
    """Searches at once: all, or one by one where there are only products with the Hessian."""
    return [which] if dim <= DENSE and len(which) else list(which[:, None])


def _reach(vertices: Tensor, corners: Tensor) -> Floats:
    """Distance (k,) from a simplex's highest point within which a critical point is near.

    The longest edge of the linear piece (k, r+1, d) that holds it; for vertices (n, d) themselves,
    which are all k then, a share of the distance to the next one.
    """
    if not len(corners):
        return np.empty(0)
    if corners.shape[1] > 1:
        longest = _distances(corners).amax(dim=(1, 2)).double().cpu().numpy()
        return np.maximum(longest, TINY)  # of a collapsed piece: nothing else is near
    distance = _distances(vertices)
    distance.fill_diagonal_(torch.inf if len(vertices) > 1 else 1.0)  # no scale but its own
    return ALONE * distance.amin(dim=1).double().cpu().numpy()


def _distances(points: Tensor) -> Tensor:
    """Distances (..., k, k) between points (..., k, d), exact where they are close together."""
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")


class Carriers(NamedTuple):
    """The faces from which simplices have their values, and their certificates."""

    values: Values
    simplices: tuple[Ints, ...]
    certificates: tuple[Certificates, ...]

    def ends(self, simplices: Ints, index: int) -> Ends:
        """Critical points of Morse index `index` for the births or deaths (m, index+1) of bars."""
        first = self.certificates[0]
        d, e, m = first.points.shape[1], first.eigenvalues.shape[1], len(simplices)
        points, norms = np.full((m, d), np.nan), np.full(m, np.nan)
        eigenvalues, morse = np.full((m, e), np.nan), np.full(m, -1)
        certified = np.zeros(m, dtype=bool)
        for row, simplex in enumerate(simplices):
            if simplex[0] < 0:
                continue
            found, at = self.of(simplex, index)
            points[row], norms[row] = found.points[at], found.gradient_norms[at]
            eigenvalues[row], morse[row] = found.eigenvalues[at], found.morse[at]
            certified[row] = found.accepted[at] and found.morse[at] == index
        return Ends(certified, points, norms, eigenvalues, morse)

    def of(self, simplex: Ints, index: int) -> tuple[Certificates, int]:
        """The certificates, and the row in them, of the face from which a simplex has its value."""
        value = self._values(simplex[None])[0]
        carriers = []
        for size, found in enumerate(self.certificates[: len(simplex)], start=1):
            faces = np.array(list(combinations(simplex.tolist(), size)))
            at = positions_among(self.simplices[size - 1], faces)[self._values(faces) == value]
            at = at[np.isin(at, found.simplices)]
            carriers += [(found, int(row)) for row in np.searchsorted(found.simplices, at)]
        assert carriers, "a value is that of a face which is higher than its own faces"
        right = (c for c in carriers if c[0].accepted[c[1]] and c[0].morse[c[1]] == index)
        return next(right, carriers[0])

    def _values(self, simplices: Ints) -> Floats:
        """f (k,) of simplices (k, r+1)."""
        r = simplices.shape[1] - 1
        return self.values[r][positions_among(self.simplices[r], simplices)]
