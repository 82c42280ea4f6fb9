"""Functions with many minima in order: Rastrigin's, Styblinski and Tang's, Levy's, Ackley's,
Griewank's, on which optimisers are tried.

The first three are sums of functions of one variable (`truth.separable`), so that all critical
points in a box and the exact barcode are known, in any dimension. Of Ackley's and Griewank's the
critical points in a box are searched exhaustively, and no bars are known. All but Styblinski and
Tang's have minima outside of their boxes too: Morse theory holds in a box on
whose boundary the function rises outwards, as all do but Griewank's.
Source: Surjanovic & Bingham, Virtual Library of Simulation Experiments (2013), for the formulas and
global minima; deviations: boxes of Ackley's, Griewank's and Levy's functions are smaller.
"""

from math import e, pi, sqrt

import numpy as np
import torch
from torch import Tensor

from reduction.errors import DimensionError
from simplicial.landscapes.truth.exhaustive_search import Sought, searched
from simplicial.landscapes.truth.landscape import CriticalPoints, Landscape
from simplicial.landscapes.truth.separable import separable

ACKLEY_REACH = 2.5  # 5^d of its minima; at k + 1/2 both of its parts rise outwards
GRIEWANK_REACH = 10.0


def rastrigin(dim: int = 2) -> Landscape:
    """Rastrigin's function, sum_i (x_i^2 - 10 cos(2 pi x_i) + 10) on [-5.12, 5.12]^d: 11^d minima.

    Raises DimensionError for dim < 1. Source: Rastrigin, Systems of extremal control (1974).
    """
    return separable("rastrigin", [_rastrigin] * _checked("rastrigin", dim), (-5.12, 5.12))


def styblinski_tang(dim: int = 2) -> Landscape:
    """The function of Styblinski and Tang, sum_i (x_i^4 - 16 x_i^2 + 5 x_i) / 2: 2^d minima.

    The box [-5, 5]^d holds every critical point. Raises DimensionError for dim < 1. Source:
    Styblinski & Tang, Neural Networks 3, 467 (1990).
    """
    terms = [_styblinski_tang] * _checked("styblinski-tang", dim)
    return separable("styblinski-tang", terms, (-5.0, 5.0))


def levy(dim: int = 2) -> Landscape:
    """Levy's function on [-10, 9]^d: waves in a bowl, in the plane with 40 minima.

    In the variables w_i = 1 + (x_i - 1) / 4 it is sin^2(pi w_1) + sum_{i<d} (w_i - 1)^2 (1 + 10
    sin^2(pi w_i + 1)) + (w_d - 1)^2 (1 + sin^2(2 pi w_d)). At 10, the box's usual end, terms fall.
    Raises DimensionError for dim < 1. Source: Laguna & Martí, J. Global Optimization 33, 235
    (2005).
    """
    _checked("levy", dim)
    terms = [_levy_single] if dim == 1 else [_levy_first, *[_levy] * (dim - 2), _levy_last]
    return separable("levy", terms, (-10.0, 9.0))


def ackley(dim: int = 2) -> Landscape:
    """Ackley's function on [-2.5, 2.5]^d, whose global minimum is a cusp.

    It is -20 exp(-|x| / (5 sqrt(d))) - exp(mean_i cos(2 pi x_i)) + 20 + e. At the origin, of value
    0, no gradient vanishes; the one by torch is 0. It is listed among the minima. Raises
    DimensionError for dim < 1. Source: Ackley, A connectionist machine for genetic hillclimbing
    (1987).
    """
    domain = np.outer([-ACKLEY_REACH, ACKLEY_REACH], np.ones(_checked("ackley", dim)))
    smooth = searched("ackley", _ackley, domain, Sought(euler=0))  # with the cusp 1

    def stratum(index: int) -> CriticalPoints:
        found = smooth(index)
        if index:
            return found
        points = np.concatenate([found.points, np.zeros((1, dim))])
        values = np.append(found.values, 0.0)
        return CriticalPoints(points, values, np.zeros(len(points), dtype=np.int64))

    return Landscape("ackley", domain, _ackley, stratum, None)


def griewank(dim: int = 2) -> Landscape:
    """Griewank's function on [-10, 10]^d: 1 + |x|^2 / 4000 - prod_i cos(x_i / sqrt(i)).

    It does not rise outwards on all of the boundary, so that signs of critical points need not add
    up to 1. The global minimum is 0 at the origin. Raises DimensionError for dim < 1. Source:
    Griewank, J. Optimization Theory and Applications 34, 11 (1981).
    """
    domain = np.outer([-GRIEWANK_REACH, GRIEWANK_REACH], np.ones(_checked("griewank", dim)))
    stratum = searched("griewank", _griewank, domain, Sought(euler=None))
    return Landscape("griewank", domain, _griewank, stratum, None)


def _checked(name: str, dim: int) -> int:
    if dim < 1:
        raise DimensionError(f"{name} needs a dimension of at least 1, got {dim}: ask for 2")
    return dim


def _rastrigin(x: Tensor) -> Tensor:
    return x.square() - 10 * torch.cos(2 * pi * x) + 10


def _styblinski_tang(x: Tensor) -> Tensor:
    x2 = x.square()
    return (x2.square() - 16 * x2 + 5 * x) / 2


def _levy(x: Tensor) -> Tensor:
    v = (x - 1) / 4  # w - 1
    return v.square() * (1 + 10 * torch.sin(pi * v + pi + 1).square())


def _levy_first(x: Tensor) -> Tensor:
    return torch.sin(pi * (x - 1) / 4).square() + _levy(x)


def _levy_last(x: Tensor) -> Tensor:
    v = (x - 1) / 4
    return v.square() * (1 + torch.sin(2 * pi * v).square())


def _levy_single(x: Tensor) -> Tensor:
    return torch.sin(pi * (x - 1) / 4).square() + _levy_last(x)


def _ackley(points: Tensor) -> Tensor:
    radius = torch.linalg.vector_norm(points, dim=1) / sqrt(points.shape[1])
    waves = torch.cos(2 * pi * points).mean(dim=1).exp()
    return 20 - 20 * torch.exp(-radius / 5) + (e - waves)


def _griewank(points: Tensor) -> Tensor:
    roots = torch.arange(1, points.shape[1] + 1).to(points).sqrt()
    return 1 + points.square().sum(dim=1) / 4000 - torch.cos(points / roots).prod(dim=1)
