"""Time and evaluations against the number of minima: complexes of graphs and complete ones.

The function is an egg box in the plane within a wall, of side**2 minima and (side - 1)**2 maxima
between them, no two of one value. For each side and each graph, in index 0 (edges alone) and up to
index 1: simplices, evaluations of the loss and its gradient in relaxation and refined maxima,
seconds of `build_complex`, and bars longer than 2 % of the range beside those of the function on a
grid (`tests.oracles.lower_star`, which shares no code with the library): how many are missing, how
many are too many, and the largest error of those that have a partner.

    python -m tests.benchmarks.many_minima [--sides 4 6 8 10] [--complete 36] [--out PICTURE]

The complete complex is built up to so many minima.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from simplicial import (
    Minima,
    NudgedElastic,
    beta_skeleton,
    build_complex,
    configure_process,
    delaunay_graph,
    nearest_neighbors,
)
from tests.oracles.lower_star import plane_barcode

Floats = NDArray[np.float64]
LONG = 0.02  # of the range of the function, from its lowest minimum to its highest maximum inside
GRID = 40  # vertices from one minimum to the next
GRAPHS: dict[str, Callable[[Minima], Any]] = {
    "Delaunay": delaunay_graph,
    "skeleton 0.87": lambda minima: beta_skeleton(minima, 0.87),
    "8 nearest": lambda minima: nearest_neighbors(minima, 8),
    "complete": lambda minima: None,
}


class EggBox:
    """side**2 minima within a wall; counts the points at which it is evaluated."""

    def __init__(self, side: int) -> None:
        self.side, self.evaluations = side, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.evaluations += len(x)
        middle = (self.side - 1) / 2
        wall = 8 * ((x - middle) / (middle + 0.5)).abs().pow(8 * self.side).sum(dim=1)
        tilt = 0.15 * torch.sin(0.9 * x[:, 0] + 0.4 * x[:, 1])
        tilt = tilt + 0.12 * torch.cos(1.3 * x[:, 1] - 0.7 * x[:, 0] + 1)
        bowl = 0.3 * ((x - middle - 0.2) / self.side).square().sum(dim=1)
        return wall + tilt + bowl - torch.cos(2 * torch.pi * x).sum(dim=1)

    def minima(self) -> Minima:
        """All of them, by Newton's method from the lattice."""
        axis = torch.arange(self.side, dtype=torch.float64)
        points = torch.cartesian_prod(axis, axis)
        hessian = torch.func.vmap(torch.func.hessian(lambda x: self(x[None])[0]))
        slope = torch.func.vmap(torch.func.grad(lambda x: self(x[None])[0]))
        for _ in range(20):
            points = points - torch.linalg.solve(hessian(points), slope(points))
        return Minima(points, self)

    def bars(self) -> tuple[Floats, Floats]:
        """The true bars of index 0 and 1, as far as the grid tells."""
        axis = torch.linspace(-0.6, self.side - 0.4, int((self.side + 0.2) * GRID) + 1).double()
        rows = [self(torch.cartesian_prod(x[None], axis)) for x in axis]
        return plane_barcode(torch.stack(rows).numpy())


class Row(NamedTuple):
    """A build: of a graph, up to an index."""

    graph: str
    top_index: int
    minima: int
    simplices: list[int]
    evaluations: int
    seconds: float
    found: list[str]


def compared(ours: Floats, true: Floats, long: float) -> str:
    """Missing bars, spurious ones, and the largest error of an end, of the long ones."""
    bars, theirs = (each[each[:, 1] - each[:, 0] > long] for each in (ours, true))
    ends = [np.where(np.isinf(each), 1e9, each) for each in (bars, theirs)]
    distances = np.abs(ends[0][:, None] - ends[1][None]).max(axis=2)
    pairs = linear_sum_assignment(distances)
    good = distances[pairs] <= long
    error = float(distances[pairs][good].max(initial=0.0))
    return f"{len(theirs) - good.sum()} missing, {len(bars) - good.sum()} spurious, {error:.1e}"


def build(box: EggBox, minima: Minima, graph: str, index: int) -> Row:
    """One build, measured."""
    box.evaluations, began = 0, time.perf_counter()
    joined = GRAPHS[graph](minima)
    optimizer = NudgedElastic(segments=6)
    built = build_complex(minima, index + 1, optimizer=optimizer, graph=joined, progress=False)
    barcode = built.barcode()
    seconds, evaluations = time.perf_counter() - began, box.evaluations
    true = box.bars()
    span = float(true[1].max() - true[0][:, 0].min())
    found = [compared(barcode[r], true[r], LONG * span) for r in range(index + 1)]
    counts = [len(of.vertices) for of in built.simplices]
    return Row(graph, index, len(minima), counts, evaluations, seconds, found)


def draw(rows: list[Row], path: Path) -> None:
    """Evaluations and seconds against the number of minima."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, quantity in zip(axes, ("evaluations", "seconds"), strict=True):
        for index, style in ((0, "--"), (1, "-")):
            for graph in GRAPHS:
                some = [row for row in rows if (row.graph, row.top_index) == (graph, index)]
                x, y = [row.minima for row in some], [getattr(row, quantity) for row in some]
                colour = f"C{list(GRAPHS).index(graph)}"
                ax.loglog(x, y, style, color=colour, marker=".", label=f"{graph}, index {index}")
        ax.set(xlabel="minima", ylabel=quantity)
    axes[1].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=100)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[4, 6, 8, 10])
    parser.add_argument("--indices", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--complete", type=int, default=36, help="minima of the largest one")
    parser.add_argument("--out", type=Path, help="a picture of the growth")
    given, rows = parser.parse_args(), list[Row]()
    for side in given.sides:
        box = EggBox(side)
        minima = box.minima()
        for index in given.indices:
            for graph in GRAPHS:
                if graph == "complete" and len(minima) > given.complete:
                    continue
                rows.append(row := build(box, minima, graph, index))
                print(
                    f"{row.minima:4} minima, index {index}, {graph:14} {row.simplices} simplices "
                    f"{row.evaluations:9,} evaluations {row.seconds:7.1f} s; "
                    + "; ".join(f"index {r}: {found}" for r, found in enumerate(row.found)),
                    flush=True,
                )
    if given.out is not None:
        draw(rows, given.out)


if __name__ == "__main__":
    configure_process()
    main()
