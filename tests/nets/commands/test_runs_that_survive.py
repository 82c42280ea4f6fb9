"""Runs of the command that are killed, run out of disk, or meet another run in their folder."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.nets.cli_runner import assert_same_complex, invoke, succeed

RUN = ["run", "--subset", "300", "--minima", "4", "--epochs", "6", "--batch", "1"]
RUN += ["--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "out"
    succeed(*RUN, "--out", folder)
    return folder


def start(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "nets.cli", *RUN, "--out", str(folder)]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def written(folder: Path) -> dict[str, int]:
    records = (folder / "records").glob("simplices-*/*.json")
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in records}


@pytest.mark.kill
def test_killed_at_random_moments_it_ends_with_the_same_bits(whole: Path, tmp_path: Path) -> None:
    """tests/benchmarks/kills.py does so fifty times."""
    moments, out = random.Random(81), tmp_path / "out"
    finished: dict[str, int] = {}
    kills = 0
    while kills < 4 or (not finished and kills < 20):
        process = start(out)
        records = len(written(out))
        while process.poll() is None and len(written(out)) == records:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        now = written(out)
        assert {name: now[name] for name in finished} == finished  # not written again
        finished = now
    assert len(finished) > 0
    succeed(*RUN, "--out", out)
    assert len(written(out)) == 4 + 6 + 4
    now = written(out)
    assert {name: now[name] for name in finished} == finished
    assert_same_complex(out, whole)


def test_a_finished_run_says_the_same_again_and_computes_nothing(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(whole)
    barcodes = (whole / "barcodes.json").read_bytes()
    monkeypatch.setattr("simplicial.construction.finishing.sample_interiors", None)
    monkeypatch.setattr("simplicial.optimizers.algorithm1.Algorithm1.optimise", None)
    succeed(*RUN, "--out", whole)
    assert written(whole) == before
    assert (whole / "barcodes.json").read_bytes() == barcodes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--seed", "1"], "seed = 0, now seed = 1"),
        (["--subset", "299"], "subset = 300, now subset = 299"),
        (["--learning-rate", "0.2"], "learning_rate = null, now learning_rate = 0.2"),
        (["--threads", "2"], "threads = 1, now threads = 2"),
        (["--minima", "5"], "minima = 4, now minima = 5"),
    ],
)
def test_other_settings_are_refused_and_named(whole: Path, change: list[str], told: str) -> None:
    before = written(whole)
    result = invoke(*RUN, *change, "--out", whole)
    assert result.exit_code == 1
    assert told in result.stderr.splitlines()[-1]
    assert written(whole) == before


@pytest.mark.parametrize("count", [1, 2])
def test_workers_give_the_same_bits(whole: Path, tmp_path: Path, count: int) -> None:
    succeed(*RUN, "--workers", count, "--out", tmp_path / "out")
    assert_same_complex(tmp_path / "out", whole)


@pytest.mark.kill
def test_a_second_run_leaves_the_folder_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = start(out)
    while not written(out):
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    before = written(out)
    result = invoke(*RUN, "--out", out)
    assert result.exit_code == 1
    assert "another one works on" in result.stderr.splitlines()[-1]
    assert written(out) == before
    first.send_signal(signal.SIGCONT)
    _, errors = first.communicate()
    assert first.returncode == 0, errors
    assert json.loads((out / "run.json").read_text())["command"] == "run"


def test_swapped_networks_are_refused(whole: Path, tmp_path: Path) -> None:
    """Before any edge: afterwards the edges' settings tell."""
    records = tmp_path / "out" / "records"
    shutil.copytree(whole / "records", records)
    for name in ("simplices-1", "simplices-2"):
        shutil.rmtree(records / name)
    for kind in ("json", "safetensors"):
        one, other = (records / "simplices-0" / f"{i:06}.{kind}" for i in (1, 2))
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    result = invoke(*RUN, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "000001.json must be where a run wrote it" in result.stderr.splitlines()[-1]


def test_another_command_does_not_write_into_a_runs_folder(whole: Path) -> None:
    before = (whole / "run.json").read_bytes()
    result = invoke("analytic", "himmelblau", "--quiet", "--out", whole)
    assert result.exit_code == 1
    assert "must be new or empty" in result.stderr
    assert (whole / "run.json").read_bytes() == before


def test_a_folder_of_that_name_is_not_a_runs(tmp_path: Path) -> None:
    (tmp_path / "out" / "records").mkdir(parents=True)
    (tmp_path / "out" / "records" / "song.mp3").write_text("mine")
    result = invoke(*RUN, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "must be new or empty" in result.stderr


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed in /proc")
@pytest.mark.kill
def test_workers_end_with_the_run_that_is_killed(tmp_path: Path) -> None:
    command = [*RUN, "--epochs", "100000", "--workers", "2", "--out", str(tmp_path / "out")]
    run = subprocess.Popen([sys.executable, "-m", "nets.cli", *command], start_new_session=True)
    deadline = time.monotonic() + 60
    while len(members(run.pid)) < 4:  # the run, two workers, and the tracker of their semaphores
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(3)
    run.kill()
    run.wait()
    while members(run.pid):
        assert time.monotonic() < deadline, "workers live on"
        time.sleep(0.1)


def members(group: int) -> list[int]:
    """Processes of a group that are no zombies."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                alive.append(int(stat.parent.name))
    return alive


def test_certificates_where_no_edge_is_higher_than_its_ends(tmp_path: Path) -> None:
    small = ["--subset", "100", "--hidden", "8", "--minima", "4", "--epochs", "2"]
    succeed("run", *small, "--threads", 1, "--quiet", "--certify", "--out", tmp_path / "out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    try:
        made = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("this process may not mount a disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.kill
def test_a_full_disk_stops_it_and_with_room_it_goes_on(whole: Path, small_disk: Path) -> None:
    result = invoke(*RUN, "--out", small_disk)
    assert result.exit_code == 1
    assert "is full: make room and run it again" in result.stderr.splitlines()[-1]
    before = written(small_disk)
    assert 4 <= len(before) < 14
    assert not list(small_disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    succeed(*RUN, "--out", small_disk)
    now = written(small_disk)
    assert {name: now[name] for name in before} == before
    assert_same_complex(small_disk, whole)
