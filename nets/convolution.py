"""Convolutions of images that lie with their examples last in memory.

torch's work on blocks of 8 or 16 channels, and are slow where there are fewer, as in LeNet;
`nets.kernels` works along rows of images. What is computed is what `torch.conv2d` computes, to
rounding, with the same bits for every number of threads, and can be differentiated by
`torch.autograd` as often as one likes; not by `torch.func`, nor forwards. Zeros around images are
numbers like all others, so that a weight that is not finite gives NaN with them, as in torch's
float64; its float32 leaves them out.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function

from nets import kernels
from nets.layout import array, empty, inner, ours, pair, run

FEW = 16
"""Channels that are read. With so many, torch's convolutions are as fast in one thread; in two they
are from 8 on (docs/networks/speed.md)."""

_IN_THREADS: dict[Any, Callable[..., None]] = {
    kernels.convolve: kernels.convolve_in_threads,
    kernels.correlate: kernels.correlate_in_threads,
}
_one_call = Lock()  # Numba's plainest threading layer takes one at a time


def suits(module: nn.Conv2d) -> bool:
    """Whether a convolution can be done here, and reads few channels."""
    return (
        module.padding_mode == "zeros"
        and module.in_channels < FEW
        and _plain(
            pair(module.kernel_size),
            pair(module.stride),
            pair(module.padding),
            pair(module.dilation),
            module.groups,
        )
    )


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """`torch.conv2d` in steps of one; None where it is left to torch: for all else, and for what
    torch refuses in its own words.
    """
    parts = (weight,) if bias is None else (weight, bias)
    if torch.is_autocast_enabled("cpu") or weight.ndim != 4 or not ours(input, *parts):
        return None
    size, zeros = weight.shape[2:], pair(padding)
    if not _plain(size, pair(stride), zeros, pair(dilation), groups):
        return None
    inside = all(k <= n + 2 * p for k, n, p in zip(size, input.shape[2:], zeros, strict=True))
    biased = bias is None or bias.shape == weight.shape[:1]
    if not inside or not biased or input.shape[1] != weight.shape[1] or not len(weight):
        return None
    return _Convolution.apply(input, weight, bias, *zeros)


def _plain(size: Any, stride: Any, zeros: Any, dilation: Any, groups: int) -> bool:
    """Whether each of them, (rows, columns), is what the kernels can do."""
    if len(zeros) != 2 or not all(isinstance(number, int) for number in zeros):
        return False  # "same", or what torch refuses
    around = all(0 <= p < k for p, k in zip(zeros, size, strict=True))
    return around and stride == (1, 1) and dilation == (1, 1) and groups == 1


class _Convolution(Function):
    """Images (n, channels, height, width) with weights (filters, channels, rows, columns), bias
    (filters,) or None, and zeros around.
    """

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, rows: int, columns: int
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.zeros = rows, columns
        framed = _framed(images, rows, columns)
        size = [n - k + 1 for n, k in zip(framed.shape[1:3], weight.shape[2:], strict=True)]
        out = empty(images, len(weight), *size)
        weights = weight.flatten(1).contiguous()
        bias = weight.new_zeros(len(weight)) if bias is None else bias.contiguous()
        places = _places(framed, weight)
        _share(kernels.convolve, size[0], framed, places, weights, bias, inner(out))
        return out

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
            rows_of_output = slope.permute(1, 2, 3, 0).flatten(2)
            of_bias = rows_of_output.sum(2).sum(1)  # threads would share a sum of all to one number
        return of_images, of_weight, of_bias, None, None


class _Correlation(Function):
    """What weights get, (filters, channels, rows, columns), of images and of the slopes of a
    convolution's output.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, slopes: Tensor, rows: int, columns: int) -> Tensor:
        ctx.save_for_backward(images, slopes)
        ctx.zeros = rows, columns
        framed, outer = _framed(images, rows, columns), inner(slopes)
        size = [n - m + 1 for n, m in zip(framed.shape[1:3], outer.shape[1:3], strict=True)]
        sums = images.new_zeros(len(outer), len(framed), *size)
        places = _places(framed, sums)
        fives = np.append(places, np.repeat(places[-1:], -len(places) % 5))
        tasks = len(outer) * len(fives) // 5
        _share(kernels.correlate, tasks, framed, fives, outer, sums.flatten(1))
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


def _framed(images: Tensor, rows: int, columns: int) -> Tensor:
    """(channels, height, width, n) with rows and columns of zeros around."""
    inside = inner(images)
    if rows == columns == 0:
        return inside
    channels, height, width, n = inside.shape
    framed = inside.new_empty(channels, height + 2 * rows, width + 2 * columns, n)
    run(kernels.frame, inside, rows, columns, framed)
    return framed


def _places(framed: Tensor, weight: Tensor) -> NDArray[np.int64]:
    """Where the taps of weights lie in images (channels, height, width, n); see `nets.kernels`."""
    channel, row, column = map(np.arange, weight.shape[1:])
    _, height, width, n = framed.shape
    return (((channel[:, None, None] * height + row[:, None]) * width + column) * n).ravel()


def _share(kernel: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """All tasks of a kernel, in as many threads as torch has: each writes numbers of its own, so
    that no bit depends on who does which.
    """
    arrays = map(array, arguments)
    compiler: Any = numba  # its types do not know `config`; `get_num_threads` begins its threads
    torchs = torch.get_num_threads()
    threads = min(tasks, torchs, compiler.config.NUMBA_NUM_THREADS)
    if threads == 1:
        kernel(*arrays, 0, tasks)
        return
    bounds = np.array([tasks * k // threads for k in range(threads + 1)])
    with _one_call:
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            _IN_THREADS[kernel](*arrays, bounds)
        finally:
            numba.set_num_threads(before)
            torch.set_num_threads(torchs)  # of which Numba's beginning made its own
