"""torch's norms with derivatives by their running statistics, against their definition."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import batch_norm, instance_norm

from nets.execution.modules.norm_functions import DifferentiableNorms
from tests.nets.networks import numbers

MEAN, VAR = numbers(3, seed=1).double(), numbers(3, seed=2).double().square() + 0.1
WEIGHT, BIAS = numbers(3, seed=3).double(), numbers(3, seed=4).double()
INPUTS = numbers(4, 3, 5, seed=5).double()
LOW_LEVEL: Any = torch.batch_norm

CALLS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "function": lambda x, m, v: batch_norm(x, m, v, WEIGHT, BIAS, eps=0.3),
    "by name": lambda x, m, v: batch_norm(
        running_var=v, running_mean=m, input=x, weight=WEIGHT, bias=BIAS, eps=0.3
    ),
    "of torch": lambda x, m, v: LOW_LEVEL(x, WEIGHT, BIAS, m, v, False, 0.1, 0.3, False),
    "instance": lambda x, m, v: instance_norm(
        x, m, v, WEIGHT, BIAS, use_input_stats=False, eps=0.3
    ),
}


def definition(x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    mean, var, weight, bias = (each[:, None] for each in (mean, var, WEIGHT, BIAS))
    return (x - mean) / (var + 0.3).sqrt() * weight + bias


def derivatives(norm: Callable[[Tensor, Tensor, Tensor], Tensor]) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in (INPUTS, MEAN, VAR)]
    total = norm(*leaves).pow(3).sum()
    first = torch.autograd.grad(total, leaves, create_graph=True)
    slope = sum((each * (each.detach() + 1)).sum() for each in first)
    assert isinstance(slope, Tensor)
    return [*first, *torch.autograd.grad(slope, leaves)]


@pytest.mark.parametrize("name", CALLS)
def test_derivatives_by_statistics_are_those_of_the_definition(name: str) -> None:
    with DifferentiableNorms():
        found = derivatives(CALLS[name])
    for own, expected in zip(found, derivatives(definition), strict=True):
        assert expected.norm() > 0.1
        assert (own - expected).norm() < 1e-12 * expected.norm()


@pytest.mark.parametrize("name", CALLS)
def test_values_have_the_bits_of_torchs(name: str) -> None:
    expected = CALLS[name](INPUTS, MEAN, VAR)
    with DifferentiableNorms():
        assert torch.equal(CALLS[name](INPUTS, MEAN.clone().requires_grad_(), VAR), expected)


def test_derivatives_by_statistics_under_vmap() -> None:
    means = torch.stack([MEAN, 2 * MEAN]).requires_grad_()
    with DifferentiableNorms():
        total = vmap(lambda mean: CALLS["function"](INPUTS, mean, VAR).square().sum())(means)
    own = torch.autograd.grad(total.sum(), means)[0]
    total = sum(definition(INPUTS, mean, VAR).square().sum() for mean in means)
    assert isinstance(total, Tensor)
    torch.testing.assert_close(own, torch.autograd.grad(total, means)[0], rtol=1e-12, atol=0)


def test_norms_in_training_are_torchs_own() -> None:
    norm = nn.BatchNorm1d(3).double()
    with DifferentiableNorms():
        outputs = norm(INPUTS)
    assert torch.equal(outputs, nn.BatchNorm1d(3).double()(INPUTS))
    assert norm.running_mean is not None
    assert norm.running_mean.norm() > 0
