"""Networks of timm and transformers, aligned with no list by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nets import NetworkLoss, align
from nets.symmetry import permutation_groups, permuted
from simplicial import Minima
from tests.nets.networks import numbers, seeded

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.filterwarnings("ignore:some units of"),
]


class Classifier(nn.Module):
    """Logits of a model of transformers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(input_ids=tokens).logits


def timm_vit() -> nn.Module:
    import timm

    return timm.create_model(
        "vit_tiny_patch16_224", img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2,
        num_classes=3,
    )  # fmt: skip


def bert() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        num_labels=3,  # pyright: ignore[reportCallIssue]
        intermediate_size=12, max_position_embeddings=16,
    )  # fmt: skip
    return Classifier(BertForSequenceClassification(config))


TOKENS = (numbers(24, 7, seed=5).abs() * 5).long().clamp(1, 19)
ATTENTION = 1 + 2 + 2  # heads; queries with keys, and values, inside each of two
CASES: dict[str, tuple[Callable[[], nn.Module], Tensor, int]] = {
    "timm": (timm_vit, numbers(24, 3, 8, 8, seed=4), 1 + 2 * (ATTENTION + 1)),
    # the pooler has units of its own
    "bert": (bert, TOKENS, 1 + 2 * (ATTENTION + 1) + 1),
}


@pytest.mark.parametrize("name", CASES)
def test_a_planted_permutation_is_found_again(name: str) -> None:
    make, inputs, count = CASES[name]
    loss = NetworkLoss(seeded(make, 11), inputs, torch.arange(24) % 3, batching="loop")
    groups, rng = permutation_groups(loss), np.random.default_rng(20273)
    assert len(groups) == count
    point = 0.5 * numbers(loss.dim, seed=2)
    near = point + 1e-3 * numbers(loss.dim, seed=3)
    copy = permuted(near, loss, groups, [rng.permutation(group.count) for group in groups])
    minima = Minima(torch.stack([point, copy]), loss)
    aligned = align(minima)
    assert torch.equal(aligned.points[1], near)
    np.testing.assert_allclose(aligned.values, minima.values, rtol=1e-5)
