"""Limits of anytime builds as values."""

from typing import Any

import pytest

from reduction import OptionError
from simplicial.options import Limits, check_limits


def test_limits_that_are_not_given_are_none_but_for_the_tolerance() -> None:
    assert Limits.given(None, None, None) is None
    assert Limits.given(None, 5, None) == Limits(tolerance_of_bars=0.0, max_gradients=5)


@pytest.mark.parametrize("tolerance", [None, -1, float("inf"), "1"])
def test_a_tolerance_of_bars_is_a_number(tolerance: Any) -> None:
    with pytest.raises(OptionError, match="tolerance_of_bars must be a number that is 0 or more"):
        Limits(tolerance_of_bars=tolerance)


def test_faces_that_move_have_no_limits() -> None:
    check_limits(None, moves_faces=True)
    check_limits(Limits(), moves_faces=False)
    sentence = "leave out tolerance_of_bars, max_gradients and max_seconds"
    with pytest.raises(OptionError, match=sentence):
        check_limits(Limits(), moves_faces=True)
