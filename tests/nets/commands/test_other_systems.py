"""The packages and their command on a system that lacks what Linux has, with output in cp1252."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reduction import FilteredComplex
from tests.nets.cli_runner import QUICK, SMALL, succeed

ROOT = Path(__file__).parents[3]
WITHOUT = ROOT / "tests" / "without_linux"
CONSOLE = "cp1252"  # of Windows in Western Europe
REFUSED = """
import os, sys
import reduction.files, reduction.memory, reduction.threads

assert reduction.memory.sys.platform == "win32" and sys.platform != "win32"
assert not hasattr(reduction.files.os, "O_DIRECTORY") and hasattr(os, "O_DIRECTORY")
import resource  # not one of our packages

for step in ("import resource", "import fcntl", "_read('/proc/self/cgroup')"):
    try:
        exec(step, vars(reduction.memory))
    except (ModuleNotFoundError, FileNotFoundError):
        continue
    raise SystemExit(f"not refused: {step}")
assert reduction.memory.available() > 0 and reduction.threads.cores() >= 1
"""
WORK = """
import json, sys
from nets.cli import main
from reduction import FilteredComplex

points, *commands = json.load(sys.stdin)
print(FilteredComplex.rips(points, 2, metric="euclidean").barcode().table())
for arguments in commands:
    sys.argv = ["loss-barcodes", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
"""
POINTS = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.1], [0.0, 1.2], [3.0, 0.5]]
RUN = ["run", *SMALL, "--max-dim", "1"]
ANALYTIC = ["analytic", "double-well", "--dim", "1", *QUICK]


def there(script: str, given: object = None) -> str:
    """What a Python prints on the stand-in for another system."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(WITHOUT), str(ROOT)]),
        "PYTHONIOENCODING": f"{CONSOLE}:strict",
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        input=json.dumps(given).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(CONSOLE)
    return done.stdout.decode(CONSOLE)


def numbers(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "barcodes.json").read_text(encoding="utf-8"))


def test_the_stand_in_refuses_our_packages_and_no_others() -> None:
    there(REFUSED)


@pytest.mark.usefixtures("no_pictures")
def test_it_prints_the_same_barcodes(tmp_path: Path) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    printed = there(
        WORK,
        [
            POINTS,
            [*RUN, "--dry-run", "--sampled", "--out", one],
            [*RUN, "--out", one],
            ["status", one],
            ["report", one],
            [*ANALYTIC, "--out", other],
        ],
    )
    assert FilteredComplex.rips(POINTS, 2, metric="euclidean").barcode().table() in printed
    assert "a first barcode of index 0" in printed
    for arguments, folder in ((RUN, one), (ANALYTIC, other)):
        result = succeed(*arguments, "--out", tmp_path / "here" / arguments[0])
        assert numbers(Path(folder)) == numbers(tmp_path / "here" / arguments[0])
        assert "index" in result.stdout
    assert (Path(one) / "report.html").stat().st_size > 0
