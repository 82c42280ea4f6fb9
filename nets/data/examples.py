"""Examples as two tensors, inputs and targets, from whatever holds them."""

from types import NoneType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from reduction import DataError
from reduction.validation import short_repr

AT_ONCE = 512  # examples that are fetched at a time from a data set


def read_examples(
    data: "Tensor | Dataset[Any] | DataLoader[Any]", targets: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Inputs (n, ...) and targets (n, ...) of a data set, in its own order.

    A shuffling DataLoader is read in the order of its data set; what a data set draws at random (an
    augmentation) is kept as drawn. Raises DataError for data that are no pairs, are empty, have
    different lengths or are not finite, and for a loader that leaves examples out.
    """
    if isinstance(data, Tensor):
        if targets is None:
            raise DataError(
                "inputs need targets, got inputs alone: NetworkLoss(model, inputs, targets)"
            )
        if not isinstance(targets, Tensor):
            raise DataError(
                f"targets must be a tensor beside a tensor of inputs, got "
                f"{type(targets).__name__}: convert them by torch.as_tensor"
            )
        inputs = data
    elif targets is not None:
        raise DataError(
            "targets go with a tensor of inputs, a Dataset or DataLoader brings its own, got "
            f"targets with a {type(data).__name__}: leave them out, or convert the inputs to a "
            "tensor"
        )
    else:
        if not (isinstance(data, DataLoader | IterableDataset) or hasattr(data, "__getitem__")):
            raise DataError(
                "data must be inputs with targets, a Dataset or a DataLoader, got "
                f"{short_repr(data)}: NetworkLoss(model, inputs, targets)"
            )
        inputs, targets = _read_pairs(_ordered(data))
    for name, values in (("inputs", inputs), ("targets", targets)):
        if not values.ndim:
            raise DataError(
                f"{name} must have one entry for each example, got a single number: stack them"
            )
    if len(inputs) != len(targets) or not len(inputs):
        raise DataError(
            f"every input needs one target, and there must be some, got {len(inputs)} inputs and "
            f"{len(targets)} targets: give equally many"
        )
    _check_finite("inputs", inputs)
    _check_finite("targets", targets)
    return inputs.detach(), targets.detach()


def read_statistics(statistics: Tensor, inputs: Tensor) -> Tensor:
    """Inputs (m, ...) for statistics, beside a data set's (n, ...).

    Raises DataError for no tensor, an empty one, one of another shape or type, or not finite.
    """
    is_tensor = isinstance(statistics, Tensor) and statistics.ndim > 0 and len(statistics) > 0
    if not is_tensor or statistics[0].shape != inputs[0].shape or statistics.dtype != inputs.dtype:
        got = (
            f"{tuple(statistics.shape)} of {statistics.dtype}"
            if is_tensor
            else short_repr(statistics)
        )
        raise DataError(
            "statistics are computed over inputs like the data's, each of shape "
            f"{tuple(inputs.shape[1:])} and of {inputs.dtype}, got {got}: pass the training inputs"
        )
    _check_finite("statistics", statistics)
    return statistics.detach()


def _check_finite(name: str, values: Tensor) -> None:
    finite = values.isfinite().reshape(len(values), -1).all(dim=1)
    if not finite.all():
        bad = int((~finite).nonzero()[0])
        raise DataError(f"{name} must be finite, example {bad} is not: leave it out")


def _ordered(data: "Dataset[Any] | DataLoader[Any]") -> "DataLoader[Any]":
    if not isinstance(data, DataLoader):
        return DataLoader(data, batch_size=AT_ONCE)
    if isinstance(data.dataset, IterableDataset):
        return data
    batches, sampler = data.batch_sampler, data.sampler
    if getattr(batches, "drop_last", False):
        raise DataError(
            "a loss is exact over all examples, the DataLoader has drop_last=True and leaves some "
            "out: make it with drop_last=False"
        )
    shuffled = type(sampler) is RandomSampler and not sampler.replacement
    whole = shuffled and sampler.num_samples == len(data.dataset)  # pyright: ignore
    if type(batches) not in (BatchSampler, NoneType) or not (
        whole or type(sampler) is SequentialSampler
    ):
        chosen = batches if type(batches) is not BatchSampler else sampler
        raise DataError(
            "a loss is exact over all examples of a data set, the DataLoader chooses them by a "
            f"{type(chosen).__name__}: pass the Dataset itself, or a torch.utils.data.Subset of it"
        )
    return DataLoader(data.dataset, batch_size=AT_ONCE, collate_fn=data.collate_fn)


def _read_pairs(loader: "DataLoader[Any]") -> tuple[Tensor, Tensor]:
    inputs, targets = [], []
    for batch in loader:
        if not (isinstance(batch, list | tuple) and len(batch) == 2):
            raise DataError(
                f"data must be (input, target) pairs, a batch is a {type(batch).__name__} of "
                f"{len(batch)}: wrap the data set so that it gives pairs"
            )
        if not all(isinstance(part, Tensor) for part in batch):
            raise DataError(
                f"data must be pairs of tensors or numbers, a batch is {short_repr(batch)}: "
                "convert what the data set gives"
            )
        inputs.append(batch[0])
        targets.append(batch[1])
    if not inputs:
        raise DataError("data must have at least one example, the data set has none: give more")
    return torch.cat(inputs), torch.cat(targets)
