"""Units of networks of every kind, found by tracing, and what stays where it is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from nets import NetworkLoss, align
from nets.symmetry import Axis, PermutationGroup, operators, permutation_groups, permuted
from nets.symmetry.traced_network import TracedNetwork
from simplicial import Minima
from tests.nets.networks import numbers, seeded


class Recurrent(nn.Module):
    def __init__(self, kind: Callable[..., nn.RNNBase], **options: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 6)
        self.body = kind(6, 5, num_layers=2, batch_first=True, **options)
        self.head = nn.Linear(10 if options.get("bidirectional") else 5, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.body(self.table(tokens))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            8, 2, 12, batch_first=True, norm_first=norm_first, activation="gelu"
        )
        self.embed = nn.Linear(6, 8)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(dim=1))


class Grouped(nn.Module):
    """Attention written by hand: two heads of keys for four of queries, rotated positions."""

    def __init__(self, rotated: bool) -> None:
        super().__init__()
        self.rotated = rotated
        self.embed = nn.Linear(6, 8, bias=False)
        self.q, self.kv, self.out = nn.Linear(8, 16), nn.Linear(8, 2 * 8), nn.Linear(16, 8)
        self.gate, self.up, self.down = (nn.Linear(8, 10), nn.Linear(8, 10), nn.Linear(10, 8))
        self.scale = nn.Parameter(torch.ones(8))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        n, length, _ = x.shape
        normed = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.scale
        q = self.q(normed).view(n, length, 4, 4).transpose(1, 2)
        k, v = (part.view(n, length, 2, 4).transpose(1, 2) for part in self.kv(normed).chunk(2, -1))
        if self.rotated:
            angles = torch.arange(length)[:, None] * torch.tensor([1.0, 0.1, 1.0, 0.1])
            q, k = (
                each * angles.cos() + torch.cat([-each[..., 2:], each[..., :2]], -1) * angles.sin()
                for each in (q, k)
            )
        k, v = (each.repeat_interleave(2, dim=1) for each in (k, v))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, 16))
        x = x + self.down(nn.functional.silu(self.gate(x)) * self.up(x))
        return self.head(x[:, -1])


class Packed(nn.Module):
    """Queries, keys and values in one matrix, taken apart along an axis of three."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out, self.norm = nn.Linear(6, 24), nn.Linear(8, 6), nn.LayerNorm(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        mixed = ((q @ k.transpose(-2, -1)) / 2).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, 8))
        return self.head(self.norm(x).mean(1))


def squeezed() -> nn.Module:
    """Depthwise and grouped convolutions, group norm, and channels that scale each other."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Conv2d(8, 5, 1), nn.Conv2d(5, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            pooled = nn.functional.adaptive_avg_pool2d(x, 1)
            return x * self.up(self.down(pooled).tanh()).sigmoid()

    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(),
        nn.Conv2d(8, 8, 3, groups=8), Scaled(), nn.Conv2d(8, 12, 1), nn.GroupNorm(3, 12), nn.SiLU(),
        nn.Conv2d(12, 6, 3, groups=3), nn.PReLU(6), nn.Flatten(), nn.Linear(6 * 16, 3),
    )  # fmt: skip


def joined() -> nn.Module:
    """Channels of two branches side by side, as DenseNet's."""

    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 5, 3, padding=1)
            self.norm, self.head = nn.BatchNorm2d(12), nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.cat([x, self.first(x).relu()], 1)
            x = torch.cat([x, self.second(x).relu()], 1)
            return self.head(self.norm(x).relu().mean((2, 3)))

    return Dense()


def vision() -> nn.Module:
    model = torchvision.models.VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12,
        num_classes=3,
    )  # fmt: skip
    return model


