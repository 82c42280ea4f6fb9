"""Pictures of a loss between its minima: in a triangle, on its plane, along an edge."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import DimensionError, ShapeError
from reduction.barcodes.bars import as_text
from reduction.plots import check_drawn, check_style
from reduction.validation import as_bool, short_repr
from simplicial.errors import LossError, NotFiniteError
from simplicial.evaluation import evaluate
from simplicial.maps.base import Floats, coordinates
from simplicial.maps.lattice import lattice
from simplicial.reports.plane import PlaneSamples
from simplicial.simplex import OptimisedSimplex, Samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Quantity = Literal["loss", "accuracy"]
FAR = 100  # largest over smallest loss on a plane, from which its logarithm is drawn
RESOLUTION = 24  # of pictures of simplices whose samples were not kept
SAME = 1e-6  # distance of barycentric coordinates below which points are one
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
ON_TRIANGLE = "tripcolor", ([0, 1, 0], [0, 0, 1], [1, 2, 3])  # a method of Axes, and data for it
ON_PLANE = "pcolormesh", ([0, 1], [0, 1], [[1, 2], [3, 4]])
_COLOURS = {"loss": "viridis", "accuracy": "cividis"}


def plot_triangle(
    simplex: OptimisedSimplex,
    quantity: Quantity = "loss",
    ax: "Axes | None" = None,
    **style: Any,
) -> "Axes":
    """The loss, or the accuracy, inside an optimised triangle, drawn equilateral (Figure 1).

    style  keywords of matplotlib's `tripcolor`: cmap, norm, vmin, vmax, ...

    Draws the samples of Algorithm 2; where these were not kept, evaluates a lattice of 24 steps to
    a side. A star marks the largest loss; where it lies between samples its value is drawn too, and
    that of points half-way between samples around it, which are evaluated.
    Raises DimensionError for a simplex that is no triangle, LossError for an accuracy that is not
    there, OptionError for what is no simplex, no axes or no keyword.
    """
    check_drawn("simplex", simplex, OptimisedSimplex, ax)
    check_style(*ON_TRIANGLE, style)
    samples = _samples(simplex, 2, "triangle")
    place = simplex.maximum.barycentric
    return plot_samples(samples, place, quantity, ax, simplex.vertices, **style)


def plot_samples(
    samples: Samples,
    place: NDArray[np.float64],
    quantity: Quantity = "loss",
    ax: "Axes | None" = None,
    vertices: tuple[int, ...] = (0, 1, 2),
    **style: Any,
) -> "Axes":
    """The picture of `plot_triangle` from the samples on a triangle, without its networks.

    samples   of a triangle, on a lattice and elsewhere
    place     (3,) barycentric coordinates of the largest loss
    vertices  the labels of its corners
    style     keywords of `tripcolor`
    Raises LossError for an accuracy that is not there, DimensionError for samples of no triangle,
    ShapeError for coordinates off it, OptionError for what are no samples, no axes or no keyword.
    """
    check_drawn("samples", samples, Samples, ax)
    check_style(*ON_TRIANGLE, style)
    barycentric = _check_triangle(samples, place, vertices)
    values = _quantity(samples, quantity)
    ax = _axes((5.4, 4.2)) if ax is None else ax
    x, y = (samples.barycentric @ CORNERS).T
    own: dict[str, Any] = {"shading": "gouraud", "cmap": _COLOURS[quantity], "rasterized": True}
    colours = ax.tripcolor(x, y, values, **(own | style))
    if np.ptp(values) > 0:
        ax.tricontour(
            x, y, values, levels=10, colors="white", linewidths=0.5, alpha=0.7, linestyles="solid"
        )
    ax.figure.colorbar(colours, ax=ax, label=quantity, shrink=0.85)
    (star,) = ax.plot(
        *(barycentric @ CORNERS), "*", color="tab:red", markersize=12, markeredgecolor="white"
    )
    star.set_clip_on(False)
    ax.legend([star], ["largest loss"], loc="upper left", frameon=False, fontsize=8)
    for i, (corner, side) in enumerate(zip(CORNERS, ("top", "top", "bottom"), strict=True)):
        at = samples.barycentric[:, i].argmax()
        ax.annotate(
            f"minimum {vertices[i]}\n{as_text(values[at], np.abs(values).max())}",
            corner,
            xytext=(0, -6 if side == "top" else 6),
            textcoords="offset points",
            ha="center",
            va=side,
            fontsize=8,
        )
    ax.set_aspect("equal")
    ax.margins(0.08)
    ax.set_axis_off()
    return ax


def plot_edge(
    simplex: OptimisedSimplex,
    quantity: Quantity = "loss",
    ax: "Axes | None" = None,
    *,
    straight: bool = False,
    **style: Any,
) -> "Axes":
    """The loss, or the accuracy, along an optimised edge, at the samples as in a triangle, those
    around the largest loss included.

    straight  draw the straight segment between the minima too; evaluates the loss along it
    style     keywords of matplotlib's `plot` for the line of the edge: color, label, linewidth, ...
    Raises DimensionError for a simplex that is no edge, LossError for an accuracy that is not
    there, OptionError for what is no simplex, no axes or no keyword.
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    check_drawn("simplex", simplex, OptimisedSimplex, ax)
    check_style("plot", ([0, 1], [0, 1]), style)
    straight = as_bool("straight", straight)
    samples = _samples(simplex, 1, "edge")
    values = _quantity(samples, quantity)
    ax = _axes((5.4, 3.6)) if ax is None else ax
    t = samples.barycentric[:, 1]
    along = np.argsort(t)
    a, b = simplex.vertices
    own: dict[str, Any] = {"marker": "o", "markersize": 3, "label": f"optimised edge {a}-{b}"}
    named = normalize_kwargs(style, Line2D)  # ms is markersize
    (line,) = ax.plot(t[along], values[along], **(own | named))
    if straight:
        ends = simplex(np.eye(2))
        share = ends.new_tensor(t[along])[:, None]
        label, chord = f"straight line {a}-{b}", np.full(len(t), np.nan)
        try:
            on_chord = evaluate(simplex.loss, (1 - share) * ends[0] + share * ends[1])
            chord = _quantity(Samples(samples.barycentric, *on_chord), quantity)
        except NotFiniteError:
            label += ": not finite"
        ax.plot(t[along], chord, "--", color=line.get_color(), label=label)
    ax.set_xlabel("t, from the first minimum of an edge (0) to the second (1)")
    ax.set_ylabel(quantity)
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_plane(
    samples: PlaneSamples,
    quantity: Quantity = "loss",
    ax: "Axes | None" = None,
    **style: Any,
) -> "Axes":
    """The loss, or the accuracy, on the plane through three points, and their triangle.

    style  keywords of matplotlib's `pcolormesh`: cmap, norm, vmin, vmax, ...

    Axes are lengths in parameter space. Colours are of log10 of the loss where it is positive and
    ranges over more than a factor of 100, of the loss itself where norm, vmin or vmax is given.
    Points where it is not finite are left white.
    Raises LossError for an accuracy that is not there, OptionError for what are no samples, no axes
    or no keyword.
    """
    check_drawn("samples", samples, PlaneSamples, ax)
    check_style(*ON_PLANE, style)
    given = Samples(samples.corners, samples.loss, samples.accuracy)
    values, label = np.ma.masked_invalid(_quantity(given, quantity)), quantity
    ax = _axes((5.4, 4.2)) if ax is None else ax
    is_far = quantity == "loss" and values.count() and 0 < FAR * values.min() < values.max()
    if is_far and style.keys().isdisjoint(("norm", "vmin", "vmax")):
        values, label = np.ma.log10(values), "log10 of the loss"
    own: dict[str, Any] = {"shading": "nearest", "cmap": _COLOURS[quantity], "rasterized": True}
    colours = ax.pcolormesh(samples.u, samples.v, values, **(own | style))
    if values.count() and np.ptp(values) > 0:
        ax.contour(
            samples.u,
            samples.v,
            values,
            levels=12,
            colors="white",
            linewidths=0.5,
            alpha=0.7,
            linestyles="solid",
        )
    ax.figure.colorbar(colours, ax=ax, label=label, shrink=0.85)
    ax.plot(*samples.corners[[0, 1, 2, 0]].T, "--", color="white", linewidth=1)
    ax.plot(*samples.corners.T, "o", color="tab:red", markeredgecolor="white")
    for i, corner in enumerate(samples.corners):
        ax.annotate(
            f"{i}",
            corner,
            xytext=(6, 5),
            textcoords="offset points",
            fontsize=8,
            bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
        )
    ax.set_aspect("equal")
    ax.set_xlabel("u, distance from the first point towards the second")
    ax.set_ylabel("v, distance towards the third")
    return ax


