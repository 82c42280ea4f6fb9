"""The barrier tree of minima, or disconnectivity graph: basins, and the levels at which they meet.

A branch ends below at the value of its minimum. Going up it meets others at the lowest barrier
between them (Becker & Karplus 1997), or, in the form of Wales, Miller & Walsh (1998), at the first
of equally spaced levels that is no lower, so that basins which meet between two levels meet at one
node. A basin's lowest minimum stands in the middle of it: basins that end as the level rises are
put on the side that has fewer minima so far, outside of all that ended before, so that no two
branches cross.
Source: Becker & Karplus, J. Chem. Phys. 106, 1495 (1997), Figure 2; Wales, Miller & Walsh, Nature
394, 758 (1998), Figure 1.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import FilteredComplex, OptionError, ShapeError
from reduction.plots import check_drawn
from reduction.validation import as_integer, short_repr
from simplicial.graphs.merge_forest import MergeForest, merge_forest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

MANY = 50  # minima, from which lines and dots are finer
BRANCHES, JOINED = "tab:blue", "0.45"  # the latter where minima have colours: of several
WIDTH = (0.8, 0.65)  # of a label and of each of its characters, over the size of its font
TICK = 3  # that of matplotlib's space for a tick
Floats = NDArray[np.float64]


class _Basin(NamedTuple):
    """A basin: places of its first and last minimum, and where its branch begins, at its value."""

    first: float
    last: float
    value: float
    minimum: int | None  # of a basin of one

    @property
    def x(self) -> float:
        return (self.first + self.last) / 2


class _Line(NamedTuple):
    """A line of the picture, and the minimum whose branch it is; None where basins have met."""

    x: list[float]
    y: list[float]
    minimum: int | None


def plot_barrier_tree(
    filtration: FilteredComplex,
    ax: "Axes | None" = None,
    *,
    levels: int | None = None,
    order_parameter: ArrayLike | None = None,
    label: str = "order parameter",
) -> "Axes":
    """The tree of basins (disconnectivity graph; Becker & Karplus 1997).

    levels           None: branches meet at the barriers themselves; a number: at so many levels,
                     equally spaced from the lowest minimum to the highest barrier (Wales, Miller &
                     Walsh 1998)
    order_parameter  (n,) a number for each vertex, which colours its branch and its dot
    label            of the bar of these colours
    A leaf is a vertex at its value; two branches join at the lowest barrier between them, which is
    a minimum spanning tree of the edges. Components that nothing joins stay apart. The lowest
    vertex of each basin stands in its middle. Where there is no room for the labels of all, the
    lowest have theirs. Raises OptionError for what is no filtration, no axes, no number of levels
    or no text, ShapeError for what is no finite number for each vertex.
    """
    check_drawn("filtration", filtration, FilteredComplex, ax)
    count = None if levels is None else as_integer("levels", levels, 1)
    parameter = _order_parameter(order_parameter, filtration)
    if not isinstance(label, str):
        raise OptionError(f"label must be a text, got {short_repr(label)}: leave it out")
    forest = merge_forest(filtration)
    order = _order(forest)
    lines = _branches(forest, order) if count is None else _slanted(forest, order, count)
    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.subplots(figsize=(5.4, 4.2), layout="constrained")[1]
    _draw(ax, lines, forest, order, parameter)
    if parameter is not None:
        ax.figure.colorbar(_colours(parameter), ax=ax, label=label)
    _label(ax, forest, order)
    return ax


def _order_parameter(given: ArrayLike | None, filtration: FilteredComplex) -> Floats | None:
    """The numbers (n,) that colour the minima. Raises ShapeError."""
    if given is None:
        return None
    n = filtration.counts[0]
    try:
        numbers = np.asarray(given)
    except ValueError:  # rows of unequal length
        numbers = np.empty(0)
    real = numbers.dtype.kind in "fiub" and numbers.shape == (n,)
    if not (real and np.isfinite(numbers).all()):
        raise ShapeError(
            f"an order parameter is a finite number for each of {n} vertices, got "
            f"{short_repr(given)}: give an array ({n},)"
        )
    return numbers.astype(np.float64)


def _order(forest: MergeForest) -> list[int]:
    """The minima from left to right."""
    left: list[list[int]] = [[] for _ in forest.values]  # of a basin's lowest minimum, outwards
    right: list[list[int]] = [[] for _ in forest.values]
    for older, younger in zip(forest.older.tolist(), forest.younger.tolist(), strict=True):
        block = [*left[younger][::-1], younger, *right[younger]]
        if len(right[older]) <= len(left[older]):
            right[older] += block
        else:
            left[older] += block[::-1]
    roots = np.setdiff1d(np.arange(len(forest.values)), forest.younger).tolist()
    return [leaf for root in roots for leaf in (*left[root][::-1], root, *right[root])]


def _nodes(
    forest: MergeForest, order: list[int], heights: Floats
) -> Iterator[tuple[list[_Basin], _Basin]]:
    """Basins that meet at one of these heights (m,), non-decreasing, and the basin they become."""
    basins: dict[int, _Basin] = {}  # by their lowest minima
    for place, leaf in enumerate(order):
        basins[leaf] = _Basin(float(place), float(place), float(forest.values[leaf]), leaf)
    for height in np.unique(heights).tolist():
        meeting: dict[int, list[_Basin]] = {}
        for merge in np.flatnonzero(heights == height).tolist():
            older, younger = int(forest.older[merge]), int(forest.younger[merge])
            arms = [meeting.pop(basin, None) or [basins[basin]] for basin in (older, younger)]
            meeting[older] = arms[0] + arms[1]
        for older, arms in meeting.items():
            first, last = min(arm.first for arm in arms), max(arm.last for arm in arms)
            basins[older] = _Basin(first, last, height, None)
            yield arms, basins[older]


def _branches(forest: MergeForest, order: list[int]) -> list[_Line]:
    """Upright branches, joined by level lines at the barriers."""
    lines: list[_Line] = []
    for arms, node in _nodes(forest, order, forest.heights):
        lines += [_Line([arm.x, arm.x], [arm.value, node.value], arm.minimum) for arm in arms]
        across = [min(arm.x for arm in arms), max(arm.x for arm in arms)]
        lines.append(_Line(across, [node.value, node.value], None))
    return lines


def _slanted(forest: MergeForest, order: list[int], count: int) -> list[_Line]:
    """Branches that are upright up to the level below that at which they meet, and then slant."""
    if not len(forest.heights):
        return []
    levels = np.linspace(forest.values.min(), forest.heights.max(), count + 1)
    heights = levels[1:][np.searchsorted(levels[1:-1], forest.heights)]
    lines: list[_Line] = []
    for arms, node in _nodes(forest, order, heights):
        below = float(levels[np.searchsorted(levels, node.value) - 1])
        for arm in arms:
            bend = max(arm.value, below)
            x, y = [arm.x, arm.x, node.x], [arm.value, bend, node.value]
            lines.append(_Line(x, y, arm.minimum))
    return lines


def _colours(parameter: Floats) -> "ScalarMappable":
    """Colours of an order parameter."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(parameter.min(), parameter.max()), "viridis")


