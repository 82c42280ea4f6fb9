"""The canonical form beside Oineus's R and V, as a table.

The whole Rips complex of n points uniform in the unit cube, in dimension 4: the complex is built
before, and of both the seconds of the processor in one thread are shown, the best of three. Of
Oineus only the reduction of the boundary matrix is timed, with V kept; of ours all of
`canonical_form`, up to sparse matrices.

    python -m tests.benchmarks.persistence.canonical_speed [--points 30] [--dim 4]
"""

import argparse
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from reduction import FilteredComplex


def cloud(n: int, dim: int) -> FilteredComplex:
    """The whole Rips complex."""
    points = np.random.default_rng(29).random((n, 3))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    return FilteredComplex.rips(distances, dim, threshold=np.inf)


def least(function: Callable[[], object]) -> float:
    """The least seconds of the processor of three calls."""
    found: list[float] = []
    for _ in range(3):
        begin = time.process_time()
        function()
        found.append(time.process_time() - begin)
    return min(found)


def by_oineus(complex: FilteredComplex) -> float:
    """Seconds of Oineus."""
    oineus: Any = import_module("oineus")
    cells = [
        oineus.Simplex(vertices, value)
        for rows, values in zip(complex.vertices, complex.values, strict=True)
        for vertices, value in zip(rows.tolist(), values.tolist(), strict=True)
    ]
    filtration = oineus.Filtration(cells)

    def reduce() -> None:
        decomposition = oineus.Decomposition(filtration, False, 1)
        parameters = oineus.ReductionParams()
        parameters.n_threads, parameters.compute_v = 1, True
        decomposition.reduce(parameters)

    return least(reduce)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--points", type=int, default=30)
    parser.add_argument("--dim", type=int, default=4)
    options = parser.parse_args()
    cloud(8, options.dim).canonical_form()  # everything is compiled now
    complex = cloud(options.points, options.dim)
    ours, theirs = least(complex.canonical_form), by_oineus(complex)
    print("| points, dimension | simplices | canonical form | Oineus, R and V | ratio |")
    print("|---|---|---|---|---|")
    print(
        f"| {options.points}, {options.dim} | {sum(complex.counts):,} | {ours:.2f} s | "
        f"{theirs:.2f} s | **{ours / theirs:.1f}** times as long |"
    )


if __name__ == "__main__":
    main()
