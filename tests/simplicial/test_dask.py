"""Dask's workers, one of which is killed: the same bits."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from torch import Tensor

from simplicial import Minima, NudgedElastic, build_complex

POINTS = np.random.default_rng(73).uniform(-2, 2, (5, 3))


def slow_loss(x: Tensor) -> Tensor:
    time.sleep(2e-3)  # so that there is a middle
    return (x.square() - 1).square().sum(dim=1) + 0.3 * torch.sin(3 * x).prod(dim=1)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,  # pyright: ignore
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def heights(client: Client | None, batch: int | None = None) -> list[np.ndarray]:
    built = build_complex(
        Minima(POINTS, slow_loss),  # pyright: ignore
        2,
        optimizer=NudgedElastic(segments=4, steps=30),
        executor=None if client is None else client.get_executor(),
        progress=False,
        batch=batch,
    )
    return [*built.heights, built.pool.numpy()]


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
