"""Checks that a model, data and a loss_fn fit together, before anything is trained.

At construction (`checked`) the model's forward is called three times at most, on a few examples: by
plain torch; as a functional model, whose loss and gradient must be the same; and in the mode that
updates running statistics or trains. What needs more calls is checked at the first use
(`first_use`): that training changes no state beside buffers, and how much memory a point takes.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nets.data.sources import ExampleSource
from nets.data.trees import Examples, Tree, count, mapped, rows, shapes, tensors_of, types
from nets.execution.accuracy import Accuracy, ClassAccuracy, find_accuracy
from nets.execution.buffers import check_norms
from nets.execution.functional import EVALUATION, FunctionalModel
from nets.execution.loss_mean import ExampleWeights, find_weights
from nets.execution.modules.functional_calls import Needs, Watch
from nets.execution.plain import at_far_point, gradient_of, plain_network, plain_outputs
from nets.execution.point_bytes import PointBytes, point_bytes
from nets.execution.rng import all_undisturbed
from nets.execution.trials import (
    GRADIENT_ERROR,
    REENTRANT,
    TRAINING,
    VALUE_ERROR,
    check_examples_alone,
    check_gradient_mode,
    check_shared_outputs,
    check_state,
    check_training,
)
from reduction import DataError
from reduction.validation import first_line

PROBES = 16  # examples on which model, data and loss_fn are tried
CLASSES = 256  # classes, at most, of which one example each is tried
BRANCHES = "data-dependent control flow"  # in vmap's refusal of a branch on values


def checked(
    model: FunctionalModel, examples: ExampleSource, normed_by: ExampleSource
) -> FunctionalModel:
    """The model with the accuracy and the weights of its loss_fn, and a layout in which it runs.

    examples   all of them
    normed_by  whose inputs are those of running statistics
    Calls the model's forward three times at most. Raises DataError where model, data and loss_fn do
    not fit together.
    """
    some = examples.take(_chosen(examples))
    with all_undisturbed(model.execution.device), torch.enable_grad():
        plain = _plain(model, some, examples)
        model = replace(model, accuracy=plain.accuracy, example_weights=plain.example_weights)
        model = replace(model, needs=plain.needs)
        if plain.needs.copied:
            model = _one_by_one(model)
        found = _functional(model, plain, some)
        agrees, spare = _agree(found, plain), plain.calls == 1
        if agrees and spare:
            model = _tried_in_other_mode(model, some, normed_by)
        elif not agrees and spare:
            model, found = _repeated(model, plain, some, found)
        elif not agrees:
            return _simpler(model, found)
    return _with_gradient(model, plain, found)


def first_use(
    model: FunctionalModel, examples: ExampleSource, normed_by: ExampleSource, at_once: int
) -> PointBytes:
    """Checks that need more calls of the forward than `checked` has, and the memory of a point.

    examples   all of them
    at_once    examples, at most, of a part
    Raises DataError where training changes state beside buffers, or fails.
    """
    few = examples.between(0, min(2 * PROBES, len(examples)))
    with all_undisturbed(model.execution.device), torch.enable_grad(), refusing(model, few):
        check_training(model, few)
        check_state(model, few)
        check_gradient_mode(model, few)
        check_examples_alone(model, examples.take(_chosen(examples)))
        check_shared_outputs(model, examples, at_once)
        check_norms(model, few)
        if model.norms:
            model.allow_training_statistics(_first_inputs(normed_by, 2 * PROBES))
        found = point_bytes(model, few, len(examples), at_once, len(normed_by))
        points = model.own_point.repeat(2, 1)
        model.allow_cuda_graphs(points, rows(few, slice(PROBES)))
    return found


# --- at construction


class _Plain(NamedTuple):
    """A plain network at a point (d,): its loss, and the gradient (d,) if it has one."""

    point: Tensor
    accuracy: Accuracy | None
    example_weights: ExampleWeights | None
    scale: float  # largest output
    loss: float
    gradient: Tensor | None
    needs: Needs
    calls: int  # of the forward, so far


class _Functional(NamedTuple):
    """The functional model's loss at a point, and the gradient (d,)."""

    loss: float
    gradient: Tensor | None


def _plain(model: FunctionalModel, examples: Examples, every: ExampleSource) -> _Plain:
    """A copy of the model far from its own parameters, if it is defined there, else at them.

    Far away no symmetry makes another point's gradient the same.
    """
    found = at_far_point(
        model,
        lambda point: _plain_at(model, point, examples, every),
        lambda plain: bool(np.isfinite(plain.loss)),
    )
    if found is not None:
        return found
    with refusing(model, examples, remedy=""):
        return _plain_at(model, model.own_point, examples, every)._replace(calls=2)


