"""Norms with fixed statistics: by choice, or since a module refuses to train."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.ops import FrozenBatchNorm2d

from nets import NetworkLoss
from nets.names import BatchNorm
from reduction import DataError, OptionError
from simplicial import Minima
from tests.nets.networks import X, Y, at, batch_norm, bound, numbers, points_near, seeded, trainable

IMAGES, CLASSES = numbers(90, 2, 4, 4, seed=12).double() * 2 + 1, torch.arange(90) % 3


class Refusing(nn.BatchNorm2d):
    """Batch norm that stays in evaluation mode."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


class Backbone(nn.Sequential):
    """Freezes its first norm, as detection backbones do."""

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self[1].eval()
        return self


def body(
    first: Callable[[int], nn.Module], kind: type[nn.Sequential] = nn.Sequential
) -> nn.Sequential:
    """Two norms, of which the second is plain batch norm; statistics of no data."""
    model = kind(
        nn.Conv2d(2, 3, 1), first(3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3),
        nn.Dropout(0.0), nn.Flatten(), nn.Linear(12, 3),
    )  # fmt: skip
    with torch.no_grad():
        for norm in (model[1], model[4]):
            norm.get_buffer("running_mean").copy_(torch.tensor([0.5, -1.0, 2.0]))
            norm.get_buffer("running_var").copy_(torch.tensor([4.0, 0.5, 2.0]))
    return model.double()


FROZEN: dict[str, Callable[[], nn.Sequential]] = {
    "overridden train": lambda: body(Refusing),
    "parent": lambda: body(nn.BatchNorm2d, Backbone),
    "torchvision": lambda: body(FrozenBatchNorm2d),
}


def recomputed(network: nn.Module, x: Tensor) -> nn.Module:
    """A plain network, the statistics of whose norms in training mode are those of one batch."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(x)
    return network.eval()


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_norms_keep_their_statistics_beside_others_that_are_recomputed(name: str) -> None:
    model = seeded(FROZEN[name])
    loss = NetworkLoss(model, IMAGES, CLASSES)
    points = points_near(model)
    networks = [recomputed(at(model, point), IMAGES) for point in points]
    expected = torch.stack([cross_entropy(network(IMAGES), CLASSES) for network in networks])
    torch.testing.assert_close(loss(points), expected, rtol=bound(torch.float64), atol=0)
    state = loss.state_dict(points[0])
    assert torch.equal(state["1.running_mean"], model.state_dict()["1.running_mean"])
    assert not torch.equal(state["4.running_mean"], model.state_dict()["4.running_mean"])


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_norms_are_trained_with_the_statistics_that_they_are_measured_with(
    name: str,
) -> None:
    model = seeded(FROZEN[name])
    points = points_near(model)
    (estimate,) = NetworkLoss(model, IMAGES, CLASSES).estimates(90, np.random.default_rng(0))
    networks = [at(model, point).train() for point in points]
    expected = torch.stack([cross_entropy(network(IMAGES), CLASSES) for network in networks])
    torch.testing.assert_close(estimate(points), expected, rtol=bound(torch.float64), atol=0)


@pytest.mark.parametrize("name", FROZEN)
def test_networks_with_other_statistics_of_frozen_norms_are_refused(name: str) -> None:
    model = seeded(FROZEN[name])
    loss = NetworkLoss(model, IMAGES, CLASSES)
    other = at(model, points_near(model)[0])
    other.get_buffer("4.running_var").mul_(3)  # recomputed
    loss.flatten(other.state_dict())
    other.get_buffer("1.running_var").mul_(3)
    with pytest.raises(DataError, match=r"must be the model's, '1\.running_var' differs"):
        loss.flatten(other.state_dict())


@pytest.mark.parametrize("batching", ["vmap", "loop"])
def test_stored_statistics_are_the_models_in_evaluation_and_in_training(batching: Any) -> None:
    model = body(nn.BatchNorm2d)
    loss = NetworkLoss(model, IMAGES, CLASSES, batching=batching, batch_norm="stored")
    points = points_near(model)
    networks = [at(model, point).eval() for point in points]
    expected = torch.stack([cross_entropy(network(IMAGES), CLASSES) for network in networks])
    torch.testing.assert_close(loss(points), expected, rtol=bound(torch.float64), atol=0)
    points.requires_grad_()
    (estimate,) = loss.estimates(90, np.random.default_rng(0))
    (gradient,) = torch.autograd.grad(estimate(points).sum(), points)
    slopes = torch.autograd.grad(expected[0], trainable(networks[0]))
    expected_gradient = nn.utils.parameters_to_vector(slopes)
    assert expected_gradient.abs().max() > 0.01
    torch.testing.assert_close(gradient[0], expected_gradient, rtol=0, atol=bound(torch.float64))
    state = loss.state_dict(points[0].detach())
    assert all(torch.equal(state[name], own) for name, own in model.named_buffers())


def test_stored_statistics_leave_dropout_in_training_mode() -> None:
    loss = NetworkLoss(seeded(batch_norm), X[:60], Y[::19][:58].repeat(2)[:60], batch_norm="stored")
    points = loss.flatten(seeded(batch_norm).state_dict())[None]
    (estimate,) = loss.estimates(60, np.random.default_rng(0))
    assert (estimate(points) - loss(points)).abs() > 1e-4


@pytest.mark.parametrize("choice", ["recomputed", "stored"])
def test_networks_with_other_statistics_are_refused_where_these_are_stored(
    choice: BatchNorm,
) -> None:
    model = body(nn.BatchNorm2d)
    loss = NetworkLoss(model, IMAGES, CLASSES, batch_norm=choice)
    states = [at(model, point).state_dict() for point in points_near(model)]
    states[1]["1.running_mean"] += 1
    if choice == "recomputed":
        assert len(Minima.from_state_dicts(states, loss)) == 3
    else:
        with pytest.raises(DataError, match=r"must be the model's, '1\.running_mean' differs"):
            Minima.from_state_dicts(states, loss)


def test_mini_batches_of_one_example_are_enough_for_stored_statistics() -> None:
    loss = NetworkLoss(body(nn.BatchNorm2d), IMAGES, CLASSES, batch_norm="stored")
    assert len(list(loss.estimates(1, np.random.default_rng(0)))) == 90


def test_other_statistics_are_refused() -> None:
    with pytest.raises(
        OptionError, match=r"batch_norm is 'recomputed' or 'stored', got 'running': choose one"
    ):
        NetworkLoss(body(nn.BatchNorm2d), IMAGES, CLASSES, batch_norm="running")  # pyright: ignore
