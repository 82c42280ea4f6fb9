"""torch's norms as functions of their running statistics.

torch takes running statistics as constants: in evaluation its batch norm refuses those that carry a
gradient. Here the norm is torch's own at constants m0, v0 of the same values, and what statistics
m, v change is in its weight, w sqrt((v0 + eps) / (v + eps)), and its bias,
b - (m - m0) w / sqrt(v + eps): the same function, with derivatives of every order, and the same
bits, since w is multiplied by 1 and from b is subtracted 0.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_OPTIONS = ("momentum", "eps")
_RUNNING = ("running_mean", "running_var")
_ARGUMENTS: dict[Any, tuple[str, ...]] = {
    functional.batch_norm: ("input", *_RUNNING, "weight", "bias", "training", *_OPTIONS),
    functional.instance_norm: ("input", *_RUNNING, "weight", "bias", "use_input_stats", *_OPTIONS),
    torch.batch_norm: ("input", "weight", "bias", *_RUNNING, "training", *_OPTIONS),
    torch.instance_norm: ("input", "weight", "bias", *_RUNNING, "use_input_stats", *_OPTIONS),
}


def norm_arguments(func: Any, args: Any, kwargs: Any) -> dict[str, Any] | None:
    """Arguments by name of a norm of torch's that is given running statistics; else None."""
    if func not in _ARGUMENTS:
        return None
    given = dict(zip(_ARGUMENTS[func], args, strict=False)) | kwargs
    return None if given.get("running_mean") is None else given


def is_batch_norm(func: Any) -> bool:
    """Whether a norm of torch's is batch norm, and not instance norm."""
    return func in (functional.batch_norm, torch.batch_norm)


def norm_of(func: Any, given: Mapping[str, Any], *, differentiable: bool) -> Tensor:
    """The norm, one of torch's, with arguments by name.

    differentiable  by the running statistics, too; in evaluation
    """
    norm = functional.batch_norm if is_batch_norm(func) else functional.instance_norm
    given = _at_constants(given) if differentiable else given
    return norm(**{name: given[name] for name in _ARGUMENTS[norm] if name in given})


class DifferentiableNorms(TorchFunctionMode):
    """A mode in which torch's norms in evaluation have derivatives by their running statistics."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = norm_arguments(func, args, kwargs)
        if given is None or _takes_own(func, given):
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():  # so that a norm in this mode twice is one, too
            return norm_of(func, given, differentiable=True)


def differentiable_norms(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward in that mode."""

    @wraps(forward)
    def in_mode(*args: Any, **kwargs: Any) -> Any:
        with DifferentiableNorms():
            return forward(*args, **kwargs)

    return in_mode


def _takes_own(func: Any, given: Mapping[str, Any]) -> bool:
    """Whether a norm normalises by the statistics of its inputs, as in training."""
    if is_batch_norm(func):
        return given.get("training", False)
    return given.get("use_input_stats", True)


def _at_constants(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the norm at constant statistics, with its weight and bias as functions of them;
    under vmap, where tensors do not tell whether they carry a gradient, too.
    """
    mean, var, eps = given["running_mean"], given["running_var"], given.get("eps", 1e-5)
    weight, bias, fixed = given.get("weight"), given.get("bias"), (mean.detach(), var.detach())
    scale = ((fixed[1] + eps) / (var + eps)).sqrt()
    shift = (mean - fixed[0]) * (var + eps).rsqrt()
    if weight is not None:
        scale, shift = (weight * scale).to(weight), (weight * shift).to(weight)
    shift = -shift if bias is None else (bias - shift).to(bias)
    return {**given, **dict(zip(_RUNNING, fixed, strict=True)), "weight": scale, "bias": shift}


class DifferentiableMoments(Function):
    """Mean and variance (channels,) of inputs (n, channels, ...), whose backward pass is one over
    the inputs.

    Of a function that gives the number of values of a channel, the mean and the variance, with
    that number as divisor.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, moments: Callable[[Tensor], tuple[int, Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance, by the function."""
        _, mean, var = moments(inputs)
        ctx.save_for_backward(inputs, mean)
        return mean, var

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        """The gradient by the inputs; differentiable, if torch records."""
        inputs, mean = ctx.saved_tensors
        of_mean, of_var = (slope.to(inputs) for slope in outer)
        if torch.is_grad_enabled():
            axes = [axis for axis in range(inputs.ndim) if axis != 1]
            var, mean = torch.var_mean(inputs, axes, correction=0)
            slopes = of_var, of_mean
            return *torch.autograd.grad((var, mean), inputs, slopes, create_graph=True), None
        # (of_mean + 2 of_var (inputs - mean)) / number of values, as torch's batch norm at once
        count, mean = inputs.numel() // inputs.shape[1], mean.to(inputs)
        ones = torch.ones_like(mean)
        scale, shift = 2 * of_var / count, of_mean / count
        return functional.batch_norm(inputs, mean, ones, scale, shift, eps=0.0), None
