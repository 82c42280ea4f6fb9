"""Random trigonometric polynomials over a parabola: hills and wells as far as the parabola allows.

f(x) = sum_k a_k cos(w_k . x + p_k) + sum_i b_i x_i^2 / 2 with small integer frequencies w_k,
positive amplitudes a_k and phases p_k. The waves' part of df/dx_i is at most A_i = sum_k a_k
|w_ki|, so critical points have |x_i| <= A_i / b_i. The curvatures b_i = (A_i + 1/2) / R put them
all inside the cube [-R, R]^d, whatever the seed; they seldom come near its sides, where all waves
would have to be steepest at once.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.errors import DimensionError
from reduction.validation import as_integer
from simplicial.landscapes.truth.exhaustive_search import searched
from simplicial.landscapes.truth.landscape import Landscape

HIGHEST = 2  # frequencies are -2 .. 2 along each axis
AMPLITUDES = (0.25, 0.5)
REACH = (
    18.0  # R d: the number of minima grows with the dimension, but not as fast as a cube's volume
)
STREAM = 2_402  # keeps these random numbers apart from others of the same seed

Array = NDArray[np.float64]


def trigonometric(seed: int, dim: int = 2, terms: int = 6) -> Landscape:
    """The trigonometric polynomial of a seed, for ever the same; no bars are known of it.

    seed   non-negative
    dim    number of variables
    terms  number of waves; six have a handful to a dozen minima in the plane and in space
    Raises OptionError for a negative seed or no terms, DimensionError for dim < 1; its critical
    points raise SearchError where they cannot all be found.
    """
    seed, terms = as_integer("seed", seed, 0), as_integer("terms", terms, 1)
    if dim < 1:
        raise DimensionError(
            f"a trigonometric polynomial needs a dimension of at least 1, got {dim}: ask for 2"
        )
    rng = np.random.default_rng([STREAM, seed, dim, terms])
    frequencies = rng.integers(-HIGHEST, HIGHEST, (terms, dim), endpoint=True).astype(np.float64)
    frequencies[~frequencies.any(axis=1), 0] = 1.0  # no wave is a constant
    amplitudes = rng.uniform(*AMPLITUDES, terms)
    phases = rng.uniform(0, 2 * np.pi, terms)
    reach = REACH / dim
    curvatures = (amplitudes @ np.abs(frequencies) + 0.5) / reach
    domain = np.outer([-reach, reach], np.ones(dim))

    def formula(points: Tensor) -> Tensor:
        w, a, p, b = (
            torch.as_tensor(part).to(points)
            for part in (frequencies, amplitudes, phases, curvatures)
        )
        waves = (a * torch.cos(points @ w.T + p)).sum(dim=1)
        return waves + (b * points.square()).sum(dim=1) / 2

    return Landscape(
        name="trigonometric",
        domain=domain,
        formula=formula,
        stratum=searched("trigonometric", formula, domain),
        bars=None,
    )
