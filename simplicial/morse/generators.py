"""Generators of the Morse complex: non-degenerate critical points, with a ball around each in which
the function is nearly quadratic.

On a wall of a box a critical point is one of the function's restriction to the face that it is on,
and the function must fall outwards there, through each wall that holds it: only such points change
the topology of sublevel sets in the box (Laudenbach 2011, "A Morse complex on manifolds with
boundary"; Goresky & MacPherson 1988, "Stratified Morse Theory", I.3.7). The index is that of the
restriction.

The ball: its radius is R where |grad f(x) - H (x - q)| <= |w| |x - q| / 4 at |x - q| = R and R / 2
in many directions, w the eigenvalue nearest 0, components through walls left out. It is found by
halving, from half of the distance to the nearest other critical point. It is a sample, not a bound.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from simplicial.errors import SearchError
from simplicial.evaluation import derivatives, values_and_gradients
from simplicial.loss import Loss
from simplicial.morse.domain import Domain, Floats, Ints

POLISHING = 8  # steps of Newton's method, which starts close
MOVED = 1e-3  # of the distance between critical points that polishing may move one
FLAT = 1e-7  # eigenvalues over the largest of the point, below which it is degenerate
DIRECTIONS = 24  # in which the quadratic model is compared, beside the axes
SHARE = 0.25  # of the gradient's least linear part that the rest may be in the ball
HALVINGS = 40
HUGE = 1e300  # in place of the eigenvalues of a corner, which has none


class Generators(NamedTuple):
    """Critical points in order of Morse index, then value, then coordinates.

    unstable  for each point (d, k), orthonormal directions in which the function falls: its
              orientation. Index 0: none; index d: the standard one
    stable    for each point (d, c) orthonormal directions in its face in which it rises, and then
              the inward normals of the walls that hold it
    radii     (m,) of the balls
    """

    points: Floats  # (m, d)
    values: Floats  # (m,)
    morse: Ints  # (m,)
    walls: NDArray[np.int8]  # (m, d)
    eigenvalues: Floats  # (m, d), nan at the end where walls hold
    gradient_norms: Floats  # (m,) along the walls
    unstable: tuple[Floats, ...]
    stable: tuple[Floats, ...]
    radii: Floats

    def of_index(self, index: int) -> Ints:
        """Positions (k,) of the points of one Morse index."""
        return np.flatnonzero(self.morse == index)


class _Model(NamedTuple):
    """A function at one point, restricted to its face."""

    eigenvalues: Floats  # (f,) ascending
    axes: Floats  # (d, f)


def generators(loss: Loss, given: Floats, domain: Domain) -> Generators:
    """Critical points (m, d) given in any order, polished.

    Raises SearchError for what is no critical point, is degenerate, lies outside of the walls or
    twice in the list, or on a wall through which the function does not fall.
    """
    _check_inside(given, domain)
    walls = domain.at_walls(given)
    points = _polished(loss, domain.clipped(given), walls, domain)
    _check_distinct(points, given, domain)
    values, gradients, hessians = _derivatives(loss, points)
    models = [_model(i, points[i], hessians[i], walls[i]) for i in range(len(points))]
    _check_walls(points, gradients, walls)
    morse = np.array([(model.eigenvalues < 0).sum() for model in models], np.int64)
    order = np.lexsort((*points.T[::-1], values, morse))
    eigenvalues = np.full(points.shape, np.nan)
    for row, model in zip(eigenvalues, models, strict=True):
        row[: model.eigenvalues.size] = model.eigenvalues
    norms = np.linalg.norm(np.where(walls == 0, gradients, 0.0), axis=1)
    radii = _radii(loss, points, (hessians, gradients, eigenvalues, walls), domain)
    return Generators(
        points[order],
        values[order],
        morse[order],
        walls[order],
        eigenvalues[order],
        norms[order],
        tuple(_unstable(models[i], points.shape[1]) for i in order),
        tuple(_stable(models[i], walls[i]) for i in order),
        radii[order],
    )


def _check_inside(given: Floats, domain: Domain) -> None:
    outside = domain.is_outside(given)
    if outside.any():
        i, axis = np.argwhere(outside)[0]
        low, high = domain.walls[:, axis]
        raise SearchError(
            f"critical points must lie within the walls, point {i} at {shown(given[i])} has "
            f"coordinate {axis} outside of [{low:.6g}, {high:.6g}]: leave that point out, or give "
            "a box that holds it"
        )


def _derivatives(loss: Loss, points: Floats) -> tuple[Floats, Floats, Floats]:
    found = derivatives(loss, torch.as_tensor(points))
    return tuple(part.double().cpu().numpy() for part in found[:3])  # pyright: ignore


def _polished(loss: Loss, points: Floats, walls: NDArray[np.int8], domain: Domain) -> Floats:
    """Newton's method along the walls that hold each point; points that it leaves are refused."""
    points = points.copy()
    for wall, side in ((-1, 0), (1, 1)):
        points = np.where(walls == wall, domain.walls[side], points)
    start = points.copy()
    for _ in range(POLISHING):
        _, gradients, hessians = _derivatives(loss, points)
        for i, (g, h) in enumerate(zip(gradients, hessians, strict=True)):
            free = walls[i] == 0
            if free.any() and np.isfinite(h).all() and np.isfinite(g).all():
                points[i, free] -= np.linalg.lstsq(h[np.ix_(free, free)], g[free], rcond=1e-12)[0]
    apart = _nearest_other(start, domain)
    moved = np.linalg.norm(points - start, axis=1)
    far = ~(moved <= MOVED * apart)
    if far.any():
        i = int(np.argmax(far))
        raise SearchError(
            "a Morse complex is generated by critical points, but Newton's method leads from "
            f"{shown(start[i])} away to {shown(points[i])}: give the points that "
            "find_critical_points finds"
        )
    return points


