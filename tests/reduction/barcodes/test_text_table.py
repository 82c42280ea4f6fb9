"""Ends of bars in the table and in the pictures."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection

from reduction import Barcode, Ends, FilteredComplex, plot_barcode, plot_diagram
from tests.reduction.endpoints import NAN, NOTHING, bare, ends, examined, mixed

# --- the table

LEGEND = (
    "?: not certified; Morse index and |grad| at the critical points of birth and death, "
    "- if unknown"
)


def test_the_table_marks_every_end_that_is_not_certified() -> None:
    assert mixed().table().splitlines() == [
        "coefficients Z/2",
        "",
        "index   bars  essential     longest       W_inf  certified",
        "    0      3          1           4     2.82843        4/5",
        "    1      1          0         2.5     1.76777        1/2",
        "",
        "index 0",
        "      birth        death       length  Morse      |grad|       born with -> dies with",
        "          0          inf          inf   0     1.0e-09          (0)",
        "          1            5            4   0  1  0.0e+00 3.0e-08  (1) -> (0,1)",
        "          2            3?           1   0  -  2.5e-11 2.0e-02  (2) -> (1,2)",
        "",
        "index 1",
        "      birth        death       length  Morse      |grad|       born with -> dies with",
        "          5          7.5?         2.5   1  -  4.0e-10       -  (0,2) -> (0,1,2)",
        "",
        LEGEND,
    ]


def test_the_table_counts_births_and_finite_deaths() -> None:
    """The death of the essential component is no end that could be certified, and has no mark."""
    none = examined(certified=False).table()
    assert [line.split()[-1] for line in none.splitlines()[3:5]] == ["0/5", "0/2"]
    assert none.count("?") == 7 + 1  # the last in the legend
    assert "          0?         inf " in none
    everything = examined(certified=True).table()
    assert [line.split()[-1] for line in everything.splitlines()[3:5]] == ["5/5", "2/2"]
    assert everything.count("?") == 1
    assert everything.endswith(LEGEND)


def test_the_columns_of_the_table_stay_aligned_whatever_stands_in_them() -> None:
    points = np.zeros((2, 2000))
    births = Ends(
        np.array([True, False]), points, np.array([3e-120, 0.5]), np.empty((2, 0)),
        np.array([0, 1234]),
    )  # fmt: skip
    deaths = Ends(
        np.array([False, False]), np.where([[True], [False]], NAN, points),
        np.array([NAN, 7.0]), np.empty((2, 0)), np.array([-1, -1]),
    )  # fmt: skip
    barcode = FilteredComplex.complete(2, [[0, 1], [2]]).barcode().with_ends([(births, deaths)])
    header, *rows = barcode.table().splitlines()[-5:-2]
    assert [row.index("(") for row in rows] == [header.index("born with")] * 2
    assert rows[1].split()[:7] == ["1?", "2?", "1", "1234", "-", "5.0e-01", "7.0e+00"]


def test_the_table_of_an_empty_index_says_so_where_there_are_ends() -> None:
    barcode = FilteredComplex.complete(3, [[0] * 3, [1] * 3, [1]]).barcode()
    three = ends((True, 0, 0.0), (True, 0, 0.0), (True, 0, 0.0))
    lines = barcode.with_ends([(three, ends(*[NOTHING] * 3)), (ends(), ends())]).table()
    assert "    1      0          0           -           0        0/0" in lines
    assert lines.endswith(f"index 1: no bars\n\n{LEGEND}")


# --- pictures


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def labels(ax: Axes) -> list[str]:
    found = ax.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


@pytest.mark.parametrize("plot", [plot_barcode, plot_diagram])
def test_the_legend_tells_what_is_not_certified_where_it_occurs(
    plot: Callable[[Barcode], Axes],
) -> None:
    for barcode in (mixed(), examined(certified=False)):
        assert labels(plot(barcode)) == ["index 0", "index 1", "not certified"]
    for barcode in (bare(), examined(certified=True)):
        assert labels(plot(barcode)) == ["index 0", "index 1"]


@pytest.mark.parametrize(
    ("barcode", "marked"),
    [
        (bare(), [[False] * 3, [False]]),
        (examined(certified=True), [[False] * 3, [False]]),
        (examined(certified=False), [[True] * 3, [True]]),
        (mixed(), [[False, False, True], [True]]),
    ],
    ids=["no ends", "all certified", "none certified", "mixed"],
)
def test_bars_with_an_end_that_is_not_certified_are_dashed_and_hollow(
    barcode: Barcode, marked: list[list[bool]]
) -> None:
    ax = plot_barcode(barcode)
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    styles: list[Any] = [c.get_linestyle() for c in lines]
    assert [[dashes is not None for _, dashes in style] for style in styles] == marked
    ax = plot_diagram(barcode)
    points = [c for c in ax.collections if isinstance(c, PathCollection)]
    assert [[face[3] == 0 for face in np.asarray(c.get_facecolor())] for c in points] == marked
    assert [[bool(w) for w in np.asarray(c.get_linewidth())] for c in points] == marked


@pytest.mark.parametrize("plot", [plot_barcode, plot_diagram])
def test_an_empty_index_can_be_drawn(plot: Callable[[Barcode], Axes]) -> None:
    barcode = FilteredComplex.complete(2, [[0, 0], [0]]).barcode(max_index=1)
    ax = plot(barcode.with_ends([(ends((True, 0, 0.0)), ends(NOTHING)), (ends(), ends())]))
    ax.figure.canvas.draw()
