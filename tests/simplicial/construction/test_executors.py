"""Workers that die, that cannot be sent what they are to do, and that are none."""

import os
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from reduction import OptionError
from simplicial import RunError
from tests.simplicial.schedulers import assert_same, built, loss


def die(*_arguments: Any) -> None:
    import os

    os._exit(9)


class Dying:
    """A loss that ends its process, but not the first."""

    def __init__(self) -> None:
        self.calls = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"calls": -1}

    def __call__(self, x: Tensor) -> Tensor:
        if self.calls < 0:
            die()
        return loss(x)


def test_a_worker_that_dies_is_told() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor,
        pytest.raises(RunError, match="workers must live until their chunk ends"),
    ):
        built("algorithm 1", loss=Dying(), executor=executor)


def test_a_loss_that_cannot_be_sent_is_told(pools: dict[int, ProcessPoolExecutor]) -> None:
    with pytest.raises(OptionError, match="what goes to workers must be picklable"):
        built("algorithm 1", loss=lambda x: loss(x), executor=pools[1])


def test_a_mistake_in_a_worker_is_not_hidden() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        built("algorithm 1", loss=Broken(), executor=Here())


class Broken:
    def __init__(self, after: int = 3) -> None:
        self.calls, self.after = 0, after

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        return loss(x) if self.calls < self.after else x.nothing  # pyright: ignore


class Here(Executor):
    """Works at once, in this process, and counts."""

    def __init__(self) -> None:
        self.chunks: list[int] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.chunks.append(len(args[2].problem.simplices.vertices))
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except AttributeError as error:
            future.set_exception(error)
        return future


def test_an_error_loses_nothing_that_workers_have_begun(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        built("algorithm 1", loss=Broken(120), executor=Here(), store=tmp_path, batch=1)
    stored = len(list(tmp_path.glob("simplices-1/*.json")))
    assert stored >= 1
    assert_same(built("algorithm 1", store=tmp_path), built("algorithm 1"))


def test_a_pool_that_is_broken_or_shut_down_is_one_sentence() -> None:
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with pytest.raises(BrokenExecutor):
        pool.submit(os._exit, 1).result()
    with pytest.raises(RunError, match="workers must live until their chunk ends, one died"):
        built("algorithm 1", executor=pool)
    fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    for executor in (pool, fresh):
        executor.shutdown()
    with pytest.raises(RunError, match="workers must be there until the last chunk ends"):
        built("algorithm 1", executor=fresh)


class Silent(Executor):
    """Breaks the first chunk, and tells nobody when it cancels the others."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        if len(self.futures) == 1:
            self.futures[0].set_exception(AttributeError("broken"))
        return self.futures[-1]


def test_an_error_ends_a_run_whose_executor_is_silent_on_what_is_cancelled() -> None:
    executor = Silent()
    with pytest.raises(AttributeError, match="broken"):
        built("algorithm 1", executor=executor, batch=4)
    assert [future.cancelled() for future in executor.futures] == [False, True, True]


class Closed(Executor):
    """Cancels all that it is given."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_a_chunk_that_the_executor_cancels_is_told() -> None:
    with pytest.raises(RunError, match="the executor cancelled one"):
        built("algorithm 1", executor=Closed(), batch=4)
