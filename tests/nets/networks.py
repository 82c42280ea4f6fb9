"""Networks of every kind, tiny, and plain torch to compare their loss with."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from nets import MLP

N = 1_100  # parts of 123 and of 122


def numbers(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


X = numbers(N, 6)
Y = (numbers(N, seed=4) * 2).long().clamp(0, 2).sort().values  # parts differ in their classes
TOKENS = (numbers(60, 7, seed=5).abs() * 5).long().clamp(0, 9)


def bound(dtype: torch.dtype) -> float:
    return 512 * torch.finfo(dtype).eps


def within(values: Sequence[float]) -> Any:
    """Equal up to the bound of double precision."""
    return pytest.approx(values, rel=0, abs=bound(torch.float64))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x).tanh()))


class Scaled(nn.Module):
    """A buffer that forward reads, and one that training counts up."""

    scale: Tensor
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("scale", torch.full((6,), 2.0))
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.layer(x * self.scale) + self.calls


class Normed(nn.Module):
    """Instance norm with running statistics over the two channels of three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm1d(2, affine=True, track_running_stats=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(x.view(-1, 2, 3)).flatten(1))


class Sequences(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)
        if kind == "lstm":
            self.body = nn.LSTM(4, 4, batch_first=True)
        elif kind == "transformer":
            self.body = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        else:
            self.body = nn.Identity()
        self.head = nn.Linear(4, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.body(self.table(tokens))
        return self.head((hidden[0] if isinstance(hidden, tuple) else hidden).mean(dim=1))


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    model[0].requires_grad_(False)
    return model


def batch_norm(**options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 5),
        nn.BatchNorm1d(5, **options),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(5, 5),
        nn.BatchNorm1d(5, **options),
        nn.Linear(5, 3),
    )


def dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 40), nn.Dropout(0.5), nn.ReLU(), nn.Linear(40, 3))


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def at(model: nn.Module, point: Tensor) -> nn.Module:
    """The plain network at a point."""
    network = copy.deepcopy(model)
    nn.utils.vector_to_parameters(point, trainable(network))
    return network


def trainable(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def with_statistics(model: nn.Module, point: Tensor, inputs: Tensor) -> nn.Module:
    """A plain network with the statistics of all inputs in one batch, over all calls of a norm."""
    network, seen = at(model, point).eval(), dict[Any, list[Tensor]]()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.InstanceNorm1d):
            module.momentum = 1.0
            module.train()
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(lambda m, x: seen.setdefault(m, []).append(x[0]))
    with torch.no_grad():
        network(inputs.clone())
    for module, calls in seen.items():
        if len(calls) == 1:  # torch's own
            continue
        values = torch.cat([call.transpose(0, 1).flatten(1) for call in calls], dim=1).double()
        module.running_mean.copy_(values.mean(dim=1))
        module.running_var.copy_(values.var(dim=1))
    return network.eval()


def plain_values(
    model: nn.Module, points: Tensor, x: Tensor, y: Tensor, normed_by: Tensor | None = None
) -> list[float]:
    """Losses of plain networks, with the statistics of inputs if any are given."""
    networks = [
        at(model, point).eval() if normed_by is None else with_statistics(model, point, normed_by)
        for point in points
    ]
    return [cross_entropy(network(x), y).item() for network in networks]


def value_and_gradient(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, Tensor]:
    """Of a plain network, by torch's own autograd."""
    value = cross_entropy(network(x), y)
    slopes = torch.autograd.grad(value, trainable(network))
    return value.item(), nn.utils.parameters_to_vector(slopes)


class Recorder:
    """Squared error on the first column of targets; notes the numbers in the second column."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.batches.append(targets[:, 1].long().tolist())
        return mse_loss(outputs[:, 0], targets[:, 0])


def points_near(model: nn.Module, count: int = 3) -> Tensor:
    centre = nn.utils.parameters_to_vector(trainable(model)).detach()
    return centre + 0.3 * numbers(count, len(centre), seed=6).to(centre)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: MLP(6, (8,), 3),
    "tied": Tied,
    "frozen": frozen,
    "buffers": Scaled,
    "dropout": dropout,
}
