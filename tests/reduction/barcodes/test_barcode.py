"""Barcodes: what they tell, and their tables."""

import math

import numpy as np
import pytest

from reduction import Barcode, FilteredComplex
from tests.reduction.endpoints import bare


def test_rows_are_sorted_by_birth_death_and_simplex() -> None:
    bars = [[1.0, 2.0], [0.0, math.inf], [1.0, 2.0]]
    barcode = Barcode([bars], [([[5], [4], [3]], [[3, 5], [-1, -1], [3, 4]])], 2)
    assert barcode[0].tolist() == [[0, math.inf], [1, 2], [1, 2]]
    assert barcode.pairs(0).births.tolist() == [[4], [3], [5]]
    assert barcode.pairs(0).deaths.tolist() == [[-1, -1], [3, 4], [3, 5]]


def test_colexicographic_order_breaks_the_last_ties() -> None:
    births = [[0, 3], [1, 2], [0, 2]]
    deaths = [[0, 3, 4], [1, 2, 4], [0, 2, 4]]
    barcode = Barcode(
        [[], [[1.0, 2.0]] * 3],
        [(np.empty((0, 1), int), np.empty((0, 2), int)), (births, deaths)],
        2,
    )
    assert barcode.pairs(1).births.tolist() == [[0, 2], [1, 2], [0, 3]]


def test_bars_are_reported_index_by_index() -> None:
    barcode = bare()
    assert len(barcode) == 2
    assert [bars.tolist() for bars in barcode] == [[[0, math.inf], [1, 5], [2, 3]], [[5, 7.5]]]
    assert barcode.finite(0).tolist() == [[1, 5], [2, 3]]
    assert barcode.essential(0).tolist() == [0]
    assert barcode.essential(1).tolist() == []
    assert barcode.field == 2
    assert repr(barcode) == "Barcode(field=2, counts=(3, 1), longest=(4, 2.5))"


def test_eq_4_is_the_longest_bar_over_the_root_of_two() -> None:
    barcode = bare()
    assert barcode.w_inf(0) == 4 / math.sqrt(2)
    assert barcode.w_inf(1) == 2.5 / math.sqrt(2)


def test_only_one_essential_component_belongs_to_a_convex_function() -> None:
    two_points = FilteredComplex([[[0], [1]]], [[0, 0]]).barcode(max_index=0)
    assert two_points.w_inf(0) == math.inf
    assert FilteredComplex([[[0]]], [[3]]).barcode(max_index=0).w_inf(0) == 0.0
    circle = FilteredComplex.complete(3, [[0] * 3, [1] * 3]).barcode(max_index=1)
    assert circle.w_inf(0) == 1 / math.sqrt(2)
    assert circle.w_inf(1) == math.inf


def test_the_table_shows_every_index_and_every_bar() -> None:
    assert bare().table().splitlines() == [
        "coefficients Z/2",
        "",
        "index   bars  essential     longest       W_inf",
        "    0      3          1           4     2.82843",
        "    1      1          0         2.5     1.76777",
        "",
        "index 0",
        "      birth       death      length  born with -> dies with",
        "          0         inf         inf  (0)",
        "          1           5           4  (1) -> (0,1)",
        "          2           3           1  (2) -> (1,2)",
        "",
        "index 1",
        "      birth       death      length  born with -> dies with",
        "          5         7.5         2.5  (0,2) -> (0,1,2)",
    ]


def test_the_table_of_an_empty_index_says_so() -> None:
    lines = FilteredComplex.complete(3, [[0] * 3, [1] * 3, [1]]).barcode().table().splitlines()
    assert "    1      0          0           -           0" in lines
    assert lines[-1] == "index 1: no bars"


def test_arrays_are_read_only() -> None:
    barcode = bare()
    for r in range(2):
        for array in (barcode[r], *barcode.pairs(r)):
            assert not array.flags.writeable
    with pytest.raises(AttributeError):
        barcode.field = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_the_table_shows_rounding_errors_as_zero() -> None:
    """A birth of 5e-28 beside a death of 100 is 0; the bar itself keeps every bit."""
    complex = FilteredComplex.complete(2, [[5e-28, 0.0], [100.0]])
    barcode = complex.barcode()
    assert barcode.table().splitlines()[-1].split()[:3] == ["0", "100", "100"]
    assert barcode[0][1, 0] == 5e-28


def test_the_table_tells_bars_apart_that_are_far_from_zero() -> None:
    barcode = FilteredComplex.complete(2, [[1e6, 1e6 + 0.25], [1e6 + 0.5]]).barcode()
    assert barcode.table().splitlines()[-1].split()[:2] == ["1000000.25", "1000000.5"]


@pytest.mark.parametrize("last", [1.0, 1e14], ids=["alone", "beside-a-higher-index"])
def test_the_length_of_a_bar_far_from_zero_is_shown(last: float) -> None:
    """Bars [1e12, 1e12 + 1]; the summary says that the longest of index 0 is 1."""
    values = [[1e12] * 3, [1e12 + 1] * 3, [1e12 + last]]
    barcode = FilteredComplex.complete(3, values).barcode()
    lines = barcode.table().splitlines()
    assert lines[3].split()[3] == "1"
    shown = [line.split()[2] for line in lines if line.endswith(("(0,1)", "(0,2)"))]
    assert shown == ["1", "1"]


def test_a_length_is_zero_beside_the_longest_of_its_index_only() -> None:
    """1e-13 beside 1 is rounding; the death 0.1 above 1e12 has six digits of its own length."""
    near = FilteredComplex.complete(3, [[0.0, 0.5, 0.5], [1, 0.5 + 1e-13, 1]]).barcode(max_index=0)
    assert [line.split()[2] for line in near.table().splitlines()[-3:]] == ["inf", "0", "0.5"]
    far = FilteredComplex.complete(2, [[1e12 - 1, 1e12], [1e12 + 0.1]]).barcode()
    assert far.table().splitlines()[-1].split()[2] == "0.0999756"
