"""Cycles of bars: by hand, and by all that defines them."""

import copy
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import reduction.persistence.boundary_reduction
from reduction import Barcode, BarcodeError, CapacityError, Chain, FilteredComplex
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete
from reduction.persistence.boundary_reduction import ReducedBoundary
from reduction.persistence.cohomology import pairings
from reduction.persistence.pairs import Pairing
from tests.oracles.complexes import (
    PROJECTIVE_PLANE,
    Arrays,
    filtered,
    full,
    full_complexes,
    sparse,
    sparse_complexes,
    surface,
)
from tests.oracles.homology import Bar, check_cycles, total_order
from tests.reduction.complete import arranged
from tests.reduction.endpoints import bare, mixed

LARGEST_PRIME = 2**31 - 1
MANY = 4 * settings.default.max_examples if settings.default else 1

small = full_complexes(most=6) | sparse_complexes(most=7)


def terms(chain: Chain) -> dict[tuple[int, ...], int]:
    found = dict(
        zip(map(tuple, chain.simplices.tolist()), chain.coefficients.tolist(), strict=True)
    )
    assert len(found) == len(chain)
    return found


def all_bars(barcode: Barcode) -> list[Bar]:
    """Each bar with its cycle, asked for in an order of its own."""
    bars: list[Bar] = []
    for r in range(len(barcode)):
        births, deaths = (rows.tolist() for rows in barcode.pairs(r))
        for i in np.random.default_rng(r).permutation(len(births)):
            death = None if deaths[i][0] < 0 else tuple(deaths[i])
            bars.append(Bar(r, tuple(births[i]), death, terms(barcode.cycle(r, i))))
    return bars


def assert_cycles(complex: FilteredComplex, arrays: Arrays, p: int) -> None:
    barcode = complex.barcode(p, keep_zero=True, max_index=complex.dim)
    check_cycles(total_order(*arrays), all_bars(barcode), p)


# --- by hand


def test_a_triangle_filled_late() -> None:
    barcode = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]]).barcode(5)
    cycle = barcode.cycle(1, 0)
    np.testing.assert_array_equal(cycle.simplices, [[0, 1], [0, 2], [1, 2]])
    np.testing.assert_array_equal(cycle.coefficients, [1, 4, 1])
    assert terms(barcode.cycle(0, 0)) == {(1,): 1, (0,): 4}  # ends with the edge (0,1)
    assert terms(barcode.cycle(0, 1)) == {(2,): 1, (0,): 4}
    assert terms(barcode.cycle(0, 2)) == {(0,): 1}
    assert repr(cycle) == "Chain(dim=1, simplices=3, field=5)"


def test_the_cycle_is_scaled_at_the_simplex_that_begins_the_bar() -> None:
    """The edge (0,2), which stands with -1 in the boundary of the triangle, comes last."""
    cycle = FilteredComplex.complete(3, [[0, 0, 0], [1, 3, 2], [5]]).barcode(5).cycle(1, 0)
    assert terms(cycle) == {(0, 1): 4, (0, 2): 1, (1, 2): 4}


def test_a_square_filled_by_two_triangles() -> None:
    """The first bar is the square that the last triangle closes, not that triangle's boundary."""
    barcode = FilteredComplex.from_simplices(
        dict.fromkeys([(0,), (1,), (2,), (3,)], 0)
        | {(0, 1): 1, (1, 2): 1, (2, 3): 1, (0, 3): 2, (0, 2): 3, (0, 1, 2): 4, (0, 2, 3): 5}
    ).barcode()
    np.testing.assert_array_equal(barcode[1], [[2, 5], [3, 4]])
    assert terms(barcode.cycle(1, 0)) == dict.fromkeys([(0, 1), (1, 2), (2, 3), (0, 3)], 1)
    assert terms(barcode.cycle(1, 1)) == dict.fromkeys([(0, 1), (1, 2), (0, 2)], 1)


def test_a_projective_plane_closes_over_two_and_over_no_other_prime() -> None:
    """Over Z/2 all triangles are a cycle. Over Z/3 the last one ends a loop that runs twice."""
    values = [np.full(len(rows), r) for r, rows in enumerate(PROJECTIVE_PLANE)]
    plane = FilteredComplex(PROJECTIVE_PLANE, values)
    over_two, over_three = plane.barcode(2, max_index=2), plane.barcode(3, max_index=2)
    assert over_two[2].tolist() == [[2, math.inf]]
    assert terms(over_two.cycle(2, 0)) == dict.fromkeys(map(tuple, PROJECTIVE_PLANE[2].tolist()), 1)
    loop = int(np.argmax(over_two[1][:, 1]))
    same = over_three.pairs(1).births.tolist().index(over_two.pairs(1).births[loop].tolist())
    assert (over_two[1][loop, 1], over_three[1][same, 1]) == (math.inf, 2)
    np.testing.assert_array_equal(over_three.pairs(1).deaths[same], plane.vertices[2][-1])


