"""Data as tensors, data sets and loaders: read whole, in their own order, or refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from nets import MLP, NetworkLoss
from reduction import CapacityError, DataError
from tests.nets.networks import TOKENS, N, X, Y, numbers, points_near, seeded


class Pairs(Dataset[Any]):
    def __init__(self, x: Tensor, y: Tensor, *more: Any) -> None:
        self.x, self.y, self.more = x, y, more

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> Any:
        return self.x[i], int(self.y[i]), *self.more


POINTS_MODEL = seeded(lambda: MLP(6, (8,), 3))


@pytest.mark.parametrize(
    "data",
    [
        Pairs(X, Y),
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=77),
        DataLoader(TensorDataset(X, Y), batch_size=77, shuffle=True),
        DataLoader(TensorDataset(X, Y), batch_size=110, drop_last=True),
        list(zip(X, Y.tolist(), strict=True)),
    ],
)
def test_data_sets_and_loaders_are_read_in_their_own_order(data: Any):
    points = points_near(POINTS_MODEL)
    by_tensors = NetworkLoss(POINTS_MODEL, X, Y)
    loss = NetworkLoss(POINTS_MODEL, data)
    assert torch.equal(loss(points), by_tensors(points))
    (a,), (b,) = (list(f.estimates(N, np.random.default_rng(0))) for f in (loss, by_tensors))
    assert torch.equal(a(points), b(points))


SOME = WeightedRandomSampler([1.0] * N, 50)
TWICE = RandomSampler(range(N), replacement=True)
CUT = BatchSampler(SequentialSampler(range(N)), 90, drop_last=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sampler": SOME}, "chooses them by a WeightedRandomSampler: pass the Dataset itself"),
        ({"sampler": TWICE}, "chooses them by a RandomSampler: pass the Dataset itself"),
        ({"batch_sampler": CUT}, "drop_last=True and leaves some out"),
    ],
)
def test_loaders_that_choose_examples_are_refused(options: dict[str, Any], sentence: str):
    with pytest.raises(DataError, match=sentence):
        NetworkLoss(POINTS_MODEL, DataLoader(TensorDataset(X, Y), **options))


def nan_at(i: int, values: Tensor) -> Tensor:
    changed = values.clone()
    changed[i] = float("nan")
    return changed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((X,), "inputs need targets, got inputs alone"),
        ((TensorDataset(X, Y), Y), "got targets with a TensorDataset"),
        ((DataLoader(TensorDataset(X, Y)), Y), "got targets with a DataLoader"),
        ((X.numpy(), Y), "got targets with a ndarray: .* convert the inputs to a tensor"),
        ((DataLoader(TensorDataset(X, Y), batch_size=77, drop_last=True),), "drop_last=True"),
        ((X, Y[:-1]), "got 1100 inputs and 1099 targets"),
        ((X[:0], Y[:0]), "got 0 inputs and 0 targets"),
        ((Pairs(X[:0], Y[:0]),), "the data set has none"),
        ((nan_at(7, X), Y), "inputs must be finite, example 7 is not"),
        ((nan_at(7, X[:, 0]), Y), "inputs must be finite, example 7 is not"),
        ((X, nan_at(9, Y.float())), "targets must be finite, example 9 is not"),
        ((Pairs(X, Y, 1),), r"\(input, target\) pairs, a batch is a list of 3"),
        ((TensorDataset(X),), r"\(input, target\) pairs, a batch is a list of 1"),
        ((X[:, :5], Y), r"must fit together, MLP on inputs \(1[0-9], 5\)"),
        ((X, Y + 1), "classes 0 to 2, .* got 3 at example"),
        ((X, Y.numpy()), "targets must be a tensor beside a tensor of inputs, got ndarray"),
        ((X, torch.where(torch.arange(N) == 601, 3, Y)), "classes 0 to 2, .* got 3 at example 601"),
        ((X, Y.float()), r"must fit together, .* of torch\.float32 fails"),
        ((X.double(), Y), "must fit together"),
        ((TOKENS, Y[:60]), "must fit together"),
    ],
)
def test_data_that_are_none_are_refused(arguments: tuple[Any, ...], sentence: str):
    with pytest.raises(DataError, match=sentence) as caught:
        NetworkLoss(POINTS_MODEL, *arguments)
    assert "\n" not in str(caught.value)


SEQUENCES = [numbers(3 + i % 5, 2, seed=i) for i in range(600)]


class Ragged(nn.Module):
    """A network of sequences of all lengths, in which padding is nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 3)

    def forward(self, padded: Tensor) -> Tensor:
        return self.head(padded.sum(dim=1))


