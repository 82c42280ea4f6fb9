"""Chains of passes: a path between two points over saddles, by the ways down from these.

The saddles beside the local maxima of a path, with the ways down from them, make a graph on minima.
Where it joins the path's ends, the path in it whose highest saddle is lowest is a candidate. Where
it does not, the gap between the two nearest minima of both parts is closed by a further path, whose
local maxima give further saddles. Of its pieces as many as possible are put together, where a
straight line is nowhere higher than the highest saddle.
Source: Wales (2003), "Energy Landscapes", 6.3, for the chains; Carr, Trygubenko & Wales (2005),
J. Chem. Phys. 122, 234903, for the gaps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.critical_points.descents import same
from simplicial.critical_points.eigenvector_following import follow
from simplicial.critical_points.lowered_maps import CriticalPoint
from simplicial.critical_points.ways_down import Ways, is_below, way_from, ways_down
from simplicial.evaluation import evaluate
from simplicial.loss import Loss

Floats = NDArray[np.float64]
Path = Callable[[Tensor, Tensor], Tensor]

BETWEEN = 4  # points on a piece of a path, to see its local maxima
HIGHEST = 8  # local maxima, at most, from which saddles are sought
ITERATIONS = 30  # of eigenvector following
LEASH = 5.0  # distance from the start, over the reach, at which a search is given up
GAPS = 16  # that are closed, at most
LATTICE = 24  # parts of a straight line, between which the loss is taken
SAME_MINIMUM = 1e-3  # distance over the reach at which ends are one minimum


class Chain(NamedTuple):
    """A path (k, d) over saddles.

    level    the loss at the highest of them, and of the ends
    anchors  rows of the first end, and by turns of saddles and of minima, the second end the last
    """

    points: Tensor
    level: float
    anchors: list[int]


@dataclass(slots=True)
class Passes:
    """Saddles that were found between two minima, and the minima that they join.

    tolerance  in the loss's units
    minima     that ways end at, the two first
    ways       of each saddle, with the numbers of the minima
    """

    loss: Loss
    reach: float
    tolerance: float
    memory: int
    minima: list[Tensor]
    ways: list[tuple[Ways, int, int]] = field(default_factory=list)
    seen: list[CriticalPoint] = field(default_factory=list)

    def chain(self, paths: list[Tensor], below: float, between: Path) -> Chain | None:
        """The lowest chain between the first two minima; None where none below a level is found.

        paths    (c, d) each, between the two
        between  another path between two minima
        """
        for path in paths:
            if self._joined() is None:
                self.add(path, below)
        for end in range(2 if self._joined() is None else 0):
            self._leave(end)
        tried: set[tuple[int, int]] = set()
        for _ in range(GAPS):
            if (found := self._joined()) is not None or (gap := self._gap(tried)) is None:
                return found
            tried.add(gap)
            self.add(between(self.minima[gap[0]], self.minima[gap[1]]), below)
        return self._joined()

    def add(self, path: Tensor, below: float) -> None:
        """Saddles beside the local maxima of a path (c, d), if they are below a level, the highest
        first, until a new one completes a chain.
        """
        for start in self._local_maxima(path):
            found = follow(
                self.loss, start[None], 1, self.reach, ITERATIONS, leash=LEASH, memory=self.memory
            )
            saddle = CriticalPoint(found.points[0], float(found.values[0]), 1)
            if not (found.converged[0] and found.morse[0] == 1 and saddle.value < below):
                continue
            if any(same(saddle, known, self.reach) for known in self.seen):
                continue
            self.seen.append(saddle)
            ways = ways_down(self.loss, saddle, self.reach, self.tolerance, self.memory)
            if ways is not None:
                ends = [self._number(side[-1], saddle.value) for side in ways.sides]
                self.ways.append((ways, ends[0], ends[1]))
                if self._joined() is not None:
                    return

    def _leave(self, end: int) -> None:
        """The way down from an end that is no minimum."""
        start = self.minima[end]
        way = way_from(self.loss, start, self.reach, self.tolerance)
        if way is not None:
            value = float(evaluate(self.loss, start[None]).loss[0])
            ways = Ways(CriticalPoint(start, value, 0), (start[None], way))
            self.ways.append((ways, end, self._number(way[-1], value)))

    def _number(self, minimum: Tensor, level: float) -> int:
        """The number of a minimum, or of one of the two ends if it lies in the same dip."""
        for number, known in enumerate(self.minima):
            apart = float((known - minimum).norm())
            if apart <= SAME_MINIMUM * self.reach:
                return number
            if number < 2 and apart <= self.reach:
                top = max(float(evaluate(self.loss, known[None]).loss[0]), level)
                if is_below(self.loss, known, minimum, top, LATTICE):
                    return number
        self.minima.append(minimum)
        return len(self.minima) - 1

    def _local_maxima(self, path: Tensor) -> Tensor:
        share = torch.arange(BETWEEN, device=path.device).to(path)[:, None] / BETWEEN
        points = torch.cat([a + share * (b - a) for a, b in pairwise(path)] + [path[-1:]])
        values = evaluate(self.loss, points, self.memory).loss
        inner = values[1:-1]
        tops = 1 + np.flatnonzero((inner >= values[:-2]) & (inner > values[2:]))
        tops = tops[np.argsort(-values[tops], kind="stable")][:HIGHEST]
        return points[torch.as_tensor(tops)]

    def _parts(self, most: int) -> list[int]:
        """A name of each minimum's part of the graph of the lowest `most` saddles."""
        part = list(range(len(self.minima)))
        for _, a, b in sorted(self.ways, key=_level)[:most]:
            old, new = part[a], part[b]
            part = [new if p == old else p for p in part]
        return part

    def _joined(self) -> Chain | None:
        for count in range(1, len(self.ways) + 1):
            part = self._parts(count)
            if part[0] == part[1]:
                return self._chain_of(sorted(self.ways, key=_level)[:count])
        return None

    def _chain_of(self, ways: list[tuple[Ways, int, int]]) -> Chain:
        """The chain of fewest saddles from the first minimum to the second."""
        before: dict[int, tuple[int, Tensor, Tensor]] = {}
        front, reached = [0], {0}
        while 1 not in reached:
            new = []
            for at in front:
                for way, a, b in ways:
                    left, right = way.sides
                    for start, end, up, down in ((a, b, left, right), (b, a, right, left)):
                        if start == at and end not in reached:
                            before[end] = (at, up, down)
                            reached.add(end)
                            new.append(end)
            front = new
        sides, at = [], 1
        while at != 0:
            at, up, down = before[at]
            sides.append((up, down))
        points, anchors = [self.minima[0][None]], [0]
        for up, down in reversed(sides):
            anchors.append(anchors[-1] + len(up))
            anchors.append(anchors[-1] + len(down) - 1)
            points += [up.flip(0), down[1:]]
        points.append(self.minima[1][None])
        anchors[-1] += 1
        level = max(way.saddle.value for way, _, _ in ways)
        ends = evaluate(self.loss, torch.stack(self.minima[:2])).loss
        return Chain(torch.cat(points), max(level, float(ends.max())), anchors)

    def _gap(self, tried: set[tuple[int, int]]) -> tuple[int, int] | None:
        """The nearest minima in and out of the first one's part, of those not tried yet."""
        part = self._parts(len(self.ways))
        pairs = [
            (float((self.minima[i] - self.minima[j]).norm()), i, j)
            for i, p in enumerate(part)
            for j, q in enumerate(part)
            if p == part[0] != q and (i, j) not in tried
        ]
        return min(pairs)[1:] if len(self.ways) and pairs else None


