"""Data sets and loaders of (input, target) pairs: which examples they have, and batches of them.

Examples are fetched by index and collated here, by the loader's own collate_fn if it has one, so
that a shuffling loader is read in the order of its data set, and none by a loader's workers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from nets.data.trees import Examples, as_tree, count, rows, shapes, types
from reduction import DataError
from reduction.validation import first_line

AT_ONCE = 512  # examples, at most, that are fetched at a time to read a data set
GRAPHS = (
    "write a module around the network with the graph in buffers, whose inputs are numbers of nodes"
)
DROPPED = (
    "a loss is exact over all examples, the DataLoader has drop_last=True and leaves some out: "
    "make it with drop_last=False"
)
EMPTY = "data must have at least one example, the data set has none: give more"


@dataclass(frozen=True, eq=False)
class IndexedExamples:
    """The examples of a map-style data set, by index.

    dataset  of n pairs, or of dicts
    collate  makes one batch of a list of examples
    key      of the targets in dicts; None: pairs
    own      whether collate is the user's
    """

    dataset: Any
    collate: Callable[[list[Any]], Any]
    key: str | None
    own: bool

    @classmethod
    def of(cls, data: Any, key: str | None) -> "IndexedExamples":
        """Examples of a data set, or of a loader that leaves none out and repeats none.

        Raises DataError for other loaders and for data sets without a length or without examples.
        """
        collate = default_collate
        if isinstance(data, DataLoader):
            _check_loader(data)
            data, collate = data.dataset, data.collate_fn
        if not hasattr(data, "__len__"):
            raise DataError(
                f"a data set must tell its number of examples, {type(data).__name__} has no "
                "__len__: define it, or give an IterableDataset"
            )
        if not len(data):
            raise DataError(EMPTY)
        return cls(data, collate, key, own=collate is not default_collate)

    def __len__(self) -> int:
        return len(self.dataset)

    def fetch(self, chosen: Sequence[int]) -> Examples:
        """One batch of the examples with these indices. Raises DataError; see `as_pair`."""
        several = getattr(self.dataset, "__getitems__", None)  # as torch's own fetchers do
        chosen = list(chosen)
        found = several(chosen) if several is not None else [self._example(i) for i in chosen]
        try:
            batch = self.collate(found)
        except Exception as error:  # whatever a collate_fn raises
            raise _uncollated(error) from error
        examples = as_pair(batch, self.key)
        lengths = count(examples.inputs), count(examples.targets)
        if lengths != (len(chosen), len(chosen)):
            raise DataError(
                f"a batch must have all of its examples, {len(chosen)} were collated to "
                f"{lengths[0]} inputs and {lengths[1]} targets: mend the collate_fn"
            )
        return examples

    def _example(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:  # whatever a user's data set raises
            raise DataError(
                f"a data set must give all of its {len(self)} examples, "
                f"{type(self.dataset).__name__} fails at {index} ({type(error).__name__}: "
                f"{first_line(error)}): mend it, or leave that example out by "
                "torch.utils.data.Subset"
            ) from error


def iterated(data: Any, key: str | None) -> Iterator[Examples]:
    """Batches of an IterableDataset, or of a loader of one. Raises DataError; see `as_pair`."""
    loader = data if isinstance(data, DataLoader) else DataLoader(data, batch_size=AT_ONCE)
    if loader.drop_last:
        raise DataError(DROPPED)
    batches = None
    while True:
        try:
            batches = iter(loader) if batches is None else batches
            batch = next(batches)
        except StopIteration:
            return
        except (TypeError, RuntimeError) as error:
            raise _uncollated(error) from error
        except Exception as error:  # whatever a user's data set raises
            raise DataError(
                f"a data set must be readable to its end, {type(data).__name__} fails "
                f"({type(error).__name__}: {first_line(error)}): mend it"
            ) from error
        yield as_pair(batch, key)


def is_iterable(data: Any) -> bool:
    """Whether data, or a loader's, are an IterableDataset, whose examples have no indices."""
    return isinstance(data.dataset if isinstance(data, DataLoader) else data, IterableDataset)


