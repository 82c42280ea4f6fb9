"""Permuted and aligned networks: the same function, and the nearest copy by brute force."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nets import MLP, LeNet, NetworkLoss, ResNet, align, symmetry, train_minima
from nets.symmetry import Axis, PermutationGroup, permutation_groups, permuted
from reduction import DataError, OptionError
from simplicial import Minima, Recipe
from tests.nets.networks import numbers


def normed() -> nn.Module:
    """A chain with batch norm of both kinds, nested."""
    features = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(
        features, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 25, 7), nn.BatchNorm1d(7),
        nn.Tanh(), nn.Linear(7, 10),
    )  # fmt: skip


CASES = {
    "mlp": lambda: MLP(144, (9, 6)),
    "lenet": lambda: LeNet(1, 12),
    "normed": normed,
    "resnet": lambda: ResNet(channels=1, depth=14),
    "resnet-ns": lambda: ResNet(channels=1, depth=14, shortcuts=False),
}


def loss_of(name: str) -> NetworkLoss:
    torch.manual_seed(11)
    return NetworkLoss(CASES[name](), numbers(40, 1, 12, 12, seed=4), torch.arange(40) % 10)


def random_point(loss: NetworkLoss, seed: int) -> Tensor:
    """All parameters drawn, so that no two units are alike, those of batch norm included."""
    return numbers(loss.dim, seed=seed) * 0.3


@pytest.mark.parametrize("name", CASES)
def test_a_permuted_network_computes_the_same_function(name: str) -> None:
    loss, rng = loss_of(name), np.random.default_rng(20268)
    groups, point = permutation_groups(loss.model()), random_point(loss, 1)
    orders = [rng.permutation(group.count) for group in groups]
    other = permuted(point, loss, groups, orders)
    assert (other != point).float().mean() > 0.5
    outputs = []
    for p in (point, other):
        model = loss.model().eval()
        model.load_state_dict(loss.state_dict(p))
        with torch.no_grad():
            outputs.append(model(numbers(40, 1, 12, 12, seed=4)))
    scale = outputs[0].abs().max()
    assert (outputs[0] - outputs[1]).abs().max() <= 1e-5 * scale
    backwards = [np.argsort(order) for order in orders]
    assert torch.equal(permuted(other, loss, groups, backwards), point)


@pytest.mark.parametrize(
    ("name", "count"), [("mlp", 2), ("lenet", 4), ("normed", 2), ("resnet", 9), ("resnet-ns", 13)]
)
def test_every_hidden_layer_has_its_group(name: str, count: int) -> None:
    """ResNet-14: a group in each of 6 blocks, and three streams; without shortcuts 13 layers."""
    assert len(permutation_groups(CASES[name]())) == count


@pytest.mark.parametrize("name", CASES)
def test_a_permuted_copy_is_put_right(name: str) -> None:
    loss, rng = loss_of(name), np.random.default_rng(20269)
    groups, point = permutation_groups(loss.model()), random_point(loss, 2)
    near = point + 1e-3 * random_point(loss, 3)
    copy = permuted(near, loss, groups, [rng.permutation(group.count) for group in groups])
    aligned = align(Minima(torch.stack([point, copy]), loss))
    assert torch.equal(aligned.points[0], point)
    assert torch.equal(aligned.points[1], near)


def test_one_hidden_layer_is_matched_as_well_as_can_be() -> None:
    torch.manual_seed(12)
    loss = NetworkLoss(MLP(4, (5,), 3), numbers(9, 4, seed=4), torch.arange(9) % 3)
    points = torch.stack([random_point(loss, seed) for seed in (5, 6, 7)])
    groups = permutation_groups(loss.model())
    aligned = align(Minima(points, loss)).points
    for k in (1, 2):
        copies = [
            permuted(points[k], loss, groups, [np.array(order)]) for order in permutations(range(5))
        ]
        nearest = min(float((points[0] - copy).norm()) for copy in copies)
        assert float((points[0] - aligned[k]).norm()) == pytest.approx(nearest, rel=1e-6)
        assert nearest < 0.98 * float((points[0] - points[k]).norm())


@pytest.mark.parametrize("name", CASES)
def test_aligned_networks_are_nearer_and_have_the_same_loss(name: str) -> None:
    loss = loss_of(name)
    minima = Minima(torch.stack([random_point(loss, seed) for seed in (8, 9)]), loss)
    aligned = align(minima)
    before, after = (float((m.points[0] - m.points[1]).norm()) for m in (minima, aligned))
    assert after < before
    np.testing.assert_allclose(aligned.values, minima.values, rtol=1e-5)
    assert torch.equal(align(minima).points, aligned.points)


def test_trained_networks_are_aligned_on_request() -> None:
    loss = loss_of("mlp")
    recipe = Recipe(epochs=2, batch_size=20, learning_rate=0.1)
    plain = train_minima(loss, 3, recipe=recipe, seed=6)
    found = train_minima(loss, 3, recipe=recipe, align=True, seed=6)
    assert torch.equal(found.points, align(plain, seed=6).points)
    assert torch.equal(found.points[0], plain.points[0])
    assert not torch.equal(found.points[1], plain.points[1])


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).relu())


class Deciding(Own):
    """Its forward decides by the values of its parameters."""

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).relu() if self.inner.bias.sum() > 0 else self.inner(x))


def small_loss(model: nn.Module) -> NetworkLoss:
    return NetworkLoss(model, numbers(9, 4, seed=4), torch.arange(9) % 3, batching="loop")


def pair_of(loss: NetworkLoss) -> Minima:
    return Minima(torch.stack([random_point(loss, seed) for seed in (1, 2)]), loss)


def test_units_may_be_named_by_hand() -> None:
    torch.manual_seed(13)
    loss = small_loss(Own())
    minima = pair_of(loss)
    axes = (Axis("inner.weight", 0), Axis("inner.bias", 0), Axis("outer.weight", 1))
    aligned = align(minima, units=[PermutationGroup(6, axes)])
    np.testing.assert_allclose(aligned.values, minima.values, rtol=1e-5)
    assert not torch.equal(aligned.points, minima.points)
    assert torch.equal(aligned.points, align(minima).points)
    assert permutation_groups(loss.model()) == (PermutationGroup(6, axes),)
    for wrong, message in (
        (PermutationGroup(5, axes), "5 units of 1 along axis 0 of 'inner.weight' with shape"),
        (PermutationGroup(6, (Axis("none", 0),)), "'none' is frozen, tied to another or not there"),
        (PermutationGroup(6, (*axes, axes[0])), "axis 0 of 'inner.weight' is named twice"),
        (PermutationGroup(6, (Axis("inner.bias", 0, start=1),)), "6 units of 1 along axis 0 of"),
        (PermutationGroup(6, axes[:2]), "the loss of network 1 went from .* to .*: name the units"),
    ):
        with pytest.raises(DataError, match=message):
            align(minima, units=[wrong])
    with pytest.raises(DataError, match="where tracing finds them, got a list of units"):
        align(minima, units=[PermutationGroup(6, axes)], method="activations")


def test_a_forward_that_decides_by_values_is_refused_unless_its_units_are_named() -> None:
    torch.manual_seed(14)
    loss = small_loss(Deciding())
    minima = pair_of(loss)
    with pytest.raises(DataError, match=r"must not decide by the values .*Deciding.*name the unit"):
        align(minima)
    axes = (Axis("inner.weight", 0), Axis("inner.bias", 0), Axis("outer.weight", 1))
    aligned = align(minima, units=[PermutationGroup(6, axes)])
    np.testing.assert_allclose(aligned.values, minima.values, rtol=1e-5)
    with pytest.raises(DataError, match="Deciding fails"):
        train_minima(loss, 2, align=True)


@pytest.mark.parametrize(("former", "name"), [("Place", "Axis"), ("Units", "PermutationGroup")])
def test_former_names_stay_for_a_release(former: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{former} is called nets.symmetry.{name}: change"):
        assert issubclass(getattr(symmetry, former), getattr(symmetry, name))


def test_units_are_found_under_their_former_name() -> None:
    with pytest.warns(DeprecationWarning, match="is called nets.symmetry.permutation_groups"):
        assert symmetry.units_of is permutation_groups


def test_former_keywords_and_fields_stay_for_a_release() -> None:
    with pytest.warns(DeprecationWarning, match="change the name"):
        place, units = symmetry.Place, symmetry.Units
    axis = place(name="layers.1.weight", axis=1, block=4)
    group = units(count=6, places=(axis,))
    assert axis == place("layers.1.weight", 1, 4) == Axis("layers.1.weight", 1, 4)
    assert group == units(6, (axis,)) == PermutationGroup(6, (axis,))
    for value, former, name in (
        (group, "places", "axes"),
        (axis, "name", "parameter"),
        (axis, "axis", "dim"),
    ):
        with pytest.warns(DeprecationWarning, match=f"{former} is called nets.symmetry.*{name}"):
            assert getattr(value, former) == getattr(value, name)


def test_a_network_without_hidden_units_is_refused() -> None:
    minima = pair_of(small_loss(nn.Linear(4, 3)))
    with pytest.raises(DataError, match="Linear has none that may be permuted: leave out align"):
        align(minima)
    with pytest.raises(OptionError, match=r"method must be one of .*'weight'"):
        align(minima, method="weight")  # pyright: ignore[reportArgumentType]
