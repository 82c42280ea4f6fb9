"""Ends of bars: what they refuse, and how barcodes carry them."""

import math
from typing import Any

import numpy as np
import pytest

from reduction import (
    Barcode,
    BarcodeError,
    DimensionError,
    Ends,
    ShapeError,
    TopologyError,
)
from tests.reduction.endpoints import NAMES, NAN, NOTHING, bare, carried, ends, examined, mixed


def two(**changed: Any) -> Ends:
    """A certified minimum in the plane, and an end where nothing was found."""
    arrays: dict[str, Any] = {
        "certified": [True, False],
        "points": [[0.5, -2.0], [NAN, NAN]],
        "gradient_norms": [1e-9, NAN],
        "eigenvalues": [[0.25, 3.0], [NAN, NAN]],
        "morse": [0, -1],
    }
    return Ends(**(arrays | changed))


def test_ends_are_read_only_copies_of_the_right_types() -> None:
    points = np.array([[1.0, 2.0], [3.0, 4.0]])
    known = two(
        points=points,
        gradient_norms=np.array([0, 1], np.float32),
        eigenvalues=np.empty((2, 0)),
        morse=np.array([0, -1], np.int8),
    )
    points[:] = 0
    assert len(known) == 2
    assert known.points.tolist() == [[1, 2], [3, 4]]
    assert known.found.tolist() == [True, True]
    assert two().found.tolist() == [True, False]
    for name, dtype in zip(NAMES, "?dddq", strict=True):
        array = getattr(known, name)
        assert array.dtype == np.dtype(dtype)
        assert not array.flags.writeable
    with pytest.raises(AttributeError):
        known.morse = known.morse  # pyright: ignore[reportAttributeAccessIssue]


def test_rows_are_taken_in_any_order() -> None:
    taken = two().taken(np.array([1, 0, 0]))
    assert taken.certified.tolist() == [False, True, True]
    assert taken.morse.tolist() == [-1, 0, 0]
    np.testing.assert_array_equal(taken.points, [[NAN, NAN], [0.5, -2], [0.5, -2]])
    np.testing.assert_array_equal(taken.gradient_norms, [NAN, 1e-9, 1e-9])
    np.testing.assert_array_equal(taken.eigenvalues, [[NAN, NAN], [0.25, 3], [0.25, 3]])
    assert len(two().taken(np.empty(0, np.int64))) == 0


def test_eigenvalues_may_be_fewer_than_the_morse_index_or_unknown_from_some_place_on() -> None:
    points, norms = [[0.0] * 3] * 2, [0.0, 0.0]
    few = [[-2.0, -1.0], [-1.0, NAN]]
    known = two(points=points, gradient_norms=norms, eigenvalues=few, morse=[3, 1])
    assert known.morse.tolist() == [3, 1]
    degenerate = two(points=points, gradient_norms=norms, eigenvalues=[[1, 2], [0, 1]])
    assert degenerate.morse.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"certified": [1, 0]}, ShapeError, r"certified has .* int64; give a bool .* \(m,\)"),
        ({"certified": [[True, False]]}, ShapeError, r"certified has shape \(1, 2\)"),
        ({"certified": True}, ShapeError, r"certified has shape \(\)"),
        ({"certified": [True]}, ShapeError, r"one row .* \{'certified': 1, 'points': 2, .*; give"),
        ({"points": [0.5, NAN]}, ShapeError, r"points has shape \(2,\) .* shape \(m, d\)"),
        ({"points": [[0.5], [1.0, 2.0]]}, ShapeError, "points is ragged; give a float64"),
        ({"points": [["0.5"], ["1"]]}, ShapeError, "points has shape .* type <U3"),
        ({"points": np.empty((2, 0))}, ShapeError, r"d >= 1 coordinates, but d is 0; give"),
        ({"gradient_norms": [[1e-9], [NAN]]}, ShapeError, r"gradient_norms has shape \(2, 1\)"),
        ({"eigenvalues": [0.25, NAN]}, ShapeError, r"eigenvalues has shape .* \(m, e\)"),
        ({"eigenvalues": [[0.25]]}, ShapeError, "'eigenvalues': 1"),
        ({"morse": [0.0, -1.0]}, ShapeError, r"morse has .* float64; give an integer array"),
        ({"points": [[0.5, NAN], [NAN, NAN]]}, BarcodeError, r"points\[0, 1\] is nan; give the"),
        ({"points": [[0.5, 1], [NAN, 1]]}, BarcodeError, r"points\[1, 1\] is 1.0"),
        ({"points": [[0.5, math.inf], [NAN, NAN]]}, BarcodeError, r"points\[0, 1\] is inf"),
        ({"gradient_norms": [-1e-9, NAN]}, BarcodeError, r"gradient_norms\[0\] is -1e-09; give"),
        ({"gradient_norms": [NAN, NAN]}, BarcodeError, r"gradient_norms\[0\] is nan"),
        ({"gradient_norms": [math.inf, NAN]}, BarcodeError, r"gradient_norms\[0\] is inf"),
        ({"gradient_norms": [0, 0]}, BarcodeError, r"nan where .*, but gradient_norms\[1\] is 0"),
        (
            {"eigenvalues": [[3.0, 0.25], [NAN, NAN]]}, BarcodeError,
            r"ascend, .*, but eigenvalues\[0\] is \[3.0, 0.25\]; sort",
        ),
        ({"eigenvalues": [[NAN, 3.0], [NAN, NAN]]}, BarcodeError, r"eigenvalues\[0\] is \[nan, 3"),
        ({"eigenvalues": [[1, math.inf], [NAN] * 2]}, BarcodeError, r"eigenvalues\[0\] is \[1"),
        ({"eigenvalues": [[1, 2], [1, 2]]}, BarcodeError, r"eigenvalues\[1\] is \[1.0, 2.0\]"),
        ({"morse": [-2, -1]}, BarcodeError, r"0..2 at a point, .* morse\[0\] is -2; count"),
        ({"morse": [3, -1]}, BarcodeError, r"morse\[0\] is 3"),
        ({"morse": [0, 0]}, BarcodeError, r"-1 where there is no point, but morse\[1\] is 0"),
        ({"morse": [1, -1]}, BarcodeError, r"number of negative eigenvalues, but morse\[0\] is 1"),
        ({"morse": [-1, -1]}, BarcodeError, r"index is known, but certified\[0\] is True; give"),
        ({"certified": [True, True]}, BarcodeError, r"has a point .* certified\[1\] is True"),
    ],
)  # fmt: skip
def test_rows_that_contradict_themselves_are_refused(
    changed: dict[str, Any], error: type[TopologyError], message: str
) -> None:
    two()
    with pytest.raises(error, match=message):
        two(**changed)


