"""Free and used memory, and the check that arrays fit before they are allocated."""

import math

from reduction.errors import CapacityError


def available() -> int:
    """Bytes of free memory."""
    import psutil

    return psutil.virtual_memory().available


def resident() -> int:
    """Bytes of memory that this process uses."""
    import psutil

    return psutil.Process().memory_info().rss


def require(size: int, what: str, remedy: str = "take fewer points or a lower dimension") -> None:
    """Raise CapacityError, with the remedy, where `what` needs `size` bytes and there are fewer."""
    free = available()
    if size > free:
        gigabytes = size / 1e9 if size < 1e300 else math.inf
        raise CapacityError(
            f"{what} needs {gigabytes:.3g} GB of memory, but {free / 1e9:.3g} GB are free; {remedy}"
        )