def _axes(size: tuple[float, float]) -> "Axes":
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _samples(simplex: OptimisedSimplex, dim: int, name: str) -> Samples:
    if simplex.dim != dim:
        raise DimensionError(
            f"this picture needs a simplex of dimension {dim}, {simplex.vertices} has dimension "
            f"{simplex.dim}: choose {name} {tuple(range(dim + 1))}, say"
        )
    return _around_maximum(simplex, simplex.samples or simplex.sample(RESOLUTION))


def _around_maximum(simplex: OptimisedSimplex, samples: Samples) -> Samples:
    """Samples on a lattice and, where the largest loss is off it, that one and those half-way
    between samples around it, if the loss is finite there: so no colour beside it is brighter.
    """
    at, value = _place(simplex.maximum.barycentric, simplex.dim + 1), simplex.maximum.value
    if (np.abs(samples.barycentric - at).max(axis=1) < SAME).any():
        return samples
    t = samples.barycentric
    steps = round(1 / t[t > 0].min())
    halves = lattice(simplex.dim, 2 * steps)
    between = halves[(halves % 2 == 1).any(axis=1)] / (2 * steps)
    far = np.abs(between - at).max(axis=1)
    more = np.concatenate([at[None], between[(far > SAME) & (far * steps <= 1)]])
    try:
        found = simplex.evaluate(more)
    except NotFiniteError:
        more = at[None]
        found = simplex.evaluate(more)
    accuracy = samples.accuracy
    if accuracy is not None and found.accuracy is not None:
        accuracy = np.concatenate([accuracy, found.accuracy])
    loss = np.concatenate([samples.loss, [value], found.loss[1:]])
    return Samples(np.concatenate([t, more]), loss, accuracy)


