"""Pooling with channels last, against torch's of images as they are given."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nets import NetworkLoss
from nets.execution.operators.pooling import channels_last_pooling
from tests.nets.networks import numbers

CASES: dict[str, dict[str, Any]] = {
    "halves": {"kernel_size": 2},
    "overlapping": {"kernel_size": 3, "stride": 2, "padding": 1},
    "oblong, to the end": {"kernel_size": (2, 3), "ceil_mode": True},
    "dilated": {"kernel_size": 2, "dilation": 2, "stride": 1},
}


class Pooled(TorchDispatchMode):
    """Whether images that are pooled while it is entered have their channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.last = list[bool]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "max_pool2d_with_indices" in str(func) and "backward" not in str(func):
            self.last.append(args[0].is_contiguous(memory_format=torch.channels_last))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_torchs_bit_for_bit(
    options: dict[str, Any], dtype: torch.dtype
) -> None:
    images = numbers(5, 6, 11, 9, seed=61).relu().to(dtype)  # many pixels are equal, to 0
    images[0, 0, 0, 0] = torch.nan
    pool = nn.MaxPool2d(**options)

    def found() -> tuple[Tensor, Tensor]:
        given = images.clone().requires_grad_()
        pooled = pool(given)
        slopes = numbers(*pooled.shape, seed=62).to(dtype)
        (gradient,) = torch.autograd.grad((slopes * pooled.nan_to_num()).sum(), given)
        assert pooled.is_contiguous()
        return pooled, gradient

    expected = found()
    with channels_last_pooling([pool]), Pooled() as pooled:
        here = found()
    assert pooled.last == [True]
    assert not pool._forward_hooks
    assert not pool._forward_pre_hooks
    for own, torchs in zip(here, expected, strict=True):
        assert torch.equal(own.nan_to_num(-1), torchs.nan_to_num(-1))


def test_other_inputs_are_left_to_torch() -> None:
    images = numbers(3, 4, 6, 6, seed=63)
    pool, with_indices = nn.MaxPool2d(2), nn.MaxPool2d(2, return_indices=True)
    with channels_last_pooling([pool, with_indices, nn.ReLU()]), Pooled() as read:
        one = pool(images[0])
        pooled, where = with_indices(images)
    assert not any(read.last)
    assert torch.equal(one, pooled[0])
    assert where.dtype == torch.int64


def test_images_of_many_weights_are_pooled_so() -> None:
    """A ResNet's beginning: one forward for a point, images as they are given."""
    wide = nn.Sequential(
        *(nn.Conv2d(1, 64, 3), nn.MaxPool2d(2), nn.Conv2d(64, 64, 3), nn.Flatten()),
        nn.Linear(64, 2),
    )
    loss = NetworkLoss(wide, numbers(4, 1, 8, 8, seed=64), torch.arange(4) % 2)
    assert (loss.execution.layout, loss.execution.pools) == ("given", True)
    point = numbers(1, loss.dim, seed=65)
    loss(point)  # the first is compared with plain torch
    with Pooled() as pooled:
        loss(point)
    assert pooled.last == [True]