def _draw(
    ax: "Axes",
    lines: list[_Line],
    forest: MergeForest,
    order: list[int],
    parameter: Floats | None,
) -> None:
    """Draw branches, and a dot for each minimum."""
    values = forest.values[order]
    width = 1.5 if len(order) <= MANY else 0.9
    if parameter is None:
        colours = dict.fromkeys([*order, None], BRANCHES)
    else:
        rgba = _colours(parameter).to_rgba(parameter)
        colours = {leaf: tuple(rgba[leaf].tolist()) for leaf in order} | {None: JOINED}
    for line in sorted(lines, key=lambda line: line.minimum is not None):  # these lie on top
        colour = colours[line.minimum]
        ax.plot(line.x, line.y, color=colour, linewidth=width, solid_capstyle="round")
    if parameter is None:
        size = 4 if len(order) <= MANY else 2
        ax.plot(range(len(order)), values, "o", color=BRANCHES, markersize=size)
    else:
        size = 16 if len(order) <= MANY else 6
        ax.scatter(range(len(order)), values, size, parameter[order], zorder=3)
    ax.set_xlabel("minimum")
    ax.set_ylabel("loss")


def _label(ax: "Axes", forest: MergeForest, order: list[int]) -> None:
    """Label minima below the axes, the lowest first, each where it keeps off the others.

    Which have room is found when the picture is drawn, for its size and its limits then.
    """
    from matplotlib.ticker import FuncFormatter, Locator

    names = [str(label) for label in forest.labels[order].tolist()]
    lowest = np.lexsort((np.arange(len(order)), forest.values[order]))
    wide = (WIDTH[0] + WIDTH[1] * max(map(len, names))) / TICK

    class LowestFirst(Locator):
        def __call__(self) -> list[float]:
            assert self.axis is not None
            return self.tick_values(*sorted(self.axis.get_view_interval()))

        def tick_values(self, vmin: float, vmax: float) -> list[float]:
            assert self.axis is not None
            apart = wide * (vmax - vmin) / max(self.axis.get_tick_space(), 1)
            shown: list[float] = []
            for place in lowest[(lowest >= vmin) & (lowest <= vmax)].tolist():
                if all(abs(place - other) >= apart for other in shown):
                    shown.append(place)
            return sorted(shown)

    def name(place: float, _: int | None) -> str:
        return names[int(place)]

    ax.xaxis.set_major_locator(LowestFirst())
    ax.xaxis.set_major_formatter(FuncFormatter(name))
