"""A loss function's mean over examples: the weight of each.

Loss functions of torch are quotients of two sums over the examples of a batch, L = sum w_i l_i /
sum w_i. The weight w_i of an example depends on its target: 1 for most; with class weights that of
its class; the number of its tokens where padding is ignored. So the loss over all data is not the
mean over batches of L, but sum W_k L_k / sum W_k, with the whole weight W_k of batch k.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, nll_loss

from nets.data.sources import ExampleSource, spans
from nets.data.trees import Tree, count, joined, mapped, rows, shapes, tensors_of, types
from reduction import DataError, OptionError
from reduction.validation import first_line, short_repr

LossFunction = Callable[[Any, Any], Tensor]
"""Outputs and targets, as the model and the data give them -> scalar."""

ExampleWeights = Callable[[Any], Tensor]
"""Targets (n, ...), as the data give them -> non-negative weights (n,) of their examples in a loss
function's mean."""

LAW_ERROR = 1e-4  # relative error of a mean from which on it is another
TRIED = 128  # examples, at most, whose loss is tried at a time


@dataclass(frozen=True, slots=True, eq=False)
class ClassWeights:
    """Weights of examples whose targets (n, ...) are class indices: sums over their entries.

    by_class  (C,) the weight of each class; None: 1
    ignored   entries of targets that have no weight
    Targets that are probabilities have the weight 1, as in torch's cross_entropy.
    """

    by_class: Tensor | None = None
    ignored: tuple[int, ...] = ()

    def __call__(self, targets: Tensor) -> Tensor:
        """Weights (n,), float64, of targets (n, ...)."""
        if targets.is_floating_point():
            return torch.ones(len(targets), dtype=torch.float64, device=targets.device)
        counted = not_among(self.ignored, targets)
        if self.by_class is None:
            return counted.reshape(len(targets), -1).sum(dim=1).double()
        classes = torch.where(counted, targets, 0).long()
        entries = self.by_class.detach().to(targets.device).double()[classes] * counted
        return entries.reshape(len(targets), -1).sum(dim=1)


def not_among(ignored: Sequence[int], targets: Tensor) -> Tensor:
    """Which targets, of any shape, are none of those that are ignored."""
    counted = torch.ones_like(targets, dtype=torch.bool)
    for value in ignored:
        if torch.tensor(value).to(targets.dtype) == value:  # else it would come round again
            counted &= targets != value
    return counted


def occurring(ignored: Sequence[int], examples: ExampleSource) -> tuple[int, ...]:
    """The ignored values, all of them or none: none where no target, of a tensor, is one."""
    parts = [not_among([v], part).all() for v in ignored for _, part in examples.target_parts()]
    return tuple(ignored) if not all(parts) else ()


def weights_by_torch(loss_fn: LossFunction) -> ClassWeights | None:
    """The weights in torch's cross_entropy and nll_loss: as functions, `functools.partial` of them
    or modules. None for other functions.
    """
    functions, modules = (cross_entropy, nll_loss), (nn.CrossEntropyLoss, nn.NLLLoss)
    options: dict[str, Any]
    if isinstance(loss_fn, modules):
        if type(loss_fn).forward not in [module.forward for module in modules]:
            return None
        options = {"weight": loss_fn.weight, "ignore_index": loss_fn.ignore_index}
    elif isinstance(loss_fn, partial) and loss_fn.func in functions and not loss_fn.args:
        options = loss_fn.keywords
    elif loss_fn in functions:
        options = {}
    else:
        return None
    return ClassWeights(options.get("weight"), (options.get("ignore_index", -100),))


def total_weight(weights: ExampleWeights | None, targets: Tree) -> float:
    """The whole weight of targets (n, ...); without weights their number."""
    return float(count(targets)) if weights is None else float(_each(weights, targets).sum())


def _each(weights: ExampleWeights, targets: Tree, first: int = 0) -> Tensor:
    """Weights (n,), float64, of targets (n, ...), of which a function gets copies.

    first  index of the first example, for messages
    Raises DataError for what are no weights.
    """
    size = count(targets)
    try:
        found = weights(mapped(torch.clone, targets))
    except Exception as error:  # whatever a user's function raises
        raise DataError(
            f"weights must be a function of targets, on {shapes(targets)} of {types(targets)} it "
            f"fails: {first_line(error)}: let it give one weight for each example"
        ) from error
    if not isinstance(found, Tensor) or found.shape != (size,):
        raise DataError(
            f"weights must give one weight for each of {size} examples, got {short_repr(found)}: "
            f"return a tensor (n,) of targets {shapes(targets)}, with sums over all other axes"
        )
    outside = ~(found.isfinite() & (found >= 0))
    if outside.any():
        bad = int(outside.nonzero()[0])
        raise DataError(
            f"weights must be finite and not negative, example {first + bad} has "
            f"{float(found[bad]):.6g}: mend weights= or leave such examples out"
        )
    return found.double()


