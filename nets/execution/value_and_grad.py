"""Values that are computed together with their gradients.

What a gradient keeps of the examples is freed as soon as it is taken, and both are computed under
one set of torch's numerical options. A gradient that is to be differentiated in its turn is taken
of values that are computed again, with torch's whole graph.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from nets.execution.modules.second_derivatives import twice_differentiable

Values = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points (batch, d) -> losses and accuracies (batch,); losses are differentiable to any order by
`torch.autograd`, with respect to points alone."""

Gradients = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Points (batch, d) -> losses and accuracies (batch,), and the losses' gradients (batch, d)."""


def differentiable(points: Tensor, values: Values, gradients: Gradients) -> tuple[Tensor, Tensor]:
    """Losses and accuracies (batch,) at points (batch, d), by `gradients` where those are asked
    for, else by `values`.
    """
    if torch.is_grad_enabled() and points.requires_grad:
        return _ValueAndGradient.apply(points, values, gradients)
    return values(points)


class _ValueAndGradient(Function):
    """Losses whose backward pass multiplies the gradients that were computed with them."""

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
        # create_graph: the gradient is to be differentiated in its turn
        with twice_differentiable():
            losses, _ = ctx.values(points)
        return *torch.autograd.grad(losses, points, outer[0], create_graph=True), None, None
