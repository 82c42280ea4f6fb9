"""Calls of a module with other parameters and buffers than its own.

`torch.func.functional_call` puts them in for the time of a call. Beside it a forward may leave
tensors in attributes of modules (a weight that a hook computes from other parameters, an
activation), which belong to the point, so they are taken away again; what else it leaves is state
(`nets.execution.checks` refuses what changes evaluation).
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


def call_with(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    positional: tuple[Any, ...],
    named: dict[str, Any],
) -> Any:
    """Outputs of the model with these parameters and buffers, by all of their names.

    positional, named  arguments of the model
    """
    with _keeping_tensors(list(model.modules())):
        return functional_call(model, dict(tensors), positional, named, tie_weights=False)


@contextmanager
def _keeping_tensors(modules: Sequence[nn.Module]) -> Generator[None]:
    """Attributes that become tensors, or other ones, have their values again afterwards."""
    before = [dict(vars(module)) for module in modules]
    try:
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            attributes = vars(module)
            for name in [k for k, v in attributes.items() if isinstance(v, Tensor)]:
                if name not in own:
                    del attributes[name]
                elif own[name] is not attributes[name]:
                    attributes[name] = own[name]
