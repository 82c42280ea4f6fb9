"""Whether a model, data and a loss_fn fit together: tried on a few examples before anything is
trained.
"""

import copy
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nets.execution.policy import Batching
from reduction import DataError

LossFunction = Callable[[Tensor, Tensor], Tensor]
PROBES = 16  # examples on which model, data and loss_fn are tried


def has_classes(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss_fn: LossFunction,
    batching: Batching,
) -> bool:
    """Check that model, data and loss_fn fit together; whether targets are class indices.

    inputs (n, ...) and targets (n, ...) lie on the model's device. Raises DataError.
    """
    chosen, name = _chosen(targets), type(model).__name__
    x, y = inputs[chosen], targets[chosen]
    model.eval()
    with torch.no_grad(), refusing(name, batching, x, y):
        outputs, again = model(x.clone()), model(x.clone())
    if not isinstance(outputs, Tensor):
        raise DataError(
            f"a network must return one tensor of outputs, {name} gives a "
            f"{type(outputs).__name__}: wrap it in a module that returns what loss_fn takes"
        )
    if not torch.allclose(outputs, again, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise DataError(
            f"in evaluation mode a network must be a function, {name} gave two outputs "
            "for the same inputs: let it draw at random in training mode only"
        )
    scored = not y.is_floating_point() and outputs.ndim >= 2 and outputs[:, 0].shape == y.shape
    if scored:
        _check_classes(targets, outputs.shape[1])
    with torch.no_grad(), refusing(name, batching, x, y):
        together = loss_fn(outputs.clone(), y.clone())
        parts = zip(outputs.clone().split(1), y.clone().split(1), strict=True)
        alone = [loss_fn(*part) for part in parts]
    if not isinstance(together, Tensor) or together.ndim:
        got = f"shape {tuple(together.shape)}" if isinstance(together, Tensor) else together
        raise DataError(
            f"loss_fn must return a scalar tensor, the mean over examples, got {got}: reduce "
            "by the mean, in torch"
        )
    mean = float(sum(alone)) / len(alone)
    if not np.isclose(float(together), mean, rtol=1e-4, equal_nan=True):
        raise DataError(
            f"loss_fn must be the mean over examples, {len(alone)} examples have the mean "
            f"{mean:.6g} one by one but {float(together):.6g} together: use reduction='mean' "
            "without class weights"
        )
    return scored


def plain_gradient(
    model: nn.Module,
    parameters: Mapping[str, Tensor],
    loss_fn: LossFunction,
    x: Tensor,
    y: Tensor,
) -> Tensor:
    """The gradient (d,) with respect to parameters of a copy of the model that has them."""
    network = copy.deepcopy(model).eval()
    own = dict(network.named_parameters())
    with torch.no_grad():
        for name, value in parameters.items():
            own[name].copy_(value)
    gradients = torch.autograd.grad(
        loss_fn(network(x.clone()), y.clone()),
        [own[name] for name in parameters],
        materialize_grads=True,
    )
    return torch.cat([gradient.flatten() for gradient in gradients])


class _Made(TorchDispatchMode):
    """While it is entered, notes the bytes of each tensor that torch makes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = list[int]()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, list | tuple) else (made,):
            if isinstance(tensor, Tensor):
                size = tensor.numel() * tensor.element_size()
                self.bytes.append(min(size, tensor.untyped_storage().nbytes()))
        return made


def made_bytes(values: Callable[[], object]) -> list[int]:
    """Bytes of each tensor on the way to some values, without gradients."""
    with torch.no_grad(), _Made() as made:
        values()
    return made.bytes


def kept_bytes(values: Callable[[], Tensor]) -> int:
    """Bytes that a gradient of some values keeps. Raises DataError where they carry none."""
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        found = values()
    if not found.requires_grad:
        raise DataError(
            "loss_fn must be differentiable by torch, its value carries no gradient: compute "
            "it from the outputs with torch operations, without detach"
        )
    return kept


def _check_classes(targets: Tensor, classes: int) -> None:
    outside = (targets < 0) | (targets >= classes)
    if outside.any():
        bad = tuple(outside.nonzero()[0].tolist())
        raise DataError(
            f"targets must be classes 0 to {classes - 1}, as the model has outputs, got "
            f"{int(targets[bad])} at example {bad[0]}: mend the targets or the model"
        )


def _chosen(targets: Tensor) -> Tensor:
    """Examples to try: spread over the data, and one of each class, if targets are classes."""
    chosen = torch.linspace(0, len(targets) - 1, PROBES).long().numpy()
    if targets.ndim == 1 and not targets.is_floating_point():
        chosen = np.append(chosen, np.unique(targets.cpu().numpy(), return_index=True)[1])
    return torch.as_tensor(np.unique(chosen), device=targets.device)


@contextmanager
def refusing(name: str, batching: Batching, x: Tensor, y: Tensor) -> Generator[None]:
    """Torch's errors on examples (x, y) as one sentence of DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # whatever a user's forward or loss_fn raises
        unbatched = ", or pass batching='loop'" if batching == "vmap" else ""
        raise DataError(
            f"model, data and loss_fn must fit together, {name} on inputs "
            f"{tuple(x.shape)} with targets {tuple(y.shape)} of {y.dtype} fails: "
            f"{_first_line(error)}: change the shapes or types of the data{unbatched}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
