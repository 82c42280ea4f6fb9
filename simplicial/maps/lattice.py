"""Points of the standard r-simplex: uniform random ones (Algorithm 1) and its lattice (Algorithm
2)."""

from functools import lru_cache
from itertools import combinations_with_replacement
from math import comb

import numpy as np
from numpy.typing import NDArray

from reduction.memory import require

LISTED = 24  # bytes of a coordinate while a lattice is listed
BLOCK = 256  # steps drawn from a stream at a time: one call in place of 256, and bounded memory


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


class UniformPoints:
    """Independent streams of uniform points of the standard r-simplex, one stream for each simplex.

    A stream belongs to its simplex: it is keyed by the seed and the simplex's vertices alone, so
    the points do not depend on which simplices are optimised together or in which order. Spacings
    of a Poisson process: exponential variates over their sum are uniform (Devroye 1986, XI.2.5).
    The paper folds the unit square instead (Algorithm 1, r = 2): the same distribution, here for
    every r.

    seed      non-negative
    vertices  (m, r+1) int64
    samples   points drawn for each simplex in each step
    """

    def __init__(self, seed: int, vertices: NDArray[np.int64], samples: int) -> None:
        self._shape = (samples, vertices.shape[1])
        self._streams = [
            np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=tuple(v))))
            for v in vertices.tolist()
        ]
        self._block = np.empty((0, len(self._streams), *self._shape))
        self._used = 0

    def draw(self) -> NDArray[np.float64]:
        """The next points, (m, samples, r+1) float64: positive, rows sum to 1."""
        if self._used == len(self._block):
            spacings = [g.standard_exponential((BLOCK, *self._shape)) for g in self._streams]
            self._block = np.stack(spacings, axis=1)
            self._block /= self._block.sum(axis=-1, keepdims=True)
            self._used = 0
        self._used += 1
        return self._block[self._used - 1]
