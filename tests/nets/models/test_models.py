"""Network families: parameter counts, shapes, initialisation, and what is refused."""

import pytest
import torch
from torch import nn

from nets import MLP, LeNet
from nets.models import build
from nets.names import MODELS
from reduction.errors import DataError
from tests.nets.networks import numbers


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_mlp_on_the_digits_is_the_64_32_10_network():
    model = MLP(64)
    assert parameter_count(model) == 64 * 32 + 32 + 32 * 10 + 10 == 2410
    assert [tuple(p.shape) for p in model.parameters()] == [(32, 64), (32,), (10, 32), (10,)]


@pytest.mark.parametrize(
    ("hidden", "count"), [((), 65 * 10), ((5,), 65 * 5 + 6 * 10), ((7, 3), 65 * 7 + 8 * 3 + 4 * 10)]
)
def test_mlp_takes_any_hidden_widths(hidden: tuple[int, ...], count: int):
    model = MLP(64, hidden)
    assert parameter_count(model) == count
    assert model(numbers(4, 1, 8, 8)).shape == (4, 10)


def test_mlp_is_affine_maps_with_relu_between():
    model = MLP(6, (4, 3), classes=2)
    images = numbers(5, 1, 2, 3)
    w1, b1, w2, b2, w3, b3 = model.parameters()
    first = (images.reshape(5, 6) @ w1.T + b1).clamp(min=0)
    assert (first == 0).any()  # the ReLU is felt
    expected = (first @ w2.T + b2).clamp(min=0) @ w3.T + b3
    torch.testing.assert_close(model(images), expected)


def test_lenet_has_61706_parameters_on_28x28():
    model = LeNet()
    conv = (6 * 25 + 6) + (16 * 6 * 25 + 16)
    linear = (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10)
    assert parameter_count(model) == conv + linear == 61_706
    assert model(numbers(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("size", [12, 13, 15, 16, 28, 29, 32])
def test_lenet_takes_any_image_size_from_12_on(size: int):
    model = LeNet(channels=3, size=size, classes=7)
    assert model(numbers(2, 3, size, size)).shape == (2, 7)


def test_lenet_shapes_are_those_of_its_docstring():
    shapes: list[tuple[int, ...]] = []
    images = numbers(1, 1, 28, 28)
    for layer in LeNet().layers:
        images = layer(images)
        if not isinstance(layer, nn.ReLU):
            shapes.append(tuple(images.shape[1:]))
    convolutions = [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]
    assert shapes == [*convolutions, (400,), (120,), (84,), (10,)]


def test_networks_start_from_pytorchs_default_initialisation():
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = LeNet()
        torch.manual_seed(11)
        plain = [
            nn.Conv2d(1, 6, 5),
            nn.Conv2d(6, 16, 5),
            nn.Linear(400, 120),
            nn.Linear(120, 84),
            nn.Linear(84, 10),
        ]
    expected = [parameter for layer in plain for parameter in layer.parameters()]
    found = list(model.parameters())
    assert len(found) == len(expected) == 10
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("model", [MLP(784), LeNet()])
def test_networks_have_no_state_beside_their_parameters(model: nn.Module):
    assert not list(model.buffers())
    images = numbers(4, 1, 28, 28)
    assert torch.equal(model.train()(images), model.eval()(images))


@pytest.mark.parametrize("name", MODELS)
def test_build_fits_the_network_to_the_data(name: str):
    model = build(name, (3, 32, 32), 7)
    assert model(numbers(2, 3, 32, 32)).shape == (2, 7)


def test_build_takes_an_mlps_hidden_widths():
    assert parameter_count(build("mlp", (1, 8, 8), 10)) == 2410
    assert parameter_count(build("mlp", (1, 8, 8), 10, hidden=(5,))) == 65 * 5 + 6 * 10
    assert parameter_count(build("mlp", (1, 8, 8), 10, hidden=())) == 650
    assert build("mlp", (2, 3, 4), 5)(numbers(2, 2, 3, 4)).shape == (2, 5)  # need not be square


@pytest.mark.parametrize(
    ("name", "nearest"), [("LeNet-5", "lenet"), ("MLP", "mlp"), ("mpl", "mlp")]
)
def test_build_suggests_the_nearest_name(name: str, nearest: str):
    with pytest.raises(DataError, match=f"no network '{name}'; .*did you mean {nearest}"):
        build(name, (1, 28, 28), 10)


def test_build_refuses_images_that_are_no_squares_for_lenet():
    with pytest.raises(DataError, match="square images, these are 28 x 32"):
        build("lenet", (1, 28, 32), 10)
