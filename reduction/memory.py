"""Free and used memory, and the check that arrays fit before they are allocated."""

import math
import os
import sys
from pathlib import Path

from reduction.errors import CapacityError


def available() -> int:
    """Bytes of free memory."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:  # not Linux
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resident() -> int:
    """Bytes of memory that this process uses."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux: the most that it ever took
        import resource  # which Windows has not

        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size if sys.platform == "darwin" else 1024 * size


def require(size: int, what: str) -> None:
    """Raise CapacityError where `what` needs `size` bytes and there are fewer."""
    free = available()
    if size > free:
        gigabytes = size / 1e9 if size < 1e300 else math.inf
        raise CapacityError(
            f"{what} needs {gigabytes:.3g} GB of memory, but {free / 1e9:.3g} GB are free; "
            "take fewer points or a lower dimension"
        )
