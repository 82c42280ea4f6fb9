"""The boundary matrix of degree 2: circles around critical points of index 2, carried down by the
flow, and where they cross the stable manifolds of points of index 1.

A circle in the plane of the two directions in which f falls bounds a disc below f(p). The flow
carries it down; as it passes the level of a point q of index 1, the circle runs through q once for
each flow line from p to q. On that level f = f(q) is a cone near q, and the sign of u.(x - q), u
the orientation of q, says on which half x lies: so each change of half between neighbours on the
circle is a line, with the sign +1 from the negative to the positive half (the orientation of the
disc is that of the outward radius and the circle). Past q the circle is cut there: each of its ends
runs on down beside the line from q on that side.

The circle is known at finitely many points. Two neighbours need no point between them at the level
of q if they are nearer to each other than half of their distance from q, or both within the ball
of q; and in the end neighbours must run into one minimum. Where that is not so, points are put
between the two where the flow had not carried them apart yet, on the last of a sequence of levels
on which they were close: for a narrow bundle of lines may fan out on its way. So only a circle
that parts within rounding is refused.

The circle that results is the first one moved a little below f(p). That may change its boundary by
those of points of index 2 that are lower than p, and so no bar.
Source: Krauskopf & Osinga, Chaos 9, 768 (1999), for circles on which points are added as they grow.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simplicial.errors import SearchError
from simplicial.morse.domain import Domain, Floats, Ints
from simplicial.morse.flow import Flow, Targets, follow, onto
from simplicial.morse.generators import Generators, shown
from simplicial.morse.incidence import Descents, check_ends

RADIUS = 0.5  # of a circle, over that of the ball
ANGLES = 24  # of a circle at first
OFFSET = 0.3  # of the first, so that none is on an axis of symmetry
CLOSE = 0.5  # share of the distance from q that neighbours may be apart
TOGETHER = 0.01  # of the length of the flow's region, within which neighbours are close
SPLITS = np.array([0.23, 0.49, 0.74])  # between neighbours: not where symmetry may put a line
LEVELS = 48  # between p and the lowest point of index 1, each twice as far below p as the last
ROUNDS = 40


class Levels(NamedTuple):
    """Levels (l,) of the points of index 1, descending, and the row (l,) of each among these."""

    values: Floats
    saddles: Ints

    @classmethod
    def of(cls, found: Generators) -> "Levels":
        """Those of all points of index 1."""
        values = found.values[found.of_index(1)]
        order = np.argsort(-values, kind="stable")
        return cls(values[order], order)


class _Circle(NamedTuple):
    """The points of a circle around p, in order.

    p          position of the critical point
    levels     (l,) descending
    crossings  (b, 1 + l, d) where each point starts and where its line crosses each level
    minima     (b,) at which the lines end
    """

    p: int
    levels: Floats
    crossings: Floats
    minima: Ints


class _Gaps(NamedTuple):
    """Pairs of neighbours (g,), each by its first point, and the number (g,) of levels above that
    on which they must be parted.
    """

    first: Ints
    before: Ints


def second_boundary(
    flow: Flow, found: Generators, down: Descents, levels: Levels, progress: Callable[[int], object]
) -> NDArray[np.int64]:
    """The boundary matrix (n_1, n_2) of degree 2 < d. Raises SearchError.

    down      the lines from points of index 1, with crossings of the levels
    progress  called with the number of circles that are done
    """
    tops = found.of_index(2).tolist()
    matrix = np.zeros((levels.saddles.size, len(tops)), np.int64)
    circles = dict(enumerate(_circles(flow, found, levels, tops)))
    for _ in range(ROUNDS):
        gaps: dict[int, _Gaps] = {}
        for column, circle in circles.items():
            sweep = _Sweep(flow.domain, found, down, levels, circle)
            matrix[:, column] = sweep.counts
            if sweep.gaps.first.size:
                gaps[column] = sweep.gaps
        progress(len(circles) - len(gaps))
        if not gaps:
            return matrix
        columns = list(gaps)
        filled = _filled(flow, found, [circles[k] for k in columns], [gaps[k] for k in columns])
        circles = dict(zip(columns, filled, strict=True))
    p = found.points[tops[next(iter(circles))]]
    raise SearchError(
        f"flow lines must be told apart, two that begin together at the critical point {shown(p)} "
        "of index 2 part later: perturb the function, or stretch its coordinates"
    )


def _circles(flow: Flow, found: Generators, levels: Levels, tops: list[int]) -> list[_Circle]:
    """Circles around all points of index 2."""
    angles = OFFSET + 2 * np.pi * np.arange(ANGLES) / ANGLES
    ways = np.stack([np.cos(angles), np.sin(angles)])
    bare = []
    for p in tops:
        starts = found.points[p] + RADIUS * found.radii[p] * (found.unstable[p] @ ways).T
        own = _levels(flow, starts, float(found.values[p]), levels)
        crossings = np.repeat(starts[:, None], 1 + own.size, axis=1)
        bare.append(_Circle(p, own, crossings, np.zeros(ANGLES, np.int64)))
    return _followed(flow, found, bare)


def _levels(flow: Flow, starts: Floats, value: float, levels: Levels) -> Floats:
    """Levels below p at which lines are noted, of points of index 1 and between."""
    lowest = min(float(levels.values.min(initial=value)), value)
    nearest = value - float(flow.at(starts)[0].max())
    between = value - nearest * 2.0 ** (np.arange(LEVELS) / 2)
    far = np.linspace(value, lowest, LEVELS + 2)[1:-1]
    own = levels.values[levels.values < value]
    both = np.concatenate([between[between > lowest], far])
    return -np.unique(-np.concatenate([both, own]))


def _followed(flow: Flow, found: Generators, circles: list[_Circle]) -> list[_Circle]:
    """Circles whose points are followed from where `crossings` ends, all lines at once."""
    if not circles:
        return []
    width = max(circle.levels.size for circle in circles)
    levels = [
        np.broadcast_to(
            np.pad(c.levels, (0, width - c.levels.size), constant_values=-np.inf),
            (len(c.crossings), width),
        )
        for c in circles
    ]
    starts = np.concatenate([circle.crossings[:, -1] for circle in circles])
    origins = np.repeat([c.p for c in circles], [len(c.crossings) for c in circles])
    minima = found.of_index(0)
    targets = Targets(found.points[minima], found.radii[minima])
    lines = follow(flow, starts, targets, np.concatenate(levels))
    check_ends(lines.targets, lines.points, found, origins, flow)
    bounds = np.cumsum([len(circle.crossings) for circle in circles])[:-1]
    parts = zip(
        circles, np.split(lines.crossings, bounds), np.split(lines.targets, bounds), strict=True
    )
    return [
        c._replace(
            crossings=np.concatenate([c.crossings[:, :1], crossings[:, : c.levels.size]], axis=1),
            minima=ends,
        )
        for c, crossings, ends in parts
    ]


def _filled(
    flow: Flow, found: Generators, circles: list[_Circle], gaps: list[_Gaps]
) -> list[_Circle]:
    """Circles with points put into gaps."""
    begun = [_between(flow, c, g) for c, g in zip(circles, gaps, strict=True)]
    news = _followed(flow, found, [circle for circle, _ in begun])
    result = []
    for circle, gap, (bare, on), new in zip(circles, gaps, begun, news, strict=True):
        above = np.arange(new.crossings.shape[1])[None] <= on[:, None]
        crossings = np.where(
            above[..., None], _interpolated(flow.domain, circle, gap), new.crossings
        )
        rows = np.arange(len(bare.crossings))
        crossings[rows, on] = bare.crossings[:, -1]
        at = np.repeat(gap.first + 1, SPLITS.size)
        result.append(
            circle._replace(
                crossings=np.insert(circle.crossings, at, crossings, axis=0),
                minima=np.insert(circle.minima, at, new.minima),
            )
        )
    return result


def _interpolated(domain: Domain, circle: _Circle, gaps: _Gaps) -> Floats:
    """Points (3 g, 1 + l, d) between neighbours, on each level."""
    begin = circle.crossings[gaps.first]
    end = np.roll(circle.crossings, -1, axis=0)[gaps.first]
    way = domain.displacement(begin, end)
    points = begin[:, None] + SPLITS[:, None, None] * way[:, None]
    return domain.clipped(points.reshape(-1, *begin.shape[1:]))


def _between(flow: Flow, circle: _Circle, gaps: _Gaps) -> tuple[_Circle, Ints]:
    """New points, followed no further than the last level on which neighbours are close, as the one
    crossing of a circle, and that level (3 g,); 0 is the start.
    """
    begin = circle.crossings[gaps.first]
    end = np.roll(circle.crossings, -1, axis=0)[gaps.first]
    apart = np.linalg.norm(flow.domain.displacement(begin, end), axis=2)
    number = np.arange(apart.shape[1])
    close = (apart <= TOGETHER * flow.length) & (number <= gaps.before[:, None])
    close[:, 0] = True
    on = np.repeat((close * number).max(axis=1), SPLITS.size)
    points = _interpolated(flow.domain, circle, gaps)[np.arange(on.size), on]
    later = on > 0
    points[later] = onto(flow, points[later], circle.levels[on[later] - 1])
    none = np.zeros(on.size, np.int64)
    return circle._replace(crossings=points[:, None], minima=none), on


class _Sweep:
    """One sweep of a circle down through all levels.

    counts  (n_1,) lines to each point of index 1, with signs
    gaps    neighbours that need points between them

    Points are those of the circle and, behind them, two for each point of index 1: those of its own
    lines down. Arcs run from `left` to `right`, each within the interval between two neighbours.
    """

    def __init__(
        self, domain: Domain, found: Generators, down: Descents, levels: Levels, circle: _Circle
    ) -> None:
        self._domain, self._count = domain, len(circle.crossings)
        self.counts = np.zeros(levels.saddles.size, np.int64)
        self._left, self._within = np.arange(self._count), np.arange(self._count)
        self._right = np.roll(self._left, -1)
        self._before = np.full(self._count, circle.levels.size)  # levels above the first cut or gap
        self._open = np.zeros(self._count, np.bool_)
        saddles = found.of_index(1)
        own = down.crossings.reshape(-1, levels.values.size, domain.dim)
        for level, row in enumerate(levels.saddles.tolist()):
            if levels.values[level] >= found.values[circle.p]:
                continue
            number = int(np.searchsorted(-circle.levels, -levels.values[level]))
            at = np.concatenate([circle.crossings[:, 1 + number], own[:, level]])
            self._pass(found, int(saddles[row]), row, at, number)
        ends = np.concatenate([circle.minima, down.minima.ravel()])
        self._open[self._within[ends[self._left] != ends[self._right]]] = True
        first = np.flatnonzero(self._open)
        self.gaps = _Gaps(first, self._before[first])

    def _pass(self, found: Generators, q: int, row: int, at: Floats, number: int) -> None:
        """Pass a point q of index 1, with all points on its level, that of a number."""
        a, b = (
            self._domain.displacement(found.points[q], at[side])
            for side in (self._left, self._right)
        )
        sizes = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        passes = np.linalg.norm(a - b, axis=1) > CLOSE * np.minimum(*sizes)
        near = np.maximum(*sizes) <= found.radii[q]
        unclear = self._within[passes & ~near]
        self._open[unclear] = True
        np.minimum.at(self._before, unclear, number)
        axis = found.unstable[q][:, 0]
        sides = a @ axis > 0, b @ axis > 0
        cut = np.flatnonzero(passes & near & (sides[0] != sides[1]))
        self.counts[row] += int((2 * sides[1][cut].astype(np.int64) - 1).sum())
        down = self._count + 2 * row
        self._left = np.concatenate([self._left, down + sides[1][cut]])
        right = np.concatenate([self._right, self._right[cut]])
        right[cut] = down + sides[0][cut]
        self._right = right
        self._within = np.concatenate([self._within, self._within[cut]])
        np.minimum.at(self._before, self._within[cut], number)
