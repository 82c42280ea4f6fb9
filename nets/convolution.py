"""Convolutions and max pooling of images that lie with their examples last in memory.

torch's convolutions work on blocks of 8 or 16 channels, and are slow where there are fewer, as in
LeNet; its max pooling looks at one number at a time. `nets.kernels` works along rows of images.
What is computed is what torch's functions of the same names compute, to rounding, with the same
bits for every number of threads, and can be differentiated as often as one likes.
"""

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import max_pool2d, pad
from torch.overrides import TorchFunctionMode

from nets import kernels

FEW = 16  # channels that are read; with so many, torch's convolutions are as fast
TYPES = (torch.float32, torch.float64)  # of numbers that the kernels compute with
LARGEST = 15  # squares of pooling: what is chosen in them is kept in a byte
MOST_THREADS = numba.get_num_threads()  # that Numba has

_IN_THREADS: dict[Any, Callable[..., None]] = {
    kernels.convolve: kernels.convolve_in_threads,
    kernels.correlate: kernels.correlate_in_threads,
}
_one_call = Lock()  # Numba's plainest threading layer takes one at a time


def examples_last(images: Tensor) -> Tensor:
    """Images (n, channels, height, width), in memory with their examples last."""
    return _outer(_inner(images))


def suits(convolution: nn.Conv2d) -> bool:
    """Whether a convolution can be done here, and faster than torch does it."""
    plain = convolution.padding_mode == "zeros" and convolution.groups == 1
    steps = (*convolution.stride, *convolution.dilation)
    padding, size = convolution.padding, convolution.kernel_size
    return (
        plain
        and set(steps) == {1}
        and not isinstance(padding, str)
        and all(p < k for p, k in zip(padding, size, strict=True))
        and convolution.in_channels < FEW
    )


class ExamplesLast(TorchFunctionMode):
    """While it is entered, convolutions and max pooling are those of this module where they can."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        own = _OWN.get(func)
        found = own(*args, **kwargs) if own else None
        return func(*args, **kwargs) if found is None else found


def _convolution(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """`torch.conv2d`; None where it is left to torch."""
    if isinstance(padding, str) or groups != 1 or not _ours(images, weight):
        return None
    zeros, size = _pair(padding), weight.shape[2:]
    around = all(p < k <= n + 2 * p for p, k, n in zip(zeros, size, images.shape[2:], strict=True))
    if _pair(stride) != (1, 1) or _pair(dilation) != (1, 1) or not around:
        return None
    if images.shape[1] != weight.shape[1]:
        return None  # torch says what is wrong
    return _Convolution.apply(images, weight, bias, *zeros)


def _max_pooling(
    images: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    """`torch.nn.functional.max_pool2d`; None where it is left to torch."""
    size, step = _pair(kernel_size), _pair(stride or kernel_size)
    plain = _pair(padding) == (0, 0) and _pair(dilation) == (1, 1)
    if not plain or ceil_mode or return_indices or not _ours(images):
        return None
    if len({*size, *step}) != 1 or not 1 <= size[0] <= min(LARGEST, *images.shape[2:]):
        return None
    return _MaxPooling.apply(images, size[0])


_OWN: dict[Any, Callable[..., Tensor | None]] = {
    torch.conv2d: _convolution,
    max_pool2d: _max_pooling,
}


class _Convolution(Function):
    """Images (n, channels, ...) with weights (filters, channels, ...), a bias, and zeros around."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, rows: int, columns: int
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.zeros = rows, columns
        framed = _framed(images, rows, columns)
        filters, _, *size = weight.shape
        weights, bias = weight.flatten(1), weight.new_zeros(filters) if bias is None else bias
        if filters % 2:
            weights, bias = pad(weights, (0, 0, 0, 1)), pad(bias, (0, 1))
        height, width = (n - k + 1 for n, k in zip(framed.shape[1:3], size, strict=True))
        out = images.new_empty(len(bias), height, width, len(images))
        places = _places(framed.shape, weight.shape)
        _share(
            kernels.convolve, height, framed, places, weights.contiguous(), bias.contiguous(), out
        )
        return _outer(out[:filters])

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        images, weight = ctx.saved_tensors
        of_images = of_weight = of_bias = None
        (slope,), (rows, columns) = slopes, ctx.zeros
        if ctx.needs_input_grad[0]:
            of_images = _transposed(slope, weight, rows, columns)
        if ctx.needs_input_grad[1]:
            of_weight = _Correlation.apply(images, slope, rows, columns)
        if ctx.needs_input_grad[2]:
            of_bias = slope.sum((0, 2, 3))
        return of_images, of_weight, of_bias, None, None


