"""Convolutions as products with unfolded images, against torch's."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.functional import conv2d
from torch.utils._python_dispatch import TorchDispatchMode

from nets.execution.operators.unfolded_convolution import UnfoldedConvolutions, unfolded_convolution
from tests.nets.networks import numbers

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "zeros around": {"padding": (2, 1)},
    "steps": {"stride": (2, 3), "padding": 1},
}


class Operators(TorchDispatchMode):
    """Names of the operators that torch runs while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set[str]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(str(func.overloadpacket))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_values_and_gradients_of_several_networks_are_torchs(options: dict[str, Any]) -> None:
    weights = numbers(3, 4, 2, 5, 3, seed=51).double().requires_grad_()
    biases = numbers(3, 4, seed=52).double().requires_grad_()
    images = numbers(6, 2, 9, 8, seed=53).double().requires_grad_()

    def outputs(weight: Tensor, bias: Tensor) -> Tensor:
        return conv2d(images, weight, bias, **options)

    with UnfoldedConvolutions(), Operators() as operators:
        found = vmap(outputs)(weights, biases)
    assert {name for name in operators.names if "conv" in name} == set()
    assert "aten.unfold" in operators.names
    expected = torch.stack([outputs(w, b) for w, b in zip(weights, biases, strict=True)])
    assert (found - expected).abs().max() < 1e-13
    slopes = numbers(*expected.shape, seed=54).double()
    parts = weights, biases, images
    owns, torchs = (torch.autograd.grad((slopes * each).sum(), parts) for each in (found, expected))
    for own, other in zip(owns, torchs, strict=True):
        assert (own - other).abs().max() < 1e-12


def test_without_bias() -> None:
    weight, images = numbers(4, 2, 3, 3, seed=55), numbers(6, 2, 9, 8, seed=56)
    found = unfolded_convolution(images, weight)
    assert found is not None
    assert (found - conv2d(images, weight)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("images", "weight", "options"),
    [
        ((5, 16, 8, 8), (2, 16, 3, 3), {}),  # as fast by cuDNN
        ((5, 4, 8, 8), (2, 2, 3, 3), {"groups": 2}),
        ((5, 2, 8, 8), (2, 2, 3, 3), {"dilation": 2}),
        ((5, 2, 8, 8), (2, 2, 3, 3), {"padding": "same"}),
        ((2, 8, 8), (2, 2, 3, 3), {}),
        ((5, 2, 2, 8), (2, 2, 3, 3), {}),  # torch refuses it
        ((5, 3, 8, 8), (2, 2, 3, 3), {}),
        ((5, 2, 8, 8), (2, 2, 3, 3), {"padding": -1}),
        ((5, 2, 8, 8), (2, 2, 3, 3), {"stride": 0}),
        ((5, 2, 8, 8), (2, 2, 3, 3), {"bias": torch.ones(1)}),
    ],
)
def test_all_else_is_left_to_torch(images: Any, weight: Any, options: dict[str, Any]) -> None:
    assert unfolded_convolution(torch.ones(images), torch.ones(weight), **options) is None
