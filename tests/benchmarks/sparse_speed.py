"""Barcodes of grids, clique complexes and Rips complexes beside GUDHI and Ripser, as a table.

Grids are triangulated by Freudenthal's rule and filtered by vertex values (lower stars): uniform
random ones, or those of a sum of waves. Graphs join each of 2,000 random points with its 15 nearest
ones; edges are as high as they are long. Each time is from arrays, or the distances, to the
barcode, the best of several in one process; GUDHI's is that of its SimplexTree (or RipsComplex)
plus that of compute_persistence. Bars of every index below the top dimension are compared one by
one; Ripser's are rounded to float32, so ours are for that. Peak memory is what a process of its own
comes to, beyond its imports and the input.

    python tests/benchmarks/sparse_speed.py [--times 5]
"""

import argparse
import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from itertools import combinations, pairwise, product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

Bars = list[NDArray[np.float64]]


class Case(NamedTuple):
    """What is filtered: a grid of `shape`, or points in the unit cube."""

    kind: str  # "random" or "smooth" grid, "cliques", "rips"
    dim: int
    shape: tuple[int, ...]  # of a grid; (points, dimension of the cube) otherwise

    def __str__(self) -> str:
        sizes = " x ".join(map(str, self.shape))
        if self.kind in ("random", "smooth"):
            return f"grid {sizes}, {self.kind}"
        space = "square" if self.shape[1] == 2 else "cube"
        name = "15 neighbours" if self.kind == "cliques" else "Rips"
        return f"{name}, {self.shape[0]} points in a {space}, dim {self.dim}"


CASES = [
    Case("random", 2, (300, 300)),
    Case("smooth", 2, (300, 300)),
    Case("random", 3, (40, 40, 40)),
    Case("smooth", 3, (40, 40, 40)),
    *(Case("cliques", dim, (2000, d)) for d in (2, 3) for dim in (2, 3)),
    *(Case("rips", 2, (300, d)) for d in (2, 3)),
]


class Run(NamedTuple):
    """The best seconds of building and of reducing, and the bars."""

    build: float
    reduce: float
    bars: Bars


