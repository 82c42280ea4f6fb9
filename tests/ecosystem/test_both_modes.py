"""Networks of other libraries, in evaluation and in training, against plain torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nets import NetworkLoss
from tests.nets.both_modes import compare_with_plain_torch
from tests.nets.networks import numbers, seeded

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning"),
]

TOKENS = (numbers(48, 7, seed=5).abs() * 5).long().clamp(1, 9)
IMAGES = numbers(48, 1, 8, 8, seed=6)
CLASSES = torch.arange(48) % 3


class Logits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs).logits


def transformer(kind: str, checkpointing: dict[str, Any] | None = None) -> nn.Module:
    """A classifier of Hugging Face's, with random weights."""
    import transformers

    options: dict[str, Any] = {"num_labels": 3}
    encoder = {
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    if kind == "bert":
        config = transformers.BertConfig(
            vocab_size=10, max_position_embeddings=8, **encoder, **options
        )
        model: Any = transformers.BertForSequenceClassification(config)
    elif kind == "vit":
        config = transformers.ViTConfig(
            image_size=8, patch_size=4, num_channels=1, **encoder, **options
        )
        model = transformers.ViTForImageClassification(config)
    else:
        config = transformers.GPT2Config(
            vocab_size=10,
            n_positions=8,
            n_embd=8,
            n_layer=2,
            n_head=2,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=1,
            use_cache=False,
            **options,
        )
        model = transformers.GPT2ForSequenceClassification(config)
    if checkpointing is not None:
        model.gradient_checkpointing_enable(checkpointing)
    return Logits(model)


@pytest.mark.parametrize("checkpointing", [None, {"use_reentrant": False}, {"use_reentrant": True}])
@pytest.mark.parametrize("kind", ["bert", "gpt2", "vit"])
def test_transformers_have_the_values_of_plain_torch_with_checkpointing_or_without(
    kind: str, checkpointing: dict[str, Any] | None
) -> None:
    model = seeded(lambda: transformer(kind, checkpointing))
    x = IMAGES if kind == "vit" else TOKENS
    compare_with_plain_torch(model, NetworkLoss(model, x, CLASSES), x, CLASSES)


def vision_transformer() -> nn.Module:
    import timm

    return timm.create_model(
        "vit_tiny_patch16_224",
        img_size=8,
        patch_size=4,
        in_chans=1,
        num_classes=3,
        embed_dim=12,
        depth=2,
        num_heads=2,
        drop_rate=0.1,
        drop_path_rate=0.1,
    )


def mixer() -> nn.Module:
    from timm.models.mlp_mixer import MlpMixer

    return MlpMixer(
        num_classes=3,
        img_size=8,
        in_chans=1,
        patch_size=4,
        num_blocks=2,
        embed_dim=8,
        drop_path_rate=0.2,
    )


def adapters() -> nn.Module:
    """Low-rank adapters alone are trained."""
    from peft import LoraConfig, get_peft_model

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(64, 12), nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x.flatten(1)).tanh())

    config = LoraConfig(r=2, target_modules=["first", "second"], lora_dropout=0.1)
    model: Any = get_peft_model(Body(), config)
    return model


def lightning_module() -> nn.Module:
    import lightning

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.2))
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layers(x).tanh())

    return Classifier()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "timm's vision transformer": vision_transformer,
    "timm's MLP mixer": mixer,
    "peft's adapters": adapters,
    "a Lightning module": lightning_module,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_other_libraries_have_the_values_of_plain_torch(name: str) -> None:
    model = seeded(NETWORKS[name])
    compare_with_plain_torch(model, NetworkLoss(model, IMAGES, CLASSES), IMAGES, CLASSES)


def test_nodes_of_a_fixed_graph_are_examples_by_their_indices() -> None:
    from torch_geometric.nn import GCNConv

    class Graph(nn.Module):
        features: Tensor
        edges: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = GCNConv(4, 6), GCNConv(6, 3)
            ring = torch.arange(48)
            self.register_buffer("features", numbers(48, 4, seed=9))
            self.register_buffer("edges", torch.stack([ring, (ring + 1) % 48]))

        def forward(self, nodes: Tensor) -> Tensor:
            hidden = self.first(self.features, self.edges).relu()
            return self.second(hidden, self.edges)[nodes]

    model, nodes = seeded(Graph), torch.arange(48)
    loss = NetworkLoss(model, nodes, CLASSES, batching="loop")
    compare_with_plain_torch(model, loss, nodes, CLASSES)
