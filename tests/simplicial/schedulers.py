"""A complex that is built by chunks, as tests call it, and losses that break."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from simplicial import (
    Algorithm1,
    LossComplex,
    Minima,
    NudgedElastic,
    Optimizer,
    Recipe,
    build_complex,
)

POINTS = np.random.default_rng(71).uniform(-2, 2, (5, 3))


def loss(x: Tensor) -> Tensor:
    """Picklable, with several basins."""
    return (x.square() - 1).square().sum(dim=1) + 0.3 * torch.sin(3 * x).prod(dim=1)


OPTIMIZERS = {
    "algorithm 1": Algorithm1(recipe=Recipe(epochs=30, weight_decay=0.0)),
    "its own recipe": Algorithm1(samples=2),
    "trainable": Algorithm1(recipe=Recipe(epochs=30, weight_decay=0.0), sides="trainable"),
    "elastic": NudgedElastic(segments=4, steps=30),
}


def built(name: str | Optimizer, max_dim: int = 2, **options: Any) -> LossComplex:
    optimizer = OPTIMIZERS[name] if isinstance(name, str) else name
    points = POINTS[:3] if name == "its own recipe" else POINTS  # 2,000 steps each
    minima = Minima(options.pop("points", points), options.pop("loss", loss))
    return build_complex(minima, max_dim, optimizer=optimizer, progress=False, **options)


def assert_same(a: LossComplex, b: LossComplex) -> None:
    assert torch.equal(a.control_points, b.control_points)
    assert a.evaluations == b.evaluations
    for one, other in zip(a.interiors, b.interiors, strict=True):
        np.testing.assert_array_equal(one.maxima.values, other.maxima.values)
        np.testing.assert_array_equal(one.maxima.barycentric, other.maxima.barycentric)
        assert one.samples is not None
        assert other.samples is not None
        np.testing.assert_array_equal(one.samples.loss, other.samples.loss)
    for one, other in zip(a.maxima, b.maxima, strict=True):
        np.testing.assert_array_equal(one, other)


class Counting:
    """A loss that counts what is asked of it, and breaks when told to."""

    def __init__(self, until: float = np.inf) -> None:
        self.points, self.until = 0, until

    def __call__(self, x: Tensor) -> Tensor:
        self.points += len(x)
        if self.points > self.until:
            raise KeyboardInterrupt
        return loss(x)
