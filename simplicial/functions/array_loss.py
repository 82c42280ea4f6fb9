"""Losses that are computed on NumPy arrays, in float64 on the CPU, for points of any torch dtype.

Subclasses say how values and gradients are computed; what is here makes tensors of them, which
torch differentiates, and multiplies by Hessians by central differences of gradients
(`simplicial.functions.own_gradients`).
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reduction import OptionError, ShapeError
from reduction.validation import as_float, short_repr
from simplicial.functions.outputs import Floats
from simplicial.functions.own_gradients import LENGTHS, differences, recorded
from simplicial.loss import TwiceDifferentiatedLoss

EPS = float(np.finfo(np.float64).eps)
LEAST = 1e-2  # of precisions: where less is right, differences say nothing


class ArrayLoss(TwiceDifferentiatedLoss):
    """A loss computed on arrays of points (n, d) float64.

    precision  relative error of its values and gradients
    scale      length over which it varies, in the points' units; None: max(1, |x_i|)
    """

    precision: float
    scale: float | None

    @abstractmethod
    def array_values(self, points: Floats) -> Floats:
        """Values (n,) at points (n, d)."""

    @abstractmethod
    def array_values_and_gradients(self, points: Floats) -> tuple[Floats, Floats]:
        """Values (n,) and gradients (n, d) at points (n, d)."""

    def array_hessian_products(self, points: Floats, vectors: Floats) -> Floats:
        """H v (n, d) at points (n, d) for vectors (n, d), by central differences of gradients."""
        return differenced_products(
            lambda x: self.array_values_and_gradients(x)[1],
            points,
            vectors,
            self.step * self.lengths(points),
        )

    def lengths(self, points: Floats) -> Floats:
        """The length over which the loss varies, for each coordinate (n, d) of points."""
        if self.scale is not None:
            return np.full(points.shape, self.scale)
        return np.maximum(np.abs(points), 1.0)

    @property
    def step(self) -> float:
        """Step of differences of gradients, as a share of the scale."""
        return self.precision ** (1 / 3)

    @property
    def hessian_error(self) -> float:
        """That of differences: 64 precision^(2/3)."""
        return LENGTHS * self.precision ** (2 / 3)

    def __call__(self, points: Tensor) -> Tensor:
        """Values (batch,) float64 at points (batch, d), on the points' device.

        Where torch records, by its own gradients. Raises ShapeError for what are no points,
        LossError for outputs that are no values.
        """
        check_points(points)
        if torch.is_grad_enabled() and points.requires_grad:
            return recorded(self, points)
        values = torch.from_numpy(self.array_values(as_array(points)))
        return values.to(points.device)

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Values (batch,) float64 and gradients (batch, d), as the points are."""
        check_points(points)
        values, gradients = self.array_values_and_gradients(as_array(points))
        values = torch.from_numpy(values).to(points.device)
        return values, torch.from_numpy(gradients).to(points)

    def hessian_products(self, points: Tensor, vectors: Tensor) -> Tensor:
        """H v (batch, d), as the points are."""
        check_points(points)
        products = self.array_hessian_products(as_array(points), as_array(vectors))
        return torch.from_numpy(products).to(points)


def differenced_products(
    gradients: Callable[[Floats], Floats], points: Floats, vectors: Floats, steps: Floats
) -> Floats:
    """H v (n, d) at points (n, d) for vectors (n, d), all arrays; steps as in `differences`."""
    x, v, h = (torch.from_numpy(array) for array in (points, vectors, steps))
    return differences(lambda at: torch.from_numpy(gradients(at.numpy())), x, v, h).numpy()


def as_array(points: Tensor) -> Floats:
    """A copy of points, as a float64 array."""
    return np.array(points.detach().cpu().numpy(), dtype=np.float64)


def check_points(points: Any) -> None:
    """Raise ShapeError for what are no floating points (batch, d)."""
    if not isinstance(points, Tensor) or points.ndim != 2 or not points.is_floating_point():
        got = tuple(points.shape) if isinstance(points, Tensor) else short_repr(points)
        raise ShapeError(
            f"a loss takes floating points (batch, d) as a torch tensor, got {got}: give one point "
            "a row, torch.as_tensor(points)"
        )


def as_positive(name: str, given: Any, most: float) -> float:
    """A number above 0 and at most `most`. Raises OptionError, which names the option."""
    number = as_float(given)
    if not 0 < number <= most:
        bound = f" and at most {most:g}" if most < np.inf else " and finite"
        raise OptionError(
            f"{name} must be a number above 0{bound}, got {short_repr(given)}: change {name}"
        )
    return number


def as_precision(given: Any) -> float:
    """Relative error of a function, from that of float64 to 1e-2. Raises OptionError."""
    return max(EPS, as_positive("precision", given, LEAST))
