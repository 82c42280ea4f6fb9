"""How networks are run: the rules, and what they leave as it is."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import MLP, LeNet, NetworkLoss, ResNet
from nets.execution import EXAMPLES, Execution
from reduction import DataError, OptionError
from simplicial.loss import evaluate, gradient, values_and_gradients
from tests.nets.networks import TOKENS, Sequences, X, at, numbers, points_near, seeded

IMAGES = numbers(150, 1, 12, 12, seed=21)
CLASSES = torch.arange(150) % 10
BFLOAT16 = 2.0**-8  # relative rounding


@pytest.fixture(params=[True, False])
def computes_with_bfloat16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    capabilities = {"avx512_bf16": request.param, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    return request.param


def test_the_rule_is_on_the_architecture_and_the_processor(computes_with_bfloat16: bool):
    def chosen(model: nn.Module, x: Tensor) -> tuple[str, str]:
        how = NetworkLoss(model, x, torch.arange(len(x)) % 3).execution
        return how.batching, how.precision

    narrow = "bfloat16" if computes_with_bfloat16 else "full"
    assert chosen(MLP(6, (8,), 3), X[:9]) == ("vmap", "full")
    assert chosen(LeNet(size=12, classes=3), IMAGES[:9]) == ("loop", narrow)
    assert chosen(LeNet(size=12, classes=3).double(), IMAGES[:9].double()) == ("loop", "full")
    assert chosen(Sequences("lstm"), TOKENS) == ("loop", "full")
    assert chosen(Sequences("transformer"), TOKENS) == ("loop", "full")
    assert chosen(Sequences("embedding"), TOKENS) == ("vmap", "full")


def test_what_is_asked_for_goes_before_the_rule(computes_with_bfloat16: bool):
    loss = NetworkLoss(LeNet(size=12), IMAGES, CLASSES, batching="vmap", precision="full")
    assert (loss.execution.batching, loss.execution.precision) == ("vmap", "full")
    assert repr(loss).endswith(", vmap, cpu)")
    loss = NetworkLoss(LeNet(size=12), IMAGES, CLASSES, precision="bfloat16")
    assert repr(loss).endswith(", loop, training in bfloat16, cpu)")


def test_a_network_that_vmap_cannot_batch_is_refused_with_the_way_out():
    model = Sequences("lstm")
    with pytest.raises(DataError, match=r"aten::lstm.*pass batching='loop'"):
        NetworkLoss(model, TOKENS, torch.arange(60) % 3, batching="vmap")


def test_unknown_ways_are_refused():
    with pytest.raises(OptionError, match="batching is one of 'vmap', 'loop' or None, got 'all'"):
        NetworkLoss(MLP(6), X, CLASSES[:1], batching="all")  # pyright: ignore
    with pytest.raises(OptionError, match="precision is one of 'full', 'bfloat16' or None"):
        NetworkLoss(MLP(6), X, CLASSES[:1], precision="half")  # pyright: ignore
    with pytest.raises(OptionError, match="parameters are float64"):
        NetworkLoss(MLP(6).double(), X.double(), CLASSES[:1], precision="bfloat16")


@pytest.mark.parametrize("batching", ["vmap", "loop"])
def test_bfloat16_rounds_what_trains_and_nothing_that_enters_a_filtration(batching: str):
    model = seeded(lambda: LeNet(size=12))
    full, narrow = (
        NetworkLoss(model, IMAGES, CLASSES, batching=batching, precision=precision)  # pyright: ignore
        for precision in ("full", "bfloat16")
    )
    points = points_near(model, 3)
    assert np.array_equal(evaluate(full, points).loss, evaluate(narrow, points).loss)
    exact = [values_and_gradients(loss, points) for loss in (full, narrow)]
    assert np.array_equal(exact[0][0], exact[1][0])
    assert torch.equal(exact[0][1], exact[1][1])

    estimates = [next(loss.estimates(50, np.random.default_rng(5))) for loss in (full, narrow)]
    values = [estimate(points) for estimate in estimates]
    slopes = [gradient(estimate, points) for estimate in estimates]
    assert values[1].dtype == slopes[1].dtype == torch.float32
    assert not torch.equal(slopes[0], slopes[1])
    off = (slopes[1] - slopes[0]).norm(dim=1) / slopes[0].norm(dim=1)
    assert off.max() < 10 * BFLOAT16  # five layers, forwards and backwards


@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_their_channels_last_in_memory(channels: int):
    model = LeNet(channels, size=12)
    images = IMAGES.expand(-1, channels, -1, -1)
    strides: list[tuple[int, ...]] = []
    model.layers[0].register_forward_pre_hook(lambda _, x: strides.append(x[0].stride()))
    loss = NetworkLoss(model, images, CLASSES, precision="full")
    points = points_near(model, 1)
    strides.clear()
    evaluate(loss, points)
    gradient(next(loss.estimates(50, np.random.default_rng(0))), points)
    assert strides == [(144 * channels, 1, 12 * channels, channels)] * 3  # two parts, a mini-batch


def test_a_batched_network_takes_images_as_they_are():
    how = Execution(torch.device("cpu"), "vmap", "full")
    assert how.arranged(IMAGES) is IMAGES
    assert Execution(torch.device("cpu"), "loop", "full").arranged(X) is X


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (seeded(lambda: LeNet(1, 28)), 28),
        (seeded(lambda: ResNet(1, 20)), 16),
        (seeded(lambda: ResNet(1, 20, shortcuts=False)), 16),
    ],
    ids=["lenet", "resnet", "ns"],
)
def test_filtration_values_are_those_of_a_plain_loop_over_networks(model: nn.Module, size: int):
    """To 1e-5, with statistics by torch's own cumulative means, on parts in the usual layout."""
    x = numbers(2 * EXAMPLES, 1, size, size, seed=22)
    y = torch.arange(len(x)) % 10
    loss = NetworkLoss(model, x, y)
    points = loss.flatten(model.state_dict()) * (1 + 0.1 * numbers(3, loss.dim, seed=23))
    for point, value in zip(points, evaluate(loss, points).loss, strict=True):
        network = at(model, point)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
        with torch.no_grad():
            for part in x.split(EXAMPLES):
                network.train()(part)
            expected = cross_entropy(network.eval()(x), y).item()
        assert 1.5 < expected < 5
        assert abs(value - expected) < 1e-5
