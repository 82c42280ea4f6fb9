"""Sources of examples: a fixed data set, read in parts, or by index.

All that is computed of a data set goes through its source: exact values and running statistics by
`parts`, in its order; mini-batches and trials by `take`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree

from nets.data.mapped_files import MappedTensor
from nets.data.trees import Examples, Tree, count, mapped, rows, tensors_of
from reduction import OptionError
from reduction.validation import short_repr

SCANNED = 2**23  # bytes, about, of a part that is looked through
ON_DEVICE = 0.5  # share of a CUDA device's free memory that data may take as a whole


class ExampleSource(ABC):
    """A fixed sequence of n examples, which may be larger than memory.

    device  on which examples are given
    """

    device: torch.device

    @abstractmethod
    def __len__(self) -> int:
        """The number n of examples."""

    @abstractmethod
    def take(self, chosen: Tensor) -> Examples:
        """The examples with these indices (m,), on the device."""

    @abstractmethod
    def between(self, first: int, last: int) -> Examples:
        """The examples first .. last - 1, on the device."""

    @abstractmethod
    def target_parts(self) -> Iterator[tuple[int, Tree]]:
        """All targets in parts, in their order, each with the index of its first example."""

    def parts(self, at_once: int) -> Iterator[Examples]:
        """All examples in order, in parts of nearly equal size, at most `at_once` each.

        Nearly equal since batch norm cannot take a last part of one.
        """
        for first, last in spans(len(self), -(-len(self) // at_once)):
            yield self.between(first, last)

    def mini_batches(
        self, size: int, rng: np.random.Generator, *, mismatched: bool = False
    ) -> Iterator[Examples]:
        """All examples in random order, in mini-batches of `size`, the last one of what is left.

        mismatched  each example has the target of the one before it, in that order
        Raises OptionError for what is no random generator.
        """
        if not isinstance(rng, np.random.Generator):
            raise OptionError(
                f"rng must be a numpy.random.Generator, got {short_repr(rng)}: pass "
                "numpy.random.default_rng(0), say"
            )
        order = torch.as_tensor(rng.permutation(len(self)), device=self.device)
        before = order.roll(1)
        for chosen, others in zip(order.split(size), before.split(size), strict=True):
            examples = self.take(chosen)
            if mismatched:
                examples = examples._replace(targets=self.take(others).targets)
            yield examples


@dataclass(frozen=True, eq=False)
class TensorSource(ExampleSource):
    """Examples in tensors, which are never copied as a whole.

    examples  trees (n, ...), in memory, in a memory-mapped file or on the device
    device    on which parts are given

    Pickled, a tensor in a memory-mapped file is the place of it: see `nets.data.mapped_files`.
    """

    examples: Examples
    device: torch.device

    def __reduce__(self) -> Any:
        places = mapped(lambda tensor: MappedTensor.of(tensor) or tensor, self.examples)
        return _restored, (places, self.device)

    @classmethod
    def placed(cls, examples: Examples, device: torch.device) -> "TensorSource":
        """Examples that are moved to a device as a whole, unless its memory is too small."""
        tensors = tensors_of(examples)
        size = sum(tensor.nbytes for tensor in tensors if tensor.device != device)
        if device.type != "cuda" or size <= ON_DEVICE * torch.cuda.mem_get_info(device)[0]:
            examples = mapped(lambda tensor: tensor.to(device), examples)
        return cls(examples, device)

    def __len__(self) -> int:
        return count(self.examples.inputs)

    def take(self, chosen: Tensor) -> Examples:
        """The examples with these indices (m,), copied."""

        def taken(tensor: Tensor) -> Tensor:
            return tensor[chosen.to(tensor.device)].to(self.device)

        return mapped(taken, self.examples)

    def between(self, first: int, last: int) -> Examples:
        """The examples first .. last - 1: views of those that are on the device."""
        part = rows(self.examples, slice(first, last))
        return mapped(lambda tensor: tensor.to(self.device), part)

    def target_parts(self) -> Iterator[tuple[int, Tree]]:
        """Views of all targets, in parts."""
        targets = self.examples.targets
        for first, last in scans(targets):
            yield first, rows(targets, slice(first, last))


def _restored(places: Examples, device: torch.device) -> TensorSource:
    """A source whose tensors are mapped into memory where they are a place in a file."""
    examples = _pytree.tree_map_only(MappedTensor, lambda place: place.opened(), places)
    return TensorSource(examples, device)


def spans(total: int, parts: int) -> Iterator[tuple[int, int]]:
    """First index and last, exclusive, of parts of 0 .. total - 1 whose sizes differ by 1."""
    size, larger = divmod(total, parts)
    first = 0
    for part in range(parts):
        last = first + size + (part < larger)
        yield first, last
        first = last


def scans(tree: Tree) -> Iterator[tuple[int, int]]:
    """Spans of a tree's examples of about SCANNED bytes each."""
    size = sum(tensor.nbytes for tensor in tensors_of(tree))
    return spans(count(tree), max(1, min(count(tree), -(-size // SCANNED))))
