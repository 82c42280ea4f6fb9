"""The memory of a point: tensors of the examples that a gradient keeps, or evaluation makes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nets.data.trees import Examples, count, rows
from nets.execution.functional import EVALUATION, FunctionalModel

MEASURED = 512  # examples, at most, of a mini-batch in the memory of a point
LAYERS = 4  # tensors of a layer's size that are alive at once in evaluation
ONE_GRAPH = 2**31  # bytes, at most, of the graph of inputs of statistics that are one batch
ONE_BATCH = 2**29  # bytes, at most, of LAYERS tensors of inputs of statistics that are one batch


class PointBytes(NamedTuple):
    """Bytes that one more point takes: with its exact gradient; without; and in training, where it
    is evaluated, too, but the gradient is that of a mini-batch.

    one_batch  inputs, at most, whose statistics are computed in one batch
    one_graph  inputs, at most, through whose statistics a gradient goes in one batch
    """

    with_gradient: int
    without: int
    training: int
    one_batch: int
    one_graph: int


def point_bytes(
    model: FunctionalModel, examples: Examples, total: int, at_once: int, normed_by: int
) -> PointBytes:
    """The memory of a point, measured on a few examples.

    total      examples in all
    at_once    examples, at most, of a part
    normed_by  inputs of running statistics

    What a gradient keeps is linear in the number of examples: two numbers give the line.
    """
    given = count(examples)
    counts = [-(-given // 2), given]
    measured = [_sizes(model, rows(examples, slice(some))) for some in counts]
    tensors = min(map(len, measured))  # as many for few examples as for more, but for odd networks
    size, smaller = measured[1][:tensors], measured[0][:tensors]
    grown = (size - smaller) / max(1, counts[1] - counts[0])  # by each example
    kept = size[0] + grown[0] * (min(total, MEASURED) - counts[1])
    largest = (size[1:] + grown[1:] * (min(total, at_once) - counts[1])).max()
    parameters = 4 * model.coordinates.dim * model.coordinates.dtype.itemsize
    layers = LAYERS * max(1, int(grown[1:].max(initial=0)))  # of one input
    one_batch = max(1, ONE_BATCH // layers)
    statistics = layers * normed_by if model.norms and normed_by <= one_batch else 0
    graph = max(1, int(grown[1:].sum() if model.needs.copied else grown[0]))  # of one input
    one_graph = min(one_batch, max(1, ONE_GRAPH // graph))
    differentiated = normed_by if normed_by <= one_graph else min(normed_by, at_once)
    training = max(kept, statistics)
    with_gradient = max(training, graph * differentiated if model.norms else 0)
    without = max(min(kept, LAYERS * largest), statistics)
    return PointBytes(
        int(with_gradient) + parameters,
        int(without) + parameters,
        int(training) + parameters,
        one_batch,
        one_graph,
    )


def _sizes(model: FunctionalModel, examples: Examples) -> NDArray[np.int64]:
    """Bytes that one point takes of the examples: what its gradient keeps; then each tensor that is
    made without.
    """
    batch, count = model.arranged(examples), 2 if model.execution.batching == "vmap" else 1
    points = model.own_point.repeat(count, 1).requires_grad_()
    kept = _kept(model, points, batch)
    with torch.no_grad(), _TensorBytes() as made:
        model.outputs(model.parameters(points[0]), batch.inputs)  # in evaluation mode, since above
    return np.array([kept // count, *made.bytes])


def _kept(model: FunctionalModel, points: Tensor, examples: Examples) -> int:
    """Bytes that gradients at points keep of the examples; where a forward differentiates itself,
    which torch.func does not allow to look into, all that are made.
    """
    if model.needs.differentiates:
        model.model.eval()
        with _TensorBytes() as made:
            model.outputs(model.parameters(points[0]), examples.inputs)
        return len(points) * sum(made.bytes)
    kept = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.values(points, model.own_buffers(len(points)), examples, EVALUATION)
    return kept


class _TensorBytes(TorchDispatchMode):
    """A mode that lists the bytes of each tensor that torch makes."""

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