def check_weights(weights: Any) -> None:
    """Raise OptionError for weights of examples that are neither a function nor None."""
    if weights is not None and (not callable(weights) or isinstance(weights, type)):
        raise OptionError(
            "weights must be a function of targets (n, ...) that gives the weight of each "
            f"example, (n,), got {short_repr(weights)}: pass lambda targets: (targets != "
            "0).sum(dim=1), say, or None"
        )


def _check_by_example(weights: ExampleWeights, targets: Tree) -> None:
    """Raise DataError for weights that depend on the examples beside one; targets (m, ...)."""
    together = _each(weights, targets)
    size = len(together)
    alone = torch.cat([_each(weights, rows(targets, slice(i, i + 1))) for i in range(size)])
    if not torch.allclose(alone, together, rtol=1e-5):
        bad = int((alone - together).abs().argmax())
        raise DataError(
            "the weight of an example must depend on its own target, one has "
            f"{float(alone[bad]):.6g} alone and {float(together[bad]):.6g} beside others: return "
            "weights that are not divided by their sum or mean"
        )


def find_weights(
    loss_fn: LossFunction,
    outputs: Any,
    targets: Tree,
    examples: ExampleSource,
    *,
    given: ExampleWeights | None,
    ignored: tuple[int, ...],
) -> ExampleWeights | None:
    """The weights by which a loss function is a mean over examples; None: all count alike.

    outputs   (m, ...) of some examples, and their targets (m, ...)
    examples  all of them
    given     the user's weights, which alone come into question
    ignored   targets in which the loss does not depend on the outputs
    Those of torch's functions are known; others may count examples, or targets not ignored.
    Raises DataError for given weights that are none, and where none fit.
    """
    hypotheses = _hypotheses(loss_fn, targets, examples, given, ignored)
    for weights in filter(None, hypotheses):  # where examples differ most, whatever their outputs
        m = count(targets)
        outputs = picked(outputs, [*range(m), 0, 1 % m], m)
        targets = joined(targets, examples.take(_extremes(weights, examples)).targets)
    if given is not None:
        _check_by_example(given, targets)
    weights = _first_that_holds(loss_fn, outputs, targets, hypotheses)
    if weights_by_torch(loss_fn) is None:
        _check_all_targets(loss_fn, outputs, count(targets), examples, weights)
    return weights


def picked(outputs: Any, chosen: list[int], size: int) -> Any:
    """Outputs of some of `size` examples; what they have for no example, as it is."""
    return mapped(lambda t: (t[chosen] if t.ndim and len(t) == size else t).clone(), outputs)


def _hypotheses(
    loss_fn: LossFunction,
    targets: Tree,
    examples: ExampleSource,
    given: ExampleWeights | None,
    ignored: tuple[int, ...],
) -> list[ExampleWeights | None]:
    if given is not None:
        return [given]
    known = weights_by_torch(loss_fn)
    if known is None:
        return [None, ClassWeights(None, ignored)] if ignored else [None]
    if not isinstance(targets, Tensor) or targets.is_floating_point():
        return [None]
    known = ClassWeights(known.by_class, occurring(known.ignored, examples))
    return [None if known.by_class is None and not known.ignored else known]


def _extremes(weights: ExampleWeights, examples: ExampleSource) -> Tensor:
    """Indices (2,) of an example of the least positive weight and one of the largest.

    Raises DataError where no example has any weight.
    """
    least, most = (np.inf, -1), (0.0, -1)
    for first, targets in examples.target_parts():
        each = _each(weights, targets, first)
        positive = torch.where(each > 0, each, torch.inf)
        least = min(least, (float(positive.min()), first + int(positive.argmin())))
        most = max(most, (float(each.max()), first + int(each.argmax())))
    if not most[0]:
        raise DataError(
            f"some examples must have a weight in loss_fn's mean, none of {len(examples)} has "
            "one: leave fewer targets out, or give classes a weight"
        )
    return torch.tensor([least[1], most[1]])


