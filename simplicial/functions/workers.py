"""Points of a function in parts, by processes of an executor."""

import os
import pickle
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from typing import Any

import numpy as np

from reduction import OptionError
from reduction.validation import first_line, short_repr
from simplicial.errors import RunError
from simplicial.functions.outputs import Floats

PARTS_EACH = 2  # for each core


def check_processes(executor: Any) -> None:
    """Raise OptionError for what is no executor of processes, nor None."""
    if executor is None:
        return
    if not isinstance(executor, Executor) or isinstance(executor, ThreadPoolExecutor):
        raise OptionError(
            "executor must be a concurrent.futures.Executor of processes, got "
            f"{short_repr(executor)}: pass "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')), say, or None"
        )


def in_parts(
    executor: Executor | None, work: Callable[[Floats], tuple[Floats, ...]], points: Floats
) -> tuple[Floats, ...]:
    """What `work` returns at points (n, d), arrays (n, ...), joined from parts of the points.

    Without an executor, or for one point, it is called here, for all at once. Raises OptionError
    for work that is not picklable, RunError where a process dies.
    """
    count = PARTS_EACH * (os.cpu_count() or 1)
    parts = np.array_split(points, min(len(points), count)) if executor and len(points) > 1 else []
    if executor is None or not parts:
        return work(points)
    try:
        found = list(executor.map(work, parts))
    except BrokenExecutor as error:
        raise RunError(
            f"processes must live until they have evaluated their points, one died ({error}): see "
            "above whether it could import the function, or use fewer of them"
        ) from error
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error).lower():
            raise
        raise OptionError(
            f"a function for processes must be picklable, {first_line(error)}: define it at the "
            "top level of a module, or pass executor=None"
        ) from error
    return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))
