"""Kernels' tasks, shared by threads."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numba
import numpy as np
import torch

from nets import kernels
from nets.layout import array

_IN_THREADS: dict[Any, Callable[..., None]] = {
    kernels.convolve: kernels.convolve_in_threads,
    kernels.correlate: kernels.correlate_in_threads,
    kernels.normalise: kernels.normalise_in_threads,
    kernels.standardise: kernels.standardise_in_threads,
    kernels.winograd: kernels.winograd_in_threads,
}
_one_call = Lock()  # Numba's plainest threading layer takes one at a time


def in_threads(kernel: Callable[..., None], tasks: int, *arguments: Any, scratch: int = 0) -> None:
    """All tasks of a kernel, in as many threads as torch has: each writes numbers of its own, so
    that no bit depends on who does which.

    scratch  numbers of float32 for each thread, given behind the arguments
    """
    compiler: Any = numba  # its types do not know `config`; `get_num_threads` begins its threads
    torchs = torch.get_num_threads()
    threads = min(tasks, torchs, compiler.config.NUMBA_NUM_THREADS)
    own = [torch.empty(threads, kernels.aligned(scratch)).numpy()] if scratch else []
    arrays = *map(array, arguments), *own
    if threads == 1:
        kernel(*arrays[: len(arguments)], *(of_thread[0] for of_thread in own), 0, tasks)
        return
    bounds = np.array([tasks * k // threads for k in range(threads + 1)])
    with _one_call:
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            _IN_THREADS[kernel](*arrays, bounds)
        finally:
            numba.set_num_threads(before)
            torch.set_num_threads(torchs)  # of which Numba's beginning made its own
