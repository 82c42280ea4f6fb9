"""Losses on a CUDA device: as exact as on the CPU, and the same bits each time."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import MLP, LeNet, NetworkLoss, ResNet
from nets.execution.policy import BATCHINGS, Batching
from simplicial.evaluation import evaluate, gradient
from tests.nets.networks import TOKENS, Scaled, Sequences, at, dropout, numbers, points_near, seeded

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

IMAGES = numbers(300, 3, 16, 16, seed=61)
CLASSES = torch.arange(300) % 10
GRAY = numbers(300, 1, 28, 28, seed=62)
FLAT = numbers(300, 6, seed=63)
THREE = torch.arange(300) % 3

NETWORKS: dict[str, tuple[Callable[[], nn.Module], Tensor, Tensor]] = {
    "lenet": (LeNet, GRAY, CLASSES),
    "resnet": (lambda: ResNet(3, 8), IMAGES, CLASSES),
    "mlp": (lambda: MLP(6, (8,), 3), FLAT, THREE),
    "buffers": (Scaled, FLAT, THREE),
    "dropout": (dropout, FLAT, THREE),
}


def case(name: str, **options: Any) -> tuple[NetworkLoss, Tensor]:
    """A loss on the device, and points there; as near to each other as gradients are steady."""
    make, x, y = NETWORKS[name]
    model = seeded(make)
    loss = NetworkLoss(model, x, y, device="cuda", **options)
    start = loss.flatten(model.state_dict())
    return loss, start * (1 + 0.05 * numbers(5, loss.dim, seed=64).cuda())


def estimate(loss: NetworkLoss, seed: int = 1) -> Callable[[Tensor], Tensor]:
    return next(loss.estimates(128, np.random.default_rng(seed)))


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_those_of_double_precision(name: str, batching: Batching) -> None:
    loss, points = case(name, batching=batching)
    make, x, y = NETWORKS[name]
    exact = NetworkLoss(seeded(make).double(), x.double(), y)
    expected = exact.evaluate(points.double().cpu())
    for _ in range(3):  # eagerly, captured, replayed
        found = loss.evaluate(points)
        assert np.abs(found.loss - expected.loss).max() < 1e-5
        assert found.accuracy is not None
        assert expected.accuracy is not None
        assert np.abs(found.accuracy - expected.accuracy).max() < 0.01
        _, slopes = loss.values_and_gradients(points)
        _, truth = exact.values_and_gradients(points.double().cpu())
        assert (slopes.cpu() - truth).norm() < 1e-3 * truth.norm()  # ReLUs near 0 turn over


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_each_time(name: str, batching: Batching) -> None:
    loss, points = case(name, batching=batching)
    other, _ = case(name, batching=batching)
    first, last = estimate(loss), estimate(other, 2)
    assert not torch.equal(first(points), last(points))
    slopes = [gradient(estimate(loss), points) for _ in range(4)]
    for _ in range(3):
        gradient(last, points)
    slopes.append(gradient(estimate(other), points))
    assert all(torch.equal(slopes[0], again) for again in slopes)
    values = [loss.evaluate(points).loss for _ in range(4)]
    assert all(np.array_equal(values[0], again) for again in values)
    assert np.array_equal(values[0], pickle.loads(pickle.dumps(loss)).evaluate(points).loss)


def test_graphs_are_replayed_on_other_points_and_examples_too() -> None:
    loss, points = case("lenet")
    make, *_ = NETWORKS["lenet"]
    for seed in range(5):
        asked = estimate(loss, seed)
        batch = torch.as_tensor(np.random.default_rng(seed).permutation(300)[:128])
        with torch.no_grad():
            found = asked(points + 0.01 * seed).tolist()
        for i, point in enumerate((points + 0.01 * seed).cpu()):
            network = at(seeded(make), point).double()
            truth = cross_entropy(network(GRAY[batch].double()), CLASSES[batch]).detach().item()
            assert abs(found[i] - truth) < 1e-4


class Counting(nn.Module):
    """It counts its calls, where torch does not see it."""

    calls = 0

    def __init__(self, what: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        super().__init__()
        self.layer, self.what = nn.Linear(6, 3), what

    def forward(self, x: Tensor) -> Tensor:
        Counting.calls += 1
        return self.what(self.layer(x))


def waiting(x: Tensor) -> Tensor:
    return x * 2 if float(x.detach().sum()) > 0 else x


def refusing(x: Tensor) -> Tensor:
    """Captures break off here, which `synchronizes` does not foresee."""
    if torch.cuda.is_current_stream_capturing():
        x.detach().sum().item()
    return x.tanh()


def drawing(x: Tensor) -> Tensor:
    np.random.rand()  # noqa: NPY002
    return x


def noisy(x: Tensor) -> Tensor:
    return x + torch.rand(()).item()


@pytest.mark.parametrize(
    ("what", "captured"),
    [(torch.tanh, True), (waiting, False), (refusing, False), (drawing, False)],
)
def test_work_that_cannot_be_captured_is_done_each_time(
    what: Callable[[Tensor], Tensor], captured: bool
) -> None:
    loss = NetworkLoss(Counting(what), FLAT, THREE, device="cuda", batching="loop")
    points = loss.flatten(loss.model().state_dict()) + torch.zeros(4, loss.dim, device="cuda")
    first, *_ = (loss.evaluate(points).loss for _ in range(3))
    Counting.calls = 0
    assert np.array_equal(first, loss.evaluate(points).loss)
    assert Counting.calls == (0 if captured else 4)
    # a capture that was broken off leaves torch's generator as it was
    other, at_other = case("dropout")
    assert torch.equal(gradient(estimate(other), at_other), gradient(estimate(other), at_other))


def test_estimates_of_a_network_that_draws_are_drawn_each_time() -> None:
    """On the CPU, by a number that steers what is computed."""

    class Noisy(Counting):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            return noisy(y) if self.training else y

    loss = NetworkLoss(Noisy(), FLAT, THREE, device="cuda", batching="loop")
    points = points_near(loss.model(), 2).cuda()
    values = {tuple(estimate(loss, seed)(points).tolist()) for seed in range(6)}
    assert len(values) == 6


def test_recurrent_layers() -> None:
    loss = NetworkLoss(Sequences("lstm"), TOKENS, torch.arange(60) % 3, device="cuda")
    points = points_near(loss.model(), 3).cuda()
    on_cpu = NetworkLoss(loss.model().cpu(), TOKENS, torch.arange(60) % 3)
    for _ in range(3):
        assert np.abs(loss.evaluate(points).loss - on_cpu.evaluate(points.cpu()).loss).max() < 1e-5


def test_bfloat16_rounds_training_alone() -> None:
    narrow, points = case("resnet", precision="bfloat16")
    full, _ = case("resnet", batching="loop")
    assert np.array_equal(narrow.evaluate(points).loss, full.evaluate(points).loss)
    rounded, exact = (gradient(estimate(loss), points) for loss in (narrow, full))
    assert 1e-4 < (rounded - exact).norm() / exact.norm() < 1


def test_what_torch_was_told_is_left_as_it_was() -> None:
    cudnn: Any = torch.backends.cudnn
    places: list[Any] = [cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul]
    before = [place.fp32_precision for place in places], cudnn.deterministic
    try:
        for place in places:
            place.fp32_precision = "tf32"
        cudnn.deterministic = False
        loss, points = case("lenet")
        values = evaluate(loss, points).loss
        gradient(loss, points)
        assert [place.fp32_precision for place in places] == ["tf32"] * 3
        assert not cudnn.deterministic
    finally:
        for place, precision in zip(places, before[0], strict=True):
            place.fp32_precision = precision
        cudnn.deterministic = before[1]
    assert np.array_equal(values, evaluate(case("lenet")[0], points).loss)