IMAGES, SEQUENCES = numbers(24, 3, 8, 8, seed=4), numbers(24, 5, 6, seed=4)
TOKENS = (numbers(24, 7, seed=5).abs() * 5).long().clamp(0, 9)
ATTENTION = 1 + 2 + 2  # heads; queries with keys, and values, inside each of two
CASES: dict[str, tuple[Callable[[], nn.Module], Tensor, int]] = {
    "vision transformer": (vision, IMAGES, 1 + 2 * (ATTENTION + 1)),
    "encoder": (Encoder, SEQUENCES, 1 + 2 * (ATTENTION + 1)),
    "encoder, norm first": (lambda: Encoder(True), SEQUENCES, 1 + 2 * (ATTENTION + 1)),
    "packed": (Packed, SEQUENCES, ATTENTION),
    # stream, heads of keys, heads of queries to each, gated units; numbers inside of heads
    "grouped": (lambda: Grouped(False), SEQUENCES, 1 + 1 + 2 + 1 + 2 + 2),
    "rotated": (lambda: Grouped(True), SEQUENCES, 1 + 1 + 2 + 1 + 2),
    "lstm": (lambda: Recurrent(nn.LSTM), TOKENS, 3),
    "lstm, both ways": (lambda: Recurrent(nn.LSTM, bidirectional=True), TOKENS, 5),
    "gru": (lambda: Recurrent(nn.GRU), TOKENS, 3),
    "squeezed": (squeezed, IMAGES, 0),
    "joined": (joined, IMAGES, 2),
}


def loss_of(name: str) -> NetworkLoss:
    make, inputs, _ = CASES[name]
    targets = torch.arange(len(inputs)) % 3
    return NetworkLoss(seeded(make, 11), inputs, targets, batching="loop")


def random_point(loss: NetworkLoss, seed: int) -> Tensor:
    return numbers(loss.dim, seed=seed) * 0.5


def outputs(loss: NetworkLoss, state: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Of a plain network in double precision."""
    network = loss.model().double().eval()
    network.load_state_dict(state)
    with torch.no_grad():
        return network(inputs.double() if inputs.is_floating_point() else inputs)


@pytest.mark.parametrize("name", CASES)
def test_a_permuted_network_computes_the_same_function(name: str) -> None:
    loss, rng, inputs = loss_of(name), np.random.default_rng(20270), CASES[name][1]
    groups, point = permutation_groups(loss), random_point(loss, 1)
    orders = [rng.permutation(group.count) for group in groups]
    other = permuted(point, loss, groups, orders)
    assert (other != point).float().mean() > 0.5
    state = loss.state_dict(point)
    before, after = (outputs(loss, loss.state_dict(p), inputs) for p in (point, other))
    assert (before - after).abs().max() <= 1e-5 * before.abs().max()
    stored = outputs(loss, permuted(state, loss, groups, orders), inputs)
    assert (before - stored).abs().max() <= 1e-9 * before.abs().max()
    backwards = [np.argsort(order) for order in reversed(orders)]
    assert torch.equal(permuted(other, loss, groups[::-1], backwards), point)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][2]])
def test_units_of_every_kind_have_their_groups(name: str) -> None:
    network = TracedNetwork.of_loss(loss_of(name))
    assert len(network.groups) == CASES[name][2]
    assert set(network.fixed or ()) <= {"q.weight", "q.bias", "kv.weight", "kv.bias"}


@pytest.mark.filterwarnings("ignore:some units of Grouped")
@pytest.mark.parametrize("method", ["weights", "activations"])
@pytest.mark.parametrize("name", CASES)
def test_a_planted_permutation_is_found_again(name: str, method: str) -> None:
    loss, rng = loss_of(name), np.random.default_rng(20271)
    groups, point = permutation_groups(loss), random_point(loss, 2)
    near = point + 1e-3 * random_point(loss, 3)
    copy = permuted(near, loss, groups, [rng.permutation(group.count) for group in groups])
    aligned = align(Minima(torch.stack([point, copy]), loss), method=method)  # pyright: ignore
    assert not torch.equal(copy, near)
    assert torch.equal(aligned.points[1], near)


def test_heads_of_attention_are_blocks_of_slices() -> None:
    """Multi-head attention of torch: rows of in_proj are queries, keys and values, 8 of each."""
    groups = permutation_groups(loss_of("encoder"))
    name = "encoder.layers.0.self_attn"
    rows = "in_proj_weight", "in_proj_bias"
    in_heads = [Axis(f"{name}.{row}", 0, 4, start) for row in rows for start in (0, 8, 16)]
    heads = PermutationGroup(2, (*in_heads, Axis(f"{name}.out_proj.weight", 1, 4)))
    in_second = [Axis(f"{name}.{row}", 0, 1, start) for row in rows for start in (4, 12)]
    inside = PermutationGroup(4, tuple(in_second))
    assert heads in groups
    assert inside in groups


def test_gates_of_an_lstm_are_slices_of_one_axis() -> None:
    """The second layer: input, forget, cell and output gate, 5 rows of each."""
    groups = permutation_groups(loss_of("lstm"))
    gates = [(name, start) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
             for start in (0, 5, 10, 15)]  # fmt: skip
    (last,) = (group for group in groups if any(a.parameter == "head.weight" for a in group.axes))
    assert {(a.parameter, a.dim, a.block, a.start) for a in last.axes} == {
        *((f"body.{name}_l1", 0, 1, start) for name, start in gates),
        ("body.weight_hh_l1", 1, 1, None),
        ("head.weight", 1, 1, None),
    }


def test_a_planted_permutation_of_resnet18_is_found_again() -> None:
    model = seeded(lambda: torchvision.models.resnet18(num_classes=3), 12)
    loss = NetworkLoss(model, numbers(6, 3, 32, 32, seed=4), torch.arange(6) % 3)
    groups, rng = permutation_groups(loss), np.random.default_rng(20272)
    assert [group.count for group in groups].count(64) == 3  # the stream, and inside two blocks
    assert len(groups) == 4 + 8
    point = loss.flatten(model.state_dict()) + 0.02 * numbers(loss.dim, seed=5)
    near = point + 1e-3 * numbers(loss.dim, seed=6)
    copy = permuted(near, loss, groups, [rng.permutation(group.count) for group in groups])
    minima = Minima(torch.stack([point, copy]), loss)
    aligned = align(minima)
    assert torch.equal(aligned.points[1], near)
    np.testing.assert_allclose(aligned.values, minima.values, rtol=1e-5)


class Strange(nn.Module):
    """An operator that minds the order of units behind the first layer, none behind the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x).cumsum(1)).tanh())


