"""Boundary matrices of the Morse complex, for the degrees in which flow lines are isolated curves
that can be followed: 1, and the highest, d.

- Degree 1: from a point of index 1 two lines run down, one on each side of its stable manifold. The
  boundary is the minimum at which the line along its orientation ends, minus the other one.
- Degree d: into a point q of index d - 1 at most two lines run down from points of index d, one
  from each side, or one from inside the box where q is on a wall. Followed uphill, they end there,
  or leave. With R^d oriented by its coordinates and q by its basis U, a line has the sign of
  det(velocity at q, U) (Audin & Damian 2014, "Morse Theory and Floer Homology", 3.3).

A line that strays a little only adds a lower generator of the same index (uphill: a higher one), so
the barcode stays as long as the matrices still compose to 0, which `morse_complex` checks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simplicial.errors import SearchError
from simplicial.morse.domain import Floats, Ints
from simplicial.morse.flow import LOST, OUTSIDE, STALLED, Flow, Targets, follow
from simplicial.morse.generators import Generators, shown

BEGIN = 1e-3  # of a ball's radius, the distance from a critical point at which lines begin


class Descents(NamedTuple):
    """Lines down from points of index 1: (n, 2) minima by their positions, first against the
    orientation and then along it; crossings (n, 2, l, d) of levels.
    """

    minima: Ints
    crossings: Floats


def descents(flow: Flow, found: Generators, levels: Floats) -> Descents:
    """Both lines down from each point of index 1. Raises SearchError."""
    saddles, minima = found.of_index(1), found.of_index(0)
    axes = np.array([found.unstable[i][:, 0] for i in saddles]).reshape(-1, flow.domain.dim)
    steps = BEGIN * found.radii[saddles, None] * axes
    starts = found.points[saddles, None] + np.stack([-steps, steps], axis=1)
    targets = Targets(found.points[minima], found.radii[minima])
    every = np.broadcast_to(levels, (2 * saddles.size, levels.size))
    lines = follow(flow, starts.reshape(-1, axes.shape[1]), targets, every)
    check_ends(lines.targets, lines.points, found, np.repeat(saddles, 2), flow)
    shape = (saddles.size, 2, levels.size, axes.shape[1])
    return Descents(lines.targets.reshape(-1, 2), lines.crossings.reshape(shape))


def first_boundary(found: Descents, minima: int) -> NDArray[np.int64]:
    """The boundary matrix (minima, n) of degree 1."""
    matrix = np.zeros((minima, len(found.minima)), np.int64)
    columns = np.arange(len(found.minima))
    np.add.at(matrix, (found.minima[:, 1], columns), 1)
    np.add.at(matrix, (found.minima[:, 0], columns), -1)
    return matrix


def last_boundary(flow: Flow, found: Generators) -> NDArray[np.int64]:
    """The boundary matrix of degree d >= 2, from lines uphill. Raises SearchError.

    flow  uphill
    """
    d = flow.domain.dim
    below, tops = found.of_index(d - 1), found.of_index(d)
    matrix = np.zeros((below.size, tops.size), np.int64)
    rows, sides = [], []
    for row, i in enumerate(below):
        axis = found.stable[i][:, 0]
        rows += [row] * (1 if found.walls[i].any() else 2)
        sides += [axis] if found.walls[i].any() else [axis, -axis]
    if not tops.size or not rows:
        return matrix
    at, ways = below[rows], np.array(sides)
    starts = found.points[at] + BEGIN * found.radii[at, None] * ways
    lines = follow(flow, starts, Targets(found.points[tops], found.radii[tops]))
    check_ends(lines.targets, lines.points, found, at, flow)
    for row, way, top in zip(rows, ways, lines.targets.tolist(), strict=True):
        if top != OUTSIDE:
            frame = np.column_stack([-way, found.unstable[below[row]]])
            matrix[row, top] += int(np.sign(np.linalg.det(frame)))
    return matrix


def check_ends(targets: Ints, points: Floats, found: Generators, origins: Ints, flow: Flow) -> None:
    """Raise SearchError for a line that ends nowhere, or at no critical point that is given."""
    bad = np.flatnonzero((targets < 0) & ((targets != OUTSIDE) | (not flow.uphill)))
    if not bad.size:
        return
    row = int(bad[0])
    line = f"a flow line {'uphill' if flow.uphill else 'down'} from critical point "
    line += f"{shown(found.points[origins[row]])}"
    at, kind = points[row], targets[row]
    if kind == OUTSIDE:
        raise SearchError(
            f"sublevel sets must be bounded, {line} leaves for {shown(at)}: give a box, or the "
            "critical points that are missing"
        )
    if kind == LOST:
        raise SearchError(
            f"{line} must end, it is under way at {shown(at)} still: scale the coordinates so that "
            "curvatures are more alike"
        )
    assert kind == STALLED
    apart = np.linalg.norm(flow.domain.displacement(found.points, at), axis=1)
    nearest = int(np.argmin(apart / found.radii))
    if apart[nearest] <= found.radii[nearest]:
        raise SearchError(
            f"flow lines must be transversal, {line} ends at {shown(found.points[nearest])} of "
            f"index {found.morse[nearest]}: perturb the function, or stretch its coordinates"
        )
    raise SearchError(
        f"a Morse complex needs all critical points, {line} ends at {shown(at)}, which is none of "
        "those given: add it"
    )
