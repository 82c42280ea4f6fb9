"""Landscapes in the plane from a table of critical points and persistence pairs.

The table holds each point to three decimals or more; Newton's method on grad f = 0 does the rest,
at the first call. Pairs are written down, values never are. A table checks itself: the Hessian's
signs must give the index of each point, and every point must stand at one end of one bar, a death
one index above its birth.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import inf

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simplicial.landscapes.truth.exhaustive_search import morse_indices, newton_steps
from simplicial.landscapes.truth.landscape import CriticalPoints, Landscape, on_points

NEWTON_STEPS = 6  # from 1e-3 three of them reach rounding, the others stay there

Start = tuple[tuple[float, float], int]  # coordinates to a few decimals, Morse index
Pairs = Sequence[tuple[str, str | None]]  # birth and death by label; None: never


def from_table(
    name: str,
    formula: Callable[[Tensor], Tensor],
    *,
    domain: tuple[tuple[float, float], tuple[float, float]],
    starts: Mapping[str, Start],
    pairs: Pairs,
) -> Landscape:
    """A landscape of the plane from labelled critical points and the labels that pair."""
    labels = list(starts)
    ends = [label for pair in pairs for label in pair if label is not None]
    assert sorted(ends) == sorted(labels), "every critical point stands at one end of one bar"
    for birth, death in pairs:
        assert death is None or starts[death][1] == starts[birth][1] + 1, "a death is one index up"

    @cache
    def refined() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (m, 2) and values (m,), in the table's order."""
        points = _refine(formula, starts)
        return points, on_points(formula, points)

    def stratum(index: int) -> CriticalPoints:
        points, values = refined()
        indices = np.array([starts[label][1] for label in labels], dtype=np.int64)
        return CriticalPoints(points, values, indices).of_index(index)

    def bars(index: int) -> list[tuple[float, float]]:
        value = dict(zip(labels, refined()[1].tolist(), strict=True))
        return [
            (value[birth], inf if death is None else value[death])
            for birth, death in pairs
            if starts[birth][1] == index
        ]

    return Landscape(name, np.array(domain), formula, stratum, bars)


def _refine(
    formula: Callable[[Tensor], Tensor], starts: Mapping[str, Start]
) -> NDArray[np.float64]:
    """Newton's method from all starts at once, without a line search: the starts are close."""
    points = np.array([point for point, _ in starts.values()], dtype=np.float64)
    for _ in range(NEWTON_STEPS):
        points += newton_steps(formula, points)
    assert morse_indices(formula, points).tolist() == [index for _, index in starts.values()], (
        "Newton left the table's points"
    )
    return points
