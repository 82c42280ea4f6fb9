"""Accuracy: the share of targets that outputs predict, where a loss function says how.

Shapes do not say it: outputs (n, T, V) with T = V have two axes that could be the classes', and
outputs (n, 2) beside counts (n,) may be means and variances. So the loss function is tried. At
equal outputs and random targets, a loss of classes falls fastest, of all entries on the axis of
classes, in that of the target: this holds for cross entropy, with class weights or smoothed labels
too, the negative log likelihood, margins and squared errors of one-hot targets, and by chance for
no other axis. A target in which the loss does not depend on the outputs is ignored. Where nothing
is found there is no accuracy.
"""

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from nets.data.sources import ExampleSource
from nets.data.trees import Tree
from nets.execution.loss_mean import LossFunction, not_among, occurring, weights_by_torch
from reduction import DataError

ENTRIES = 512  # random targets, about, by which the axis of classes is found
EQUAL = 1e-4  # relative difference up to which slopes are equal
TRIED = 24  # smallest, largest and most frequent targets that are tried for being ignored


@dataclass(frozen=True, slots=True)
class ClassAccuracy:
    """The share of class indices that are the argmax of outputs.

    axis     of the outputs, that of the classes
    ignored  targets that do not count
    """

    axis: int
    ignored: tuple[int, ...] = ()

    def count(self, targets: Tensor) -> int:
        """The number of targets (n, ...) that count."""
        return int(not_among(self.ignored, targets).sum()) if self.ignored else targets.numel()

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The share (scalar) of targets that count; 0 where none does."""
        correct = outputs.argmax(dim=self.axis) == targets
        if not self.ignored:
            return correct.to(outputs.dtype).mean()
        counted = not_among(self.ignored, targets)
        return (correct & counted).to(outputs.dtype).sum() / counted.sum().clamp(min=1)


@dataclass(frozen=True, slots=True)
class BinaryAccuracy:
    """The share of targets 0 and 1 that lie on the same side as their outputs.

    threshold  of outputs: 0 for logits, 0.5 for probabilities
    """

    threshold: float

    def count(self, targets: Tensor) -> int:
        """The number of targets (n, ...) that count: all."""
        return targets.numel()

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The share (scalar) of targets (n,) or (n, 1), for as many outputs."""
        above = outputs.reshape(targets.shape) > self.threshold
        return (above == (targets > 0.5)).to(outputs.dtype).mean()


Accuracy = ClassAccuracy | BinaryAccuracy


def find_accuracy(
    loss_fn: LossFunction, outputs: Any, targets: Tree, examples: ExampleSource
) -> Accuracy | None:
    """The accuracy that belongs to a loss function; None where it does not say one.

    outputs   (m, ...) of some examples, and their targets (m, ...)
    examples  all of them
    Raises DataError for targets that are classes, but not those of the outputs.
    """
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)):
        return None
    if targets.is_floating_point() or targets.dtype == torch.bool:
        return _binary(loss_fn, outputs, targets, examples)
    shape, entries = outputs.shape, targets.shape[1:]
    axes = [a for a in range(1, outputs.ndim) if shape[1:a] + shape[a + 1 :] == entries]
    by_torch = weights_by_torch(loss_fn)
    if by_torch is not None and 1 in axes:
        ignored = occurring(by_torch.ignored, examples)
        _check_classes(examples, shape[1], ignored)
        return ClassAccuracy(1, ignored)
    found = [a for a in axes if shape[a] > 1 and _is_class_axis(loss_fn, outputs, entries, a)]
    if len(found) == 1:
        ignored = _find_ignored(loss_fn, outputs, examples, found[0])
        if ignored is None:
            return None
        _check_classes(examples, shape[found[0]], ignored)
        return ClassAccuracy(found[0], ignored)
    return None if found else _binary(loss_fn, outputs, targets, examples)