def test_a_sphere_is_the_boundary_of_nothing() -> None:
    sphere = FilteredComplex.complete(4, [np.zeros(4), np.ones(6), np.full(4, 2.0)])
    assert terms(sphere.barcode(3, max_index=2).cycle(2, 0)) == {
        (0, 1, 2): 2,
        (0, 1, 3): 1,
        (0, 2, 3): 2,
        (1, 2, 3): 1,
    }


# --- by definition


@pytest.mark.parametrize("p", [2, 3, 11])
@settings(max_examples=MANY)
@given(arrays=small)
def test_cycles_are_what_defines_them(p: int, arrays: Arrays) -> None:
    assert_cycles(FilteredComplex(*arrays), arrays, p)


@pytest.mark.parametrize("p", [2, 3, LARGEST_PRIME])
@given(seed=st.integers(0, 2**32), levels=st.sampled_from([0, 3]))
def test_cycles_where_torsion_comes_and_goes(p: int, seed: int, levels: int) -> None:
    arrays = filtered(PROJECTIVE_PLANE, np.random.default_rng(seed), levels)
    assert_cycles(FilteredComplex(*arrays), arrays, p)


@pytest.mark.parametrize("identify", ["klein", "torus"])
def test_cycles_of_surfaces(identify: str) -> None:
    for p in (2, 3):
        arrays = filtered(surface(identify), np.random.default_rng(7), 4)
        assert_cycles(FilteredComplex(*arrays), arrays, p)


@given(arrays=full_complexes(most=6))
def test_complete_complexes_need_no_list_of_simplices(arrays: Arrays) -> None:
    complex = FilteredComplex.complete(len(arrays.vertices[0]), arranged(arrays))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Complete, "__getitem__", None)
        patched.setattr(Complete, "facets", None)
        assert_cycles(complex, arrays, 3)


def boundary_of(chain: Chain) -> dict[tuple[int, ...], int]:
    found: dict[tuple[int, ...], int] = {}
    for simplex, coefficient in terms(chain).items():
        for i in range(len(simplex)):
            facet = simplex[:i] + simplex[i + 1 :]
            found[facet] = (found.get(facet, 0) + (-1) ** i * coefficient) % chain.field
    return {facet: coefficient for facet, coefficient in found.items() if coefficient}


@pytest.mark.parametrize("p", [2, 3, LARGEST_PRIME])
@pytest.mark.parametrize("complete", [True, False])
def test_long_columns(complete: bool, p: int) -> None:
    """Terms, waiting columns and the stack outgrow their first buffers."""
    rng = np.random.default_rng(3)
    arrays = filtered(full(12, 3) if complete else sparse(30, 3, 150, rng), rng, 0)
    complex = FilteredComplex(*arrays)
    assert isinstance(complex.vertices, Complete) == complete
    barcode = complex.barcode(p, keep_zero=True, max_index=complex.dim)
    value = {
        tuple(row): (height, row[::-1])
        for rows, heights in zip(*arrays, strict=True)
        for row, height in zip(rows.tolist(), heights.tolist(), strict=True)
    }
    longest = 0
    for r in range(1, 4):
        births = barcode.pairs(r).births.tolist()
        for i in range(len(births))[:: 1 if complete else 3]:
            cycle = barcode.cycle(r, i)
            assert not boundary_of(cycle)
            assert max(terms(cycle), key=lambda simplex: value[simplex]) == tuple(births[i])
            assert terms(cycle)[tuple(births[i])] == 1
            longest = max(longest, len(cycle))
    assert longest > 30


