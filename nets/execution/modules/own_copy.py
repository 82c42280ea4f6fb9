"""A loss's own copy of a network: of all that its modules hold, or one sentence why there is none.

Tensors that a module computed from its parameters and kept (the weight of hook-based weight norm or
pruning, an activation) are copied as constants: a module that needs them computes them anew.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from reduction import DataError
from reduction.validation import first_line

WRAPPERS = ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel")


def own_copy(model: nn.Module) -> nn.Module:
    """A copy of a network that shares no tensor with it.

    Raises DataError for a network that other parameters cannot be put into: compiled to TorchScript
    or spread over devices, with parameters that are not initialised, sparse, complex or of half
    precision; and for modules that cannot be copied.
    """
    for name, module in model.named_modules():
        _check_module(_shown(name, module), module)
    named = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in named:
        _check_storage(f"{name!r} of {type(model).__name__}", tensor)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            _check_type(model, name, parameter)
    return _copied(model)


def _check_module(shown: str, module: nn.Module) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise DataError(
            "a network is called with the parameters of every point, which TorchScript cannot be, "
            f"{shown} is scripted or traced: pass the module that it was made from"
        )
    if type(module).__name__ in WRAPPERS and isinstance(getattr(module, "module", None), nn.Module):
        raise DataError(
            f"a network is run on one device, {shown} spreads it over several: pass the module "
            "inside, model.module"
        )
    if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse:
        raise DataError(
            f"gradients must be dense, those of {shown} are sparse: set sparse=False, which "
            "changes no value"
        )


def _check_storage(shown: str, tensor: Tensor) -> None:
    if is_lazy(tensor):
        raise DataError(
            f"parameters must be initialised, {shown} waits for a first input: call the model "
            "on an example before"
        )
    if tensor.is_meta:
        raise DataError(
            f"parameters must have values, {shown} is on the meta device: build the model on a "
            "device, or load_state_dict(..., assign=True) into it before"
        )


def _check_type(model: nn.Module, name: str, parameter: Tensor) -> None:
    shown = f"{name!r} of {type(model).__name__}"
    if parameter.layout != torch.strided:
        raise DataError(
            f"parameters must be dense, {shown} is {parameter.layout}: keep it as a dense tensor "
            "(to_dense), with a mask in a buffer, or freeze it"
        )
    if parameter.is_complex():
        raise DataError(
            f"parameters must share one floating type, {type(model).__name__} has {name!r} of "
            f"{parameter.dtype}: keep real and imaginary part (torch.view_as_real) instead"
        )
    if parameter.is_floating_point() and parameter.dtype.itemsize < 4:
        raise DataError(
            f"parameters must be float32 or float64, in which a barrier is not lost in rounding, "
            f"{shown} is {parameter.dtype}: call model.float(), and convert floating inputs too"
        )


def _copied(model: nn.Module) -> nn.Module:
    kept = [t for module in model.modules() for t in _tensors(vars(module)) if not t.is_leaf]
    memo: dict[int, Any] = {id(tensor): tensor.detach().clone() for tensor in kept}
    try:
        return copy.deepcopy(model, dict(memo))
    except Exception as error:  # whatever a user's object raises
        raise DataError(
            f"a loss keeps a copy of its network, {_uncopied(model, memo)} cannot be copied "
            f"({first_line(error)}): leave it "
            "out of the module, or give it a __deepcopy__"
        ) from error


def _tensors(values: Any) -> Iterator[Tensor]:
    """Tensors in containers inside containers."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
    elif isinstance(values, list | tuple | set):
        for value in values:
            yield from _tensors(value)


def _uncopied(model: nn.Module, memo: dict[int, Any]) -> str:
    """Name of the first attribute of a module that cannot be copied."""
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, nn.Module) or attribute == "_modules":
                continue
            try:
                copy.deepcopy(value, dict(memo))
            except Exception:  # the one that is looked for
                kind = type(value).__name__
                return f"{attribute!r}, a {kind}, of {_shown(name, module)}"
    return type(model).__name__


def _shown(name: str, module: nn.Module) -> str:
    kind = type(module).__name__
    return f"module {name!r} ({kind})" if name else f"the network ({kind})"
