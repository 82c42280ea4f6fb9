"""The optimizer of a build that names none."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import Algorithm1, Barycentric, Edgewise, Minima, NudgedElastic, build_complex
from simplicial.loss import Loss, StochasticLoss
from simplicial.optimizers.nudged_elastic import default_optimizer


def tilted_ring(p: Tensor) -> Tensor:
    """At x = 0 lowest at y = -y0, where 4 y (y^2 - 1) + y + 0.1 is 0."""
    return (p.square().sum(dim=1) - 1) ** 2 + p[:, 1] ** 2 / 2 + p[:, 1] / 10


class OfData(StochasticLoss):
    """A loss with one mini-batch."""

    def __call__(self, points: Tensor) -> Tensor:
        return tilted_ring(points)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        yield tilted_ring


def test_a_function_has_elastic_simplices_and_a_loss_with_mini_batches_the_papers() -> None:
    assert default_optimizer(tilted_ring, None) == NudgedElastic()
    assert default_optimizer(tilted_ring, Edgewise(8)) == NudgedElastic(segments=8)
    assert default_optimizer(OfData(), None) == Algorithm1()
    assert default_optimizer(OfData(), Edgewise(8)) == Algorithm1()


def test_maps_that_elastic_simplices_cannot_have_are_algorithm_1s() -> None:
    assert default_optimizer(tilted_ring, Barycentric()) == Algorithm1()
    assert default_optimizer(tilted_ring, Edgewise(1)) == Algorithm1()


def test_a_build_without_an_optimizer_is_exact_on_a_tilted_ring() -> None:
    roots = np.roots([4, 0, -3, 0.1])
    low = min(float(r.real) for r in roots)
    barrier = (low**2 - 1) ** 2 + low**2 / 2 + low / 10
    ends = torch.tensor([[-1.0, -0.0], [1.0, 0.0]], dtype=torch.float64)
    built = build_complex(Minima(ends, tilted_ring), 1, progress=False)
    assert built.simplex_map == Edgewise(12)
    assert built.values[1][0] == pytest.approx(barrier, abs=1e-6)
