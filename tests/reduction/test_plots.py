"""What the pictures contain, told from their artists."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from reduction import Barcode, FilteredComplex, plot_barcode, plot_diagram
from tests.reduction.endpoints import mixed

Plot = Callable[..., Axes]


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def circle() -> Barcode:
    """Three components, two of which end at 1; one essential cycle from 1."""
    return FilteredComplex.complete(3, [[0] * 3, [1] * 3]).barcode(max_index=1)


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def legend(ax: Axes) -> list[str]:
    found = ax.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


@pytest.mark.parametrize("plot", [plot_barcode, plot_diagram])
def test_plots_draw_into_the_axes_they_are_given(plot: Plot) -> None:
    ax = plt.subplots()[1]
    assert plot(circle(), ax=ax) is ax
    other = plot(circle())
    assert other is not ax
    assert legend(ax) == legend(other) == ["index 0", "index 1"]


@pytest.mark.parametrize("plot", [plot_barcode, plot_diagram])
@pytest.mark.parametrize(
    "barcode",
    [
        FilteredComplex([[[0]]], [[0]]).barcode(),
        FilteredComplex([[[0]]], [[1e-9]]).barcode(max_index=0),
        FilteredComplex([[[0], [1]]], [[1e300, 1e300]]).barcode(max_index=0),
        FilteredComplex.complete(3, [[0] * 3, [0] * 3, [0]]).barcode(),
        FilteredComplex.complete(3, [[0] * 3, [1] * 3, [1]]).barcode(keep_zero=True),
    ],
    ids=["no index", "one essential bar", "far from zero", "an empty index", "zero-length bars"],
)
def test_any_barcode_can_be_drawn(plot: Plot, barcode: Barcode) -> None:
    ax = plot(barcode)
    ax.figure.canvas.draw()
    for low, high in (ax.get_xlim(), ax.get_ylim()):
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert low < high


def test_both_fit_into_a_grid_under_constrained_layout() -> None:
    """Arrows drawn past the axes once made the layout engine give up; warnings are errors here."""
    figure, grid = plt.subplots(2, 5, figsize=(24, 9), layout="constrained")
    for above, below in grid.T:
        plot_barcode(circle(), above)
        plot_diagram(circle(), below)
    figure.canvas.draw()
    assert all(ax.get_position().width > 0.1 for ax in grid.flat)


def test_every_bar_has_its_line_and_essential_ones_an_arrow() -> None:
    ax = plot_barcode(circle())
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert [len(line.get_segments()) for line in lines] == [3, 1]
    arrows = [line.get_ydata() for line in ax.lines if line.get_marker() == ">"]
    assert [np.asarray(heights).tolist() for heights in arrows] == [[2], [3]]


def test_one_value_is_drawn_on_axes_of_its_own_size() -> None:
    for value in (0.87, 1e-9, -3e7):
        ax = plot_barcode(FilteredComplex([[[0]]], [[value]]).barcode(max_index=0))
        low, high = ax.get_xlim()
        assert low < value < high
        assert high - low <= 0.25 * abs(value)


def test_a_bar_too_short_to_be_seen_is_a_dot_that_the_legend_names() -> None:
    barcode = FilteredComplex.complete(3, [[0.02] * 3, [0.04, 0.05, 0.05], [0.05002]]).barcode()
    ax = plot_barcode(barcode)
    marks = {
        (str(line.get_marker()), float(x))
        for line in ax.lines
        for x in np.asarray(line.get_xdata())
        if line.get_marker() in ("o", "|")
    }
    assert marks == {("|", 0.02), ("o", 0.05)}
    assert legend(ax) == ["index 0", "index 1", "too short to be seen"]
    assert legend(plot_barcode(circle())) == ["index 0", "index 1"]


@pytest.mark.parametrize("plot", [plot_barcode, plot_diagram])
def test_an_index_without_bars_is_said_to_have_none(plot: Plot) -> None:
    ax = plot(FilteredComplex.complete(3, [[0, 1, 2], [3] * 3, [3]]).barcode())
    assert legend(ax) == ["index 0", "index 1: no bars"]
    found = ax.get_legend()
    assert found is not None
    assert [line.get_linestyle() for line in found.get_lines()] == ["-", "None"]


@pytest.mark.parametrize("value", [0.02, 123.456, 1e-7, 1e6])
def test_numbers_at_a_diagram_do_not_lie_upon_each_other(value: float) -> None:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    barcode = FilteredComplex.complete(3, [[value] * 3, [value] * 3, [value]]).barcode()
    ax = plot_diagram(barcode, figure.subplots())
    figure.draw_without_rendering()
    low, high = ax.get_xlim()
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    boxes = [text.get_window_extent() for x, text in ticks if low <= x <= high]
    assert len(boxes) > 1
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_coincident_points_are_counted_and_essential_ones_stand_at_infinity() -> None:
    ax = plot_diagram(circle())
    assert texts(ax) == ["∞", "×2"]
    infinity = float(np.asarray(ax.lines[1].get_ydata())[0])
    points = [np.asarray(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection)]
    assert [p.tolist() for p in points] == [[[0, 1], [0, 1], [0, infinity]], [[1, infinity]]]
    assert max(ax.get_yticks()) < infinity
    assert ax.get_ylim()[1] > infinity > 1
    assert ax.get_aspect() == 1


def test_without_essential_bars_there_is_no_line_at_infinity() -> None:
    full = FilteredComplex.complete(3, [[0] * 3, [1] * 3, [2]]).barcode()
    cycles = Barcode(
        [[], full[1]], [(np.empty((0, 1), int), np.empty((0, 2), int)), full.pairs(1)], 2
    )
    ax = plot_diagram(cycles)
    assert texts(ax) == []
    assert len(ax.lines) == 1


def bounded() -> Barcode:
    """Two bars of index 0, one of which could end at 0.75 in place of 1; one of index 1, final."""
    return circle().with_bounds([([0.75, 1.0, math.inf], 0.25), ([math.inf], math.inf)])


def test_what_work_could_take_from_a_bar_is_lighter_and_errors_are_told() -> None:
    ax = plot_barcode(bounded())
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    light = [c for c in lines if c.get_alpha() is not None]
    assert [[row.tolist() for row in c.get_segments()] for c in light] == [[[[0.75, 0], [1.0, 0]]]]
    solid = [c.get_segments() for c in lines if c.get_alpha() is None]
    assert [segment[1, 0] for segment in solid[0]][:2] == [0.75, 1.0]
    named = ["index 0, error 0.25", "index 1, error inf", "above the lowest death"]
    assert legend(ax) == named
    ax = plot_diagram(bounded())
    light = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert [[row.tolist() for row in c.get_segments()] for c in light] == [[[[0, 0.75], [0, 1.0]]]]
    assert legend(ax) == named


def test_bars_that_no_work_could_change_have_no_lighter_part() -> None:
    final = circle().with_bounds([([1.0, 1.0, math.inf], 0.0), ([math.inf], 0.0)])
    for plot in (plot_barcode, plot_diagram):
        assert legend(plot(final)) == ["index 0, error 0", "index 1, error 0"]


def test_lighter_parts_are_dashed_where_an_end_is_not_certified() -> None:
    ax = plot_barcode(mixed().with_bounds([([math.inf, 1.0, 2.0], 4.0), ([5.0], 4.0)]))
    light = [c for c in ax.collections if c.get_alpha() is not None]
    styles: list[Any] = [c.get_linestyle() for c in light]
    assert [[dashes is not None for _, dashes in style] for style in styles] == [
        [False, True],
        [True],
    ]
