"""Certificates: the critical points near which simplices are highest, and the ends of bars there.

A bar of index r is born at a critical point of Morse index r and dies at one of index r + 1. From
the highest point of each simplex the nearest critical point is sought; where it is found nearby, in
place and in value, its value is the simplex's: a simplex whose highest point lies close to a
critical point of Morse index r or more can be pushed through it. An honest maximum bounds the
minimax from above, so no critical value above it is taken, but for what it may have missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import Barcode, BarEnds, Ends
from reduction.filtrations.colex import complete_positions
from simplicial.critical_points.eigenvector_following import follow
from simplicial.critical_points.quadratic_model import DENSE, TINY
from simplicial.evaluation import values_and_gradients
from simplicial.loss import Loss
from simplicial.maps.control_points import Simplices

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Values = tuple[Floats, ...]  # of all simplices of a complete complex, by dimension

NEAR = 0.1  # share of the loss's range within which a critical value is near a maximum
SEARCH = 50  # steps of a search: what is near is found in a few
LEASH = 2.0  # times how far a near point is, at which a search is given up
ALONE = 0.1  # share of the distance to the next vertex within which a critical point is a vertex's


@dataclass(frozen=True, slots=True, eq=False)
class Certificates:
    """What was found where simplices of one dimension are highest inside.

    simplices       (k,) int64, ranks of the simplices that are higher inside than on their faces
    accepted        (k,) bool: a critical point lies nearby, of Morse index r or more
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


def certify(
    loss: Loss,
    pool: Tensor,
    simplices: Simplices,
    which: Ints,
    heights: Floats,
    place: Floats,
    *,
    top: int,
    spread: float,
    above: Floats | float,
    memory: int,
    on_simplices: Callable[[int], object] = lambda _count: None,
) -> Certificates:
    """Look for critical points from the highest points of the simplices `which` (k,).

    heights  (k,) the loss at these points, place (k, r+1) where they are, barycentric
    top      highest Morse index that an end of a bar can have
    spread   range of the filtration's values
    above    how much higher than a simplex's maximum its critical value may be, for all or (k,)
    memory   bytes for a batch of points
    Searches go for Morse index r first, then for higher ones: by symmetry a path may cross a ridge
    at a point of index 2.
    """
    r, d = simplices.dim, pool.shape[1]
    count = min(d, top + 2)
    located = simplices.simplex_map.locate(place)
    rows = np.take_along_axis(simplices.controls[which], located.corners, axis=1)
    corners = pool[torch.as_tensor(rows, device=pool.device)]
    share = torch.as_tensor(located.weights, device=pool.device).to(pool)
    starts = torch.einsum("kj,kjd->kd", share, corners)
    reach = _reach(pool, len(simplices.vertices), corners) if len(which) else np.empty(0)
    points = starts.double().cpu().numpy().copy()
    values, gradients = values_and_gradients(loss, starts, memory)
    norms = gradients.norm(dim=1).double().cpu().numpy()
    eigenvalues, morse = np.full((len(which), count), np.nan), np.full(len(which), -1)
    accepted, above = np.zeros(len(which), dtype=bool), np.broadcast_to(above, len(which))
    for index in range(r, min(d, top) + 1):
        for left in _batches(np.flatnonzero(~accepted), d):
            start = starts[torch.as_tensor(left)]
            found = follow(loss, start, index, reach[left], SEARCH, leash=LEASH, memory=memory)
            end = found.points.double().cpu().numpy()
            near = np.linalg.norm(end - points[left], axis=1) <= reach[left]
            rise = found.values - heights[left]
            near &= (np.abs(rise) <= NEAR * spread) & (rise <= above[left]) & (found.morse >= r)
            chosen = left[near]
            accepted[chosen] = True
            points[chosen], values[chosen] = end[near], found.values[near]
            norms[chosen], morse[chosen] = found.gradient_norms[near], found.morse[near]
            known = found.eigenvalues[near][:, :count]
            eigenvalues[chosen, : known.shape[1]] = known
            on_simplices(len(left) if index == r else 0)
    return Certificates(which, accepted, points, values, norms, eigenvalues, morse)


def with_certificates(
    barcode: Barcode, values: Values, certificates: tuple[Certificates, ...]
) -> Barcode:
    """The barcode, each end with the critical point on the simplex that gives it.

    A simplex has its value from the faces that have the same one: of these the one counts whose
    critical point has the Morse index that the end must have, if there is one.
    """
    ends = []
    for r in range(len(barcode)):
        births, deaths = barcode.pairs(r)
        ends.append(
            BarEnds(
                _ends(births, r, values, certificates),
                _ends(deaths, r + 1, values, certificates),
            )
        )
    return barcode.with_ends(ends)


def _batches(which: Ints, dim: int) -> list[Ints]:
    """Searches at once: all, or one by one where there are only products with the Hessian."""
    return [which] if dim <= DENSE and len(which) else list(which[:, None])


def _reach(pool: Tensor, vertices: int, corners: Tensor) -> Floats:
    """How far from a simplex's highest point a critical point is near, (k,).

    The longest edge of the linear piece that holds it, (k, r+1, d); for vertices a share of the
    distance to the next one.
    """
    if corners.shape[1] > 1:
        longest = _distances(corners).amax(dim=(1, 2)).double().cpu().numpy()
        return np.maximum(longest, TINY)  # of a collapsed piece: nothing else is near
    distance = _distances(pool[:vertices])
    distance.fill_diagonal_(torch.inf)
    return ALONE * distance.amin(dim=1).double().cpu().numpy()


def _distances(points: Tensor) -> Tensor:
    """Between points (..., k, d), (..., k, k), exact where they are close to each other."""
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")


def _ends(
    simplices: Ints,
    index: int,
    values: Values,
    certificates: tuple[Certificates, ...],
) -> Ends:
    """Critical points of Morse index `index` at which these simplices (m, index+1) begin or end."""
    d, e = certificates[0].points.shape[1], certificates[0].eigenvalues.shape[1]
    m = len(simplices)
    points, norms = np.full((m, d), np.nan), np.full(m, np.nan)
    eigenvalues, morse = np.full((m, e), np.nan), np.full(m, -1)
    certified = np.zeros(m, dtype=bool)
    for row, simplex in enumerate(simplices):
        if simplex[0] < 0:
            continue
        found, at = _carrier(simplex, index, values, certificates)
        points[row], norms[row] = found.points[at], found.gradient_norms[at]
        eigenvalues[row], morse[row] = found.eigenvalues[at], found.morse[at]
        certified[row] = found.accepted[at] and found.morse[at] == index
    return Ends(certified, points, norms, eigenvalues, morse)


def _carrier(
    simplex: Ints,
    index: int,
    values: Values,
    certificates: tuple[Certificates, ...],
) -> tuple[Certificates, int]:
    """The certificates and the row in them of the face from which a simplex has its value."""
    height, carriers = _height(simplex, values), []
    for size, found in enumerate(certificates[: len(simplex)], start=1):
        faces = complete_positions(np.array(list(combinations(simplex.tolist(), size))))
        faces = faces[values[size - 1][faces] == height]
        faces = faces[np.isin(faces, found.simplices)]
        carriers += [(found, int(at)) for at in np.searchsorted(found.simplices, faces)]
    assert carriers, "a value is that of a face which is higher than its own faces"
    right = (c for c in carriers if c[0].accepted[c[1]] and c[0].morse[c[1]] == index)
    return next(right, carriers[0])


def _height(simplex: Ints, values: Values) -> float:
    return float(values[len(simplex) - 1][complete_positions(simplex)])
