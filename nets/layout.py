"""Images that lie with their examples last in memory, as `nets.kernels` reads them.

Outside they are tensors (n, channels, height, width) like all others; a kernel gets the array
(channels, height, width, n) that lies in memory.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

TYPES = (torch.float32, torch.float64)  # of numbers that the kernels compute with


def examples_last(images: Tensor) -> Tensor:
    """Images (n, channels, height, width), with their examples last."""
    return inner(images).permute(3, 0, 1, 2)


def inner(images: Tensor) -> Tensor:
    """(channels, height, width, n), contiguous; no copy of images with their examples last."""
    return images.permute(1, 2, 3, 0).contiguous()


def empty(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Images of as many examples and of the same type, with their examples last, to be written.

    No view of another tensor: such a one could not be changed in place behind an
    `autograd.Function`.
    """
    n = len(like)
    strides = (1, height * width * n, width * n, n)
    return like.new_empty_strided((n, channels, height, width), strides)


def ours(images: Tensor, *others: Tensor) -> bool:
    """Whether they are images of numbers that the kernels compute with, and there are any."""
    return (
        images.ndim == 4
        and images.device.type == "cpu"
        and images.dtype in TYPES
        and images.numel() > 0
        and all(other.dtype == images.dtype for other in others)
        and all(map(_is_plain, (images, *others)))
    )


def _is_plain(tensor: Tensor) -> bool:
    """Whether its memory holds its numbers."""
    return tensor.layout == torch.strided and not tensor.is_neg()


def pair(number: Any) -> tuple[int, ...]:
    """(rows, columns) of what torch takes as one number or two; of more, all."""
    numbers = tuple(number) if isinstance(number, list | tuple) else (number,)
    return 2 * numbers if len(numbers) == 1 else numbers


def run(kernel: Callable[..., None], *arguments: Any) -> None:
    """A kernel on tensors, arrays and numbers."""
    kernel(*map(array, arguments))


def array(argument: Any) -> Any:
    """A tensor as the array that it is; all else as it is."""
    return argument.detach().numpy() if isinstance(argument, Tensor) else argument
