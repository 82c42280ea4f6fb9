"""Networks of a user's own: the factory, the files, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nets import MLP, NetworkLoss, load_digits
from nets.models.checkpoints import read_checkpoint
from nets.models.factories import Factory
from reduction import DataError
from simplicial import LossComplex
from tests.nets.cli_runner import SMALL, assert_same_complex, record_of, succeed

FACTORY = "tests.nets.models.test_checkpoints:small_mlp"


def small_mlp() -> nn.Module:
    """The network of SMALL."""
    return MLP(64, (3,))


def no_module() -> str:
    return "an MLP, say"


def with_an_argument(width: int) -> nn.Module:
    return MLP(64, (width,))


def test_a_factory_is_called() -> None:
    assert isinstance(Factory.named(FACTORY).model, MLP)


def test_a_factory_is_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_module_20270.py").write_text(
        "from torch import nn\n\ndef make_model():\n    return nn.Linear(3, 2)\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert isinstance(Factory.named("their_module_20270:make_model").model, nn.Linear)
    assert sys.path == before


@pytest.mark.usefixtures("no_pictures")
def test_workers_find_the_networks_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_network_81.py").write_text(
        "from nets import MLP\n\nclass Theirs(MLP):\n"
        "    def __init__(self):\n        super().__init__(64, (3,))\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    run = ["run", "--factory", "their_network_81:Theirs", "--minima", 2, "--max-dim", 1]
    run += ["--subset", 40, "--epochs", 1, "--threads", 1, "--quiet", "--out"]
    succeed(*run, tmp_path / "workers", "--workers", 1)
    succeed(*run, tmp_path / "alone")
    assert_same_complex(tmp_path / "workers", tmp_path / "alone")
    assert sys.path == before


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            "tests.nets.models.test_checkpoints:with_an_argument",
            "without arguments.*fails .TypeError",
        ),
        (".their_module:make_model", "cannot be imported .TypeError"),
        ("their_module", "named as module:function, got 'their_module'"),
        (":make", "named as module:function, got ':make'"),
        ("no_such_module_20270:make", "cannot be imported"),
        ("tests.nets.models.test_checkpoints:missing", "cannot be imported"),
        (
            "tests.nets.models.test_checkpoints:no_module",
            "must return a torch.nn.Module, .* gives a str",
        ),
    ],
)
def test_what_is_no_factory_is_refused(factory: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Factory.named(factory)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model_state"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_dict_is_read_however_it_was_saved(
    tmp_path: Path, wrapper: str | None, prefix: str
) -> None:
    state = small_mlp().state_dict()
    saved: Any = {prefix + name: value for name, value in state.items()}
    if wrapper is not None:
        saved = {"epoch": 3, wrapper: saved, "optimizer": {"lr": 0.1}}
    torch.save(saved, tmp_path / "a.pt")
    read = read_checkpoint(tmp_path / "a.pt")
    assert list(read) == list(state)
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_no_file_can_run_anything(tmp_path: Path) -> None:
    torch.save(small_mlp(), tmp_path / "whole.pt")  # a pickled module
    with pytest.raises(DataError, match=r"whole.pt cannot be read as weights"):
        read_checkpoint(tmp_path / "whole.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(3)], "must hold a state dict, it holds a list"),
        ({}, "must hold a state dict, it holds a dict"),
        ({1: torch.zeros(3)}, "dense real tensors by name, 1 is torch.float32"),
        ({"a": torch.zeros(3, dtype=torch.complex64)}, "'a' is torch.complex64"),
        ({"a": torch.zeros(3), "b": 1.0}, "must hold dense real tensors by name, 'b' is float"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(DataError, match=message):
        read_checkpoint(tmp_path / "a.pt")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no checkpoint .*absent\.pt"):
        read_checkpoint(tmp_path / "absent.pt")
    torch.save(small_mlp().state_dict(), tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    for name, spoilt in (("half", content[: len(content) // 2]), ("none", b""), ("text", b"hi!")):
        (tmp_path / f"{name}.pt").write_bytes(spoilt)
        with pytest.raises(DataError, match=f"{name}.pt cannot be read as weights") as caught:
            read_checkpoint(tmp_path / f"{name}.pt")
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, and its three minima as files."""
    folder = tmp_path_factory.mktemp("trained")
    succeed("run", *SMALL, "--out", folder / "run")
    images = load_digits().subset(40)
    loss = NetworkLoss(small_mlp(), images.train_inputs, images.train_targets)
    points = LossComplex.load(folder / "run" / "complex.npz", loss).minima.points
    for name, point in zip("abc", points, strict=True):
        torch.save(loss.state_dict(point), folder / f"{name}.pt")
    return folder


def own(trained: Path, *more: object) -> list[object]:
    """The run's options without those of its networks, and files in place of them."""
    options: list[object] = [*SMALL]
    for name in ("--minima", "--hidden"):
        at = options.index(name)
        del options[at : at + 2]
    files = [trained / f"{name}.pt" for name in "abc"]
    return ["run", *options, *more, "--factory", FACTORY, "--checkpoint", *files]


@pytest.mark.usefixtures("no_pictures")
def test_checkpoints_are_the_minima(trained: Path, tmp_path: Path) -> None:
    result = succeed(*own(trained, "--learning-rate", 0.1, "--weight-decay", 1e-4),
                     "--out", tmp_path / "own")  # fmt: skip
    assert result.stdout.startswith(f"3 minima of {FACTORY} on 40 images\n")
    assert_same_complex(trained / "run", tmp_path / "own")
    settings = record_of(tmp_path / "own")["settings"]
    assert [Path(path).name for path in settings["checkpoints"]] == ["a.pt", "b.pt", "c.pt"]


@pytest.mark.usefixtures("no_pictures")
def test_the_plane_through_three_networks_trains_nothing(trained: Path, tmp_path: Path) -> None:
    arguments = own(trained, "--max-dim", 2)
    at = arguments.index("--epochs")
    arguments[at + 1] = 0
    succeed(*arguments, "--out", tmp_path / "plane")
    with np.load(tmp_path / "plane" / "complex.npz") as saved:
        pool = saved["pool"].astype(np.float64)
    vertices, inside = pool[:3], pool[3:]
    means = [vertices[[0, 1]].mean(0), vertices[[0, 2]].mean(0), vertices[[1, 2]].mean(0)]
    np.testing.assert_allclose(inside[:3], means, atol=1e-6)
    np.testing.assert_allclose(inside[3], vertices.mean(0), atol=1e-6)


def test_a_changed_number_of_a_checkpoint_is_told(tmp_path: Path):
    """torch reads it without a word: it does not look at the checksums that it writes."""
    path = tmp_path / "weights.pt"
    weights = torch.arange(1.0, 40.0)
    torch.save({"weight": weights}, path)
    content = path.read_bytes()
    at = content.index(weights.numpy().tobytes()) + 6
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert not torch.equal(torch.load(path, weights_only=True)["weight"], weights)
    with pytest.raises(DataError, match="its part weights/data/0 is not: copy it anew"):
        read_checkpoint(path)


def test_a_part_of_a_checkpoint_that_became_a_folder_is_told(tmp_path: Path):
    """One bit, without a checksum: torch gives the tensor whatever is in memory."""
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.arange(1.0, 40.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"weights/data/0") - 8] |= 0x10
    path.write_bytes(content)
    with pytest.raises(DataError, match="its part weights/data/0 is not: copy it anew"):
        read_checkpoint(path)
