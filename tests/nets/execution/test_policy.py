"""Execution policies: their rules, and values that do not depend on them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import MLP, LeNet, NetworkLoss, ResNet, load_digits
from nets.execution import PRECISIONS, Precision
from nets.execution.policy import Batching
from nets.loss import BATCH
from reduction import OptionError
from simplicial.evaluation import evaluate, gradient, values_and_gradients
from tests.nets.networks import (
    TOKENS,
    Sequences,
    X,
    Y,
    at,
    numbers,
    plain_values,
    points_near,
    seeded,
    value_and_gradient,
)

IMAGES = numbers(150, 1, 12, 12, seed=21)
CLASSES = torch.arange(150) % 10


def test_batching_is_a_rule_on_the_architecture() -> None:
    def chosen(model: nn.Module, x: Tensor) -> str:
        how = NetworkLoss(model, x, torch.arange(len(x)) % 3).execution
        assert how.precision == "full"
        return how.batching

    assert chosen(MLP(6, (8,), 3), X[:9]) == "vmap"
    assert chosen(LeNet(size=12, classes=3), IMAGES[:9]) == "loop"
    assert chosen(Sequences("lstm"), TOKENS) == chosen(Sequences("transformer"), TOKENS) == "loop"
    assert chosen(Sequences("embedding"), TOKENS) == "vmap"


def test_what_is_asked_for_goes_before_the_rule() -> None:
    loss = NetworkLoss(LeNet(size=12), IMAGES, CLASSES, batching="vmap")
    assert loss.execution.batching == "vmap"
    assert repr(loss).endswith(", vmap, cpu)")
    rounded = NetworkLoss(MLP(6, (8,), 3), X, Y, precision="bfloat16")
    assert rounded.execution.batching == "loop"  # which autocast reaches
    loss = NetworkLoss(LeNet(size=12), IMAGES, CLASSES, precision="bfloat16")
    assert repr(loss).endswith(", loop, training in bfloat16, cpu)")


def test_bfloat16_that_would_not_be_reached_is_refused() -> None:
    with pytest.raises(OptionError, match=r"parameters are torch\.float64"):
        NetworkLoss(LeNet(size=12).double(), IMAGES.double(), CLASSES, precision="bfloat16")
    with pytest.raises(OptionError, match="does not reach convolutions under vmap"):
        NetworkLoss(LeNet(size=12), IMAGES, CLASSES, batching="vmap", precision="bfloat16")


NETWORKS = [lambda: LeNet(size=12), lambda: ResNet(1, 8), lambda: ResNet(1, 8, shortcuts=False)]


@pytest.mark.parametrize("make", NETWORKS, ids=["lenet", "resnet", "ns"])
def test_bfloat16_rounds_what_trains_and_nothing_that_enters_a_filtration(
    make: Callable[[], nn.Module],
) -> None:
    model, inside = seeded(make), list[torch.dtype]()
    convolution = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    convolution.register_forward_hook(lambda _m, _x, output: inside.append(output.dtype))
    full, narrow = (
        NetworkLoss(model, IMAGES, CLASSES, precision=precision) for precision in PRECISIONS
    )
    points = full.flatten(model.state_dict()) * (1 + 0.1 * numbers(3, full.dim, seed=24))
    exact = [values_and_gradients(loss, points) for loss in (full, narrow)]
    assert np.array_equal(exact[0][0], exact[1][0])
    assert torch.equal(exact[0][1], exact[1][1])
    inside.clear()
    assert np.array_equal(evaluate(full, points).loss, evaluate(narrow, points).loss)
    assert set(inside) == {torch.float32}

    estimates = [next(loss.estimates(50, np.random.default_rng(5))) for loss in (full, narrow)]
    slopes = list[Tensor]()
    for estimate, dtype in zip(estimates, (torch.float32, torch.bfloat16), strict=True):
        inside.clear()
        slopes.append(gradient(estimate, points))
        assert estimate(points).dtype == slopes[-1].dtype == torch.float32
        assert set(inside) == {dtype}
    # rounding to 8 bits, forwards and backwards: the direction is kept
    cosines = nn.functional.cosine_similarity(*slopes, dim=1)
    assert cosines.min() > 0.9
    assert not torch.equal(*slopes)


def test_a_network_is_not_touched_by_an_autocast_around_it() -> None:
    loss = NetworkLoss(LeNet(size=12), IMAGES, CLASSES)
    points = points_near(LeNet(size=12), 2)
    alone = evaluate(loss, points).loss
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(evaluate(loss, points).loss, alone)
        made_inside = NetworkLoss(LeNet(size=12), IMAGES, CLASSES)
    assert made_inside.execution == loss.execution
    assert np.array_equal(evaluate(made_inside, points).loss, alone)


@pytest.mark.parametrize("make", [*NETWORKS, lambda: nn.Sequential(nn.Flatten(), MLP(144))])
def test_values_are_the_same_bits_with_gradients_and_without(make: Callable[[], nn.Module]) -> None:
    """300 examples: three parts, whose shares are no binary fractions."""
    loss = NetworkLoss(seeded(make), numbers(300, 1, 12, 12, seed=21), torch.arange(300) % 10)
    points = points_near(seeded(make), 3)
    alone = evaluate(loss, points).loss
    assert np.array_equal(values_and_gradients(loss, points)[0], alone)
    assert np.array_equal(loss(points.requires_grad_()).detach().numpy(), alone)


class Wide(nn.Module):
    """Gives its outputs in another type than its parameters'."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer, self.dtype = nn.Linear(6, 3), dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).to(self.dtype)


