"""The barrier tree, or disconnectivity graph: heights, order, colours and labels."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reduction import FilteredComplex
from simplicial import plot_barrier_tree
from simplicial.graphs.merge_forest import merge_forest

FOUR = FilteredComplex.from_simplices(
    {(0,): 0.0, (1,): 1.0, (2,): 0.5, (3,): 2.0, (0, 1): 2.0, (2, 3): 3.0, (1, 2): 5.0}
    | {(0, 3): 9.0}
)
"""0 and 1 join at 2, 2 and 3 at 3, both at 5; the edge of value 9 joins nothing."""


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def funnel(seed: int, n: int) -> FilteredComplex:
    """Minima in a funnel with noise; barriers grow with the distance."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, size=(n, 2))
    values = 2 * (points**2).sum(axis=1) + rng.normal(scale=0.3, size=n)
    b, a = np.tril_indices(n, -1)
    apart = np.linalg.norm(points[a] - points[b], axis=1)
    heights = np.maximum(values[a], values[b]) + 0.1 + 4 * apart**2
    return FilteredComplex.complete(n, [values, heights])


def segments(ax: Axes) -> np.ndarray:
    """Segments (s, 2, 2) of all branches."""
    lines = [np.asarray(line.get_xydata(), float) for line in ax.lines if line.get_marker() != "o"]
    return np.array([part for line in lines for part in pairwise(line)])


def leaves(ax: Axes) -> list[int]:
    """The minima from left to right, by zooming in until each has a label."""
    low, high = ax.get_xlim()
    shown: dict[float, int] = {}
    for left in np.arange(np.floor(low), high, 4):
        ax.set_xlim(left, left + 5)
        ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        shown |= {float(x): int(text.get_text()) for x, text in ticks}
    ax.set_xlim(low, high)
    return [shown[x] for x in sorted(shown)]


def test_the_barrier_tree_joins_basins_at_the_lowest_barriers() -> None:
    ax = plot_barrier_tree(FOUR)
    bars = [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines[:-1]]
    levels = sorted(bar[0] for bar in bars if bar[0] == bar[1])
    assert levels == [2.0, 3.0, 5.0]
    rises = sorted((bar.min(), bar.max()) for bar in bars if bar[0] != bar[1])
    assert rises == [(0.0, 2.0), (0.5, 3.0), (1.0, 2.0), (2.0, 3.0), (2.0, 5.0), (3.0, 5.0)]


def test_the_lowest_minimum_stands_between_the_others() -> None:
    ax = plot_barrier_tree(FOUR)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "3", "0", "1"]
    for seed in range(3):
        filtration = funnel(seed, 41)
        order = leaves(plot_barrier_tree(filtration, levels=12))
        assert sorted(order) == list(range(41))
        assert 10 <= order.index(int(filtration.values[0].argmin())) <= 30


def test_a_forest_stays_apart() -> None:
    for levels in (None, 3):
        ax = plot_barrier_tree(
            FilteredComplex.from_simplices({(0,): 0.0, (1,): 1.0}), levels=levels
        )
        assert len(ax.lines) == 1
        assert len(leaves(ax)) == 2


def test_at_levels_branches_meet_at_the_first_that_is_no_lower() -> None:
    """Levels 1.25, 2.5, 3.75 and 5: 0 and 1 meet at 2.5, 2 and 3 at 3.75."""
    ax = plot_barrier_tree(FOUR, levels=4)
    lines = sorted(np.asarray(line.get_ydata(), float).tolist() for line in ax.lines[:-1])
    assert lines == [
        [0.0, 1.25, 2.5],
        [0.5, 2.5, 3.75],
        [1.0, 1.25, 2.5],
        [2.0, 2.5, 3.75],
        [2.5, 3.75, 5.0],
        [3.75, 3.75, 5.0],
    ]


def test_one_level_joins_all_basins_at_one_node() -> None:
    ax = plot_barrier_tree(funnel(1, 20), levels=1)
    tops = {tuple(np.asarray(line.get_xydata(), float)[-1]) for line in ax.lines[:-1]}
    assert len(tops) == 1


@pytest.mark.parametrize("levels", [None, 1, 10, 200])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_two_branches_cross(levels: int | None, seed: int) -> None:
    """No segment has points of another strictly on both sides, and lies on both sides of it."""
    parts = segments(plot_barrier_tree(funnel(seed, 30), levels=levels))
    assert len(parts) > 50

    def turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
        value = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        return 0.0 if abs(value) < 1e-9 else value

    for (a, b), (c, d) in combinations(parts, 2):
        assert not (turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0)


@pytest.mark.parametrize("levels", [None, 15])
def test_every_branch_begins_at_its_minimum_and_tells_its_barrier(levels: int | None) -> None:
    filtration = funnel(2, 40)
    forest, values = merge_forest(filtration), filtration.values[0]
    barrier = dict(zip(forest.younger.tolist(), forest.heights.tolist(), strict=True))
    ax = plot_barrier_tree(filtration, levels=levels)
    dots = np.asarray(ax.lines[-1].get_xydata(), dtype=float)
    order = leaves(ax)
    np.testing.assert_array_equal(dots[:, 1], values[order])
    spacing = 0 if levels is None else (forest.heights.max() - values.min()) / levels
    for x, minimum in enumerate(order):
        upright = [p for p in segments(ax) if (p[:, 0] == x).all() and values[minimum] in p[:, 1]]
        assert upright
        if minimum in barrier:
            top = max(part[:, 1].max() for part in upright)
            assert values[minimum] <= top <= barrier[minimum] + spacing


def test_an_order_parameter_colours_branches_dots_and_a_bar() -> None:
    parameter = np.array([1.0, 2.0, 3.0, 5.0])
    ax = plot_barrier_tree(FOUR, order_parameter=parameter, label="Q6")
    (dots,) = ax.collections
    np.testing.assert_array_equal(np.asarray(dots.get_array()), parameter[[2, 3, 0, 1]])
    colours = plt.get_cmap("viridis")((parameter - 1) / 4)
    for line in ax.lines:
        x, y = np.asarray(line.get_xydata(), dtype=float).T
        if x[0] == x[1] and y[0] in FOUR.values[0]:
            minimum = FOUR.values[0].tolist().index(y[0])
            if x[0] == [2, 3, 0, 1].index(minimum) and y[0] < y[1]:
                assert line.get_color() == tuple(colours[minimum].tolist())
    (bar,) = [axes for axes in ax.figure.axes if axes is not ax]
    assert bar.get_ylabel() == "Q6"
    assert bar.get_ylim() == (1.0, 5.0)


@pytest.mark.parametrize("n", [5, 20, 100, 400])
def test_labels_never_overlap_and_the_lowest_minimum_has_one(n: int) -> None:
    """And no gap between two of them has room for a third, with some space on either side."""
    filtration = funnel(3, n)
    ax = plot_barrier_tree(filtration, levels=20, order_parameter=np.zeros(n))
    figure = ax.get_figure(root=True)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_xticklabels() if text.get_text()]
    boxes.sort(key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    widest = max(box.width for box in boxes)
    height, slot = boxes[0].height, ax.bbox.width / n  # of a character, of a minimum
    apart = [right.x0 - left.x0 for left, right in pairwise(boxes)]
    assert max(apart) < 2 * (widest + height) + slot
    shown = {text.get_text() for text in ax.get_xticklabels()}
    assert len(shown) == n or n > 10
    assert str(int(filtration.values[0].argmin())) in shown
