"""Data as tensors, data sets and loaders: read whole, in their own order, or refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from nets import MLP, NetworkLoss
from reduction import DataError
from tests.nets.networks import TOKENS, N, X, Y, points_near, seeded


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
