"""Convolutions of images that lie with their examples last in memory.

torch's work on blocks of 8 or 16 channels, and are slow where there are fewer, as in LeNet;
`nets.kernels` works along rows of images. What is computed is what `torch.conv2d` computes, to
rounding, with the same bits for every number of threads, and can be differentiated by
`torch.autograd` as often as one likes; not by `torch.func`, nor forwards. Where no gradient is
asked for, convolutions of 3 x 3 that read and write many channels, in float32, are Winograd's,
which multiply four times less, and round five times more than sums of products, one by one. Zeros
around images are numbers like all others, so that a weight that is not finite gives NaN with them,
as in torch's float64; its float32 leaves them out.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function

from nets import kernels
from nets.layout import empty, inner, ours, pair, run
from nets.threads import in_threads

FEW = 16
"""Channels that are read: with so many torch's are as fast (docs/networks/speed.md)."""

SQUARES = 2048  # at a time of Winograd's, at most: what is transformed stays in a cache


def suits(module: nn.Conv2d) -> bool:
    """Whether a convolution can be done here, and differentiated, and reads few channels."""
    return can_do(module) and pair(module.stride) == (1, 1) and module.in_channels < FEW


def can_do(module: nn.Conv2d) -> bool:
    """Whether a convolution can be done here."""
    size, steps, zeros = map(pair, (module.kernel_size, module.stride, module.padding))
    plain = _plain(size, steps, zeros, pair(module.dilation), module.groups)
    return module.padding_mode == "zeros" and plain


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """`torch.conv2d`, with gradients in steps of one alone; None where it is left to torch: for all
    else, and for what torch refuses in its own words.
    """
    parts = (weight,) if bias is None else (weight, bias)
    if torch.is_autocast_enabled("cpu") or weight.ndim != 4 or not ours(input, *parts):
        return None
    size, steps, zeros = weight.shape[2:], pair(stride), pair(padding)
    if not _plain(size, steps, zeros, pair(dilation), groups):
        return None
    inside = all(k <= n + 2 * p for k, n, p in zip(size, input.shape[2:], zeros, strict=True))
    biased = bias is None or bias.shape == weight.shape[:1]
    if not inside or not biased or input.shape[1] != weight.shape[1] or not len(weight):
        return None
    if not torch.is_grad_enabled():
        wins = steps == (1, 1) and _is_winograds(input, weight)
        return (
            _winograd(input, weight, bias, zeros)
            if wins
            else _direct(input, weight, bias, steps, zeros)
        )
    return _Convolution.apply(input, weight, bias, *zeros) if steps == (1, 1) else None


def _plain(size: Any, steps: Any, zeros: Any, dilation: Any, groups: int) -> bool:
    """Whether each of them, (rows, columns), is what the kernels can do."""
    if len(zeros) != 2 or not all(isinstance(number, int) for number in (*zeros, *steps)):
        return False  # "same", or what torch refuses
    around = all(0 <= p < k for p, k in zip(zeros, size, strict=True))
    return around and len(steps) == 2 and min(steps) > 0 and dilation == (1, 1) and groups == 1


def _direct(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    steps: tuple[int, ...],
    zeros: tuple[int, ...],
) -> Tensor:
    """By adding up products."""
    framed = _framed(images, *zeros)
    size = [
        (n - k) // step + 1
        for n, k, step in zip(framed.shape[1:3], weight.shape[2:], steps, strict=True)
    ]
    out = empty(images, len(weight), *size)
    packed, places = _packed(weight.detach().flatten(1)).contiguous(), _places(framed, weight)
    biases = weight.new_zeros(packed.shape[0] * kernels.FILTERS)
    if bias is not None:
        biases[: len(bias)] = bias.detach()
    in_threads(kernels.convolve, size[0], framed, places, packed, biases, *steps, inner(out))
    return out


def _is_winograds(images: Tensor, weight: Tensor) -> bool:
    """Whether it is a convolution for which Winograd's is faster, by two to three times."""
    return (
        images.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= FEW
        and len(images) >= kernels.WIDTH
    )


