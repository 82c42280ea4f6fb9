"""Results of runs beside each other."""

import json
import math
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.nets.cli_runner import QUICK, SMALL, invoke, record_of, succeed

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs of three seeds."""
    made = tmp_path_factory.mktemp("runs")
    for seed in SEEDS:
        succeed("run", *SMALL, "--threads", 1, "--seed", seed, "--out", made / f"seed-{seed}")
    return [made / f"seed-{seed}" for seed in SEEDS]


def compared(*folders: Path) -> dict[str, Any]:
    return json.loads(succeed("compare", *folders, "--json").stdout)


def test_runs_of_several_seeds_have_a_mean_and_a_spread(folders: list[Path]) -> None:
    (group,) = compared(*folders)["groups"]
    records = [record_of(folder) for folder in folders]
    assert [run["seed"] for run in group["runs"]] == list(SEEDS)
    for r in range(2):
        distances = [record["w_inf"][r] for record in records]
        assert [run["indices"][r]["W_inf"] for run in group["runs"]] == distances
        assert [run["indices"][r]["error"] for run in group["runs"]] == [
            record["error"][r] for record in records
        ]
        mean, spread = group["mean"]["indices"][r], group["standard_deviation"]["indices"][r]
        assert math.isclose(mean["W_inf"], statistics.mean(distances), abs_tol=1e-15)
        assert math.isclose(spread["W_inf"], statistics.stdev(distances), abs_tol=1e-15)
        assert all(
            0 <= run["indices"][r]["lowest"] <= run["indices"][r]["W_inf"] for run in group["runs"]
        )
    lowest = [min(record["minima"]["loss"]) for record in records]
    assert len(set(lowest)) == 3
    assert math.isclose(group["mean"]["minima"]["lowest"], statistics.mean(lowest))
    assert math.isclose(group["standard_deviation"]["minima"]["lowest"], statistics.stdev(lowest))
    table = succeed("compare", *folders).stdout
    assert table.startswith("3 runs, which differ by their seed only\n\nminima")
    assert f"{statistics.stdev(lowest):.6g}" in table
    assert max(map(len, table.splitlines())) <= 80


def test_runs_of_other_losses_and_settings_are_not_averaged(
    folders: list[Path], tmp_path: Path
) -> None:
    succeed("analytic", "double-well", *QUICK, "--out", tmp_path / "function")
    result = succeed("compare", *folders[:2], tmp_path / "function")
    assert result.stdout.startswith("runs of different losses, by ")
    assert "\n2 runs, which differ by their seed only; " in result.stdout
    assert "\none run; " in result.stdout
    found = compared(folders[0], tmp_path / "function")
    assert [len(group["runs"]) for group in found["groups"]] == [1, 1]
    assert found["groups"][0]["standard_deviation"]["indices"][0]["W_inf"] is None
    other = tmp_path / "momentum"
    succeed("run", *SMALL, "--threads", 1, "--momentum", 0.5, "--out", other)
    told = succeed("compare", folders[0], other).stdout
    assert told.startswith("runs of different settings, momentum: each by itself\n")
    assert "one run; momentum = 0.5" in told


@pytest.mark.parametrize(
    "losses", [[], [[1.0, 2.0]], ["1"], [True], [10**400], {}, [None], [math.nan]]
)
def test_losses_that_are_no_numbers_are_refused(
    losses: Any, folders: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(folders[0], tmp_path / "spoilt")
    record = record_of(folders[0])
    record["minima"]["loss"] = losses
    (tmp_path / "spoilt" / "run.json").write_text(json.dumps(record), encoding="utf-8")
    result = invoke("compare", folders[1], tmp_path / "spoilt")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "take the folder as it was written" in result.stderr


def test_what_cannot_be_compared_is_refused(folders: list[Path], tmp_path: Path) -> None:
    shutil.copytree(folders[0], tmp_path / "copy")
    spoilt = tmp_path / "spoilt"
    shutil.copytree(folders[0], spoilt)
    record = record_of(spoilt)
    del record["settings"]["seed"]
    (spoilt / "run.json").write_text(json.dumps(record), encoding="utf-8")
    for arguments, status, sentence in (
        ((folders[0], spoilt), 1, "spoilt has not (KeyError: 'seed'): take the folder"),
        ((folders[0], tmp_path), 1, "has none: name the folder"),
        ((folders[0], tmp_path / "nothing"), 1, "has none: name the folder"),
        ((folders[0], folders[0]), 1, "the same settings and seed 0: leave one of them out"),
        ((folders[0], tmp_path / "copy"), 1, "the same settings and seed 0: leave one of them out"),
        ((folders[0],), 2, "name two folders or more"),
        ((), 2, "Missing argument"),
    ):
        result = invoke("compare", *arguments)
        assert result.exit_code == status
        assert result.stdout == ""
        assert sentence in result.stderr