def strange() -> Minima:
    loss = NetworkLoss(seeded(Strange), numbers(9, 6, seed=4), torch.arange(9) % 3)
    return Minima(torch.stack([random_point(loss, seed) for seed in (1, 2)]), loss)


def test_units_that_an_operator_orders_stay_and_are_told() -> None:
    minima = strange()
    with pytest.warns(UserWarning, match=r"some units of Strange .* first.weight \(the op.*cumsum"):
        aligned = align(minima)
    first = slice(0, 6 * 5 + 5)
    assert torch.equal(aligned.points[:, first], minima.points[:, first])
    assert not torch.equal(aligned.points, minima.points)
    np.testing.assert_allclose(aligned.values, minima.values, rtol=1e-5)


def test_a_wrong_rule_does_not_pass_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(operators.RULES, "cumsum", operators.pointwise)
    minima = strange()
    with pytest.warns(UserWarning, match="a permutation that changes the outputs"):
        aligned = align(minima)
    assert torch.equal(aligned.points[:, :35], minima.points[:, :35])
    np.testing.assert_allclose(aligned.values, minima.values, rtol=1e-5)


def test_units_of_frozen_parameters_stay() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    model[2].requires_grad_(False)
    assert permutation_groups(model) == ()
    model[2].requires_grad_(True)
    assert [group.count for group in permutation_groups(model)] == [5, 4]


def test_units_that_a_mask_in_a_buffer_tells_apart_stay() -> None:
    class Masked(nn.Module):
        mask: Tensor

        def __init__(self, mask: list[float]) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 4), nn.Linear(4, 3)
            self.register_buffer("mask", torch.tensor(mask))

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x).relu() * self.mask)

    assert len(permutation_groups(Masked([2.0, 2, 2, 2]))) == 1
    assert permutation_groups(Masked([1.0, 0, 1, 1])) == ()
