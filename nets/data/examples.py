"""Examples from whatever holds them: tensors, data sets and loaders."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nets.data.datasets import IndexedExamples, is_iterable, iterated, split
from nets.data.sources import ExampleSource, TensorSource, scans
from nets.data.trees import (
    Examples,
    Tree,
    as_tree,
    check_finite,
    count,
    kinds,
    mapped,
    rows,
    shapes,
    tensors_of,
)
from reduction import DataError
from reduction.validation import short_repr

AT_ONCE = 512  # examples that are fetched at a time from a data set


def read_examples(
    data: "Tree | Dataset[Any] | DataLoader[Any]", targets: Tree | str | None, device: torch.device
) -> ExampleSource:
    """The examples of a data set, in its own order; arguments are those of `NetworkLoss`.

    A shuffling DataLoader is read in the order of its data set; what a data set draws at random (an
    augmentation) is kept as drawn. Raises DataError for data that are no pairs, are empty, have
    different lengths or are not finite, and for a loader that leaves examples out.
    """
    key = targets if isinstance(targets, str) else None
    if _are_inputs(data, targets):
        examples = _given(data, targets)
    elif targets is not None and key is None:
        raise DataError(
            "targets go with a tensor of inputs, a Dataset or DataLoader brings its own, got "
            f"targets with a {type(data).__name__}: leave them out, or convert the inputs to a "
            "tensor"
        )
    elif is_iterable(data):
        examples = _joined(iterated(data, key))
    elif isinstance(data, DataLoader) or hasattr(data, "__getitem__"):
        examples = _read(IndexedExamples.of(data, key))
    else:
        raise DataError(
            "data must be inputs with targets, a Dataset or a DataLoader, got "
            f"{short_repr(data)}: NetworkLoss(model, inputs, targets)"
        )
    lengths = count(examples.inputs), count(examples.targets)
    if lengths[0] != lengths[1] or not lengths[0]:
        raise DataError(
            f"every input needs one target, and there must be some, got {lengths[0]} inputs and "
            f"{lengths[1]} targets: give equally many"
        )
    for name, tree in zip(examples._fields, examples, strict=True):
        _check_all_finite(name, tree)
    return TensorSource.placed(examples, device)


def read_statistics(statistics: Tree, like: ExampleSource) -> ExampleSource:
    """Inputs (m, ...) for statistics, beside a data set's (n, ...).

    Raises DataError for no tensors, empty ones, those of another shape or type, or not finite.
    """
    inputs = like.between(0, 1).inputs
    is_tree = isinstance(statistics, Tensor | tuple | list | Mapping)
    found = as_tree("statistics", statistics) if is_tree and len(statistics) else ()
    if not count(found) or kinds(found) != kinds(inputs):
        got = f"{shapes(found)} of {_dtypes(found)}" if count(found) else short_repr(statistics)
        raise DataError(
            "statistics are computed over inputs like the data's, each of shape "
            f"{shapes(rows(inputs, 0))} and of {_dtypes(inputs)}, got {got}: pass the training "
            "inputs"
        )
    _check_all_finite("statistics", found)
    return TensorSource.placed(Examples(found, ()), like.device)


def _are_inputs(data: Any, targets: Any) -> bool:
    """Whether data are tensors of inputs: beside targets, and else unless they are a data set."""
    if isinstance(data, Tensor):
        return True
    beside = targets is not None and not isinstance(targets, str)
    if isinstance(data, Mapping):
        return beside or bool(data)
    if not isinstance(data, list | tuple):
        return False
    return beside or (bool(data) and isinstance(data[0], Tensor))


def _given(data: Any, targets: Any) -> Examples:
    """Trees of inputs and of targets."""
    if targets is None:
        raise DataError(
            "inputs need targets, got inputs alone: NetworkLoss(model, inputs, targets)"
        )
    if isinstance(targets, str):
        return Examples(*split("the inputs", data, targets))
    if not isinstance(targets, Tensor | tuple | list | Mapping):
        raise DataError(
            f"targets must be a tensor beside a tensor of inputs, got {type(targets).__name__}: "
            "convert them by torch.as_tensor"
        )
    return Examples(as_tree("inputs", data), as_tree("targets", targets))


def _read(indexed: IndexedExamples) -> Examples:
    """All examples of a data set, in the memory of them and of one batch."""
    total, whole = len(indexed), Examples((), ())
    for first in range(0, total, AT_ONCE):
        batch = indexed.fetch(range(first, min(first + AT_ONCE, total)))
        if not first:
            whole = mapped(lambda part: part.new_empty((total, *part.shape[1:])), batch)
        if kinds(batch) != kinds(whole):
            if indexed.own:  # it may pad to the longest example of a batch
                return indexed.fetch(range(total))
            raise _unlike(whole, batch)
        for tensor, part in zip(tensors_of(whole), tensors_of(batch), strict=True):
            tensor[first : first + AT_ONCE] = part
    return whole


def _joined(batches: Iterable[Examples]) -> Examples:
    """All examples of batches, at least one."""
    found = list(batches)
    if not found:
        raise DataError("data must have at least one example, the data set has none: give more")
    for batch in found:
        if kinds(batch) != kinds(found[0]):
            raise _unlike(found[0], batch)
    columns = zip(*map(tensors_of, found), strict=True)
    joined = iter([torch.cat(column) for column in columns])
    return mapped(lambda _: next(joined), found[0])


def _unlike(first: Examples, batch: Examples) -> DataError:
    ones = [
        f"{shapes(rows(part.inputs, 0))} with targets {shapes(rows(part.targets, 0))}"
        for part in (first, batch)
    ]
    return DataError(
        f"examples must have one shape and type, got {ones[0]} and {ones[1]}: pad them to one "
        "length and convert them to one type, in the data set or in a DataLoader's collate_fn"
    )


def _check_all_finite(name: str, tree: Tree) -> None:
    """Raise DataError where tensors are not finite, in the memory of a part."""
    for first, last in scans(tree):
        check_finite(name, rows(tree, slice(first, last)), first)


def _dtypes(tree: Tree) -> str:
    return ", ".join(dict.fromkeys(str(tensor.dtype) for tensor in tensors_of(tree)))
