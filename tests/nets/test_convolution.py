"""Convolutions and max pooling of images with their examples last: against torch's own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import conv2d, max_pool2d

from nets.convolution import ExamplesLast, examples_last, suits

SIZES = [  # examples, channels, filters, height, width, kernel, zeros around
    (5, 3, 4, 9, 8, (3, 5), (1, 2)),
    (128, 1, 6, 28, 28, (5, 5), (2, 2)),
    (3, 6, 5, 7, 6, (1, 1), (0, 0)),
    (7, 2, 1, 4, 5, (4, 5), (0, 0)),
    (2, 7, 3, 6, 6, (2, 3), (1, 0)),
    (300, 4, 2, 5, 12, (3, 3), (2, 1)),  # rows of more than a stretch
]
POOLS = [(5, 3, 9, 8, 2), (4, 2, 7, 7, 3), (128, 6, 28, 28, 2), (3, 2, 5, 6, 1), (2, 1, 15, 16, 15)]


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def images(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return examples_last(drawn(*shape, seed=seed, dtype=dtype).detach()).requires_grad_()


def in_all_orders(function: Callable[[], Tensor], of: tuple[Tensor, ...]) -> list[Tensor]:
    """Values, and first and second derivatives of something that depends on them."""
    values = function()
    first = torch.autograd.grad(values.square().sum(), of, create_graph=True)
    sizes = torch.stack([slope.square().sum() for slope in first])
    second = torch.autograd.grad(sizes.sum(), of)
    return [values.detach(), *(slope.detach() for slope in first), *second]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "channels", "filters", "height", "width", "size", "zeros"), SIZES)
def test_a_convolution_is_torchs_with_both_derivatives(
    n: int,
    channels: int,
    filters: int,
    height: int,
    width: int,
    size: tuple[int, int],
    zeros: tuple[int, int],
    dtype: torch.dtype,
) -> None:
    x = images(n, channels, height, width, seed=1, dtype=dtype)
    weight, bias = (
        drawn(*shape, seed=2, dtype=dtype) for shape in ((filters, channels, *size), (filters,))
    )

    def function() -> Tensor:
        return conv2d(x, weight, bias, padding=zeros)

    expected = in_all_orders(function, (x, weight, bias))
    with ExamplesLast():
        assert function().stride(0) == 1
        found = in_all_orders(function, (x, weight, bias))
    rounding = 1e-13 if dtype == torch.float64 else 2e-5
    for own, torchs in zip(found, expected, strict=True):
        assert own.shape == torchs.shape
        assert own.dtype == dtype
        assert (own - torchs).abs().max() <= rounding * torchs.abs().max()


@pytest.mark.parametrize(("n", "channels", "height", "width", "size"), POOLS)
def test_max_pooling_is_torchs_bit_for_bit_with_ties(
    n: int, channels: int, height: int, width: int, size: int
) -> None:
    drawn_images = images(n, channels, height, width, seed=3).detach()
    x = (drawn_images.round() / 2).requires_grad_()  # few values: many ties

    def function() -> Tensor:
        return nn.MaxPool2d(size)(x * x.abs())

    expected = in_all_orders(function, (x,))
    with ExamplesLast():
        assert function().stride(0) == 1
        found = in_all_orders(function, (x,))
    for own, torchs in zip(found, expected, strict=True):
        assert torch.equal(own, torchs)


def test_derivatives_are_those_of_the_values() -> None:
    """By differences, also of the gradients with respect to what comes from outside."""
    x, weight, bias = (drawn(*s, seed=4) for s in ((3, 2, 5, 4), (3, 2, 3, 2), (3,)))
    with ExamplesLast():
        convolve = partial(conv2d, padding=(1, 1))
        assert gradcheck(convolve, (x, weight, bias))
        assert gradgradcheck(convolve, (x, weight, bias))
        assert gradcheck(lambda x: max_pool2d(x, 2), (x,))
        assert gradgradcheck(lambda x: max_pool2d(x, 2), (x,))


def test_numbers_that_are_not_finite_go_where_torch_has_them() -> None:
    x, weight = images(4, 2, 6, 6, seed=5).detach(), drawn(3, 2, 3, 3, seed=6).detach()
    x[0, 0, 2, 3], x[1, 1, 0, 0], x[2, 0, 5, 5] = torch.nan, torch.inf, -torch.inf
    with ExamplesLast():
        pooled, convolved = max_pool2d(x, 2), conv2d(x, weight)
    torch.testing.assert_close(pooled, max_pool2d(x, 2), rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(convolved, conv2d(x, weight), equal_nan=True)
    assert convolved.isnan().any()
    assert convolved.isinf().any()


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: conv2d(x, w, stride=2),
        lambda x, w: conv2d(x, w, padding="same"),
        lambda x, w: conv2d(x, w, padding=3),
        lambda x, w: conv2d(x, w, dilation=2),
        lambda x, w: conv2d(x, w[:, :1], groups=2),
        lambda x, w: conv2d(x[0], w),
        lambda x, w: conv2d(x[:0], w),
        lambda x, _: max_pool2d(x, 3, stride=2),
        lambda x, _: max_pool2d(x, 2, padding=1),
        lambda x, _: max_pool2d(x, 2, ceil_mode=True),
        lambda x, _: max_pool2d(x, (2, 1)),
        lambda x, _: max_pool2d(x, 2, return_indices=True)[1],
        lambda x, _: max_pool2d(x.bfloat16(), 2),
    ],
)
def test_the_rest_is_torchs(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    x, weight = images(4, 2, 7, 7, seed=7), drawn(4, 2, 3, 3, seed=8)
    with ExamplesLast():
        found = function(x, weight)
    assert torch.equal(found, function(x, weight))


def test_what_torch_refuses_is_refused_in_its_words() -> None:
    x, weight = images(4, 2, 7, 7, seed=9), drawn(4, 3, 3, 3, seed=10)
    with ExamplesLast():
        with pytest.raises(RuntimeError, match=r"expected input.* to have 3 channels, but got 2"):
            conv2d(x, weight)
        with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input"):
            conv2d(x, drawn(4, 2, 8, 8, seed=11))
        with pytest.raises(RuntimeError, match="too small"):
            max_pool2d(x, 8)


def test_a_convolution_suits_where_torch_is_slow_and_it_can_be_done() -> None:
    assert suits(nn.Conv2d(1, 6, 5, padding=2))
    assert suits(nn.Conv2d(15, 64, (1, 3)))
    others = (
        nn.Conv2d(16, 6, 5),
        nn.Conv2d(1, 6, 5, stride=2),
        nn.Conv2d(1, 6, 5, dilation=2),
        nn.Conv2d(2, 6, 5, groups=2),
        nn.Conv2d(1, 6, 5, padding="same"),
        nn.Conv2d(1, 6, 3, padding=3),
        nn.Conv2d(1, 6, 3, padding=1, padding_mode="reflect"),
    )
    assert not any(map(suits, others))


def everything(x: Tensor, weight: Tensor) -> list[Tensor]:
    with ExamplesLast():
        values = max_pool2d(conv2d(x, weight, padding=1), 2)
        return [values, *torch.autograd.grad(values.square().sum(), (x, weight))]


def test_the_number_of_threads_changes_no_bit() -> None:
    x, weight = (
        images(9, 3, 13, 11, seed=12, dtype=torch.float32),
        drawn(5, 3, 3, 3, seed=13, dtype=torch.float32),
    )
    before, found = torch.get_num_threads(), list[list[Tensor]]()
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            found.append(everything(x, weight))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_several_of_pythons_threads_may_convolve_at_the_same_time() -> None:
    cases = [(images(64, 3, 13, 11, seed=s), drawn(4, 3, 3, 3, seed=s)) for s in range(8)]
    expected = [everything(*case) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for own, alone in zip(pool.map(lambda c: everything(*c), cases), expected, strict=True):
                assert all(map(torch.equal, own, alone))


def test_images_change_their_place_in_memory_alone() -> None:
    x = drawn(4, 2, 3, 5, seed=14)
    last = examples_last(x)
    assert torch.equal(last, x)
    assert last.stride() == (1, 60, 20, 4)
    assert np.shares_memory(examples_last(last).detach().numpy(), last.detach().numpy())
