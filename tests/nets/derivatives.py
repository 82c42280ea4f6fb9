"""Images drawn at random, and what is computed of them in all orders."""

from collections.abc import Callable

import torch
from torch import Tensor

from nets.layout import examples_last


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