class _Correlation(Function):
    """What weights get, (filters, channels, ...), of images and of the slopes of a convolution's
    output.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, slopes: Tensor, rows: int, columns: int) -> Tensor:
        ctx.save_for_backward(images, slopes)
        ctx.zeros = rows, columns
        framed, inner = _framed(images, rows, columns), _inner(slopes)
        size = [n - m + 1 for n, m in zip(framed.shape[1:3], inner.shape[1:3], strict=True)]
        sums = images.new_zeros(len(inner), len(framed), *size)
        places = _places(framed.shape, sums.shape)
        fives = np.append(places, np.repeat(places[-1:], -len(places) % 5))
        tasks = len(inner) * len(fives) // 5
        _share(kernels.correlate, tasks, framed, fives, inner, sums.flatten(1))
        return sums

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        images, of_output = ctx.saved_tensors
        (slope,), (rows, columns) = slopes, ctx.zeros
        of_images = of_slopes = None
        if ctx.needs_input_grad[0]:
            of_images = _transposed(of_output, slope, rows, columns)
        if ctx.needs_input_grad[1]:
            of_slopes = _Convolution.apply(images, slope, None, rows, columns)
        return of_images, of_slopes, None, None


def _transposed(slopes: Tensor, weight: Tensor, rows: int, columns: int) -> Tensor:
    """What images get of the slopes of a convolution's output: a convolution too."""
    height, width = weight.shape[2:]
    turned = weight.flip(2, 3).transpose(0, 1)
    return _Convolution.apply(slopes, turned, None, height - 1 - rows, width - 1 - columns)


class _MaxPooling(Function):
    """The largest number of each square of images (n, channels, ...)."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, size: int) -> Tensor:
        inner = _inner(images)
        channels, height, width, n = inner.shape
        out = inner.new_empty(channels, height // size, width // size, n)
        chosen = torch.empty_like(out, dtype=torch.uint8)
        _run(kernels.largest, inner, size, out, chosen)
        ctx.save_for_backward(chosen)
        ctx.squares = size, height, width
        return _outer(out)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return _Put.apply(*slopes, *ctx.saved_tensors, *ctx.squares), None


class _Put(Function):
    """Numbers in the chosen places of squares."""

    @staticmethod
    def forward(
        ctx: Any, numbers: Tensor, chosen: Tensor, size: int, height: int, width: int
    ) -> Tensor:
        ctx.save_for_backward(chosen)
        ctx.size = size
        inner = _inner(numbers)
        whole = height % size == width % size == 0
        make = inner.new_empty if whole else inner.new_zeros
        images = make(len(inner), height, width, len(numbers))
        _run(kernels.put, inner, chosen, size, images)
        return _outer(images)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return _Take.apply(*slopes, *ctx.saved_tensors, ctx.size), None, None, None, None


class _Take(Function):
    """The numbers in the chosen places of squares of images."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, chosen: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(chosen)
        ctx.squares = size, *images.shape[2:]
        numbers = torch.empty_like(chosen, dtype=images.dtype)
        _run(kernels.take, _inner(images), chosen, size, numbers)
        return _outer(numbers)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return _Put.apply(*slopes, *ctx.saved_tensors, *ctx.squares), None, None


def _run(kernel: Callable[..., None], *arguments: Any) -> None:
    kernel(*map(_array, arguments))


def _share(kernel: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """All tasks of a kernel, in as many threads as torch has: each writes numbers of its own, so
    that no bit depends on who does which.
    """
    arrays = map(_array, arguments)
    threads = min(tasks, torch.get_num_threads(), MOST_THREADS)
    if threads == 1:
        kernel(*arrays, 0, tasks)
        return
    bounds = np.array([tasks * k // threads for k in range(threads + 1)])
    with _one_call:
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        _IN_THREADS[kernel](*arrays, bounds)
        numba.set_num_threads(before)


def _array(argument: Any) -> Any:
    return argument.detach().numpy() if isinstance(argument, Tensor) else argument


def _ours(images: Tensor, *others: Tensor) -> bool:
    """Whether they are images of numbers that the kernels compute with, and there are any."""
    return (
        images.ndim == 4
        and images.device.type == "cpu"
        and images.dtype in TYPES
        and images.numel() > 0
        and all(other.dtype == images.dtype and other.ndim == 4 for other in others)
    )


def _pair(number: Any) -> tuple[int, int]:
    numbers = tuple(number) if isinstance(number, list | tuple) else (number,)
    return numbers if len(numbers) == 2 else (numbers[0], numbers[0])


def _inner(images: Tensor) -> Tensor:
    """(channels, height, width, n), contiguous, of images (n, channels, height, width)."""
    return images.permute(1, 2, 3, 0).contiguous()


def _outer(images: Tensor) -> Tensor:
    return images.permute(3, 0, 1, 2)


def _framed(images: Tensor, rows: int, columns: int) -> Tensor:
    """As `_inner`, with rows and columns of zeros around."""
    inner = _inner(images)
    if rows == columns == 0:
        return inner
    channels, height, width, n = inner.shape
    framed = inner.new_empty(channels, height + 2 * rows, width + 2 * columns, n)
    _run(kernels.frame, inner, rows, columns, framed)
    return framed


@cache
def _places(framed: tuple[int, ...], weight: tuple[int, ...]) -> NDArray[np.int64]:
    """Where the taps of weights of this shape lie in such images; see `nets.kernels`."""
    _, height, width, n = framed
    channel, row, column = map(np.arange, weight[1:])
    return (((channel[:, None, None] * height + row[:, None]) * width + column) * n).ravel()
