"""Free and used memory of the machine."""

import subprocess
import sys
from mmap import mmap
from pathlib import Path

import pytest

from reduction import CapacityError
from reduction.memory import available, left_by_groups, require, resident

MEGABYTE = 1 << 20


def test_memory_that_is_written_is_used() -> None:
    before = resident()
    with mmap(-1, 64 * MEGABYTE) as pages:  # new ones, whatever malloc keeps
        for _ in range(64):
            pages.write(bytes(MEGABYTE))
        assert 48 * MEGABYTE < resident() - before < 96 * MEGABYTE


def test_an_array_beyond_the_free_memory_is_refused() -> None:
    require(available() // 2, "half of the free memory")
    with pytest.raises(CapacityError, match=r"all of it needs .* GB of memory, but .* are free"):
        require(100 * available(), "all of it")


LIMITED = """
import resource, psutil
from reduction import CapacityError, FilteredComplex
from reduction.memory import available
import numpy as np

limit = psutil.Process().memory_info().vms + 400_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert 300_000_000 < available() <= 400_000_000, available()
try:
    FilteredComplex.rips(1 - np.eye(500), 3)
except CapacityError as error:
    assert "needs 20.8 GB of memory, but 0." in str(error), error
else:
    raise AssertionError
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of address space")
def test_a_limit_of_the_address_space_counts() -> None:
    subprocess.run([sys.executable, "-c", LIMITED], check=True, timeout=120)


def test_limits_of_control_groups_count(tmp_path: Path) -> None:
    def group(folder: Path, names: tuple[str, str, str], sizes: tuple[object, int, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        limit, usage, reclaimable = names
        (folder / limit).write_text(f"{sizes[0]}\n")
        (folder / usage).write_text(f"{sizes[1]}\n")
        (folder / "memory.stat").write_text(f"anon 7\n{reclaimable} {sizes[2]}\n")

    second = ("memory.max", "memory.current", "inactive_file")
    group(tmp_path / "job", second, (1000, 700, 100))
    group(tmp_path / "job/step", second, ("max", 600, 50))
    assert left_by_groups(tmp_path, "0::/job/step") == [400]
    group(tmp_path / "job", second, (1000, 800, 100))
    assert left_by_groups(tmp_path, "0::/job/step") == [300]
    assert left_by_groups(tmp_path, "0::/elsewhere") == []
    group(tmp_path, second, (2000, 900, 0))
    assert sorted(left_by_groups(tmp_path, "0::/job")) == [300, 1100]
    assert left_by_groups(tmp_path, "0::/outside/of/the/container") == [1100]
    first = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    group(tmp_path / "memory", first, (9223372036854771712, 400, 30))
    group(tmp_path / "memory/job", first, (500, 400, 30))
    assert left_by_groups(tmp_path, "3:cpu:/job\n4:memory:/job") == [130]
