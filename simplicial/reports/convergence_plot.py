"""The picture of a convergence."""

from typing import TYPE_CHECKING

import numpy as np

from reduction.plots import COLOURS, check_drawn
from simplicial.reports.convergence import Convergence

if TYPE_CHECKING:  # loaded where it is used
    from matplotlib.axes import Axes


def plot_convergence(convergence: Convergence, ax: "Axes | None" = None) -> "Axes":
    """W_inf of each index against gradients, both on logarithmic axes where they are positive.

    A line for each index and, of `indices_with_lowest`, a dotted one below, its lowest W_inf, if
    the simplices one dimension higher were perfect. An infinite W_inf has no point. Returns the
    axes, new ones unless `ax` is given. Raises OptionError for what is no Convergence, or no axes.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullLocator

    check_drawn("convergence", convergence, Convergence, ax)
    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")[1]
    gradients = convergence.gradients
    highest, lowest = (
        np.ma.masked_invalid(values) for values in (convergence.w_inf, convergence.lowest)
    )
    bounded = indices_with_lowest(convergence)
    for r, (high, low) in enumerate(zip(highest.T, lowest.T, strict=True)):
        colour = COLOURS[r % len(COLOURS)]
        if r in bounded:
            ax.fill_between(gradients, low, high, color=colour, alpha=0.12, linewidth=0)
            ax.plot(gradients, low, ":", color=colour, linewidth=1)
        ax.plot(gradients, high, "o-", color=colour, markersize=4, label=f"index {r}")
    if gradients[0] > 0:
        ax.set_xscale("log", base=2)
        ax.set_xticks(gradients.tolist(), [f"{count:,}" for count in gradients.tolist()])
        ax.xaxis.set_minor_locator(NullLocator())
    drawn = highest.compressed()
    if drawn.size and drawn.min() > 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlabel("gradients by which all simplices were trained, at most")
    ax.set_ylabel("W_inf at this effort")
    handles, _ = ax.get_legend_handles_labels()
    if bounded:
        handles.append(Line2D([], [], color="0.4", linestyle=":", linewidth=1, label="lowest"))
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=4,
        frameon=False,
        fontsize="small",
    )
    return ax


def indices_with_lowest(convergence: Convergence) -> list[int]:
    """The indices whose lowest W_inf says something: it is above 0 at some effort."""
    lowest = convergence.lowest
    return np.flatnonzero(((lowest > 0) & np.isfinite(lowest)).any(axis=0)).tolist()
