"""Schedules of a user's own, in every optimizer that has one."""

from typing import Any

import numpy as np
import pytest
import torch

from reduction import OptionError
from simplicial import Algorithm1, Loss, Optimizer, Recipe, StochasticMinimax
from tests.simplicial.optimizers.shifted_loss import Shifted, build, rough

BAD = (None, "0.5", np.nan, np.inf, -np.inf, -0.1, True, 1j, [1.0], torch.tensor(1.0), 10**400)

# few steps may end higher than a straight edge
pytestmark = pytest.mark.filterwarnings("ignore:.*keep their start")


def optimizers(schedule: Any) -> list[Optimizer]:
    recipe = Recipe(epochs=4, learning_rate=1e-3, batch_size=8, schedule=schedule)
    return [
        Algorithm1(recipe=recipe),
        Algorithm1(recipe=recipe, sides="trainable"),
        StochasticMinimax(segments=4, epochs=4, batch_size=8, schedule=schedule),
    ]


@pytest.mark.parametrize("given", BAD, ids=repr)
@pytest.mark.parametrize("loss", [rough, Shifted()], ids=["exact", "mini-batches"])
def test_a_schedule_of_no_number_is_refused(loss: Loss, given: Any) -> None:
    """Before a step is taken, in one sentence."""
    for optimizer in optimizers(lambda _: given):
        with pytest.raises(OptionError) as refusal:
            build(loss, max_dim=2, optimizer=optimizer, tolerance=None)
        sentence = str(refusal.value)
        assert sentence.startswith("a schedule must give finite numbers of 0 or more, after 0 of ")
        assert sentence.endswith(": change schedule")
        assert "\n" not in sentence


@pytest.mark.parametrize("given", [None, np.nan])
def test_a_schedule_that_gives_no_number_later_is_refused(given: Any) -> None:
    """At the share where it does."""
    for optimizer in optimizers(lambda share: given if share >= 0.5 else 1.0):
        with pytest.raises(OptionError, match=r"after 0\.5[0-9]* of the epochs it gives"):
            build(Shifted(), optimizer=optimizer, tolerance=None)


def test_a_schedule_is_checked_at_the_last_gradients_too() -> None:
    """Where its share begins again."""
    shares = [0.0]

    def schedule(share: float) -> float:
        shares.append(share)
        return np.nan if share < shares[-2] else 1.0

    optimizer = StochasticMinimax(segments=4, epochs=100, batch_size=8, schedule=schedule)
    with pytest.raises(OptionError, match="after 0 of the epochs it gives nan"):
        build(Shifted(), optimizer=optimizer, tolerance=None)
    assert len(shares) > 100


@pytest.mark.parametrize("given", [1, 0, 0.5, np.float32(0.5), np.int64(1)], ids=repr)
def test_numbers_of_python_and_numpy_are_factors(given: Any) -> None:
    pairs = zip(optimizers(lambda _: given), optimizers(lambda _: float(given)), strict=True)
    for pair in pairs:
        first, second = (build(Shifted(), optimizer=some, tolerance=None) for some in pair)
        assert torch.equal(first.control_points, second.control_points)
