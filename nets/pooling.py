"""Max pooling of images that lie with their examples last in memory.

torch's is slow for few channels. The numbers are torch's, bit for bit, and can be differentiated by
`torch.autograd` as often as one likes; not by `torch.func`, nor forwards.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from nets import kernels
from nets.layout import empty, inner, ours, pair, run

LARGEST = 16  # squares: which number is chosen in them is kept in a byte


def max_pooling(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    """`torch.nn.functional.max_pool2d` over squares side by side; None where it is left to torch:
    for all else.
    """
    size = pair(kernel_size)
    step = size if stride is None or stride == [] else pair(stride)
    plain = pair(padding) == (0, 0) and pair(dilation) == (1, 1)
    if not plain or ceil_mode or return_indices or not ours(input):
        return None
    side = size[0]
    if not size == step == (side, side) or not 1 <= side <= min(LARGEST, *input.shape[2:]):
        return None
    return _MaxPooling.apply(input, side)


class _MaxPooling(Function):
    """The largest number of each square of images (n, channels, height, width)."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, size: int) -> Tensor:
        _, channels, height, width = images.shape
        out = empty(images, channels, height // size, width // size)
        chosen = torch.empty_like(inner(out), dtype=torch.uint8)
        run(kernels.largest, inner(images), size, inner(out), chosen)
        ctx.save_for_backward(chosen)
        ctx.squares = size, height, width
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Put.apply(*gradients, *ctx.saved_tensors, *ctx.squares), None


class _Put(Function):
    """Numbers in the chosen places of squares."""

    @staticmethod
    def forward(
        ctx: Any, numbers: Tensor, chosen: Tensor, size: int, height: int, width: int
    ) -> Tensor:
        ctx.save_for_backward(chosen)
        ctx.size = size
        images = empty(numbers, len(chosen), height, width)
        if height % size or width % size:
            images.zero_()  # what is left over is in no square
        run(kernels.put, inner(numbers), chosen, size, inner(images))
        return images

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Take.apply(*gradients, *ctx.saved_tensors, ctx.size), None, None, None, None


class _Take(Function):
    """The numbers in the chosen places of squares of images."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, chosen: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(chosen)
        ctx.squares = size, *images.shape[2:]
        numbers = empty(images, *chosen.shape[:3])
        run(kernels.take, inner(images), chosen, size, inner(numbers))
        return numbers

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Put.apply(*gradients, *ctx.saved_tensors, *ctx.squares), None, None
