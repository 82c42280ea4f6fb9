"""Max pooling of images with their examples last: torch's own, bit for bit."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import max_pool2d

from nets.execution.policy import ExamplesLast
from tests.nets.derivatives import images, in_all_orders

POOLS = [
    (5, 3, 9, 8, 2),
    (4, 2, 7, 7, 3),
    (128, 6, 28, 28, 2),
    (3, 2, 5, 6, 1),
    (2, 1, 16, 35, 16),
]


@pytest.mark.parametrize(("n", "channels", "height", "width", "size"), POOLS)
def test_max_pooling_is_torchs_bit_for_bit_with_ties(
    n: int, channels: int, height: int, width: int, size: int
) -> None:
    few_values = images(n, channels, height, width, seed=3).detach().round() / 2
    x = few_values.requires_grad_()

    def function() -> Tensor:
        return nn.MaxPool2d(size)(x * x.abs())

    expected = in_all_orders(function, (x,))
    with ExamplesLast():
        assert function().stride(0) == 1
        found = in_all_orders(function, (x,))
    for own, torchs in zip(found, expected, strict=True):
        assert torch.equal(own, torchs)


def test_derivatives_are_those_of_the_values() -> None:
    x = images(3, 2, 5, 4, seed=4)
    with ExamplesLast():
        assert gradcheck(lambda x: max_pool2d(x, 2), (x,))
        assert gradgradcheck(lambda x: max_pool2d(x, 2), (x,))


def test_numbers_that_are_not_finite_go_where_torch_has_them() -> None:
    x = images(4, 2, 6, 6, seed=5).detach()
    x[0, 0, 2, 3], x[1, 1, 0, 0], x[2, 0, 5, 5], x[0, 0, 2, 2] = torch.nan, torch.inf, -torch.inf, 1
    with ExamplesLast():
        pooled = max_pool2d(x, 2)
    assert pooled.isnan().sum() == 1
    torch.testing.assert_close(pooled, max_pool2d(x, 2), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: max_pool2d(x, 3, stride=2),
        lambda x: max_pool2d(x, 2, padding=1),
        lambda x: max_pool2d(x, 2, dilation=2),
        lambda x: max_pool2d(x, 2, ceil_mode=True),
        lambda x: max_pool2d(x, (2, 1)),
        lambda x: max_pool2d(x, 2, stride=(2, 1)),
        lambda x: max_pool2d(x, 2, return_indices=True)[1],
        lambda x: max_pool2d(x, 17),
        lambda x: max_pool2d(x[0], 2),
        lambda x: max_pool2d(x.bfloat16(), 2),
    ],
)
def test_the_rest_is_torchs(function: Callable[[Tensor], Tensor]) -> None:
    x = images(4, 2, 17, 18, seed=7)
    with ExamplesLast():
        found = function(x)
    assert torch.equal(found, function(x))


@pytest.mark.parametrize("size", [16, 17])
def test_the_last_place_of_a_large_square_is_found(size: int) -> None:
    x = images(1, 1, size, size, seed=7).detach()
    x[0, 0, -1, -1] = 10
    x.requires_grad_()
    with ExamplesLast():
        (slope,) = torch.autograd.grad(max_pool2d(x, size).sum(), x)
    assert slope[0, 0, -1, -1] == slope.sum() == 1


@pytest.mark.parametrize("size", [(2, 2), [2]])
def test_one_size_for_rows_and_columns_may_be_given_in_several_ways(size: object) -> None:
    x = images(4, 2, 7, 7, seed=8)
    with ExamplesLast():
        found = max_pool2d(input=x, kernel_size=size, stride=2)  # pyright: ignore
    assert found.stride(0) == 1
    assert torch.equal(found, max_pool2d(x, 2))


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"kernel_size": 8}, "too small"),
        ({"kernel_size": 2, "stride": 0}, "stride should not be zero"),
        ({"kernel_size": (2, 2, 2)}, "kernel_size must either be a single int, or a tuple of two"),
    ],
)
def test_what_torch_refuses_is_refused_in_its_words(asked: dict[str, int], refused: str) -> None:
    with ExamplesLast(), pytest.raises(RuntimeError, match=refused):
        max_pool2d(images(4, 2, 7, 7, seed=9), **asked)  # pyright: ignore
