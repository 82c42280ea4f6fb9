"""Pictures of barcodes: the bars themselves, and the persistence diagram.

The colours tell the indices apart, for colour-blind readers too (Okabe & Ito 2008).
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.barcode import Barcode
from reduction.barcodes.endpoints import uncertified
from reduction.errors import OptionError
from reduction.html_pieces import ON_ANY_PAGE
from reduction.validation import first_line, short_repr

if TYPE_CHECKING:  # loaded where it is used
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

COLOURS = (*ON_ANY_PAGE, "#000000", "#F0E442")

LIGHT = 0.35  # opacity of what further work could take away from a bar

DASHES = (0, (2, 1))  # of a bar with an end that is not certified, or repeated

WIDEST = 1e300  # range of bars in a picture
RESOLVED = 0.01  # share of the width below which two points look like one, and a bar like none


def plot_barcode(barcode: Barcode, ax: "Axes | None" = None) -> "Axes":
    """One horizontal line for each bar, index above index; arrows for bars that never end.

    A bar too short to be seen is a dot, as the legend says. Where the barcode has ends, a bar is
    dashed unless they are certified and not `Barcode.repeated`. Where it has bounds, a bar is
    lighter from its lowest death on, certified or not: a certificate does not say that no lower
    simplex exists. The legend has the error of each index. Returns the axes, new ones unless `ax`
    is given. Raises OptionError for what is no barcode, or no axes.
    """
    from matplotlib.lines import Line2D

    ax = _axes(barcode, ax)
    low, high = _limits(barcode)
    height = 0
    for r, bars in enumerate(barcode):
        colour = COLOURS[r % len(COLOURS)]
        heights = np.arange(height, height + len(bars))
        height += len(bars)
        ends = np.minimum(bars[:, 1], high)
        sure = np.minimum(_lowest_deaths(barcode, r), high)
        lines = ax.hlines(heights, bars[:, 0], sure, color=colour, linewidth=2)
        doubtful = _doubtful(barcode, r)
        lines.set_linestyle([DASHES if dashed else "solid" for dashed in doubtful])
        low_ends = sure < ends
        if low_ends.any():
            rows = heights[low_ends], sure[low_ends], ends[low_ends]
            light = ax.hlines(*rows, color=colour, linewidth=2, alpha=LIGHT)
            light.set_linestyle([DASHES if dashed else "solid" for dashed in doubtful[low_ends]])
        short = _short(bars, high - low)
        ax.plot(bars[~short, 0], heights[~short], "|", color=colour, markersize=5)
        ax.plot(bars[short, 0], heights[short], "o", color=colour, markersize=4)
        endless = np.isinf(bars[:, 1])
        ax.plot(ends[endless], heights[endless], ">", color=colour)
    ax.set_xlim(low, high + 0.02 * (high - low))  # space for the arrows
    ax.set_ylim(-1, max(height, 1))
    ax.set_yticks([])
    ax.set_xlabel("filtration value")
    label = _doubt(barcode)
    dashed = Line2D([], [], color="0.4", linewidth=2, linestyle=DASHES, label=label)
    more = [dashed] if _has_doubtful(barcode) else []
    if any(_short(bars, high - low).any() for bars in barcode):
        label = "too short to be seen"
        more.append(
            Line2D([], [], color="0.4", linestyle="", marker="o", markersize=4, label=label)
        )
    _legend(ax, barcode, more, columns=3)
    return ax


def plot_diagram(barcode: Barcode, ax: "Axes | None" = None) -> "Axes":
    """The persistence diagram: a point (birth, death) for each bar, at ∞ if it never ends.

    A number beside a point says how many bars the eye cannot tell apart there. Where the barcode
    has ends, a point is hollow unless they are certified and not `Barcode.repeated`. Where it has
    bounds, a light line goes down from a point to its lowest death, and the legend has the error of
    each index. Returns the axes, new ones unless `ax` is given. Raises OptionError for what is no
    barcode, or no axes.
    """
    from matplotlib.colors import to_rgba
    from matplotlib.lines import Line2D

    ax = _axes(barcode, ax)
    low, high = _limits(barcode)
    ax.plot([low, high], [low, high], color="0.6", linewidth=1)
    top = high
    if any(barcode.essential(r).size for r in range(len(barcode))):
        top = high + 0.08 * (high - low)
        ax.axhline(high, color="0.6", linewidth=1, linestyle="--")
        ax.annotate("∞", (low, high), (4, 2), textcoords="offset points", color="0.4")
    for r, bars in enumerate(barcode):
        colour = COLOURS[r % len(COLOURS)]
        points = np.minimum(bars, high)
        hollow, sure = _doubtful(barcode, r), np.minimum(_lowest_deaths(barcode, r), high)
        low_ends = sure < points[:, 1]
        if low_ends.any():
            columns = points[low_ends, 0], sure[low_ends], points[low_ends, 1]
            ax.vlines(*columns, color=colour, linewidth=1.5, alpha=LIGHT)
        ax.scatter(
            *points.T,
            s=np.where(hollow, 22, 28),  # equal with the outline
            facecolors=[to_rgba(colour, 0.0 if empty else 0.8) for empty in hollow],
            edgecolors=to_rgba(colour, 0.8),
            linewidths=[1.2 if empty else 0.0 for empty in hollow],
            zorder=3,
        )
        cells = np.round((points - low) / (RESOLVED * (high - low)))
        _, first, counts = np.unique(cells, axis=0, return_index=True, return_counts=True)
        for point, count in zip(points[first[counts > 1]], counts[counts > 1], strict=True):
            ax.annotate(f"×{count}", tuple(point), (3, 3), textcoords="offset points", fontsize=7)
    ax.set_xlim(low, high)
    ax.set_ylim(low, top)
    ax.locator_params(axis="x", nbins=4)  # the square is small, and numbers may be long
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick < high])  # ∞ is no number
    ax.set_aspect("equal")
    ax.set_xlabel("birth")
    ax.set_ylabel("death")
    hollow = Line2D([], [], color="0.4", linestyle="", marker="o", markersize=5, fillstyle="none")
    hollow.set_label(_doubt(barcode))
    # the axes are a square, and no wider
    _legend(ax, barcode, [hollow] if _has_doubtful(barcode) else [], columns=2)
    return ax


def check_drawn(name: str, given: Any, kind: type, ax: Any) -> None:
    """Raise OptionError unless what is drawn is of its kind, and goes on axes or None."""
    from matplotlib.axes import Axes

    for what, value, wanted, fits in (
        (name, given, kind, isinstance(given, kind)),
        ("ax", ax, Axes, ax is None or isinstance(ax, Axes)),
    ):
        if not fits:
            remedy = "leave it out, or give one of plt.subplots()" if what == "ax" else "pass one"
            raise OptionError(
                f"{what} must be of type {wanted.__name__}, got {short_repr(value)}: {remedy}"
            )


def check_style(method: str, data: tuple[Any, ...], style: dict[str, Any]) -> None:
    """Raise OptionError for keywords that a method of Axes does not take, before it draws.

    data  a few values that the method draws, on axes that nobody sees
    """
    if not style:
        return
    from matplotlib.figure import Figure

    try:
        getattr(Figure().subplots(), method)(*data, **style)
    except (AttributeError, TypeError, ValueError) as error:
        raise OptionError(
            f"further keywords are those of matplotlib's Axes.{method}, got {short_repr(style)} "
            f"({first_line(error)}): leave them out, or choose others"
        ) from error


def _axes(barcode: Barcode, ax: "Axes | None") -> "Axes":
    check_drawn("barcode", barcode, Barcode, ax)
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _limits(barcode: Barcode) -> tuple[float, float]:
    """A range that holds all finite births and deaths, with a margin; never empty."""
    ends = np.concatenate([np.zeros(0), *(bars.ravel() for bars in barcode)])
    ends = ends[np.isfinite(ends)]
    if not ends.size:
        return 0.0, 1.0
    low, high = float(ends.min()), float(ends.max())
    if high - low > WIDEST:
        raise OptionError(
            f"a picture is drawn in float64, but bars extend from {low:.6g} to {high:.6g}: divide "
            "their values by a power of ten"
        )
    # a single value still gets an interval, on which its digits can be read
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 0.5
    return low - margin, high + margin


def _lowest_deaths(barcode: Barcode, r: int) -> NDArray[np.float64]:
    """(m,): the lowest deaths of the bars of index r; the deaths, where they are unknown."""
    bounds = barcode.bounds(r)
    return barcode[r][:, 1] if bounds is None else bounds.lowest_deaths


def _label(barcode: Barcode, r: int) -> str:
    """An index, that it has no bars, and the error of its barcode where that is known."""
    bounds, name = barcode.bounds(r), f"index {r}" if len(barcode[r]) else f"index {r}: no bars"
    return name if bounds is None else f"{name}, error {bounds.error:.3g}"


def _short(bars: NDArray[np.float64], width: float) -> NDArray[np.bool_]:
    """(m,): which bars are too short to be seen in a picture of this width."""
    return bars[:, 1] - bars[:, 0] < RESOLVED * width


def _doubtful(barcode: Barcode, r: int) -> NDArray[np.bool_]:
    """(m,): which bars of index r have an end that is not certified, or repeated."""
    births, deaths = (uncertified(barcode[r], barcode.ends(r)) | barcode.repeated(r)).T
    return births | deaths


def _has_doubtful(barcode: Barcode) -> bool:
    return any(_doubtful(barcode, r).any() for r in range(len(barcode)))


def _doubt(barcode: Barcode) -> str:
    """What is to be said of doubtful bars, in a legend."""
    repeated = any(barcode.repeated(r).any() for r in range(len(barcode)))
    return "not certified, or repeated" if repeated else "not certified"


def _legend(ax: "Axes", barcode: Barcode, more: "list[Line2D]", columns: int) -> None:
    """Above the picture, where it hides no bar; `more` after the indices."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=COLOURS[r % len(COLOURS)],
            linewidth=4,
            linestyle="solid" if len(barcode[r]) else "",
            label=_label(barcode, r),
        )
        for r in range(len(barcode))
    ]
    handles += more
    if any((_lowest_deaths(barcode, r) < barcode[r][:, 1]).any() for r in range(len(barcode))):
        light = Line2D([], [], color="0.4", linewidth=4, alpha=LIGHT)
        light.set_label("above the lowest death")
        handles.append(light)
    if handles:
        ax.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            columnspacing=1.2,
            handlelength=1.6,
            frameon=False,
            fontsize="small",
        )
