"""Examples that stay in their data set, or in a file, and are read in batches."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from nets import MLP, NetworkLoss
from reduction import DataError, OptionError
from tests.nets.networks import N, X, Y, batch_norm, numbers, points_near, seeded


class Counted(Dataset[Any]):
    """Pairs that are made when they are asked for; counts how often, and the most at once."""

    def __init__(self, x: Tensor = X, y: Tensor = Y) -> None:
        self.x, self.y, self.fetched, self.most = x, y, 0, 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        return self.x[i].clone(), self.y[i].clone()

    def __getitems__(self, chosen: list[int]) -> list[Any]:
        self.fetched += len(chosen)
        self.most = max(self.most, len(chosen))
        return [self[i] for i in chosen]


def assert_same(one: NetworkLoss, other: NetworkLoss, points: Tensor) -> None:
    """Values, gradients, accuracies and mini-batches of both have the same bits."""
    assert torch.equal(one(points), other(points))
    for some, others in zip(
        one.values_and_gradients(points), other.values_and_gradients(points), strict=True
    ):
        assert torch.equal(some, others)
    scores = one.evaluate(points).accuracy, other.evaluate(points).accuracy
    assert np.array_equal(*scores)  # pyright: ignore
    passes = [loss.estimates(300, np.random.default_rng(1)) for loss in (one, other)]
    for a, b in zip(*passes, strict=True):
        assert torch.equal(a(points), b(points))
    assert one.point_bytes() == other.point_bytes()


MLP_6 = seeded(lambda: MLP(6, (8,), 3))
NORMED = seeded(batch_norm)


@pytest.mark.parametrize("model", [MLP_6, NORMED], ids=["MLP", "batch norm"])
@pytest.mark.parametrize(
    "wrap", [lambda d: d, lambda d: DataLoader(d, 9, shuffle=True), lambda d: Subset(d, range(N))]
)
def test_streamed_examples_give_the_same_bits(model: nn.Module, wrap: Any) -> None:
    data = Counted()
    streamed = NetworkLoss(model, wrap(data), stream=True)
    assert_same(streamed, NetworkLoss(model, X, Y), points_near(model))
    assert data.fetched > 5 * N
    if model is MLP_6:  # batch norm's statistics of few examples are computed in one batch
        assert data.most <= 512


def test_streamed_targets_that_are_no_numbers_are_fetched_too() -> None:
    model, y = seeded(lambda: MLP(6, (8,), 3)), numbers(N, 3, seed=7)
    losses = [
        NetworkLoss(model, *data, loss_fn=mse_loss, stream=stream)
        for data, stream in (((Counted(X, y),), True), ((X, y), False))
    ]
    points = points_near(model)
    assert torch.equal(losses[0](points), losses[1](points))


def test_statistics_may_be_of_a_data_set() -> None:
    few = X[:90], Y[:90]
    by_tensors = NetworkLoss(NORMED, *few, statistics=X)
    points = points_near(NORMED)
    for stream in True, False:
        loss = NetworkLoss(NORMED, Counted(*few), statistics=Counted(), stream=stream)
        assert torch.equal(loss(points), by_tensors(points))


class Drawn(Counted):
    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        return self.x[i] + torch.randn(6) * (torch.rand(()) < 0.5), self.y[i]


class Without(Counted):
    """The last example is not finite."""

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        return self.x[i] / (i != N - 1), self.y[i]


class Longer(Counted):
    """Example 700 has one number more."""

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        return self.x[i][: 5 + (i == 700)], self.y[i]


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield X[0], Y[0]


def normalised(examples: list[Any]) -> Any:
    x, y = torch.utils.data.default_collate(examples)
    return x - x.mean(dim=0), y


def shortened(examples: list[Any]) -> Any:
    x, y = torch.utils.data.default_collate(examples)
    return (x[1:], y[1:]) if len(x) > 16 else (x, y)


@pytest.mark.parametrize(
    ("error", "data", "sentence"),
    [
        (DataError, (Drawn(),), "the same at each fetch, examples 0 to 1099 were others"),
        (DataError, (Without(),), "inputs must be finite, example 1099 is not"),
        (DataError, (Longer(),), r"examples must make one batch.* equal size"),
        (DataError, (DataLoader(Counted(), collate_fn=normalised),), "the same in every batch"),
        (DataError, (DataLoader(Counted(), collate_fn=shortened),), "367 were collated to 366"),
        (DataError, (Counted(X, torch.where(torch.arange(N) == 601, 3, Y)),), "at example 601"),
        (OptionError, (X, Y), "got stream=True with a Tensor: leave it out"),
        (OptionError, (Endless(),), "got stream=True with a Endless"),
    ],
)
def test_data_that_cannot_be_streamed_are_refused(
    error: type[Exception], data: tuple[Any, ...], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        NetworkLoss(MLP_6, *data, stream=True)
    with pytest.raises(OptionError, match="stream must be True or False"):
        NetworkLoss(MLP_6, *data, stream=1)  # pyright: ignore


def mapped_file(path: Path, values: Tensor) -> Tensor:
    np.save(path, values.numpy())
    return torch.from_numpy(np.load(path, mmap_mode="c"))


def test_tensors_in_a_memory_mapped_file_go_to_workers_as_a_place_in_it(tmp_path: Path) -> None:
    inputs = mapped_file(tmp_path / "x.npy", X)
    loss = NetworkLoss(NORMED, inputs, Y)
    plain = NetworkLoss(NORMED, X, Y)
    assert_same(loss, plain, points_near(NORMED))
    sent = pickle.dumps(loss)
    assert len(pickle.dumps(plain)) - len(sent) > 0.9 * X.nbytes
    again = pickle.loads(sent)
    assert_same(again, plain, points_near(NORMED))
    (tmp_path / "x.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.npy has changed since the loss was made"):
        pickle.loads(sent)
    (tmp_path / "x.npy").unlink()
    with pytest.raises(DataError, match=r"x\.npy cannot be read here"):
        pickle.loads(sent)


def test_a_mapped_tensor_that_was_written_to_goes_by_its_values(tmp_path: Path) -> None:
    inputs = mapped_file(tmp_path / "x.npy", X)
    inputs[5] = 1.0  # in this process alone
    loss = pickle.loads(pickle.dumps(NetworkLoss(MLP_6, inputs, Y)))
    points = points_near(MLP_6)
    assert torch.equal(loss(points), NetworkLoss(MLP_6, inputs, Y)(points))


def test_a_loss_whose_examples_are_streamed_goes_to_workers() -> None:
    loss = pickle.loads(pickle.dumps(NetworkLoss(NORMED, TensorDataset(X, Y), stream=True)))
    assert_same(loss, NetworkLoss(NORMED, X, Y), points_near(NORMED))
