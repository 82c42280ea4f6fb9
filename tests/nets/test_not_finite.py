"""A network whose loss is not finite between some of its minima, through the command."""

from pathlib import Path

import pytest

from reduction import Barcode
from tests.nets.cli_runner import invoke, record_of, succeed

CLIFF = """
import torch
from torch import nn


class Cliff(nn.Module):
    def __init__(self):
        super().__init__()
        hidden = nn.Linear(64, 8)
        self.net = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(8, 10))

    def forward(self, x):
        return self.net(x) * torch.where(self.net[3].bias[0].abs() < 0.03, torch.nan, 1.0)


def make():
    return Cliff()
"""
RUN = ["run", "--factory", "cliff:make", "--minima", "5", "--epochs", "8", "--sampled"]
RUN += ["--subset", "300", "--quiet"]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cliff.py").write_text(CLIFF)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "out"


def test_what_is_missing_is_said_everywhere(out: Path) -> None:
    result = succeed(*RUN, "--out", out)
    warnings = [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == 2
    assert "4 of 10 edges have no finite loss and are missing, first (0, 3)" in warnings[0]
    assert "at learning rate 0.001: choose a smaller learning rate" in warnings[0]  # tried, too
    assert "6 of 10 triangles have no finite loss" in warnings[1]
    assert "10 simplices are missing" in result.stdout
    record = record_of(out)
    assert [0, 3] in record["missing"]
    assert len(record["missing"]) == 10
    assert record["w_inf"][0] is None
    barcode = Barcode.load(out / "barcodes.json")
    assert len(barcode.essential(0)) == 2  # minimum 3 is alone
    said = succeed("status", out).stdout
    assert said.count("missing (") == 4
    assert barcode.table() in said
    succeed("report", out)
    assert "These simplices, and all with such a face, are missing" in (
        out / "report.html"
    ).read_text(encoding="utf-8")


def test_a_minimum_that_is_not_finite_ends_the_run(out: Path) -> None:
    result = invoke(*RUN, "--seed", "2", "--out", out)
    assert result.exit_code == 1
    assert "Error: training must stay finite: parameters of 0-simplices" in result.stderr
    assert not out.exists()
