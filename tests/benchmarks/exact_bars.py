"""Computed barcodes beside exact ones: how wrong, what is missing, what is spurious, at what cost.

Functions whose barcodes are known exactly, each by three optimizers:

- Algorithm 1: the paper's, with 2,000 exact steps of 16 random points on `Edgewise(8)`, and
  Algorithm 2 as printed on the lattice of resolution 64 (`tolerance=None`);
- elastic: `NudgedElastic()` and refined maxima, `tolerance=1e-7`;
- certified: the same with `certify=True`.

Exact and computed bars of an index are matched one to one where birth and death are within 5% of
the range of the exact ends, at the least sum of max-norm distances. An exact bar without a partner
is missing, a computed one is spurious. All shares are of that range. Gradients are points whose
gradient was taken, with one more for each product of the Hessian and a vector; values are points
where only the loss was evaluated. The minima are found before, by `find_minima`, and not counted.

    python tests/benchmarks/exact_bars.py [--only NAME] [--out FILE.md]
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reduction import Barcode
from simplicial import (
    Algorithm1,
    Edgewise,
    Minima,
    NudgedElastic,
    build_complex,
    configure_process,
    find_minima,
)
from simplicial.landscapes import (
    Landscape,
    double_well,
    himmelblau,
    mueller_brown,
    simplex_wells,
    six_hump_camel,
)
from tests.benchmarks.paths import Counter

Array = NDArray[np.float64]

PARTNERS = 0.05  # share of the range within which bars may be partners
LONG = 1e-3  # a spurious bar longer than this is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A function and the top dimension."""

    landscape: Landscape
    max_dim: int


CASES = {
    f"double-well d={d}": Case(landscape=double_well(d), max_dim=dim)
    for d, dim in ((2, 2), (3, 3), (4, 3), (5, 2))
}
for _r in (1, 2, 3):
    for _curved in (0, 5):
        CASES[f"simplex-wells r={_r} curved={_curved}"] = Case(
            landscape=simplex_wells(_r, _curved), max_dim=_r
        )
for _landscape in (himmelblau(), mueller_brown(), six_hump_camel()):
    CASES[_landscape.name] = Case(landscape=_landscape, max_dim=2)


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Algorithm 1": {
        "optimizer": Algorithm1(samples=16),
        "simplex_map": Edgewise(8),
        "resolution": 64,
        "tolerance": None,
    },
    "elastic": {"optimizer": NudgedElastic()},
    "certified": {"optimizer": NudgedElastic(), "certify": True},
}


class Judged(NamedTuple):
    """A barcode beside the exact one; errors and lengths as shares of the range."""

    exact: int
    error: float  # nan where no bar has a partner
    missing: int
    spurious: int
    longest: float


def judge(barcode: Barcode, exact: tuple[Array, ...]) -> Judged:
    """Match the bars of every index that the barcode has."""
    exact = (*exact, *[np.empty((0, 2))] * len(barcode))[: len(barcode)]
    ends = np.concatenate([bars.ravel() for bars in exact])
    spread = float(np.ptp(ends[np.isfinite(ends)]))
    errors, spare, missing = [], [0.0], 0
    for true, found in zip(exact, barcode, strict=True):
        for chosen in (np.isinf, np.isfinite):
            a, b = true[chosen(true[:, 1])], found[chosen(found[:, 1])]
            matched, others = _match(a / spread, b / spread)
            errors += matched
            missing += len(a) - len(matched)
            spare += others
    return Judged(
        sum(len(bars) for bars in exact),
        max(errors, default=np.nan),
        missing,
        sum(length > LONG for length in spare),
        max(spare),
    )


def _match(true: Array, found: Array) -> tuple[list[float], list[float]]:
    """Distances of partners, and lengths of the bars found that have none."""
    m, n = len(true), len(found)
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.nan_to_num(true[:, None] - found, nan=0.0)).max(axis=2, initial=0.0)
    alone = np.full((m, m), PARTNERS)  # as good as no partner
    rows, columns = linear_sum_assignment(np.hstack([np.minimum(apart, 10 * PARTNERS), alone]))
    pairs = [(i, j) for i, j in zip(rows, columns, strict=True) if j < n]
    pairs = [(i, j) for i, j in pairs if apart[i, j] <= PARTNERS]
    left = np.setdiff1d(np.arange(n), [j for _, j in pairs])
    return [float(apart[i, j]) for i, j in pairs], (found[left, 1] - found[left, 0]).tolist()


def row(name: str, case: Case, optimizer: str) -> str:
    """One line of the table."""
    found = find_minima(case.landscape, seed=0)
    counter = Counter(case.landscape)
    minima = Minima(found.points, counter)
    counter.gradients = counter.values = 0
    began = time.perf_counter()
    built = build_complex(minima, case.max_dim, progress=False, **OPTIMIZERS[optimizer])
    barcode = built.barcode()
    seconds = time.perf_counter() - began
    exact = case.landscape.exact_bars
    assert exact is not None, "the barcodes of these functions are known"
    judged = judge(barcode, exact)
    cells = (
        name,
        case.max_dim,
        optimizer,
        judged.exact,
        f"{judged.error:.1e}",
        judged.missing,
        judged.spurious,
        f"{judged.longest:.1e}" if judged.longest else "0",
        f"{counter.values:,}",
        f"{counter.gradients:,}",
        f"{seconds:.1f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


HEAD = (
    "| function | max_dim | optimizer | exact bars | largest error | missing | spurious | longest "
    "spurious | values | gradients | seconds |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Print the table line by line; write it where --out is given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=CASES, help="one of the functions")
    parser.add_argument("--out", type=Path, help="file for the markdown table")
    arguments = parser.parse_args()
    lines = [HEAD]
    print(HEAD, flush=True)
    for name, case in CASES.items():
        if arguments.only not in (None, name):
            continue
        for optimizer in OPTIMIZERS:
            lines.append(row(name, case, optimizer))
            print(lines[-1], flush=True)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    configure_process()
    main()
