"""Running statistics are the population's: no order and no partition of the inputs changes them."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import batch_norm as torch_batch_norm
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Grayscale, ToTensor

from nets import NetworkLoss
from nets.execution import point_bytes
from nets.execution.batch_norm import population_statistics
from reduction import DataError
from tests.nets.execution.test_functional import LABELS, PAIRS, Ghost, Siamese, repeated
from tests.nets.networks import (
    Normed,
    X,
    Y,
    at,
    batch_norm,
    numbers,
    plain_values,
    points_near,
    seeded,
    with_statistics,
    within,
)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """All inputs are too many for one batch: parts of at most 128."""
    monkeypatch.setattr(point_bytes, "ONE_BATCH", 0)


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(36, 10),
    )


def digits() -> tuple[Tensor, Tensor]:
    """300 digits, sorted by class."""
    data: Any = load_digits()
    order = np.argsort(data.target[:300], kind="stable")
    x = torch.as_tensor(data.images[order] / 16, dtype=torch.float32)[:, None]
    return x, torch.as_tensor(data.target[order])


@pytest.mark.parametrize("parts", ["one batch", "many"])
def test_no_order_of_the_data_changes_a_value(parts: str, request: pytest.FixtureRequest) -> None:
    if parts == "many":
        request.getfixturevalue("many")
    x, y = digits()
    shuffled = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    model = seeded(images)
    points = points_near(model)
    expected = plain_values(model, points, x, y, x)
    for order in (slice(None), shuffled, y.argsort(descending=True)):
        loss = NetworkLoss(model, x[order], y[order])
        assert loss.evaluate(points).loss.tolist() == pytest.approx(expected, rel=1e-5)
        state = loss.state_dict(points[0])
        for name, buffer in with_statistics(model, points[0], x).named_buffers():
            if "running" in name:
                torch.testing.assert_close(state[name], buffer, rtol=1e-5, atol=1e-6)


def test_a_folder_of_images_by_class_has_the_values_of_all_images_in_one_batch(
    tmp_path: Path,
) -> None:
    x, y = digits()
    pixels = (255 * x).round().to(torch.uint8)
    for i, (image, label) in enumerate(zip(pixels, y.tolist(), strict=True)):
        folder = tmp_path / str(label)
        folder.mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / f"{i}.png")
    data = ImageFolder(str(tmp_path), Compose([Grayscale(), ToTensor()]))
    model = seeded(images)
    points = points_near(model)
    expected = plain_values(model, points, pixels / 255, y, pixels / 255)
    for given in (data, DataLoader(data, batch_size=50, shuffle=True)):
        found = NetworkLoss(model, given).evaluate(points).loss
        assert found.tolist() == pytest.approx(expected, rel=1e-5)


class ChannelsLast(nn.BatchNorm1d):
    """Batch norm of (n, length, channels), as many sequence models write it."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class Functional(nn.Module):
    """Batch norm that its parent computes by torch's function."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.norm, self.after = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        norm, x = self.norm, self.before(x)
        mean, var = norm.running_mean, norm.running_var
        return self.after(torch_batch_norm(x, mean, var, norm.weight, norm.bias, norm.training))


def sequences() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Linear(3, 2), ChannelsLast(2), nn.Flatten(), nn.Linear(4, 3)
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "in a row": batch_norm,
    "no momentum": lambda: batch_norm(momentum=None),
    "not affine": lambda: batch_norm(affine=False),
    "synchronised": lambda: nn.SyncBatchNorm.convert_sync_batchnorm(batch_norm()),
    "under two names": repeated,
    "subclass": sequences,
    "instance norm": Normed,
    "other axes": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.BatchNorm1d(2), nn.Flatten(), nn.Linear(6, 3)
    ),
    "volumes": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3, 1, 1)), nn.BatchNorm3d(2), nn.Flatten(), nn.Linear(6, 3)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_statistics_are_those_of_all_inputs_in_one_batch(name: str) -> None:
    x, y = X[:240].double(), Y[::4][:240]
    model = seeded(MODELS[name]).double()
    points = points_near(model)
    loss = NetworkLoss(model, x, y)
    assert loss(points).tolist() == within(plain_values(model, points, x, y, x))
    counts = {k: v for k, v in loss.state_dict(points[0]).items() if "tracked" in k}
    assert all(count == 0 for count in counts.values())


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("name", MODELS)
def test_no_partition_of_the_inputs_changes_statistics(name: str) -> None:
    x, y = X[:300].double().sort(dim=0).values, Y[::3][:300]
    model = seeded(MODELS[name]).double()
    points = points_near(model)
    loss = NetworkLoss(model, x, y)
    assert loss(points).tolist() == within(plain_values(model, points, x, y, x))
    assert torch.equal(loss(points[1:2]), loss(points)[1:2])


class Checkpointed(nn.Module):
    """Norms after a part that torch runs again for gradients: calls are those of a copy."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.before, self.norm = nn.Sequential(nn.Linear(6, 5), nn.Tanh()), norm
        self.after = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.norm(checkpoint(self.before, x, use_reentrant=False)))


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.SyncBatchNorm])
def test_statistics_of_a_copied_network_are_those_of_the_copy(norm: Callable[[int], Any]) -> None:
    x, y = X[:240].double(), Y[::4][:240]
    model = seeded(lambda: Checkpointed(norm(5))).double()
    points = points_near(model)
    loss = NetworkLoss(model, x, y)
    assert loss.functional[0].needs.copied
    assert loss(points).tolist() == within(plain_values(model, points, x, y, x))


