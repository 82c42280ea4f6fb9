"""Buffers belong to the function: networks that differ in one that matters are refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrizations, parametrize, prune

from nets import NetworkLoss, train_minima
from nets.training import initial_points
from reduction import DataError
from simplicial import Minima, Recipe
from tests.nets.networks import batch_norm, numbers, seeded

X, Y = numbers(40, 6, seed=1), torch.arange(40) % 3


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def orthogonal() -> nn.Module:
    model = small()
    parametrizations.orthogonal(model[0])
    return model


def spectral() -> nn.Module:
    model = small()
    parametrizations.spectral_norm(model[0])
    return model


def pruned() -> nn.Module:
    model = small()
    prune.random_unstructured(model[0], "weight", 0.5)
    with torch.no_grad():
        model(X)  # the masked weight of a graph cannot be copied
    return model


class Standardised(nn.Module):
    """Standardisation in buffers, as of the data of each network, and a step counter."""

    mean: Tensor
    steps: Tensor

    def __init__(self, *, persistent: bool = True) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(6), persistent=persistent)
        self.register_buffer("steps", torch.randint(1000, ()))
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x - self.mean)


class MovingMean(Standardised):
    """A moving mean of a user's own."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return self.layer(x - self.mean)


class WithExtraState(Standardised):
    """A number that enters the function and is saved as extra state."""

    def __init__(self) -> None:
        super().__init__()
        self.mean.zero_()
        self.factor = float(torch.rand(()))

    def get_extra_state(self) -> float:
        return self.factor

    def set_extra_state(self, state: float) -> None:
        self.factor = state

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.factor * x)


def plain(model: nn.Module) -> float:
    return cross_entropy(model.eval()(X), Y).item()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (orthogonal, r"0\.parametrizations\.weight\.0\.base"),
        (spectral, r"0\.parametrizations\.weight\.0\._[uv]"),
        (pruned, r"0\.weight_mask"),
        (Standardised, "mean"),
        (MovingMean, "mean"),
        (WithExtraState, "_extra_state"),
    ],
)
def test_a_network_with_another_function_by_its_buffers_is_refused(
    make: Callable[[], nn.Module], name: str
):
    one, other = seeded(make, 1), seeded(make, 2)
    loss = NetworkLoss(one, X, Y, batching="loop")
    point = loss.flatten(one.state_dict())
    torch.testing.assert_close(loss(point[None]).item(), plain(one), rtol=1e-6, atol=0)
    with pytest.raises(DataError, match=rf"'{name}' differs, the loss is .*load_state_dict"):
        loss.flatten(other.state_dict())
    with pytest.raises(DataError, match=f"'{name}' differs"):
        Minima.from_state_dicts([one.state_dict(), other.state_dict()], loss)


@pytest.mark.parametrize("make", [orthogonal, spectral, pruned, Standardised, WithExtraState])
def test_networks_that_share_their_buffers_have_the_values_of_plain_torch(
    make: Callable[[], nn.Module],
):
    trained = seeded(make, 1)
    networks = [trained.state_dict()]
    for seed in (2, 3):
        state = {k: v.clone() if isinstance(v, Tensor) else v for k, v in networks[0].items()}
        for name, parameter in trained.named_parameters():
            state[name] = parameter.detach() + 0.3 * numbers(*parameter.shape, seed=seed)
        networks.append(state)
    model = seeded(make, 7)
    model.load_state_dict(networks[0])
    loss = NetworkLoss(model, X, Y, batching="loop")
    minima = Minima.from_state_dicts(networks, loss)
    assert torch.equal(loss.flatten(loss.state_dict(minima.points[1])), minima.points[1])
    values = []
    for state in networks:
        network = seeded(make, 8)
        network.load_state_dict(state)
        values.append(plain(network))
    assert max(values) > min(values)
    # one forward in single precision, 40 terms
    assert minima.values == pytest.approx(values, rel=1e-6)


def baked(model: nn.Module) -> nn.Module:
    if parametrize.is_parametrized(model[0]):  # pyright: ignore
        parametrize.remove_parametrizations(model[0], "weight")  # pyright: ignore
    else:
        prune.remove(model[0], "weight")  # pyright: ignore
    return model


