"""A loss with mini-batches, rough between its basins, and complexes on four points near these."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simplicial import (
    Loss,
    LossComplex,
    Minima,
    Optimizer,
    StochasticMinimax,
    build_complex,
)
from simplicial.loss import StochasticLoss

POINTS = np.array([[-1, -1, -1], [1, 0.9, -1], [0.9, -1, 1], [-1, 1, 0.8]])  # near minima
SHORT = StochasticMinimax(segments=4, epochs=40)


def rough(x: Tensor) -> Tensor:
    """Basins near (+-1, +-1, +-1)."""
    return (x.square() - 1).square().sum(dim=1) + 0.3 * torch.sin(3 * x).prod(dim=1)


class Shifted(StochasticLoss):
    """The mean of a loss over 24 shifts, in mini-batches; counts the points of gradients on three
    mini-batches of 8, and steps.
    """

    def __init__(self, loss: Loss = rough, size: float = 0.1, until: float = np.inf) -> None:
        self.loss, self.points, self.steps, self.until = loss, 0, 0, until
        self.shifts = size * torch.as_tensor(np.random.default_rng(72).normal(size=(24, 3)))

    def __call__(self, x: Tensor) -> Tensor:
        self.points += 3 * len(x) * x.requires_grad
        return torch.stack([self.loss(x + shift) for shift in self.shifts]).mean(dim=0)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        for part in np.array_split(rng.permutation(24), max(1, 24 // batch_size)):
            yield partial(self._estimate, self.shifts[torch.as_tensor(part)])

    def _estimate(self, shifts: Tensor, x: Tensor) -> Tensor:
        self.points, self.steps = self.points + len(x), self.steps + 1
        if self.steps > self.until:
            raise KeyboardInterrupt
        return torch.stack([self.loss(x + shift) for shift in shifts]).mean(dim=0)


def build(
    loss: Loss, points: Any = POINTS, max_dim: int = 1, optimizer: Optimizer = SHORT, **options: Any
) -> LossComplex:
    minima = Minima(torch.as_tensor(points), loss)
    return build_complex(minima, max_dim, optimizer=optimizer, progress=False, **options)