def _plain_at(
    model: FunctionalModel, point: Tensor, examples: Examples, every: ExampleSource
) -> _Plain:
    """One call of a plain network's forward, and what follows from its outputs."""
    plain, watch = plain_network(model, point), Watch()
    y = examples.targets
    with model.execution.exactly():
        with model.execution.arithmetic(training=False):
            outputs = plain_outputs(plain, examples, watch)
        with _taking(model, outputs):
            accuracy, weights = _loss_function(model, mapped(torch.detach, outputs), y, every)
            loss = model.loss_fn(mapped(torch.clone, outputs), mapped(torch.clone, y))
        if not loss.requires_grad:
            raise DataError(
                "loss_fn must be differentiable by torch, its value carries no gradient: compute "
                "it from the outputs with torch operations, without detach"
            )
        gradient, reruns = None, False
        with suppress(RuntimeError):  # cuDNN's recurrent layers have gradients in training alone
            gradient, reruns = gradient_of(loss, plain.network, plain.parameters)
    floats = [t.detach().abs().max() for t in tensors_of(outputs) if t.is_floating_point()]
    scale = float(max(floats)) if floats else 0.0
    needs = Needs(reruns, watch.differentiates)
    value = float(loss.detach())
    return _Plain(point, accuracy, weights, scale, value, gradient, needs, calls=1)


def _loss_function(
    model: FunctionalModel, outputs: Any, targets: Tree, every: ExampleSource
) -> tuple[Accuracy | None, ExampleWeights | None]:
    """The accuracy and the weights that belong to the model's loss_fn.

    outputs (m, ...) of some examples, and their targets (m, ...)
    """
    size = count(targets)
    if isinstance(outputs, Tensor) and outputs.shape[:1] != (size,):
        raise DataError(
            f"a network must give outputs for each example on axis 0, {model.name} gives "
            f"{tuple(outputs.shape)} for {size} examples: let it return (batch, ...)"
        )
    accuracy = find_accuracy(model.loss_fn, outputs, targets, every)
    ignored = accuracy.ignored if isinstance(accuracy, ClassAccuracy) else ()
    weights = find_weights(
        model.loss_fn, outputs, targets, every, given=model.example_weights, ignored=ignored
    )
    return accuracy, weights


def _functional(
    model: FunctionalModel, plain: _Plain, examples: Examples
) -> _Functional | DataError:
    """One call of the functional model in evaluation mode, or the error that it ends with."""
    point, own, batch = plain.point[None], model.own_buffers(1), model.arranged(examples)
    try:
        with refusing(model, examples):
            if plain.gradient is None:
                losses, _ = model.values(point.clone(), own, batch, EVALUATION)
                return _Functional(float(losses), None)
            losses, _, gradients = model.gradients(point, own, batch, EVALUATION)
    except DataError as error:
        return error
    return _Functional(float(losses), gradients[0])


def _agree(found: _Functional | DataError, other: _Plain | _Functional, scale: float = 0.0) -> bool:
    """Whether losses of one point are equal up to rounding; scale: of outputs."""
    if isinstance(found, DataError):
        return False
    scale = other.scale if isinstance(other, _Plain) else scale
    limit = VALUE_ERROR * max(abs(other.loss), 0.1 * scale)
    limit = limit if np.isfinite(limit) else 0.0  # only what is equal is near what is not finite
    return bool(np.isclose(found.loss, other.loss, rtol=0, atol=limit, equal_nan=True))


def _repeated(
    model: FunctionalModel, plain: _Plain, examples: Examples, before: _Functional | DataError
) -> tuple[FunctionalModel, _Functional]:
    """A further call of the functional model, on images as they are given, where the one `before`
    failed, or differs from the plain network: it minds strides, it rounds, or it draws at random.
    """
    model = _simpler(model, before if isinstance(before, DataError) else None)
    found = _functional(model, plain, examples)
    if isinstance(found, DataError):
        raise found
    same_twice = isinstance(before, _Functional) and _agree(found, before, plain.scale)
    if not (same_twice or _agree(found, plain)):
        raise _random_outputs(model)
    return model, found


def _tried_in_other_mode(
    model: FunctionalModel, examples: Examples, normed_by: ExampleSource
) -> FunctionalModel:
    """One call in the mode that updates running statistics or, without any, trains."""
    point = model.own_point[None]
    if model.norms:
        examples = examples._replace(inputs=_first_inputs(normed_by, PROBES))
    try:
        with refusing(model, examples):
            if model.norms:
                model.statistics(point, [lambda: examples.inputs])
            else:
                batch = model.arranged(examples)
                model.run(point.requires_grad_(), model.own_buffers(1), batch, TRAINING)
    except DataError as error:
        return _simpler(model, error)
    return model


