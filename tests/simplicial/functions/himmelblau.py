"""Himmelblau's function in NumPy and in torch, and by its own gradient as a class of a user's."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.loss import DifferentiatedLoss, TwiceDifferentiatedLoss

Floats = NDArray[np.float64]


def in_torch(p: Tensor) -> Tensor:
    x, y = p[:, 0], p[:, 1]
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def value(p: Floats) -> float:
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def gradient(p: Floats) -> Floats:
    x, y = p
    a, b = x**2 + y - 11, x + y**2 - 7
    return np.array([4 * a * x + 2 * b, 2 * a + 4 * b * y])


def values(p: Floats) -> Floats:
    return np.asarray(value(p.T))


def gradients(p: Floats) -> Floats:
    return gradient(p.T).T


def hessian(p: Floats) -> Floats:
    x, y = p
    mixed = 4 * x + 4 * y
    return np.array(
        [[12 * x**2 + 4 * y - 42, mixed], [mixed, 12 * y**2 + 4 * x - 26]], dtype=np.float64
    )


class Own(DifferentiatedLoss):
    """NumPy inside: points that require a gradient are no arrays."""

    def __call__(self, points: Tensor) -> Tensor:
        return torch.as_tensor(values(points.numpy()))

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self(points), torch.as_tensor(gradients(points.numpy())).to(points)


class Detached(Own):
    """Values that carry no gradient, at any points."""

    def __call__(self, points: Tensor) -> Tensor:
        return torch.as_tensor(values(points.detach().numpy()))


class Twice(Own, TwiceDifferentiatedLoss):
    """Its own Hessian, too."""

    def hessian_products(self, points: Tensor, vectors: Tensor) -> Tensor:
        both = zip(points.numpy(), vectors.numpy(), strict=True)
        return torch.as_tensor(np.stack([hessian(p) @ v for p, v in both])).to(points)
