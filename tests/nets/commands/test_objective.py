"""The objective of a run, its polished minima, and their gradient norms, in every report."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from nets import MLP, NetworkLoss, load_digits
from simplicial.reports.html import write_page
from simplicial.reports.status import RunStatus
from tests.nets.cli_runner import SMALL, assert_same_complex, invoke, record_of, succeed

pytestmark = pytest.mark.usefixtures("no_pictures")
FEW = [*SMALL, "--max-dim", 1]


def plain_numbers(
    folder: Path, weight_decay: float, hidden: tuple[int, ...] = (3,)
) -> tuple[list[float], list[float]]:
    """Losses and gradient norms of the networks of a result, by plain torch."""
    digits, losses, norms = load_digits().subset(40), [], []
    with np.load(folder / "complex.npz") as archive:
        points = torch.tensor(archive["pool"][:3])
    for point in points:
        network = MLP(64, hidden, 10)
        torch.nn.utils.vector_to_parameters(point, network.parameters())
        value = cross_entropy(network(digits.train_inputs), digits.train_targets)
        squares = sum(p.square().sum() for p in network.parameters())
        value = value + weight_decay / 2 * squares
        value.backward()
        slopes = [p.grad for p in network.parameters() if p.grad is not None]
        losses.append(value.item())
        norms.append(float(torch.cat([slope.flatten() for slope in slopes]).norm()))
    return losses, norms


def test_the_penalised_loss_is_reported_everywhere_as_what_it_is(tmp_path: Path) -> None:
    result = succeed(
        "run", *FEW, "--objective", "penalised", "--weight-decay", 0.5, "--out", tmp_path
    )
    losses, norms = plain_numbers(tmp_path, 0.5)
    written, lines = record_of(tmp_path), result.stdout.splitlines()
    assert written["minima"]["loss"] == pytest.approx(losses, rel=1e-5)
    assert written["minima"]["gradient_norm"] == pytest.approx(norms, rel=1e-4)
    assert written["loss"].endswith(", weight_decay=0.5)")
    assert written["settings"]["objective"] == "penalised"
    assert written["recipe"]["weight_decay"] == 0.0
    assert lines[1] == f"penalised loss {min(losses):.6g} to {max(losses):.6g}"
    penalties = np.array(losses) - plain_numbers(tmp_path, 0.0)[0]
    low, high = (float(word) for word in lines[2].removeprefix("penalty in it ").split(" to "))
    assert (low, high) == pytest.approx((penalties.min(), penalties.max()), rel=1e-4)
    assert lines[5].startswith("gradient norm  ")
    status = RunStatus.read(tmp_path)
    np.testing.assert_allclose(status.checks.norms, norms, rtol=1e-4)
    write_page(status, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The loss holds the penalty" in page
    assert f"<td>{losses[1]:.6g}</td><td>{status.checks.norms[1]:.3g}</td>" in page


def test_the_plain_loss_is_trained_by_the_recipes_weight_decay_and_reported_without(
    tmp_path: Path,
) -> None:
    result = succeed("run", *FEW, "--weight-decay", 0.5, "--out", tmp_path / "plain")
    losses, norms = plain_numbers(tmp_path / "plain", 0.0)
    written = record_of(tmp_path / "plain")
    assert written["minima"]["loss"] == pytest.approx(losses, rel=1e-5)
    assert written["minima"]["gradient_norm"] == pytest.approx(norms, rel=1e-4)
    assert written["settings"]["objective"] == "plain"
    assert written["recipe"]["weight_decay"] == 0.5
    assert result.stdout.splitlines()[1].startswith("loss           ")
    write_page(RunStatus.read(tmp_path / "plain"), tmp_path / "page.html")
    assert "The loss is the plain one" in (tmp_path / "page.html").read_text(encoding="utf-8")
    named = succeed("run", *FEW, "--weight-decay", 0.5, "--objective", "plain",
                    "--out", tmp_path / "named")  # fmt: skip
    assert named.stdout.splitlines()[:5] == result.stdout.splitlines()[:5]
    assert_same_complex(tmp_path / "plain", tmp_path / "named")


SMOOTH = [*FEW, "--hidden", "none"]  # ReLU has kinks, where no gradient is small
POLISH = ["--objective", "penalised", "--weight-decay", 0.1, "--polish"]


@pytest.mark.parametrize("sampled", [["--sampled"], []])
def test_polished_minima_reach_the_norm_asked_for_on_the_loss_of_the_run(
    tmp_path: Path, sampled: list[str]
) -> None:
    options = [*SMOOTH, *POLISH, "--polish-tolerance", 2e-3, *sampled]
    succeed("run", *options, "--out", tmp_path)
    norms = plain_numbers(tmp_path, 0.1, ())[1]
    assert 1e-5 < max(norms) < 2.01e-3
    np.testing.assert_allclose(RunStatus.read(tmp_path).checks.norms, norms, rtol=0.02)
    again = succeed("run", *options, "--out", tmp_path)  # from its records
    assert f"{max(record_of(tmp_path)['minima']['gradient_norm']):.6g}" in again.stdout
    polished = json.loads((tmp_path / "records" / "polish.settings.json").read_text("utf-8"))
    assert polished["options"]["tolerance"] == 2e-3


def test_checkpoints_are_polished_too(tmp_path: Path) -> None:
    paths = []
    for seed in range(3):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            torch.save(MLP(64, (), 10).state_dict(), tmp_path / f"{seed}.pt")
        paths.append(tmp_path / f"{seed}.pt")
    options = ["--subset", 40, "--hidden", "none", "--max-dim", 1, "--epochs", 0, "--sampled"]
    options += [*POLISH, "--polish-tolerance", 5e-3, "--quiet", "--checkpoint", *paths]
    succeed("run", *options, "--out", tmp_path / "out")
    assert max(plain_numbers(tmp_path / "out", 0.1, ())[1]) < 5.1e-3


def test_a_norm_that_is_not_reached_is_told(tmp_path: Path) -> None:
    options = [*SMOOTH, *POLISH, "--polish-tolerance", 1e-30, "--sampled"]
    result = succeed("run", *options, "--out", tmp_path)
    assert "Warning: 3 of 3 minima were not polished to a gradient norm of 1e-30" in result.stderr


def test_a_folder_made_before_there_was_an_objective_goes_on(tmp_path: Path) -> None:
    succeed("run", *FEW, "--out", tmp_path)
    path = tmp_path / "records" / "run.settings.json"
    older = forget(path, "objective", "polish", "polish_tolerance")
    before = {p: p.read_bytes() for p in (tmp_path / "records" / "simplices-1").iterdir()}
    succeed("run", *FEW, "--out", tmp_path)
    assert {p: p.read_bytes() for p in before} == before
    assert path.read_bytes() == older
    for options, named in (
        (["--objective", "penalised"], 'objective = "plain", now objective = "penalised"'),
        (["--polish"], "polish = false, now polish = true"),
    ):
        refused = invoke("run", *FEW, *options, "--out", tmp_path)
        assert refused.exit_code == 1
        assert named in refused.stderr


def forget(path: Path, *names: str) -> bytes:
    """Settings as an older version wrote them, without these names."""
    from reduction.files import sealed, unsealed

    body = unsealed(json.loads(path.read_bytes()))
    kept = {name: value for name, value in body.items() if name not in names}
    assert len(kept) == len(body) - len(names)
    path.write_text(json.dumps(sealed(kept), indent=1) + "\n", encoding="utf-8")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--objective", "penalised", "--weight-decay", 0], "got a weight decay of 0: give"),
        (["--polish-tolerance", 1e-5], "got 1e-05 without --polish: give it"),
        (["--polish", "--polish-tolerance", -1], "tolerance must be the norm of a gradient"),
    ],
)
def test_options_that_would_say_nothing_are_refused(
    tmp_path: Path, options: list[object], sentence: str
) -> None:
    refused = invoke("run", *FEW, *options, "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert sentence in refused.stderr
    assert not (tmp_path / "out").exists()


def test_norms_of_gradients_that_do_not_fit_into_memory_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of sampled maxima takes no exact gradient beside them."""

    def huge(loss: NetworkLoss, *, gradients: bool = True) -> int:
        return 10**12 if gradients else loss.training_bytes

    monkeypatch.setattr(NetworkLoss, "point_bytes", huge)
    said = succeed("run", *FEW, "--sampled", "--out", tmp_path / "sampled").stdout
    assert "\ngradient norm  unknown\nover its noise unknown\n" in said
    assert record_of(tmp_path / "sampled")["minima"]["gradient_norm"] is None
    assert np.isnan(RunStatus.read(tmp_path / "sampled").checks.norms).all()
    refused = invoke("run", *FEW, "--out", tmp_path / "refined")
    assert "control points and the exact gradient of a network, 1e+03 GB" in refused.stderr
