"""Barcodes of complete skeletons beside GUDHI's SimplexTree and Oineus, as a table.

Vertices have values uniform in [0, 1); the value of any other simplex is the highest of its facets
plus noise times a uniform number. From the arrays of values to the barcode in one process, the best
of ten runs up to 60 points in dimension 3, of three otherwise; of the others build and reduction
are timed apart, and Oineus reduces in both directions, with two threads. At 100 points they run
once, and so does Oineus's homology. Bars of every index below the top dimension are compared one by
one. Peak memory is what a process of its own needs beyond imports and input.

    python tests/benchmarks/reduction_speed.py [--large] [--limit SECONDS]

A contender whose process for the memory has not ended after the limit is left out of that row.
--large adds 300 points in dimension 3 and 1,000 in dimension 2, which fit into no other library,
beside numpy.sum of the same values, and the peak memory of a process that has read the values
from a file.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction import FilteredComplex
from reduction.filtrations.simplices import Complete
from reduction.kernels.compilation import njit
from reduction.kernels.rows import first_row, next_row

Values = list[NDArray[np.float64]]


class Case(NamedTuple):
    """A complete skeleton of a dimension on n points."""

    n: int
    dim: int
    noise: float


CASES = [
    Case(40, 3, 0.1),
    *(Case(60, 3, noise) for noise in (0.01, 0.1, 1.0)),
    *(Case(100, 3, noise) for noise in (0.01, 0.1, 1.0)),
    Case(24, 5, 0.1),
    Case(24, 5, 1.0),
]
LARGE = [Case(1000, 2, 0.1), Case(300, 3, 0.1)]
TINY = Case(12, 3, 1.0)


class Run(NamedTuple):
    """Seconds of one contender, and its bars of each index below the top."""

    build: float
    reduce: float
    bars: list[NDArray[np.float64]]


@njit
def raise_to_facets(
    r: int, binomials: NDArray[np.int64], below: NDArray[np.float64], values: NDArray[np.float64]
) -> None:
    """Add the highest facet's value to that of each r-simplex."""
    (vertices, facets), begin = first_row(r, r, binomials), 0
    while begin < values.size:
        for v0 in range(vertices[1]):
            highest = below[facets[0]]
            for omitted in range(1, r + 1):
                highest = max(highest, below[facets[omitted] + v0])
            values[begin + v0] += highest
        begin += vertices[1]
        next_row(vertices, facets, binomials)


def family(case: Case, seed: int = 0) -> Values:
    """The values of the skeleton, read-only."""
    rng = np.random.default_rng(seed)
    binomials = Complete(np.arange(case.n), case.dim).binomials()
    values = [rng.random(case.n)]
    for r in range(1, case.dim + 1):
        row = rng.random(comb(case.n, r + 1))
        row *= case.noise
        raise_to_facets(r, binomials, values[-1], row)
        values.append(row)
    for row in values:
        row.flags.writeable = False
    return values


