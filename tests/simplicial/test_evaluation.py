"""Where memory does not suffice for a portion of points, it is halved, and the result is the
same."""

import subprocess
import sys
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import OptionError
from simplicial import Algorithm1, LossError, Minima, Recipe, build_complex
from simplicial.evaluation import (
    AdaptiveBatches,
    derivatives,
    evaluate,
    steepest_curvature,
    values_and_gradients,
)
from simplicial.options import byte_count

POINTS = torch.randn(13, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def bowl(x: Tensor) -> Tensor:
    return (x.square() * torch.arange(1.0, 4.0).to(x)).sum(dim=1)


class Narrow:
    """`bowl` on a device that holds so many points."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return bowl(x)


@pytest.mark.parametrize("room", [1, 2, 5, 13])
def test_values_and_gradients_are_the_same_in_halves(room: int) -> None:
    narrow = Narrow(room)
    np.testing.assert_array_equal(evaluate(narrow, POINTS).loss, evaluate(bowl, POINTS).loss)
    values, slopes = values_and_gradients(narrow, POINTS)
    expected = values_and_gradients(bowl, POINTS)
    np.testing.assert_array_equal(values, expected[0])
    assert torch.equal(slopes, expected[1])
    assert max(narrow.sizes) == 13


def test_what_once_was_too_much_is_not_tried_again() -> None:
    narrow = Narrow(3)
    evaluate(narrow, POINTS)
    assert narrow.sizes == [13, 6, 3, 3, 3, 3, 1]


def test_one_point_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(LossError, match=r"one point must fit into memory, it does not \(CUDA"):
        evaluate(Narrow(0), POINTS)


def test_other_errors_are_none_of_memory() -> None:
    def wrong(x: Tensor) -> Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        evaluate(wrong, POINTS)


@pytest.mark.parametrize("sides", ["fixed", "trainable"])
def test_a_complex_is_the_same_where_memory_runs_out(sides: Literal["fixed", "trainable"]) -> None:
    optimizer = Algorithm1(recipe=Recipe(epochs=5), sides=sides)
    whole, parts = (
        build_complex(Minima(POINTS[:5], loss), 2, optimizer=optimizer, progress=False)
        for loss in (bowl, Narrow(2))
    )
    assert torch.equal(whole.control_points, parts.control_points)
    for ours, theirs in zip(parts.values, whole.values, strict=True):
        np.testing.assert_array_equal(ours, theirs)


LIMITED = """
import psutil, resource, torch
from simplicial.evaluation import AdaptiveBatches
summed = lambda part: float(torch.ones(part.stop - part.start, 1 << 25).sum())
done = AdaptiveBatches(8).map(summed, 8)
room = 3 * 2**28 + psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (room, room))
batches = AdaptiveBatches(8)
again = batches.map(lambda part: float(torch.ones(part.stop - part.start, 1 << 25).sum()), 8)
print(sum(done) == sum(again), batches.size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_the_memory_of_a_cpu_runs_out_alike() -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True
    )
    same, size = found.stdout.split()
    assert same == "True"
    assert int(size) < 8


def test_no_points_make_no_batches() -> None:
    assert AdaptiveBatches(4).map(lambda part: part, 0) == []
    none = POINTS[:0]
    assert evaluate(bowl, none).loss.shape == (0,)
    assert values_and_gradients(bowl, none)[1].shape == (0, 3)
    assert derivatives(bowl, none).hessians.shape == (0, 3, 3)


def test_second_derivatives_are_the_same_in_halves() -> None:
    narrow = Narrow(2)
    halves = derivatives(narrow, POINTS)
    for ours, theirs in zip(halves[:3], derivatives(bowl, POINTS)[:3], strict=True):
        assert torch.equal(ours, theirs)
    assert steepest_curvature(narrow, POINTS) == steepest_curvature(bowl, POINTS)
    assert max(narrow.sizes) == 13


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("20kB", 20_000), (" 7 MiB ", 7 * 2**20)],
)
def test_a_budget_may_be_words(text: str, size: int) -> None:
    assert byte_count(text) == size


@pytest.mark.parametrize("text", ["4", "4 gb", "-1GB", "0GB", "1e3MB", "GB", ""])
def test_other_words_are_no_budget(text: str) -> None:
    with pytest.raises(OptionError, match="memory must be a number of kB, MB, GB, TB, kiB"):
        byte_count(text)


def test_a_complex_takes_words_for_its_budget() -> None:
    whole, parts = (
        build_complex(Minima(POINTS[:4], bowl), 2, memory=memory, progress=False)
        for memory in (10_000, "10kB")
    )
    assert torch.equal(whole.control_points, parts.control_points)
