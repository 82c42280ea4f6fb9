"""Batch norm of images with their examples last, against torch's own."""

from typing import Any

import numba
import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm

from nets.execution.policy import ExamplesLast
from nets.layout import TYPES
from reduction.threads import cores
from tests.nets.derivatives import drawn, images


def arguments(dtype: torch.dtype, channels: int = 5) -> dict[str, Any]:
    """Far from 0, where rounding is as large as it gets."""
    given = {
        "input": 100 + 3 * images(37, channels, 11, 12, seed=71),
        "running_mean": drawn(channels, seed=72),
        "running_var": drawn(channels, seed=73).square(),
        "weight": drawn(channels, seed=74),
        "bias": drawn(channels, seed=75),
    }
    return {name: part.detach().to(dtype) for name, part in given.items()}


@pytest.mark.parametrize("without", [(), ("weight",), ("bias", "running_mean", "running_var")])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_values_and_running_statistics_are_torchs(
    dtype: torch.dtype, training: bool, without: tuple[str, ...]
) -> None:
    own = arguments(dtype)
    for name in without:
        del own[name]
    own = {"running_mean": None, "running_var": None, **own}
    exact: Any = {
        name: part if part is None else part.double().clone() for name, part in own.items()
    }
    options: Any = {"training": training or "running_mean" in without, "momentum": 0.3, "eps": 1e-3}
    with torch.no_grad():
        expected = batch_norm(**exact, **options)
        with ExamplesLast():
            found = batch_norm(**own, **options)
    assert found.stride(0) == 1
    assert found.dtype == dtype
    eps = torch.finfo(dtype).eps
    # the truth is rounded in float64 itself, as numbers of 100 are
    off = (found - expected).abs().max() - 400 * torch.finfo(torch.float64).eps
    assert off <= 2 * eps * expected.abs().max()
    for name in ("running_mean", "running_var"):
        if (part := own[name]) is not None:
            change = (part - exact[name]).abs().max()
            assert change <= 8 * eps * exact[name].abs().max()


def test_a_constant_channel_is_zero() -> None:
    x = torch.full((37, 2, 11, 12), 317.123)
    with torch.no_grad(), ExamplesLast():
        assert torch.equal(batch_norm(x, None, None, training=True), torch.zeros_like(x))


def test_a_variance_may_be_zero_without_training() -> None:
    given = arguments(torch.float64)
    given["running_var"].zero_()
    with torch.no_grad():
        expected = batch_norm(**given, eps=0.0)
        with ExamplesLast():
            found = batch_norm(**given, eps=0.0)
    torch.testing.assert_close(found, expected)
    assert found.isinf().all()


@pytest.mark.skipif(cores() == 1, reason="one core: there is one thread")
def test_the_number_of_threads_changes_no_bit() -> None:
    assert numba.config.NUMBA_NUM_THREADS > 1  # pyright: ignore
    before, found = torch.get_num_threads(), list[Tensor]()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            given = arguments(torch.float32, 7)
            with torch.no_grad(), ExamplesLast():
                values = batch_norm(**given, training=True)
            found.append(torch.cat([values.flatten(), given["running_mean"]]))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_what_is_not_finite_stays_in_its_channel() -> None:
    given = arguments(torch.float64)
    given["input"][3, 1, 2, 2] = torch.inf
    with torch.no_grad():
        expected = batch_norm(**given, training=True)
        with ExamplesLast():
            found = batch_norm(**given, training=True)
    assert found[:, 1].isnan().all()
    torch.testing.assert_close(found, expected, equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        {"input": torch.ones(3, 5)},
        {"input": torch.ones(3, 5, 0, 2)},
        {"running_var": None},
        {"weight": torch.ones(5)},  # of another type
        {"weight": torch.ones(4).double()},
        {"training": True, "input": torch.ones(1, 5, 1, 1).double()},
        {"running_mean": None, "running_var": None},
        {"training": True, "eps": 0.0},
    ],
    ids=str,
)
def test_the_rest_is_torchs(change: dict[str, Any]) -> None:
    given = {**arguments(torch.float64), **change}

    def outcome() -> object:
        try:
            return batch_norm(**given)
        except Exception as error:
            return type(error), str(error)

    with torch.no_grad():
        expected = outcome()
        with ExamplesLast():
            found = outcome()
    if isinstance(found, Tensor) and isinstance(expected, Tensor):
        assert torch.equal(found, expected)
    else:
        assert found == expected


def test_gradients_are_torchs() -> None:
    given = arguments(torch.float64)
    given["weight"].requires_grad_()
    slopes = list[Tensor]()
    for mode in (ExamplesLast(), torch.enable_grad()):
        with mode:
            value = batch_norm(**given, training=True).pow(3).sum()
        slopes += torch.autograd.grad(value, given["weight"])
    assert torch.equal(*slopes)
