"""Coordinates of parameter space: which tensors they are, in which order, and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nets import NetworkLoss
from nets.parameters import Coordinates
from reduction import DataError
from simplicial import Minima
from tests.nets.networks import Tied, frozen, numbers, seeded

X, Y = numbers(20, 6, seed=1), torch.arange(20) % 3


def with_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


def flatten(model: nn.Module, network: object) -> Tensor:
    return Coordinates.of(model).flatten(network, torch.device("cpu"))  # pyright: ignore


def test_coordinates_stand_in_the_order_of_named_parameters():
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2))
    for k, p in enumerate(model.parameters()):
        p.data.fill_(k)
    assert flatten(model, model.state_dict()).tolist() == [0, 0, 1, 2, 2, 3, 3]


def test_a_tensor_is_laid_out_row_by_row():
    model = nn.Linear(3, 2, bias=False)
    model.weight.data = torch.arange(6.0).reshape(2, 3)
    assert flatten(model, model.state_dict()).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("make", "dim"),
    [
        (Tied, 36 + 6 + 6 + 21),  # the shared weight once
        (with_batch_norm, 35 + 5 + 5 + 18),  # neither running statistics nor the step counter
        (frozen, 18),  # the head alone
    ],
)
def test_dim_counts_each_trainable_number_once(make: Callable[[], nn.Module], dim: int):
    assert Coordinates.of(make()).dim == dim
    assert NetworkLoss(make(), X, Y).dim == dim


@pytest.mark.parametrize("make", [Tied, with_batch_norm, frozen])
def test_state_dict_and_flatten_are_inverse(make: Callable[[], nn.Module]):
    model = seeded(make)
    loss = NetworkLoss(model, X, Y)
    point = numbers(loss.dim, seed=2)
    state = loss.state_dict(point)
    assert torch.equal(loss.flatten(state), point)
    assert state.keys() == model.state_dict().keys()
    model.load_state_dict(state)  # strict: every name and every shape
    trainable = [p for p in model.parameters() if p.requires_grad]
    assert torch.equal(nn.utils.parameters_to_vector(trainable), point)


def test_state_dict_of_a_point_owns_its_tensors():
    loss = NetworkLoss(seeded(Tied), X, Y)
    point = torch.ones(loss.dim)
    before = loss(point[None])
    for value in loss.state_dict(point).values():
        value.zero_()
    assert (point == 1).all()
    assert torch.equal(loss(point[None]), before)


def test_state_dict_carries_running_statistics_of_its_own_point():
    model = seeded(with_batch_norm)
    loss = NetworkLoss(model, X, Y)
    point = loss.flatten(model.state_dict()) * 2
    state = loss.state_dict(point)
    hidden = X @ state["0.weight"].T + state["0.bias"]
    # 20 terms of order one in another order: 20 eps
    torch.testing.assert_close(state["1.running_mean"], hidden.mean(0), rtol=0, atol=3e-6)
    torch.testing.assert_close(state["1.running_var"], hidden.var(0), rtol=3e-6, atol=0)
    assert (model.get_buffer("1.running_mean") == 0).all()


def test_state_dict_of_a_tied_network_without_the_second_name_is_enough():
    model = seeded(Tied)
    state = model.state_dict()
    whole = flatten(model, state)
    del state["second.weight"]
    assert torch.equal(flatten(model, state), whole)


@pytest.mark.parametrize("kept", ["first.weight", "second.weight"])
def test_one_name_of_a_tied_weight_is_enough(kept: str):
    model = seeded(Tied)
    state = model.state_dict()
    state = {k: v for k, v in state.items() if k not in ("first.weight", "second.weight")} | {
        kept: state[kept]
    }
    assert torch.equal(flatten(model, state), flatten(model, model.state_dict()))


class ThriceTied(Tied):
    def __init__(self) -> None:
        super().__init__()
        self.third = nn.Linear(6, 6)
        self.third.weight = self.first.weight


def test_aliases_of_a_tied_weight_without_its_first_name_must_be_equal():
    model = seeded(ThriceTied)
    state = dict(model.state_dict())
    del state["first.weight"]
    assert torch.equal(flatten(model, state), flatten(model, model.state_dict()))
    state["third.weight"] = state["third.weight"] + 1
    with pytest.raises(DataError, match=r"'third\.weight' and 'second\.weight' differ"):
        flatten(model, state)
    del state["second.weight"], state["third.weight"]
    with pytest.raises(DataError, match=r"'first\.weight' is missing"):
        flatten(model, state)


def test_a_state_dict_of_the_coordinates_alone_is_enough():
    model = seeded(frozen)
    head = {k: v for k, v in model.state_dict().items() if k.startswith("2.")}
    assert len(head) == 2
    assert torch.equal(flatten(model, head), flatten(model, model.state_dict()))


def test_buffers_of_a_state_dict_are_no_coordinates():
    model = seeded(with_batch_norm)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["1.running_mean"] += 100
    assert torch.equal(flatten(model, state), flatten(model, model.state_dict()))
    without = {k: v for k, v in state.items() if "running" not in k and "num" not in k}
    assert torch.equal(flatten(model, without), flatten(model, model.state_dict()))


def test_flatten_converts_to_the_models_number_type():
    model = seeded(Tied).double()
    single = {k: v.float() for k, v in model.state_dict().items()}
    assert flatten(model, single).dtype == torch.float64


def test_frozen_parameters_are_those_of_the_model_when_the_loss_was_made():
    model = frozen()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    loss = NetworkLoss(model, X, Y)
    model.get_parameter("0.weight").data.zero_()  # the loss has its own copy
    loss.flatten(state)
    with pytest.raises(DataError, match=r"'0\.weight' differs"):
        loss.flatten(model.state_dict())


def changed(model: nn.Module, **entries: Tensor) -> dict[str, Tensor]:
    return model.state_dict() | {k.replace("__", "."): v for k, v in entries.items()}


@pytest.mark.parametrize(
    ("make", "network", "sentence"),
    [
        (Tied, lambda m: m, r"given as its state dict, got Tied: pass model\.state_dict\(\)"),
        (Tied, lambda m: {"state_dict": m.state_dict()}, "has 'state_dict', which the model"),
        (Tied, lambda m: {}, r"'first\.weight' is missing: save the whole"),
        (
            Tied,
            lambda m: changed(m, first__weight=torch.ones(6, 3)),
            r"'first\.weight' has shape \(6, 3\), the model's has \(6, 6\)",
        ),
        (
            Tied,
            lambda m: changed(m, second__weight=torch.ones(6, 6)),
            r"tied weights must be equal, 'second\.weight' and 'first\.weight' differ",
        ),
        (
            frozen,
            lambda m: changed(m, **{"0__bias": torch.ones(5)}),
            r"frozen parameters are no coordinates .* '0\.bias' differs",
        ),
        (frozen, lambda m: changed(m, **{"0__bias": torch.ones(6)}), r"'0\.bias' has shape \(6,\)"),
        (with_batch_norm, lambda m: changed(m, **{"3__bias": torch.ones(1)}), r"has '3\.bias'"),
    ],
)
def test_flatten_refuses_what_is_no_state_dict_of_the_architecture(
    make: Callable[[], nn.Module], network: Callable[[nn.Module], object], sentence: str
):
    model = seeded(make)
    with pytest.raises(DataError, match=sentence):
        flatten(model, network(model))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.ReLU(), "ReLU has none that require a gradient"),
        (nn.Linear(2, 2).requires_grad_(False), "Linear has none that require a gradient"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), "one floating type, Sequential"),
        (nn.Linear(2, 2, dtype=torch.complex64), "one floating type, Linear"),
    ],
)
def test_models_without_coordinates_are_refused(model: nn.Module, sentence: str):
    with pytest.raises(DataError, match=sentence):
        Coordinates.of(model)
    with pytest.raises(DataError, match=sentence):
        NetworkLoss(model, X, Y)


def test_minima_from_state_dicts_are_their_points():
    networks = [seeded(with_batch_norm, seed) for seed in range(3)]
    loss = NetworkLoss(networks[0], X, Y)
    minima = Minima.from_state_dicts([network.state_dict() for network in networks], loss)
    assert minima.points.shape == (3, loss.dim)
    for point, network in zip(minima.points, networks, strict=True):
        assert torch.equal(point, nn.utils.parameters_to_vector(network.parameters()))
    assert minima.accuracy is not None
    assert (minima.values > 0).all()


def test_minima_from_state_dicts_refuse_another_architecture():
    loss = NetworkLoss(seeded(Tied), X, Y)
    with pytest.raises(DataError, match="which the model has not"):
        Minima.from_state_dicts([seeded(with_batch_norm).state_dict()], loss)
    state = seeded(Tied).state_dict() | {"head.bias": torch.tensor([0.0, float("nan"), 0.0])}
    with pytest.raises(ValueError, match="point 0 has nan"):
        Minima.from_state_dicts([state], loss)
