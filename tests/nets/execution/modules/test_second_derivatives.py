"""Second derivatives of networks whose operations are fused, by differences of first ones."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils import parametrizations

from nets import NetworkLoss
from nets.execution.policy import BATCHINGS, Batching
from simplicial import LossError, Minima, build_complex
from tests.nets.networks import numbers, seeded

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")

SEQUENCES, CLASSES = numbers(40, 3, 4, seed=31).double(), torch.arange(40) % 3


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project, self.head = nn.Linear(4, 12), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).view(len(x), 3, 3, 2, 2).permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(q, k, v)
        return self.head(found.transpose(1, 2).flatten(2).mean(dim=1))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, activation="gelu")
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(dim=1))


def weight_norm(dim: int) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        layer = parametrizations.weight_norm(nn.Linear(12, 5), dim=dim)
        return nn.Sequential(nn.Flatten(), layer, nn.Tanh(), nn.Linear(5, 3))

    return make


def weight_norm_by_hooks() -> nn.Module:
    layer: Any = nn.utils.weight_norm(nn.Linear(12, 5))
    return nn.Sequential(nn.Flatten(), layer, nn.Tanh(), nn.Linear(5, 3))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "attention": Attention,
    "encoder": Encoder,
    "weight norm of rows": weight_norm(0),
    "weight norm of columns": weight_norm(1),
    "weight norm by hooks": weight_norm_by_hooks,
}


@pytest.mark.parametrize(
    ("name", "batching"),
    [(name, how) for name in NETWORKS for how in BATCHINGS if (name, how) != ("encoder", "vmap")],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_second_derivatives_are_those_of_differences(name: str, batching: Batching) -> None:
    model = seeded(NETWORKS[name]).double()
    loss = NetworkLoss(model, SEQUENCES, CLASSES, batching=batching)
    point = loss.flatten(loss.model().state_dict())[None]
    point = (point + 0.1 * numbers(1, loss.dim, seed=6).double()).requires_grad_()
    direction = numbers(1, loss.dim, seed=7).double()
    (slope,) = torch.autograd.grad(loss(point).sum(), point, create_graph=True)
    (found,) = torch.autograd.grad((slope * direction).sum(), point)
    step = 1e-5 * direction
    ahead, behind = (loss.values_and_gradients(point.detach() + s)[1] for s in (step, -step))
    assert found.norm() > 0
    torch.testing.assert_close(found, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-7)


def two_minima(model: nn.Module, x: Tensor) -> Minima:
    loss = NetworkLoss(model, x, CLASSES)
    own = loss.flatten(loss.model().state_dict())
    return Minima(own + 0.3 * numbers(2, loss.dim, seed=8).to(own), loss)


def test_certificates_of_attention_are_sought() -> None:
    minima = two_minima(seeded(Attention).double(), SEQUENCES)
    complex = build_complex(minima, max_dim=1, resolution=2, certify=True, progress=False)
    assert complex.certificates is not None


def test_certificates_without_second_derivatives_are_refused_before_anything_is_trained() -> None:
    bags = nn.Sequential(nn.EmbeddingBag(10, 4), nn.Tanh(), nn.Linear(4, 3))
    minima = two_minima(bags, torch.arange(120).view(40, 3) % 10)
    with pytest.raises(LossError, match=r"certify=True takes second derivatives, .*_embedding_bag"):
        build_complex(minima, max_dim=1, resolution=2, certify=True, progress=False)
