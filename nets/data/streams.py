"""Examples that are fetched from a data set anew whenever they are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nets.data.datasets import AT_ONCE, IndexedExamples, unlike
from nets.data.sources import ExampleSource, spans
from nets.data.trees import Examples, Tree, check_finite, kinds, mapped, rows, tensors_of
from reduction import DataError

PROBES = 16  # examples that are fetched twice and one by one


@dataclass(frozen=True, eq=False)
class StreamedSource(ExampleSource):
    """The examples of a map-style data set, of which one batch is in memory at a time.

    indexed  the data set
    device   on which batches are given
    first    the first example, in a batch of one
    numbers  (n,) the targets, where each is one number, kept; None: others, fetched as inputs are
    """

    indexed: IndexedExamples
    device: torch.device
    first: Examples
    numbers: Tensor | None

    @classmethod
    def read(cls, indexed: IndexedExamples, device: torch.device) -> "StreamedSource":
        """The source of a data set, which is read once from first to last.

        Raises DataError where examples are not finite, differ in shape or type, are another at
        each fetch, or depend on the batch that they are in.
        """
        _check_fixed(indexed)
        first = indexed.fetch([0])
        source, numbers = cls(indexed, torch.device("cpu"), first, None), None
        if isinstance(first.targets, Tensor) and first.targets.ndim == 1:
            # in one piece: small ones between batches would keep the memory of these apart
            numbers = first.targets.new_empty(len(indexed))
        for start, last in _spans(len(indexed)):
            batch = source.between(start, last)
            for name, tree in zip(batch._fields, batch, strict=True):
                check_finite(name, tree, start)
            if numbers is not None:
                numbers[start:last] = batch.targets
        return cls(indexed, device, first, numbers)

    def __len__(self) -> int:
        return len(self.indexed)

    def take(self, chosen: Tensor) -> Examples:
        """The examples with these indices (m,), fetched."""
        return self._fetch(chosen.tolist())

    def between(self, first: int, last: int) -> Examples:
        """The examples first .. last - 1, fetched."""
        return self._fetch(range(first, last))

    def target_parts(self) -> Iterator[tuple[int, Tree]]:
        """All targets, those that are no numbers fetched with their inputs."""
        for first, last in _spans(len(self)):
            part = slice(first, last)
            kept = None if self.numbers is None else self.numbers[part].to(self.device)
            yield first, self.between(first, last).targets if kept is None else kept

    def _fetch(self, chosen: Sequence[int]) -> Examples:
        batch = self.indexed.fetch(chosen)
        if kinds(batch) != kinds(self.first):
            raise unlike(self.first, batch)
        return mapped(lambda tensor: tensor.to(self.device), batch)


def _spans(total: int) -> Iterator[tuple[int, int]]:
    return spans(total, -(-total // AT_ONCE))


def _check_fixed(indexed: IndexedExamples) -> None:
    """Raise DataError where an example is another at a second fetch, or in another batch."""
    probes = torch.linspace(0, len(indexed) - 1, PROBES).long().unique().tolist()
    together, again = indexed.fetch(probes), indexed.fetch(probes)
    if not _same(together, again):
        raise DataError(
            "data that are streamed must be the same at each fetch, examples "
            f"{probes[0]} to {probes[-1]} were others the second time: leave random augmentation "
            "out of the data set, or pass stream=False, which keeps what is drawn"
        )
    for i, probe in enumerate(probes):
        if not _same(rows(together, slice(i, i + 1)), indexed.fetch([probe])):
            raise DataError(
                "an example that is streamed must be the same in every batch, example "
                f"{probe} alone is another than among {len(probes)}: let collate_fn pad to one "
                "fixed length, or pass stream=False, which makes one batch of all"
            )


def _same(some: Examples, others: Examples) -> bool:
    if kinds(some) != kinds(others):
        return False
    pairs = zip(tensors_of(some), tensors_of(others), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