def _winograd(
    images: Tensor, weight: Tensor, bias: Tensor | None, zeros: tuple[int, ...]
) -> Tensor:
    """By Winograd's way; see nets/kernels/winograd.py."""
    size = [n + 2 * p - 2 for n, p in zip(images.shape[2:], zeros, strict=True)]
    out = empty(images, len(weight), *size)
    packed = _transformed(_packed(weight.detach().flatten(2)))
    none = weight.new_zeros(kernels.FILTERS)
    lanes = _lanes(len(images), SQUARES // images.shape[1])
    places = np.arange(images.shape[1]) * lanes
    planes = [n * lanes + kernels.GAP for n in (len(places), kernels.FILTERS)]
    scratch = len(packed) * sum(planes)
    rows = -(-size[0] // kernels.STEP)
    arguments = inner(images), *zeros, packed, none, lanes, places, inner(out)
    in_threads(kernels.winograd, rows, *arguments, scratch=scratch)
    return out if bias is None else out.add_(bias[:, None, None])


def _lanes(examples: int, most: int) -> int:
    """How many examples at a time, so that few are done twice, and then most."""
    counts = range(kernels.WIDTH, max(kernels.WIDTH, min(examples, most)) + 1, kernels.WIDTH)
    return min(counts, key=lambda lanes: (-(-examples // lanes) * lanes, -lanes))


def _packed(weights: Tensor) -> Tensor:
    """Weights (filters, taps, ...) as kernels read them: (blocks, taps, FILTERS, ...)."""
    filters = len(weights)
    blocks = -(-filters // kernels.FILTERS)
    missing = blocks * kernels.FILTERS - filters
    if missing:
        weights = torch.cat([weights, weights.new_zeros(missing, *weights.shape[1:])])
    return weights.unflatten(0, (blocks, kernels.FILTERS)).transpose(1, 2)


def _transformed(packed: Tensor) -> Tensor:
    """Packed weights (blocks, channels, FILTERS, 9) for Winograd's way: (36, blocks, ...)."""
    squares = packed.movedim(-1, 0).contiguous().view(3, 3, -1)
    n = squares.shape[2]
    halves, out = packed.new_empty(kernels.SIDE, 3, n), packed.new_empty(kernels.SIDE**2, n)
    run(kernels.transform_weights, squares, halves, out.view(kernels.SIDE, kernels.SIDE, n))
    return out.unflatten(1, packed.shape[:-1])


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
        return _direct(images, weight, bias, (1, 1), (rows, columns))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        images, weight = ctx.saved_tensors
        of_images = of_weight = of_bias = None
        (gradient,), (rows, columns) = gradients, ctx.zeros
        if ctx.needs_input_grad[0]:
            of_images = _transposed(gradient, weight, rows, columns)
        if ctx.needs_input_grad[1]:
            of_weight = _Correlation.apply(images, gradient, rows, columns)
        if ctx.needs_input_grad[2]:
            rows_of_output = gradient.permute(1, 2, 3, 0).flatten(2)
            of_bias = rows_of_output.sum(2).sum(1)  # threads would share a sum of all to one number
        return of_images, of_weight, of_bias, None, None


class _Correlation(Function):
    """Gradients with respect to weights (filters, channels, rows, columns), given images and the
    gradients with respect to a convolution's output.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, gradients: Tensor, rows: int, columns: int) -> Tensor:
        ctx.save_for_backward(images, gradients)
        ctx.zeros = rows, columns
        framed, outer = _framed(images, rows, columns), inner(gradients)
        size = [n - m + 1 for n, m in zip(framed.shape[1:3], outer.shape[1:3], strict=True)]
        sums = images.new_zeros(len(outer), len(framed), *size)
        places = _places(framed, sums)
        fives = np.append(places, np.repeat(places[-1:], -len(places) % kernels.TAPS))
        tasks = len(outer) * len(fives) // kernels.TAPS
        in_threads(kernels.correlate, tasks, framed, fives, outer, sums.flatten(1))
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        images, of_output = ctx.saved_tensors
        (gradient,), (rows, columns) = gradients, ctx.zeros
        of_images = of_gradients = None
        if ctx.needs_input_grad[0]:
            of_images = _transposed(of_output, gradient, rows, columns)
        if ctx.needs_input_grad[1]:
            of_gradients = _Convolution.apply(images, gradient, None, rows, columns)
        return of_images, of_gradients, None, None


def _transposed(gradients: Tensor, weight: Tensor, rows: int, columns: int) -> Tensor:
    """Gradients with respect to images, given those of the output: a convolution too."""
    height, width = weight.shape[2:]
    turned = weight.flip(2, 3).transpose(0, 1)
    return _Convolution.apply(gradients, turned, None, height - 1 - rows, width - 1 - columns)


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
