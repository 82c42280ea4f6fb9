"""Settings of every run of the tests, and the worker processes that tests share.

HYPOTHESIS_PROFILE=quick draws fewer examples; all are the same in each run. Tensors of the tests
are tiny: threads of torch would only wait for each other. MKL computes the same bits in batches of
every size, as for the commands.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import matplotlib
import pytest
import torch
from hypothesis import settings

from simplicial import configure_process

ROOT = Path(__file__).parent.parent


def compiled_kernels() -> Path:
    """The folder of Numba's cache, one for these sources and this way to compile them.

    Numba's own key has neither NUMBA_BOUNDSCHECK, so that kernels compiled without the checks would
    be run as if they had them, nor the sources of the functions that a kernel calls.
    """
    sources = sorted((ROOT / "reduction" / "kernels").rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    checked = os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0"
    return ROOT / ".cache" / "numba" / f"{digest}-{'checked' if checked else 'plain'}"


os.environ["NUMBA_CACHE_DIR"] = str(compiled_kernels())  # Numba is not imported yet
matplotlib.use("Agg")
configure_process()
torch.set_num_threads(1)
settings.register_profile("full", deadline=None, derandomize=True, max_examples=150)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))


@pytest.fixture(scope="session")
def pools() -> Iterator[dict[int, ProcessPoolExecutor]]:
    """Pools of one and two worker processes for all tests but those in which a worker dies."""
    with ExitStack() as stack:
        spawn, single = get_context("spawn"), partial(torch.set_num_threads, 1)
        made = (ProcessPoolExecutor(count, spawn, single) for count in (1, 2))
        yield {count: stack.enter_context(pool) for count, pool in enumerate(made, 1)}
