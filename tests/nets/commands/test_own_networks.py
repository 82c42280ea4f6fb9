"""Networks, data and losses of a user's own in the command: all that Python can do."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from nets import ImageData, NetworkLoss
from tests.nets.cli_runner import assert_same_complex, invoke, record_of, succeed
from tests.nets.commands.test_cli_refusals import assert_refused
from tests.nets.networks import numbers, seeded

HERE = "tests.nets.commands.test_own_networks"
SHORT = ["--max-dim", 1, "--sampled", "--quiet"]
STRAIGHT = [*SHORT, "--epochs", 0]
pytestmark = pytest.mark.usefixtures("no_pictures")

X, T = numbers(30, 6, seed=1), numbers(30, 2, seed=2)
X_TEST = numbers(10, 6, seed=3)
CLASSES = torch.arange(30) % 3


class Shifted(nn.Module):
    """A parameter of its own, which no reset_parameters knows, and standardisation in a buffer."""

    mean: Tensor

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.layer = nn.Linear(6, outputs)
        self.shift = nn.Parameter(5 + torch.rand(6))
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x - self.mean + self.shift)


def shifted() -> nn.Module:
    return Shifted()


def classifier() -> nn.Module:
    return Shifted(3)


def far() -> nn.Module:
    """Another initialisation."""
    network = Shifted()
    with torch.no_grad():
        network.shift.add_(100)
    return network


linear = nn.Linear(6, 2)
"""A network that stands in a module ready made."""


def pairs() -> object:
    return TensorDataset(X, T), (X_TEST, numbers(10, 2, seed=4))


def no_test() -> object:
    return DataLoader(TensorDataset(X, CLASSES), batch_size=4, shuffle=True), None


def with_test() -> object:
    return (X, CLASSES), (X_TEST, torch.arange(10) % 3)


def images() -> object:
    pictures = numbers(30, 1, 3, 3, seed=5)
    return ImageData("own", pictures, CLASSES, pictures[:6], CLASSES[:6], 3)


def tensors() -> object:
    return X, T


def lone() -> object:
    return TensorDataset(X, T)


def mean_square(outputs: Tensor, targets: Tensor) -> Tensor:
    return mse_loss(outputs, targets)


def class_weights(targets: Tensor) -> Tensor:
    return torch.tensor([1.0, 2.0, 4.0])[targets]


def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    weights = class_weights(targets)
    return (weights * cross_entropy(outputs, targets, reduction="none")).sum() / weights.sum()


def of(name: str) -> str:
    return f"{HERE}:{name}"


OWN = ["run", "--data", of("pairs"), "--factory", of("shifted"), "--loss", of("mean_square")]


def points(folder: Path) -> Tensor:
    with np.load(folder / "complex.npz") as saved:
        return torch.as_tensor(saved["pool"][:2])


def test_minima_begin_at_the_factorys_own_initialisation(tmp_path: Path):
    succeed(*OWN, *STRAIGHT, "--minima", 2, "--out", tmp_path / "run")
    begun = points(tmp_path / "run")
    shifts = begun[:, :6]  # parameters of a module stand before those inside it
    assert ((shifts > 5) & (shifts < 6)).all()
    assert not torch.equal(begun[0], begun[1])
    succeed(*OWN, *STRAIGHT, "--minima", 2, "--init", of("far"), "--out", tmp_path / "far")
    assert (points(tmp_path / "far")[:, :6] > 105).all()
    settings = record_of(tmp_path / "far")["settings"]
    assert (settings["init"], settings["loss"]) == (of("far"), of("mean_square"))


def test_init_begins_networks_of_a_built_in_family(tmp_path: Path):
    run = ["run", "--data", of("images"), "--hidden", "none", *STRAIGHT, "--minima", 2]
    succeed(*run, "--init", of("narrow"), "--out", tmp_path / "run")
    assert (points(tmp_path / "run").abs() < 1e-3).all()
    assert record_of(tmp_path / "run")["settings"]["model"] == "mlp"


def narrow() -> nn.Module:
    from nets import MLP

    network = MLP(9, (), 3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 1e-3
    return network


def test_a_network_ready_made_is_initialised_anew(tmp_path: Path):
    run = ["run", "--data", of("pairs"), "--factory", of("linear"), "--loss", of("mean_square")]
    before = linear.weight.detach().clone()
    succeed(*run, *STRAIGHT, "--minima", 2, "--out", tmp_path / "run")
    assert torch.equal(linear.weight, before)
    assert not torch.equal(*points(tmp_path / "run"))
    for name in "ab":
        state = seeded(lambda: nn.Linear(6, 2), ord(name)).state_dict()
        torch.save(state, tmp_path / f"{name}.pt")
    files = [tmp_path / "a.pt", tmp_path / "b.pt"]
    succeed(*run, *STRAIGHT, "--checkpoint", *files, "--out", tmp_path / "own")
    assert torch.equal(points(tmp_path / "own")[0, :12].view(2, 6), torch.load(files[0])["weight"])


def test_values_of_the_command_are_those_of_plain_torch(tmp_path: Path):
    networks = [seeded(shifted, seed) for seed in (1, 2)]
    mean = numbers(6, seed=9)
    for network, name in zip(networks, "ab", strict=True):
        network.get_buffer("mean").copy_(mean)
        state = {f"model.{k}": v for k, v in network.state_dict().items()}
        torch.save({"state_dict": state, "ema": {}}, tmp_path / f"{name}.pt")
    files = [tmp_path / "a.pt", tmp_path / "b.pt"]
    arguments = [*OWN, *STRAIGHT, "--batching", "loop", "--checkpoint", *files]
    result = succeed(*arguments, "--out", tmp_path / "run")
    values = sorted(mse_loss(network(X), T).item() for network in networks)
    found = re.search(r"loss +(\S+) to (\S+)\n", result.stdout)
    assert found is not None
    # six digits are printed
    assert [float(value) for value in found.groups()] == pytest.approx(values, rel=1e-5)
    assert result.stdout.startswith(f"2 minima of {of('shifted')} on 30 examples\n")
    assert f"a.pt, {files[1]}: read at 'state_dict.model'\n" in result.stderr
    assert "loop" in record_of(tmp_path / "run")["loss"]

    networks[1].get_buffer("mean").add_(1)
    torch.save(networks[1].state_dict(), files[1])
    result = invoke(*arguments, "--out", tmp_path / "other")
    assert result.exit_code == 1
    assert "must be the model's, 'mean' differs, the loss is" in result.stderr
    assert not (tmp_path / "other" / "run.json").exists()


def test_a_network_of_several_in_a_file_is_named(tmp_path: Path):
    for name in "ab":
        both = [seeded(shifted, ord(name) + i).state_dict() for i in (0, 10)]
        torch.save({"state_dict": both[0], "ema": both[1]}, tmp_path / f"{name}.pt")
    files = ["--checkpoint", tmp_path / "a.pt", tmp_path / "b.pt"]
    refused = invoke(*OWN, *STRAIGHT, *files, "--out", tmp_path / "run")
    assert_refused(refused, r"several networks, at 'state_dict', 'ema': .*--checkpoint-key")
    succeed(*OWN, *STRAIGHT, *files, "--checkpoint-key", "ema", "--out", tmp_path / "run")
    shift = points(tmp_path / "run")[0, :6]
    assert torch.equal(shift, torch.load(tmp_path / "a.pt")["ema"]["shift"])


@pytest.mark.parametrize(("data", "accuracy"), [("no_test", False), ("with_test", True)])
def test_data_may_have_test_examples(data: str, accuracy: bool, tmp_path: Path):
    run = ["run", "--data", of(data), "--factory", of("classifier"), *STRAIGHT, "--minima", 2]
    result = succeed(*run, "--subset", 20, "--out", tmp_path / "run")
    assert " on 20 examples\n" in result.stdout
    assert ("test accuracy  unknown" in result.stdout) is not accuracy
    loss = NetworkLoss(classifier(), X[:20], CLASSES[:20], loss_fn=cross_entropy)
    values = loss(points(tmp_path / "run"))
    assert f"{values.min():.6g} to {values.max():.6g}" in result.stdout


def test_a_loss_may_be_a_weighted_mean(tmp_path: Path):
    run = ["run", "--data", of("no_test"), "--factory", of("classifier"), *STRAIGHT]
    run += ["--minima", 2, "--loss", of("weighted")]
    refused = invoke(*run, "--out", tmp_path / "unweighted")
    assert refused.exit_code == 1
    assert "weights" in refused.stderr
    result = succeed(*run, "--weights", of("class_weights"), "--out", tmp_path / "run")
    values = []
    for point in points(tmp_path / "run"):
        network = classifier()
        nn.utils.vector_to_parameters(point, network.parameters())
        values.append(weighted(network(X), CLASSES).item())
    found = re.search(r"loss +(\S+) to (\S+)\n", result.stdout)
    assert found is not None
    # six digits are printed
    assert [float(value) for value in found.groups()] == pytest.approx(sorted(values), rel=1e-5)


def datasets() -> object:
    return TensorDataset(X, T), TensorDataset(X_TEST, numbers(10, 2, seed=4))


def test_data_that_are_streamed_give_the_same_bits(tmp_path: Path):
    run = ["run", "--data", of("datasets"), "--factory", of("shifted"), "--loss", of("mean_square")]
    run += [*SHORT, "--epochs", 1, "--minima", 2, "--subset", 25, "--out"]
    succeed(*run, tmp_path / "kept")
    succeed(*run, tmp_path / "streamed", "--stream")
    assert_same_complex(tmp_path / "kept", tmp_path / "streamed")
    digests = [record_of(tmp_path / name)["data_sha256"] for name in ("kept", "streamed")]
    assert digests[0] == digests[1]


def test_workers_import_a_users_data_loss_and_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "their_run_24.py").write_text(
        "import torch\nfrom torch import nn\nfrom torch.nn.functional import mse_loss\n\n"
        "def data():\n    x = torch.linspace(-1, 1, 40).reshape(20, 2)\n"
        "    return (x, x.sin()), None\n\n"
        "def loss(outputs, targets):\n    return 2 * mse_loss(outputs, targets)\n\n"
        "class Theirs(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 2)\n"
    )
    monkeypatch.chdir(tmp_path)
    run = ["run", "--data", "their_run_24:data", "--loss", "their_run_24:loss"]
    run += ["--factory", "their_run_24:Theirs", "--minima", 2, *SHORT, "--epochs", 1]
    run += ["--threads", 1, "--out"]
    succeed(*run, tmp_path / "workers", "--workers", 1)
    succeed(*run, tmp_path / "alone")
    assert_same_complex(tmp_path / "workers", tmp_path / "alone")
    planned = succeed(*run, tmp_path / "planned", "--dry-run")
    assert "losses, gradients, refined: on all examples" in planned.stdout
    assert not (tmp_path / "planned").exists()


def test_a_run_goes_on_with_its_own_data_and_loss_only(tmp_path: Path):
    run = [*OWN, *STRAIGHT, "--minima", 2, "--out", tmp_path / "run"]
    succeed(*run)
    run[run.index("--loss") + 1] = "torch.nn.functional:l1_loss"
    assert "made with loss = " in invoke(*run).stderr
    run[run.index("--loss") + 1] = of("mean_square")
    run[run.index("--data") + 1] = of("changed_pairs")
    assert "made with data = " in invoke(*run).stderr


def changed_pairs() -> object:
    return TensorDataset(X, -T), None


def unlike_pairs() -> object:
    return (X, T), (X[:, :1], T)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--data", of("unlike_pairs")],
            r"inputs alike .* \(1,\) of torch.float32 for the test",
        ),
        (["--data", "nothing"], "'nothing' is not one of 'digits', .*: .* or module:function"),
        (["--data", "nothing:data"], r"the data 'nothing:data' cannot be imported \(ModuleNotF"),
        (["--data", of("X")], "must be a function without arguments, .* is a Tensor"),
        (["--data", of("tensors")], r"a part of it is .*: return nets\.ImageData, or \(train, te"),
        (["--data", of("lone")], r"must be a pair \(train, test\), got .*: return nets\.Imag"),
        (["--data", of("of")], "called without arguments, .* fails .TypeError"),
        (["--data", of("pairs"), "--download"], "--download is for data sets by name"),
        (["--data", of("pairs"), "--data-dir", "x"], "--data-dir is for data sets by name"),
        (["--data", of("pairs"), "--image-size", 5], "--image-size 5 given .* no ImageData"),
        (["--data", of("pairs"), "--subset", 31], "subset of 31 training examples .* has 30"),
        (["--data", of("pairs")], "mlp is built for images with classes, .* name your network"),
        (["--stream"], "--stream is for a Dataset of your own, got it with --data digits"),
        (["--data", of("pairs"), "--stream"], "a map-style Dataset is streamed"),
        (["--data", of("images"), "--stream"], "--stream is for a .* gives images in memory"),
        (["--loss", "torch.nn:CrossEntropyLoss"], "a loss needs a torch.nn.Module and a function"),
        (["--loss", "nothing"], "a loss is named as module:function, got 'nothing'"),
        (["--init", of("linear")], "an init must be a function .* is one network"),
        (["--init", of("X")], "an init must be a function that returns .* is a Tensor"),
        (["--init", of("far"), "--checkpoint", "a.pt"], "got --init .* leave out --init"),
        (["--checkpoint-key", "ema"], "--checkpoint-key names a network in a file, got ema with"),
        (["--batching", "map"], "'map' is not one of 'vmap', 'loop'"),
    ],
)
def test_wrong_names_are_refused(options: list[object], sentence: str, tmp_path: Path):
    assert_refused(invoke("run", *options, "--out", tmp_path / "out"), sentence)
    assert not list(tmp_path.iterdir())
