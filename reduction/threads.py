"""Work in threads: kernels hold no lock, so that Python's threads run on all cores.

There are as many as cores, unless the environment variable REDUCTION_THREADS or `limited` says
another number.
"""

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from threading import Event, local
from time import monotonic
from typing import TypeVar

from reduction.errors import OptionError
from reduction.validation import as_integer, short_repr

Result = TypeVar("Result")

VARIABLE = "REDUCTION_THREADS"
_LIMIT: ContextVar[int | None] = ContextVar("threads", default=None)

_THREAD = local()  # of a thread of `spread`: its event `stop`
PART = 0.05  # seconds of a kernel's part
FIRST_PART, LARGEST_PART = 64, 1024  # columns; those that follow may be far longer than the last

DIGITS = 9  # of the environment variable

FEWEST = 1 << 18  # simplices of a pass for which a second thread pays
FEWEST_COLUMNS = 1 << 12  # simplices taken one by one, for which it does


@contextmanager
def limited(threads: int | None) -> Generator[None]:
    """A number of threads in this block; None leaves it as it is. Raises OptionError."""
    before = _LIMIT.get() if threads is None else as_integer("threads", threads, 1)
    token = _LIMIT.set(before)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def cores() -> int:
    """The number of threads: as limited, or of the environment, or of the cores of this process.

    Raises OptionError for an environment variable that is no number.
    """
    if (limit := _LIMIT.get()) is not None:
        return limit
    if given := os.environ.get(VARIABLE, ""):
        if not (given.isdecimal() and len(given) <= DIGITS and int(given) >= 1):
            raise OptionError(
                f"{VARIABLE} is a number of threads from 1 on, of up to {DIGITS} digits, but it is "
                f"{short_repr(given)}: give one, or unset it"
            )
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(function: Callable[[int, int], Result], bounds: list[int]) -> list[Result]:
    """function(begin, end) for each pair of neighbouring bounds, all at the same time, in order.

    Where this thread fails, or is interrupted, the others end at their next part, see `paced`.
    """
    ranges = list(pairwise(bounds))
    if len(ranges) == 1:
        return [function(*ranges[0])]
    stop = Event()

    def run(begin: int, end: int) -> Result:
        _THREAD.stop = stop
        return function(begin, end)

    with ThreadPoolExecutor(len(ranges) - 1) as pool:  # this thread takes the first
        others = [pool.submit(run, *ends) for ends in ranges[1:]]
        try:
            return [function(*ranges[0]), *(other.result() for other in others)]
        except BaseException:
            stop.set()
            raise


def paced(count: int, first: int = FIRST_PART) -> Iterator[tuple[int, int]]:
    """Bounds of parts of a loop 0..count - 1 that take about PART seconds each.

    first  turns of the first part; later parts are at most twice as long as the one before

    A compiled kernel cannot be interrupted; between parts an interrupt (Ctrl-C) comes through.
    Where another thread of the same `spread` has failed, or was interrupted, this one ends with
    CancelledError.
    """
    stop: Event | None = getattr(_THREAD, "stop", None)
    begin, size = 0, first
    while begin < count:
        if stop is not None and stop.is_set():
            raise CancelledError
        end = min(begin + size, count)
        since = monotonic()
        yield begin, end
        pace = PART / max(monotonic() - since, PART / 2)
        begin, size = end, min(max(int(size * pace), 1), LARGEST_PART)


def top_bounds(n: int, r: int, simplices: int, threads: int | None = None) -> list[int]:
    """Bounds of ranges of top vertices r..n-1 with about as many r-simplices each, one a thread.

    Few simplices are left to one thread, unless the number of threads is given; none has no vertex.
    """
    if threads is None:
        threads = cores() if simplices >= FEWEST else 1
    threads = min(threads, max(n - r, 1))
    inner = [r + round((n - r) * (k / threads) ** (1 / (r + 1))) for k in range(1, threads)]
    return [r, *inner, n]


def even_bounds(m: int, threads: int | None = None) -> list[int]:
    """Bounds of ranges of 0..m-1 of the same size, one a thread; few numbers are left to one."""
    if threads is None:
        threads = cores() if m >= FEWEST_COLUMNS else 1
    threads = min(threads, max(m, 1))
    return [m * k // threads for k in range(threads + 1)]