def _first_that_holds(
    loss_fn: LossFunction,
    outputs: Any,
    targets: Tree,
    hypotheses: Sequence[ExampleWeights | None],
) -> ExampleWeights | None:
    """The first weights by which losses of several examples are quotients of single ones.

    outputs, targets (m, ...). All examples together are tried, and each beside the next, where an
    ignored target shows most. Raises DataError where no hypothesis holds.
    """
    m = count(targets)
    sets = [list(range(m)), *([i, (i + 1) % m] for i in range(m if m > 2 else 0))]
    together = np.array([_value(loss_fn, outputs, targets, some) for some in sets])
    alone = np.array([_value(loss_fn, outputs, targets, [i]) for i in range(m)])
    rounding = _rounding(outputs)
    failed = list[DataError]()
    for weights in hypotheses:
        each = np.ones(m) if weights is None else _each(weights, targets).cpu().numpy()
        terms = np.where(each > 0, each * alone, 0.0)  # 0/0 has no weight
        limit = LAW_ERROR * np.nansum(np.abs(terms)) / max(each.sum(), 1e-300) + rounding
        wholes = np.array([each[some].sum() for some in sets])
        means = np.array([terms[some].sum() for some in sets]) / np.where(wholes, wholes, np.nan)
        same = np.isclose(together, means, rtol=0, atol=limit, equal_nan=True) | (wholes == 0)
        if same.all():
            return weights
        first = int(np.argmin(same))
        failed.append(_no_mean(len(sets[first]), means[first], together[first], weights))
    if m > 1 and np.isclose(together[0], np.nansum(alone), rtol=LAW_ERROR):
        raise DataError(
            f"loss_fn must be the mean over examples, {m} examples have {together[0]:.6g} "
            "together, the sum of their losses one by one: use reduction='mean'"
        )
    raise failed[0]


def _check_all_targets(
    loss_fn: LossFunction,
    outputs: Any,
    size: int,
    examples: ExampleSource,
    weights: ExampleWeights | None,
) -> None:
    """Raise DataError where some of all targets count otherwise than by their weights.

    outputs  of `size` examples, which stand beside the targets in turn: no forward is called
    """
    rounding = _rounding(outputs)
    for first, targets in examples.target_parts():
        for start, last in spans(count(targets), -(-count(targets) // TRIED)):
            part = rows(targets, slice(start, last))
            beside = picked(outputs, [i % size for i in range(last - start)], size)
            each = range(last - start)
            check_halves(
                lambda half, beside=beside, part=part, each=each: _value(
                    loss_fn, beside, part, list(each[half])
                ),
                lambda half, part=part: total_weight(weights, rows(part, half)),
                (first + start, first + last),
                rounding,
            )


def check_halves(
    loss: Callable[[slice], float],
    weight: Callable[[slice], float],
    span: tuple[int, int],
    rounding: float,
    relative: float = LAW_ERROR,
) -> None:
    """Raise DataError where the loss of examples is not the mean of their halves' by the weights.

    loss, weight  of a slice of the examples
    span          index of the first example and of the last, exclusive
    rounding      error of a loss, beside a relative one
    """
    size = span[1] - span[0]
    halves = [half for half in (slice(size // 2), slice(size // 2, size)) if weight(half)]
    if size < 2 or not halves:
        return
    shares = np.array([weight(half) for half in halves]) / weight(slice(size))
    parts, together = np.array([loss(half) for half in halves]), loss(slice(size))
    mean, limit = shares @ parts, relative * shares @ np.abs(parts) + rounding
    if not np.isclose(together, mean, rtol=0, atol=np.nan_to_num(limit), equal_nan=True):
        raise DataError(
            f"loss_fn must be the mean over examples by their weights, examples {span[0]} to "
            f"{span[1] - 1} have {together:.6g} together but {mean:.6g} as the mean of their two "
            "halves: say how much each example counts by weights=, a function of targets, and "
            "compute the loss from outputs that have a row for each example"
        )


def _value(loss_fn: LossFunction, outputs: Any, targets: Tree, some: list[int]) -> float:
    """The loss of some examples; raises DataError for what is no scalar tensor."""
    value = loss_fn(picked(outputs, some, count(targets)), rows(targets, some))
    if not isinstance(value, Tensor) or value.ndim:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
        raise DataError(
            f"loss_fn must return a scalar tensor, the mean over examples, got {got}: reduce "
            "by the mean, in torch"
        )
    return float(value.detach())


def _rounding(outputs: Any) -> float:
    """Errors of single losses by the rounding of outputs."""
    floats = [t for t in tensors_of(outputs) if t.is_floating_point() and t.numel()]
    sizes = [8 * torch.finfo(t.dtype).eps * float(t.abs().max()) for t in floats]
    return float(np.nan_to_num(max(sizes, default=0.0), posinf=0.0))


def _no_mean(count: int, mean: float, together: float, weights: ExampleWeights | None) -> DataError:
    if weights is None:
        return DataError(
            f"loss_fn must be the mean over examples, {count} examples have the mean {mean:.6g} "
            f"one by one but {together:.6g} together: use reduction='mean' and outputs and targets "
            "of the shapes that it takes, and for class weights, ignored targets or token means "
            "say how much each example counts by weights=, a function of targets"
        )
    return DataError(
        f"loss_fn must be the mean over examples by their weights, {count} examples have the "
        f"weighted mean {mean:.6g} one by one but {together:.6g} together: let weights= give the "
        "weight of each example in loss_fn's mean"
    )
