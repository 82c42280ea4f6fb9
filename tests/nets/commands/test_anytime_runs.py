"""Runs within limits: what the command prints and writes, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from reduction import Barcode
from tests.nets.cli_runner import SMALL, invoke, succeed

pytestmark = pytest.mark.usefixtures("no_pictures")
OPTIONS = [*SMALL, "--epochs", 2, "--max-dim", 1]


def test_without_gradients_simplices_are_measured_alone(tmp_path: Path) -> None:
    said = succeed("run", *OPTIONS, "--max-gradients", 0, "--out", tmp_path / "out")
    spent = json.loads((tmp_path / "out" / "run.json").read_text())["spent"]
    assert spent["gradients"] == [0]
    assert spent["ended"] == "gradients"
    assert not np.any(spent["efforts"][0])
    sentence = "0 training gradients (0 for 0 of 3 edges) at a tolerance of bars of 0; the build"
    assert sentence in said.stdout
    assert np.isfinite(Barcode.load(tmp_path / "out" / "barcodes.json").error(0))


def test_a_wide_tolerance_trains_nothing_and_a_run_goes_on_with_a_narrow_one(
    tmp_path: Path,
) -> None:
    out = ["--out", tmp_path / "out"]
    for tolerance, trained in ((1e6, False), (0, True)):
        succeed("run", *OPTIONS, "--tolerance-of-bars", tolerance, *out)
        spent = json.loads((tmp_path / "out" / "run.json").read_text())["spent"]
        assert (sum(spent["gradients"]) > 0) == trained
        assert spent["ended"] == "tolerance"


def test_over_another_field_it_is_said_by_which_one_boundaries_bound(tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeed("run", *OPTIONS, "--max-gradients", 0, "--out", out)
    remark = "those trained on it (boundaries that bound: over Z/2)"
    for field, is_said in (([], False), (["--field", 2], False), (["--field", 3], True)):
        assert (remark in succeed("status", out, *field).stdout) == is_said
        succeed("report", out, *field)
        assert (remark in (out / "report.html").read_text("utf-8")) == is_said


def test_a_landscape_within_limits() -> None:
    said = succeed("analytic", "double-well", "--max-gradients", 0)
    assert "\n0 training gradients (" in said.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--max-gradients", -1], "max_gradients must be"),
        (["--tolerance-of-bars", "nan"], "tolerance_of_bars must be"),
        (["--max-seconds", "inf"], "max_seconds must be"),
        (["--max-gradients", 9, "--effort", "1,2"], "got it with --max-gradients 9: leave one"),
        (["--max-seconds", 0.5, "--effort", "1,2"], "got it with --max-seconds 0.5: leave one"),
        (["--tolerance-of-bars", 0, "--effort", "1"], "with --tolerance-of-bars 0.0: leave one"),
        (["--max-gradients", 9, "--sides", "trainable"], "an anytime build finishes"),
    ],
)
def test_limits_that_are_refused(tmp_path: Path, options: list[object], sentence: str) -> None:
    said = invoke("run", *OPTIONS, *options, "--out", tmp_path / "out")
    assert said.exit_code == 1
    assert sentence in said.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_limits_change(tmp_path: Path) -> None:
    said = succeed(
        "run", *OPTIONS, "--sampled", "--max-gradients", 9, "--dry-run", "--out", tmp_path / "out"
    )
    assert "anytime: the counts are those of a full build" in said.stdout