def _is_class_axis(loss_fn: LossFunction, outputs: Tensor, entries: torch.Size, axis: int) -> bool:
    """Whether the loss of random targets falls fastest, on this axis of equal outputs, in theirs.

    outputs  (m, ...) of some examples, for their shape
    entries  shape of one example's targets
    """
    classes = outputs.shape[axis]
    rows = min(32, max(2, ENTRIES // max(1, entries.numel())))
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(classes, (rows, *entries), generator=generator).to(outputs.device)
    slopes = _slopes(loss_fn, outputs, targets, axis)
    if slopes is None:
        return False
    slopes = slopes.movedim(axis, -1)
    own = slopes.gather(-1, targets[..., None])[..., 0]
    others = slopes.scatter(-1, targets[..., None], torch.inf).amin(dim=-1)
    size = slopes.abs().amax(dim=-1)
    counted = size > EQUAL * size.max()
    falls = (own < 0) & (own < others - EQUAL * size)
    mixed = torch.isin(targets[counted], targets[~counted]).any()  # a target here and not there
    return bool(counted.any() and falls[counted].all() and not mixed)


def _slopes(loss_fn: LossFunction, outputs: Tensor, targets: Tensor, axis: int) -> Tensor | None:
    """The gradient of the loss at equal outputs, which could be logits or probabilities.

    outputs  (m, ...) of some examples, for their shape; targets (rows, ...)
    None where the loss function fails, or is not finite.
    """
    shape = len(targets), *outputs.shape[1:]
    equal = outputs.new_full(shape, 1 / outputs.shape[axis]).to(targets.device).requires_grad_()
    try:
        with torch.enable_grad():
            (slopes,) = torch.autograd.grad(_value(loss_fn, equal, targets), equal)
    except Exception:  # whatever a loss function says to outputs and targets that are none for it
        return None
    return slopes if slopes.isfinite().all() else None


def _value(loss_fn: LossFunction, outputs: Tensor, targets: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes, which are told when the loss is checked
        return loss_fn(outputs.clone(), targets.clone())  # it may write into them


def _find_ignored(
    loss_fn: LossFunction, outputs: Tensor, examples: ExampleSource, axis: int
) -> tuple[int, ...] | None:
    """Targets in which the loss does not depend on outputs; None where it fails.

    Padding is a smallest, a largest or a frequent target: only those are tried. On the CPU, where
    the loss function runs there: a target that is no class would break a CUDA device's context.
    """
    classes = outputs.shape[axis]
    targets, counts = examples.between(0, 1).targets, Counter[int]()
    for _, part in examples.target_parts():
        found = (tensor.tolist() for tensor in part.unique(return_counts=True))
        counts.update(dict(zip(*found, strict=True)))
    ordered = sorted(counts)
    frequent = [value for value, _ in counts.most_common(TRIED)]
    values = torch.tensor(sorted({*ordered[:TRIED], *ordered[-TRIED:], *frequent}))
    values = values.to(targets.dtype)
    is_class = (values >= 0) & (values < classes)

    def sizes(some: Tensor, device: torch.device) -> Tensor | None:
        """Slopes in these targets, over the largest, laid out as targets of few examples."""
        entries = torch.cat([some, torch.arange(2).to(some)])  # not all of them can be ignored
        rows = -(-len(entries) // targets[0].numel())
        spare = rows * targets[0].numel() - len(entries)
        laid = torch.cat([entries, entries[-1:].expand(spare)]).reshape(rows, *targets.shape[1:])
        slopes = _slopes(loss_fn, outputs, laid.to(device), axis)
        if slopes is None:
            return None
        return (slopes.abs().amax(dim=axis).flatten()[: len(some)] / slopes.abs().max()).cpu()

    for device in dict.fromkeys((torch.device("cpu"), targets.device)):
        inside = sizes(values[is_class], device)
        if inside is None:
            continue
        ignored = values[is_class][inside <= EQUAL].tolist()
        for value in values[~is_class]:
            alone = sizes(value[None], device)
            if alone is not None and alone <= EQUAL:
                ignored.append(int(value))
        return tuple(sorted(ignored))
    return None


def _check_classes(examples: ExampleSource, classes: int, ignored: tuple[int, ...]) -> None:
    """Raise DataError for targets that are neither classes nor ignored."""
    for first, targets in examples.target_parts():
        outside = ((targets < 0) | (targets >= classes)) & not_among(ignored, targets)
        if outside.any():
            bad = tuple(outside.nonzero()[0].tolist())
            raise DataError(
                f"targets must be classes 0 to {classes - 1}, as the model has outputs, got "
                f"{int(targets[bad])} at example {first + bad[0]}: mend the targets or the model"
            )


def _binary(
    loss_fn: LossFunction, outputs: Tensor, targets: Tensor, examples: ExampleSource
) -> BinaryAccuracy | None:
    """The accuracy of one output to an example, if the loss function is torch's binary cross
    entropy, of logits or of probabilities.

    outputs   (m, ...) of some examples, and their targets (m, ...)
    examples  all of them
    """
    singles = torch.Size(()), torch.Size((1,))
    if outputs.shape[1:] not in singles or targets.shape[1:] not in singles:
        return None
    if not all(((y == 0) | (y == 1)).all() for _, y in examples.target_parts()):
        return None
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(32, generator=generator).to(outputs)
    halves = torch.arange(32, device=outputs.device) % 2
    logits = 4 * shares - 2
    known = (
        (0.0, logits, binary_cross_entropy_with_logits(logits, halves.to(logits))),
        (0.5, shares, binary_cross_entropy(shares, halves.to(shares))),
    )
    for threshold, values, expected in known:
        try:
            tried = values.reshape(32, *outputs.shape[1:])
            found = _value(loss_fn, tried, halves.to(targets).reshape(32, *targets.shape[1:]))
            same = torch.allclose(found, expected, rtol=EQUAL)
        except Exception:  # whatever a loss function says to outputs that are none for it
            continue
        if same:
            return BinaryAccuracy(threshold)
    return None
