"""Cocycles by definition, and in class those of Ripser."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from ripser import ripser
from scipy.spatial.distance import cdist

from reduction import CapacityError, Chain, FilteredComplex
from reduction.persistence import cocycles
from tests.oracles.complexes import PROJECTIVE_PLANE, filtered, full, sparse
from tests.oracles.homology import Span

Simplex = tuple[int, ...]
Terms = dict[Simplex, int]


def terms(chain: Chain) -> Terms:
    rows = map(tuple, chain.simplices.tolist())
    return dict(zip(rows, chain.coefficients.tolist(), strict=True))


class Sublevel:
    """The r-cochains modulo p of the simplices of a complex up to a value."""

    def __init__(self, complex: FilteredComplex, r: int, value: float, p: int) -> None:
        def listed(k: int) -> list[Simplex]:
            if not 0 <= k <= complex.dim:
                return []
            return [tuple(row) for row in complex.vertices[k][complex.values[k] <= value].tolist()]

        self.p, self.above = p, listed(r + 1)
        self.place = {simplex: i for i, simplex in enumerate(listed(r))}
        self.coboundaries = Span(p)
        for simplex in listed(r - 1):
            unit = {simplex: 1}
            values = {cofacet: self.coboundary(unit, cofacet) for cofacet in self.place}
            self.coboundaries.add(self.vector(values))

    def vector(self, cochain: Terms) -> Any:
        """A cochain restricted to the sublevel complex."""
        found = np.zeros(len(self.place), np.int64)
        for simplex, value in cochain.items():
            if simplex in self.place:
                found[self.place[simplex]] = value % self.p
        return found

    def coboundary(self, cochain: Terms, simplex: Simplex) -> int:
        """Its value: that of the cochain on the boundary of the simplex."""
        facets = combinations(simplex, len(simplex) - 1)  # the last vertex is left out first
        signs = ((-1) ** (len(simplex) - 1 - k) for k in range(len(simplex)))
        return sum(s * cochain.get(f, 0) for s, f in zip(signs, facets, strict=True)) % self.p

    def is_cocycle(self, cochain: Terms) -> bool:
        return not any(self.coboundary(cochain, simplex) for simplex in self.above)


def alive(bars: Any, value: float) -> list[int]:
    return [i for i, (birth, death) in enumerate(bars.tolist()) if birth <= value < death]


def assert_cocycles(complex: FilteredComplex, p: int) -> int:
    """At every value the cocycles of the bars alive are a basis of cohomology; how many there are.

    And none is a cocycle where its bar has ended, or is anything before it begins.
    """
    barcode, count = complex.barcode(p, max_index=complex.dim), 0
    for r, bars in enumerate(barcode):
        found = [terms(barcode.cocycle(r, i)) for i in range(len(bars))]
        births = map(tuple, barcode.pairs(r).births.tolist())
        assert [cochain[birth] for cochain, birth in zip(found, births, strict=True)] == [1] * len(
            found
        )
        count += len(found)
        for value in np.unique(np.concatenate(complex.values)).tolist():
            sublevel = Sublevel(complex, r, value, p)
            span, there = sublevel.coboundaries.copy(), alive(bars, value)
            for i, (birth, death) in enumerate(bars.tolist()):
                assert sublevel.is_cocycle(found[i]) == (value < death)
                assert sublevel.vector(found[i]).any() == (value >= birth)
            assert [span.add(sublevel.vector(found[i])) for i in there] == [True] * len(there)
    return count


@pytest.mark.parametrize("p", [2, 3, 7, 2**31 - 1])
def test_cocycles_are_a_basis_of_cohomology_at_every_value(p: int) -> None:
    count = 0
    for seed in range(25):
        rng = np.random.default_rng([291, seed])
        levels = int(rng.integers(0, 6))
        complete = seed % 3 == 0
        simplices = full(5, 3) if complete else sparse(7, 3, 5, rng)
        arrays = filtered(simplices, rng, levels)
        count += assert_cocycles(FilteredComplex(*arrays), p)
    assert count > 100


@pytest.mark.parametrize("p", [2, 3])
def test_a_projective_plane_has_cocycles_of_its_field(p: int) -> None:
    plane = FilteredComplex(
        PROJECTIVE_PLANE, [np.full(len(x), r) for r, x in enumerate(PROJECTIVE_PLANE)]
    )
    assert assert_cocycles(plane, p) == (17 if p == 2 else 16)


def by_ripser(rows: Any, p: int) -> Terms:
    """A cocycle of ripser.py: vertices of each simplex in falling order, and its coefficient."""
    return {tuple(sorted(row[:-1])): int(row[-1]) % p for row in rows.tolist()}


@pytest.mark.parametrize("p", [2, 3, 17])
def test_cocycles_are_ripsers_in_class(p: int) -> None:
    """Up to a factor, and to cocycles of bars born later, which any basis may add: just before a
    bar ends, there is nothing else in the difference but a coboundary."""
    compared = 0
    for seed in range(6):
        rng = np.random.default_rng([292, seed])
        points = rng.random((20, 2))
        distances = cdist(points, points).astype(np.float32).astype(np.float64)
        theirs: Any = ripser(distances, distance_matrix=True, maxdim=1, coeff=p, do_cocycles=True)
        complex = FilteredComplex.rips(distances, 2, threshold=np.inf)
        barcode = complex.barcode(p)
        bars = [tuple(bar) for bar in barcode[1].tolist()]
        for bar, rows in zip(theirs["dgms"][1].tolist(), theirs["cocycles"][1], strict=True):
            i = bars.index(tuple(bar))
            birth, death = bars[i]
            value = float(max(v for v in np.unique(distances) if v < death))
            sublevel = Sublevel(complex, 1, value, p)
            mine, other = terms(barcode.cocycle(1, i)), by_ripser(rows, p)
            first = tuple(barcode.pairs(1).births[i].tolist())
            factor = pow(other[first], -1, p)
            difference = sublevel.vector(mine) - factor * sublevel.vector(other)
            span = sublevel.coboundaries.copy()
            for j in alive(barcode[1], value):
                if barcode[1][j, 0] > birth:
                    span.add(sublevel.vector(terms(barcode.cocycle(1, j))))
            assert difference % p in span
            assert sublevel.vector(other) not in span
            compared += 1
    assert compared >= 10


def test_vertices_alone_have_cocycles() -> None:
    barcode = FilteredComplex([[[3], [5]]], [[0.0, 1.0]]).barcode(3)
    assert [terms(barcode.cocycle(0, i)) for i in (0, 1)] == [{(3,): 1}, {(5,): 1}]


def test_cocycles_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    barcode = FilteredComplex.rips(np.ones((9, 9)) - np.eye(9), 2).barcode(keep_zero=True)

    def refuse(size: int, what: str) -> None:
        raise CapacityError(f"{what} needs {size}")

    monkeypatch.setattr(cocycles, "require", refuse)
    with pytest.raises(CapacityError, match="the coboundary matrix of 36 simplices, with its"):
        barcode.cocycle(1, 0)