def _simpler(
    model: FunctionalModel, failed: _Functional | DataError | None = None
) -> FunctionalModel:
    """The model on images as they are given, or, where vmap fails and nobody asked for it, one
    point after another; raises DataError if that is how it failed.

    Not where it branches on values: an assertion or a printed line is better told.
    """
    execution = model.execution
    if execution.layout == "given" and failed is not None:
        if not isinstance(failed, DataError):
            raise _random_outputs(model)
        if REENTRANT in str(failed) and not model.needs.copied:
            return replace(_one_by_one(model), needs=model.needs._replace(copied=True))
        by_torch = isinstance(failed.__cause__, RuntimeError) and BRANCHES not in str(failed)
        if execution.batching == "loop" or not (execution.automatic and by_torch):
            raise failed
        return _one_by_one(model)
    return replace(model, execution=replace(execution, layout="given"))


def _one_by_one(model: FunctionalModel) -> FunctionalModel:
    """The model at one point after another. Raises DataError where vmap was asked for."""
    execution = model.execution
    if execution.batching == "vmap" and not execution.automatic:
        raise DataError(
            f"vmap takes no network that runs parts of itself again, as {model.name} does by "
            "torch.utils.checkpoint: pass batching='loop', or call "
            "gradient_checkpointing_disable() on it"
        )
    return replace(model, execution=replace(execution, batching="loop"))


def _with_gradient(
    model: FunctionalModel, plain: _Plain, found: _Functional | DataError
) -> FunctionalModel:
    """The model, copied for each call if its gradient is not that of the plain network."""
    if isinstance(found, DataError) or plain.gradient is None or found.gradient is None:
        return model
    if (found.gradient - plain.gradient).norm() <= GRADIENT_ERROR * plain.gradient.norm():
        return model
    model = _one_by_one(model)
    return replace(model, needs=model.needs._replace(copied=True))


def _random_outputs(model: FunctionalModel) -> DataError:
    return DataError(
        f"in evaluation mode a network must be a function, {model.name} gave two outputs "
        "for the same inputs: let it draw at random in training mode only"
    )


def _chosen(examples: ExampleSource) -> Tensor:
    """Examples to try: spread over the data, and one of each class, if targets are classes; else
    with the smallest, the largest and the most frequent target, as one that is masked may be.
    """
    chosen = set(torch.linspace(0, len(examples) - 1, PROBES).long().tolist())
    firsts, counts = dict[float, int](), Counter[float]()  # of each class, or each part's extremes
    for first, targets in examples.target_parts():
        if not isinstance(targets, Tensor) or not targets.numel():
            break
        entries = targets.numel() // len(targets)
        values, at, times = np.unique(targets.cpu().numpy(), return_index=True, return_counts=True)
        if entries > 1 or targets.is_floating_point() or len(values) > CLASSES:
            shown = [0, -1, int(times.argmax())]
            values, at, times = values[shown], at[shown], times[shown]
        for value, i, n in zip(values.tolist(), at.tolist(), times.tolist(), strict=True):
            firsts.setdefault(value, first + i // entries)
            counts[value] += n
    if len(firsts) > CLASSES:
        shown = min(firsts), max(firsts), counts.most_common(1)[0][0]
        firsts = {value: firsts[value] for value in shown}
    return torch.tensor(sorted({*chosen, *firsts.values()}))


def _first_inputs(examples: ExampleSource, most: int) -> Tree:
    return examples.between(0, min(most, len(examples))).inputs


# --- errors


@contextmanager
def _taking(model: FunctionalModel, outputs: Any) -> Generator[None]:
    """Errors of loss_fn on outputs that are no tensor as one sentence of DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # whatever a user's loss_fn raises
        if isinstance(outputs, Tensor):
            raise
        kind = type(outputs).__name__
        raise DataError(
            f"loss_fn takes a network's outputs as they are, {model.name} gives a {kind}, and "
            f"loss_fn fails: {first_line(error)}: "
            "take the tensor in it, loss_fn=lambda outputs, targets: cross_entropy(outputs.logits, "
            "targets), say"
        ) from error


@contextmanager
def refusing(
    model: FunctionalModel, examples: Examples, remedy: str = ", or pass batching='loop'"
) -> Generator[None]:
    """Torch's errors on examples as one sentence of DataError; the remedy is that of vmap's."""
    x, y = examples
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # whatever a user's forward or loss_fn raises
        unbatched = remedy if model.execution.batching == "vmap" else ""
        if unbatched and BRANCHES in str(error):
            raise DataError(
                f"vmap takes no network or loss_fn with {BRANCHES}, {model.name} or its loss_fn "
                "branches on values of tensors: pass batching='loop'"
            ) from error
        raise DataError(
            f"model, data and loss_fn must fit together, {model.name} on inputs "
            f"{shapes(x)} with targets {shapes(y)} of {types(y)} fails: "
            f"{first_line(error)}: change the shapes or types of the data{unbatched}"
        ) from error


@contextmanager
def refusing_alone(count: int, batch_size: int) -> Generator[None]:
    """Batch norm's refusal of one example, as a DataError that says which mini-batch has one."""
    try:
        yield
    except DataError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise DataError(
            f"batch norm needs two values of a channel in every mini-batch, {count} examples in "
            f"batches of {batch_size} leave one alone: change batch_size"
        ) from error