@pytest.mark.parametrize("make", [orthogonal, spectral, pruned])
def test_networks_whose_buffers_went_into_their_parameters_are_taken(
    make: Callable[[], nn.Module],
):
    networks = [baked(seeded(make, seed).eval()) for seed in (1, 2)]
    minima = Minima.from_state_dicts(
        [network.state_dict() for network in networks], NetworkLoss(small(), X, Y)
    )
    assert minima.values == pytest.approx([plain(network) for network in networks], rel=1e-6)


def test_step_counters_and_recomputed_statistics_may_differ():
    one, other = seeded(Standardised, 1), seeded(Standardised, 2)
    other.get_buffer("mean").copy_(one.get_buffer("mean"))
    assert one.get_buffer("steps") != other.get_buffer("steps")
    loss = NetworkLoss(one, X, Y)
    assert not torch.equal(loss.flatten(one.state_dict()), loss.flatten(other.state_dict()))
    normed = [seeded(batch_norm, seed) for seed in (1, 2)]
    for network in normed:
        network(X * (1 + normed.index(network)))
    loss = NetworkLoss(normed[0], X, Y)
    assert loss.flatten(normed[1].state_dict()).shape == (loss.dim,)


def test_a_state_dict_may_leave_buffers_out_or_hold_those_that_no_state_dict_holds():
    model = seeded(lambda: Standardised(persistent=False), 1)
    loss = NetworkLoss(model, X, Y)
    state = dict(model.state_dict())
    whole = loss.flatten(state)
    del state["steps"]
    assert torch.equal(loss.flatten(state), whole)
    assert torch.equal(loss.flatten(state | {"mean": model.get_buffer("mean")}), whole)
    with pytest.raises(DataError, match="'mean' differs"):
        loss.flatten(state | {"mean": model.get_buffer("mean") + 1})
    with pytest.raises(DataError, match=r"'mean' has shape \(7,\), the model's has \(6,\)"):
        loss.flatten(state | {"mean": torch.zeros(7)})


class RandomAttribute(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.directions = torch.randn(6, 6)
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x @ self.directions)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Standardised, "'mean' differs"),
        (lambda: Standardised(persistent=False), "'mean' differs"),
        (RandomAttribute, "one function of their parameters, RandomAttribute has the loss"),
    ],
)
def test_a_factory_that_draws_its_function_at_random_is_refused(
    make: Callable[[], nn.Module], sentence: str
):
    loss = NetworkLoss(seeded(make, 1), X, Y)
    with pytest.raises(DataError, match=sentence):
        train_minima(loss, 2, init=lambda: make(), recipe=Recipe(epochs=1))


def test_networks_that_are_initialised_anew_keep_the_functions_buffers():
    class Redrawn(Standardised):
        def reset_parameters(self) -> None:
            self.mean = torch.randn(6)

    model = seeded(Redrawn, 1)
    loss = NetworkLoss(model, X, Y)
    points = initial_points(loss, 2, None, 0)
    assert not torch.equal(points[0], points[1])
    assert torch.equal(loss.model().get_buffer("mean"), model.get_buffer("mean"))


def with_statistics(seed: int) -> nn.Module:
    network = seeded(batch_norm, seed)
    network(X * seed)
    return network


def test_stored_statistics_belong_to_the_function():
    one, other = with_statistics(1), with_statistics(2)
    loss = NetworkLoss(one, X, Y, batch_norm="stored")
    point = loss.flatten(one.state_dict())
    assert loss(point[None]).item() == pytest.approx(plain(one), rel=1e-6)
    with pytest.raises(DataError, match=r"'1\.running_\w+' differs.*pass batch_norm='recomputed'"):
        loss.flatten(other.state_dict())
    points = initial_points(loss, 3, None, 0)  # a reset of batch norm writes into its statistics
    network = seeded(batch_norm, 5)
    network.load_state_dict(one.state_dict())
    nn.utils.vector_to_parameters(points[2], network.parameters())
    assert loss(points)[2].item() == pytest.approx(plain(network), rel=1e-6)


def test_a_network_of_another_number_type_is_one_of_the_same_function():
    loss = NetworkLoss(seeded(small, 1), X, Y)
    assert loss.point_of(seeded(small, 2).double()).dtype == torch.float32
