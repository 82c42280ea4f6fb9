"""Critical points of a landscape: listed only where they are asked for, and in order."""

import numpy as np
import torch

from simplicial.landscapes import CriticalPoints, double_well, himmelblau


def test_minima_of_a_large_double_well_need_no_list_of_all_critical_points() -> None:
    minima = double_well(16).minima  # 65,536 of 43 million
    assert minima.shape == (2**16, 16)
    assert (np.abs(minima) == 1).all()
    assert len(np.unique(minima, axis=0)) == 2**16


def test_critical_points_are_found_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert len(himmelblau().critical_points) == 9


def test_critical_points_sort_by_index_then_value_then_coordinates() -> None:
    critical = CriticalPoints(
        np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0], [5.0, 5.0]]),
        np.array([3.0, 2.0, 2.0, 1.0]),
        np.array([0, 0, 0, 1]),
    )
    assert critical.points.tolist() == [[0, 1], [0, 2], [1, 0], [5, 5]]
    assert critical.values.tolist() == [2, 2, 3, 1]
    assert len(critical.of_index(2)) == 0
