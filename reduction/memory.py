"""Free and used memory, and the check that arrays fit before they are allocated.

Free is what the system has, and no more than the limits of this process leave: of its address space
(RLIMIT_AS, `ulimit -v`) and of its control groups, as batch systems and containers set them.
"""

import math
import sys
from pathlib import Path, PurePosixPath

from reduction.errors import CapacityError

GROUPS = Path("/sys/fs/cgroup")
V2 = ("memory.max", "memory.current", "inactive_file")  # limit, usage, and of it reclaimable
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available() -> int:
    """Bytes of free memory that this process may use."""
    import psutil

    free = [psutil.virtual_memory().available]
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free.append(limit - psutil.Process().memory_info().vms)
    own = Path("/proc/self/cgroup")
    if own.exists():
        free.extend(left_by_groups(GROUPS, own.read_text()))
    return max(0, min(free))


def left_by_groups(root: Path, own: str) -> list[int]:
    """Bytes that are left by the limits of control groups and of those that they are in.

    root  where they are mounted; own  the lines of /proc/self/cgroup. In a container its own group
    may be the root, whatever name it has outside. Source: the kernel's cgroup-v2.rst and
    cgroup-v1/memory.rst.
    """
    left: list[int] = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base, names = (root / "memory", V1) if controllers else (root, V2)
        inside = PurePosixPath(path).relative_to("/")
        for folder in {base, *(base / part for part in (inside, *inside.parents))}:
            left.extend(_left(folder, *names))
    return left


def _left(folder: Path, limit: str, usage: str, reclaimable: str) -> list[int]:
    """Bytes that the limit of one group leaves; none where it has no limit."""
    try:
        most = (folder / limit).read_text().strip()
        if most == "max":
            return []
        used = int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return [int(most) - used + int(stat.get(reclaimable, 0))]
    except (OSError, ValueError):  # there is no such group here, or it may not be read
        return []


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