def test_statistics_of_one_batch_have_the_bits_of_torchs_training_mode() -> None:
    model, x = seeded(batch_norm), X[:240]
    points = points_near(model)
    found = NetworkLoss(model, x, Y[::4][:240]).state_dict(points[1])
    network = with_statistics(model, points[1], x)
    for name, buffer in network.named_buffers():
        if "running" in name:
            assert torch.equal(found[name], buffer), name


@pytest.mark.usefixtures("many")
def test_calls_of_a_norm_have_statistics_of_all_parts() -> None:
    model = seeded(Siamese).double()
    points = points_near(model)
    found = NetworkLoss(model, PAIRS, LABELS)(points)
    assert found.tolist() == within(plain_values(model, points, PAIRS, LABELS, PAIRS))
    ghost, x = seeded(Ghost).double(), X[:360].double()
    points = points_near(ghost)
    found = NetworkLoss(ghost, x, LABELS)(points)
    assert found.tolist() == within(plain_values(ghost, points, x, LABELS, x))


def test_a_parent_may_compute_batch_norm_by_torchs_function() -> None:
    x, y = X[:240].double(), Y[::4][:240]
    model = seeded(Functional).double()
    state = NetworkLoss(model, x, y).state_dict(nn.utils.parameters_to_vector(model.parameters()))
    hidden = model.get_submodule("before")(x).detach()
    torch.testing.assert_close(state["norm.running_mean"], hidden.mean(dim=0), rtol=1e-12, atol=0)
    torch.testing.assert_close(state["norm.running_var"], hidden.var(dim=0), rtol=1e-12, atol=0)


@pytest.mark.usefixtures("many")
def test_batch_norm_of_a_width_is_passed_over_once_for_each_layer_and_once_more() -> None:
    model, seen = seeded(images), list[int]()
    model[-1].register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))  # pyright: ignore
    model[0].register_forward_pre_hook(lambda _, x: seen.append(-len(x[0])))  # pyright: ignore
    x, y = digits()
    loss = NetworkLoss(model, x, y)
    points = points_near(model, 1)
    loss(points)
    seen.clear()
    loss(points)
    assert seen.count(-100) == 3 * 4  # two layers: three passes; and the values
    assert seen.count(100) == 3 * 2


def test_statistics_of_many_images_are_exact_in_single_precision() -> None:
    """torch's own sums over images with channels last have a variance that is off by 1e-4."""
    x = numbers(1000, 2, 24, 24, seed=9) + torch.linspace(-3, 3, 1000)[:, None, None, None]
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(1728, 2))
    loss = NetworkLoss(model, x, torch.arange(1000) % 2)
    assert loss.execution.layout == "channels_last"
    state = loss.state_dict(nn.utils.parameters_to_vector(model.parameters()).detach())
    hidden = model[0].double()(x.double()).transpose(0, 1).flatten(1).detach()
    torch.testing.assert_close(
        state["1.running_var"].double(), hidden.var(dim=1), rtol=1e-6, atol=0
    )


