"""Losses with gradients of their own, as torch differentiates them: once, and once more.

The first derivative is the loss's own gradient g. The second, a product H v of the Hessian and a
vector, is the loss's own where it declares one, or else the central difference of gradients

    H v = |v| (g(x + h u) - g(x - h u)) / (2 h) + O(h^2),    u = v / |v|.

With h = eps^(1/3) L, L the length over which the loss varies, truncation and rounding are balanced:
both are eps^(2/3) in units of f / L^2, 4e-11 in double precision. L is taken to be max(1, |x_i|) in
coordinate i, so that h is the longest step that changes no coordinate by more than its eps^(1/3) L.
Source: Nocedal & Wright (2006), 8.1.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from reduction.validation import short_repr
from simplicial.errors import LossError
from simplicial.loss import DifferentiatedLoss, TwiceDifferentiatedLoss

LENGTHS = 64  # eigenvalues of differenced Hessians are 0 below so many units of their error


def own_values_and_gradients(loss: DifferentiatedLoss, points: Tensor) -> tuple[Tensor, Tensor]:
    """Values and gradients that a loss computes itself at points (batch, d), which it may change.

    Raises LossError for what is no pair of tensors, and for gradients of another shape than that of
    the points; the shape of values is the caller's to check.
    """
    pair = loss.values_and_gradients(points)
    if not isinstance(pair, tuple):
        raise LossError(
            f"values_and_gradients of a loss that declares it must return a tuple, that of "
            f"{type(loss).__name__} gives {short_repr(pair)}: see simplicial.loss"
        )
    if len(pair) != 2:
        raise LossError(
            f"values_and_gradients must return a pair, that of {type(loss).__name__} gives "
            f"{len(pair)} things: return values (batch,) and gradients (batch, d)"
        )
    values, gradients = pair
    if not isinstance(values, Tensor):
        raise LossError(
            f"values_and_gradients must return values as a torch tensor ({len(points)},), got "
            f"{short_repr(values)}: convert them"
        )
    if not isinstance(gradients, Tensor) or gradients.shape != points.shape:
        got = tuple(gradients.shape) if isinstance(gradients, Tensor) else short_repr(gradients)
        raise LossError(
            "values_and_gradients must return gradients of the points' shape "
            f"{tuple(points.shape)}, got {got}: return one row for each"
        )
    return values, gradients


def hessian_products(loss: DifferentiatedLoss, points: Tensor, vectors: Tensor) -> Tensor:
    """H v (batch, d) at points (batch, d) for vectors (batch, d): the loss's own, or differences.

    Raises LossError for own ones of another shape, and for gradients that break the contract.
    """
    if not isinstance(loss, TwiceDifferentiatedLoss):
        return differences(
            lambda x: own_values_and_gradients(loss, x)[1],
            points,
            vectors,
            torch.finfo(points.dtype).eps ** (1 / 3) * lengths(points),
        )
    products = loss.hessian_products(points.clone(), vectors.clone())
    if not isinstance(products, Tensor) or products.shape != points.shape:
        got = tuple(products.shape) if isinstance(products, Tensor) else short_repr(products)
        raise LossError(
            f"hessian_products must return a tensor of the points' shape {tuple(points.shape)}, "
            f"got {got}: return one row for each"
        )
    return products


def hessian_error(loss: Any, dtype: torch.dtype) -> float:
    """Share of the largest eigenvalue below which one of a Hessian that is not torch's is 0."""
    if isinstance(loss, TwiceDifferentiatedLoss):
        return float(loss.hessian_error)
    return LENGTHS * torch.finfo(dtype).eps ** (2 / 3)


def lengths(points: Tensor) -> Tensor:
    """L (batch, d) at points (batch, d): |x_i|, at least 1."""
    return points.abs().clamp(min=1.0)


def differences(
    gradients: Callable[[Tensor], Tensor], points: Tensor, vectors: Tensor, steps: Tensor
) -> Tensor:
    """Central differences (batch, d) of gradients at points (batch, d) along vectors (batch, d).

    steps  (batch, d), above 0: the largest change of each coordinate
    """
    norms = vectors.norm(dim=1, keepdim=True)
    units = vectors / torch.where(norms > 0, norms, 1.0)
    step = torch.where(norms > 0, (steps / units.abs()).amin(dim=1, keepdim=True) * units, 0.0)
    ends = points + step, points - step
    # half of what lies between the ends as they were rounded, which is not quite the step
    half = (ends[0] - ends[1]).norm(dim=1, keepdim=True) / 2
    change = gradients(ends[0].clone()) - gradients(ends[1].clone())
    scaled = change.to(points) / (2 * torch.where(half > 0, half, 1.0)) * norms
    return torch.where(norms > 0, scaled, 0.0)


def recorded(loss: DifferentiatedLoss, points: Tensor) -> Tensor:
    """Values (batch,) at points (batch, d) that torch differentiates by the loss's own gradient.

    Twice, by `hessian_products`; not by `torch.func` or forwards.
    """
    return _Values.apply(points, loss)


class _Values(Function):
    """Values; the backward pass multiplies the gradients that were computed with them."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, loss: DifferentiatedLoss) -> Tensor:
        values, gradients = own_values_and_gradients(loss, points.detach().clone())
        ctx.loss = loss
        ctx.save_for_backward(points, gradients.detach())
        return values.detach()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        points, gradients = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph: the gradient is differentiated in its turn
            gradients = _Gradients.apply(points, gradients, ctx.loss)
        return outer[0].to(gradients)[:, None] * gradients, None


class _Gradients(Function):
    """Gradients; the backward pass multiplies by Hessians, which are symmetric."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, gradients: Tensor, loss: DifferentiatedLoss) -> Tensor:
        ctx.loss = loss
        ctx.save_for_backward(points)
        return gradients.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (points,) = ctx.saved_tensors
        return hessian_products(ctx.loss, points, outer[0]), None, None
