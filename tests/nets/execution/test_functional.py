"""Networks that use a module twice, or change in place what they are given, against plain torch."""

import copy
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from nets import NetworkLoss, ResNet
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError
from tests.nets.networks import (
    X,
    Y,
    at,
    bound,
    numbers,
    plain_values,
    points_near,
    seeded,
    value_and_gradient,
    within,
)

PAIRS, LABELS = numbers(360, 2, 6, seed=81).double() * torch.tensor([[1.0], [3.0]]), Y[::3][:360]


class Siamese(nn.Module):
    """One branch for both halves of a pair."""

    def __init__(self, second_first: bool = False) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh())
        self.head, self.second_first = nn.Linear(5, 3), second_first

    def forward(self, pairs: Tensor) -> Tensor:
        halves = pairs.unbind(dim=1)
        if self.second_first:
            second, first = map(self.branch, halves[::-1])
        else:
            first, second = map(self.branch, halves)
        return self.head(first - second)


@pytest.mark.parametrize("batching", BATCHINGS)
def test_statistics_are_those_of_all_calls_of_a_batch_norm(batching: Batching) -> None:
    """The variance between calls included."""
    model = seeded(Siamese).double()
    loss = NetworkLoss(model, PAIRS, LABELS, batching=batching)
    points = points_near(model)
    expected = plain_values(model, points, PAIRS, LABELS, PAIRS)
    assert loss.evaluate(points).loss.tolist() == within(expected)


def test_the_order_of_a_batch_norms_calls_changes_nothing() -> None:
    model, turned = seeded(Siamese).double(), seeded(lambda: Siamese(second_first=True)).double()
    points = points_near(model)
    one, other = (NetworkLoss(each, PAIRS, LABELS).evaluate(points) for each in (model, turned))
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-12)


class Ghost(nn.Module):
    """Batch norm of a few examples at a time: the number of its calls depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.norm, self.after = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.cat([self.norm(few) for few in self.before(x).split(24)]).tanh())


@pytest.mark.parametrize("batching", BATCHINGS)
def test_calls_of_a_batch_norm_may_depend_on_the_data(batching: Batching) -> None:
    """360 examples, normed in 15 calls."""
    x = 2 * X[:360].double() + X[:360].double().sort(dim=0).values
    model = seeded(Ghost).double()
    loss = NetworkLoss(model, x, LABELS, batching=batching)
    points = points_near(model)
    values = loss.evaluate(points).loss
    assert values.tolist() == within(plain_values(model, points, x, LABELS, x))
    again = loss.evaluate(points[:1].repeat(3, 1)).loss
    assert (again == values[0]).all()


def repeated() -> nn.Module:
    """A layer and a batch norm under two names each, and a weight that two layers have."""
    layer, norm, last = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 6)
    last.weight = layer.weight
    return nn.Sequential(layer, norm, nn.Tanh(), layer, norm, nn.Tanh(), last, nn.Linear(6, 3))


@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_module_may_have_two_names(batching: Batching) -> None:
    x, y = X[:120].double(), Y[::9][:120]
    model = seeded(repeated).double()
    loss = NetworkLoss(model, x, y, batching=batching)
    points = points_near(model)
    for value, point in zip(loss.values_and_gradients(points)[0], points, strict=True):
        network = copy.deepcopy(model)
        network.load_state_dict(loss.state_dict(point))
        expected, _ = value_and_gradient(network.eval(), x, y)
        assert abs(value - expected) <= bound(torch.float64)
    for estimate in islice(loss.estimates(32, np.random.default_rng(0)), 2):
        estimate(points)
    own = loss.model().state_dict()
    assert all(torch.equal(own[name], value) for name, value in model.state_dict().items())


class Writing(nn.Module):
    """Changes its inputs, and draws in training mode."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.ReLU(inplace=in_place), nn.Linear(6, 3))
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.in_place else x.clone()
        x += 1
        if self.training:
            x += torch.randn_like(x)
        return self.body(x)


def writing_loss(outputs: Tensor, y: Tensor) -> Tensor:
    """The classes the other way round."""
    return cross_entropy(outputs.mul_(2).flip(1), y.neg_().add_(2))


@pytest.mark.parametrize("batching", BATCHINGS)
def test_what_changes_its_inputs_in_place_changes_no_data(batching: Batching) -> None:
    def results(in_place: bool) -> list[Tensor]:
        x, y = X.clone(), Y.clone()
        model = seeded(lambda: Writing(in_place))
        own = writing_loss if in_place else _out_of_place
        loss = NetworkLoss(model, x, y, loss_fn=own, batching=batching)
        points = points_near(model)
        estimate = next(loss.estimates(32, np.random.default_rng(0)))
        found = [loss(points), *loss.values_and_gradients(points), estimate(points), loss(points)]
        found.append(torch.as_tensor(loss.evaluate(points).accuracy))
        assert torch.equal(estimate(points), found[3])
        assert torch.equal(x, X)
        assert torch.equal(y, Y)
        return found

    assert all(map(torch.equal, results(in_place=True), results(in_place=False)))


def _out_of_place(outputs: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(2 * outputs.flip(1), 2 - y)


@pytest.mark.parametrize("size", [4, 8])
def test_one_value_of_a_channel_is_refused_before_training(size: int) -> None:
    """Images of 4 x 4 pixels are one number at the end of a residual network."""
    model = seeded(lambda: ResNet(1, 8, classes=3))
    loss = NetworkLoss(model, numbers(9, 1, size, size), Y[:9])
    batches = loss.estimates(4, np.random.default_rng(0))
    if size == 4:
        with pytest.raises(
            DataError, match=r"two values of a channel .* 9 examples in batches of 4"
        ):
            next(batches)
    else:
        assert len(list(batches)) == 3


def test_statistics_of_one_value_are_refused() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)))
    with pytest.raises(DataError, match="more than 1 value per channel"):
        NetworkLoss(model, X, Y, statistics=X[:1])


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Linear(6, 6), (6,)), (nn.Conv2d(1, 6, 8), (1, 8, 8))], ids=str
)
def test_a_layer_that_is_run_again_has_the_gradient_of_its_point(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    """By then a functional call has put the layer's own parameters back. The hyperbolic tangent's
    derivative is even: at the opposite point it is the same."""

    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Sequential(layer, nn.Tanh()), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(checkpoint(self.layer, x, use_reentrant=False).flatten(1))

    model, x, y = Again(), numbers(99, *shape), Y[:99]
    with pytest.raises(DataError, match=r"Again does by torch.utils.checkpoint: pass batching='lo"):
        NetworkLoss(model, x, y, batching="vmap")
    loss, points = NetworkLoss(model, x, y), points_near(model)
    for point, gradient in zip(points, loss.values_and_gradients(points)[1], strict=True):
        expected = value_and_gradient(at(model, point).eval(), x, y)[1]
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)


def test_whatever_a_forward_raises_is_one_sentence() -> None:
    class Asserting(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            assert input.shape[1] == 5, "five numbers each"
            return super().forward(input)

    with pytest.raises(DataError, match=r"Asserting on inputs .* fails: five numbers each"):
        NetworkLoss(Asserting(6, 3), X, Y)
