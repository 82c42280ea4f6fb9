"""The memory of a point against what torch keeps of a whole mini-batch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import MLP, LeNet, NetworkLoss, ResNet
from nets.names import BatchNorm
from tests.nets.networks import X, Y, at, numbers, seeded


def residual() -> nn.Module:
    return ResNet(1, 8)


def test_point_bytes_count_parameters_and_what_a_gradient_keeps():
    small = NetworkLoss(MLP(6, (8,), 3), X, Y)
    wide = NetworkLoss(MLP(6, (800,), 3), X, Y)
    assert small.point_bytes() >= 83 * 4 + 300 * 8 * 4  # a hidden layer on a part of the data
    assert 50 < wide.point_bytes() / small.point_bytes() < 200


@pytest.mark.parametrize("make", [lambda: MLP(144, (30,)), lambda: LeNet(size=12), residual])
def test_point_bytes_are_those_of_a_whole_mini_batch(make: Callable[[], nn.Module]) -> None:
    """Of the networks' own arrays; and that not the whole mini-batch is run to know it."""
    images, classes, sizes = numbers(600, 1, 12, 12), torch.arange(600) % 10, list[int]()
    model = seeded(make)
    model.register_forward_pre_hook(lambda _, x: sizes.append(len(x[0])))
    loss = NetworkLoss(model, images.flatten(1) if isinstance(model, MLP) else images, classes)
    assert loss.point_bytes() > loss.point_bytes(gradients=False)
    assert max(sizes) <= 32
    point = loss.flatten(model.state_dict())[None].requires_grad_()
    kept = list[int]()

    def count(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    inputs = images[:512].flatten(1) if isinstance(model, MLP) else images[:512]
    network, inputs = at(model, point[0]).eval(), loss.execution.arranged(inputs)
    with (
        torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
        loss.execution.arithmetic(training=False),
    ):
        cross_entropy(network(inputs), classes[:512])
    assert loss.point_bytes() - 16 * point.numel() == pytest.approx(sum(kept), rel=0.25)


@pytest.mark.parametrize(
    ("choice", "examples", "at_once"),
    [("stored", 100, 100), ("stored", 1_100, 128), ("recomputed", 1_100, 1_100)],
)
def test_a_point_takes_less_without_its_gradient(
    choice: BatchNorm, examples: int, at_once: int
) -> None:
    """Four layers of a part of the images; of all of them where they give the statistics."""
    images, classes = numbers(examples, 1, 12, 12), torch.arange(examples) % 10
    loss = NetworkLoss(seeded(residual), images, classes, batch_norm=choice)
    parameters, layer = 16 * loss.dim, at_once * 16 * 12 * 12 * 4
    assert loss.point_bytes(gradients=False) == pytest.approx(parameters + 4 * layer, rel=0.01)
    assert loss.point_bytes(gradients=False) < loss.point_bytes()