def padded(examples: list[Any]) -> Any:
    """Sequences as long as the longest of the batch."""
    sequences, targets = zip(*examples, strict=True)
    return pad_sequence(list(sequences), batch_first=True), torch.stack(targets)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_collate_fn_that_pads_makes_one_batch_of_all(order: slice) -> None:
    by_length = sorted(SEQUENCES, key=len)[order]  # batches of 512 have other lengths
    pairs = list(zip(by_length, Y[:600], strict=True))
    model = seeded(Ragged)
    points = points_near(model)
    loss = NetworkLoss(model, DataLoader(pairs, batch_size=3, collate_fn=padded))  # pyright: ignore
    whole = pad_sequence(by_length, batch_first=True)
    assert torch.equal(loss(points), NetworkLoss(model, whole, Y[:600])(points))
    with pytest.raises(DataError, match=r"the same in every batch, .* pad to one fixed length"):
        NetworkLoss(model, DataLoader(pairs, collate_fn=padded), stream=True)  # pyright: ignore


class Pictures(Dataset[Any]):
    """Images as torchvision's data sets give them without a transform."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> Any:
        return Image.fromarray(np.full((8, 8), i, dtype=np.uint8)), i % 3


class Stream(IterableDataset[Any]):
    def __init__(self, examples: Sequence[Any]) -> None:
        self.examples = examples

    def __iter__(self) -> Any:
        return iter(self.examples)


class Spoilt(Pairs):
    def __getitem__(self, i: int) -> Any:
        if i == 600:
            raise OSError("truncated\nfile")
        return super().__getitem__(i)


class SpoiltStream(Stream):
    def __iter__(self) -> Any:
        raise OSError("truncated\nfile")


class Endless(Dataset[Any]):
    def __getitem__(self, i: int) -> Any:
        return X[0], Y[0]


class EndlessStream(Stream):
    def __iter__(self) -> Any:
        while True:
            yield X[0], Y[0]


def test_an_iterable_data_set_that_does_not_end_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once it takes all memory that is left, here 1 MB."""
    monkeypatch.setattr("nets.data.examples.available", lambda: 1e6)
    with pytest.raises(CapacityError, match=r"read to its end, its first \d+ examples take 0.00"):
        NetworkLoss(nn.Sequential(nn.Flatten(), nn.Linear(X[0].numel(), 3)), EndlessStream([]))


RAGGED = list(zip(SEQUENCES, Y[:600].tolist(), strict=True))
GROWING = [(torch.zeros(6 + (i >= 512)), 0) for i in range(600)]
MIXED = [(torch.zeros(6, dtype=torch.float64 if i >= 512 else None), 0) for i in range(600)]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (Pictures(), "collating them fails: .*PIL.*transform=torchvision.transforms.ToTensor"),
        (RAGGED, "collating them fails: .* pass a DataLoader whose collate_fn pads them"),
        (Stream(RAGGED), "collating them fails: .* pass a DataLoader whose collate_fn pads them"),
        (GROWING, r"one shape and type, got \(6,\) of .* and \(7,\) of"),
        (Stream(GROWING), r"one shape and type, got \(6,\) .* and \(7,\)"),
        (MIXED, r"got \(6,\) of torch\.float32 .* and \(6,\) of torch\.float64"),
        (DataLoader(RAGGED, collate_fn=list), "pairs, a batch is a list of 512"),  # pyright: ignore
        (DataLoader(GROWING, batch_size=None), "a batch is a list of 512"),  # pyright: ignore
        ([("a", "b")], r"data must be tensors, .* inputs\[0\] is a str"),
        (Endless(), "must tell its number of examples, Endless has no __len__"),
        (Stream([]), "the data set has none"),
        (DataLoader(Stream(RAGGED), drop_last=True), "drop_last=True and leaves some out"),
        ({}, "the data set has none"),
        (Spoilt(X, Y), r"1100 examples, Spoilt fails at 600 \(OSError: truncated\): mend it"),
        (SpoiltStream([]), r"to its end, SpoiltStream fails \(OSError: truncated\): mend it"),
    ],
)
def test_data_sets_that_make_no_batch_are_refused(data: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        NetworkLoss(POINTS_MODEL, data)
    assert "\n" not in str(caught.value)


def test_data_sets_larger_than_memory_are_refused_before_they_are_read() -> None:
    class Huge(Pairs):
        def __len__(self) -> int:
            return 2**40

        def __getitem__(self, i: int) -> Any:
            assert i < 512
            return super().__getitem__(i)

    with pytest.raises(CapacityError, match=r"examples need 3\.52e\+04 GB .* pass stream=True"):
        NetworkLoss(POINTS_MODEL, Huge(X, Y))