@pytest.mark.parametrize("p", [2, 3])
def test_buffers_that_are_always_too_small(p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = filtered(full(9, 3), np.random.default_rng(1), 0)
    expected = all_bars(FilteredComplex(*arrays).barcode(p, keep_zero=True, max_index=3))
    monkeypatch.setattr(reduction.persistence.boundary_reduction, "TERMS", 1)
    monkeypatch.setattr(reduction.persistence.boundary_reduction, "AT_ONCE", 1)  # and pauses
    assert all_bars(FilteredComplex(*arrays).barcode(p, keep_zero=True, max_index=3)) == expected


# --- on request, and once


@given(arrays=small)
def test_what_was_asked_before_does_not_matter(arrays: Arrays) -> None:
    barcode = FilteredComplex(*arrays).barcode(3, keep_zero=True)
    for bar in all_bars(barcode)[:20]:
        fresh = FilteredComplex(*arrays).barcode(3, keep_zero=True)
        at = fresh.pairs(bar.r).births.tolist().index(list(bar.birth))
        assert terms(fresh.cycle(bar.r, at)) == bar.terms


def test_columns_are_reduced_on_request_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    found: list[int] = []
    reduce_some = ReducedBoundary._reduce

    def count(
        self: ReducedBoundary, columns: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        found = reduce_some(self, columns, rows)
        opened.append(int((self._reduced.begin >= 0).sum()))
        return found

    def search(filtration: Filtration, field: int, max_index: int) -> list[Pairing]:
        found.append(max_index)
        return pairings(filtration, field, max_index)

    monkeypatch.setattr(ReducedBoundary, "_reduce", count)
    arrays = filtered(full(12, 3), np.random.default_rng(2), 0)
    barcode = FilteredComplex(*arrays).barcode(keep_zero=True)
    assert not opened
    monkeypatch.setattr("reduction.persistence.cycles.pairings", search)
    bars = len(barcode[2])
    first = [barcode.cycle(2, i) for i in range(bars)]
    assert opened[0] < bars / 4
    assert opened == sorted(set(opened))  # each request reduces what no other has
    assert opened[-1] == bars
    again = [barcode.cycle(2, i) for i in range(bars)]
    assert [terms(chain) for chain in first] == [terms(chain) for chain in again]
    assert opened[-1] == bars
    barcode.cycle(1, 0)
    barcode.cycle(0, 0)
    assert found == [2]


def test_reduction_goes_deeper_than_pythons_stack() -> None:
    """Edge k joins k - 2 to k, and ends the class of k - 1: its column waits for that of k - 1."""
    n = 5_000
    edges = np.column_stack([np.maximum(np.arange(n - 1) - 1, 0), np.arange(1, n)])
    values = [np.arange(n)[::-1] / n, np.arange(1.0, n)]  # vertices the later the lower, edges not
    barcode = FilteredComplex([np.arange(n)[:, None], edges], values).barcode()
    last = barcode.pairs(0).deaths.tolist().index([n - 3, n - 1])
    assert terms(barcode.cycle(0, last)) == {(n - 2,): 1, (n - 1,): 1}
    assert barcode._cycles is not None
    assert barcode._cycles._reduced[1]._stack.column.size > n - 2


# --- what it is, and what it refuses


def test_chains_are_read_only() -> None:
    cycle = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]]).barcode().cycle(1, 0)
    assert (cycle.simplices.dtype, cycle.coefficients.dtype) == (np.int64, np.int64)
    assert not cycle.simplices.flags.writeable
    assert not cycle.coefficients.flags.writeable
    with pytest.raises(AttributeError):
        cycle.field = 3  # pyright: ignore[reportAttributeAccessIssue]


@given(arrays=small)
def test_simplices_stand_in_colexicographic_order(arrays: Arrays) -> None:
    barcode = FilteredComplex([rows * 3 + 7 for rows in arrays.vertices], arrays.values).barcode()
    for r in range(len(barcode)):
        for i in range(len(barcode[r])):
            rows = barcode.cycle(r, i).simplices.tolist()
            assert rows == sorted(rows, key=lambda row: row[::-1])


def test_a_barcode_with_critical_points_keeps_its_cycles() -> None:
    examined = mixed()
    assert examined.ends(1) is not None
    assert all_bars(examined) == all_bars(bare())


def test_copies_keep_their_cycles() -> None:
    barcode = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]]).barcode()
    expected = terms(barcode.cycle(1, 0))
    for twin in (copy.deepcopy(barcode), pickle.loads(pickle.dumps(barcode))):
        assert terms(twin.cycle(1, 0)) == expected


def test_a_barcode_without_a_complex_has_no_cycles(tmp_path: Path) -> None:
    barcode = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3], [5]]).barcode()
    barcode.save(tmp_path / "barcode.json")
    by_hand = Barcode(barcode.bars, [barcode.pairs(r) for r in range(2)], 2)
    for other in (Barcode.load(tmp_path / "barcode.json"), by_hand):
        with pytest.raises(BarcodeError, match=r"hand or of a ChainComplex, and has none; ask the"):
            other.cycle(1, 0)


def test_what_does_not_fit_is_refused_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = filtered(full(12, 3), np.random.default_rng(2), 0)
    barcode = FilteredComplex(*arrays).barcode()
    expected = [terms(barcode.cycle(2, i)) for i in range(len(barcode[2]))]
    fresh = FilteredComplex(*arrays).barcode()
    monkeypatch.setattr(reduction.persistence.boundary_reduction, "TERMS", 8)
    fresh.cycle(2, 0)

    def all_cycles() -> list[dict[tuple[int, ...], int]]:
        return [terms(fresh.cycle(2, i)) for i in range(len(expected))]

    with monkeypatch.context() as patched:
        patched.setattr("reduction.memory.available", lambda: 0)
        with pytest.raises(CapacityError, match="terms of columns needs"):
            all_cycles()
        with pytest.raises(CapacityError, match="boundary columns needs"):
            fresh.cycle(1, 0)
    assert all_cycles() == expected


def test_labels_are_those_of_the_complex() -> None:
    edges = [[5, 9], [5, 70], [9, 70]]
    barcode = FilteredComplex([[[5], [70], [9]], edges], [[0, 0, 0], [1, 1, 1]]).barcode(
        max_index=1
    )
    assert terms(barcode.cycle(1, 0)) == {(5, 9): 1, (5, 70): 1, (9, 70): 1}
