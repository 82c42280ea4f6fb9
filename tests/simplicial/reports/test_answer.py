"""W_inf of perfectly optimised simplices, and the answer of a run in a sentence."""

import math

import numpy as np
import pytest

from reduction import Barcode, FilteredComplex
from simplicial.reports.answer import answer, perfect_w_inf


def bounded(errors: tuple[float, float]) -> Barcode:
    """A triangle: index 0 has bars [0, inf), [1, 3], [2, 4], index 1 one from 5 to 9."""
    values = {
        (0,): 0.0,
        (1,): 1.0,
        (2,): 2.0,
        (0, 1): 3.0,
        (0, 2): 4.0,
        (1, 2): 5.0,
        (0, 1, 2): 9.0,
    }
    barcode = FilteredComplex.from_simplices(values).barcode()
    lowest = [np.where(np.isinf(bars[:, 1]), np.inf, bars[:, 0]) for bars in barcode]
    return barcode.with_bounds(list(zip(lowest, errors, strict=True)))


def test_w_inf_of_perfect_simplices_lies_within_root_two_errors() -> None:
    barcode = bounded((0.5, 0.25))
    root = math.sqrt(2.0)
    assert [barcode.w_inf(0), barcode.w_inf(1)] == pytest.approx([2 / root, 4 / root])
    assert perfect_w_inf(barcode, 0, 0.0) == pytest.approx((2 / root - root * 0.5, 2 / root))
    sides = 4 / root - root / 4, 4 / root + root / 4
    assert perfect_w_inf(barcode, 1, 0.0) == pytest.approx(sides)
    assert perfect_w_inf(bounded((3.0, 0.25)), 0, 0.0) == (0.0, barcode.w_inf(0))


def test_in_index_0_it_is_higher_by_what_maxima_are_too_low_by() -> None:
    root = math.sqrt(2.0)
    for slack, above in ((0.1, 0.1), (2.0, 0.5)):  # the error covers the slack
        found = perfect_w_inf(bounded((0.5, 0.25)), 0, slack)
        assert found == pytest.approx((2 / root - root / 2, 2 / root + root * above))


def test_nothing_is_said_of_perfect_simplices_where_nothing_is_known() -> None:
    barcode = bounded((np.inf, 0.25))
    assert perfect_w_inf(barcode, 0, 0.0) is None
    assert answer(barcode, 0.0, is_finished=False) == (
        "So far W_inf, the distance of the barcode to that of a convex function, is 1.414 in index "
        "0 (with perfectly optimised simplices: unknown) and 2.828 in index 1 (with perfectly "
        "optimised simplices 2.475 to 3.182)."
    )