def as_pair(batch: Any, key: str | None) -> Examples:
    """A batch of inputs and targets, the targets by the key of a dict if there is one.

    Raises DataError for anything else.
    """
    if key is not None:
        return Examples(*split("a batch", batch, key))
    if isinstance(batch, Mapping):
        raise DataError(
            f"data must be (input, target) pairs, a batch is a dict of {list(batch)}: name the key "
            "of the targets, as in NetworkLoss(model, data, 'labels')"
        )
    if not (isinstance(batch, list | tuple) and len(batch) == 2):
        size = f" of {len(batch)}" if isinstance(batch, list | tuple | Tensor) else ""
        kinds = type(batch).__mro__
        graphs = any(kind.__module__.startswith("torch_geometric") for kind in kinds)
        remedy = "wrap the data set so that it gives pairs, several inputs as a tuple in one"
        raise DataError(
            f"data must be (input, target) pairs, a batch is a {type(batch).__name__}{size}: "
            f"{GRAPHS if graphs else remedy}"
        )
    return Examples(as_tree("inputs", batch[0]), as_tree("targets", batch[1]))


def unlike(first: Examples, other: Examples) -> DataError:
    """The error that two batches have examples of different shapes or types."""
    ones = [
        f"{shapes(rows(part.inputs, 0))} of {types(part.inputs)} with targets "
        f"{shapes(rows(part.targets, 0))} of {types(part.targets)}"
        for part in (first, other)
    ]
    return DataError(
        f"examples must have one shape and type, got {ones[0]} and {ones[1]}: pad them to one "
        "length and convert them to one type, in the data set or in a DataLoader's collate_fn"
    )


def split(name: str, given: Any, key: str) -> tuple[Any, Any]:
    """Trees of inputs and targets of a dict, by the key of the targets; `name` in errors."""
    if not isinstance(given, Mapping) or key not in given:
        got = f"a dict of {list(given)}" if isinstance(given, Mapping) else type(given).__name__
        raise DataError(
            f"targets={key!r} is the key of the targets in a dict, {name} is {got}: name one that "
            "is there"
        )
    inputs = {name: branch for name, branch in given.items() if name != key}
    return as_tree("inputs", inputs), as_tree("targets", given[key])


def _check_loader(loader: "DataLoader[Any]") -> None:
    """Raise DataError where a loader does not give each example of its data set once."""
    batches, sampler = loader.batch_sampler, loader.sampler
    if type(batches) is BatchSampler:
        sampler = batches.sampler
    size: Any = getattr(batches, "batch_size", 1)
    if getattr(batches, "drop_last", False) and len(loader.dataset) % size:  # pyright: ignore
        raise DataError(DROPPED)
    shuffled = type(sampler) is RandomSampler and not sampler.replacement
    every = shuffled and sampler.num_samples == len(loader.dataset)  # pyright: ignore
    if type(batches) not in (BatchSampler, NoneType) or not (
        every or type(sampler) is SequentialSampler
    ):
        chosen = batches if type(batches) is not BatchSampler else sampler
        raise DataError(
            "a loss is exact over all examples of a data set, the DataLoader chooses them by a "
            f"{type(chosen).__name__}: pass the Dataset itself, or a torch.utils.data.Subset of it"
        )


def _uncollated(error: Exception) -> DataError:
    """An error of collate_fn as a sentence."""
    line = first_line(error)
    remedy = "let the data set give tensors, or pass a DataLoader with a collate_fn"
    if "PIL" in line:
        remedy = "give the data set transform=torchvision.transforms.ToTensor()"
    elif "torch_geometric" in line:
        remedy = GRAPHS
    elif "equal size" in line:
        remedy = "pass a DataLoader whose collate_fn pads them, torch's pad_sequence for one"
    return DataError(
        f"examples must make one batch of tensors, collating them fails: {line[:200]}: {remedy}"
    )
