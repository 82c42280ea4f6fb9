"""Shortened cycles: homologous to the cycle at their level, by ranks, and no heavier."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from reduction import CapacityError, Chain, FilteredComplex
from reduction.persistence import shortening
from tests.oracles.complexes import filtered, full, sparse
from tests.oracles.homology import Span, boundary

Simplex = tuple[int, ...]


def terms(chain: Chain) -> dict[Simplex, int]:
    rows = map(tuple, chain.simplices.tolist())
    return dict(zip(rows, chain.coefficients.tolist(), strict=True))


def weight(chain: Chain, complex: FilteredComplex, weights: Any) -> float:
    r = chain.simplices.shape[1] - 1
    place = {tuple(row): i for i, row in enumerate(complex.vertices[r].tolist())}
    return math.fsum(float(weights[place[simplex]]) for simplex in terms(chain))


def assert_homologous(
    complex: FilteredComplex, chains: tuple[Chain, Chain], level: float, p: int
) -> None:
    """Both are of the sublevel complex, and their difference is a boundary there."""
    r = chains[0].simplices.shape[1] - 1
    listed = {
        k: [tuple(row) for row in complex.vertices[k][complex.values[k] <= level].tolist()]
        for k in (r, r + 1)
        if k <= complex.dim
    }
    place = {simplex: i for i, simplex in enumerate(listed[r])}
    span = Span(p)
    for simplex in listed.get(r + 1, []):
        span.add(boundary(simplex, place, p))
    difference = np.zeros(len(place), np.int64)
    for sign, chain in zip((1, -1), chains, strict=True):
        for simplex, coefficient in terms(chain).items():
            difference[place[simplex]] += sign * coefficient
    assert difference in span


@pytest.mark.parametrize("p", [2, 3, 2**31 - 1])
def test_shortened_cycles_are_homologous_and_no_heavier(p: int) -> None:
    shorter, same = 0, 0
    for seed in range(40):
        rng = np.random.default_rng([293, seed])
        simplices = full(6, 3) if seed % 2 else sparse(9, 3, 9, rng)
        complex = FilteredComplex(*filtered(simplices, rng, int(rng.integers(0, 4))))
        barcode = complex.barcode(p)
        for r in range(complex.dim):
            for i, (birth, death) in enumerate(barcode[r].tolist()):
                values = complex.values[r + 1]
                level = float(max([birth, *values[values < death]]))
                weights = rng.random(complex.counts[r]) if i % 2 else None
                before = barcode.cycle(r, i)
                after = barcode.shortened(r, i, level=level, weights=weights)
                heavy = np.ones(complex.counts[r]) if weights is None else weights
                assert_homologous(complex, (before, after), level, p)
                taken = weight(before, complex, heavy) - weight(after, complex, heavy)
                assert taken >= 0
                shorter, same = shorter + (taken > 0), same + (taken == 0)
    assert shorter > 20
    assert same > 20


def test_a_loop_through_points_on_a_circle_is_pulled_tight() -> None:
    """A zigzag between two circles becomes one around the inner one."""
    angles = np.arange(24) * 2 * np.pi / 24
    radii = np.where(np.arange(24) % 2, 1.0, 1.15)
    points = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    complex = FilteredComplex.rips(cdist(points, points), 2, threshold=2.0)
    barcode = complex.barcode()
    i = int(np.argmax(barcode[1][:, 1] - barcode[1][:, 0]))
    lengths = complex.values[1]
    level = float(barcode[1][i, 0]) + 0.4
    before, after = barcode.cycle(1, i), barcode.shortened(1, i, level=level, weights=lengths)
    around = 12 * 2 * math.sin(math.pi / 12)  # the polygon of the inner points
    assert weight(before, complex, lengths) > around + 0.5
    assert weight(after, complex, lengths) == pytest.approx(around, rel=1e-12)
    assert_homologous(complex, (before, after), level, 2)


def test_a_class_of_the_top_dimension_has_one_cycle() -> None:
    sphere = FilteredComplex.complete(4, [np.zeros(4), np.ones(6), np.full(4, 2.0)])
    barcode = sphere.barcode(3, max_index=2)
    assert terms(barcode.shortened(2, 0)) == terms(barcode.cycle(2, 0))


def test_facets_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    barcode = FilteredComplex.complete(4, [[0] * 4, [1] * 6, [2] * 4]).barcode()

    def refuse(size: int, what: str) -> None:
        raise CapacityError(f"{what} needs {size}")

    monkeypatch.setattr(shortening, "require", refuse)
    with pytest.raises(CapacityError, match="the facets of 4 simplices"):
        barcode.shortened(1, 0)