# --- barcodes that carry them


def test_a_barcode_carries_the_ends_of_every_index() -> None:
    barcode = mixed()
    assert bare().ends(0) is None
    assert bare().ends(1) is None
    components, cycles = carried(barcode)
    assert components.births.gradient_norms.tolist() == [1e-9, 0, 2.5e-11]
    assert components.certified.tolist() == [[True, False], [True, True], [True, False]]
    assert cycles.deaths.found.tolist() == [False]
    assert [bars.tolist() for bars in barcode] == [bars.tolist() for bars in bare()]
    assert barcode.pairs(1).deaths.tolist() == [[0, 1, 2]]
    for pair in carried(barcode):
        for side in pair:
            assert not any(getattr(side, name).flags.writeable for name in NAMES)
    with pytest.raises(DimensionError, match="index 2 is not reported"):
        barcode.ends(2)


def test_with_ends_leaves_the_barcode_it_is_asked_of_alone() -> None:
    barcode = bare()
    first = barcode.with_ends([(pair.births, pair.deaths) for pair in carried(mixed())])
    again = first.with_ends(carried(examined(certified=True)))
    assert barcode.ends(0) is None
    assert repr(barcode) == "Barcode(field=2, counts=(3, 1), longest=(4, 2.5))"
    assert repr(first) == "Barcode(field=2, counts=(3, 1), longest=(4, 2.5), certified=5/7)"
    assert repr(again) == "Barcode(field=2, counts=(3, 1), longest=(4, 2.5), certified=7/7)"


def test_the_constructor_sorts_ends_along_with_their_bars() -> None:
    bars = [[1.0, 2.0], [0.0, math.inf], [1.0, 2.0]]
    births = ends((False, 1, 5.0), (True, 0, 4.0), (False, 2, 3.0))
    deaths = ends((True, 1, 35.0), NOTHING, (False, 0, 34.0))
    barcode = Barcode(
        [bars], [([[5], [4], [3]], [[3, 5], [-1, -1], [3, 4]])], 2, [(births, deaths)]
    )
    (carries,) = carried(barcode)
    assert barcode.pairs(0).births.tolist() == [[4], [3], [5]]
    assert carries.births.gradient_norms.tolist() == [4, 3, 5]
    np.testing.assert_array_equal(carries.deaths.gradient_norms, [NAN, 34, 35])
    assert carries.certified.tolist() == [[True, False], [False, False], [False, True]]


def one(births: Ends, deaths: Ends, last: float = 1.0) -> Barcode:
    """One component [0, last], with its ends."""
    death = [0, 1] if last < math.inf else [-1, -1]
    return Barcode([[[0.0, last]]], [([[0]], [death])], 2).with_ends([(births, deaths)])


@pytest.mark.parametrize(
    ("births", "deaths", "last", "error", "message"),
    [
        (ends(), ends(NOTHING), 1.0, ShapeError, "there are 0 births of index 0 for 1 bars; give"),
        (ends(NOTHING), ends(*[NOTHING] * 2), 1.0, ShapeError, "2 deaths of index 0 for 1 bars"),
        (ends(NOTHING), two(points=[[1] * 3, [NAN] * 3]), 1.0, ShapeError, "some have 2 .* some 3"),
        (
            ends((True, 1, 0.0)), ends(NOTHING), 1.0, BarcodeError,
            r"certified births of index 0 have Morse index 0, but morse\[0\] is 1; leave",
        ),
        (
            ends(NOTHING), ends((True, 0, 0.0)), 1.0, BarcodeError,
            r"certified deaths of index 0 have Morse index 1, but morse\[0\] is 0; leave",
        ),
        (
            ends(NOTHING), ends((True, 1, 0.0)), math.inf, BarcodeError,
            r"nothing ends an essential bar of index 0, but deaths.found\[0\] is True; give nan",
        ),
        (ends(NOTHING), ends((False, -1, 0.0)), math.inf, BarcodeError, "nothing ends an"),
    ],
)  # fmt: skip
def test_ends_that_do_not_fit_their_bars_are_refused(
    births: Ends, deaths: Ends, last: float, error: type[TopologyError], message: str
) -> None:
    one(ends((False, 2, 0.0)), ends(NOTHING), last)
    with pytest.raises(error, match=message):
        one(births, deaths, last)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_there_are_ends_for_every_index(kept: int) -> None:
    given = (carried(mixed()) * 2)[:kept]
    with pytest.raises(ShapeError, match=f"ends has {kept} indices and the barcode 2; give"):
        bare().with_ends(given)


def test_a_barcode_of_no_index_has_no_ends() -> None:
    empty = Barcode([], [], 2)
    assert repr(empty.with_ends([])) == repr(empty)
    assert empty.with_ends([]).table() == empty.table()
