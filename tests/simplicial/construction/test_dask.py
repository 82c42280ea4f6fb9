"""Dask's workers, some of which are killed, threads among them, or a scheduler that goes."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from distributed import Client, LocalCluster
from torch import Tensor

from reduction import OptionError
from simplicial import RunError
from tests.simplicial.schedulers import built, loss

pytestmark = pytest.mark.engine


def slow_loss(x: Tensor) -> Tensor:
    time.sleep(2e-3)  # so that there is a middle
    return loss(x)


def slower_loss(x: Tensor) -> Tensor:
    time.sleep(0.05)
    return slow_loss(x)


class Deadly:
    """A loss that ends every process but its own."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __call__(self, x: Tensor) -> Tensor:
        if os.getpid() != self.home:
            os._exit(9)
        return slow_loss(x)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    )
    with cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster) as client:
        yield client


def heights(
    client: Client | None, batch: int | None = None, loss: Any = slow_loss
) -> list[np.ndarray]:
    executor = None if client is None else client.get_executor()
    found = built("elastic", loss=loss, executor=executor, batch=batch)
    return [*found.maxima, found.control_points.numpy()]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_worker_is_killed_in_the_middle(client: Client) -> None:
    alone = heights(None)
    pids = list(client.run(os.getpid).values())  # pyright: ignore
    assert len(set(pids)) == 2
    seconds = 0.0
    for _ in range(2):  # workers import what they need in the first
        began = time.perf_counter()
        for one, other in zip(heights(client, batch=1), alone, strict=True):
            np.testing.assert_array_equal(one, other)
        seconds = time.perf_counter() - began
    moments: list[float] = []

    def kill() -> None:
        os.kill(pids[0], signal.SIGKILL)
        moments.append(time.perf_counter())

    killer = threading.Timer(0.4 * seconds, kill)
    killer.start()
    for one, other in zip(heights(client, batch=1), alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert moments
    assert moments[0] < time.perf_counter() - 0.2 * seconds


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_that_die_too_often_are_told(
    client: Client, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(RunError, match=r"one died \(Attempted to run task"):
        heights(client, batch=1, loss=Deadly())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_client_that_is_closed_in_the_middle_is_told(cluster: LocalCluster) -> None:
    with Client(cluster) as client:
        closer = threading.Timer(0.5, client.close)
        closer.start()
        with pytest.raises(RunError, match="the executor cancelled one"):
            heights(client, batch=1, loss=slower_loss)
        closer.join()


def test_workers_that_are_threads_are_refused() -> None:
    with (
        Client(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as client,
        pytest.raises(OptionError, match="this one was given two chunks at once"),
    ):
        heights(client, batch=1)
