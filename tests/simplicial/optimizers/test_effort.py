"""Efforts of optimizers: multiples of their gradients, and how many these are."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import OptionError
from simplicial import Algorithm1, Edgewise, NudgedElastic, Optimizer, Recipe, StochasticMinimax
from simplicial.loss import DifferentiatedLoss, Loss, StochasticLoss
from simplicial.maps.control_points import lay_out, straight
from simplicial.optimizers.base import OptimisationProblem
from tests.simplicial.unaware_optimizer import UnawareOptimizer

POINTS = torch.tensor(
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.2], [0.0, 1.0, -0.1], [1.0, 1.0, 0.3]], dtype=torch.float64
)


class Counted(StochasticLoss, DifferentiatedLoss):
    """A bowl whose three mini-batches count the points at which gradients are asked for."""

    def __init__(self) -> None:
        self.points = 0

    def __call__(self, theta: Tensor) -> Tensor:
        self.points += len(theta) if theta.requires_grad else 0
        return (theta - 0.4).square().sum(dim=1)

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        self.points += len(points)
        return self(points), 2 * (points - 0.4)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        yield from (self, self, self)


def trained(optimizer: Optimizer, loss: Counted, r: int) -> int:
    """Gradients per simplex that the training of all r-simplices on four points took."""
    layout = lay_out(len(POINTS), r, optimizer.simplex_map)
    points = straight(POINTS, layout)
    rows = layout.rows(r)
    problem = OptimisationProblem(layout.simplices[r], rows, slice(4, rows.start), 0)
    loss.points = 0
    optimizer.optimise(loss, points, problem, lambda: None)
    return loss.points // len(layout.simplices[r].vertices)


@pytest.mark.parametrize("r", [1, 2])
@pytest.mark.parametrize("share", [0.125, 0.5, 1, 2.0])
@pytest.mark.parametrize(
    "whole", [Algorithm1(recipe=Recipe(epochs=16), samples=2), StochasticMinimax(epochs=16)]
)
def test_gradients_are_counted_as_they_are_taken_at_every_effort(
    whole: Optimizer, share: float, r: int
) -> None:
    loss = Counted()
    prepared = whole.prepared(loss, POINTS)
    mini_batches = prepared.mini_batch_count(loss)
    assert mini_batches == 3
    some = prepared.with_effort(share)
    counted = some.gradient_count(r, mini_batches)
    assert trained(some, loss, r) == counted > 0
    full = prepared.gradient_count(r, mini_batches)
    assert counted == pytest.approx(share * full, rel=0.1)


def test_an_effort_of_1_is_the_optimizer_itself_and_none_is_below_one_epoch() -> None:
    for whole in (
        Algorithm1(recipe=Recipe(epochs=50)),
        StochasticMinimax(epochs=50),
        NudgedElastic(steps=50),
    ):
        assert whole.with_effort(1) == whole
        assert whole.with_effort(1e-9) != whole
    assert StochasticMinimax(epochs=50).with_effort(1e-9).epochs == 1
    assert StochasticMinimax(epochs=50).with_effort(1 / 8).epochs == 6
    assert NudgedElastic(steps=50).with_effort(3).steps == 150
    assert StochasticMinimax(epochs=0).with_effort(8).epochs == 0


def test_gradients_of_an_elastic_simplex_are_those_of_its_inner_control_points() -> None:
    elastic = NudgedElastic(segments=4, steps=20)
    assert elastic.gradient_count(1, 5) == 3 * (20 + 2)
    assert elastic.gradient_count(2, 5) == 3 * (2 * 20 + 20)
    assert elastic.gradient_count(3, 5) == 1 * (2 * 20 + 20)
    assert elastic.mini_batch_count(Counted()) == 1
    assert elastic.simplex_map == Edgewise(4)


def test_an_optimizer_that_is_not_prepared_has_no_effort() -> None:
    for raw in (Algorithm1(), StochasticMinimax()):
        with pytest.raises(OptionError, match=r"call prepared\(loss, vertices\) first"):
            raw.with_effort(0.5)
        with pytest.raises(OptionError, match=r"call prepared\(loss, vertices\) first"):
            raw.gradient_count(1, 1)


def test_a_users_optimizer_without_efforts_says_so_once_they_are_asked_for() -> None:
    with pytest.raises(OptionError, match="UnawareOptimizer has no with_effort: give"):
        UnawareOptimizer().with_effort(0.5)
    with pytest.raises(OptionError, match="UnawareOptimizer has no gradient_count: give"):
        UnawareOptimizer().gradient_count(1, 1)
    assert UnawareOptimizer().mini_batch_count(Counted()) == 1
