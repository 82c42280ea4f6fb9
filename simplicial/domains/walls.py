"""Losses on a box, extended beyond it by the value at the nearest point of the box.

The nearest point is a retraction of space onto the box, and every sublevel set of the extension
retracts with it onto that of the loss in the box: both have the same barcode.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from simplicial.domains.boxes import as_box
from simplicial.domains.declarations import Declared, declared
from simplicial.evaluation import check_callable
from simplicial.loss import BoundedLoss, Loss, WalledLoss

Floats = NDArray[np.float64]


class _Walled(Declared, WalledLoss):
    """A loss on a box."""

    @property
    def domain(self) -> Floats:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.declared

    @property
    def dim(self) -> int:
        return self.declared.shape[1]

    def at(self, points: Tensor) -> Tensor:
        """The nearest points in the box; whole numbers, of which there may be none, as floats."""
        if not points.is_floating_point():
            points = points.to(torch.get_default_dtype())
        low, high = (torch.as_tensor(corner.copy()).to(points) for corner in self.declared)
        return points.clamp(low, high)

    def slopes(self, points: Tensor, gradients: Tensor) -> Tensor:
        """Gradients without their parts through a wall that a point is beyond."""
        return torch.where(self.at(points) == points, gradients, 0.0)

    def __reduce__(self) -> tuple[Any, ...]:
        return in_box, (self.loss, self.declared)  # its class is made anew there


def in_box(loss: Loss, box: ArrayLike) -> WalledLoss:
    """A loss on a box: its searches stay in it, and of a path that leaves it the nearest points in
    the box count.

    box  (2, d) finite, lowest coordinates before highest; of a BoundedLoss, with its d, or (2,)
    A gradient and a size in memory of its own are passed on; a loss with other abilities declares
    `simplicial.loss.WalledLoss` itself.
    Raises LossError for what is no loss, or one with other abilities, among them periods and
    motions, OptionError for another box.
    """
    check_callable(loss)
    dim = loss.dim if isinstance(loss, BoundedLoss) else None
    return declared(_Walled, loss, as_box(box, dim))
