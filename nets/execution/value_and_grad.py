"""Values at points whose gradients come with them.

So what a gradient keeps of the examples is gone once it is taken, and whatever must surround both,
as the arithmetic that torch is told to use, can. Where a gradient is to be differentiated in its
turn, values are computed again, and all is kept.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

Values = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points (batch, d) -> losses and accuracies (batch,); the losses can be differentiated as often as
one likes, by `torch.autograd` with respect to points alone."""

Gradients = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Points (batch, d) -> losses and accuracies (batch,), and the losses' gradients (batch, d)."""


def differentiable(points: Tensor, values: Values, gradients: Gradients) -> tuple[Tensor, Tensor]:
    """Losses and accuracies (batch,) at points (batch, d)."""
    if torch.is_grad_enabled() and points.requires_grad:
        return _Differentiable.apply(points, values, gradients)
    return values(points)


class _Differentiable(Function):
    """`values`, with `gradients`."""

    @staticmethod
    def forward(
        ctx: Any, points: Tensor, values: Values, gradients: Gradients
    ) -> tuple[Tensor, Tensor]:
        losses, accuracies, found = gradients(points)
        ctx.values = values
        ctx.save_for_backward(points, found)
        ctx.mark_non_differentiable(accuracies)
        return losses, accuracies

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        points, found = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return outer[0][:, None] * found, None, None
        # asked for a gradient that can be differentiated in its turn
        losses, _ = ctx.values(points)
        return *torch.autograd.grad(losses, points, outer[0], create_graph=True), None, None