def _level(way: tuple[Ways, int, int]) -> float:
    return way[0].saddle.value


class Lines(NamedTuple):
    """Straight lines nowhere above a level, by the loss between their parts."""

    loss: Loss
    level: float
    parts: int

    def are_below(self, start: Tensor, end: Tensor) -> bool:
        """Whether the line between two points (d,) is one."""
        return is_below(self.loss, start, end, self.level, self.parts)


def polyline(chain: Chain, segments: int, lines: Lines) -> Tensor:
    """The chain as a polyline (k, d) of such lines: of a number of pieces at most, or of the fewest
    that were found where it needs more of them.
    """
    keep = {0, len(chain.points) - 1}
    for number, (low, high) in enumerate(pairwise(chain.anchors)):
        rows = list(range(low, high + 1))
        if number % 2 == 0:  # upwards: begun at the saddle all the same
            rows.reverse()
        keep |= set(_fewest(lines, chain.points, rows))
    kept = sorted(keep)
    points = chain.points[torch.as_tensor(kept)]
    return _without_needless(lines, points) if len(points) > segments + 1 else points


def halved(points: Tensor, segments: int) -> Tensor:
    """The polyline (k, d) on more pieces (segments + 1, d), its longest ones halved."""
    while len(points) < segments + 1:
        at = int((points[1:] - points[:-1]).norm(dim=1).argmax())
        points = torch.cat(
            [points[: at + 1], points[at : at + 2].mean(0, keepdim=True), points[at + 1 :]]
        )
    return points


def _fewest(lines: Lines, points: Tensor, rows: list[int]) -> list[int]:
    """Rows of a descent at which straight lines begin and end, each as long as it may be."""
    kept, at = [rows[0]], 0
    while at < len(rows) - 1:
        good, step = at + 1, 2
        while at + step < len(rows) and lines.are_below(points[rows[at]], points[rows[at + step]]):
            good, step = at + step, 2 * step
        bad = min(at + step, len(rows))
        while bad - good > 1:
            middle = (good + bad) // 2
            below = lines.are_below(points[rows[at]], points[rows[middle]])
            good, bad = (middle, bad) if below else (good, middle)
        at = good
        kept.append(rows[at])
    return kept


def _without_needless(lines: Lines, points: Tensor) -> Tensor:
    """Without the corners that a straight line may leave out."""
    at = 1
    while at < len(points) - 1:
        if lines.are_below(points[at - 1], points[at + 1]):
            points = torch.cat([points[:at], points[at + 1 :]])
        else:
            at += 1
    return points
