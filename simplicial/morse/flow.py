"""Lines of the gradient flow x' = -grad f(x), or uphill x' = grad f(x), many at once.

Dormand and Prince's method of order 5(4) with a step of its own for each line; every step must
lower f, or uphill raise it. At a wall towards which it points the flow runs along the wall. A line
ends in the ball of a target, in which f rises in every direction from its centre, so that the flow
stays inside and runs into it.
Source: Dormand & Prince, J. Comp. Appl. Math. 6, 19 (1980); Hairer, Nørsett & Wanner (1993),
"Solving Ordinary Differential Equations I", II.4 and II.6.
"""

from typing import NamedTuple

import numpy as np
import torch

from simplicial.evaluation import values_and_gradients
from simplicial.loss import Loss
from simplicial.morse.domain import Domain, Floats, Ints

OUTSIDE, STALLED, LOST = -1, -2, -3  # in place of a target
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
TOLERANCE = 1e-8  # of a step, in units of the length of the flow's region
LONGEST = 0.02  # step, in the same units
STEPS = 20_000
STILL = 1e-9  # of the fastest that a line was, below which it has run into a critical point
SHORTEST = 1e-14  # step, in the same units: there f does not fall any more


class Flow(NamedTuple):
    """A gradient flow.

    region  (2, d), beyond which a line is not followed; inf along periodic coordinates
    length  of the region, for steps
    """

    loss: Loss
    domain: Domain
    region: Floats
    length: float
    uphill: bool = False

    def at(self, points: Floats) -> tuple[Floats, Floats]:
        """Values (b,), uphill their negatives, and velocities (b, d)."""
        values, gradients = values_and_gradients(self.loss, torch.as_tensor(points))
        slopes = gradients.double().cpu().numpy()
        if self.uphill:
            return -values, slopes
        return values, self.domain.along(-slopes, points)

    def inside(self, points: Floats) -> Floats:
        """Points (b, d) at which the function is defined."""
        return self.domain.clipped(points)


class Targets(NamedTuple):
    """Balls in which lines end: centres (t, d), radii (t,)."""

    centres: Floats
    radii: Floats


class Lines(NamedTuple):
    """Ends of b lines.

    targets    (b,) rows of the targets; OUTSIDE, STALLED or LOST
    points     (b, d) where each ended
    crossings  (b, l, d) where each crossed each level from above: its start for a level that is not
               below the start, its end for one that it did not reach
    """

    targets: Ints
    points: Floats
    crossings: Floats


def follow(flow: Flow, starts: Floats, targets: Targets, levels: Floats | None = None) -> Lines:
    """Lines from starts (b, d) to their ends; levels (b, l) of each descend."""
    none = np.empty((len(starts), 0))
    lines = _Lines(flow, starts, targets, none if levels is None else levels)
    for _ in range(STEPS):
        if not lines.active.size:
            break
        lines.advance()
    return lines.ended()


