"""Max pooling of images whose channels lie last in memory.

On a CPU torch pools images one pixel after another, and all channels of a pixel at once where they
lie side by side, which is faster, with the two copies that it takes. A maximum is exact, and of
equal pixels the first is taken in both orders, so values and gradients have the same bits.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class ChannelsLastPooling(TorchFunctionMode):
    """A mode in which `max_pool2d` of images reads them with their channels last; what it returns
    has them first.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in (functional.max_pool2d, torch.max_pool2d) or not _is_batch(args):
            return func(*args, **kwargs)
        images, *rest = args
        images = images.contiguous(memory_format=torch.channels_last)
        return func(images, *rest, **kwargs).contiguous()


def _is_batch(args: Any) -> bool:
    """Whether images (n, channels, height, width) stand first, with their channels first."""
    images = args[0] if args else None
    return isinstance(images, Tensor) and images.ndim == 4 and images.is_contiguous()
