"""Values that are computed together with their gradients."""

import weakref
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from nets import LeNet, NetworkLoss
from nets.execution.value_and_grad import differentiable
from simplicial.evaluation import evaluate, gradient, hessian_operator
from tests.nets.networks import numbers, points_near, seeded

IMAGES = numbers(40, 1, 12, 12, seed=31)
CLASSES = torch.arange(40) % 10


def cubes(points: Tensor, buffers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    return points.pow(3).sum(1) * buffers["factor"], points.detach()[:, 0]


def slopes_of_cubes(points: Tensor, buffers: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    by_points = 3 * points**2 * buffers["factor"][:, None]
    by_factor = [points.pow(3).sum(1)] if buffers["factor"].requires_grad else []
    return *cubes(points, buffers), by_points, *by_factor


def test_values_and_derivatives_of_all_orders() -> None:
    points = torch.tensor([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]], dtype=torch.float64)
    ones = {"factor": torch.ones(3, dtype=torch.float64), "step": torch.zeros(3).long()}
    values, shares = differentiable(points, ones, cubes, slopes_of_cubes)
    assert not values.requires_grad
    assert torch.equal(shares, points[:, 0])
    leaf = points.clone().requires_grad_()
    weights = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    again, shares = differentiable(leaf * 2, ones, cubes, slopes_of_cubes)
    assert torch.equal(again, 8 * values)
    assert not shares.requires_grad
    (first,) = torch.autograd.grad((weights * again).sum(), leaf, create_graph=True)
    assert torch.equal(first, 24 * weights[:, None] * points**2)
    (second,) = torch.autograd.grad(first.sum(), leaf, create_graph=True)
    assert torch.equal(second, 48 * weights[:, None] * points)
    (third,) = torch.autograd.grad(second.sum(), leaf)
    assert torch.equal(third, 48 * weights[:, None].expand(3, 2))


def test_derivatives_by_buffers_that_depend_on_the_points() -> None:
    """x^3 times a factor that is x^2: 5 x^4, 20 x^3."""
    leaf = torch.tensor([[1.0], [-2.0]], dtype=torch.float64).requires_grad_()
    buffers = {"factor": leaf[:, 0] ** 2, "step": torch.zeros(2).long()}
    values, _ = differentiable(leaf, buffers, cubes, slopes_of_cubes)
    (first,) = torch.autograd.grad(values.sum(), leaf, retain_graph=True)
    assert torch.equal(first, 5 * leaf.detach() ** 4)
    (again,) = torch.autograd.grad(values.sum(), leaf, create_graph=True)
    assert torch.equal(again, first)
    assert torch.equal(torch.autograd.grad(again.sum(), leaf)[0], 20 * leaf.detach() ** 3)


def test_what_a_point_keeps_is_gone_when_the_next_is_begun() -> None:
    alive, is_watched = list["weakref.ref[Tensor]"](), False

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 10, 12)

        def forward(self, images: Tensor) -> Tensor:
            inside = self.layer(images).exp()
            if is_watched:
                assert not any(kept() is not None for kept in alive)
                alive.append(weakref.ref(inside))
            return inside.sin().flatten(1)

    model = seeded(Watched)
    loss = NetworkLoss(model, IMAGES, CLASSES)
    assert loss.execution.batching == "loop"
    evaluate(loss, points_near(model, 1))  # the first use, which is preceded by checks
    is_watched = True
    values = loss(points_near(model, 3).requires_grad_())
    values.sum().backward()
    assert len(alive) == 3


class Smooth(nn.Module):
    """A network with a layer that differs between training and evaluation."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 3, 3), layer, nn.Tanh(), nn.Flatten(), nn.Linear(300, 10)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Counted(nn.Module):
    """Its output depends on a buffer that training counts up."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return x * (1 + self.calls)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm2d(3), Counted()], ids=str)
def test_second_derivatives_of_an_estimate_are_those_of_training_whatever_came_between(
    layer: nn.Module,
) -> None:
    """Each gradient that can be differentiated runs the network again, in the mode of before."""
    model = seeded(lambda: Smooth(layer)).double()
    loss = NetworkLoss(model, IMAGES.double(), CLASSES)
    assert loss.execution.batching == "loop"
    point = points_near(model, 1)[0].double()
    estimate = next(loss.estimates(40, np.random.default_rng(1)))
    at = point[None].clone().requires_grad_()
    value = estimate(at)
    evaluate(loss, point[None])  # leaves the network in evaluation mode
    (slope,) = torch.autograd.grad(value.sum(), at, create_graph=True)
    assert torch.equal(slope, gradient(estimate, point[None]))
    direction = numbers(loss.dim, seed=32).double()
    evaluate(loss, point[None])
    (found,) = torch.autograd.grad((slope[0] * direction).sum(), at)
    step = 1e-6
    near = torch.stack([point + step * direction, point - step * direction])
    differences = torch.cat([gradient(estimate, each[None]) for each in near])
    expected = (differences[0] - differences[1]) / (2 * step)
    # the step's square, and 2e-16 by the step
    assert (found[0] - expected).norm() < 1e-5 * expected.norm()


def test_products_with_the_hessian_are_torchs() -> None:
    model = seeded(lambda: LeNet(size=12)).double()
    images = IMAGES.double()
    loss = NetworkLoss(model, images, CLASSES)
    assert loss.execution.layout == "channels_last"
    point, direction = points_near(model, 1)[0].double(), numbers(loss.dim, seed=33).double()

    def plain(at: Tensor) -> Tensor:
        return cross_entropy(functional_call(model, loss.coordinates.views(at), images), CLASSES)

    found = hessian_operator(loss, point)
    expected = torch.func.jvp(torch.func.grad(plain), (point,), (direction,))
    for own, torchs in zip((found.gradient, found.hessian(direction)), expected, strict=True):
        assert (own - torchs).norm() < 1e-12 * torchs.norm()  # sums of thousands, 2e-16 each


def test_torch_func_and_forward_mode_are_refused() -> None:
    """As `NetworkLoss` says: it is differentiable by torch.autograd."""
    loss = NetworkLoss(seeded(lambda: LeNet(size=12)), IMAGES, CLASSES)
    points = points_near(LeNet(size=12), 1)
    evaluate(loss, points)
    with pytest.raises(RuntimeError, match="setup_context"):
        torch.func.grad(lambda points: loss(points).sum())(points)
