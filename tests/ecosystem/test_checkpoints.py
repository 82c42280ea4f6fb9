"""Checkpoints as Lightning, peft, transformers and timm write them."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from nets import MLP, NetworkLoss, read_checkpoint
from reduction import DataError
from tests.nets.networks import numbers, seeded

pytestmark = [
    pytest.mark.ecosystem,
    # of these libraries, on import and use
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

X, Y = numbers(24, 6, seed=1), torch.arange(24) % 3


def small(seed: int) -> nn.Module:
    return seeded(lambda: MLP(6, (4,), 3), seed)


def plain(network: nn.Module) -> float:
    with torch.no_grad():
        return cross_entropy(network.eval()(X), Y).item()


def value_of(path: Path, model: nn.Module, **options: Any) -> float:
    loss = NetworkLoss(model, X, Y)
    return float(loss(loss.flatten(read_checkpoint(path, model, **options))[None]))


def lightning_file(folder: Path, network: nn.Module, **hyper_parameters: Any) -> Path:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self, width: int = 4, **more: Any) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.network = network
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(3))

        def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
            return self.criterion(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters())

    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(Module(**hyper_parameters), DataLoader(TensorDataset(X, Y), batch_size=8))
    (path,) = (folder / "checkpoints").glob("*.ckpt")
    return path


def test_the_inner_network_of_a_lightning_checkpoint_is_read(tmp_path: Path):
    network = small(1)
    before = plain(network)
    path = lightning_file(tmp_path, network)
    assert plain(network) != before
    assert value_of(path, small(2)) == pytest.approx(plain(network), rel=1e-6)


class Config:
    """A class of the user's own among the hyper-parameters."""


def test_a_lightning_checkpoint_with_a_pickled_class_is_refused_by_its_name(tmp_path: Path):
    path = lightning_file(tmp_path, small(1), config=Config())
    with pytest.raises(DataError, match=r"holds .*Config, which only pickle loads\): save model\."):
        read_checkpoint(path, small(2))


class Based(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x).tanh()).tanh())


def adapted(seed: int, **options: Any) -> Any:
    """A common base with a LoRA adapter, whose values a seed gives."""
    from peft import LoraConfig, get_peft_model

    base = seeded(Based, 0)
    model: Any = get_peft_model(
        base, LoraConfig(r=2, target_modules=["first", "second"], **options)
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("options", [{}, {"modules_to_save": ["head"]}])
@pytest.mark.parametrize("safe", [True, False])
def test_adapters_that_peft_saves_are_read_over_the_common_base(
    options: dict[str, Any], safe: bool, tmp_path: Path
):
    from peft import get_peft_model_state_dict

    trained = adapted(1, **options)
    if safe:
        trained.save_pretrained(tmp_path)
        path = tmp_path / "adapter_model.safetensors"
    else:
        path = tmp_path / "adapter.pt"
        torch.save(get_peft_model_state_dict(trained), path)
    model = adapted(2, **options)
    assert plain(model) != pytest.approx(plain(trained), rel=1e-3)
    state = read_checkpoint(path, model)
    assert state.keys() == {k for k, p in model.named_parameters() if p.requires_grad}
    assert value_of(path, model) == pytest.approx(plain(trained), rel=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_a_transformer_that_safetensors_saved_is_read(tied: bool, tmp_path: Path):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=7, tie_word_embeddings=tied
    )

    def make(seed: int) -> Any:
        return seeded(lambda: GPT2LMHeadModel(config), seed)

    trained, model = make(1), make(2)
    trained.save_pretrained(tmp_path)
    state = read_checkpoint(tmp_path / "model.safetensors", model)
    assert ("lm_head.weight" in state) is not tied
    model.load_state_dict(state, strict=False)
    expected = trained.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_averages_of_timm_are_chosen_by_key(tmp_path: Path):
    from timm.utils.model_ema import ModelEmaV2

    network = small(1)
    average = ModelEmaV2(network, decay=0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1
    average.update(network)
    content = {
        "epoch": 1,
        "state_dict": network.state_dict(),
        "state_dict_ema": average.state_dict(),
    }
    path = tmp_path / "last.pth.tar"
    torch.save(content, path)
    with pytest.raises(DataError, match=r"several networks, at 'state_dict', 'state_dict_ema"):
        read_checkpoint(path, small(2))
    assert value_of(path, small(2), key="state_dict") == pytest.approx(plain(network), rel=1e-6)
    mean = value_of(path, small(2), key="state_dict_ema")
    assert mean == pytest.approx(plain(average.module), rel=1e-6)
    torch.save(content | {"args": Namespace(model="mlp")}, path)  # as its training script does
    with pytest.raises(DataError, match=r"holds argparse\.Namespace, which only pickle loads"):
        read_checkpoint(path, small(2))


def test_a_model_of_timm_is_read_from_its_compiled_and_wrapped_copy(tmp_path: Path):
    import timm

    def make() -> Any:
        sizes: dict[str, Any] = {
            "img_size": 16,
            "patch_size": 8,
            "embed_dim": 8,
            "depth": 1,
            "num_heads": 2,
        }
        return timm.create_model("vit_tiny_patch16_224", num_classes=3, **sizes)

    trained, model = seeded(make, 1), seeded(make, 2)
    state = {f"module._orig_mod.{k}": v for k, v in trained.state_dict().items()}
    torch.save({"model": state}, tmp_path / "a.pt")
    read = read_checkpoint(tmp_path / "a.pt", model)
    assert all(torch.equal(read[name], value) for name, value in trained.state_dict().items())
