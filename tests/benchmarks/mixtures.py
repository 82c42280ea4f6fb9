"""Which bars of random Gaussian mixtures the complex finds, on minima alone and with saddles.

Twenty mixtures in the plane, seeds 0 to 20 but 10, which has 4 minima. For each, the bars of index
0 and 1 from optimised edges and triangles beside those of a cubical complex whose ends were refined
to critical points. A true bar longer than 2% of the range, that is of the highest critical value
minus the lowest, is found if a computed bar, its own, has both ends within 1e-6 of the range; a
computed bar that long is spurious if no true bar, its own, is as near.

    python tests/benchmarks/mixtures.py [--workers 2] [--out FILE.md]
    python tests/benchmarks/mixtures.py --picture FILE.png
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reduction import Barcode
from reduction.plots import COLOURS
from simplicial import (
    LossComplex,
    NudgedElastic,
    OptimisedSimplex,
    build_complex,
    configure_process,
    find_minima,
)
from simplicial.landscapes import Landscape, gaussian_mixture
from tests.oracles.cubical import end_error, refined_bars

SEEDS = tuple(seed for seed in range(21) if seed != 10)
PICTURED = 20  # a cycle that only saddles show
GRID = 700  # vertices along each side
SHORTEST = 0.002  # share of the range down to which true bars are known
LONG = 0.02  # share of the range from which on bars count
NEAR = 1e-6  # share of the range within which ends are the same
CYCLE, TRIANGLE = COLOURS[1], COLOURS[4]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A computed barcode beside the true one; lengths and errors are shares of the range.

    found      for index 0 and 1, true bars over 2% that a computed one matches
    roughly    the same within the error of a grid that was not refined
    spurious   for index 0 and 1, computed bars over 2% that no true one matches
    longest    the longest computed bar that no true one matches
    error      the largest error of an end of a bar that was found
    certified  ends of all computed bars over 2% at a certified critical point, and all such ends
    """

    found: tuple[int, int]
    roughly: tuple[int, int]
    spurious: tuple[int, int]
    longest: float
    error: float
    certified: tuple[int, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One mixture: critical points of each index, true bars over 2% of each, and two verdicts."""

    seed: int
    critical: tuple[int, int, int]
    true: tuple[int, int]
    grid_error: float
    without: Verdict
    saddles: Verdict


def row(seed: int) -> Row:
    """Compute and compare both barcodes of one mixture."""
    landscape = gaussian_mixture(seed)
    truth, spread = true_bars(landscape), value_range(landscape)
    critical = [len(landscape.critical_points.of_index(index)) for index in range(3)]
    grid_error = _grid_error(landscape) / spread
    verdicts = []
    for saddles in (False, True):
        began = time.perf_counter()
        barcode = optimised(landscape, saddles).barcode()
        seconds = time.perf_counter() - began
        verdicts.append(_verdict(barcode, truth, spread, grid_error, seconds))
    long = [int((_lengths(bars) > LONG * spread).sum()) for bars in truth]
    return Row(
        seed, (critical[0], critical[1], critical[2]), (long[0], long[1]), grid_error, *verdicts
    )


def optimised(landscape: Landscape, saddles: bool) -> LossComplex:
    """Edges and triangles on the minima, or on minima and saddles."""
    return build_complex(
        find_minima(landscape, seed=0),
        2,
        optimizer=NudgedElastic(),
        certify=True,
        saddles=saddles,
        progress=False,
    )


def true_bars(landscape: Landscape) -> tuple[Floats, ...]:
    """Bars of index 0 and 1 longer than 0.2% of the range, exact to rounding."""
    return refined_bars(landscape, landscape.domain, GRID, share=SHORTEST)


def value_range(landscape: Landscape) -> float:
    """Highest minus lowest critical value."""
    return float(np.ptp(landscape.critical_points.values))


def _grid_error(landscape: Landscape) -> float:
    """How far off the bars of the grid may be before their ends are refined."""
    points = torch.tensor(landscape.critical_points.points)
    hessians = torch.func.vmap(torch.func.hessian(lambda x: landscape(x[None])[0]))(points)
    spacing = (landscape.domain[1] - landscape.domain[0]) / (GRID - 1)
    return end_error(hessians.numpy(), spacing)


def _verdict(
    barcode: Barcode, truth: tuple[Floats, ...], spread: float, grid_error: float, seconds: float
) -> Verdict:
    found, roughly, spurious, longest, error, certified = [], [], [], 0.0, 0.0, np.zeros(2, int)
    for r, (bars, true) in enumerate(zip(barcode, truth, strict=True)):
        far = _distances(true, bars) / spread
        is_long, is_true = _lengths(bars) > LONG * spread, _lengths(true) > LONG * spread
        rows, columns = _matched(far, NEAR)
        found.append(int(is_true[rows].sum()))
        roughly.append(int(is_true[_matched(far, grid_error)[0]].sum()))
        stray = np.ones(len(bars), dtype=bool)
        stray[columns] = False
        spurious.append(int((stray & is_long).sum()))
        longest = max(longest, (_lengths(bars[stray]) / spread).max(initial=0.0))
        error = max(error, far[rows, columns].max(initial=0.0))
        certified += _certified(barcode, r, is_long)
    return Verdict(
        (found[0], found[1]),
        (roughly[0], roughly[1]),
        (spurious[0], spurious[1]),
        float(longest),
        float(error),
        (int(certified[0]), int(certified[1])),
        seconds,
    )


def _matched(far: Floats, limit: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As many pairs as can be nearer than the limit, rows and columns of distances (m, n)."""
    rows, columns = linear_sum_assignment(np.where(far <= limit, far / limit, len(far) + 1.0))
    near = far[rows, columns] <= limit
    return rows[near], columns[near]


def _distances(some: Floats, others: Floats) -> Floats:
    """The larger difference of two ends, (m, n): inf where only one of two bars is endless."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(some[:, None] - others[None])
    return np.where(some[:, None] == others[None], 0.0, apart).max(axis=2)


def _lengths(bars: Floats) -> Floats:
    return bars[:, 1] - bars[:, 0]


def _certified(barcode: Barcode, r: int, which: Flags) -> tuple[int, int]:
    ends, finite = barcode.ends(r), np.isfinite(barcode[r][:, 1])
    assert ends is not None, "certificates were sought"
    births, deaths = ends.births.certified[which], ends.deaths.certified[which & finite]
    return int(births.sum() + deaths.sum()), len(births) + len(deaths)


def report(rows: list[Row]) -> Iterator[str]:
    """The lines of a table in Markdown, and the totals."""
    yield (
        "| seed | minima/ saddles/ maxima | true 0 + 1 | found on minima | found with saddles "
        "| spurious on minima | with saddles | longest that is not true | largest end error "
        "| certified ends | seconds |"
    )
    yield "|" + "---:|" * 11
    for r in rows:
        pairs = (r.true, r.without.found, r.saddles.found, r.without.spurious, r.saddles.spurious)
        cells = [
            str(r.seed),
            "/".join(map(str, r.critical)),
            *(f"{pair[0]} + {pair[1]}" for pair in pairs),
            f"{r.without.longest:.2%}, {r.saddles.longest:.2%}",
            f"{max(r.without.error, r.saddles.error):.0e}",
            f"{_of(r.without.certified)}, {_of(r.saddles.certified)}",
            f"{r.without.seconds:.0f}, {r.saddles.seconds:.0f}",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"{len(rows)} mixtures, bars over {LONG:.0%} of the range, in index 0 + index 1:"
    yield ""
    yield f"- true: {_sum([r.true for r in rows])}"
    for name, verdicts in (
        ("on minima alone", [r.without for r in rows]),
        ("with saddles", [r.saddles for r in rows]),
    ):
        certified = np.array([v.certified for v in verdicts]).sum(axis=0)
        yield (
            f"- {name}: found {_sum([v.found for v in verdicts])}, within the grid's error "
            f"{_sum([v.roughly for v in verdicts])}; spurious "
            f"{_sum([v.spurious for v in verdicts])}; longest bar that is not true "
            f"{max(v.longest for v in verdicts):.2%} of the range; largest end error "
            f"{max(v.error for v in verdicts):.0e} of it; {_of(certified)} ends certified; "
            f"{sum(v.seconds for v in verdicts):.0f} seconds"
        )
    yield (
        f"- the grid's error, before its bars are refined: at most "
        f"{max(r.grid_error for r in rows):.1%} of the range"
    )


def _sum(pairs: list[tuple[int, int]]) -> str:
    first, second = np.array(pairs).sum(axis=0)
    return f"{first} + {second}"


def _of(pair: tuple[int, int] | NDArray[np.int64]) -> str:
    return f"{pair[0]}/{pair[1]}"


def picture(landscape: Landscape) -> Figure:
    """The longest cycle with saddles on the level sets, and the bars of index 1 three times."""
    on_minima, with_saddles = (optimised(landscape, saddles) for saddles in (False, True))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11.5, 5.6), width_ratios=(1.5, 1), layout="constrained"
    )
    _draw_cycle(left, landscape, with_saddles, len(on_minima.minima))
    groups = {
        "true": true_bars(landscape)[1],
        "on minima alone": on_minima.barcode()[1],
        "with saddles": with_saddles.barcode()[1],
    }
    shortest = SHORTEST * value_range(landscape)
    _draw_bars(right, {name: bars[_lengths(bars) > shortest] for name, bars in groups.items()})
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=6)
    return figure


def _draw_cycle(ax: Axes, landscape: Landscape, complex: LossComplex, minima: int) -> None:
    barcode = complex.barcode(keep_zero=True)
    longest = int(_lengths(barcode[1]).argmax())
    _draw_levels(ax, landscape, float(barcode[1][longest].mean()))
    merging = [tuple(row) for row in barcode.pairs(0).deaths.tolist() if row[0] >= 0]
    corners = barcode.pairs(1).deaths[longest].tolist()
    triangle, sides = complex[corners], list(combinations(corners, 2))
    ax.add_patch(_image(triangle))
    t = np.linspace([1.0, 0.0], [0.0, 1.0], 200)
    for edges, colour, width, name in (
        (merging, "0.25", 1.0, "edges that join components"),
        (sides, CYCLE, 2.6, "sides of the triangle"),
    ):
        for i, edge in enumerate(edges):
            label = "_" * (i > 0) + name
            ax.plot(*complex[edge](t).T, color=colour, linewidth=width, label=label, zorder=3)
    points = complex.minima.points.numpy()
    for some, marker, name in (
        (points[:minima], "o", "minima"),
        (points[minima:], "D", "saddles"),
        (triangle.maximum.point.numpy()[None], "^", "its highest point"),
    ):
        ax.scatter(*some.T, s=38, c="w", marker=marker, edgecolors="k", label=name, zorder=4)
    ax.set_title("the triangle that ends the bar of index 1")


def _draw_levels(ax: Axes, landscape: Landscape, level: float) -> None:
    """Shades of f between its critical values, and one level set."""
    axes = [np.linspace(low, high, 300) for low, high in landscape.domain.T.tolist()]
    vertices = np.stack(np.meshgrid(*axes), axis=-1)
    with torch.no_grad():
        values = landscape(torch.tensor(vertices.reshape(-1, 2))).numpy().reshape(300, 300)
    critical = landscape.critical_points.values
    levels = MaxNLocator(24).tick_values(critical.min(), critical.max())
    shades = ax.contourf(*axes, values, levels, cmap="Blues_r", extend="max")
    ax.contour(*axes, values, [level], colors="k", linewidths=1, linestyles="--")
    ax.set_aspect("equal")
    plt.colorbar(shades, ax=ax, label=f"f, dashed where it is {level:.3f}")


def _image(triangle: OptimisedSimplex) -> PathPatch:
    """What a triangle covers, all linear pieces turned one way, so that folds are filled too."""
    corners = triangle.controls.numpy()[triangle.simplex_map.pieces(2)]
    (x, y), (u, v) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    turned = x * v < y * u
    corners[turned] = corners[turned][:, ::-1]
    outlines = [Outline([*piece, piece[0]], closed=True) for piece in corners]
    whole = Outline.make_compound_path(*outlines)
    return PathPatch(whole, facecolor=TRIANGLE, edgecolor="none", alpha=0.6, label="triangle")


def _draw_bars(ax: Axes, groups: dict[str, Floats]) -> None:
    ticks, height = [], 0
    for colour, bars in zip(("k", COLOURS[0], CYCLE), groups.values(), strict=True):
        rows = np.arange(height, height + max(len(bars), 1))
        ticks.append(float(rows.mean()))
        ax.hlines(rows[: len(bars)], *bars.T, color=colour, linewidth=6)
        for row, (birth, death) in zip(rows, bars, strict=False):
            text = f"[{birth:.6f}, {death:.6f})"
            ax.annotate(
                text, ((birth + death) / 2, row), (0, 7), textcoords="offset points", ha="center"
            )
        if not len(bars):
            ax.annotate("none", (0.5, height), xycoords=("axes fraction", "data"), ha="center")
        height += len(rows) + 1
    for end in groups["true"].ravel():
        ax.axvline(end, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_yticks(ticks, list(groups))
    ax.set_ylim(height - 1, -1)
    ax.margins(x=0.3)
    ax.set_xlabel("f")
    ax.set_title(f"bars of index 1 over {SHORTEST:.1%} of the range")


def main() -> None:
    """Print the table as its rows come, and the totals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    parser.add_argument("--out", type=Path, help="Markdown file for the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="other mixtures")
    parser.add_argument("--picture", type=Path, help="only draw one mixture, into this file")
    arguments = parser.parse_args()
    if arguments.picture:
        torch.set_num_threads(1)
        picture(gaussian_mixture(PICTURED)).savefig(arguments.picture, dpi=110)
        return
    rows = []
    with ProcessPoolExecutor(
        arguments.workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        for done in pool.map(row, arguments.seeds):
            rows.append(done)
            print(list(report(rows))[len(rows) + 1], flush=True)
    lines = list(report(rows))
    print("\n".join(["", *lines]))
    if arguments.out:
        arguments.out.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    configure_process()
    main()
