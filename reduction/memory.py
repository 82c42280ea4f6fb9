"""Free and used memory, and the check that arrays fit before they are allocated.

Free is what the system has, and no more than the limits of this process leave: of its address space
(RLIMIT_AS, `ulimit -v`) and of its control groups, as batch systems and containers set them.
"""

import math
import sys
from functools import lru_cache
from pathlib import Path, PurePosixPath

from reduction.errors import CapacityError

GROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 2**60
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
    if sys.platform == "linux" and GROUPS.is_dir():
        free.extend(left_by_groups(GROUPS, _read("/proc/self/cgroup")))
    return max(0, min(free))


def left_by_groups(root: Path, own: str) -> list[int]:
    """Bytes that are left by the limits of control groups and of those that they are in.

    root  where they are mounted; own  the lines of /proc/self/cgroup. In a container its own group
    may be the root, whatever name it has outside. Source: the kernel's cgroup-v2.rst and
    cgroup-v1/memory.rst.
    """
    return [left for group in _groups(root, own) if (left := _left(*group)) is not None]


@lru_cache(maxsize=8)
def _groups(root: Path, own: str) -> tuple[tuple[str, str, str, str], ...]:
    """The files of limit, usage and statistics of each group, and the name of what is reclaimable.

    Kept, since memory is asked for often; what the files say is read each time.
    """
    found: list[tuple[str, str, str, str]] = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base, (limit, usage, reclaimable) = (root / "memory", V1) if controllers else (root, V2)
        inside = PurePosixPath(path).relative_to("/")
        for folder in sorted({base, *(base / part for part in (inside, *inside.parents))}):
            if (folder / limit).exists():
                files = [str(folder / name) for name in (limit, usage, "memory.stat")]
                found.append((files[0], files[1], files[2], reclaimable))
    return tuple(found)


def _left(limit: str, usage: str, statistics: str, reclaimable: str) -> int | None:
    """Bytes that the limit of one group leaves; None where it has no limit."""
    try:
        most = _read(limit).strip()
        if most == "max" or int(most) >= UNLIMITED:
            return None
        stat = dict(line.split() for line in _read(statistics).splitlines())
        return int(most) - int(_read(usage)) + int(stat.get(reclaimable, 0))
    except (OSError, ValueError):  # the group is gone, or may not be read
        return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


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
