"""Trials of a network at the first use: that it is a function of its parameters and each example,
in evaluation, and in training of torch's global generators besides, with the gradient of the plain
network in both.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nets.data.sources import ExampleSource, spans
from nets.data.trees import Examples, count, mapped, rows, tensors_of
from nets.execution.functional import EVALUATION, ForwardMode, FunctionalModel
from nets.execution.loss_mean import check_halves
from nets.execution.modules.functional_calls import Watch
from nets.execution.plain import (
    at_far_point,
    far_point,
    gradient_of,
    plain_network,
    plain_outputs,
)
from nets.execution.policy import Batching
from nets.execution.rng import seeded
from reduction import DataError

GRADIENT_ERROR = 0.02  # relative error of a gradient from which on it is another
VALUE_ERROR = 1e-4  # relative error of a loss from which on it is another
STATE_ERROR = 1e-5  # relative change of a loss from which on training has changed it
SHARED_ERROR = 1e-5  # the same of a mean far from the model, where examples differ
OUTPUT_ERROR = 1e-3  # relative error of outputs from which on examples are mixed
REENTRANT = "use_reentrant=True"  # in torch's refusal of a gradient through that checkpoint
PAIRS = 8  # of neighbours, about, whose losses are compared with those of each
TRAINING = ForwardMode("training", seed=0)


class _Found(NamedTuple):
    """The loss at a point (d,), its gradient (d,), and whether the forward differentiates."""

    point: Tensor
    loss: float
    gradient: Tensor
    differentiates: bool = False


def check_examples_alone(model: FunctionalModel, examples: Examples) -> None:
    """Raise DataError where outputs in evaluation depend on the examples beside them: other outputs
    for the same examples in another order and in two parts.
    """
    size = count(examples.inputs)
    if size < 2:
        return
    order = torch.randperm(size, generator=torch.Generator().manual_seed(0))
    order = order.to(tensors_of(examples.inputs)[0].device)
    found = at_far_point(model, lambda far: _outputs(model, far, examples), _are_finite)
    point = model.own_point if found is None else far_point(model)
    together = _outputs(model, point, rows(examples, order))
    parts = [_outputs(model, point, rows(examples, part)) for part in order.tensor_split(2)]
    for whole, *pieces in zip(together, *parts, strict=True):
        if not whole.ndim or len(whole) != size or not whole.is_floating_point():
            continue  # it belongs to no example
        joined = torch.cat(pieces) if all(p.ndim for p in pieces) else whole[:0]
        same = joined.shape == whole.shape
        error = float((joined - whole).abs().max()) if same else np.inf
        if error > OUTPUT_ERROR * float(whole.abs().max()):
            raise DataError(
                "in evaluation mode a network must take each example by itself, "
                f"{model.name} has other outputs for the same examples in another order and in "
                f"two parts: {_remedy(model.model)}"
            )


def check_shared_outputs(model: FunctionalModel, examples: ExampleSource, at_once: int) -> None:
    """Raise DataError where outputs that no example has for itself, as a loss that the network
    computes, make the loss another than the mean over examples by their weights.

    at_once  examples, at most, of a part
    """
    few = examples.between(0, min(2, len(examples)))
    found = at_far_point(model, lambda far: _outputs(model, far, few), _are_finite)
    point = model.own_point if found is None else far_point(model)
    outputs = _outputs(model, point, few) if found is None else found
    own = [t for t in outputs if t.is_floating_point()]
    if all(t.ndim and len(t) == count(few.inputs) for t in own):
        return
    n = len(examples)
    pairs = [(i, i + 2) for i in range(0, n - 1, max(1, n // PAIRS))]  # in which one shows most
    for span in [*pairs, *spans(n, -(-n // at_once))]:
        part = examples.between(*span)

        def loss(half: slice, part: Examples = part) -> float:
            with torch.no_grad():
                return _loss(model, point, rows(part, half), EVALUATION)

        def weight(half: slice, part: Examples = part) -> float:
            return model.totals(rows(part.targets, half)).weight

        check_halves(loss, weight, span, 0.0, SHARED_ERROR)


def check_training(model: FunctionalModel, examples: Examples) -> None:
    """Compare losses and gradients in training mode with a plain network's, in full precision, and
    note what the model needs of its calls then.

    Raises DataError where they are others.
    """
    plain = _plain_at_a_point(model, examples, TRAINING)
    needs = model.needs
    model.needs = needs._replace(differentiates=needs.differentiates or plain.differentiates)
    try:
        found = _functional(model, plain.point, examples, TRAINING)
    except RuntimeError as error:
        if REENTRANT not in str(error) or needs.copied or model.execution.batching == "vmap":
            raise
        model.needs = model.needs._replace(copied=True)
        found = _functional(model, plain.point, examples, TRAINING)
    again = _functional(model, plain.point, examples, TRAINING)
    if not _close(found.loss, again.loss):
        raise DataError(
            "in training mode a network must draw from torch's global generators, which are "
            "seeded, and keep its state in buffers, for one seed the loss of "
            f"{model.name} is {found.loss:.6g} and then {again.loss:.6g}: leave out generators of "
            "its own, NumPy's and Python's, and use register_buffer"
        )
    if not _close(found.loss, plain.loss):  # vmap draws other numbers
        found = _functional(model, plain.point, examples, TRAINING, batching="loop")
    if not _same(found, plain):
        model.needs = model.needs._replace(copied=True)
    if model.needs.copied:
        for mode in (EVALUATION, TRAINING):
            _check_copied(model, examples, mode)


def _check_copied(model: FunctionalModel, examples: Examples, mode: ForwardMode) -> None:
    plain = _plain_at_a_point(model, examples, mode)
    found = _functional(model, plain.point, examples, mode, batching="loop")
    if not _same(found, plain):
        raise DataError(
            "losses and gradients must be those at the parameters that a network is called with, "
            f"those of {model.name} in {mode.name} mode are others (a loss of {found.loss:.6g}, "
            f"plain torch's {plain.loss:.6g}): leave out what runs parts of it again or keeps "
            "state, as gradient_checkpointing_disable() does for torch.utils.checkpoint"
        )


def check_state(model: FunctionalModel, examples: Examples) -> None:
    """Raise DataError where training on examples changes how the model is evaluated."""
    point, batch = model.own_point[None], model.arranged(examples)

    def value() -> float:
        with torch.no_grad():
            return float(model.run(point, model.own_buffers(1), batch, EVALUATION)[0])

    before = value()
    model.run(point.clone().requires_grad_(), model.own_buffers(1), batch, TRAINING)
    after = value()
    if not np.isclose(before, after, rtol=STATE_ERROR, equal_nan=True):
        raise DataError(
            "a network must keep its state in buffers, which belong to a point, the loss of "
            f"{model.name} went from {before:.6g} to {after:.6g} by training at the same "
            "point: use register_buffer, and no torch.utils.checkpoint around batch norm"
        )


def check_gradient_mode(model: FunctionalModel, examples: Examples) -> None:
    """Raise DataError where evaluation has another loss without gradients than with them."""
    with torch.no_grad():
        without = _loss(model, model.own_point, examples, EVALUATION)
    with torch.enable_grad():
        value = _loss(model, model.own_point, examples, EVALUATION)
    if not _close(value, without):
        raise DataError(
            "a network must compute the same whether torch records gradients or not, the loss of "
            f"{model.name} is {without:.6g} without and {value:.6g} with them: let it not ask "
            "torch.is_grad_enabled()"
        )


def _loss(model: FunctionalModel, point: Tensor, examples: Examples, mode: ForwardMode) -> float:
    own, batch = model.own_buffers(1), model.arranged(examples)
    return float(model.values(point[None], own, batch, mode)[0].detach())


def _functional(
    model: FunctionalModel,
    point: Tensor,
    examples: Examples,
    mode: ForwardMode,
    *,
    batching: Batching | None = None,
) -> _Found:
    """The functional model's, as the plain network computes: in full precision, on images as they
    are given.
    """
    execution = replace(model.execution, precision="full", layout="given")
    execution = replace(execution, batching=batching or execution.batching)
    model = replace(model, execution=execution)
    losses, _, gradients = model.gradients(point[None], model.own_buffers(1), examples, mode)
    return _Found(point, float(losses), gradients[0])


def _plain_at_a_point(model: FunctionalModel, examples: Examples, mode: ForwardMode) -> _Found:
    """A plain network's, far from the model's own parameters if it is defined there."""

    def at(point: Tensor) -> _Found:
        plain, watch = plain_network(model, point), Watch()
        model.set_mode(plain.network, mode)
        with model.execution.exactly(), seeded(model.execution.device, mode.seed):
            outputs = plain_outputs(plain, examples, watch)
            loss = model.loss_fn(outputs, mapped(torch.clone, examples.targets))
            value = float(loss.detach())
            slopes = gradient_of(loss, plain.network, plain.parameters).slopes
            return _Found(point, value, slopes, watch.differentiates)

    found = at_far_point(model, at, lambda plain: bool(np.isfinite(plain.loss)))
    return at(model.own_point) if found is None else found


def _are_finite(tensors: list[Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _outputs(model: FunctionalModel, point: Tensor, examples: Examples) -> list[Tensor]:
    model.model.eval()
    with torch.no_grad(), model.execution.exactly():
        found = model.outputs(model.tensors(point), examples.inputs)
    return [tensor.detach() for tensor in tensors_of(found)]


def _remedy(network: nn.Module) -> str:
    for name, module in network.named_modules():
        kind = f"{name!r}, a {type(module).__name__}"
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            return f"give {kind}, running statistics (track_running_stats=True)"
        if getattr(module, "batch_first", True) is False:
            return (
                f"{kind}, takes sequences along the first axis, make it with batch_first=True or "
                "transpose what it takes"
            )
    return (
        "let nothing combine examples (attention, means or capacities along axis 0; of a graph's "
        "nodes, take their indices as inputs and the graph in a buffer)"
    )


def _close(value: float, other: float) -> bool:
    return bool(np.isclose(value, other, rtol=VALUE_ERROR, atol=1e-6, equal_nan=True))


def _same(found: _Found, other: _Found) -> bool:
    error = (found.gradient - other.gradient).norm()
    near = bool(error <= GRADIENT_ERROR * other.gradient.norm() + 1e-7)
    return _close(found.loss, other.loss) and (near or not np.isfinite(other.loss))
