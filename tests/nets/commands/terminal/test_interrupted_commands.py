"""Ctrl-C ends a command by one sentence in each of its phases, and while it is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
KEPT = {"convergence", "pictures"}  # phases of a run whose folder has records

EARLY = """
import builtins, os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)
usual, library = builtins.__import__, sys.argv[1]

def imported(name, *rest):
    if name == library:
        os.kill(os.getpid(), signal.SIGINT)
    return usual(name, *rest)

builtins.__import__ = imported
from nets.cli import main
sys.argv[:] = ["loss-barcodes", "status", "there"]
main()
"""

SWALLOWED = """
import os, signal
from pathlib import Path
from nets.commands.work.interrupts import interruptible, kept_in

signal.signal(signal.SIGINT, signal.default_int_handler)

class Closed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)  # of which Python says that it is ignored

with interruptible(lambda: kept_in(Path("there"))) as loaded:
    loaded()
    closed = Closed()
    del closed
    os.kill(os.getpid(), signal.SIGINT)
    raise SystemExit(1)
"""


def test_in_each_phase_it_says_one_sentence_with_the_command_that_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.nets.commands.terminal.interrupted_phases", str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(done.stdout)
    assert len(results) == 11
    for phase, (status, printed) in results.items():
        assert status == 130, (phase, printed)
        lines = printed.split("\n")
        assert (lines[0], lines[2:]) == ("", [""]), (phase, printed)
        way = "go on" if phase in KEPT else "begin again"
        assert f"kept in finished; {way} by" in lines[1] or phase not in KEPT
        assert lines[1].startswith("stopped: ")
        assert f"; {way} by: loss-barcodes " in lines[1]
    assert list(tmp_path.iterdir()) == [tmp_path / "finished"]


@pytest.mark.parametrize("library", ["click", "torch"])
def test_while_a_library_is_imported_it_says_one_sentence(library: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY, library], capture_output=True, text=True, check=False
    )
    told = "stopped: nothing is kept; begin again by: loss-barcodes status there"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"\n{told}\n")


def test_the_second_interrupt_ends_what_lost_the_first() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130, done.stderr
    assert "stopped: nothing was finished, so nothing is kept" in done.stderr.splitlines()[-1]
