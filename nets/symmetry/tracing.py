"""A forward as a graph of torch's basic operators on parameters, buffers and inputs.

`make_fx` runs the forward on a few examples, so control flow in Python, loops over time and every
library's own layers are followed; modules such as nn.LSTM, nn.MultiheadAttention and fused
attention come out as products, slices and functions of single numbers. Where control flow depends
on values of tensors there is no one graph, and tracing is refused.
"""

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nets.data.trees import arguments
from nets.execution.modules.functional_calls import without_fast_path
from reduction import DataError
from reduction.validation import first_line

Forward = Callable[[Mapping[str, Tensor], Any], Any]
"""Outputs of a network with these parameters and buffers, by name, on inputs."""

REMEDY = "name the units, align(minima, units=[PermutationGroup(...), ...])"


def traced(
    forward: Forward, tensors: Mapping[str, Tensor], inputs: Any, name: str
) -> fx.GraphModule:
    """The graph of a forward; its placeholders are the tensors in their order, then the inputs.

    name  of the network, in errors
    Raises DataError where the forward cannot be traced, or fails.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    def function(values: list[Tensor], inputs: Any) -> Any:
        return forward(dict(zip(tensors, values, strict=True)), inputs)

    values = [tensor.detach() for tensor in tensors.values()]
    try:
        with basic_operators():
            graph = make_fx(torch.func.functionalize(function))(values, inputs)
    except Exception as error:  # whatever a user's forward raises
        line = first_line(error)
        raise DataError(
            "units are found by tracing the forward, which must not decide by the values of "
            f"tensors, that of {name} fails: {line[:200]}: {REMEDY}"
        ) from error
    graph.graph.eliminate_dead_code()
    return graph


@contextmanager
def basic_operators() -> Generator[None]:
    """Attention and recurrent layers run as products and functions of single numbers."""
    with warnings.catch_warnings(), without_fast_path():
        # a network's warnings are told when it runs; torch's own flags warn on some processors
        warnings.simplefilter("ignore")
        with (
            sdpa_kernel(SDPBackend.MATH),
            torch.backends.mkldnn.flags(enabled=False),
            torch.enable_grad(),
        ):
            yield


def functional(model: nn.Module) -> Forward:
    """A module's forward as a function of its parameters and buffers."""

    def forward(tensors: Mapping[str, Tensor], inputs: Any) -> Any:
        positional, named = arguments(inputs)
        return torch.func.functional_call(model, dict(tensors), positional, named)

    return forward