def _check_triangle(samples: Samples, barycentric: ArrayLike, vertices: Any) -> Floats:
    """Barycentric coordinates (3,) in the triangle. Raises DimensionError, ShapeError."""
    shape = np.shape(samples.barycentric)
    if len(shape) != 2 or shape[1] != 3 or not isinstance(samples.barycentric, np.ndarray):
        raise DimensionError(
            f"samples of a triangle have barycentric coordinates (p, 3), got shape {shape}: take "
            "those of a simplex of dimension 2"
        )
    for name in ("loss", "accuracy"):
        given = getattr(samples, name)
        if given is None and name == "accuracy":
            continue
        values = np.asarray(given)
        known = values.dtype.kind in "fiu" and values.shape == shape[:1]
        if not (known and np.isfinite(values).all()):
            raise ShapeError(
                f"samples have a finite {name} at each of {shape[0]} points, got "
                f"{short_repr(given)}: take those of a simplex"
            )
    at = _place(barycentric, 3)
    if not isinstance(vertices, tuple | list) or len(vertices) != 3:
        raise ShapeError(
            f"a triangle has three vertices, got {short_repr(vertices)}: give their labels, "
            "(0, 1, 2)"
        )
    return at


def _place(barycentric: ArrayLike, count: int) -> Floats:
    """Barycentric coordinates of a maximum (count,). Raises ShapeError."""
    at = coordinates(barycentric)
    if at.shape != (count,) or not ((at >= 0).all() and abs(at.sum() - 1) <= 1e-6):
        raise ShapeError(
            f"a maximum has {'two' if count == 2 else 'three'} barycentric coordinates with sum 1, "
            f"got {short_repr(barycentric)}: pass maximum.barycentric"
        )
    return at


def _quantity(samples: Samples, quantity: Quantity) -> NDArray[np.float64]:
    if quantity == "loss":
        return samples.loss
    if quantity == "accuracy" and samples.accuracy is not None:
        return samples.accuracy
    raise LossError(
        f"a picture shows 'loss', or 'accuracy' where the loss has one, got {quantity!r}: this "
        f"loss has {'both' if samples.accuracy is not None else 'no accuracy'}"
    )
