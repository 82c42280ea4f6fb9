"""Max pooling of images whose channels lie last in memory.

On a CPU torch pools images one pixel after another, and all channels of a pixel at once where they
lie side by side, which is faster, with the two copies that it takes. A maximum is exact, and of
equal pixels the first is taken in both orders, so values and gradients have the same bits.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def channels_last_pooling(modules: Iterable[nn.Module]) -> Generator[None]:
    """Modules `MaxPool2d` among these read images (n, channels, height, width) with their channels
    last in this block, and return them with their channels first; not those that return indices.
    """
    pools = [m for m in modules if isinstance(m, nn.MaxPool2d) and not m.return_indices]
    before = [pool.register_forward_pre_hook(_channels_last) for pool in pools]
    after = [pool.register_forward_hook(_channels_first) for pool in pools]
    try:
        yield
    finally:
        for handle in (*before, *after):
            handle.remove()


def _channels_last(_pool: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        each.contiguous(memory_format=torch.channels_last) if _is_batch(each) else each
        for each in args
    )


def _channels_first(_pool: nn.Module, _args: Any, pooled: Any) -> Any:
    return pooled.contiguous() if _is_batch(pooled) else pooled


def _is_batch(images: Any) -> bool:
    return isinstance(images, Tensor) and images.ndim == 4
