"""The picture of a convergence, told from its artists, and where they are when it is drawn."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from simplicial import Convergence, plot_convergence

INF = np.inf
LOWEST = ["lowest: if simplices one\ndimension higher were perfect", "from lowest to W_inf"]


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def curve(gradients: Sequence[int], w_inf: Any, lowest: Any = 0.0, field: int = 2) -> Convergence:
    values = np.asarray(w_inf, float)
    low = np.broadcast_to(lowest, values.shape)
    efforts = np.arange(1.0, len(gradients) + 1)
    return Convergence(efforts, np.asarray(gradients), values, low, values, field)


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def lines_of(ax: Axes) -> list[Line2D]:
    return [line for line in ax.lines if str(line.get_label()).startswith("index")]


def drawn(convergence: Convergence, size: tuple[float, float] = (6, 4.5)) -> Axes:
    """Axes of a picture that is laid out and drawn, as in the folder of a result."""
    figure = Figure(figsize=size, layout="constrained")
    ax = plot_convergence(convergence, figure.subplots())
    figure.draw_without_rendering()
    return ax


def assert_apart(texts: list[Text], *, upright: bool) -> None:
    """No two texts upon each other, from left to right or from below."""
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    ends = sorted((box.y0, box.y1) if upright else (box.x0, box.x1) for box in boxes)
    assert all(high < low for (_, high), (low, _) in pairwise(ends))


def test_the_picture_has_a_line_for_each_index_and_its_lowest_w_inf_above_0() -> None:
    found = curve([600, 1500], [[0.7, 0.07], [0.5, 0.06]], [[0.3, 0.0], [0.4, 0.0]], field=3)
    ax = plot_convergence(found)
    assert labels(ax) == ["index 0", "index 1", *LOWEST]
    for r, line in enumerate(lines_of(ax)):
        assert np.asarray(line.get_xdata()).tolist() == [600, 1500]
        assert np.asarray(line.get_ydata()).tolist() == found.w_inf[:, r].tolist()
    lows = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [np.asarray(low.get_ydata()).tolist() for low in lows] == [found.lowest[:, 0].tolist()]
    assert len(ax.lines) == 3
    assert len(ax.collections) == 1
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "W_inf at this effort, over Z/3"


def test_w_inf_of_0_stays_on_a_logarithmic_axis() -> None:
    ax = drawn(curve([360, 720, 1440], [[0.05], [0.0004], [0.0]]))
    assert ax.get_yscale() == "symlog"
    assert 0 in ax.get_yticks()
    ys = ax.transData.transform(np.column_stack([[360, 720, 1440], [0.05, 0.0004, 0.0]]))[:, 1]
    box = ax.get_window_extent()
    assert box.y0 < ys[2] < ys[1] - 0.05 * box.height
    assert ys[1] < ys[0] - 0.3 * box.height
    assert np.diff(ax.transData.transform([[360, 0], [720, 0], [1440, 0]])[:, 0]).min() > 0


def test_infinite_w_inf_is_an_arrow_at_the_top() -> None:
    ax = drawn(curve([360, 720, 1440], [[INF, INF], [0.05, INF], [0.04, 0.01]]))
    arrows = [line for line in ax.lines if line.get_marker() == "^"]
    assert [np.asarray(a.get_xdata()).tolist() for a in arrows] == [[360], [360, 720]]
    assert labels(ax) == ["index 0", "index 1", "infinite"]
    heights = [float(np.asarray(a.get_ydata())[0]) for a in arrows]
    top = ax.get_window_extent().height
    highest = ax.transData.transform((720, 0.05))[1] - ax.get_window_extent().y0
    assert all(highest < height * top for height in heights)
    assert heights[0] != heights[1]


@pytest.mark.parametrize("values", [[[0.0, 0.0]] * 2, [[INF, 0.0]] * 2, [[INF, INF]] * 2])
def test_pictures_of_no_length_and_of_no_end_are_drawn(values: list[list[float]]) -> None:
    ax = drawn(curve([0, 2], values))
    assert ax.get_yscale() == "linear"
    assert labels(ax)[:2] == ["index 0", "index 1"]
    assert not set(LOWEST) & set(labels(ax))


CURVES = {
    "near each other": [int(count) for count in np.linspace(1.2e6, 2.25e6, 8)],
    "doubled": [100 * 2**i for i in range(12)],
    "from none": [0, 10, 1000, 100_000],
    "equal in seven digits": [10**6, 10**6 + 1],
    "of nineteen digits": [10**18, 10**18 + 4096, 2 * 10**18, 9 * 10**18],
    "one": [4000],
    "last two near": [10, 1000, 99_000, 100_000],
    "far": [4**i for i in range(30)],
}


@pytest.mark.parametrize("size", [(6, 4.5), (5.4, 3.6)])
@pytest.mark.parametrize("gradients", CURVES.values(), ids=CURVES)
def test_numbers_of_gradients_do_not_lie_upon_each_other(
    gradients: list[int], size: tuple[float, float]
) -> None:
    ax = drawn(curve(gradients, [[1 / (i + 1)] for i in range(len(gradients))]), size)
    assert ax.get_xticks().tolist() == gradients
    texts = ax.get_xticklabels()
    assert_apart(texts, upright=False)
    assert texts[-1].get_text()
    shown = [text.get_text() for text in texts if text.get_text()]
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize(
    "values", [[1e-40, 1e20], [0.0, 1e-3, 1e3], [0.0066, 0.00661], [1, 6], [0, 1e-5, 1], [2, 9.9]]
)
def test_numbers_of_w_inf_do_not_lie_upon_each_other(values: list[float]) -> None:
    ax = drawn(curve([10 * 2**i for i in range(len(values))], [[v] for v in values[::-1]]))
    low, high = ax.get_ylim()
    assert low <= min(values)
    assert max(values) < high
    texts = [t for t, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True) if y >= low]
    assert_apart(
        [t for t, y in zip(texts, ax.get_yticks(), strict=False) if y <= high], upright=True
    )
    assert sum(low <= y <= high for y in ax.get_yticks()) >= 2


@pytest.mark.parametrize("indices", [1, 2, 3, 4, 7, 12])
def test_any_number_of_indices_leaves_the_axes_their_room(indices: int) -> None:
    values = [[(r + 1) / 2**i for r in range(indices)] for i in range(8)]
    ax = drawn(curve([int(2400 * 1.1**i) for i in range(8)], values, np.array(values) / 2))
    figure, legend = ax.figure, ax.get_legend()
    assert legend is not None
    assert ax.get_position().width > 0.7
    assert ax.get_position().height > 0.5
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert ax.get_window_extent().y1 <= box.y0 < box.y1 <= figure.bbox.height
    kinds = {
        (line.get_color(), str(line.get_marker()), line.get_markersize()) for line in lines_of(ax)
    }
    assert len(kinds) == indices
