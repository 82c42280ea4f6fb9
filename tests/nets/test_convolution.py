"""Convolutions of images with their examples last, against torch's own."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numba
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import conv2d, max_pool2d

from nets import kernels
from nets.convolution import suits
from nets.execution.policy import ExamplesLast
from nets.layout import TYPES, examples_last
from reduction.threads import cores
from tests.nets.derivatives import drawn, images, in_all_orders


class Case(NamedTuple):
    """Images, and weights (filters, channels, *size) with zeros around."""

    n: int
    channels: int
    filters: int
    height: int
    width: int
    size: tuple[int, int]
    zeros: tuple[int, int]

    def drawn(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Images, weights and bias."""
        x = images(self.n, self.channels, self.height, self.width, seed=1, dtype=dtype)
        shape = self.filters, self.channels, *self.size
        return x, drawn(*shape, seed=2, dtype=dtype), drawn(self.filters, seed=2, dtype=dtype)


SIZES = [
    Case(5, 3, 4, 9, 8, (3, 5), (1, 2)),
    Case(128, 1, 6, 28, 28, (5, 5), (2, 2)),
    Case(3, 6, 5, 7, 6, (1, 1), (0, 0)),
    Case(7, 2, 1, 4, 5, (4, 5), (0, 0)),
    Case(2, 7, 3, 6, 6, (2, 3), (1, 0)),
    Case(300, 4, 2, 5, 12, (3, 3), (2, 1)),  # rows of more than a stretch
    Case(128, 1, 1, 28, 28, (3, 3), (0, 0)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", SIZES, ids=str)
def test_a_convolution_is_torchs_with_both_derivatives(case: Case, dtype: torch.dtype) -> None:
    x, weight, bias = case.drawn(dtype)

    def function() -> Tensor:
        return conv2d(x, weight, bias, padding=case.zeros)

    expected = in_all_orders(function, (x, weight, bias))
    with ExamplesLast():
        assert function().stride(0) == 1
        found = in_all_orders(function, (x, weight, bias))
    longest_sum = max(function().numel() // case.filters, weight[0].numel(), case.filters)
    rounding = longest_sum**0.5 * torch.finfo(dtype).eps / 4
    x, weight, bias = (part.detach().abs().requires_grad_() for part in (x, weight, bias))
    terms = in_all_orders(function, (x, weight, bias))  # of one sign, so that none cancels another
    for own, torchs, sizes in zip(found, expected, terms, strict=True):
        assert own.shape == torchs.shape
        assert own.dtype == dtype
        assert (own - torchs).abs().max() <= rounding * sizes.max()


WITHOUT_SLOPES = [
    *SIZES,
    # by Winograd's way
    Case(128, 16, 16, 32, 32, (3, 3), (1, 1)),
    Case(127, 16, 32, 8, 8, (3, 3), (1, 1)),  # examples that no vector divides
    Case(33, 17, 19, 7, 9, (3, 3), (1, 1)),  # squares, channels and filters likewise
    Case(32, 16, 16, 3, 3, (3, 3), (0, 0)),
    Case(40, 20, 16, 5, 6, (3, 3), (2, 0)),
    Case(64, 33, 65, 1, 1, (3, 3), (1, 2)),
]


@pytest.mark.parametrize("case", WITHOUT_SLOPES, ids=str)
@pytest.mark.parametrize("dtype", TYPES)
def test_without_gradients_a_convolution_is_torchs(case: Case, dtype: torch.dtype) -> None:
    x, weight, bias = case.drawn(dtype)
    exact = conv2d(x.double(), weight.double(), bias.double(), padding=case.zeros)
    with torch.no_grad(), ExamplesLast():
        found = conv2d(x, weight, bias, padding=case.zeros)
        alone = conv2d(x, weight, padding=case.zeros)
    assert found.stride(0) == 1
    assert found.dtype == dtype
    # Winograd's rounds sums of transformed numbers, which are larger
    rounding = 8 * torch.finfo(dtype).eps * weight[0].numel() ** 0.5
    assert (found - exact).abs().max() <= rounding * exact.abs().max()
    assert (alone + bias[:, None, None] - exact).abs().max() <= rounding * exact.abs().max()


def test_winograds_way_is_taken_where_it_is_faster() -> None:
    """Its bits tell."""
    cases = {size: Case(32, 16, 16, 8, 8, size, (1, 1)) for size in ((3, 3), (3, 2))}
    for size, case in cases.items():
        x, weight, bias = case.drawn(torch.float32)
        exact = conv2d(x.double(), weight.double(), bias.double(), padding=1)
        with torch.no_grad(), ExamplesLast():
            error = (conv2d(x, weight, bias, padding=1) - exact).abs().mean()
            short = kernels.WIDTH - 1
            few = (conv2d(x[:short], weight, bias, padding=1) - exact[:short]).abs().mean()
        assert (error > 2 * few) == (size == (3, 3))


@pytest.mark.parametrize("steps", [2, 3, (1, 2), (2, 1)])
@pytest.mark.parametrize("examples", [5, 70])
def test_without_gradients_steps_may_be_longer(examples: int, steps: int | tuple[int, int]) -> None:
    x, weight, bias = Case(examples, 3, 11, 9, 8, (3, 3), (1, 1)).drawn(torch.float64)
    with torch.no_grad(), ExamplesLast():
        found = conv2d(x, weight, bias, stride=steps, padding=(1, 2))
    expected = conv2d(x, weight, bias, stride=steps, padding=(1, 2))
    assert found.stride(0) == 1
    assert (found - expected).abs().max() <= 1e-14 * expected.abs().max()


@pytest.mark.parametrize("size", [3, 2])
def test_what_is_not_finite_stays_with_its_example(size: int) -> None:
    x, weight, bias = Case(64, 16, 16, 8, 8, (size, size), (1, 1)).drawn(torch.float32)
    x = x.detach()
    x[40, 3, 2, 2] = torch.nan
    with torch.no_grad(), ExamplesLast():
        found = conv2d(x, weight, bias, padding=1)
    assert found[40].isnan().any()
    assert found.isfinite().all(dim=(1, 2, 3)).sum() == 63


def test_derivatives_are_those_of_the_values() -> None:
    """By differences; also of the gradients with respect to what comes from outside."""
    x, weight, bias = (drawn(*s, seed=4) for s in ((3, 2, 5, 4), (3, 2, 3, 2), (3,)))
    with ExamplesLast():
        convolve = partial(conv2d, padding=(1, 1))
        assert gradcheck(convolve, (x, weight, bias))
        assert gradgradcheck(convolve, (x, weight, bias))


def test_numbers_that_are_not_finite_go_where_torch_has_them() -> None:
    x, weight = images(4, 2, 6, 6, seed=5).detach(), drawn(3, 2, 3, 3, seed=6).detach()
    x[0, 0, 2, 3], x[1, 1, 0, 0], x[2, 0, 5, 5] = torch.nan, torch.inf, -torch.inf
    with ExamplesLast():
        convolved = conv2d(x, weight, padding=1)
    torch.testing.assert_close(convolved, conv2d(x, weight, padding=1), equal_nan=True)
    assert convolved.isnan().any()
    assert convolved.isinf().any()


def test_zeros_around_are_numbers_for_weights_that_are_not_finite() -> None:
    """As in torch's float64; its float32 leaves them out."""
    x, weight = images(1, 1, 2, 2, seed=5).detach(), torch.zeros(1, 1, 3, 3).double()
    weight[0, 0, 0, 0] = torch.inf
    with ExamplesLast():
        rows = [conv2d(x.to(t), weight.to(t), padding=1)[0, 0, 0] for t in TYPES]
    assert all(row.isnan().all() for row in rows)
    assert conv2d(x, weight, padding=1)[0, 0, 0].isnan().all()


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: conv2d(x, w, stride=2),
        lambda x, w: conv2d(x, w, padding="same"),
        lambda x, w: conv2d(x, w, padding=3),
        lambda x, w: conv2d(x, w, padding=torch.tensor(1)),  # pyright: ignore
        lambda x, w: conv2d(x, w, dilation=2),
        lambda x, w: conv2d(x, w[:, :1], groups=2),
        lambda x, w: conv2d(x[0], w),
        lambda x, w: conv2d(x[:0], w),
        lambda x, w: conv2d(torch._neg_view(x), w),  # pyright: ignore
    ],
)
def test_the_rest_is_torchs(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    x, weight = images(4, 2, 7, 7, seed=7), drawn(4, 2, 3, 3, seed=8)
    with ExamplesLast():
        found = function(x, weight)
    assert torch.equal(found, function(x, weight))


@pytest.mark.parametrize("size", [(2, 0), [1, 1]])
def test_arguments_may_be_given_by_name(size: Sequence[int]) -> None:
    x, weight, bias = images(4, 2, 7, 7, seed=9), drawn(5, 2, 3, 3, seed=10), drawn(5, seed=11)
    with ExamplesLast():
        found = conv2d(input=x, weight=weight, bias=bias, padding=size, stride=[1], groups=1)
    assert found.stride(0) == 1
    torch.testing.assert_close(found, conv2d(x, weight, bias, padding=size))


REFUSED: list[tuple[str, Callable[[Tensor, Tensor], Tensor]]] = [
    ("to have 3 channels, but got 2", lambda x, _: conv2d(x, drawn(4, 3, 3, 3, seed=10))),
    ("can't be greater than actual input", lambda x, _: conv2d(x, drawn(4, 2, 8, 8, seed=11))),
    ("negative padding is not supported", lambda x, w: conv2d(x, w, padding=-1)),
    ("expected padding to be a single integer", lambda x, w: conv2d(x, w, padding=(1, 1, 1))),
    ("expected stride to be a single integer", lambda x, w: conv2d(x, w, stride=(1, 1, 1))),
    ("bias of size", lambda x, w: conv2d(x, w, drawn(6, seed=12))),
    ("bias of size", lambda x, w: conv2d(x, w, drawn(2, seed=12))),
    ("same", lambda x, w: conv2d(x, w, drawn(4, seed=12, dtype=torch.float32))),
    ("expected weight to be at least 1", lambda x, w: conv2d(x, w[:0])),
]


@pytest.mark.parametrize(("words", "function"), REFUSED)
def test_what_torch_refuses_is_refused_in_its_words(
    words: str, function: Callable[[Tensor, Tensor], Tensor]
) -> None:
    x, weight = images(4, 2, 7, 7, seed=9), drawn(4, 2, 3, 3, seed=10)
    with pytest.raises(RuntimeError, match=words) as torchs:
        function(x, weight)
    with ExamplesLast(), pytest.raises(RuntimeError) as own:
        function(x, weight)
    assert str(own.value) == str(torchs.value)


@pytest.mark.parametrize("filters", [1, 4])
def test_what_comes_out_may_be_changed_in_place(filters: int) -> None:
    x, weight = images(4, 2, 7, 7, seed=9), drawn(filters, 2, 3, 3, seed=10)

    def function() -> Tensor:
        return max_pool2d(conv2d(x, weight).relu_(), 2).mul_(2).sin_()

    expected = in_all_orders(function, (x, weight))
    with ExamplesLast():
        found = in_all_orders(function, (x, weight))
    for own, torchs in zip(found, expected, strict=True):
        torch.testing.assert_close(own, torchs)


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
        nn.Conv2d(1, 6, 3, padding=-1),
        nn.Conv2d(1, 6, 3, padding=1, padding_mode="reflect"),
    )
    assert not any(map(suits, others))


def everything(case: Case) -> list[Tensor]:
    x, weight, bias = case.drawn(torch.float32)
    with torch.no_grad(), ExamplesLast():
        without = conv2d(x, weight, bias, padding=case.zeros)
    with ExamplesLast():
        values = conv2d(x, weight, bias, padding=case.zeros)
        slopes = torch.autograd.grad(values.square().sum(), (x, weight, bias))
        return [without, values, *slopes]


@pytest.mark.skipif(cores() == 1, reason="one core: there is one thread")
@pytest.mark.parametrize("case", WITHOUT_SLOPES, ids=str)
def test_the_number_of_threads_changes_no_bit(case: Case) -> None:
    assert numba.config.NUMBA_NUM_THREADS > 1  # pyright: ignore
    before, found = torch.get_num_threads(), list[list[Tensor]]()
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            found.append(everything(case))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


AT_THE_SAME_TIME = """
from concurrent.futures import ThreadPoolExecutor
import numba, torch
from tests.nets.test_convolution import Case, everything
torch.set_num_threads(2)
cases = [Case(64, 3, k + 2, 13, 11, (3, 3), (1, 1)) for k in range(8)]
alone = [everything(case) for case in cases]
with ThreadPoolExecutor(4) as pool:
    for _ in range(20):
        for own, expected in zip(pool.map(everything, cases), alone, strict=True):
            assert all(map(torch.equal, own, expected))
print(numba.threading_layer())
"""


@pytest.mark.skipif(cores() == 1, reason="one core: there is one thread")
def test_several_of_pythons_threads_may_convolve_at_the_same_time() -> None:
    """On the layer that takes one call at a time, and ends the process at a second."""
    environment = os.environ | {"NUMBA_THREADING_LAYER": "workqueue", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", AT_THE_SAME_TIME]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "workqueue\n"), done.stderr


def test_images_change_their_place_in_memory_alone() -> None:
    x = drawn(4, 2, 3, 5, seed=14)
    last = examples_last(x)
    assert torch.equal(last, x)
    assert last.stride() == (1, 60, 20, 4)
    assert np.shares_memory(examples_last(last).detach().numpy(), last.detach().numpy())
