"""Complete complexes with values, and what a reduction of them found, for tests."""

import os
from math import comb
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import FilteredComplex
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete
from reduction.persistence.explicit import explicit_pairings
from reduction.persistence.implicit import implicit_pairings
from reduction.persistence.pairs import Pairing
from tests.oracles.complexes import Arrays, filtered, full

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT") == "1"
FIELDS = (2, 3, 127, 2**31 - 1)  # blocks hold bits, bytes and 32-bit numbers


def positions(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """sum_i C(v_i, i+1), by the definition."""
    return np.array([sum(comb(v, i + 1) for i, v in enumerate(row)) for row in rows.tolist()], int)


def arranged(arrays: Arrays) -> list[NDArray[np.float64]]:
    """Values of a complete complex in the order in which `complete` takes them."""
    return [values[np.argsort(positions(rows))] for rows, values in zip(*arrays, strict=True)]


def filtration_of(complex: FilteredComplex) -> Filtration:
    """The filtration of a complex, as its reductions take it."""
    return Filtration(complex.vertices, complex.values)


def assert_as_expected(complex: FilteredComplex, expected: Arrays) -> None:
    """A complex with these simplices and values in order, and as a list of them would make it."""
    listed = FilteredComplex(*expected)
    assert complex.dim == listed.dim
    assert type(complex.vertices) is type(listed.vertices)
    for r in range(complex.dim + 1):
        np.testing.assert_array_equal(complex.vertices[r], expected.vertices[r])
        np.testing.assert_array_equal(complex.values[r], expected.values[r])
        assert not complex.values[r].flags.writeable
        if r:
            np.testing.assert_array_equal(complex.facets(r), listed.facets(r))


@st.composite
def complete_arrays(draw: st.DrawFn) -> Arrays:
    """Complete skeletons of 2 to 9 vertices, dimension 1 to 5; with ties in most."""
    n = draw(st.integers(2, 9))
    dim = draw(st.integers(1, min(n - 1, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return filtered(full(n, dim), rng, draw(st.sampled_from([0, 0, 1, 2, 6])))


def long_columns(n: int, dim: int, seed: int) -> FilteredComplex:
    """A complete complex with vertices at 0, which make its columns as long as they get."""
    values = arranged(filtered(full(n, dim), np.random.default_rng(seed), 0))
    values[0][:] = 0
    return FilteredComplex.complete(n, values)


def implicit(
    complex: FilteredComplex, p: int, max_index: int, **way: Any
) -> list[set[tuple[int, int]]]:
    """The pairs that the reduction of complete complexes finds."""
    assert isinstance(complex.vertices, Complete)
    found = implicit_pairings(complex.vertices, complex.values, p, max_index, **way)
    return list(map(summary, found))


def explicit(complex: FilteredComplex, p: int, max_index: int) -> list[set[tuple[int, int]]]:
    """The pairs that the reduction of any complexes finds."""
    return list(map(summary, explicit_pairings(filtration_of(complex), p, max_index)))


def summary(pairing: Pairing) -> set[tuple[int, int]]:
    """Births and deaths, -1 for none; no birth twice."""
    deaths = np.concatenate(
        [pairing.deaths, np.full(pairing.births.size - pairing.deaths.size, -1)]
    )
    pairs = set(zip(pairing.births.tolist(), deaths.tolist(), strict=True))
    assert len(pairs) == pairing.births.size
    return pairs
