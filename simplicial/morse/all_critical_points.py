"""A search for the critical points of all indices, until their signs add up.

Rounds of `find_critical_points` for every index, each from twice as many starts and another seed as
the one before, end when two in succession find as many points of each index and their signs
(-1)^index add up to the Euler characteristic, 1 of R^d and of a box, 0 with a period, as Morse
theory asks where sublevel sets are bounded. Two points of opposite signs, both missed twice, go
unnoticed.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reduction.validation import as_integer
from simplicial.critical_points.search import find_critical_points, find_minima
from simplicial.domains.periods import periods_of
from simplicial.errors import LossWarning, SearchError
from simplicial.loss import Loss
from simplicial.minima import Minima

ROUNDS = 6


def find_all_critical_points(
    loss: Loss,
    *,
    dim: int | None = None,
    box: ArrayLike | None = None,
    starts: int | None = None,
    seed: int = 0,
) -> list[Minima]:
    """Non-degenerate critical points of all Morse indices, one `Minima` for each that has any.

    starts  of the first round, for each index; None: 100 d
    The other arguments are those of `find_critical_points`. Raises what it raises, and SearchError
    where no two rounds agree.
    """
    minima = _quiet(find_minima, loss, dim=dim, box=box, starts=starts, seed=seed)
    d = minima.points.shape[1]
    count = 100 * d if starts is None else as_integer("starts", starts, 1)
    euler = 0 if np.isfinite(periods_of(loss, d)).any() else 1
    before: list[int] = []
    total = 0
    for k in range(ROUNDS):
        search = {"dim": d, "box": box, "starts": count * 2**k, "seed": seed + k}
        others = [_of_index(loss, r, search) for r in range(0 if k else 1, d + 1)]
        found = others if k else [minima, *others]
        counts = [0 if points is None else len(points) for points in found]
        total = sum((-1) ** r * number for r, number in enumerate(counts))
        if counts == before and total == euler:
            return [points for points in found if points is not None]
        before = counts
    raise SearchError(
        "two searches in succession must find as many critical points, with signs that add up to "
        f"{euler}, the last found {', '.join(map(str, before))} of indices 0..{d}, which give "
        f"{total}: give more starts, or a box on whose walls the search can hold"
    )


def _of_index(loss: Loss, index: int, search: dict[str, Any]) -> Minima | None:
    """Those of one index; None where there are none."""
    try:
        return _quiet(find_critical_points, loss, index, **search)
    except SearchError:
        return None


def _quiet(search: Callable[..., Minima], *args: Any, **options: Any) -> Minima:
    """A search that does not warn of what is likely to be missing: the next round looks for it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "about .* are likely to be missing", LossWarning)
        return search(*args, **options)