def freudenthal(shape: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """The simplices of a triangulated grid, dimension by dimension: chains of the corners of cubes,
    each above the one before in every coordinate (Freudenthal 1942)."""
    vertex = np.arange(prod(shape)).reshape(shape)
    corners = list(product((0, 1), repeat=len(shape)))
    simplices = [vertex.reshape(-1, 1)]
    for r in range(1, len(shape) + 1):
        rows: list[NDArray[np.int64]] = []
        for chain in combinations(corners, r + 1):
            if any(chain[0]) or not all(np.all(np.less_equal(*pair)) for pair in pairwise(chain)):
                continue
            # the last corner is the farthest: a simplex begins where that is still in the grid
            begin = vertex[tuple(slice(m - c) for m, c in zip(shape, chain[-1], strict=True))]
            steps = [int(np.ravel_multi_index(corner, shape)) for corner in chain]
            rows.append(begin.reshape(-1, 1) + np.array(steps))
        simplices.append(np.concatenate(rows))
    return simplices


def grid(case: Case) -> tuple[list[NDArray[np.int64]], Bars]:
    """Simplices and lower-star values."""
    rng = np.random.default_rng(20240301)
    simplices = freudenthal(case.shape)
    if case.kind == "random":
        heights = rng.random(prod(case.shape))
    else:
        axes = np.meshgrid(*(np.linspace(0, 1, m) for m in case.shape), indexing="ij")
        points = np.stack([axis.ravel() for axis in axes], axis=1)
        waves, phases = rng.normal(size=(12, len(case.shape))) * 8, rng.random(12) * 6
        heights = np.sin(points @ waves.T + phases) @ rng.normal(size=12)
    return simplices, [heights[rows].max(axis=1) for rows in simplices]


def graph(case: Case) -> tuple[list[NDArray[np.int64]], Bars]:
    """Vertices at 0 and edges to the 15 nearest neighbours."""
    points = np.random.default_rng(20240302).random(case.shape)
    nearest = np.asarray(KDTree(points).query(points, 16)[1])
    ends = np.stack([np.repeat(np.arange(len(points)), 15), nearest[:, 1:].ravel()], axis=1)
    edges = np.unique(np.sort(ends, axis=1), axis=0)
    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    return [np.arange(len(points))[:, None], edges], [np.zeros(len(points)), lengths]


def given(case: Case) -> Any:
    """The input of a case: arrays of simplices and values, or distances."""
    if case.kind == "rips":
        points = np.random.default_rng(20240303).random(case.shape)
        return cdist(points, points)
    return graph(case) if case.kind == "cliques" else grid(case)


def best(build: Callable[[], Any], reduce: Callable[[Any], Any], times: int) -> Run:
    """The best of several runs."""
    seconds, bars = np.full(2, np.inf), []
    for _ in range(times):
        gc.collect()
        begin = time.perf_counter()
        built = build()
        middle = time.perf_counter()
        bars = list(reduce(built))
        end = time.perf_counter()
        if end - begin < seconds.sum():
            seconds[:] = middle - begin, end - middle
    return Run(seconds[0], seconds[1], bars)


def by_us(case: Case, of: Any, times: int) -> Run:
    """From arrays to the barcode by this library."""
    complexes: Any = import_module("reduction").FilteredComplex

    def build() -> Any:
        if case.kind == "rips":
            return complexes.rips(of, case.dim)
        return complexes.cliques(*of, case.dim) if case.kind == "cliques" else complexes(*of)

    return best(build, lambda complex: complex.barcode(), times)


def by_gudhi(case: Case, of: Any, times: int) -> Run:
    """The same by GUDHI."""
    gudhi: Any = import_module("gudhi")

    def build() -> Any:
        if case.kind == "rips":
            return gudhi.RipsComplex(distance_matrix=of).create_simplex_tree(case.dim)
        tree = gudhi.SimplexTree()
        for rows, heights in zip(*of, strict=True):
            tree.insert_batch(np.ascontiguousarray(rows.T, dtype=np.int32), heights)
        if case.kind == "cliques":
            tree.expansion(case.dim)
        return tree

    def reduce(tree: Any) -> Bars:
        tree.compute_persistence(homology_coeff_field=2, min_persistence=0)
        return [tree.persistence_intervals_in_dimension(r) for r in range(case.dim)]

    return best(build, reduce, times)


def by_ripser(case: Case, of: Any, times: int) -> Run:
    """The same by Ripser."""
    ripser: Any = import_module("ripser")
    reduce = lambda _: ripser.ripser(of, maxdim=case.dim - 1, distance_matrix=True)["dgms"]  # noqa: E731
    return best(lambda: None, reduce, times)


CONTENDERS = {"ours": by_us, "GUDHI": by_gudhi, "Ripser": by_ripser}


def in_order(bars: NDArray[np.float64], kind: Any) -> NDArray[np.float64]:
    """Rows by birth, then death, without those of length zero."""
    rows = np.reshape(bars, (-1, 2)).astype(kind)
    rows = rows[rows[:, 0] < rows[:, 1]]
    return rows[np.lexsort(rows.T[::-1])]


def same(ours: Bars, theirs: Bars, kind: Any) -> bool:
    """Are the bars of each index equal, bit by bit in a type of number?"""
    pairs = zip(ours, theirs, strict=True)
    return all(np.array_equal(in_order(a, kind), in_order(b, kind)) for a, b in pairs)


def contenders(case: Case) -> list[str]:
    """Who can do a case."""
    return [name for name in CONTENDERS if name != "Ripser" or case.kind == "rips"]


def peak(case: Case, name: str) -> str:
    """Megabytes that a process of its own needs beyond imports and input."""
    command = [sys.executable, __file__, "--peak", str(CASES.index(case)), name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def print_peak(case: Case, name: str) -> None:
    """Print the growth of this process's peak, everything compiled and imported before."""
    of = given(case)
    tiny = (4, 4, 4)[: len(case.shape)] if case.kind in ("random", "smooth") else (20, 2)
    CONTENDERS[name](case._replace(shape=tiny), given(case._replace(shape=tiny)), 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    CONTENDERS[name](case, of, 1)
    print(round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def compare(case: Case, peaks: list[str], times: int) -> None:
    """Print one row of the table."""
    of, cells = given(case), [str(case)]
    runs = {name: CONTENDERS[name](case, of, times) for name in contenders(case)}
    ours = runs["ours"]
    cells.append(f"{ours.build:.4f} + {ours.reduce:.4f}")
    for name in ("GUDHI", "Ripser"):
        if name not in runs:
            cells.append("")
            continue
        run = runs[name]
        ratio = (run.build + run.reduce) / (ours.build + ours.reduce)
        shown = f"{run.build:.4f} + {run.reduce:.4f}" if run.build > 1e-4 else f"{run.reduce:.4f}"
        shown += f": **{ratio:.1f}** times"
        kind = np.float32 if name == "Ripser" else np.float64
        cells.append(shown if same(ours.bars, run.bars, kind) else f"{shown} DIFFERENT BARS")
    cells.append(", ".join(peaks))
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Read the options, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--times", type=int, default=5, help="runs of which the best counts")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(CASES[int(options.peak[0])], options.peak[1])
        return
    # first, since a process counts the peak of the one that started it as its own
    peaks = [[f"{name} {peak(case, name)}" for name in contenders(case)] for case in CASES]
    print("| case | ours: build + bars, s | GUDHI, s | Ripser, s | peak memory, MB |")
    print("|---|---|---|---|---|")
    for case, measured in zip(CASES, peaks, strict=True):
        compare(case, measured, options.times)


if __name__ == "__main__":
    main()
