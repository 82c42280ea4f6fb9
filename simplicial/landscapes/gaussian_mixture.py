"""Random wells: minus a sum of Gaussians, and a weak parabola that closes it at infinity.

f(x) = WALL |x|^2 / 2 - sum_k h_k exp(-sum_i ((x_i - c_ki) / s_ki)^2 / 2) with centres c_k, depths
h_k and widths s_ki along the axes. Some wells merge, so there are fewer minima than Gaussians;
where wells stand in a ring a peak is left between them, which ends a bar of index 1.

Where x_i exceeds both 0 and every c_ki, all terms of df/dx_i are positive; below both, negative. So
every critical point lies in the cube that holds the centres, and f grows to infinity around it.
Source: the idea of Gallagher & Yuan, A general-purpose tunable landscape generator, IEEE
Transactions on Evolutionary Computation 10, 590 (2006). Deviations: their Gaussians are joined by a
maximum, which is not smooth, and may be rotated; there is no wall.
"""

from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.errors import DimensionError
from reduction.validation import as_integer
from simplicial.landscapes.truth.exhaustive_search import searched
from simplicial.landscapes.truth.landscape import Landscape

REACH = 2.0  # centres have coordinates in [-2, 2]
WIDTHS = (0.15, 0.5)  # in the plane; in R^d times sqrt(d / 2), as distances in a cube grow
DEPTHS = (0.8, 1.2)
WALL = 0.05  # at a corner of the square of centres it has risen by 0.2
STREAM = 2_401  # keeps these random numbers apart from others of the same seed

Array = NDArray[np.float64]


def gaussian_mixture(seed: int, dim: int = 2, wells: int = 14) -> Landscape:
    """The Gaussian mixture of a seed, for ever the same; no bars are known of it.

    seed   non-negative
    dim    number of variables
    wells  number of Gaussians; 14 in the plane have 4 to 12 minima
    Raises OptionError for a negative seed or no wells, DimensionError for dim < 1; its critical
    points raise SearchError where they cannot all be found.
    """
    seed, wells = as_integer("seed", seed, 0), as_integer("wells", wells, 1)
    if dim < 1:
        raise DimensionError(
            f"a Gaussian mixture needs a dimension of at least 1, got {dim}: ask for 2"
        )
    rng = np.random.default_rng([STREAM, seed, dim, wells])
    centres = rng.uniform(-REACH, REACH, (wells, dim))
    widths = rng.uniform(*WIDTHS, (wells, dim)) * sqrt(dim / 2)
    depths = rng.uniform(*DEPTHS, wells)
    domain = np.outer([-1.25 * REACH, 1.25 * REACH], np.ones(dim))

    def formula(points: Tensor) -> Tensor:
        return _formula(points, centres, widths, depths)

    return Landscape(
        name="gaussian-mixture",
        domain=domain,
        formula=formula,
        stratum=searched("gaussian-mixture", formula, domain),
        bars=None,
    )


def _formula(points: Tensor, centres: Array, widths: Array, depths: Array) -> Tensor:
    c, s, h = (torch.as_tensor(part).to(points) for part in (centres, widths, depths))
    exponents = ((points[:, None] - c) / s).square().sum(dim=2) / -2
    return WALL / 2 * points.square().sum(dim=1) - (h * exponents.exp()).sum(dim=1)
