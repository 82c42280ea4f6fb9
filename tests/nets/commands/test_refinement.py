"""Budgets of refined maxima in the command, its files and its reports."""

from pathlib import Path

import numpy as np
import pytest

from nets import MLP, NetworkLoss, load_digits
from simplicial.maxima.refined import default_budget
from simplicial.reports.status import RunStatus
from tests.nets.cli_runner import SMALL, record_of, succeed

SAID = "the budget ended the refined maxima of"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of a run whose simplices have one gradient each; what it printed and warned of."""
    folder = tmp_path_factory.mktemp("budget") / "out"
    result = succeed("run", *SMALL, "--refinement-budget", 1, "--out", folder)
    return folder, result.stdout, result.stderr


def test_the_command_says_how_many_maxima_a_budget_ended(ended: tuple[Path, str, str]) -> None:
    folder, said, warned = ended
    found = record_of(folder)["refinement"]
    assert found["exhausted"]
    bound = found["largest_error_bound"]
    assert f"{SAID} {len(found['exhausted'])} simplices" in said
    assert f"by {bound:.3g} at most" in said
    assert "raise refinement_budget" in warned
    assert record_of(folder)["settings"]["refinement_budget"] == 1
    with np.load(folder / "complex.npz") as archive:
        bounds = [archive[f"error_bounds_{r}"] for r in (1, 2)]
        exhausted = [archive[f"exhausted_{r}"] for r in (1, 2)]
    assert sum(map(np.count_nonzero, exhausted)) == len(found["exhausted"])
    assert max(b[e].max(initial=0) for b, e in zip(bounds, exhausted, strict=True)) == bound


def test_status_and_report_say_it_too(ended: tuple[Path, str, str]) -> None:
    folder = ended[0]
    found = record_of(folder)["refinement"]
    status = RunStatus.read(folder)
    assert [list(simplex) for simplex in status.exhausted] == found["exhausted"]
    assert max(status.exhausted.values()) == found["largest_error_bound"]
    assert f"{SAID} {len(found['exhausted'])} simplices" in succeed("status", folder).stdout
    succeed("report", folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    first, bound = next(iter(status.exhausted.items()))
    assert f"({', '.join(map(str, first))}): {bound:.3g}" in page


def test_a_smooth_run_says_nothing_of_budgets(tmp_path: Path) -> None:
    said = succeed("analytic", "double-well", "--quiet", "--out", tmp_path / "out").stdout
    assert SAID not in said
    assert record_of(tmp_path / "out")["refinement"] == {
        "exhausted": [],
        "largest_error_bound": 0.0,
    }


def test_a_loss_of_networks_has_a_smaller_default_than_a_formula() -> None:
    data = load_digits()
    loss = NetworkLoss(MLP(64, (3,), 10), data.train_inputs[:20], data.train_targets[:20])
    assert [default_budget(loss, r) for r in (1, 2, 3)] == [100, 1_000, 10_000]
    assert default_budget(lambda x: x.sum(dim=1), 1) == 1_000
