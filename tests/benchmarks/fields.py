"""Barcodes over Z/p beside those over Z/2, as a table: how many times as long they take.

Complete skeletons with values as in reduction_speed.py, and a grid, a clique complex and a Rips
complex as in sparse_speed.py, the complex built before; the best of three.

    python tests/benchmarks/fields.py [--times 3]
"""

import argparse
from functools import partial

from tqdm import tqdm

from reduction import FilteredComplex
from tests.benchmarks import reduction_speed, sparse_speed

PRIMES = (3, 5, 11, 127, 2**31 - 1)
SKELETONS = [
    *(reduction_speed.Case(60, 3, noise) for noise in (0.1, 1.0)),
    *(reduction_speed.Case(100, 3, noise) for noise in (0.1, 1.0)),
    *(reduction_speed.Case(24, 5, noise) for noise in (0.1, 1.0)),
]
LISTED = [
    sparse_speed.Case("random", 3, (40, 40, 40)),
    sparse_speed.Case("cliques", 3, (2000, 3)),
    sparse_speed.Case("rips", 2, (300, 3)),
]


def built() -> dict[str, FilteredComplex]:
    """The complexes by name."""
    complexes: dict[str, FilteredComplex] = {}
    for case in SKELETONS:
        name = f"{case.dim}-skeleton on {case.n} points, noise {case.noise}"
        complexes[name] = FilteredComplex.complete(case.n, reduction_speed.family(case))
    for case in LISTED:
        of = sparse_speed.given(case)
        if case.kind == "rips":
            complexes[str(case)] = FilteredComplex.rips(of, case.dim)
        elif case.kind == "cliques":
            complexes[str(case)] = FilteredComplex.cliques(of[0], of[1], case.dim)
        else:
            complexes[str(case)] = FilteredComplex(*of)
    return complexes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--times", type=int, default=3, help="runs, of which the best counts")
    times = parser.parse_args().times
    lines = [
        "| complex | Z/2 | " + " | ".join(f"Z/{p}" for p in PRIMES) + " |",
        "|---" * (2 + len(PRIMES)) + "|",
    ]
    for name, complex in tqdm(built().items(), desc="complexes"):
        first, _ = reduction_speed.timed(partial(complex.barcode, 2), times)
        others = [reduction_speed.timed(partial(complex.barcode, p), times)[0] for p in PRIMES]
        cells = [f"{seconds / first:.1f} times" for seconds in others]
        lines.append(f"| {name} | {1000 * first:.1f} ms | " + " | ".join(cells) + " |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
