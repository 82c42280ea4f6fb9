"""The lattice of the standard r-simplex: the points at which Algorithm 2 takes maxima."""

from functools import lru_cache
from itertools import combinations_with_replacement
from math import comb

import numpy as np
from numpy.typing import NDArray

from reduction.memory import require

LISTED = 24  # bytes of a coordinate while a lattice is listed


@lru_cache(maxsize=64)
def lattice(r: int, resolution: int) -> NDArray[np.int64]:
    """All (C(resolution + r, r), r+1) tuples of non-negative integers with sum `resolution`.

    Divided by the resolution they discretise the standard r-simplex: the T of Algorithm 2.
    Ordered lexicographically in x_i = t_i + ... + t_r, i = 1..r. Read-only. Raises CapacityError.
    """
    count = comb(resolution + r, r)
    require(LISTED * count * (r + 1), f"a lattice of {count} points")
    tails = list(combinations_with_replacement(range(resolution + 1), r))
    x = np.array(tails, dtype=np.int64).reshape(len(tails), r)[:, ::-1]
    x = x[np.lexsort(x.T[::-1])] if r else x
    bounded = np.concatenate(
        [np.full((len(x), 1), resolution), x, np.zeros((len(x), 1), dtype=np.int64)], axis=1
    )
    points = bounded[:, :-1] - bounded[:, 1:]
    points.flags.writeable = False
    return points


def interior_lattice(r: int, resolution: int) -> NDArray[np.float64]:
    """The lattice points on no proper face, barycentric, (C(resolution-1, r), r+1) float64."""
    points = lattice(r, resolution)
    return points[(points > 0).all(axis=1)] / resolution
