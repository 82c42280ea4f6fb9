"""Data larger than the memory of a process: the values that they have in memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.networks.larger_than_memory import EXAMPLE_BYTES, write

SCRIPT = """
import json, resource, sys
from pathlib import Path
from simplicial import configure_process
from tests.benchmarks.networks.larger_than_memory import results, status
folder, small, source, room, norm = sys.argv[1:]
configure_process()
results(Path(small), source, norm=bool(norm))  # libraries set themselves up
if float(room) < float("inf"):
    limit = status("VmData") + int(room)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
print(json.dumps(results(Path(folder), source, norm=bool(norm))))
"""
# One heap, from which large tensors are kept out: what it keeps for later doesn't depend on chance.
HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}


def limited(folder: Path, source: str, room: float, norm: bool) -> subprocess.CompletedProcess[str]:
    """Results of a process that may write to so many bytes of memory beyond its libraries."""
    arguments = [str(folder), str(folder / "small"), source, str(room), "norm" if norm else ""]
    command = [sys.executable, "-c", SCRIPT, *arguments]
    environment = os.environ | HEAP
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize(
    "megabytes", [pytest.param(400, marks=pytest.mark.long), 40], ids=["400 MB", "40 MB"]
)
def test_data_larger_than_memory_give_the_same_bits(megabytes: int, tmp_path: Path) -> None:
    write(tmp_path, megabytes * 10**6 // EXAMPLE_BYTES)
    (tmp_path / "small").mkdir()
    write(tmp_path / "small", 4000)
    room = max(megabytes // 8, 30) * 10**6
    norm = megabytes == 400  # of fewer examples statistics are computed in one batch
    rooms = {"in memory": float("inf"), "mapped": room, "streamed": room}
    found = [limited(tmp_path, source, most, norm) for source, most in rooms.items()]
    assert not any(done.returncode for done in found), found
    expected, mapped, streamed = (json.loads(done.stdout) for done in found)
    assert len(expected) > 80
    assert mapped == expected
    assert streamed == expected
    too_large = limited(tmp_path, "in memory", room, norm)
    assert too_large.returncode != 0
    assert "memory" in too_large.stderr