class Home(nn.Module):
    """Batch norm by hand, as textbooks have it."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, momentum: float | None = 0.1, turned: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))
        self.register_buffer("running_mean", torch.zeros(1, 5))
        self.register_buffer("running_var", torch.ones(1, 5))
        self.turned, self.own = turned, 0.1
        if momentum is not None:
            self.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            share = getattr(self, "momentum", self.own)
            share = 1 - share if self.turned else share
            mean, var = x.mean(dim=0, keepdim=True), x.var(dim=0, keepdim=True)
            self.running_mean = (1 - share) * self.running_mean + share * mean.detach()
            self.running_var = (1 - share) * self.running_var + share * var.detach()
        return self.weight * (x - mean) / (var + 1e-5).sqrt()


def home(momentum: float | None = 0.1, turned: bool = False) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), Home(momentum, turned), nn.Tanh(), nn.Linear(5, 3))


def test_a_norm_by_hand_has_statistics_of_all_inputs() -> None:
    x, y = X[:240].double(), Y[::4][:240]
    model = seeded(home).double()
    points = points_near(model)
    values = NetworkLoss(model, x, y)(points).tolist()
    for value, point in zip(values, points, strict=True):
        network = at(model, point)
        hidden = network.get_submodule("0")(x).detach()
        buffers = {"1.running_mean": hidden.mean(0)[None], "1.running_var": hidden.var(0)[None]}
        network.load_state_dict(buffers, strict=False)
        assert abs(value - nn.functional.cross_entropy(network.eval()(x), y).item()) < 1e-12


def test_a_norm_by_hand_that_does_not_take_one_batch_is_refused() -> None:
    with pytest.raises(DataError, match=r"where momentum is 1, .* Home updates its own otherwise"):
        NetworkLoss(home(0.9, turned=True), X, Y)
    loss = NetworkLoss(home(None), X, Y, batching="loop")
    with pytest.raises(DataError, match="Home updates its own in training and has none"):
        loss(points_near(home(None)))
    stored = NetworkLoss(home(None), X, Y, batch_norm="stored")
    assert stored(points_near(home(None))).isfinite().all()


@pytest.mark.usefixtures("many")
def test_a_norm_by_hand_is_refused_for_more_inputs_than_one_batch() -> None:
    with pytest.raises(DataError, match=r"Home, .*, must be those of one batch"):
        NetworkLoss(seeded(home), X, Y)(points_near(home()))


class Branching(nn.Module):
    """Norms whose order depends on the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.head = nn.BatchNorm1d(6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        norms = (self.one, self.other) if x[0, 0] > 0 else (self.other, self.one)
        return self.head(norms[1](norms[0](x).tanh()))


def test_norms_whose_order_depends_on_the_inputs_are_refused_for_several_parts() -> None:
    model, x = Branching().eval(), X[:300].sort(dim=0).values
    with pytest.raises(DataError, match="a network must call its norms in one order"):
        population_statistics([model.one, model.other], model, x.split(100))


def test_many_parts_leave_no_tensors_between_their_inputs() -> None:
    """Tensors for each part kept the memory of its inputs from being used again: 2.4 GB of 4."""
    norm, parts = nn.BatchNorm1d(3).eval(), list(numbers(200, 5, 3, seed=66))
    alive = list[int]()

    def forward(part: Tensor) -> None:
        if part is parts[1] or part is parts[-1]:
            tensors = [x for x in gc.get_objects() if type(x) is Tensor and not x.is_nested]
            alive.append(sum(x.shape == (3,) for x in tensors))
        norm(part)

    (found,) = population_statistics([norm], forward, parts)
    assert len(alive) >= 2
    assert max(alive) - alive[0] < 20
    assert found is not None
    together = torch.cat(parts).double()
    assert torch.allclose(found.mean, together.mean(dim=0), rtol=1e-6)
    assert torch.allclose(found.var, together.var(dim=0), rtol=1e-6)
