"""Checks of a model, data and loss_fn: their calls, their traces, and their refusals."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nets import MLP, LeNet, NetworkLoss, ResNet, train_minima
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError
from simplicial import Minima, Recipe
from tests.nets.networks import TOKENS, Sequences, X, Y, numbers, points_near, seeded

IMAGES = numbers(150, 1, 12, 12, seed=21)
CLASSES = torch.arange(150) % 10


class Own(nn.Module):
    """A module of a user's own, with a branch, a view and a tied weight."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve, self.norm = nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4)
        self.first, self.second = nn.Linear(400, 400), nn.Linear(400, 400)
        self.second.weight, self.head = self.first.weight, nn.Linear(400, 10)

    def forward(self, images: Tensor) -> Tensor:
        found = self.norm(self.convolve(images)).relu().view(-1, 400)
        return self.head(found + self.second(self.first(found).tanh()))


class ByStrides(nn.Module):
    """Its values depend on the strides of its images."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve, self.classify = nn.Conv2d(1, 4, 3), nn.Linear(400, 10)

    def forward(self, images: Tensor) -> Tensor:
        squares = images.as_strided((len(images), 1, 10, 10), (144, 144, 12, 1))
        return self.classify((self.convolve(images) * squares).flatten(1))


class Particular(nn.Linear):
    """It refuses parameters that are not near its own."""

    def forward(self, input: Tensor) -> Tensor:
        assert abs(float(self.weight.detach().mean()) - 1) < 0.5
        return super().forward(input)


def particular() -> nn.Module:
    layer = Particular(144, 10)
    with torch.no_grad():
        layer.weight.fill_(1.0).add_(0.1 * numbers(10, 144, seed=3))
    return nn.Sequential(nn.Flatten(), layer)


def convolutions_with_batch_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(400, 10)
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: MLP(144, (8,)),
    "lenet": lambda: LeNet(size=12),
    "conv and batch norm": convolutions_with_batch_norm,
    "resnet": lambda: ResNet(1, 8),
    "own": Own,
    "by strides": ByStrides,
    "particular": particular,
}


NO_VMAP = {"by strides", "own", "particular"}  # which strides, views and branches refuse


@pytest.mark.parametrize(
    ("name", "batching"),
    [(name, how) for name in MODELS for how in BATCHINGS if how == "loop" or name not in NO_VMAP],
)
def test_a_loss_calls_the_forward_three_times_at_most_before_it_is_used(
    name: str, batching: Batching
) -> None:
    model, calls = seeded(MODELS[name]), list[int]()
    model.register_forward_pre_hook(lambda _, x: calls.append(len(x[0])))
    loss = NetworkLoss(model, IMAGES, CLASSES, batching=batching)
    assert 2 <= len(calls) <= 3
    assert max(calls) <= 16 + 10  # probes, and one of each class
    points = points_near(model, 1)
    loss(points)
    calls.clear()
    for _ in range(2):
        loss(points)
    # two parts of the examples, and one batch of them for statistics; checks once
    assert len(calls) == 2 * (3 if name in {"conv and batch norm", "resnet"} else 2)


@pytest.mark.parametrize("name", MODELS)
def test_a_loss_changes_no_global_state_when_it_is_made_and_first_used(name: str) -> None:
    def state() -> tuple[object, ...]:
        numpys = str(np.random.get_state())  # noqa: NPY002
        generators = random.getstate(), numpys, torch.get_rng_state().tolist()
        return *generators, torch.is_grad_enabled(), torch.get_num_threads()

    model = seeded(MODELS[name]).train()
    modes = [module.training for module in model.modules()]
    tensors = {k: v.clone() for k, v in model.state_dict().items()}
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            before = state()
            loss = NetworkLoss(model, IMAGES, CLASSES, batching="loop")
            assert state() == before
            loss.point_bytes()
            assert state() == before
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(v, tensors[k]) for k, v in model.state_dict().items())


def drawing(draw: Callable[[], float]) -> nn.Module:
    class Drawing(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) * (1 + draw())

    return Drawing(6, 3)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("draw", [lambda: torch.rand(()).item(), random.random])
def test_random_outputs_in_evaluation_are_refused_and_generators_are_left(
    draw: Callable[[], float], batching: Batching
) -> None:
    model = drawing(draw)
    before = torch.get_rng_state(), random.getstate()
    with pytest.raises(DataError, match="Drawing gave two outputs for the same inputs"):
        NetworkLoss(model, X, Y, batching=batching)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_random_outputs_of_convolutions_are_refused() -> None:
    class Drawing(LeNet):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.dropout(super().forward(images), 0.5, training=True)

    drawing = seeded(lambda: Drawing(size=12))
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the draws: a twentieth of them are told apart at first use only
        with pytest.raises(DataError, match="Drawing gave two outputs"):
            NetworkLoss(drawing, IMAGES, CLASSES)


class Forgetful(nn.Linear):
    """Its training changes what evaluation gives, where no buffer has it."""

    calls = 0.0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += self.training
        return super().forward(input) * (1 + self.calls)


@pytest.mark.parametrize("batching", BATCHINGS)
def test_state_beside_buffers_is_refused_before_training_begins(batching: Batching) -> None:
    rounds = list[int]()
    recipe = Recipe(epochs=1, schedule=lambda share: rounds.append(1) or 1.0)
    for use in (
        lambda loss: train_minima(loss, 2, recipe=recipe, progress=False),
        lambda loss: Minima(points_near(Forgetful(6, 3)), loss),
    ):
        loss = NetworkLoss(Forgetful(6, 3), X, Y, batching=batching)  # takes more than three calls
        with pytest.raises(DataError, match=r"keep its state in buffers, .* the loss of Forgetful"):
            use(loss)
    assert not rounds


def test_outputs_that_the_loss_function_does_not_take_are_refused() -> None:
    class Pair(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input), input  # pyright: ignore

    with pytest.raises(DataError, match="Pair gives a tuple, and loss_fn fails"):
        NetworkLoss(Pair(6, 3), X, Y)


def test_a_network_that_vmap_cannot_batch_is_refused_when_the_loss_is_made() -> None:
    class Branching(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            found = super().forward(input)
            return found if self.weight.sum() > 0 else 2 * found

    branches = "Branching or its loss_fn branches on values of tensors: pass batching='loop'"
    with pytest.raises(DataError, match=branches):
        NetworkLoss(Branching(6, 3), X, Y)
    NetworkLoss(Branching(6, 3), X, Y, batching="loop")
    with pytest.raises(DataError, match=r"aten::lstm.*pass batching='loop'"):
        NetworkLoss(Sequences("lstm"), TOKENS, torch.arange(60) % 3, batching="vmap")


def test_what_fails_in_plain_torch_is_not_laid_to_vmap() -> None:
    with pytest.raises(DataError, match=r"change the shapes or types of the data$"):
        NetworkLoss(nn.Linear(6, 3), X, Y.int())


def test_a_network_that_fails_in_training_alone_is_refused() -> None:
    class Failing(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            assert not self.training, "evaluation only"
            return super().forward(input)

    with pytest.raises(DataError, match=r"Failing on inputs .* fails: evaluation only"):
        NetworkLoss(Failing(6, 3), X, Y)
    normed = nn.Sequential(Failing(6, 3), nn.BatchNorm1d(3))
    loss = NetworkLoss(normed, X, Y)  # the third call updates running statistics
    with pytest.raises(DataError, match="fails: evaluation only"):
        Minima(points_near(normed), loss)
