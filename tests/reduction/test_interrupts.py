"""An interrupted reduction stops within a second of its threads, and leaves nothing behind."""

import subprocess
import sys
import time

import pytest

from reduction.threads import LARGEST_PART, paced, spread

CHILD = """
import os, signal, time
from threading import Timer, active_count
import numpy as np
from reduction import FilteredComplex

signal.signal(signal.SIGINT, signal.default_int_handler)
rng, noted = np.random.default_rng(29), []

def rips(n):
    distances = np.triu(rng.random((n, n)), 1)
    return FilteredComplex.rips(distances + distances.T, 3, threshold={threshold})

def interrupt():
    noted.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)

rips(40).barcode(threads=2)  # compiles
large = rips(200)
Timer({after}, interrupt).start()
try:
    large.barcode(threads=2)
    print("ended")
except KeyboardInterrupt:
    print(time.process_time() - noted[0], active_count())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize(("threshold", "after"), [("0.6", 5.0), ("np.inf", 3.0)])
def test_an_interrupt_stops_a_reduction_within_a_second(threshold: str, after: float) -> None:
    """Listed and complete; the seconds are those of the processor, in at most two threads."""
    text = CHILD.format(threshold=threshold, after=after)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    seconds, threads = done.stdout.split()
    assert float(seconds) < 2
    assert threads == "1"


CANONICAL = """
import os, signal, time
from threading import Timer
import numpy as np
from reduction import FilteredComplex

signal.signal(signal.SIGINT, signal.default_int_handler)
rng, noted = np.random.default_rng(29), []

def rips(n):
    distances = np.triu(rng.random((n, n)), 1)
    return FilteredComplex.rips(distances + distances.T, 3, threshold=np.inf)

def interrupt():
    noted.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)

rips(12).canonical_form()  # compiles
large = rips(60)
Timer(2.0, interrupt).start()
try:
    large.canonical_form()
    print("ended")
except KeyboardInterrupt:
    print(time.process_time() - noted[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_an_interrupt_stops_the_reduction_of_boundary_columns_within_a_second() -> None:
    """Of all columns of a complex, 40 million terms; one cycle takes the same steps."""
    child = [sys.executable, "-c", CANONICAL]
    done = subprocess.run(child, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1


def test_parts_cover_the_loop_and_end_in_time() -> None:
    parts = []
    for begin, end in paced(5000):
        parts.append((begin, end))
        time.sleep(1e-5 * (end - begin))
    assert [begin for begin, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == 5000
    assert max(end - begin for begin, end in parts) <= LARGEST_PART
    assert list(paced(0)) == []


def test_threads_end_where_another_one_fails() -> None:
    reached: list[int] = []

    def work(begin: int, _: int) -> None:
        if begin == 0:
            time.sleep(0.2)
            raise ValueError("the first")
        for part, _ in paced(10**6, 1):
            time.sleep(0.05)
            reached.append(part)

    since = time.monotonic()
    with pytest.raises(ValueError, match="the first"):
        spread(work, [0, 1, 2])
    assert reached
    assert time.monotonic() - since < 20
