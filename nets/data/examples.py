"""Examples from whatever holds them: tensors, data sets and loaders."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nets.data.datasets import (
    AT_ONCE,
    EMPTY,
    IndexedExamples,
    is_iterable,
    iterated,
    split,
    unlike,
)
from nets.data.sources import ExampleSource, TensorSource, scans
from nets.data.streams import StreamedSource
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
    types,
)
from reduction import CapacityError, DataError, OptionError
from reduction.memory import available
from reduction.validation import short_repr
from simplicial.display import progress_bar


def read_examples(
    data: "Tree | Dataset[Any] | DataLoader[Any]",
    targets: Tree | str | None,
    device: torch.device,
    stream: bool,
) -> ExampleSource:
    """The examples of a data set, in its own order; arguments are those of `NetworkLoss`.

    A shuffling DataLoader is read in the order of its data set; what a data set draws at random (an
    augmentation) is kept as drawn. Raises DataError for data that are no pairs, are empty, have
    different lengths or are not finite, and for a loader that leaves examples out.
    """
    key = targets if isinstance(targets, str) else None
    if stream and (_are_inputs(data, targets) or is_iterable(data)):
        raise OptionError(
            "a map-style Dataset is streamed, whose examples have indices, got stream=True with a "
            f"{type(data).__name__}: leave it out; tensors are never copied, and may lie in a "
            "memory-mapped file"
        )
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
        indexed = IndexedExamples.of(data, key)
        if stream:
            return StreamedSource.read(indexed, device)
        examples = _read(indexed)
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


def read_statistics(
    statistics: "Tree | Dataset[Any] | DataLoader[Any]",
    like: ExampleSource,
    key: str | None,
    stream: bool,
) -> ExampleSource:
    """Inputs (m, ...) for statistics, beside a data set's (n, ...).

    key     of the targets in a data set of dicts
    stream  whether a data set is streamed
    Raises DataError for no tensors, empty ones, those of another shape or type, or not finite.
    """
    inputs, source = like.between(0, 1).inputs, None
    if isinstance(statistics, Dataset | DataLoader) or hasattr(statistics, "__getitems__"):
        source = read_examples(statistics, key, like.device, stream)
        found = source.between(0, 1).inputs
    elif isinstance(statistics, Tensor | tuple | list | Mapping) and len(statistics):
        found = as_tree("statistics", statistics)
    else:
        found = ()
    if not count(found) or kinds(found) != kinds(inputs):
        got = f"{shapes(found)} of {types(found)}" if count(found) else short_repr(statistics)
        raise DataError(
            "statistics are computed over inputs like the data's, each of shape "
            f"{shapes(rows(inputs, 0))} and of {types(inputs)}, got {got}: pass the training "
            "inputs"
        )
    if source is not None:
        return source
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
            _check_fits(batch, total)
            whole = mapped(lambda part: part.new_empty((total, *part.shape[1:])), batch)
        if kinds(batch) != kinds(whole):
            if indexed.own:  # it may pad to the longest example of a batch
                return indexed.fetch(range(total))
            raise unlike(whole, batch)
        for tensor, part in zip(tensors_of(whole), tensors_of(batch), strict=True):
            tensor[first : first + AT_ONCE] = part
    return whole


def _check_fits(batch: Examples, total: int) -> None:
    """Raise CapacityError where all examples, like those of a batch, do not fit into memory."""
    size = sum(tensor[0].nbytes for tensor in tensors_of(batch)) * total
    if size > available():
        raise CapacityError(
            f"{total} examples need {size / 1e9:.3g} GB of memory, but {available() / 1e9:.3g} GB "
            "are free: pass stream=True, which fetches them as they are used"
        )


def _joined(batches: Iterable[Examples]) -> Examples:
    """All examples of batches, at least one, in at most half of the memory that is free."""
    found, size = list[Examples](), 0
    with progress_bar("examples", None, enabled=True) as bar:
        for batch in batches:
            found.append(batch)
            size += sum(tensor.nbytes for tensor in tensors_of(batch))
            bar.update(count(batch.targets))
            if size > available():
                raise CapacityError(
                    f"an iterable data set is read to its end, its first {bar.n} examples take "
                    f"{size / 1e9:.3g} GB of memory, and {available() / 1e9:.3g} GB are free: let "
                    "it end, or pass a map-style data set with stream=True"
                )
    if not found:
        raise DataError(EMPTY)
    for batch in found:
        if kinds(batch) != kinds(found[0]):
            raise unlike(found[0], batch)
    columns = zip(*map(tensors_of, found), strict=True)
    joined = iter([torch.cat(column) for column in columns])
    return mapped(lambda _: next(joined), found[0])


def _check_all_finite(name: str, tree: Tree) -> None:
    """Raise DataError where tensors are not finite, in the memory of a part."""
    for first, last in scans(tree):
        check_finite(name, rows(tree, slice(first, last)), first)
