"""Values that are computed together with their gradients.

What a gradient keeps of the examples is freed as soon as it is taken, and both are computed under
one set of torch's numerical options. A gradient that is to be differentiated in its turn is taken
of values that are computed again, with torch's whole graph.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from nets.execution.modules.second_derivatives import twice_differentiable

Buffers = Mapping[str, Tensor]  # of several points, each (batch, ...)

Values = Callable[[Tensor, Buffers], tuple[Tensor, Tensor]]
"""Points (batch, d) -> losses and accuracies (batch,); losses are differentiable to any order by
`torch.autograd`, with respect to points, and to buffers that carry a gradient."""

Gradients = Callable[[Tensor, Buffers], tuple[Tensor, ...]]
"""Points (batch, d) -> losses and accuracies (batch,), the losses' gradients (batch, d), and those
(batch, ...) by buffers that carry a gradient."""


def differentiable(
    points: Tensor, buffers: Buffers, values: Values, gradients: Gradients
) -> tuple[Tensor, Tensor]:
    """Losses and accuracies (batch,) at points (batch, d), by `gradients` where those are asked
    for, else by `values`.
    """
    if torch.is_grad_enabled() and points.requires_grad:
        carry = [buffer for buffer in buffers.values() if buffer.requires_grad]
        return _ValueAndGradient.apply(values, gradients, buffers, points, *carry)
    return values(points, buffers)


class _ValueAndGradient(Function):
    """Losses whose backward pass multiplies the gradients that were computed with them."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Values,
        gradients: Gradients,
        buffers: Buffers,
        points: Tensor,
        *carry: Tensor,
    ) -> tuple[Tensor, Tensor]:
        losses, accuracies, *found = gradients(points, buffers)
        ctx.values, ctx.buffers = values, buffers
        ctx.save_for_backward(points, *carry, *found)
        ctx.mark_non_differentiable(accuracies)
        return losses, accuracies

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        saved = ctx.saved_tensors
        given, found = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        if not torch.is_grad_enabled():
            return None, None, None, *(_scaled(outer[0], slopes) for slopes in found)
        # create_graph: the gradient is to be differentiated in its turn
        leaves = [tensor.view_as(tensor) for tensor in given]  # buffers may depend on the points
        carry = iter(leaves[1:])
        buffers = {k: next(carry) if b.requires_grad else b for k, b in ctx.buffers.items()}
        with twice_differentiable():
            losses, _ = ctx.values(leaves[0], buffers)
        slopes = torch.autograd.grad(
            losses, leaves, outer[0], create_graph=True, materialize_grads=True
        )
        return None, None, None, *slopes


def _scaled(factors: Tensor, slopes: Tensor) -> Tensor:
    """Slopes (batch, ...) times factors (batch,)."""
    return factors.view(-1, *[1] * (slopes.ndim - 1)) * slopes
