"""Global generators that networks draw from."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from nets.execution.rng import draws


@pytest.mark.parametrize(
    ("work", "expected_draws"),
    [
        (lambda: torch.ones(3).sum(), False),
        (lambda: np.random.default_rng(0).random(), False),  # one of its own
        (lambda: torch.rand(3), True),
        (random.random, True),
        (lambda: np.random.rand(), True),  # noqa: NPY002
    ],
)
def test_what_draws_is_told_and_leaves_no_trace(
    work: Callable[[], object], expected_draws: bool
) -> None:
    def following() -> tuple[object, ...]:
        return torch.rand(2).tolist(), random.random(), np.random.rand()  # noqa: NPY002

    def begin() -> None:
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002

    begin()
    expected = following()
    begin()
    assert draws(torch.device("cpu"), work) == expected_draws
    assert following() == expected
