"""Critical points that stand at more ends of bars than the one that they can end."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from reduction import Barcode, DataError, Ends, plot_barcode

NAN = float("nan")
Point = tuple[float, float] | None  # None: not certified
SADDLE, OTHER, PEAK = (0.0, 1.0), (0.0, -2.0), (0.5, 0.5)


def side(index: int, points: Sequence[Point]) -> Ends:
    there = np.array([point is not None for point in points], bool)
    return Ends(
        there,
        np.array([(NAN, NAN) if point is None else point for point in points]).reshape(-1, 2),
        np.where(there, 0.0, NAN),
        np.empty((len(points), 0)),
        np.where(there, index, -1),
    )


Bar = tuple[float, float, Point, Point]  # birth, death and their points


def barcode(*indices: list[Bar]) -> Barcode:
    """Bars of index 0, 1, ... with simplices that are all different."""
    pairs, ends = [], []
    for r, rows in enumerate(indices):
        births = np.arange(len(rows))[:, None] * 10 + np.arange(r + 1)
        deaths = np.arange(len(rows))[:, None] * 10 + np.arange(r + 2)
        deaths[[not np.isfinite(row[1]) for row in rows]] = -1
        pairs.append((births, deaths))
        ends.append((side(r, [row[2] for row in rows]), side(r + 1, [row[3] for row in rows])))
    bars = [np.array([row[:2] for row in rows]).reshape(-1, 2) for rows in indices]
    return Barcode(bars, pairs, 2, ends)


def marks(found: Barcode) -> list[list[list[bool]]]:
    return [found.repeated(r).tolist() for r in range(len(found))]


DEEP: Bar = (-3.0, np.inf, (-1.0, 0.0), None)
SHALLOW: Bar = (-2.0, 1.0, (1.0, 0.0), SADDLE)


def test_a_birth_at_the_point_that_ends_a_bar_below_is_marked() -> None:
    """The saddle joins two components; no cycle begins there, too. The death keeps it."""
    found = barcode([DEEP, SHALLOW], [(1.0, 4.0, SADDLE, PEAK)])
    assert marks(found) == [[[False] * 2] * 2, [[True, False]]]


def test_every_end_at_a_point_of_its_own_is_unmarked() -> None:
    found = barcode([DEEP, SHALLOW], [(1.5, 4.0, OTHER, PEAK)])
    assert not any(found.repeated(r).any() for r in (0, 1))


@pytest.mark.parametrize("both", [[(1.5, 4.0, OTHER, PEAK), (1.5, 3.0, OTHER, None)]])
def test_of_two_births_at_a_point_both_are_marked(both: list[Bar]) -> None:
    assert marks(barcode([DEEP], both))[1] == [[True, False], [True, False]]


def test_of_two_deaths_at_a_point_both_are_marked() -> None:
    third: Bar = (-1.0, 1.0, (2.0, 2.0), SADDLE)
    assert marks(barcode([DEEP, SHALLOW, third], []))[0] == [
        [False, False],
        [False, True],
        [False, True],
    ]


def test_points_as_near_as_newton_leaves_them_are_one() -> None:
    """Two searches in float32; the saddle of another value at the same distance is another."""
    beside = (SADDLE[0] + 1e-5, SADDLE[1])
    assert barcode([DEEP, SHALLOW], [(1.0, 4.0, beside, PEAK)]).repeated(1).any()
    assert not barcode([DEEP, SHALLOW], [(1.01, 4.0, beside, PEAK)]).repeated(1).any()
    far = (SADDLE[0] + 1e-2, SADDLE[1])
    assert not barcode([DEEP, SHALLOW], [(1.0, 4.0, far, PEAK)]).repeated(1).any()


def test_bars_of_length_zero_and_ends_that_are_not_certified_mark_nothing() -> None:
    none: Bar = (1.0, 1.0, SADDLE, None)
    assert not barcode([DEEP, SHALLOW], [none, (1.0, 2.0, None, PEAK)]).repeated(1).any()


def test_barcodes_without_ends_have_no_repeated_ones() -> None:
    assert Barcode([[[0.0, 1.0]]], [([[0]], [[0, 1]])], 2).repeated(0).tolist() == [[False, False]]


def test_repeated_ends_are_marked_in_the_table_in_print_and_in_pictures() -> None:
    found = barcode([DEEP, SHALLOW], [(1.0, 4.0, SADDLE, PEAK), (1.5, 3.0, OTHER, None)])
    lines = found.table().splitlines()
    assert [line.split()[-1] for line in lines[3:5]] == ["3/3", "2/4"]
    assert lines[13].startswith("          1!           4            3 ")
    assert lines[14].startswith("        1.5            3?         1.5 ")
    assert lines[-1] == (
        "!: certified at a critical point that ends another bar, too: one of these bars at most is "
        "true"
    )
    assert repr(found) == "Barcode(field=2, counts=(2, 2), longest=(3, 3), certified=5/7)"
    ax = plot_barcode(found)
    drawn: list[Any] = [c for c in ax.collections if isinstance(c, LineCollection)]
    dashed = [[dashes is not None for _, dashes in lines.get_linestyle()] for lines in drawn]
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "not certified, or repeated"
    plt.close("all")
    assert dashed == [[False, False], [True, True]]


def test_the_file_has_the_marks_and_other_ones_are_refused(tmp_path: Path) -> None:
    found, path = barcode([DEEP, SHALLOW], [(1.0, 4.0, SADDLE, PEAK)]), tmp_path / "barcode.json"
    found.save(path)
    assert marks(Barcode.load(path)) == marks(found)
    document = json.loads(path.read_text("utf-8"))
    del document["sha256"]
    ends = document["indices"][1]["ends"]["births"]
    assert ends["repeated"] == [True]
    assert "repeated" not in document["indices"][0]["ends"]["deaths"]
    del ends["repeated"]  # as files have been before
    path.write_text(json.dumps(document), "utf-8")
    assert marks(Barcode.load(path)) == marks(found)
    ends["repeated"] = [False]
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(DataError, match="of index 1, 1 stand at a point that ends another bar"):
        Barcode.load(path)
