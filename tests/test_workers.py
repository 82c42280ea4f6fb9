"""The scripts of examples/workers: engines of others finish the run, with the same bits."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parent.parent
COMMANDS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def begun(command: list[str]) -> subprocess.Popen[str]:
    """A script that runs."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PATH": COMMANDS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(script: subprocess.Popen[str]) -> str:
    """What it printed."""
    printed, told = script.communicate(timeout=100)
    assert script.returncode == 0, told
    return printed


def module(name: str, out: Path, *more: str) -> list[str]:
    return ["-m", f"examples.workers.{name}", "--out", str(out), *more]


def mpi(processes: int, out: Path) -> list[str]:
    """The command, of which all processes but one are workers."""
    job = ["mpiexec", "-n", str(processes), sys.executable, "-m", "mpi4py.futures"]
    return [*job, *module("with_mpi", out)]


def content(out: Path) -> dict[str, bytes]:
    """Barcodes, records and their settings."""
    paths = [out / "barcodes.json", *(out / "store").rglob("[a-z0-9]*.*")]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stored(out: Path) -> dict[Path, int]:
    """Records, and when they were written."""
    paths = out.glob("store/simplices-*/[0-9]*.json")
    return {path: path.stat().st_mtime_ns for path in paths}


def children(pid: int) -> list[int]:
    return [int(i) for i in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("alone")
    assert "index 1" in ended(begun([sys.executable, *module("digits", out)]))
    found = content(out)
    assert len(found) == 1 + 2 * (4 + 6 + 4) + 3  # settings, gradient norms
    return found


def test_dask_has_the_same_bits(tmp_path: Path, alone: dict[str, bytes]) -> None:
    ended(begun([sys.executable, *module("with_dask", tmp_path)]))
    assert content(tmp_path) == alone


needs_mpi = pytest.mark.skipif(
    shutil.which("mpiexec", path=COMMANDS) is None,
    reason="mpich has no wheel for this system, and no other MPI is installed",
)
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are listed in /proc"
)


@needs_mpi
@needs_proc
def test_an_mpi_job_ends_with_a_killed_worker_and_goes_on_to_the_same_bits(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    script = begun(mpi(2, tmp_path))
    wait_for(lambda: stored(tmp_path))
    [proxy] = children(script.pid)
    _, worker = sorted(children(proxy))
    os.kill(worker, signal.SIGKILL)
    script.communicate(timeout=60)
    assert script.returncode != 0
    before = stored(tmp_path)
    assert 0 < len(before) < 14
    ended(begun(mpi(3, tmp_path)))
    assert content(tmp_path) == alone
    assert before.items() <= stored(tmp_path).items()


@needs_proc
def test_a_job_of_submitit_that_is_preempted_goes_on(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    """submitit's own local cluster: the signal that Slurm would send, and the job begins again."""
    script = begun([sys.executable, *module("with_slurm", tmp_path, "--cluster", "local")])
    wait_for(lambda: stored(tmp_path))
    [controller] = children(script.pid)
    [job] = children(controller)
    os.kill(job, signal.SIGUSR2)
    ended(script)
    log = next(tmp_path.glob("jobs/*_log.out")).read_text("utf-8")
    assert log.count("Starting with JobEnvironment") == 2
    assert content(tmp_path) == alone
