"""Networks that run parts of themselves again, differentiate, mix examples or keep state."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nets import NetworkLoss
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError
from tests.nets.both_modes import compare_with_plain_torch, plain
from tests.nets.networks import X, Y, numbers, points_near, seeded

pytestmark = [
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning"),
]

SOME, CLASSES = X[:96], Y[::11][:96]
SEQUENCES = numbers(96, 5, 8, seed=7)


class Checkpointed(nn.Module):
    """Parts, dropout and batch norm among them, run again for gradients, in training or always."""

    def __init__(self, *, reentrant: bool, always: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.body = nn.Sequential(
            nn.Linear(6, 5), nn.Tanh(), nn.Dropout(0.3), nn.Linear(5, 5), nn.Tanh()
        )
        self.head = nn.Linear(5, 3)
        self.reentrant, self.always = reentrant, always

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.training or self.always:
            return self.head(checkpoint(self.body, x, use_reentrant=self.reentrant))
        return self.head(self.body(x))


@pytest.mark.parametrize("batching", [None, "loop"])
@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_networks_have_the_gradients_of_plain_torch(
    reentrant: bool, always: bool, batching: Batching | None
) -> None:
    model = seeded(lambda: Checkpointed(reentrant=reentrant, always=always))
    loss = NetworkLoss(model, SOME, CLASSES, batching=batching)
    compare_with_plain_torch(model, loss, SOME, CLASSES)


def test_a_checkpoint_around_batch_norm_trains_as_plain_torch_does() -> None:
    class Normed(Checkpointed):
        def __init__(self) -> None:
            super().__init__(reentrant=False)
            self.body.append(nn.BatchNorm1d(5))

    model = seeded(Normed)
    loss = NetworkLoss(model, SOME, CLASSES)
    point = points_near(model, 1)
    estimate = next(loss.estimates(24, np.random.default_rng(0)))
    leaf = point.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(estimate(leaf).sum(), leaf)
    rng = np.random.default_rng(0)
    batch, seed = torch.as_tensor(rng.permutation(96))[:24], int(rng.integers(2**63))
    expected = plain(model, point[0], SOME[batch], CLASSES[batch], seed)[1]
    torch.testing.assert_close(slopes[0], expected, rtol=1e-5, atol=1e-6)


def test_second_derivatives_of_checkpointed_networks_are_those_of_differences() -> None:
    model = seeded(lambda: Checkpointed(reentrant=False, always=True).double())
    loss = NetworkLoss(model, SOME.double(), CLASSES)
    point = points_near(model, 1).requires_grad_()
    direction = numbers(1, loss.dim, seed=11).double()
    (slope,) = torch.autograd.grad(loss(point).sum(), point, create_graph=True)
    (found,) = torch.autograd.grad((slope * direction).sum(), point)
    step = 1e-5 * direction
    ahead, behind = (loss.values_and_gradients(point.detach() + s)[1] for s in (step, -step))
    torch.testing.assert_close(found, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-7)


class Physical(nn.Module):
    """Outputs and their slopes in the inputs."""

    def __init__(self, slopes: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 3))
        self.slopes = slopes

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.slopes(self.body, x)[:, :3]


def by_autograd(body: nn.Module, x: Tensor) -> Tensor:
    x = x.requires_grad_()
    return torch.autograd.grad(body(x).sum(), x, create_graph=True)[0]


def by_enabled_autograd(body: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        return by_autograd(body, x.clone())


def by_func(body: nn.Module, x: Tensor) -> Tensor:
    return torch.func.grad(lambda given: body(given).sum())(x)


@pytest.mark.parametrize("batching", [None, "loop"])
@pytest.mark.parametrize("slopes", [by_autograd, by_enabled_autograd, by_func])
def test_forwards_that_differentiate_have_the_values_of_plain_torch(
    slopes: Callable[[nn.Module, Tensor], Tensor], batching: Batching | None
) -> None:
    model = seeded(lambda: Physical(slopes))
    loss = NetworkLoss(model, SOME, CLASSES, batching=batching)
    compare_with_plain_torch(model, loss, SOME, CLASSES)
    assert loss.point_bytes() > 4 * loss.dim


class Routed(nn.Module):
    """Each example is an expert's, up to a capacity."""

    def __init__(self, capacity: float = 1.0) -> None:
        super().__init__()
        self.router, self.capacity = nn.Linear(6, 3), capacity
        self.experts = nn.ModuleList(nn.Linear(6, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        shares = self.router(x).softmax(dim=1)
        outputs = x.new_zeros(len(x), 3)
        for i, expert in enumerate(self.experts):
            rows = (shares.argmax(dim=1) == i).nonzero()[:, 0]
            rows = rows[: max(1, int(self.capacity * len(x)))]
            outputs = outputs.index_add(0, rows, expert(x[rows]) * shares[rows, i, None])
        return outputs


class InAList(nn.Module):
    """Its parameters are in a list, too, and called from there."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.listed = [self.layer.weight, self.layer.bias]

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, *self.listed)


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project, self.head = nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).view(len(x), 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=0.2 if self.training else 0.0, is_causal=True
        )
        return self.head(found.transpose(1, 2).flatten(2).mean(dim=1))


class Masked(nn.Module):
    """Padded positions, where torch's fast path has other values."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        padded = torch.zeros(x.shape[:2], dtype=torch.bool)
        padded[:, 3:] = x[:, 3:, 0] > 0
        found = self.body(x, src_key_padding_mask=padded)
        return self.head(found.mean(dim=1))


class Recurrent(nn.Module):
    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        self.body, self.head = nn.GRU(8, 4, num_layers=2, dropout=0.2), nn.Linear(4, 3)
        self.transposed = transposed

    def forward(self, x: Tensor) -> Tensor:
        if self.transposed:
            return self.head(self.body(x.transpose(0, 1))[0][-1])
        return self.head(self.body(x)[0][:, -1])


WORKS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "routed": (Routed, SOME),
    "in a list": (InAList, SOME),
    "attention": (Attending, SEQUENCES),
    "masked encoder": (Masked, SEQUENCES),
    "recurrent": (lambda: Recurrent(transposed=True), SEQUENCES),
}


@pytest.mark.parametrize("name", WORKS)
def test_networks_have_the_values_and_gradients_of_plain_torch_in_both_modes(name: str) -> None:
    make, x = WORKS[name]
    model = seeded(make)
    compare_with_plain_torch(model, NetworkLoss(model, x, CLASSES), x, CLASSES)


class OfInputs(nn.Module):
    """A layer of a function of the inputs."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(6, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer, x)


def over_the_batch(layer: nn.Module, x: Tensor) -> Tensor:
    return layer((x @ x.T).softmax(dim=1) @ x)


MIXED: dict[str, tuple[Callable[[], nn.Module], Tensor, str]] = {
    "attention": (lambda: OfInputs(over_the_batch), SOME, "let nothing combine examples"),
    "mean": (lambda: OfInputs(lambda f, x: f(x - x.mean(dim=0))), SOME, "let nothing combine"),
    "neighbours": (lambda: OfInputs(lambda f, x: f(x).roll(1, 0)), SOME, "let nothing combine"),
    "capacity": (lambda: Routed(0.2), SOME, "means or capacities along axis 0"),
    "batch norm": (
        lambda: nn.Sequential(
            nn.Linear(6, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 3)
        ),
        SOME,
        r"give '1', a BatchNorm1d, running statistics \(track_running_stats=True\)",
    ),
    "sequences first": (
        lambda: Recurrent(transposed=False),
        SEQUENCES,
        "'body', a GRU, takes sequences along the first axis, make it with batch_first=True",
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_networks_that_mix_examples_are_refused_before_anything_is_trained(name: str) -> None:
    make, x, sentence = MIXED[name]
    loss = NetworkLoss(seeded(make), x, CLASSES)
    with pytest.raises(DataError, match=rf"take each example by itself, .* {sentence}"):
        loss(points_near(seeded(make), 1))


class Drawing(nn.Module):
    """It draws in training from a generator of its own."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.layer, self.draw = nn.Linear(6, 3), draw

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * (1 + self.draw()) if self.training else self.layer(x)


def own_draw() -> Callable[[], float]:
    generator = torch.Generator().manual_seed(0)
    return lambda: torch.rand((), generator=generator).item()


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("draw", [own_draw, lambda: np.random.default_rng(0).random])
def test_random_numbers_of_other_generators_than_torchs_are_refused(
    draw: Callable[[], Callable[[], float]], batching: Batching
) -> None:
    loss = NetworkLoss(seeded(lambda: Drawing(draw())), SOME, CLASSES, batching=batching)
    with pytest.raises(DataError, match=r"torch's global generators, .* for one seed the loss of"):
        loss.point_bytes()


@pytest.mark.parametrize("batching", BATCHINGS)
def test_forwards_that_change_parameters_are_refused(batching: Batching) -> None:
    def clamped(layer: nn.Module, x: Tensor) -> Tensor:
        layer.weight.data.clamp_(-0.1, 0.1)  # pyright: ignore
        return layer(x)

    with pytest.raises(DataError, match=r"OfInputs changes 'layer.weight': compute another tensor"):
        NetworkLoss(OfInputs(clamped), SOME, CLASSES, batching=batching)


def test_other_values_without_gradients_are_refused() -> None:
    loss = NetworkLoss(
        OfInputs(lambda f, x: f(x) * (2 if torch.is_grad_enabled() else 1)), SOME, CLASSES
    )
    with pytest.raises(DataError, match=r"whether torch records gradients or not, .* OfInputs"):
        loss.point_bytes()


def test_outputs_of_half_precision_are_refused() -> None:
    with pytest.raises(DataError, match=r"outputs must be float32 or float64, .* torch.float16"):
        NetworkLoss(OfInputs(lambda f, x: f(x).half()), SOME, CLASSES)


def test_a_loss_that_depends_on_no_parameter_of_the_module_is_refused() -> None:
    other = nn.Linear(6, 3)
    with pytest.raises(DataError, match=r"OfInputs depends on none that require a gradient"):
        NetworkLoss(OfInputs(lambda _, x: other(x)), SOME, CLASSES)
