"""Searches for critical points of losses with periods: each point once, in one cell."""

import pickle
from math import inf, pi

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import OptionError
from simplicial import LossError, find_critical_points, find_minima, from_numpy, periodic
from simplicial.landscapes import torsions
from simplicial.loss import BoundedLoss, DifferentiatedLoss, PeriodicLoss

TURN = 2 * pi


def waves(x: Tensor) -> Tensor:
    """-cos x - cos y: one minimum, at a corner of the cell [0, 2 pi]^2."""
    return -torch.cos(x).sum(dim=1)


def well(x: Tensor) -> Tensor:
    """A wave in the first coordinate, a double well in the second."""
    return -torch.cos(x[:, 0]) + (x[:, 1].square() - 1).square()


def test_a_minimum_at_the_edge_of_the_cell_is_found_once() -> None:
    minima = find_minima(periodic(waves, [TURN, TURN]), dim=2)
    np.testing.assert_allclose(minima.points, [[0, 0]], atol=1e-8)
    assert minima.search is not None
    assert minima.search.duplicates == 199
    assert len(find_minima(waves, dim=2)) > 1


@pytest.mark.parametrize(("index", "count"), [(0, 9), (1, 18), (2, 9)])
def test_critical_points_of_torsions_are_those_of_one_period(index: int, count: int) -> None:
    landscape = torsions()
    found = find_critical_points(landscape, index)
    assert len(found) == count
    known = landscape.critical_points.of_index(index).points
    apart = np.linalg.norm(found.points.numpy()[:, None] - known[None], axis=2)
    assert apart.min(axis=1).max() < 1e-7
    assert apart.min(axis=0).max() < 1e-7


def test_basin_hopping_finds_each_once() -> None:
    assert len(find_minima(torsions(), method="basin hopping")) == 9


def test_points_are_in_the_cell_that_begins_at_the_box() -> None:
    loss = periodic(lambda x: -torch.cos(x - 1).sum(dim=1), [TURN, TURN])
    box = [[10.0, -30.0], [10.0 + TURN, -30.0 + TURN]]
    minima = find_minima(loss, dim=2, box=box)
    np.testing.assert_allclose(minima.points, [[1 + 2 * TURN, 1 - 4 * TURN]], atol=1e-7)
    assert not minima.walls.any()
    assert minima.search is not None
    assert minima.search.box is None


def test_walls_hold_in_coordinates_without_a_period() -> None:
    """Of the wells at y = -1 and 1 the lower wall at -0.5 leaves the right slope of the first."""
    minima = find_minima(periodic(well, [TURN, inf]), dim=2, box=[[0, -0.5], [TURN, 3]])
    np.testing.assert_allclose(minima.points, [[0, 1], [0, -0.5]], atol=1e-7)
    np.testing.assert_array_equal(minima.walls, [[0, 0], [0, -1]])


def test_without_a_box_the_other_coordinates_have_no_walls() -> None:
    minima = find_minima(periodic(well, [TURN, inf]), dim=2)
    np.testing.assert_allclose(minima.points.abs(), [[0, 1], [0, 1]], atol=1e-7)


def test_a_period_that_is_none_is_refused() -> None:
    with pytest.raises(LossError, match=r"the periods that it declares, 3 in coordinate 1 takes"):
        find_minima(periodic(waves, [TURN, 3.0]), dim=2)


def test_a_wall_in_a_coordinate_with_a_period_is_refused() -> None:
    with pytest.raises(OptionError, match=r"1 has the period 6.28319 and the box \[0, 3"):
        find_minima(periodic(waves, [TURN, TURN]), dim=2, box=[[0, 0], [TURN, 3]])


def test_periods_of_another_number_of_variables_are_refused() -> None:
    with pytest.raises(OptionError, match="periods must be 3 numbers, one above 0"):
        find_minima(periodic(lambda x: waves(x[:, :2]), [TURN, TURN]), dim=3)


def test_abilities_of_a_loss_are_passed_on_and_it_can_be_pickled() -> None:
    loss = periodic(from_numpy(np_waves, np_slope, batched=True), [TURN, TURN])
    assert isinstance(loss, DifferentiatedLoss)
    assert not isinstance(loss, BoundedLoss)
    np.testing.assert_allclose(find_minima(loss, dim=2).points, [[0, 0]], atol=1e-6)
    again = pickle.loads(pickle.dumps(periodic(waves, [TURN, inf])))
    assert isinstance(again, PeriodicLoss)
    np.testing.assert_array_equal(again.periods, [TURN, inf])
    assert isinstance(periodic(BoundedWaves(), [TURN, TURN]), BoundedLoss)


class BoundedWaves(BoundedLoss):
    """The waves in a box."""

    domain = np.array([[0.0, 0.0], [TURN, TURN]])

    @property
    def dim(self) -> int:
        return 2

    def __call__(self, points: Tensor) -> Tensor:
        return waves(points)


def np_waves(x: np.ndarray) -> np.ndarray:
    return -np.cos(x).sum(axis=1)


def np_slope(x: np.ndarray) -> np.ndarray:
    return np.sin(x)
