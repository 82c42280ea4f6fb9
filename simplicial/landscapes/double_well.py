"""The double well in d dimensions, sum_i (x_i^2 - 1)^2: 2^d minima at the corners of a cube.

It is a sum of functions of one variable each. One of them has minima at -1 and 1 of value 0 and a
maximum at 0 of value 1, hence the bars [0, inf) and [0, 1), both of index 0. The critical points of
the sum are {-1, 0, 1}^d; index and value are both the number of zeros.

Its barcode is the Künneth formula's. In a sum of functions, bars [a, b) and [c, d) of indices p and
q give [a + c, min(a + d, b + c)) of index p + q and [max(a + d, b + c), b + d) of index p + q + 1.
So k finite bars [0, 1) make [j, j+1) of index j, C(k-1, j) times, and there are C(d, k) ways to
choose which coordinates are finite.
Source: Gakhar & Perea, Künneth formulae in persistent homology (arXiv:1910.05656), on tensor
products of filtrations; Bubenik & Milicevic, Homological algebra for persistence modules (2021).
"""

from itertools import combinations, product
from math import comb, inf

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction.errors import DimensionError
from simplicial.landscapes.truth.landscape import CriticalPoints, Landscape


def double_well(dim: int) -> Landscape:
    """The sum of `dim` double wells of one variable, with 2^dim minima.

    Raises DimensionError for dim < 1.
    """
    if dim < 1:
        raise DimensionError(f"a double well needs a dimension of at least 1, got {dim}: ask for 1")
    return Landscape(
        name="double-well",
        domain=np.array([[-2.0] * dim, [2.0] * dim]),
        formula=_formula,
        stratum=lambda index: _stratum(dim, index),
        bars=lambda index: _bars(dim, index),
    )


def _formula(points: Tensor) -> Tensor:
    return (points.square() - 1).square().sum(dim=1)


def _stratum(dim: int, index: int) -> CriticalPoints:
    """Points with `index` zeros, signs elsewhere: C(d, index) 2^(d - index) of them."""
    signs = np.array(list(product((-1.0, 1.0), repeat=dim - index)))
    supports = list(combinations(range(dim), dim - index))
    points = np.zeros((len(supports) * len(signs), dim))
    for block, support in zip(np.split(points, len(supports)), supports, strict=True):
        block[:, list(support)] = signs
    return CriticalPoints.on_level(points, float(index), index)


def _bars(dim: int, index: int) -> NDArray[np.float64]:
    count = sum(comb(dim, k) * comb(k - 1, index) for k in range(1, dim + 1))
    finite = np.tile([float(index), index + 1.0], (count, 1))
    return np.vstack([[[0.0, inf]], finite]) if index == 0 else finite
