"""Runs at growing effort: what the command prints and writes, and how it goes on."""

import json
from pathlib import Path

import numpy as np
import pytest

from reduction import Barcode
from simplicial import Convergence
from simplicial.reports.html import write_page
from simplicial.reports.status import RunStatus
from tests.nets.cli_runner import SMALL, assert_same_complex, invoke, succeed

pytestmark = pytest.mark.usefixtures("no_pictures")
OPTIONS = [*SMALL, "--epochs", 2, "--max-dim", 1]


@pytest.mark.parametrize("optimizer", ["algorithm1", "minimax", "elastic"])
def test_w_inf_is_that_of_runs_with_as_many_steps(tmp_path: Path, optimizer: str) -> None:
    own = ["--optimizer", optimizer]
    steps = ["--steps", 2] if optimizer == "elastic" else []
    said = succeed("run", *OPTIONS, *own, *steps, "--effort", "1,2", "--out", tmp_path / "out")
    found = Convergence.load(tmp_path / "out" / "convergence.json")
    assert f"\nconvergence, {found.table()}" in said.stdout
    assert found.efforts.tolist() == [1, 2]
    barcode = Barcode.load(tmp_path / "out" / "barcodes.json")
    assert [found.w_inf[0, 0], found.errors[0, 0]] == [barcode.w_inf(0), barcode.error(0)]
    if optimizer == "elastic":  # whose steps are not those of the minima
        more = [*OPTIONS, *own, "--steps", 4]
        succeed("run", *more, "--out", tmp_path / "twice")
        twice = Barcode.load(tmp_path / "twice" / "barcodes.json")
        assert found.w_inf[1, 0] == twice.w_inf(0)
    mini_batches = 3 if optimizer == "elastic" else 1  # of 40 images at 128; steps, else
    assert found.gradients[1] > found.gradients[0] >= mini_batches


def test_a_run_is_compared_with_more_effort_afterwards(tmp_path: Path) -> None:
    succeed("run", *OPTIONS, "--out", tmp_path / "one")
    succeed("run", *OPTIONS, "--out", tmp_path / "other")
    succeed("run", *OPTIONS, "--effort", "0.5,1", "--out", tmp_path / "one")
    assert_same_complex(tmp_path / "one", tmp_path / "other")
    few = Convergence.load(tmp_path / "one" / "convergence.json")
    more = succeed("run", *OPTIONS, "--effort", "0.5,1,2", "--out", tmp_path / "one").stdout
    found = Convergence.load(tmp_path / "one" / "convergence.json")
    np.testing.assert_array_equal(found.w_inf[:2], few.w_inf)
    assert "convergence.json" in more
    status = succeed("status", tmp_path / "one").stdout
    assert status.startswith(f"{tmp_path / 'one'}: finished\n")
    assert f"\nconvergence, {found.table()}" in status
    assert succeed("status", tmp_path / "one" / "records" / "effort-2").stdout.count("finished")


def test_a_later_result_without_efforts_has_no_files_of_them(tmp_path: Path) -> None:
    out, own = tmp_path / "out", ["--max-dim", 2]
    curve = {"convergence.json", "convergence.png"}
    succeed("run", *OPTIONS, *own, "--effort", "1,2", "--out", out)
    assert curve <= {path.name for path in out.iterdir()}
    for name in ("mine.txt", "triangle.png"):
        (out / name).write_text("of an earlier one")
    said = succeed("run", *OPTIONS, *own, "--out", out).stdout
    there = {path.name for path in out.iterdir()}
    assert there == {"records", "barcodes.json", "complex.npz", "run.json", "mine.txt"}
    assert "convergence" not in said
    assert "\nconvergence, " in succeed("status", out).stdout  # of the records, which stay


