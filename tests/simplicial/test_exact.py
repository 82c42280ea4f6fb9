"""Barcodes built from minima equal the Morse barcodes, in every index, ends certified."""

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from simplicial import NudgedElastic, build_complex, find_minima
from simplicial.landscapes import (
    Landscape,
    double_well,
    himmelblau,
    mueller_brown,
    simplex_wells,
    six_hump_camel,
)

EXACT = 1e-6  # of the range of values: births and deaths
SPURIOUS = 1e-3  # of the range: bars that are not there

CASES = {
    **{f"double-well-{d}": (partial(double_well, d), d) for d in (2, 3)},
    "double-well-4": (partial(double_well, 4), 3),
    "double-well-5": (partial(double_well, 5), 2),
    **{
        f"simplex-wells-{r}-curved-{curved}": (partial(simplex_wells, r, curved), r)
        for r in (1, 2, 3)
        for curved in (0, 5)
    },
    "himmelblau": (himmelblau, 2),
    "muller-brown": (mueller_brown, 2),
    "six-hump-camel": (six_hump_camel, 2),
}


def matched(bars: NDArray[np.float64], exact: NDArray[np.float64]) -> tuple[float, float]:
    """Largest error of an end over the best matching of all exact bars; longest bar left over."""
    assert len(bars) >= len(exact)
    far = 1e9  # stands for a death that is infinite on one side only
    ends, truth = (np.nan_to_num(b, posinf=far) for b in (bars, exact))
    cost = np.abs(ends[:, None] - truth[None]).max(axis=2)
    rows, columns = linear_sum_assignment(cost)
    rest = np.delete(ends, rows, axis=0)
    return cost[rows, columns].max(initial=0.0), float(np.diff(rest).max(initial=0.0))


LONG = ("double-well-4", "double-well-5")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] if n in LONG else []) for n in CASES]
)
def test_every_bar_is_found_exactly_and_no_other(name: str) -> None:
    make, max_dim = CASES[name]
    landscape: Landscape = make()
    exact = landscape.exact_bars
    assert exact is not None
    ends = np.concatenate(exact[:max_dim])
    spread = float(np.ptp(ends[np.isfinite(ends)]))
    minima = find_minima(landscape, seed=0)
    complex_ = build_complex(
        minima, max_dim, optimizer=NudgedElastic(), certify=True, progress=False
    )
    barcode = complex_.barcode()
    for r in range(max_dim):
        error, spurious = matched(barcode[r], exact[r])
        assert error <= EXACT * spread
        assert spurious <= SPURIOUS * spread
        found = barcode.ends(r)
        assert found is not None
        long = np.diff(barcode[r])[:, 0] > SPURIOUS * spread
        assert found.births.certified[long].all()
        assert found.deaths.certified[long & np.isfinite(barcode[r][:, 1])].all()


def test_counts_of_the_double_wells() -> None:
    """49 bars of index 1 in five variables, and 15, 17 and 7 in four."""
    five, four = double_well(5).exact_bars, double_well(4).exact_bars
    assert five is not None
    assert four is not None
    assert len(five[1]) == 49
    assert [len(bars) for bars in four[:3]] == [16, 17, 7]