def test_outputs_of_another_type_go_into_the_loss_as_they_are() -> None:
    dtypes = list[torch.dtype]()

    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        dtypes.append(outputs.dtype)
        return cross_entropy(outputs, targets)

    loss = NetworkLoss(Wide(torch.float64), X, Y, loss_fn=loss_fn)
    evaluate(loss, points_near(Wide(torch.float64), 1))
    assert set(dtypes) == {torch.float64}


def strides_of(model: nn.Module, images: Tensor, precision: Precision = "full") -> list[object]:
    """Those of the images as the network gets them: of two parts, and of a mini-batch of 50."""
    strides = list[object]()
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, x: strides.append(x[0].stride()))
    loss = NetworkLoss(model, images, CLASSES, batching="loop", precision=precision)
    points = points_near(model, 1)
    evaluate(loss, points)  # the first use, which is preceded by checks
    strides.clear()
    evaluate(loss, points)
    gradient(next(loss.estimates(50, np.random.default_rng(0))), points)
    return strides


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", [lambda n: ResNet(n, 8), lambda n: LeNet(n, size=12)])
def test_images_of_convolutions_have_their_channels_last_in_memory(
    make: Callable[[int], nn.Module], channels: int, precision: Precision
) -> None:
    """Images of one channel too, for which torch's own conversion changes no stride."""
    images, model = IMAGES.expand(-1, channels, -1, -1), make(channels)
    found = strides_of(model, images, precision)
    assert set(found) == {(144 * channels, 1, 12 * channels, channels)}
    # two parts for values, one batch for statistics of batch norm, a mini-batch
    assert len(found) == (4 if isinstance(model, ResNet) else 3)


class Viewed(nn.Module):
    """A network as many are written, for which images must lie as usual."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve, self.classify = nn.Conv2d(1, 4, 3), nn.Linear(400, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.convolve(images).relu().view(-1, 400))


def test_a_network_that_views_its_images_takes_them_as_they_are() -> None:
    loss = NetworkLoss(Viewed(), IMAGES, CLASSES)
    assert loss.execution.layout == "given"
    point = loss.flatten(Viewed().state_dict())
    estimate = next(loss.estimates(50, np.random.default_rng(0)))
    assert torch.isfinite(gradient(estimate, point[None])).all()


def test_only_images_of_convolutions_are_rearranged() -> None:
    def layout(model: nn.Module, batching: Batching) -> str:
        return NetworkLoss(model, IMAGES, CLASSES, batching=batching).execution.layout

    assert layout(nn.Sequential(nn.Flatten(), nn.Linear(144, 10)), "loop") == "given"
    assert layout(LeNet(size=12), "vmap") == "given"
    assert layout(LeNet(size=12), "loop") == "channels_last"
    assert layout(ResNet(1, 8), "loop") == "channels_last"


class Peculiar(nn.Module):
    """A small convolution with something around it that minds how it is run."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.convolve, self.classify = nn.Conv2d(1, 4, 3), nn.Linear(100, 10)
        self.inside = forward

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.inside(self.convolve, images).flatten(1))


