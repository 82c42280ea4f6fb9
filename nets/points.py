"""Points of a batch, one after another; a gradient comes with its value.

So what a gradient keeps of the examples is kept for one point at a time, not for all of a batch;
but where a gradient is to be differentiated in its turn, networks are run again, and all is kept.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

At = Callable[[int, Tensor], tuple[Tensor, Tensor]]
"""(i, points[i]) -> loss and share of correct examples, numbers; the loss can be differentiated as
often as one likes, by `torch.autograd` with respect to points alone."""


def one_by_one(points: Tensor, at: At) -> tuple[Tensor, Tensor]:
    """Loss and share of correct examples (batch,) at points (batch, d)."""
    if torch.is_grad_enabled() and points.requires_grad:
        return _OneByOne.apply(points, at)
    losses, correct = zip(*(at(i, point) for i, point in enumerate(points.unbind())), strict=True)
    return torch.stack(losses), torch.stack(correct)


class _OneByOne(Function):
    """`one_by_one`, with gradients that are taken point by point."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, at: At) -> tuple[Tensor, Tensor]:
        slopes, losses, correct = torch.empty_like(points), list[Tensor](), list[Tensor]()
        for i, point in enumerate(points.unbind()):
            with torch.enable_grad():
                leaf = point.detach().requires_grad_()
                loss, share = at(i, leaf)
                (slopes[i],) = torch.autograd.grad(loss, leaf)
            losses.append(loss.detach())
            correct.append(share)
        shares = torch.stack(correct)
        ctx.at = at
        ctx.save_for_backward(points, slopes)
        ctx.mark_non_differentiable(shares)
        return torch.stack(losses), shares

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        points, slopes = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return outer[0][:, None] * slopes, None
        # asked for a gradient that can be differentiated in its turn
        # unbound, since the gradient of each points[i] would be as large as that of all
        losses = torch.stack([ctx.at(i, point)[0] for i, point in enumerate(points.unbind())])
        return *torch.autograd.grad(losses, points, outer[0], create_graph=True), None
