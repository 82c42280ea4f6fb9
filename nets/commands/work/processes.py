"""Worker processes of a run."""

import os
import signal
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread

from nets.commands.work.interrupts import without_interrupts
from simplicial.configuration import configure_process


@contextmanager
def workers(count: int | None) -> Generator[Executor | None]:
    """Processes that begin anew, since torch's threads do not outlive a fork; None: none.

    None of them lives longer than this process, or than the block that works with them.
    """
    if count is None:
        yield None
        return
    executor = ProcessPoolExecutor(count, get_context("spawn"), _begin_worker)
    with without_interrupts():  # Ctrl-C is for this process, which ends the others
        for _ in range(count):
            executor.submit(int)  # begins one of them
    try:
        yield executor
    except BaseException:
        for process in active_children():
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Configure this worker, and end it when the process that began it ends, however that comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it is not inherited
    configure_process()
    parent = parent_process()
    assert parent is not None, "a worker has been started"

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()
