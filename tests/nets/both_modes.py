"""Losses in evaluation and in training, with their gradients, beside those of plain torch."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import NetworkLoss
from tests.nets.networks import at, points_near, trainable


def compare_with_plain_torch(
    model: nn.Module, loss: NetworkLoss, x: Tensor, y: Tensor, bound: float = 1e-5
) -> None:
    """Values and gradients in evaluation, and of a mini-batch in training with its seed."""
    points = points_near(model, 2)
    values, gradients = loss.values_and_gradients(points)
    evaluated = loss.evaluate(points).loss
    estimate = next(loss.estimates(24, np.random.default_rng(0)))
    leaf = points.clone().requires_grad_()
    estimates = estimate(leaf)
    (slopes,) = torch.autograd.grad(estimates.sum(), leaf)
    rng = np.random.default_rng(0)
    batch, seed = torch.as_tensor(rng.permutation(len(y)))[:24], int(rng.integers(2**63))
    for i, point in enumerate(points):
        value, gradient = plain(model, point, x, y)
        assert values[i].item() == pytest.approx(value, rel=bound)
        assert evaluated[i] == pytest.approx(value, rel=bound)
        torch.testing.assert_close(gradients[i], gradient, rtol=bound, atol=0.1 * bound)
        value, gradient = plain(model, point, x[batch], y[batch], seed)
        assert estimates[i].item() == pytest.approx(value, rel=bound)
        torch.testing.assert_close(slopes[i], gradient, rtol=bound, atol=0.1 * bound)
        assert gradient.norm() > 0


def plain(
    model: nn.Module, point: Tensor, x: Tensor, y: Tensor, seed: int | None = None
) -> tuple[float, Tensor]:
    """Loss and gradient, in training mode if there is a seed."""
    network = at(model, point).train(seed is not None)
    with torch.random.fork_rng():
        if seed is not None:
            torch.manual_seed(seed)
        value = cross_entropy(network(x.clone()), y)
        value.backward()
    slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in trainable(network)]
    return value.item(), nn.utils.parameters_to_vector(slopes)
