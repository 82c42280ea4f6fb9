"""Pictures of barcodes and their meaning, of functions whose barcodes are known: docs/meaning.md.

python examples/meaning.py [sublevels | voids | barriers | sampled] [--out picture.png]
"""

import argparse

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from reduction import plot_barcode, plot_diagram
from reduction.plots import COLOURS
from simplicial import (
    Algorithm1,
    Edgewise,
    Loss,
    LossComplex,
    NudgedElastic,
    build_complex,
    find_minima,
    plot_barrier_tree,
)
from simplicial.landscapes import double_well, himmelblau

BELOW, CHOSEN = "#56B4E9", "0.2"


def on_grid(loss: Loss, *axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """A loss on the grid of these coordinates."""
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points = torch.tensor(grid.reshape(-1, len(axes)))
    return loss(points).numpy().reshape(grid.shape[:-1])


def sublevels() -> Figure:
    """Sublevel sets of the double well in the plane, and the bars that they cut."""
    loss = double_well(2)
    levels = [0.5, 1.0, 1.5, 2.1]
    complex = build_complex(find_minima(loss, seed=0), max_dim=2, optimizer=NudgedElastic())
    figure, axes = plt.subplot_mosaic(
        [["0", "1", "2", "3"], ["bars"] * 4], figsize=(8, 4.6), layout="constrained"
    )
    x = np.linspace(-1.7, 1.7, 301)
    losses = on_grid(loss, x, x)
    for i, level in enumerate(levels):
        ax = axes[str(i)]
        ax.contourf(x, x, losses.T, [-1, level], colors=[BELOW])
        ax.contour(x, x, losses.T, [level], colors=[CHOSEN], linewidths=1)
        ax.set_title(f"loss at most {level:g}", fontsize=10)
        ax.set_aspect("equal")
        ax.set_xticks([])
        ax.set_yticks([])
    plot_barcode(complex.filtration.barcode(), axes["bars"])  # exact: no bounds beside it
    for level in levels:
        axes["bars"].axvline(level, color=CHOSEN, linestyle=":", zorder=0)
    return figure


def voids() -> Figure:
    """Two sublevel sets of the double well in space: a frame, and half of a hollow ball."""
    loss = double_well(3)
    complex = build_complex(find_minima(loss, seed=0), max_dim=3, optimizer=NudgedElastic())
    x = np.linspace(-1.6, 1.6, 23)
    centres = (x[1:] + x[:-1]) / 2
    losses = on_grid(loss, centres, centres, centres)
    figure = plt.figure(figsize=(8, 3.4), layout="constrained")
    behind = np.broadcast_to(centres[:, None] > 0, losses.shape)
    for i, (level, shown, part) in enumerate(((1.3, True, ""), (2.6, behind, ", half"))):
        ax = figure.add_subplot(1, 3, i + 1, projection="3d")
        ax.voxels((losses <= level) & shown, facecolors=BELOW, edgecolor="0.45", linewidth=0.15)
        ax.view_init(elev=25, azim=-65)
        ax.set_axis_off()
        ax.set_title(f"loss at most {level:g}{part}", fontsize=10)
    plot_barcode(complex.filtration.barcode(), figure.add_subplot(1, 3, 3))
    return figure


def barriers() -> Figure:
    """Himmelblau's function with the edges that matter, its barrier tree, its diagram."""
    loss = himmelblau()
    complex = build_complex(
        find_minima(loss, seed=0), max_dim=2, optimizer=NudgedElastic(), certify=True
    )
    barcode = complex.barcode()
    figure, (plane, tree, diagram) = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
    x = np.linspace(-5.2, 5.2, 301)
    plane.contour(
        x, x, on_grid(loss, x, x).T, [5, 13, 30, 68, 104, 140, 178, 250, 400], cmap="viridis"
    )
    draw_edges(plane, complex)
    plot_barrier_tree(complex.filtration, tree)
    plot_diagram(barcode, diagram)
    return figure


def draw_edges(ax: Axes, complex: LossComplex) -> None:
    """The edges that end a bar of index 0 or begin one of index 1, and their highest points."""
    for r, colour in ((0, COLOURS[0]), (1, COLOURS[1])):
        pairs = complex.barcode().pairs(r)
        lasting = np.diff(complex.barcode()[r])[:, 0] > 1
        for edge in (pairs.deaths if r == 0 else pairs.births)[lasting]:
            if (edge >= 0).all():
                simplex = complex[tuple(edge)]
                t = np.linspace(0, 1, 100)
                x, y = simplex(np.stack([1 - t, t], axis=1)).T.numpy()
                ax.plot(x, y, color=colour, linewidth=2)
                top = simplex.maximum.point.numpy()
                ax.plot(*top, "X", color=colour, markersize=9, markeredgecolor="white")
    for label, (x, y) in enumerate(complex.minima.points.tolist()):
        ax.plot(x, y, "ko", markersize=4)
        text = ax.annotate(str(label), (x, y), (7, 7), textcoords="offset points", fontsize=11)
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
    ax.set_aspect("equal")
    ax.set_xlabel("x")
    ax.set_ylabel("y")


def sampled() -> Figure:
    """An edge as eight lattice steps see it and as it is, by Algorithm 1 and by elastic edges."""
    minima = find_minima(double_well(2), seed=0)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharey=True)
    t = np.linspace(0, 1, 801)
    for ax, optimizer in zip(axes, (Algorithm1(), NudgedElastic(segments=8)), strict=True):
        refined, coarse = (
            build_complex(
                minima,
                max_dim=1,
                optimizer=optimizer,
                simplex_map=Edgewise(8),
                resolution=8,
                tolerance=tolerance,
            )[(0, 1)]
            for tolerance in (1e-7, None)
        )
        ax.plot(
            t, coarse.evaluate(np.stack([1 - t, t], axis=1)).loss, label="the loss along the edge"
        )
        lattice = coarse.sample(8)
        ax.plot(lattice.barycentric[:, 1], lattice.loss, "o", label="lattice")
        ax.axhline(
            coarse.maximum.value, color="tab:orange", linestyle="--", label="sampled maximum"
        )
        maximum = refined.maximum.barycentric[1], refined.maximum.value
        ax.plot(*maximum, "*", color="tab:red", markersize=12, label="refined maximum")
        ax.set_title(type(optimizer).__name__, fontsize=10)
        ax.set_xlabel("t, from minimum 0 to minimum 1")
    axes[0].set_ylabel("loss")
    axes[0].legend(loc="center right", fontsize=8)
    return figure


PICTURES = {f.__name__: f for f in (sublevels, voids, barriers, sampled)}


def main() -> None:
    """Draw one of the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "picture", nargs="?", choices=PICTURES, default="sublevels", help="which one (sublevels)"
    )
    parser.add_argument("--out", default="meaning.png", help="where to save it (meaning.png)")
    arguments = parser.parse_args()
    PICTURES[arguments.picture]().savefig(arguments.out)
    print(f"picture: {arguments.out}")


if __name__ == "__main__":
    main()
