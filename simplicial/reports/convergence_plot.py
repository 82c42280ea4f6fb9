"""The picture of a convergence."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reduction.plots import COLOURS, check_drawn
from simplicial.reports.convergence import Convergence, Floats

if TYPE_CHECKING:  # loaded where it is used
    from matplotlib.axes import Axes

LOGARITHMIC = 5.0  # largest over smallest value from which an axis is logarithmic: then two of
STEPS = (1, 2, 5)  # times a power of ten are always on it
DECADES = 3  # up to which all of these are ticks, above it powers of ten
MARKERS = "osD^v<p*"
SHADES = 0.36  # opacity of all shaded bands together
INFINITE = 0.05  # of the height, for the infinite W_inf of an index, from the top
DIGIT = 0.64  # width over height of a digit in matplotlib's own font
LONGEST = 10  # characters of a number of gradients, above which it is rounded


def plot_convergence(convergence: Convergence, ax: "Axes | None" = None) -> "Axes":
    """W_inf of each index against gradients.

    A line for each index; of `indices_with_lowest` a dotted one below, its lowest W_inf, and the
    band between them shaded. Axes are logarithmic where values are farther apart than a factor of
    5, with 0 one step below the smallest other one, and linear from 0 (W_inf) otherwise. An
    infinite W_inf is an arrow at the top. All gradients have a tick, as many as there is room for
    a number. Returns the axes, new ones unless `ax` is given. Raises OptionError for what is no
    Convergence, or no axes.
    """
    check_drawn("convergence", convergence, Convergence, ax)
    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")[1]
    gradients, bounded = convergence.gradients, indices_with_lowest(convergence)
    highest, lowest = (
        np.ma.masked_invalid(values) for values in (convergence.w_inf, convergence.lowest)
    )
    m = len(highest.T)
    for r, (high, low) in enumerate(zip(highest.T, lowest.T, strict=True)):
        colour = COLOURS[r % len(COLOURS)]
        if r in bounded:
            ax.fill_between(gradients, low, high, color=colour, alpha=_shade(bounded), linewidth=0)
            ax.plot(gradients, low, ":", color=colour, linewidth=1)
        # of lines that lie upon each other the higher index is the smaller one
        style: dict[str, Any] = {"color": colour, "marker": MARKERS[r % len(MARKERS)]}
        style |= {"markersize": 4 + 4 * (m - 1 - r) / m, "linewidth": 1 + 1.5 * (m - 1 - r) / m}
        ax.plot(gradients, high, **style, label=f"index {r}")
        endless = gradients[np.isinf(convergence.w_inf[:, r])]
        if endless.size:
            heights = np.full(endless.size, 1 - INFINITE * (1 + r % 8))
            transform = ax.get_xaxis_transform()
            ax.plot(endless, heights, "^", color=colour, markersize=6, transform=transform)
    _scale_gradients(ax, gradients.astype(float))
    shown = np.concatenate([highest.compressed(), lowest[:, bounded].compressed()])
    _scale_values(ax, shown)
    if np.isinf(convergence.w_inf).any():
        _leave_space(ax, 1 - INFINITE * (1 + min(m, 8)))
    ax.set_xlabel("gradients by which all simplices were trained, at most")
    ax.set_ylabel(f"W_inf at this effort, over Z/{convergence.field}")
    _legend(ax, bounded, has_infinite=bool(np.isinf(convergence.w_inf).any()))
    return ax


def indices_with_lowest(convergence: Convergence) -> list[int]:
    """The indices whose lowest W_inf says something: it is above 0 at some effort."""
    lowest = convergence.lowest
    return np.flatnonzero(((lowest > 0) & np.isfinite(lowest)).any(axis=0)).tolist()


def _shade(bounded: list[int]) -> float:
    """The opacity of a band, lighter where more of them lie upon each other."""
    return min(0.12, SHADES / len(bounded))


def _scale(ax: "Axes", name: Literal["x", "y"], values: Floats) -> bool:
    """Make an axis logarithmic where values (k,), not negative, are far apart; whether they are."""
    positive = values[values > 0]
    if not positive.size or positive.max() < LOGARITHMIC * positive.min():
        return False
    if positive.size == values.size:
        ax.set(**{f"{name}scale": "log"})
        return True
    decades = np.log10(positive.max() / positive.min())
    set_scale = ax.set_xscale if name == "x" else ax.set_yscale
    set_scale("symlog", linthresh=positive.min(), linscale=max(0.15, 0.12 * decades))
    return True


def _scale_values(ax: "Axes", values: Floats) -> None:
    """The axis of W_inf that holds values (k,), finite."""
    from matplotlib.ticker import FixedLocator, NullLocator

    if not _scale(ax, "y", values):
        ax.set_ylim(0, 1.08 * values.max(initial=0.0) or 1.0)
        if not values.size:
            ax.set_yticks([])
        return
    low, high = values[values > 0].min(), values.max()
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    apart = max(1, (last - first) // 8)  # decades
    steps = STEPS if np.log10(high / low) <= DECADES else STEPS[:1]
    ticks = [step * 10.0**k for k in range(first, last + 1, apart) for step in steps]
    ticks = [tick for tick in ticks if low / 1.1 <= tick <= high * 1.1]
    ax.yaxis.set_major_locator(FixedLocator([0.0] * bool((values == 0).any()) + ticks))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    if (values == 0).any():
        ax.set_ylim(-0.15 * low, high * 1.3)


def _leave_space(ax: "Axes", share: float) -> None:
    """Let all that is drawn end at a share of the height."""
    transform, low_high = ax.transScale, ax.get_ylim()
    low, high = (float(transform.transform((1.0, y))[1]) for y in low_high)
    top = low + (high - low) / share
    ax.set_ylim(top=float(transform.inverted().transform((1.0, top))[1]))


def _scale_gradients(ax: "Axes", gradients: Floats) -> None:
    """The axis of gradients (k,), ascending, with a tick at each, and the numbers that fit."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties
    from matplotlib.ticker import NullLocator

    if not _scale(ax, "x", gradients):
        ax.margins(x=0.08)
    texts = _texts(gradients)
    points = FontProperties(size=rcParams["xtick.labelsize"]).get_size_in_points()
    size = ax.figure.dpi * points / 72  # pixels
    ax.autoscale_view()  # otherwise the limits are those before the lines
    pixels = ax.transData.transform(np.column_stack([gradients, np.zeros(len(gradients))]))[:, 0]
    widths = np.array([DIGIT * size * (len(text) + 2) for text in texts])
    kept, end = list[int](), -np.inf
    for i, (at, width) in enumerate(zip(pixels, widths, strict=True)):
        has_room = at - width / 2 >= end
        if i == len(texts) - 1 and not has_room:  # the last one goes before that beside it
            kept.pop()
        if has_room or i == len(texts) - 1:
            kept, end = [*kept, i], at + width / 2
    labels = [text if i in kept else "" for i, text in enumerate(texts)]
    ax.set_xticks(gradients.tolist(), labels)
    ax.xaxis.set_minor_locator(NullLocator())


def _texts(gradients: Floats) -> list[str]:
    """Numbers of gradients as texts that tell them apart, short ones if they can."""
    texts = [f"{count:,.0f}" for count in gradients]
    for digits in range(3, 18):
        if max(map(len, texts)) <= LONGEST:
            break
        short = [f"{count:.{digits}g}" for count in gradients]
        if len(set(short)) == len(short):
            return short
    return texts


def _legend(ax: "Axes", bounded: list[int], *, has_infinite: bool) -> None:
    """Above the picture, where it hides no line."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles, _ = ax.get_legend_handles_labels()
    if bounded:
        label = "lowest: if simplices one\ndimension higher were perfect"
        handles.append(Line2D([], [], color="0.4", linestyle=":", linewidth=1, label=label))
        handles.append(Patch(color="0.4", alpha=_shade(bounded) * 2, label="from lowest to W_inf"))
    if has_infinite:
        handles.append(Line2D([], [], color="0.4", linestyle="", marker="^", label="infinite"))
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        columnspacing=1.2,
        frameon=False,
        fontsize="small",
    )
