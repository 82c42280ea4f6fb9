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

from numpy.typing import ArrayLike

from reduction import OptionError
from reduction.validation import as_integer
from simplicial.critical_points.search import find_critical_points, find_minima
from simplicial.errors import LossWarning, SearchError
from simplicial.loss import Loss, motions_of
from simplicial.minima import Minima
from simplicial.morse.domain import Domain

ROUNDS = 6


def find_all_critical_points(
    loss: Loss,
    *,
    dim: int | None = None,
    box: ArrayLike | None = None,
    starts: int | None = None,
    seed: int = 0,
) -> list[Minima]:
    """Non-degenerate critical points of all Morse indices, one `Minima` for each that has any,
    ascending by index, so that positions in the list are not indices where one has none.

    starts  of the first round, for each index; None: 100 d
    The other arguments are those of `find_critical_points`. Raises what it raises, OptionError for
    a loss with motions, whose critical points do not add up so, and SearchError where no two rounds
    agree.
    """
    if motions_of(loss) is not None:
        raise OptionError(
            "signs of critical points add up where each is isolated, those of "
            f"{type(loss).__name__} move by the motions that it declares: search them by "
            "find_critical_points, index by index"
        )
    minima = _quiet(find_minima, loss, dim=dim, box=box, starts=starts, seed=seed)
    d = minima.points.shape[1]
    count = 100 * d if starts is None else as_integer("starts", starts, 1)
    euler = Domain.of(loss, d).euler_characteristic
    before: list[int] = []
    total, reason = 0, ""
    for k in range(ROUNDS):
        reason = ""
        search = {"dim": d, "box": box, "starts": count * 2**k, "seed": seed + k}
        found: list[Minima | None] = [] if k else [minima]
        for r in range(len(found), d + 1):
            try:
                found.append(_quiet(find_critical_points, loss, r, **search))
            except SearchError as error:
                found.append(None)
                reason = f"; the last search of index {r} says: {error}"
        counts = [0 if points is None else len(points) for points in found]
        total = sum((-1) ** r * number for r, number in enumerate(counts))
        if counts == before and total == euler:
            return [points for points in found if points is not None]
        before = counts
    raise SearchError(
        "two searches in succession must find as many critical points, with signs that add up to "
        f"{euler}, the last found {', '.join(map(str, before))} of indices 0..{d}, which give "
        f"{total}: give more starts, or a box on whose walls the search can hold{reason}"
    )


def _quiet(search: Callable[..., Minima], *args: Any, **options: Any) -> Minima:
    """A search that does not warn of what is likely to be missing: the next round looks for it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "about .* are likely to be missing", LossWarning)
        return search(*args, **options)
