"""Griewank's and Ackley's functions in boxes: bars of complexes on the minima found, and a grid's.

The function is declared to live in the box (`in_box`), its minima are found with the starts given,
and a complex of their Delaunay graph is built, also with saddles as further vertices, and with the
lowest point that the search left out, where it is lower than all minima. Truth is the barcode of
GUDHI's cubical complex on a grid of the box. For each build: minima, of which on walls, beside the
bars of index 0 of the grid that are longer than 2 % of the range; what the search says of those
that are missing (`Search.missing`, `Search.complete`); and how many bars that long are missing or
too many in index 0 and 1, with the largest error of an end of the others.

    python -m tests.benchmarks.domains.boxes [--starts 200 1000] [--segments 8] [--grid 801]
"""

import argparse
import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from simplicial import (
    LossWarning,
    Minima,
    NudgedElastic,
    build_complex,
    configure_process,
    delaunay_graph,
    find_minima,
    in_box,
    with_saddles,
)
from simplicial.landscapes import Landscape, ackley, griewank
from tests.benchmarks.many_minima import LONG, compared
from tests.oracles.cubical import cubical_barcode, grid

Floats = NDArray[np.float64]


def grid_bars(landscape: Landscape, count: int) -> tuple[tuple[Floats, ...], float]:
    """Bars of index 0 and 1 in the landscape's domain, and the range of its values there."""
    points = torch.tensor(grid(landscape.domain, count).reshape(-1, landscape.dim))
    values = landscape(points).numpy().reshape(count, count)
    return cubical_barcode(values), float(np.ptp(values))


def with_left_out(minima: Minima) -> Minima:
    """Minima, and the lowest point that the search left out, if it is lower."""
    left = minima.search.left_out if minima.search is not None else None
    if left is None or not left.lowest:
        return minima
    points = torch.cat([torch.tensor([left.point]).to(minima.points), minima.points])
    return Minima(points, minima.loss)


def bars_beside(vertices: Minima, true: tuple[Floats, ...], long: float, segments: int) -> str:
    """What `compared` says in index 0 and in index 1."""
    graph, optimizer = delaunay_graph(vertices), NudgedElastic(segments=segments)
    built = build_complex(vertices, 2, graph=graph, optimizer=optimizer, progress=False)
    barcode = built.barcode()
    return " | ".join(compared(barcode[r], true[r], long) for r in (0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--starts", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--grid", type=int, default=801, help="vertices along an axis")
    given = parser.parse_args()
    print("| function, starts | vertices | on walls | grid | Chao | complete | index 0 | index 1 |")
    print("|---|---|---|---|---|---|---|---|")
    for make in (griewank, ackley):
        landscape = make()
        true, span = grid_bars(landscape, given.grid)
        count = int((true[0][:, 1] - true[0][:, 0] > LONG * span).sum())
        for starts in given.starts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LossWarning)  # the table says what they say
                found = find_minima(in_box(landscape, landscape.domain), starts=starts)
            search, walls = found.search, int(found.walls.any(axis=1).sum())
            assert search is not None
            told = f"{count} | {abs(search.missing):.1f} | {search.complete:.2f}"
            rows = {"": found}
            if (lower := with_left_out(found)) is not found:
                rows[" and the lowest left out"] = lower
            rows[" and saddles"] = with_saddles(found)
            for more, vertices in rows.items():
                bars = bars_beside(vertices, true, LONG * span, given.segments)
                name = f"{landscape.name}, {starts}{more}"
                print(f"| {name} | {len(vertices)} | {walls} | {told} | {bars} |", flush=True)


if __name__ == "__main__":
    configure_process()
    main()
