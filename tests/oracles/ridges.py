"""Functions whose minima are joined off a ridge of symmetry, or through the bends of a valley.

Barriers are computed by hand, or by bisection of the slope on a ray.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Loss = Callable[[Tensor], Tensor]
Floats = NDArray[np.float64]


def ring(p: Tensor) -> Tensor:
    """Minima (-1, 0) and (1, 0); at x = 0 the lowest value, y^2 = 3/4, is 7/16."""
    return (p.square().sum(dim=1) - 1) ** 2 + p[:, 1:].square().sum(dim=1) / 2


def double_well(p: Tensor) -> Tensor:
    """All coordinates alike: corners of a cube are joined along its edges, over 1."""
    return ((p**2 - 1) ** 2).sum(dim=1)


def peak(p: Tensor) -> Tensor:
    """A peak on the straight line between two wells.

    At x = 0 it is 1 + u + 2 exp(-u / 0.3), u = y^2, lowest at u = 0.3 log(20/3).
    """
    return (p[:, 0] ** 2 - 1) ** 2 + p[:, 1] ** 2 + 2 * torch.exp(-p.square().sum(dim=1) / 0.3)


def coupled(p: Tensor) -> Tensor:
    """Wells at (1, 1) and (-1, -1) alone, joined past two wells that are higher.

    In s = x + y and d = x - y it is even in both: the straight path is on the ridge d = 0.
    """
    return ((p**2 - 1) ** 2).sum(dim=1) - 0.2 * p[:, 0] * p[:, 1]


def tilted_ring(seed: int) -> tuple[Loss, Floats, float]:
    """A ring tilted by c y^2, in turned coordinates of 2 to 5 variables, the others quadratic: the
    loss, two minima and their barrier.

    At x = 0 it is (y^2 - 1)^2 + c y^2, lowest at y^2 = 1 - c/2, where it is c - c^2/4.
    """
    rng = np.random.default_rng(seed)
    d, c = int(rng.integers(2, 6)), float(rng.uniform(0.1, 1.2))
    turn = torch.as_tensor(np.linalg.qr(rng.standard_normal((d, d)))[0])
    stiff = torch.as_tensor(rng.uniform(0.5, 20, d - 2))

    def loss(p: Tensor) -> Tensor:
        q = p @ turn
        planar = (q[:, :2].square().sum(dim=1) - 1) ** 2 + c * q[:, 1] ** 2
        return planar + (stiff * q[:, 2:] ** 2).sum(dim=1)

    ends = np.zeros((2, d))
    ends[:, 0] = -1, 1
    return loss, ends @ turn.numpy().T, c - c**2 / 4


def winding(a: float, b: float, k: float, c: float) -> tuple[Loss, list[list[float]]]:
    """A valley y = a sin(b x + c) between two wells, over 1 at x = 0."""

    def loss(p: Tensor) -> Tensor:
        x, y = p[:, 0], p[:, 1]
        return (x**2 - 1) ** 2 + k / 2 * (y - a * torch.sin(b * x + c)) ** 2

    return loss, [[x, a * float(np.sin(b * x + c))] for x in (-1.0, 1.0)]


def c3(p: Tensor) -> Tensor:
    """Three wells around a peak, which in space can be passed above and below."""
    x, y = p[:, 0], p[:, 1]
    flat = x**2 + y**2
    wells = (flat - 1) ** 2 + 1 - 0.8 * (x**3 - 3 * x * y**2)
    z = p[:, 2] if p.shape[1] > 2 else torch.zeros_like(x)
    return wells + z**2 + 2 * torch.exp(-(flat + z**2) / 0.25)


def _level_on_ray(sign: int) -> tuple[float, float]:
    """The distance r > 1/2 at which the slope of c3 on the ray x = sign r, y = 0 is 0,
    and c3 there.
    """

    def slope(r: float) -> float:
        return 4 * r * (r**2 - 1) - sign * 2.4 * r**2 - 16 * r * np.exp(-4 * r**2)

    low, high = 0.5, 2.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return low, (low**2 - 1) ** 2 + 1 - sign * 0.8 * low**3 + 2 * np.exp(-4 * low**2)


def c3_wells(d: int) -> Floats:
    """Minima of c3 (3, d)."""
    angles = 2 * np.pi / 3 * np.arange(3)
    wells, r = np.zeros((3, d)), _level_on_ray(1)[0]
    wells[:, 0], wells[:, 1] = r * np.cos(angles), r * np.sin(angles)
    return wells


PEAK = 1.3 + 0.3 * float(np.log(20 / 3))  # barrier of peak
C3_BARRIER = _level_on_ray(-1)[1]  # between any two of c3's wells