def by_strides(convolve: nn.Module, images: Tensor) -> Tensor:
    squares = images.as_strided((len(images), 1, 10, 10), (144, 144, 12, 1))
    return nn.functional.max_pool2d(convolve(images) * squares, 2)


def rounded(convolve: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return nn.functional.max_pool2d(convolve(images), 2).float()


def in_place(convolve: nn.Module, images: Tensor) -> Tensor:
    found = convolve(images)
    found += 1
    return nn.functional.max_pool2d(found.relu_(), 2).mul_(2)


def by_name(convolve: nn.Module, images: Tensor) -> Tensor:
    assert isinstance(convolve, nn.Conv2d)
    found = nn.functional.conv2d(input=images, weight=convolve.weight, bias=convolve.bias)
    return nn.functional.max_pool2d(input=found, kernel_size=2)


def test_a_network_may_refuse_parameters_that_are_not_its_own() -> None:
    def choosy(convolve: nn.Module, images: Tensor) -> Tensor:
        assert isinstance(convolve, nn.Conv2d)
        if convolve.weight.sum() * own < 0:
            raise ValueError("not mine")
        return nn.functional.max_pool2d(convolve(images), 2)

    model = seeded(lambda: Peculiar(choosy))
    own = float(next(model.parameters()).detach().sum())
    loss = NetworkLoss(model, IMAGES, CLASSES)
    assert np.isfinite(evaluate(loss, points_near(model, 1)).loss).all()


@pytest.mark.parametrize("forward", [by_strides, rounded, in_place, by_name])
def test_networks_that_mind_how_they_are_run_are_what_they_are_in_torch(
    forward: Callable[[nn.Module, Tensor], Tensor],
) -> None:
    model = seeded(lambda: Peculiar(forward))
    loss = NetworkLoss(model, IMAGES, CLASSES)
    point = points_near(model, 1)[0]
    values, slopes = values_and_gradients(loss, point[None])
    expected, slope = value_and_gradient(at(model, point).eval(), IMAGES, CLASSES)
    assert abs(float(values[0]) - expected) < 1e-5
    rounding = 2e-3 if forward is rounded else 1e-5  # summed by parts: bfloat16 has 8 bits
    assert (slopes[0] - slope).norm() < rounding * slope.norm()


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
    """To 1e-5, with statistics of all images in one batch, in the usual layout."""
    x = numbers(2 * BATCH, 1, size, size, seed=22)
    y = torch.arange(len(x)) % 10
    loss = NetworkLoss(model, x, y)
    points = loss.flatten(model.state_dict()) * (1 + 0.1 * numbers(3, loss.dim, seed=23))
    with torch.no_grad():
        expected = np.array(plain_values(model, points, x, y, x))
    assert (expected > 1.5).all()
    assert (expected < 5).all()
    assert np.abs(evaluate(loss, points).loss - expected).max() < 1e-5


@pytest.mark.parametrize("threads", [1, 2])
def test_a_point_has_the_same_bits_in_every_batch(threads: int) -> None:
    """Networks of random widths, of which MKL by default rounds half by their place in a batch."""
    draw, before = np.random.default_rng(17), torch.get_num_threads()
    data = load_digits()
    torch.set_num_threads(threads)
    try:
        for trial in range(12):
            widths = tuple(draw.integers(1, 70, size=draw.integers(1, 3)).tolist())
            n = int(draw.integers(20, 300))
            size = int(draw.integers(2, n))
            loss = NetworkLoss(MLP(64, widths), data.train_inputs[:n], data.train_targets[:n])
            assert loss.execution.batching == "vmap"
            generator = torch.Generator().manual_seed(trial)
            points = 0.3 * torch.randn(16, loss.dim, generator=generator)
            estimate = next(iter(loss.estimates(size, np.random.default_rng(trial))))
            descent, whole = gradient(estimate, points), values_and_gradients(loss, points)
            for count in (1, 3, 5, 8):
                split = points.split(count)
                exact = [values_and_gradients(loss, part) for part in split]
                assert torch.equal(torch.cat([gradient(estimate, p) for p in split]), descent)
                np.testing.assert_array_equal(np.concatenate([v for v, _ in exact]), whole.values)
                assert torch.equal(torch.cat([g for _, g in exact]), whole.gradients)
    finally:
        torch.set_num_threads(before)
