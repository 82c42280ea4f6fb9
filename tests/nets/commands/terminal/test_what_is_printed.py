"""What commands print: phases, progress, one JSON document, and a sentence where interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from simplicial.display import progress_bar
from tests.nets.cli_runner import QUICK, SMALL, assert_same_complex, invoke, record_of, succeed

LONG = ["run", "--subset", "300", "--minima", "4", "--epochs", "3000", "--batch", "1"]
LONG += ["--threads", "1"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def interrupted(
    arguments: list[str], is_time: Callable[[], bool]
) -> "subprocess.CompletedProcess[str]":
    """The command in a process group, to which SIGINT is sent, as a terminal does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nets.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # perhaps ignored here
    )
    while process.poll() is None and not is_time():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_while_libraries_are_loaded_it_ends_with_one_sentence(tmp_path: Path) -> None:
    began = time.monotonic()
    arguments = [*LONG, "--out", str(tmp_path / "out")]
    done = interrupted(arguments, lambda: time.monotonic() - began > 0.8)
    told = f"begin again by: loss-barcodes {' '.join(arguments)}"
    assert done.returncode == 130, done.stderr
    assert (
        done.stderr
        == f"loading PyTorch\n\nstopped: nothing was finished, so nothing is kept; {told}\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [[], ["--workers", "1"]])
def test_while_networks_are_trained_it_says_what_is_kept(
    workers: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [*LONG, *workers, "--out", str(out)]
    saved = out / "records" / "unfinished"
    done = interrupted(arguments, lambda: any(saved.rglob("*.json")))
    told = f"stopped: what is finished is kept in {out}; go on by: loss-barcodes "
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith(f"\n{told}{' '.join(arguments)}\n")
    assert "Traceback" not in done.stderr
    assert any(saved.rglob("*.json"))


@pytest.mark.usefixtures("no_pictures")
def test_a_run_goes_on_with_its_own_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "whole"):
        succeed("run", *SMALL, "--out", tmp_path / name)
    (tmp_path / "one" / "records" / "simplices-2" / "000000.json").unlink()
    # as OMP_NUM_THREADS=3 does
    monkeypatch.setattr("nets.commands.work.settings.torch.get_num_threads", lambda: 3)
    succeed("run", *SMALL, "--out", tmp_path / "one")
    assert_same_complex(tmp_path / "one", tmp_path / "whole")
    result = invoke("run", *SMALL, "--threads", 7, "--out", tmp_path / "one")
    assert "threads" in result.stderr


def test_progress_is_a_line_a_minute_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.time", lambda: now)
    monkeypatch.setattr("tqdm.std.time", lambda: now)
    with progress_bar("edges: training", 40, enabled=True) as bar:
        for _ in range(40):
            now += 6.0
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0] == "edges: training: 10 of 40 after 01:00, left 03:00"
    assert all(line.isascii() and "\r" not in line for line in lines)


@pytest.mark.usefixtures("no_pictures")
def test_json_is_one_document_that_holds_what_is_printed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = succeed("run", *SMALL, "--out", out).stdout
    result = succeed("run", *SMALL, "--json", "--out", out)
    printed = json.loads(result.stdout)
    assert result.stderr == ""
    assert printed == record_of(out)
    minima, eq_3 = printed["minima"], printed["eq_3"]
    for name, title in (("loss", "loss"), ("accuracy", "accuracy"), ("test_accuracy", "test acc")):
        low, high = min(minima[name]), max(minima[name])
        assert f"{low:.6g} to {high:.6g}" in next(
            line for line in table.splitlines() if line.startswith(title)
        )
    assert f"by itself: {eq_3['bars']} bars, W_inf {eq_3['w_inf']:.6g}" in table


def test_json_of_a_function_has_its_distance_from_the_exact_bars() -> None:
    loud = [option for option in QUICK if option != "--quiet"]
    result = succeed("analytic", "himmelblau", *loud, "--json")
    printed = json.loads(result.stdout)
    assert printed["exact"][0]["bars"] == 4
    assert len(printed["minima"]["loss"]) == 4
    assert "exact index 0" in result.stderr
    assert result.stderr.startswith("loading PyTorch\nsearching minima\n")


def test_json_of_a_plan_counts_what_the_run_takes(tmp_path: Path) -> None:
    result = succeed("run", *SMALL, "--sampled", "--dry-run", "--json", "--out", tmp_path / "out")
    dimensions = json.loads(result.stdout)["dimensions"]
    assert [each["simplices"] for each in dimensions] == [3, 3, 1]
    assert result.stderr == ""