def timed(function: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """The least seconds of so many runs, and the last result."""
    least, result = np.inf, None
    for _ in range(times):
        result = None
        begin = time.perf_counter()
        result = function()
        least = min(least, time.perf_counter() - begin)
    return float(least), result


def by_us(case: Case, values: Values, times: int) -> Run:
    """From values to the barcode by this library."""
    reduced, barcode = timed(lambda: FilteredComplex.complete(case.n, values).barcode(), times)
    return Run(0, reduced, list(barcode))


def by_gudhi(case: Case, values: Values, times: int) -> Run:
    """The same by GUDHI."""
    gudhi: Any = import_module("gudhi")
    simplices = Complete(np.arange(case.n), case.dim)
    rows = [np.ascontiguousarray(simplices[r].T, dtype=np.int32) for r in range(case.dim + 1)]

    def build() -> Any:
        tree = gudhi.SimplexTree()
        for row, heights in zip(rows, values, strict=True):
            tree.insert_batch(row, heights)
        return tree

    built, tree = timed(build, times)
    reduced, _ = timed(
        lambda: tree.compute_persistence(
            homology_coeff_field=2, persistence_dim_max=False, min_persistence=0
        ),
        times,
    )
    bars = [tree.persistence_intervals_in_dimension(r) for r in range(case.dim)]
    return Run(built, reduced, bars)


def by_oineus(case: Case, values: Values, times: int, *, dual: bool) -> Run:
    """The same by Oineus with two threads: cohomology (dual) or homology."""
    oineus: Any = import_module("oineus")
    simplices = Complete(np.arange(case.n), case.dim)
    rows = [simplices[r].tolist() for r in range(case.dim + 1)]
    heights = [row.tolist() for row in values]

    def build() -> Any:
        cells = [
            oineus.Simplex(vertices, value)
            for row, numbers in zip(rows, heights, strict=True)
            for vertices, value in zip(row, numbers, strict=True)
        ]
        return oineus.Filtration(cells)

    def reduce() -> Any:
        decomposition = oineus.Decomposition(filtration, dual, 2)
        parameters = oineus.ReductionParams()
        parameters.n_threads = 2
        decomposition.reduce(parameters)
        return decomposition

    built, filtration = timed(build, times)
    reduced, decomposition = timed(reduce, times)
    diagrams = decomposition.diagram(filtration, include_inf_points=True)
    bars = [diagrams.in_dimension(r, as_numpy=True) for r in range(case.dim)]
    return Run(built, reduced, bars)


CONTENDERS: dict[str, Callable[[Case, Values, int], Run]] = {
    "ours": by_us,
    "GUDHI": by_gudhi,
    "Oineus, cohomology": partial(by_oineus, dual=True),
    "Oineus, homology": partial(by_oineus, dual=False),
}


def in_order(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows by birth, then death, without those of length zero."""
    rows = np.reshape(bars, (-1, 2))
    rows = rows[rows[:, 0] < rows[:, 1]]
    return rows[np.lexsort(rows.T[::-1])]


def same(ours: Run, theirs: Run) -> bool:
    """Are the bars of each index equal, bit by bit?"""
    pairs = zip(ours.bars, theirs.bars, strict=True)
    return all(np.array_equal(in_order(a), in_order(b)) for a, b in pairs)


def peaks(case: Case, limit: float) -> dict[str, str]:
    """Megabytes that each contender needs beyond imports and input, of those within the limit."""
    found = {}
    for name in CONTENDERS:
        command = [sys.executable, __file__, "--peak", str(CASES.index(case)), name]
        with suppress(subprocess.TimeoutExpired):
            ended = subprocess.run(command, check=True, capture_output=True, timeout=limit)
            found[name] = ended.stdout.decode().strip()
    return found


def print_peak(case: Case, name: str) -> None:
    """Print the growth of this process's peak, everything compiled and imported before."""
    values = family(case)
    CONTENDERS[name](TINY, family(TINY), 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    CONTENDERS[name](case, values, 1)
    print(round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def compare(case: Case, sizes: dict[str, str]) -> None:
    """Print one row of the table, of the contenders whose peak memory is known."""
    values = family(case)
    times = 10 if case.dim == 3 and case.n <= 60 else 3
    ours = by_us(case, values, times)
    cells = [f"{case.dim}, {case.n}, {case.noise}", f"{1e3 * ours.reduce:.1f} ms"]
    for name, contender in list(CONTENDERS.items())[1:]:
        if name not in sizes:
            cells.append("")
            continue
        once = case.n == 100 or name.endswith("homology")
        theirs = contender(case, values, 1 if once else times)
        ratio = (theirs.build + theirs.reduce) / ours.reduce
        shown = f"{theirs.build:.3f} + {theirs.reduce:.3f} s: **{ratio:.1f}** times"
        cells.append(shown if same(ours, theirs) else f"{shown} DIFFERENT BARS")
    cells.extend(sizes.get(name, "") for name in CONTENDERS)
    print("| " + " | ".join(cells) + " |", flush=True)


def compare_large(case: Case) -> None:
    """Print one row: ours beside numpy.sum of the top dimension."""
    values = family(case)
    ours, _ = timed(lambda: FilteredComplex.complete(case.n, values).barcode(), 2)
    summed, _ = timed(values[-1].sum, 3)
    simplices = sum(row.size for row in values)
    print(
        f"| {case.dim}, {case.n}, {case.noise} | {simplices:,} | {ours:.2f} s | {summed:.3f} s | "
        f"**{ours / summed:.1f}** times as long |",
        flush=True,
    )


def print_large_peak(case: Case) -> None:
    """Save the values, start anew with them read into memory, and print the peak."""
    with tempfile.TemporaryDirectory() as folder:
        for r, row in enumerate(family(case)):
            np.save(Path(folder) / f"{r}.npy", row)
        command = [sys.executable, __file__, "--whole-peak", folder, str(case.n)]
        subprocess.run(command, check=True)


def print_whole_peak(folder: Path, n: int) -> None:
    """The peak memory of this whole process, with the values in it, over their bytes."""
    values = [np.load(path) for path in sorted(folder.glob("*.npy"))]
    size = sum(row.nbytes for row in values)
    for row in values:
        row.flags.writeable = False
    FilteredComplex.complete(n, values).barcode()
    highest = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{n} points: values {size / 1e9:.3f} GB, the whole process {highest / 1e9:.3f} GB, "
        f"**{highest / size:.3f}** times as much"
    )


def main() -> None:
    """Read the options, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--large", action="store_true", help="what fits into no other library")
    parser.add_argument("--limit", type=float, default=60, help="seconds (default: 60)")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--whole-peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(CASES[int(options.peak[0])], options.peak[1])
        return
    if options.whole_peak:
        print_whole_peak(Path(options.whole_peak[0]), int(options.whole_peak[1]))
        return
    # first, since a process counts the peak of the one that started it as its own
    sizes = [peaks(case, options.limit) for case in CASES]
    if options.large:
        for case in LARGE:
            print_large_peak(case)
    by_us(TINY, family(TINY), 1)  # everything is compiled now
    print_head("skeleton, points, noise", *CONTENDERS, *(f"{name}, MB" for name in CONTENDERS))
    for case, known in zip(CASES, sizes, strict=True):
        compare(case, known)
    if options.large:
        print()
        print_head("skeleton, points, noise", "simplices", "ours", "numpy.sum", "ratio")
        for case in LARGE:
            compare_large(case)


def print_head(*cells: str) -> None:
    """Print the head of a table."""
    print(f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}")


if __name__ == "__main__":
    main()
