"""Derivatives of norms that compute their running statistics themselves.

They keep statistics without a gradient, by detach or in no_grad, since in training nothing
differentiates them. Here a norm runs as if it did not; and its derivatives, by its inputs in
training and by its statistics in evaluation, are compared with central differences, so that none is
taken for right that such a module computes otherwise.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nets.data.trees import mapped, tensors_of
from nets.execution.modules.norm_functions import DifferentiableNorms
from reduction import DataError

STEP = 1e-2  # of central differences, over the size of the numbers
ERROR = 0.02  # relative error of a derivative from which on it is another
ROUNDING = 64  # times eps, of a difference
_DETACHING: tuple[Any, ...] = (
    Tensor.detach,
    Tensor.detach_,
    torch.detach,
    vars(torch._C.TensorBase)["data"].__get__,
)


def statistics_by_hand(
    norm: Any, forward: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Any, Tensor, Tensor]:
    """Outputs, running mean and variance of a norm with momentum 1 on arguments of its forward,
    which torch differentiates.

    Raises DataError where torch's derivatives are not those of the values.
    """
    given = [tensor for tensor in tensors_of((args, kwargs)) if tensor.is_floating_point()]

    def trained(tensors: Sequence[Tensor]) -> tuple[Any, Tensor, Tensor]:
        own = iter([tensor.clone() for tensor in tensors])  # which a forward may change
        args_, kwargs_ = mapped(
            lambda tensor: next(own) if tensor.is_floating_point() else tensor,
            (tuple(args), kwargs),
        )
        zeros = [torch.zeros_like(buffer) for buffer in (norm.running_mean, norm.running_var)]
        with _running(norm, zeros, training=True), _Attached():
            return forward(*args_, **kwargs_), norm.running_mean, norm.running_var

    def evaluated(statistics: Sequence[Tensor]) -> list[Tensor]:
        with _running(norm, statistics, training=False), DifferentiableNorms():
            return _floating(forward(*args, **kwargs))

    try:
        found = trained(given)
        sizes = [tensor.detach().square().mean().sqrt() for tensor in given]
        right = _has_derivatives(lambda tensors: _floating(trained(tensors)), given, sizes)
        statistics = found[1:]
        sizes = [statistics[1].detach().abs().mean().sqrt(), 0 * statistics[1].detach().mean()]
        right = right and _has_derivatives(evaluated, statistics, sizes)
    except RuntimeError as error:  # of what has no derivatives, or for want of memory
        if "memory" in str(error):
            raise
        raise _underivable(norm) from error
    if not right:
        raise _underivable(norm)
    return found


def _underivable(norm: nn.Module) -> DataError:
    return DataError(
        "gradients go through running statistics, those of "
        f"{type(norm).__name__}, which computes them itself, do not have torch's derivatives: "
        "compute them from its inputs, and outputs from them, by torch's operations, call "
        "torch.nn.functional.batch_norm, or pass batch_norm='stored'"
    )


def _has_derivatives(
    function: Callable[[Sequence[Tensor]], Sequence[Tensor]],
    tensors: Sequence[Tensor],
    sizes: Sequence[Tensor],
) -> bool:
    """Whether torch's derivatives of a function of tensors are those of central differences.

    Along one direction, which changes means and variances: numbers grow, and are shifted by their
    sizes.
    """
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    generator = torch.Generator().manual_seed(0)

    def drawn(tensor: Tensor) -> Tensor:
        return torch.rand(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.device)

    steps = [
        STEP * ((leaf.detach() + size) * (0.5 + drawn(leaf))).to(leaf)
        for leaf, size in zip(leaves, sizes, strict=True)
    ]
    outputs = function(leaves)
    pairs = list(zip(leaves, steps, strict=True))
    with torch.no_grad():
        ahead, behind = (
            [output.double() for output in function([x + sign * u for x, u in pairs])]
            for sign in (1, -1)
        )
    for output, after, before in zip(outputs, ahead, behind, strict=True):
        weights = drawn(output)
        measured = float((weights * (after - before)).sum()) / 2
        slopes = [torch.zeros_like(leaf) for leaf in leaves]
        if output.requires_grad:
            total = (weights * output.double()).sum()
            slopes = torch.autograd.grad(total, leaves, retain_graph=True, materialize_grads=True)
        own = sum(float((s.double() * u).sum()) for s, u in zip(slopes, steps, strict=True))
        noise = ROUNDING * torch.finfo(output.dtype).eps * float(after.norm())
        if abs(own - measured) > ERROR * max(abs(own), abs(measured)) + noise:
            return False
    return True


def _floating(outputs: Any) -> list[Tensor]:
    return [tensor for tensor in tensors_of(outputs) if tensor.is_floating_point()]


@contextmanager
def _running(norm: Any, statistics: Sequence[Tensor], *, training: bool) -> Generator[None]:
    """The norm is in a mode, with a running mean and variance."""
    before = norm.running_mean, norm.running_var, norm.training
    norm.running_mean, norm.running_var = statistics
    norm.training = training
    try:
        yield
    finally:
        norm.running_mean, norm.running_var, norm.training = before


class _Attached(TorchFunctionMode):
    """A mode in which nothing is detached from torch's graph."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in _DETACHING:
            return args[0]
        if func is torch._C._set_grad_enabled:
            return None
        return func(*args, **(kwargs or {}))
