"""Uniform random points of the standard r-simplex, those at which Algorithm 1 takes gradients."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 256  # steps drawn from a stream at a time: one call in place of 256, and bounded memory


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