def test_all_that_is_shown_names_its_field(tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeed("run", *OPTIONS, "--max-dim", 2, "--effort", "1,2", "--out", out)
    (out / "triangle.png").write_text("a picture")
    said = succeed("status", out, "--field", 3).stdout
    barcode, compared = said.split("\nconvergence, ")
    assert "\ncoefficients Z/3\n" in barcode
    assert "Z/2" not in barcode
    assert compared.startswith("coefficients Z/2\n")
    write_page(RunStatus.read(out), tmp_path / "page.html", 3)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "Coefficients Z/3." in page
    assert page.count("Z/2") == 5  # of two pictures, in caption and text, and of a table
    assert page.count("W_inf against gradients, over Z/2") == 2
    assert page.count("accuracy if there is one (of the result, over Z/2)") == 2
    write_page(RunStatus.read(out), tmp_path / "page.html")
    assert "of the result" not in (tmp_path / "page.html").read_text("utf-8")


class Killed(BaseException):
    """The process has ended."""


def test_a_comparison_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, compared = Convergence.save, [*OPTIONS, "--effort", "0.5,1,2"]

    def killed(found: Convergence, path: Path) -> None:
        save(found, path)
        if len(found) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Convergence, "save", killed)
        with pytest.raises(Killed):
            invoke("run", *compared, "--out", tmp_path / "out")
    status = RunStatus.read(tmp_path / "out")
    assert status.state == "stopped"
    assert status.convergence is not None
    assert status.convergence.efforts.tolist() == [0.5, 1]
    write_page(status, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    row = status.convergence.rows(0)[1]
    assert f"<tr><td>0</td>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" in page
    assert 'alt="W_inf against gradients' in page
    assert "no property of the loss" in page
    succeed("run", *compared, "--out", tmp_path / "out")
    whole = Convergence.load(tmp_path / "out" / "convergence.json")
    succeed("run", *compared, "--out", tmp_path / "at once")
    expected = Convergence.load(tmp_path / "at once" / "convergence.json")
    np.testing.assert_array_equal(whole.w_inf, expected.w_inf)
    np.testing.assert_array_equal(whole.w_inf[:2], status.convergence.w_inf)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--effort", "1,2,x"], "'1,2,x' are no efforts: give ascending numbers above 0"),
        (["--effort", "2,1"], "--effort must be ascending multiples of an optimizer's gradients"),
        (["--effort", "0,1"], "--effort must be ascending multiples of an optimizer's gradients"),
        (["--effort", "2,4"], "--effort must hold 1, the run itself, with which others are"),
        (["--effort", "1,1.1"], "efforts must differ in gradients, 1 and 1.1 both come to"),
        (["--effort", "1,1e300"], "efforts must come to fewer than 2**63 gradients, 1e+300 comes"),
        (["--effort", "1,2", "--epochs", 0], "1 and 2 both come to the same number for all"),
    ],
)
def test_efforts_that_compare_nothing_are_refused(
    tmp_path: Path, options: list[object], sentence: str
) -> None:
    result = invoke("run", *OPTIONS, *options, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert sentence in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_counts_all_efforts(tmp_path: Path) -> None:
    counts, said = {}, None
    for name, more in {"one": [], "both": ["--effort", "1,3"]}.items():
        said = succeed("run", *OPTIONS, "--sampled", *more, "--dry-run", "--out", tmp_path / "out")
        rows = [line.split() for line in said.stdout.splitlines()]
        counts[name] = next(row[1:5] for row in rows if row and row[0] == "edges")
    one, both = ([int(cell) for cell in counts[name]] for name in ("one", "both"))
    simplices, steps, losses, gradients = one
    assert steps > 0
    assert both == [2 * simplices, 4 * steps, 2 * losses, 2 * gradients]
    assert said is not None
    assert "efforts 1, 3: all complexes together" in said.stdout
    assert not any(tmp_path.iterdir())


@pytest.mark.long
def test_workers_give_the_same_convergence(tmp_path: Path) -> None:
    for name, more in {"here": ["--threads", 1], "there": ["--workers", 2]}.items():
        succeed("run", *OPTIONS, *more, "--effort", "1,2", "--out", tmp_path / name)
    here, there = (
        json.loads((tmp_path / name / "convergence.json").read_text("utf-8"))
        for name in ("here", "there")
    )
    assert here == there
