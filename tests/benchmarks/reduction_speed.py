"""Barcodes of complete skeletons beside GUDHI's SimplexTree and Oineus: seconds and ratios.

Vertices have values uniform in [0, 1); the value of any other simplex is the highest of its facets
plus noise times a uniform number. Each case is timed in one process, ours as the best of three,
from the arrays of values to the barcode, GUDHI and Oineus (two threads, cohomology) as build plus
reduction. Bars of every index below the top dimension are compared one by one.

    python tests/benchmarks/reduction_speed.py [--large] [--slow] [--memory 300,3,0.1]

--large adds 300 points in dimension 3 and 1,000 in dimension 2, which fit into no other library,
beside numpy.sum of the same values; --memory prints the peak memory of one such case in a process
that reads the values from a file; --slow adds the cases for which GUDHI takes minutes.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

import gudhi
import numpy as np
from numpy.typing import NDArray

from reduction import FilteredComplex
from reduction.kernels.compilation import njit
from reduction.kernels.streams import facet_row, first_tail, next_tail
from reduction.simplices import Complete

Values = list[NDArray[np.float64]]


class Case(NamedTuple):
    """A complete skeleton of a dimension on n points."""

    n: int
    dim: int
    noise: float


CASES = [
    *(Case(60, 3, noise) for noise in (0.01, 0.1, 1.0)),
    *(Case(100, 3, noise) for noise in (0.01, 0.1, 1.0)),
    Case(24, 5, 0.1),
    Case(24, 5, 1.0),
]
SLOW = [("GUDHI", CASES[-1]), *(("Oineus", case) for case in CASES if case.n == 100)]
LARGE = [Case(300, 3, 0.1), Case(1000, 2, 0.1)]


@njit
def raise_to_facets(
    r: int, binomials: NDArray[np.int64], below: NDArray[np.float64], values: NDArray[np.float64]
) -> None:
    """Add the highest facet's value to that of each r-simplex."""
    vertices, begin = first_tail(r, r), 0
    while begin < values.size:
        for v0 in range(vertices[1]):
            highest = below[facet_row(vertices, 0, binomials)]
            for omitted in range(1, r + 1):
                highest = max(highest, below[facet_row(vertices, omitted, binomials) + v0])
            values[begin + v0] += highest
        begin += vertices[1]
        next_tail(vertices)


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


def by_gudhi(case: Case, values: Values) -> tuple[float, float, list[NDArray[np.float64]]]:
    """Seconds of building and of reducing, and the bars of each index below the top."""
    simplices = Complete(np.arange(case.n), case.dim)
    rows = [np.ascontiguousarray(simplices[r].T, dtype=np.int32) for r in range(case.dim + 1)]

    def build() -> Any:
        tree = gudhi.SimplexTree()
        for row, heights in zip(rows, values, strict=True):
            tree.insert_batch(row, heights)
        return tree

    built, tree = timed(build)
    reduced, _ = timed(
        lambda: tree.compute_persistence(
            homology_coeff_field=2, persistence_dim_max=False, min_persistence=0
        )
    )
    return built, reduced, [tree.persistence_intervals_in_dimension(r) for r in range(case.dim)]


def by_oineus(case: Case, values: Values) -> tuple[float, float, list[NDArray[np.float64]]]:
    """The same by Oineus: cohomology, two threads."""
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
        decomposition = oineus.Decomposition(filtration, True, 2)
        parameters = oineus.ReductionParams()
        parameters.n_threads = 2
        decomposition.reduce(parameters)
        return decomposition

    built, filtration = timed(build)
    reduced, decomposition = timed(reduce)
    diagrams = decomposition.diagram(filtration, include_inf_points=True)
    return built, reduced, [diagrams.in_dimension(r, as_numpy=True) for r in range(case.dim)]


def in_order(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows by birth, then death, without those of length zero."""
    rows = np.reshape(bars, (-1, 2))
    rows = rows[rows[:, 0] < rows[:, 1]]
    return rows[np.lexsort(rows.T[::-1])]


def compare(case: Case, *, slow: bool) -> None:
    """Print one line of the table."""
    values = family(case)
    ours, barcode = timed(lambda: FilteredComplex.complete(case.n, values).barcode(), 3)
    line = f"{case.dim}, {case.n:3}, {case.noise:<5} ours {ours:8.4f} s"
    for name, peer in (("GUDHI", by_gudhi), ("Oineus", by_oineus)):
        if name == "Oineus" and find_spec("oineus") is None:
            continue
        if not slow and (
            (name == "GUDHI" and case == CASES[-1]) or (name == "Oineus" and case.n > 60)
        ):
            continue
        built, reduced, bars = peer(case, values)
        same = all(
            np.array_equal(in_order(theirs), bars_of_ours)
            for theirs, bars_of_ours in zip(bars, barcode, strict=True)
        )
        line += f" | {name} {built:6.3f} + {reduced:7.3f} s, {(built + reduced) / ours:6.1f} times"
        line += "" if same else " DIFFERENT BARS"
    print(line, flush=True)


def compare_large(case: Case) -> None:
    """Print one line: ours beside numpy.sum of the top dimension."""
    values = family(case)
    ours, _ = timed(lambda: FilteredComplex.complete(case.n, values).barcode(), 2)
    summed, _ = timed(values[-1].sum, 3)
    print(
        f"{case.dim}, {case.n:4}, {case.noise} ours {ours:7.2f} s | numpy.sum {summed:.3f} s, "
        f"{ours / summed:.1f} times as long",
        flush=True,
    )


def print_memory(case: Case) -> None:
    """Save the values, start anew with them read into memory, and print the peak."""
    import subprocess

    with tempfile.TemporaryDirectory() as folder:
        for r, row in enumerate(family(case)):
            np.save(Path(folder) / f"{r}.npy", row)
        command = [sys.executable, __file__, "--peak", folder, str(case.n)]
        subprocess.run(command, check=True)


def print_peak(folder: Path, n: int) -> None:
    """The peak memory of this process, with the values in it, over their bytes."""
    values = [np.load(path) for path in sorted(folder.glob("*.npy"))]
    size = sum(row.nbytes for row in values)
    for row in values:
        row.flags.writeable = False
    seconds, _ = timed(FilteredComplex.complete(n, values).barcode)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"values {size / 1e9:.3f} GB, peak {peak / 1e9:.3f} GB, {peak / size:.3f} times", end="")
    print(f"; {seconds:.2f} s")


def main() -> None:
    """Read the options, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--large", action="store_true", help="what fits into no other library")
    parser.add_argument("--slow", action="store_true", help="peers that take minutes too")
    parser.add_argument("--memory", metavar="N,DIM,NOISE", help="peak memory of one case")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(Path(options.peak[0]), int(options.peak[1]))
        return
    if options.memory:
        n, dim, noise = options.memory.split(",")
        print_memory(Case(int(n), int(dim), float(noise)))
        return
    compare(Case(12, 3, 1.0), slow=True)  # everything is compiled now
    for case in CASES:
        compare(case, slow=options.slow)
    for case in LARGE if options.large else []:
        compare_large(case)


if __name__ == "__main__":
    main()
