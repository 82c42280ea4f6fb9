"""Free and used memory of the machine."""

from mmap import mmap

import pytest

from reduction import CapacityError
from reduction.memory import available, require, resident

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
