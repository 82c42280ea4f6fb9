"""Whether what is asked for fits into memory, told before it is taken."""

import os
from pathlib import Path

from reduction.errors import CapacityError


def available() -> int:
    """Bytes of memory that can be had now."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:  # not Linux
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require(size: int, what: str) -> None:
    """Raise CapacityError where `what` needs `size` bytes and there are fewer."""
    free = available()
    if size > free:
        raise CapacityError(
            f"{what} needs {size / 1e9:.3g} GB of memory, but {free / 1e9:.3g} GB are free; "
            "take fewer points or a lower dimension"
        )
