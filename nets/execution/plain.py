"""Plain networks at points of parameter space, with which a functional model is compared."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from nets.data.trees import Examples, arguments, tensors_of
from nets.execution.functional import FunctionalModel
from nets.execution.modules.functional_calls import Watch
from reduction import DataError

Found = TypeVar("Found")


class PlainNetwork(NamedTuple):
    """A copy of a model, in evaluation mode, and those of its parameters that are coordinates."""

    network: nn.Module
    parameters: list[nn.Parameter]


class Gradient(NamedTuple):
    """Gradient (d,) of a plain network's loss, and whether modules ran again for it."""

    slopes: Tensor
    reruns: bool


def plain_network(model: FunctionalModel, point: Tensor) -> PlainNetwork:
    """The plain network at a point (d,)."""
    network = copy.deepcopy(model.model).eval()
    own = dict(network.named_parameters())
    parameters = [own[name] for name in model.coordinates.names]
    with torch.no_grad():
        for parameter, value in zip(
            parameters, model.coordinates.views(point).values(), strict=True
        ):
            parameter.copy_(value)
    return PlainNetwork(network, parameters)


def far_point(model: FunctionalModel) -> Tensor:
    """A point (d,) far from the model's own, where no symmetry makes another point's gradient the
    same, and no parameter that begins at 0 hides what it weighs.
    """
    own = model.own_point
    noise = torch.randn(own.shape, generator=torch.Generator().manual_seed(0)).to(own)
    return torch.where(own == 0, 0.1 * noise, own * noise)


def at_far_point(
    model: FunctionalModel, compute: Callable[[Tensor], Found], is_finite: Callable[[Found], bool]
) -> Found | None:
    """Compute something at the far point; None where the network is not defined there."""
    try:
        found = compute(far_point(model))
    except Exception:  # a network may refuse parameters that are not its own, in its own words
        return None
    return found if is_finite(found) else None


def plain_outputs(plain: PlainNetwork, examples: Examples, watch: Watch) -> Any:
    """Outputs of a plain network, watched.

    Raises DataError where the forward changes parameters, or rounds outputs to half precision.
    """
    before = [p.detach().clone() for p in plain.parameters]
    positional, named = arguments(examples.inputs)
    with watch:
        outputs = plain.network(*positional, **named)
    for value, parameter in zip(before, plain.parameters, strict=True):
        if not torch.equal(value.nan_to_num(), parameter.detach().nan_to_num()):
            name = next(k for k, p in plain.network.named_parameters() if p is parameter)
            raise DataError(
                f"a forward must leave parameters as they are, that of "
                f"{type(plain.network).__name__} changes {name!r}: compute another tensor from it "
                "(torch.nn.utils.parametrize), or leave out max_norm"
            )
    narrow = [t for t in tensors_of(outputs) if t.is_floating_point() and t.dtype.itemsize < 4]
    if narrow:
        raise DataError(
            "outputs must be float32 or float64, in which a barrier is not lost in rounding, "
            f"{type(plain.network).__name__} gives {narrow[0].dtype}: return them as they are, or "
            "by .float(), and leave out torch.autocast"
        )
    return outputs


def gradient_of(loss: Tensor, network: nn.Module, parameters: Sequence[Tensor]) -> Gradient:
    """The gradient of the first loss of a plain network, which has no gradients yet.

    Not by torch.autograd.grad, which the reentrant torch.utils.checkpoint does not allow. Raises
    DataError where the loss depends on no parameter.
    """
    calls = list[int]()
    hooks = [m.register_forward_pre_hook(lambda *_: calls.append(1)) for m in network.modules()]
    try:
        loss.backward()
    finally:
        for hook in hooks:
            hook.remove()
    if all(p.grad is None for p in parameters):
        raise DataError(
            f"a loss must depend on the parameters, that of {type(network).__name__} depends on "
            "none that require a gradient: let forward use those of the module itself, not of a "
            "closure, and neither detach nor quantise what it computes from them"
        )
    slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    return Gradient(torch.cat([slope.flatten() for slope in slopes]), bool(calls))