class _Lines:
    """Lines under way: arrays are of all lines, `active` those that have not ended."""

    def __init__(self, flow: Flow, starts: Floats, targets: Targets, levels: Floats) -> None:
        self._flow, self._targets, self._levels = flow, targets, levels
        self.points = flow.inside(starts)
        self.values, self.velocities = flow.at(self.points)
        speeds = np.linalg.norm(self.velocities, axis=1)
        self._fastest = speeds
        self._steps = 1e-3 * flow.length / np.maximum(speeds, 1e-300)
        self._found = np.full(len(starts), LOST)
        self._crossings = np.repeat(self.points[:, None], levels.shape[1], axis=1)
        self._next = (levels >= self.values[:, None]).sum(axis=1)
        self.active = np.arange(len(starts))
        self._end(self.active)

    def advance(self) -> None:
        """One step of every active line, accepted or not."""
        rows, flow = self.active, self._flow
        x, v = self.points[rows], self.velocities[rows]
        speed = np.maximum(np.linalg.norm(v, axis=1), 1e-300)
        h = np.minimum(self._steps[rows], LONGEST * flow.length / speed)
        stages = [v]
        at, values = x, self.values[rows]
        for weights in STAGES:
            way = sum(w * k for w, k in zip(weights, stages, strict=False))
            at = flow.inside(x + h[:, None] * way)
            values, velocity = flow.at(at)
            stages.append(velocity)
        errors = np.linalg.norm(np.einsum("s,sbd->bd", ERROR, np.stack(stages)), axis=1) * h
        errors /= TOLERANCE * flow.length
        tiny = h * speed <= 1e-12 * flow.length  # where a wall is met, an error stays
        falls = values <= self.values[rows]
        good = falls & ((errors <= 1) | tiny)
        factor = 0.9 * np.maximum(errors, 1e-10) ** -0.2
        factor = np.where(falls, np.clip(factor, 0.2, 5), 0.25)
        self._steps[rows] = h * np.where(good, np.maximum(factor, 0.2), np.minimum(factor, 0.9))
        moved = rows[good]
        self._cross(moved, h[good], at[good], values[good], stages[-1][good])
        self.points[moved], self.values[moved] = at[good], values[good]
        self.velocities[moved] = stages[-1][good]
        at_rest = rows[self._steps[rows] * speed <= SHORTEST * flow.length]
        self._found[at_rest] = STALLED
        self._end(moved)

    def ended(self) -> Lines:
        """The ends, and the crossings."""
        for row in range(len(self.points)):
            self._crossings[row, self._next[row] :] = self.points[row]
        return Lines(self._found, self.points, self._crossings)

    def _cross(self, rows: Ints, h: Floats, at: Floats, values: Floats, velocities: Floats) -> None:
        """Note where steps of lines `rows` to points `at` cross levels."""
        count = self._levels.shape[1]
        while count:
            following = np.minimum(self._next[rows], count - 1)
            levels = self._levels[rows, following]
            crosses = (self._next[rows] < count) & (values <= levels)
            if not crosses.any():
                return
            some, level = rows[crosses], levels[crosses]
            begin = _Node(self.points[some], self.values[some], self.velocities[some])
            end = _Node(at[crosses], values[crosses], velocities[crosses])
            found = _between(begin, end, h[crosses], level)
            found = onto(self._flow, found, level)
            self._crossings[some, following[crosses]] = found
            self._next[some] += 1

    def _end(self, rows: Ints) -> None:
        """End those of lines `rows` that are in a target, out of the region or at rest."""
        domain, points = self._flow.domain, self.points[rows]
        ends = np.full(rows.size, LOST)
        speeds = np.linalg.norm(self.velocities[rows], axis=1)
        self._fastest[rows] = np.maximum(self._fastest[rows], speeds)
        ends[speeds <= STILL * self._fastest[rows]] = STALLED
        region = self._flow.region
        ends[((points < region[0]) | (points > region[1])).any(axis=1)] = OUTSIDE
        if self._flow.uphill:
            ends[(domain.at_walls(points) != 0).any(axis=1)] = OUTSIDE
        if len(self._targets.centres):
            ways = domain.displacement(self._targets.centres, points[:, None])
            apart = np.linalg.norm(ways, axis=2)
            within = apart <= self._targets.radii
            ends = np.where(within.any(axis=1), within.argmax(axis=1), ends)
        done = ends != LOST
        self._found[rows[done]] = ends[done]
        self.active = self.active[self._found[self.active] == LOST]


def onto(flow: Flow, points: Floats, levels: Floats) -> Floats:
    """Points (b, d) moved along the gradient onto their levels (b,), which are near."""
    for _ in range(2):
        values, velocities = flow.at(points)
        squares = np.maximum((velocities**2).sum(axis=1), 1e-300)
        step = np.clip((values - levels) / squares, -1e300, 1e300)[:, None] * velocities
        size = np.linalg.norm(step, axis=1, keepdims=True)
        points = flow.inside(points + step * np.minimum(1, LONGEST * flow.length / (size + 1e-300)))
    return points


class _Node(NamedTuple):
    """One end of steps: points (b, d), values (b,), velocities (b, d)."""

    points: Floats
    values: Floats
    velocities: Floats


def _between(begin: _Node, end: _Node, h: Floats, levels: Floats) -> Floats:
    """Points (b, d) at which steps cross levels, by cubic interpolation of values and points."""
    low, high = np.zeros(h.size), np.ones(h.size)
    slopes = [-(node.velocities**2).sum(axis=1) for node in (begin, end)]
    for _ in range(50):
        middle = (low + high) / 2
        ends = (begin.values[:, None], end.values[:, None])
        value = _cubic(middle, h, ends, (slopes[0][:, None], slopes[1][:, None]))[:, 0]
        above = value > levels
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    ends = begin.points, end.points
    return _cubic(high, h, ends, (begin.velocities, end.velocities))


def _cubic(
    s: Floats, h: Floats, ends: tuple[Floats, Floats], slopes: tuple[Floats, Floats]
) -> Floats:
    """Hermite's interpolation at shares s (b,) of steps h (b,), of (b, k)."""
    s, h = s[:, None], h[:, None]
    first = (1 + 2 * s) * (1 - s) ** 2 * ends[0] + s**2 * (3 - 2 * s) * ends[1]
    return first + h * (s * (1 - s) ** 2 * slopes[0] + s**2 * (s - 1) * slopes[1])