def _nearest_other(points: Floats, domain: Domain) -> Floats:
    """Distance (m,) of each point to the nearest other; 1 where there is none."""
    ways = np.linalg.norm(domain.displacement(points[:, None], points[None]), axis=2)
    np.fill_diagonal(ways, np.inf)
    if len(points) == 1:
        finite = np.diff(domain.walls, axis=0)[0]
        return np.array([min(1.0, finite.min(), domain.periods.min() / 2)])
    return np.minimum(ways.min(axis=1), domain.periods.min() / 2)


def _check_distinct(points: Floats, given: Floats, domain: Domain) -> None:
    ways = np.linalg.norm(domain.displacement(points[:, None], points[None]), axis=2)
    np.fill_diagonal(ways, np.inf)
    spread = max(float(np.ptp(points, axis=0).max()), 1e-300)
    if len(points) > 1 and ways.min() <= 1e-7 * spread:
        i, j = np.unravel_index(int(ways.argmin()), ways.shape)
        raise SearchError(
            f"critical points must be distinct, point {i} at {shown(given[i])} equals point {j}: "
            "leave one of them out"
        )


def _model(i: int, point: Floats, hessian: Floats, walls: NDArray[np.int8]) -> _Model:
    free = np.flatnonzero(walls == 0)
    if not np.isfinite(hessian).all():
        raise SearchError(
            f"a Morse complex needs second derivatives, at critical point {i}, {shown(point)}, "
            "they are not finite: leave out cusps, or smooth the function"
        )
    w, inner = np.linalg.eigh(hessian[np.ix_(free, free)])
    if w.size and np.abs(w).min() <= FLAT * np.abs(w).max():
        raise SearchError(
            f"critical points must be non-degenerate, point {i} at {shown(point)} has the "
            f"eigenvalue {w[np.abs(w).argmin()]:.2g} beside {np.abs(w).max():.2g}: perturb the "
            "function"
        )
    axes = np.zeros((point.size, free.size))
    axes[free] = inner
    return _Model(w, axes)


def _check_walls(points: Floats, gradients: Floats, walls: NDArray[np.int8]) -> None:
    """Raise where the function rises, or is flat, outwards through a wall that holds a point."""
    scale = np.linalg.norm(gradients, axis=1, keepdims=True)
    rising = (walls != 0) & (walls * gradients >= -1e-9 * scale)
    if rising.any():
        i, axis = np.argwhere(rising)[0]
        raise SearchError(
            f"a critical point on a wall counts where the function falls outwards, at "
            f"{shown(points[i])} it rises along coordinate {axis} or is flat: leave that point "
            "out, or move the wall"
        )


def _unstable(model: _Model, d: int) -> Floats:
    """The orientation of the descending disc."""
    axes = model.axes[:, model.eigenvalues < 0]
    return np.eye(d) if axes.shape[1] == d else axes


def _stable(model: _Model, walls: NDArray[np.int8]) -> Floats:
    held = np.flatnonzero(walls)
    inward = -np.eye(walls.size)[:, held] * walls[held]
    return np.concatenate([model.axes[:, model.eigenvalues > 0], inward], axis=1)


def _radii(
    loss: Loss,
    points: Floats,
    parts: tuple[Floats, Floats, Floats, NDArray[np.int8]],
    domain: Domain,
) -> Floats:
    """Radii (m,) of the balls around points (m, d)."""
    hessians, gradients, eigenvalues, walls = parts
    m, d = points.shape
    rng = np.random.default_rng(0)
    directions = np.concatenate([np.eye(d), -np.eye(d), rng.normal(size=(DIRECTIONS, d))])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    least = np.nanmin(np.abs(eigenvalues), axis=1, initial=HUGE)
    free, held = walls == 0, walls != 0
    radii = _nearest_other(points, domain) / 2
    left = np.arange(m)
    for _ in range(HALVINGS):
        steps = radii[left, None, None, None] * np.array([1, 0.5])[:, None, None] * directions
        steps = steps.reshape(len(left), -1, d)
        at = domain.clipped(points[left, None] + steps)
        steps = at - points[left, None]
        _, g = values_and_gradients(loss, torch.as_tensor(at.reshape(-1, d)))
        g = g.double().cpu().numpy().reshape(at.shape)
        rest = g - np.einsum("mij,mkj->mki", hessians[left], steps)
        rest = np.where(free[left, None], rest, 0.0)
        allowed = SHARE * least[left, None] * np.linalg.norm(steps, axis=2)
        good = (np.linalg.norm(rest, axis=2) <= allowed) | (allowed == 0)
        outward = np.where(held[left, None], g * walls[left, None], -np.inf)
        half = (gradients * walls)[left, None] / 2
        good &= ((outward <= half) | free[left, None]).all(axis=2)
        left = left[~good.all(axis=1)]
        if not left.size:
            return radii
        radii[left] /= 2
    raise SearchError(
        f"a Morse complex needs a smooth function, near {shown(points[left[0]])} its gradient is "
        "not that of its second derivatives: leave out cusps, or smooth the function"
    )


def shown(point: Floats) -> str:
    """A point in a message."""
    return f"({', '.join(f'{x:.6g}' for x in point)})"
