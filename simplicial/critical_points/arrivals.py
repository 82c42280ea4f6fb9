"""Critical points from the arrivals of a search: those of one index, each once, and what is left.

Arrivals are one point where they are within a radius of each other, or where a motion, a discrete
symmetry or the periods that the loss declares bring them there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from simplicial.critical_points.eigenvector_following import Arrival
from simplicial.domains.periods import Cell
from simplicial.loss import Loss, motions_of, symmetry_of
from simplicial.minima import LeftOut, Search

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MERGED = 1e-5  # distance over the box's diagonal below which two arrivals are one point
WIDEST = 1e-2  # the same, at most, where gradients are noise and points less certain
DIGITS = 1e-9  # of the range of the values, within which values are equal
UNALIKE = 1e-6  # share of the same beyond which no motion brings points together


class Distinct(NamedTuple):
    """Rows (k,) of distinct points, by value and then by coordinates, and arrivals (k,) at each."""

    rows: Ints
    counts: Ints


def distinct(
    arrival: Arrival,
    index: int,
    diagonal: float,
    tolerance: float,
    loss: Loss,
    *,
    cell: Cell | None = None,
) -> Distinct:
    """The critical points of a Morse index, without copies by the symmetries that a loss declares.

    diagonal   of the box of the starts
    tolerance  of gradients, by which a point is uncertain
    cell       of the periods of the loss; None: it has none
    """
    rows = np.flatnonzero(arrival.morse == index)
    if not rows.size:
        return Distinct(rows, rows)
    points, values = arrival.points.numpy()[rows], arrival.values[rows]
    softest = np.nanmin(np.abs(arrival.eigenvalues[rows]), axis=1, initial=np.inf)
    spread = np.minimum(2 * tolerance / softest, WIDEST * diagonal)
    radius = MERGED * diagonal / 2 + spread
    scale = max(1.0, float(np.ptp(values)))
    if motions_of(loss) is None and symmetry_of(loss) is None:
        pairs = _close(points if cell is None else cell.on_circles(points), radius)
    else:
        alike = UNALIKE * scale + float((tolerance * spread).max())
        pairs = _carried(points, values, radius, alike, loss)
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(rows.size, rows.size))
    label = connected_components(links, directed=False)[1]
    _, first, counts = np.unique(label, return_index=True, return_counts=True)
    order = _order(points[first], values[first], MERGED * diagonal)
    return Distinct(rows[first][order], counts[order])


def outcomes(arrival: Arrival, index: int, found: Distinct) -> Search:
    """The outcomes of all starts, as counts, and the lowest point that is none of the distinct."""
    degenerate = arrival.converged & (arrival.morse < 0)
    wanted = arrival.morse == index
    return Search(
        starts=len(wanted),
        duplicates=int(wanted.sum()) - len(found.rows),
        others=int((arrival.converged & ~degenerate & ~wanted).sum()),
        degenerate=int(degenerate.sum()),
        failures=int((~arrival.converged).sum()),
        once=int((found.counts == 1).sum()),
        twice=int((found.counts == 2).sum()),
        left_out=_left_out(arrival, index, found),
    )


def _left_out(arrival: Arrival, index: int, found: Distinct) -> LeftOut | None:
    there = (arrival.morse != index) & np.isfinite(arrival.values)
    there &= arrival.points.isfinite().all(dim=1).numpy()
    if not there.any():
        return None
    row = int(np.argmin(np.where(there, arrival.values, np.inf)))
    kind = "failure"
    if arrival.converged[row]:
        morse = int(arrival.morse[row])
        kind = "degenerate point" if morse < 0 else f"critical point of index {morse}"
    value, kept = float(arrival.values[row]), arrival.values[found.rows]
    margin = DIGITS * max(1.0, abs(value))
    lowest = bool((value < kept - margin).all())
    return LeftOut(value, tuple(arrival.points[row].tolist()), kind, lowest)


def _close(points: Floats, radius: Floats) -> Ints:
    """Pairs (p, 2) of points (m, d) within their radii (m,) together."""
    pairs = KDTree(points).query_pairs(2 * float(radius.max()), output_type="ndarray")
    near = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return pairs[near <= radius[pairs].sum(axis=1)]


def distances(points: Floats, target: Floats, radius: Floats, loss: Loss) -> Floats:
    """Distances (m,) of points (m, d) to a target (d,), each moved near it by the symmetries that a
    loss declares: by motions, and where that does not bring it within a radius (m,), by copies.
    """
    motions, symmetry = motions_of(loss), symmetry_of(loss)
    moved = points if motions is None else motions.nearest(points, target)
    away = np.linalg.norm(moved - target, axis=1)
    if symmetry is not None:
        for row in np.flatnonzero(away > radius):
            away[row] = np.linalg.norm(symmetry.nearest(moved[row], target) - target)
    return away


def _carried(points: Floats, values: Floats, radius: Floats, alike: float, loss: Loss) -> Ints:
    """Pairs (p, 2) of points that symmetries bring together: of each cluster, its first to all."""
    pairs, left = [], np.ones(len(points), dtype=bool)
    for first in np.argsort(values, kind="stable"):
        if not left[first]:
            continue
        rows = np.flatnonzero(left & (np.abs(values - values[first]) <= alike))
        within = radius[rows] + radius[first]
        rows = rows[distances(points[rows], points[first], within, loss) <= within]
        left[rows] = left[first] = False
        pairs.append(np.stack([np.full(rows.size, first), rows], axis=1))
    return np.concatenate(pairs)


def _order(points: Floats, values: Floats, radius: float) -> Ints:
    """By value, and then by coordinates, both rounded."""
    digits = DIGITS * max(1.0, float(np.ptp(values)))
    return np.lexsort([*np.round(points / radius).T[::-1], np.round(values / digits)])
