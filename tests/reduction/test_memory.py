"""Free and used memory of the machine."""

import numpy as np
import pytest

from reduction import CapacityError
from reduction.memory import available, require, resident

MEGABYTE = 1 << 20


def test_memory_of_an_array_is_used() -> None:
    before = resident()
    array = np.ones(64 * MEGABYTE, np.uint8)
    assert 48 * MEGABYTE < resident() - before < 96 * MEGABYTE
    assert array.all()


def test_an_array_beyond_the_free_memory_is_refused() -> None:
    require(available() // 2, "half of the free memory")
    with pytest.raises(CapacityError, match=r"all of it needs .* GB of memory, but .* are free"):
        require(100 * available(), "all of it")
