"""Sums of functions of one variable each, on a box: critical points and bars from those of one.

On an interval at whose ends it rises outwards a function of one variable has minima and maxima in
turn, and bars of index 0 only (the elder rule). Critical points of the sum are all combinations,
values and Morse indices add up, and the bars are the Künneth formula's: bars [a, b) and [c, d) of
indices p and q give [a + c, min(a + d, b + c)) of index p + q and [max(a + d, b + c), b + d) of
index p + q + 1. As the sum rises outwards on the whole boundary of the box, its sublevel sets in
the box have the homology that Morse theory counts, whatever it does outside.
Source: Gakhar & Perea, Künneth formulae in persistent homology (arXiv:1910.05656).
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.landscapes.truth.exhaustive_search import morse_indices, newton_steps
from simplicial.landscapes.truth.landscape import CriticalPoints, Landscape, on_points

GRID = 20_000  # intervals in which the sign of a derivative is seen to change
NEWTON_STEPS = 6  # from a 20,000th of the interval three of them reach rounding

Array = NDArray[np.float64]
Term = Callable[[Tensor], Tensor]  # (b,) -> (b,)
Bar = tuple[float, float]


class _Line(NamedTuple):
    """Minima (k,) and maxima (k-1,) of one term, ascending, their values, and its bars."""

    minima: Array
    maxima: Array
    lows: Array
    highs: Array
    bars: list[Bar]


def separable(name: str, terms: Sequence[Term], domain: tuple[float, float]) -> Landscape:
    """The sum of one term in each variable, on the cube of that interval.

    terms   a function for each coordinate; the same object twice is worked out once
    domain  interval at whose ends every term rises outwards
    Critical points are those in the box.
    """

    @cache
    def lines() -> list[_Line]:
        found = {term: _line(name, term, domain) for term in terms}
        return [found[term] for term in terms]

    def formula(points: Tensor) -> Tensor:
        columns = points.unbind(dim=1)
        return torch.stack([f(x) for f, x in zip(terms, columns, strict=True)]).sum(dim=0)

    @cache
    def bars() -> list[list[Bar]]:
        return _product([line.bars for line in lines()])

    return Landscape(
        name=name,
        domain=np.outer(domain, np.ones(len(terms))),
        formula=formula,
        stratum=lambda index: _stratum(lines(), index),
        bars=lambda index: bars()[index],
    )


def _line(name: str, term: Term, domain: tuple[float, float]) -> _Line:
    """The critical points of a term in an interval, by sign changes and Newton's method."""
    at = torch.linspace(*domain, GRID + 1, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(term(at).sum(), at)
    rising = slopes.numpy() > 0
    assert not rising[0], f"{name} rises outwards at {domain[0]}"
    assert rising[-1], f"{name} rises outwards at {domain[1]}"
    here = np.flatnonzero(rising[1:] != rising[:-1])
    grid = at.detach().numpy()
    points = (grid[here] + grid[here + 1])[:, None] / 2

    def formula(x: Tensor) -> Tensor:
        return term(x[:, 0])

    for _ in range(NEWTON_STEPS):
        points = points + newton_steps(formula, points)
    assert (morse_indices(formula, points) == np.arange(len(points)) % 2).all(), "in turn"
    values = on_points(formula, points)
    bars = _elder_rule(values[::2].tolist(), values[1::2].tolist())
    return _Line(points[::2, 0], points[1::2, 0], values[::2], values[1::2], bars)


def _elder_rule(lows: list[float], highs: list[float]) -> list[Bar]:
    """Bars of index 0 of minima and the maxima between them, from left to right."""
    bars = []
    while highs:
        at = int(np.argmin(highs))
        ends = at if lows[at] > lows[at + 1] else at + 1
        bars.append((lows.pop(ends), highs.pop(at)))
    return [*bars, (lows[0], inf)]


def _product(factors: Sequence[list[Bar]]) -> list[list[Bar]]:
    """Bars by index 0 .. d - 1 of a sum, from those of index 0 of its d terms."""
    bars: list[list[Bar]] = [factors[0]]
    for factor in factors[1:]:
        after: list[list[Bar]] = [[] for _ in range(len(bars) + 1)]
        for index, own in enumerate(bars):
            for a, b in own:
                for c, d in factor:
                    after[index].append((a + c, min(a + d, b + c)))
                    if b < inf and d < inf:
                        after[index + 1].append((max(a + d, b + c), b + d))
        bars = after
    return bars


def _stratum(lines: list[_Line], index: int) -> CriticalPoints:
    """Points with a maximum in `index` coordinates, a minimum in the others."""
    points, values = [np.empty((0, len(lines)))], [np.empty(0)]
    for upper in combinations(range(len(lines)), index):
        ends = [
            (line.maxima, line.highs) if i in upper else (line.minima, line.lows)
            for i, line in enumerate(lines)
        ]
        axes = np.meshgrid(*(at for at, _ in ends), indexing="ij")
        heights = np.meshgrid(*(height for _, height in ends), indexing="ij")
        points.append(np.stack([axis.ravel() for axis in axes], axis=1))
        values.append(np.sum([height.ravel() for height in heights], axis=0))
    found = np.concatenate(points)
    return CriticalPoints(found, np.concatenate(values), np.full(len(found), index))
