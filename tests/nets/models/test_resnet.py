"""Residual networks: the literature's counts, and the function by its formula."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, linear, relu

from nets import NetworkLoss, ResNet
from nets.models import build
from tests.nets.networks import numbers

# He et al. (2016), table 6, by their option A, which has no parameters in shortcuts: 0.27, 0.85 and
# 1.7 million. Two 1x1 convolutions with batch norm, 16 to 32 and 32 to 64 channels, come to 2,752.
WITHOUT = {20: 269_722, 56: 853_018, 110: 1_727_962}
SHORTCUTS = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("depth", WITHOUT)
def test_parameters_and_layers_are_the_literatures(depth: int) -> None:
    assert parameter_count(ResNet(depth=depth, shortcuts=False)) == WITHOUT[depth]
    model = ResNet(depth=depth)
    assert parameter_count(model) == WITHOUT[depth] + SHORTCUTS
    threes = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    ones = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert len(threes) + 1 == depth
    assert len(ones) == 2
    assert [m.out_channels for m in threes] == [
        *[16] * (1 + (depth - 2) // 3), *[32] * ((depth - 2) // 3), *[64] * ((depth - 2) // 3)
    ]  # fmt: skip


def test_width_multiplies_the_filters() -> None:
    """WideResNet-56-1 is ResNet-56; at width k all but the ends have k^2 times the weights."""
    assert parameter_count(ResNet(depth=56, width=1)) == WITHOUT[56] + SHORTCUTS
    wide = ResNet(depth=56, width=2)
    convolutions = [m for m in wide.modules() if isinstance(m, nn.Conv2d)]
    assert {m.out_channels for m in convolutions} == {32, 64, 128}
    narrow = [m for m in ResNet(depth=56).modules() if isinstance(m, nn.Conv2d)]
    for k, (a, b) in enumerate(zip(narrow, convolutions, strict=True)):
        assert b.weight.numel() == (2 if k == 0 else 4) * a.weight.numel()


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8)])
@pytest.mark.parametrize("depth", [20, 56, 110])
def test_images_of_any_size_pass_through(
    depth: int, shape: tuple[int, int, int], shortcuts: bool
) -> None:
    model = build("resnet", shape, 10, depth=depth, shortcuts=shortcuts).eval()
    with torch.no_grad():
        logits = model(numbers(2, *shape))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()


def by_formula(state: dict[str, Tensor], x: Tensor, shortcuts: bool) -> Tensor:
    """ResNet-14's output in training mode, written out from its weights in their order."""
    weights = iter([v for k, v in state.items() if "running" not in k and "num_batches" not in k])

    def convolved(x: Tensor, stride: int = 1) -> Tensor:
        kernel = next(weights)
        x = conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        scale, shift = next(weights), next(weights)
        return batch_norm(x, None, None, scale, shift, training=True)

    x = relu(convolved(x))
    for stage in range(3):
        for block in range(2):
            changes = stage > 0 and block == 0
            y = convolved(relu(convolved(x, 2 if changes else 1)))
            if shortcuts:
                y = y + (convolved(x, 2) if changes else x)
            x = relu(y)
    return linear(x.mean(dim=(2, 3)), next(weights), next(weights))


@pytest.mark.parametrize("shortcuts", [True, False])
def test_the_function_is_that_of_the_formula(shortcuts: bool) -> None:
    torch.manual_seed(20266)
    model = ResNet(channels=2, depth=14, shortcuts=shortcuts, classes=5).double()
    x = numbers(4, 2, 9, 9).double()
    expected = by_formula(model.state_dict(), x, shortcuts)
    torch.testing.assert_close(model.train()(x), expected)


def test_statistics_of_a_trained_network_are_wrong_at_a_midpoint() -> None:
    """Batch norm's averages are computed anew at every point; those of an end would mislead."""
    torch.manual_seed(20267)
    x, y = numbers(64, 1, 8, 8), torch.arange(64) % 10
    loss = NetworkLoss(ResNet(channels=1, depth=8), x, y)
    states = []
    for _ in range(2):
        model = ResNet(channels=1, depth=8)
        for _ in range(30):  # averages of the last steps, momentum 0.1
            model.train()(x)
        states.append(model.state_dict())
    a, b = (loss.flatten(state) for state in states)
    middle = (a + b) / 2
    right = float(loss(middle[None])[0])

    fresh, stale = ResNet(channels=1, depth=8), ResNet(channels=1, depth=8)
    fresh.load_state_dict(loss.state_dict(middle))
    stale.load_state_dict(states[0] | {k: v for k, v in loss.state_dict(middle).items()
                                       if "running" not in k})  # fmt: skip
    losses = {}
    with torch.no_grad():
        for name, model in (("fresh", fresh), ("stale", stale)):
            losses[name] = float(nn.functional.cross_entropy(model.eval()(x), y))
        exact = copy.deepcopy(fresh).train()  # one batch of all images has their statistics
        whole = float(nn.functional.cross_entropy(exact(x), y))
    assert abs(losses["fresh"] - right) < 1e-5
    assert abs(whole - right) < 0.02 * right  # variances of all layers but for n / (n - 1)
    assert abs(losses["stale"] - right) > 0.02 * right
