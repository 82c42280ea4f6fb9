"""Bounds of values that may be too low, and values of simplices that have none, by hand."""

import numpy as np
import pytest

from reduction.filtrations.colex import complete_simplices
from simplicial.maxima.error_bounds import error_bounds, filled, with_error_bounds

VERTICES = complete_simplices(3, 2)
POINTS = np.array([0.0, 1.0, 2.0])


def test_a_bound_is_that_of_the_simplex_or_of_its_highest_face() -> None:
    edges, triangle = np.array([1.5, 3.0, 2.0]), np.array([3.0])
    inside = [np.zeros(3), np.array([0.25, 0.5, 2.5]), np.array([0.1])]
    found = error_bounds([POINTS, edges, triangle], inside, VERTICES)
    assert found[0].tolist() == [0, 0, 0]
    assert found[1].tolist() == [0.25, 0.5, 2.5]
    assert found[2].tolist() == [1.5]  # the third edge may be as high as 4.5
    assert with_error_bounds(1.0, found[:2]) == 2.25
    assert with_error_bounds(1.0, found[1:]) == 2.25


def test_a_simplex_without_a_value_has_no_bound() -> None:
    edges, triangle = np.array([np.inf, 3.0, np.nan]), np.array([np.inf])
    inside = [np.zeros(3), np.array([np.inf, 0.5, np.inf]), np.array([np.inf])]
    found = error_bounds([POINTS, edges, triangle], inside, VERTICES)
    assert found[1].tolist() == pytest.approx([np.inf, 0.5, np.nan], nan_ok=True)
    assert found[2].tolist() == [np.inf]
    assert with_error_bounds(1.0, found[1:]) == np.inf
    assert with_error_bounds(1.0, [found[1][1:]]) == 1.25  # of those that are finished


def test_a_simplex_without_a_value_is_farther_than_any_two_others() -> None:
    whole = filled([POINTS, np.array([np.inf, 3.0, np.nan])])
    assert (whole.known, whole.after, whole.far) == (3.0, 7.0, 4.0)
    assert whole.values[0].tolist() == [0, 1, 2]
    assert whole.values[1].tolist() == [7, 3, 7]
