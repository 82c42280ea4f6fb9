"""Whether a point is degenerate: judged by the Hessian there, not by where a start came from."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import find_minima
from simplicial.critical_points.eigenvector_following import follow
from simplicial.errors import SearchError


def pair(x: Tensor) -> Tensor:
    """Lennard-Jones potential of a distance: -1 at 2^(1/6), a wall of 1e16 at 0.05."""
    return 4 * (x[:, 0] ** -12 - x[:, 0] ** -6)


def morse(x: Tensor) -> Tensor:
    """0 at 1.1, with a wall on one side and a tail on the other, of curvature 1e-11 at 6."""
    return (1 - torch.exp(-6 * (x[:, 0] - 1.1))).square()


def quartic(x: Tensor) -> Tensor:
    return x[:, 0].pow(4)


@pytest.mark.parametrize("low", [0.05, 0.1, 0.2, 0.3, 0.9])
def test_a_minimum_beside_a_steep_wall_is_found_from_all_starts(low: float) -> None:
    minima = find_minima(pair, dim=1, box=(low, 3.0), seed=0)
    np.testing.assert_allclose(minima.points, [[2 ** (1 / 6)]], rtol=1e-12)
    np.testing.assert_allclose(minima.values, [-1.0], rtol=1e-14)
    assert minima.search is not None
    assert (minima.search.degenerate, minima.search.failures) == (0, 0)


@pytest.mark.parametrize("start", [0.1, 0.7, 1.5, 2.0, 3.0, 4.0])
def test_a_minimum_is_reached_from_a_wall_and_from_a_tail_alike(start: float) -> None:
    for sign, index in ((1, 0), (-1, 1)):
        arrival = follow(
            lambda x, sign=sign: sign * morse(x), torch.tensor([[start]]).double(), index, 0.2, 500
        )
        assert arrival.converged.all()
        np.testing.assert_array_equal(arrival.morse, [index])
        np.testing.assert_allclose(arrival.points, [[1.1]], rtol=1e-12)


@pytest.mark.parametrize(
    "flat",
    [
        quartic,
        lambda x: x[:, 0].pow(6),
        lambda x: 1 + x[:, 0].pow(4),
        lambda x: x[:, 0].pow(4) + torch.exp(-200 * (x[:, 0] + 0.9)),
        lambda x: x[:, 0].abs().pow(2.5),
    ],
)
def test_degenerate_minima_stay_degenerate_from_near_and_far(
    flat: Callable[[Tensor], Tensor],
) -> None:
    arrival = follow(flat, torch.logspace(-9, 0, 40)[:, None].double(), 0, 0.2, 1000)
    assert arrival.converged.sum() > 30
    assert (arrival.morse == -1).all()
    with pytest.raises(SearchError, match="none did"):
        find_minima(flat, dim=1, box=(-1.0, 1.0))


def test_a_point_is_judged_alike_whatever_the_other_starts_are() -> None:
    starts = torch.linspace(0.05, 3.0, 60)[:, None].double()
    together = follow(pair, starts, 0, 0.3)
    alone = [int(follow(pair, start[None], 0, 0.3).morse[0]) for start in starts]
    assert (together.morse == 0).all()
    np.testing.assert_array_equal(together.morse, alone)


def test_a_pole_is_no_critical_point() -> None:
    for pole in (lambda x: -x[:, 0].abs().pow(-2), lambda x: x[:, 0].abs().log()):
        starts = torch.tensor([[0.3], [-0.2], [1e-3]]).double()
        assert (follow(pole, starts, 0, 0.3, 100).morse == -1).all()
