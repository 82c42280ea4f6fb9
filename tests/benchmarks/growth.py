"""Seconds of a barcode against the number of simplices: complete 3-skeletons of 20 to 300 points.

Values as in reduction_speed.py, at three noises. Beside them the floor: one pass over tetrahedra
for each triangle's first cofacets, without which no pivot is known. The slope of a curve is the
exponent of the number of simplices, fitted to the points from 100,000 simplices on.

    python tests/benchmarks/growth.py [--most 300] [--limit 1200] [--out docs/engine]

writes growth.md and growth.png. At noise 1 columns are long: a curve ends where the next point
would take longer than the limit, in seconds, if it went on as it did.
"""

import argparse
from functools import partial
from math import comb
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

from reduction import Barcode, FilteredComplex
from reduction.filtrations.simplices import Complete
from reduction.persistence.implicit import coboundary
from tests.benchmarks.reduction_speed import Case, Values, family, timed

POINTS = (20, 30, 40, 60, 80, 100, 150, 200, 300)
NOISES = (0.01, 0.1, 1.0)
FLOOR = "one pass"

Curve = list[tuple[int, float]]  # simplices, seconds


def slope(curve: Curve) -> float:
    """The exponent of the number of simplices."""
    simplices, seconds = np.log([point for point in curve if point[0] >= 100_000]).T
    return float(np.polyfit(simplices, seconds, 1)[0])


def expected(curve: Curve, simplices: int) -> float:
    """Seconds for so many simplices, if the curve goes on as between its last two points."""
    (more, seconds), (fewer, before) = curve[-1], curve[-2]
    return seconds * (seconds / before) ** (np.log(simplices / more) / np.log(more / fewer))


def barcode(n: int, values: Values) -> Barcode:
    """From values to bars."""
    return FilteredComplex.complete(n, values).barcode()


def measure(most: int, limit: float) -> dict[str, Curve]:
    """A curve for each noise, and the floor."""
    curves: dict[str, Curve] = {f"noise {noise}": [] for noise in NOISES} | {FLOOR: []}
    cases = [Case(n, 3, noise) for n in POINTS if n <= most for noise in NOISES]
    for case in tqdm(cases, desc="skeletons"):
        curve = curves[f"noise {case.noise}"]
        simplices = sum(comb(case.n, k) for k in range(1, 5))
        times = 3 if case.n <= 150 or case.noise < 1 else 1
        if len(curve) > 2 and expected(curve, simplices) > limit:
            continue
        values = family(case)
        seconds, _ = timed(partial(barcode, case.n, values), times)
        curve.append((simplices, seconds))
        if case.noise == NOISES[0]:
            whole = Complete(np.arange(case.n), 3)
            seconds, _ = timed(partial(coboundary, whole, values, 2, 2, None), 3)
            curves[FLOOR].append((simplices, seconds))
    return curves


def table(curves: dict[str, Curve]) -> str:
    """A row for each number of points, and the slopes."""
    names = list(curves)
    lines = ["| points | simplices | " + " | ".join(names) + " |", "|---:" * (len(names) + 2) + "|"]
    for k, n in enumerate(POINTS[: len(curves[FLOOR])]):
        cells = [f"{curve[k][1]:.3g} s" if k < len(curve) else "" for curve in curves.values()]
        lines.append(f"| {n} | {curves[FLOOR][k][0]:,} | " + " | ".join(cells) + " |")
    slopes = [f"{slope(curve):.2f}" for curve in curves.values()]
    return "\n".join([*lines, "| slope | | " + " | ".join(slopes) + " |"]) + "\n"


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Seconds against simplices, both in logarithms."""
    matplotlib.use("Agg")
    figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for name, curve in curves.items():
        style = "k--" if name == FLOOR else "o-"
        ax.loglog(*zip(*curve, strict=True), style, label=f"{name}, slope {slope(curve):.2f}")
    ax.set_xlabel("simplices of a complete 3-skeleton")
    ax.set_ylabel("seconds")
    ax.grid(alpha=0.3)
    ax.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print the table, write both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--most", type=int, default=POINTS[-1], help="the largest number of points")
    parser.add_argument("--limit", type=float, default=1200, help="seconds for one point")
    parser.add_argument("--out", type=Path, help="a folder for growth.md and growth.png")
    options = parser.parse_args()
    curves = measure(options.most, options.limit)
    print(table(curves))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "growth.md").write_text(table(curves))
        draw(curves, options.out / "growth.png")


if __name__ == "__main__":
    main()
