"""Work cut into chunks, and done by the workers of an executor."""

import os
import pickle
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reduction import OptionError
from reduction.validation import as_integer
from simplicial.errors import RunError

Ints = NDArray[np.int64]
Result = TypeVar("Result")

CHUNK = 16  # simplices that are finished together, at most, where they are stored or sent away
CHUNKS_EACH = 2  # chunks for each core, at least, where workers are
AHEAD = 64  # chunks that are sent before the first of them is back
DEATHS = {"KilledWorker"}  # an engine's own error, beside BrokenExecutor, for workers that died

_busy = threading.Lock()  # held while this process, a worker, does a chunk


def check_workers(executor: Any, batch: int | None) -> None:
    """Refuse what is no executor of processes, and chunks of no simplices. Raises OptionError."""
    if batch is not None:
        as_integer("batch", batch, 1)
    if executor is None:
        return
    if not isinstance(executor, Executor):
        raise OptionError(
            f"executor must be a concurrent.futures.Executor, got {type(executor).__name__}: pass "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')), say, or None"
        )
    if isinstance(executor, ThreadPoolExecutor):
        raise OptionError(
            "workers must be processes, since threads would share one model and one stream of "
            "random numbers, got a ThreadPoolExecutor: pass a ProcessPoolExecutor, or None"
        )


def cut(
    order: Ints,
    batch: int | None,
    *,
    alone: bool,
    executor: Executor | None,
    done: Collection[int],
) -> list[Ints]:
    """Numbers in chunks, each ascending, those of them that hold what is not done.

    order  (m,) the numbers 0 .. m - 1, first what is to be finished first
    alone  whether all can be one: nothing is stored, nor sent away
    """
    count = len(order)
    size = count if alone else CHUNK
    if executor is not None:
        size = min(size, -(-count // (CHUNKS_EACH * (os.cpu_count() or 1))))
    size = batch or max(1, size)
    parts = [np.sort(order[first : first + size]) for first in range(0, count, size)]
    left = [part[~np.isin(part, list(done))] for part in parts]
    return [part for part in left if len(part)]


def by_workers(
    executor: Executor, work: Callable[..., Result], calls: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[int, Result]]:
    """Results of `work` for its arguments in `calls`, with their number, as workers end them.

    After an error what workers have begun is still waited for, and yielded. Raises RunError where a
    worker dies or a chunk is cancelled, OptionError where arguments cannot be sent or workers are
    threads.
    """
    numbered, work = enumerate(calls), partial(_one_at_a_time, work)
    waiting: dict[Future[Result], int] = {}
    wrong: BaseException | None = None
    try:
        while True:
            try:
                for row, call in islice(numbered, 0 if wrong else AHEAD - len(waiting)):
                    waiting[executor.submit(work, *call)] = row
            except (BrokenExecutor, RuntimeError) as error:  # broken before, or shut down
                wrong = error
            if not waiting:
                break
            ended = wait(waiting, return_when=FIRST_COMPLETED).done
            for future, row in [(future, waiting.pop(future)) for future in ended]:
                error = CancelledError() if future.cancelled() else future.exception()
                if error is None:
                    yield row, future.result()
                    continue
                wrong = wrong or error
                # Not all engines tell those who wait for a chunk that it is cancelled.
                waiting = {other: row for other, row in waiting.items() if not other.cancel()}
    finally:
        for future in waiting:
            future.cancel()
    if wrong is not None:
        raise _as_run_error(wrong) from wrong


def _one_at_a_time(work: Callable[..., Result], *call: Any) -> Result:
    """Results of `work` in a worker. Raises OptionError where it is at work on another chunk."""
    if not _busy.acquire(blocking=False):
        raise OptionError(
            "workers must be processes with one thread each, since threads would share one model "
            "and one stream of random numbers, this one was given two chunks at once: begin "
            "Dask's with threads_per_worker=1, or pass a ProcessPoolExecutor"
        )
    try:
        return work(*call)
    finally:
        _busy.release()


def _as_run_error(error: BaseException) -> BaseException:
    """Errors of workers as one sentence; all others as they are."""
    if isinstance(error, BrokenExecutor) or type(error).__name__ in DEATHS:
        return RunError(
            f"workers must live until their chunk ends, one died ({error}): see above whether it "
            "could not import the loss, run it again with fewer workers if it was killed for "
            "memory; what is stored is kept"
        )
    if isinstance(error, CancelledError) or "after shutdown" in str(error):
        return RunError(
            "workers must be there until the last chunk ends, the executor cancelled one: see "
            "above whether it was shut down, or lost its scheduler, and run it again; what is "
            "stored is kept"
        )
    unsent = isinstance(error, pickle.PicklingError | AttributeError | TypeError)
    if unsent and "pickle" in str(error).lower():
        return OptionError(
            f"what goes to workers must be picklable, {error}: define the loss, the model and "
            "loss_fn at the top level of a module, or pass executor=None"
        )
    return error
