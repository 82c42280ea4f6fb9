"""Barcodes of Morse complexes beside exact ones, and beside those of fine grids.

The analytic functions of the catalogue in 2 and 3 dimensions, on the critical points that they
list: exact bars are those of a formula. Then random mixtures of Gaussians in the plane
(`tests.simplicial.mixtures`), on the critical points that `find_all_critical_points` finds, beside
the barcode of a grid of 1201 x 1201 vertices (`tests.oracles.lower_star`, which shares no code with
the library): a barcode is right if its bottleneck distance is within the grid's error in every
index. Bars are computed over Z/2 and over Z/3.

    python -m tests.benchmarks.morse.morse_barcodes [--seeds 400 420]
"""

import argparse
import time
from collections.abc import Callable, Sequence

import gudhi
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simplicial import (
    MorseComplex,
    configure_process,
    find_all_critical_points,
    find_critical_points,
    morse_complex,
)
from simplicial.errors import SearchError
from simplicial.landscapes import by_name
from tests.benchmarks.certificates import BOX, truth
from tests.simplicial.mixtures import mixture

FUNCTIONS = (
    ("double-well", 2),
    ("double-well", 3),
    ("simplex-wells", 2),
    ("simplex-wells", 3),
    ("himmelblau", 2),
    ("muller-brown", 2),
    ("six-hump-camel", 2),
    ("styblinski-tang", 2),
    ("styblinski-tang", 3),
    ("rastrigin", 2),
    ("levy", 2),
    ("ackley", 2),
    ("griewank", 2),
    ("mixture-likelihood", 2),
    ("gaussian-mixture", 2),
    ("gaussian-mixture", 3),
    ("trigonometric", 2),
)
HEAD = "| function | points by index | bars by index | truth | largest distance | seconds |"
WALLED = {"griewank"}  # critical points on walls too, which the catalogue does not list


def row(name: str, made: Callable[[], MorseComplex], true: Sequence[NDArray[np.float64]]) -> str:
    """A row of the table: the distance to the true bars, over both fields."""
    began = time.perf_counter()
    try:
        found = made()
    except SearchError as error:
        return f"| {name} | | | refused: {str(error).split(':')[0]} | | |"
    seconds = time.perf_counter() - began
    barcodes = [found.barcode(field) for field in (2, 3)]
    distances = [
        gudhi.bottleneck_distance(barcode[r], rows, 0)
        for barcode in barcodes
        for r, rows in enumerate(true)
    ]
    counts = "/".join(map(str, found.chains.counts))
    bars = "/".join(str(len(rows)) for rows in barcodes[0])
    known = "/".join(str(len(rows)) for rows in true) or "none"
    far = f"{max(distances):.1e}" if distances else "-"
    return f"| {name} | {counts} | {bars} | {known} | {far} | {seconds:.1f} |"


def analytic(name: str, dim: int) -> str:
    """The row of a function of the catalogue."""
    landscape = by_name(name, dim)
    points = landscape.critical_points.points
    if name in WALLED:
        box = landscape.domain
        parts = [find_critical_points(landscape, r, box=box, starts=1500) for r in range(dim + 1)]
        points = np.concatenate([part.points.numpy() for part in parts])
    return row(
        f"{name} d={dim}",
        lambda: morse_complex(landscape, points, box=landscape.domain),
        landscape.exact_bars or (),
    )


def of_mixture(loss: Callable[[Tensor], Tensor]) -> MorseComplex:
    """The Morse complex of a mixture in the plane."""
    box = np.array([[-BOX, -BOX], [BOX, BOX]])
    return morse_complex(loss, find_all_critical_points(loss, dim=2, box=box), box=box)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(400, 420), help="first, and end")
    arguments = parser.parse_args()
    print(HEAD, "|---|---|---|---|---:|---:|", sep="\n")
    for name, dim in FUNCTIONS:
        print(analytic(name, dim), flush=True)
    print("", HEAD + " error of the grid |", "|---|---|---|---|---:|---:|---:|", sep="\n")
    for seed in range(*arguments.seeds):
        loss = mixture(seed)
        true, error = truth(loss)
        made = row(f"mixture {seed}", lambda loss=loss: of_mixture(loss), true)
        print(f"{made} {error:.1e} |", flush=True)


if __name__ == "__main__":
    configure_process()
    main()
