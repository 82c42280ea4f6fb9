"""Batch norm and its kin: statistics belong to the point, not to a network that was trained."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nets import NetworkLoss
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError
from tests.nets.networks import (
    Normed,
    X,
    Y,
    at,
    batch_norm,
    bound,
    numbers,
    plain_values,
    points_near,
    seeded,
    with_statistics,
    within,
)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("batching", BATCHINGS)
def test_statistics_are_computed_anew_at_every_point(batching: Batching, momentum: float | None):
    x, y = X[:240].double(), Y[::4][:240]
    model = seeded(lambda: batch_norm(momentum=momentum)).double()
    loss = NetworkLoss(model, x, y, batching=batching)
    points = points_near(model)
    values = plain_values(model, points, x, y, x)
    assert loss.evaluate(points).loss.tolist() == within(values)
    for point in points:
        state = loss.state_dict(point)
        for name, buffer in with_statistics(model, point, x).named_buffers():
            if "running" in name:
                torch.testing.assert_close(
                    state[name], buffer, rtol=bound(torch.float64), atol=bound(torch.float64)
                )


@pytest.mark.parametrize("batching", BATCHINGS)
def test_statistics_of_training_inputs_hold_for_test_data(batching: Batching) -> None:
    x, y = X[:120].double(), Y[::9][:120]
    others = (3 * X[120:360] + 1).double()
    model = seeded(batch_norm).double()
    loss = NetworkLoss(model, x, y, batching=batching, statistics=others)
    points = points_near(model)
    values = loss.evaluate(points).loss.tolist()
    assert values == within(plain_values(model, points, x, y, others))
    for value, point in zip(values, points, strict=True):
        again = at(model, point)
        again.load_state_dict(loss.state_dict(point))
        assert abs(value - cross_entropy(again.eval()(x), y).item()) <= bound(torch.float64)


def test_stale_statistics_would_show_a_barrier_that_is_not_there():
    # biases before a norm change its mean alone, so both ends are nearly one function; with the
    # mean of one end, the midpoint is 10 off in every unit
    x = X[:300].double()
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    loss = NetworkLoss(model, x, y)
    first = numbers(loss.dim, seed=8).double()
    second = first + 0.1 * numbers(loss.dim, seed=9).double()
    first[24:28], second[24:28] = 10.0, -10.0
    middle = (first + second) / 2
    anew = loss(middle[None]).item()
    assert anew < loss(torch.stack([first, second])).max().item() + 0.1

    network = at(model, middle)
    statistics = {k: v for k, v in loss.state_dict(first).items() if "running" in k}
    network.load_state_dict(statistics, strict=False)
    stale = cross_entropy(network.eval()(x), y).item()
    assert stale > anew + 1.0


@pytest.mark.parametrize("batching", BATCHINGS)
def test_instance_norm_with_running_statistics(batching: Batching):
    x, y = X[:120].double(), Y[::9][:120]
    model = seeded(Normed).double()
    loss = NetworkLoss(model, x, y, batching=batching)
    points = points_near(model)
    assert loss(points).tolist() == within(plain_values(model, points, x, y, x))
    list(loss.estimates(399, np.random.default_rng(0)))  # a batch of one is enough for it


@pytest.mark.parametrize(("n", "size"), [(21, 10), (20, 1), (21, 20)])
def test_batch_norm_refuses_mini_batches_of_one_example(n: int, size: int):
    loss = NetworkLoss(seeded(batch_norm), X[:n], Y[:n])
    with pytest.raises(DataError, match=f"{n} examples in batches of {size} leave one alone"):
        list(loss.estimates(size, np.random.default_rng(0)))
    assert len(list(loss.estimates(7, np.random.default_rng(0)))) == 3


def test_batch_norm_refuses_data_of_one_example():
    with pytest.raises(DataError, match=r"Sequential on inputs \(1, 6\) .* more than 1 value"):
        NetworkLoss(seeded(batch_norm), X[:1], Y[:1])


def test_batch_norm_in_training_takes_the_mini_batchs_own_statistics():
    model = seeded(lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))).double()
    x, y = X[:50].double(), Y[::22]
    loss = NetworkLoss(model, x, y)
    points = points_near(model)
    (estimate,) = loss.estimates(50, np.random.default_rng(0))
    expected = torch.stack([cross_entropy(at(model, p).train()(x), y) for p in points])
    torch.testing.assert_close(estimate(points), expected, rtol=bound(torch.float64), atol=0)
    assert (estimate(points) - loss(points)).abs().max() > 1e-3
