"""The search for critical points of every index, against landscapes that know theirs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import Minima, find_critical_points, find_minima, with_saddles
from simplicial.errors import SearchError
from simplicial.landscapes import (
    Landscape,
    double_well,
    himmelblau,
    mueller_brown,
    simplex_wells,
    six_hump_camel,
)


def square(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


LANDSCAPES: dict[str, Callable[[], Landscape]] = {
    "himmelblau": himmelblau,
    "mueller-brown": mueller_brown,
    "six-hump-camel": six_hump_camel,
    "double-well-1": lambda: double_well(1),
    "double-well-2": lambda: double_well(2),
    "double-well-4": lambda: double_well(4),
    "simplex-wells-3": lambda: simplex_wells(3),
    "simplex-wells-2-curved-1": lambda: simplex_wells(2, curved=1),
}


@pytest.mark.parametrize("name", LANDSCAPES)
def test_critical_points_of_every_index_are_found_and_nothing_else(name: str) -> None:
    landscape = LANDSCAPES[name]()
    sought = 0
    for index in range(landscape.dim + 1):
        truth = landscape.critical_points.of_index(index)
        if not len(truth):
            continue
        sought += 1
        found = find_critical_points(landscape, index, seed=1)
        distance = np.linalg.norm(found.points.numpy()[:, None] - truth.points[None], axis=2)
        assert distance.shape == (len(truth), len(truth))
        assert distance.min(axis=0).max() < 1e-12
        nearest = truth.values[distance.argmin(axis=1)]
        np.testing.assert_allclose(found.values, nearest, rtol=1e-13, atol=1e-14)
        counts = found.search
        assert counts is not None
        assert counts.starts == 100 * landscape.dim
        parts = counts.duplicates + counts.others + counts.degenerate + counts.failures
        assert len(found) + parts == counts.starts
        assert counts.degenerate == 0
    assert sought >= 2


def test_saddles_are_sorted_by_value_and_then_by_coordinates() -> None:
    saddles = find_critical_points(double_well(2))
    np.testing.assert_allclose(saddles.points, [[-1, 0], [0, -1], [0, 1], [1, 0]], atol=1e-14)
    values = find_critical_points(six_hump_camel()).values
    assert (np.diff(values) >= -1e-12).all()
    assert values[-1] - values[0] > 1


def test_at_most_n_the_lowest_saddles_are_kept() -> None:
    everything = find_critical_points(himmelblau())
    two = find_critical_points(himmelblau(), 1, 2, starts=200)
    assert len(everything) == 4
    assert torch.equal(two.points, everything.points[:2])
    assert two.search == everything.search


def test_a_seed_gives_the_same_points() -> None:
    first, again, other = (find_critical_points(himmelblau(), seed=s) for s in (3, 3, 0))
    assert torch.equal(first.points, again.points)
    torch.testing.assert_close(first.points, other.points, rtol=0, atol=1e-12)
    assert first.search != other.search


def test_minima_are_the_critical_points_of_index_0() -> None:
    minima, same = find_minima(six_hump_camel(), n=3), find_critical_points(six_hump_camel(), 0, 3)
    assert torch.equal(minima.points, same.points)
    assert minima.search == same.search


def test_an_index_that_a_loss_does_not_have_is_reported() -> None:
    with pytest.raises(SearchError, match="arrives at a critical point of index 1, none did: 20 "):
        find_critical_points(square, dim=2, starts=20)
    with pytest.raises(SearchError, match="at a minimum, none did: 20 starts"):
        find_minima(lambda x: -square(x), dim=2, starts=20)


def test_degenerate_saddles_are_counted() -> None:
    """x^4 - y^2 has a saddle at 0, of which the Hessian does not tell the index."""
    with pytest.raises(SearchError, match="0 duplicates, 0 of another index, 9 degenerate points"):
        find_critical_points(lambda x: x[:, 0].pow(4) - x[:, 1].square(), dim=2, starts=9)


def test_a_start_next_to_a_degenerate_point_counts_as_degenerate() -> None:
    """It has no other scale of curvature than its own, which is not small beside itself."""

    def quartic(x: Tensor) -> Tensor:
        return x[:, 0].pow(4)

    with pytest.raises(SearchError, match=" 3000 degenerate points, 0 failures"):
        find_minima(quartic, dim=1, box=(-1.0, 1.0), starts=3000)


def test_saddles_are_sought_around_a_single_minimum() -> None:
    """Its box is a point, and gets edges of length 1: a saddle of the double well is at its rim."""

    def wells(x: Tensor) -> Tensor:
        return (x.square() - 1).square().sum(dim=1)

    joined = with_saddles(Minima(torch.tensor([[1.0, 1.0]]).double(), wells))
    assert len(joined) >= 2
    saddles = np.sort(np.abs(joined.points[1:].numpy()), axis=1)
    np.testing.assert_allclose(saddles, np.tile([0.0, 1.0], (len(saddles), 1)), atol=1e-9)
