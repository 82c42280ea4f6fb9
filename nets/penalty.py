"""The penalty on the weights of networks: 0.5 weight_decay |theta|^2 at points theta.

Its gradient weight_decay theta is the term that torch's SGD(weight_decay=...) adds to that of the
loss. theta are all coordinates: biases and the weights of norms too, tied weights once, frozen
parameters not; so it is torch's with all parameters that require a gradient in one group.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd import Function

from reduction import OptionError
from reduction.validation import is_number, short_repr


@dataclass(frozen=True, slots=True)
class Penalty:
    """The penalty 0.5 weight_decay |theta|^2; 0: none."""

    weight_decay: float

    @classmethod
    def of(cls, weight_decay: Any, dtype: torch.dtype) -> Self:
        """The penalty on points of a dtype.

        Raises OptionError for a weight decay that is negative, no number or not finite in it.
        """
        in_range = is_number(weight_decay) and 0 <= weight_decay <= torch.finfo(dtype).max
        if not in_range:
            raise OptionError(
                f"weight_decay must be 0 or more and finite in {dtype}, the model's parameters', "
                f"got {short_repr(weight_decay)}: change weight_decay"
            )
        return cls(float(weight_decay))

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.weight_decay > 0

    def values(self, points: Tensor) -> Tensor:
        """The penalty (batch,) at points (batch, d), float64 on their device.

        Sums are in double precision, of one point after the other, so that their bits are the same
        in every batch; differentiable by torch to any order, keeping nothing but the points.
        """
        if not self:
            return torch.zeros(len(points), dtype=torch.float64, device=points.device)
        return self.weight_decay * _half_squares(points)

    def add_gradients(self, points: Tensor, gradients: Tensor) -> None:
        """Add the penalty's gradients at points to gradients, both (batch, d), in place."""
        if self:
            gradients.add_(points, alpha=self.weight_decay)


def _half_squares(points: Tensor) -> Tensor:
    """0.5 |theta|^2 (batch,), float64."""
    return _HalfSquares.apply(points)


class _HalfSquares(Function):
    """Half the squared lengths of points, without the copies of them that autograd would keep."""

    @staticmethod
    def forward(ctx: Any, points: Tensor) -> Tensor:
        ctx.save_for_backward(points)
        return torch.stack([row.double().square().sum() for row in points]) / 2

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        (points,) = ctx.saved_tensors
        return outer[0].to(points.dtype)[:, None] * points
