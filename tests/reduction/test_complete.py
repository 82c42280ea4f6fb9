"""Complete complexes: every shortcut of their engine against GUDHI and reduced matrices."""

import os
from functools import partial
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import CapacityError, FilteredComplex, FiltrationError
from reduction.complete import coboundary, complete_pairings
from reduction.kernels.cursors import Chains
from reduction.kernels.residues import (
    ROWS,
    add_multiple,
    add_residue,
    clear_before,
    find_residue,
    find_row,
    room_for_windows,
)
from reduction.kernels.tables import find_place
from reduction.kernels.windows import END, MOST_ROWS, Summands
from reduction.matrix import matrix_pairings
from reduction.order import ascending_order, filtration_order
from reduction.packed import _summands as summands_of
from reduction.packed import reduce_packed
from reduction.pairing import Pairing
from reduction.room import enlarged
from reduction.simplices import Complete
from tests.oracles.complexes import PROJECTIVE_PLANE, Arrays, filtered, full
from tests.reduction.test_persistence import gudhi_bars

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT") == "1"
FIELDS = (2, 3, 127, 2**31 - 1)  # windows hold bits, bytes and 32-bit numbers
WAYS: list[dict[str, Any]] = [
    {},
    {"threads": 1, "patience": np.inf},
    {"threads": 2, "patience": 0},
    {"threads": 3, "patience": 3},
    {"threads": 5, "patience": 300},
]


def positions(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """sum_i C(v_i, i+1), by the definition."""
    return np.array([sum(comb(v, i + 1) for i, v in enumerate(row)) for row in rows.tolist()], int)


def arranged(arrays: Arrays) -> list[NDArray[np.float64]]:
    """Values of a complete complex in the order in which `complete` takes them."""
    return [values[np.argsort(positions(rows))] for rows, values in zip(*arrays, strict=True)]


@st.composite
def complete_arrays(draw: st.DrawFn) -> Arrays:
    """Complete skeletons of 2 to 9 vertices, dimension 1 to 5; with ties in most."""
    n = draw(st.integers(2, 9))
    dim = draw(st.integers(1, min(n - 1, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return filtered(full(n, dim), rng, draw(st.sampled_from([0, 0, 1, 2, 6])))


def summary(pairing: Pairing) -> set[tuple[int, int]]:
    """Births and deaths, -1 for none; no birth twice."""
    deaths = np.concatenate(
        [pairing.deaths, np.full(pairing.births.size - pairing.deaths.size, -1)]
    )
    pairs = set(zip(pairing.births.tolist(), deaths.tolist(), strict=True))
    assert len(pairs) == pairing.births.size
    return pairs


def assert_all_ways_agree(complex: FilteredComplex, p: int) -> None:
    assert isinstance(complex.vertices, Complete)
    expected = [summary(pairing) for pairing in matrix_pairings(complex, p, complex.dim)]
    for way in WAYS:
        found = complete_pairings(complex.vertices, complex.values, p, complex.dim, **way)
        assert [summary(pairing) for pairing in found] == expected, way


@pytest.mark.parametrize("p", FIELDS)
@given(arrays=complete_arrays())
def test_every_way_of_reduction_finds_the_pairs_of_the_matrix(p: int, arrays: Arrays) -> None:
    n = len(arrays.vertices[0])
    assert_all_ways_agree(FilteredComplex.complete(n, arranged(arrays)), p)


@pytest.mark.parametrize("p", [2, 3, 11])
@given(arrays=complete_arrays())
def test_barcodes_agree_with_gudhi(p: int, arrays: Arrays) -> None:
    complex = FilteredComplex.complete(len(arrays.vertices[0]), arranged(arrays))
    barcode = complex.barcode(p, keep_zero=True, max_index=complex.dim)
    for bars, expected in zip(barcode, gudhi_bars(arrays, p), strict=True):
        np.testing.assert_array_equal(bars, expected)


@pytest.mark.parametrize("p", FIELDS)
@pytest.mark.parametrize(("n", "dim"), [(30, 2), (18, 3), (12, 5)])
@pytest.mark.parametrize("levels", [0, 5])
def test_long_columns_agree_with_the_matrix(n: int, dim: int, levels: int, p: int) -> None:
    """Vertices at 0 make the columns as long as they get: room for terms runs out."""
    if INTERPRETED and p > 2:
        n -= dim + 1
    rng = np.random.default_rng(20240109)
    arrays = filtered(full(n, dim), rng, levels)
    values = arranged(arrays)
    values[0][:] = 0
    assert_all_ways_agree(FilteredComplex.complete(n, values), p)


@pytest.mark.parametrize(("n", "seed"), [(10, 0), (10, 1), (10, 5), (12, 0)])
def test_windows_go_on_with_chains_that_lack_simplices(n: int, seed: int) -> None:
    """With few cofacets some simplices of a chain have none behind its pivot, and are left out.

    What they would cancel before the pivot shows where it falls into the word of the pivot: among
    10 points.
    """
    n, dim = (n - 2, 4) if INTERPRETED else (n, 5)
    values = arranged(filtered(full(n, dim), np.random.default_rng(seed), 0))
    values[0][:] = 0
    complex = FilteredComplex.complete(n, values)
    assert isinstance(complex.vertices, Complete)
    expected = list(map(summary, matrix_pairings(complex, 2, dim)))
    for threads in (1, 2, 3):
        for patience in (10, 30, 100, 300, 1000):
            found = complete_pairings(
                complex.vertices, complex.values, 2, dim, threads=threads, patience=patience
            )
            assert list(map(summary, found)) == expected, (threads, patience)


def test_windows_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else cursors would find the same pairs, and nothing here would fail."""
    found = watched_windows(monkeypatch)
    values = arranged(filtered(full(9, 3), np.random.default_rng(20271), 0))
    values[0][:] = 0
    complex = FilteredComplex.complete(9, values)
    assert isinstance(complex.vertices, Complete)
    for p in FIELDS:
        complete_pairings(complex.vertices, complex.values, p, 2, patience=0)
        assert found == [True, True]
        found.clear()


@pytest.mark.parametrize("p", [3, 5, 127, 2**31 - 1])
@pytest.mark.parametrize("seed", range(5))
def test_pivots_other_than_one_are_normalised(
    p: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A projective plane comes before all else, whose second cohomology over Z is Z/2: one pivot is
    2 or -2, where among random values all are 1 or -1. If it stayed so, windows would fill up."""
    found = watched_windows(monkeypatch)
    n, rng = 8, np.random.default_rng(20274 + seed)
    vertices = full(n, 3)
    values = [k + rng.random(len(rows)) for k, rows in enumerate(vertices)]
    plane = PROJECTIVE_PLANE[2].tolist()
    values[2][[row not in plane for row in vertices[2].tolist()]] += 1
    values[3] += 1
    values[0][:] = 0
    complex = FilteredComplex.complete(n, arranged(Arrays(vertices, values)))
    assert isinstance(complex.vertices, Complete)
    expected = matrix_pairings(complex, p, 2)
    pairings = complete_pairings(complex.vertices, complex.values, p, 2, patience=0)
    assert list(map(summary, pairings)) == list(map(summary, expected))
    assert found == [True, True]


def watched_windows(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A list that takes up, for each dimension, whether windows had enough room."""
    found = list[bool]()

    def watched(*arguments: Any) -> NDArray[np.int64] | None:
        pivots = reduce_packed(*arguments)
        found.append(pivots is not None)
        return pivots

    monkeypatch.setattr("reduction.complete.reduce_packed", watched)
    return found


@pytest.mark.skipif(INTERPRETED, reason="too many columns for it")
@pytest.mark.parametrize("p", FIELDS)
def test_cursors_go_on_where_windows_outgrow_their_room(
    p: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is that there is no room for."""
    n = 24
    values = arranged(filtered(full(n, 3), np.random.default_rng(20264), 0))
    values[0][:] = 0
    complex = FilteredComplex.complete(n, values)
    assert isinstance(complex.vertices, Complete)
    expected = complete_pairings(complex.vertices, complex.values, p, 2, patience=np.inf)

    outcomes = watched_windows(monkeypatch)
    lists = 4 * values[2].size * (n - 2)
    for k in range(0, 30, 2):
        monkeypatch.setattr("reduction.packed.available", lambda free=lists + 2**k: free)
        found = complete_pairings(complex.vertices, complex.values, p, 2, patience=0)
        assert list(map(summary, found)) == list(map(summary, expected)), k
    assert set(outcomes) == {True, False}


@pytest.mark.parametrize("p", [2, 127])
def test_a_column_of_more_summands_than_there_is_room_for_is_left_to_cursors(
    p: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes, rooms = watched_windows(monkeypatch), list[int]()
    values = arranged(filtered(full(12, 3), np.random.default_rng(20275), 0))
    values[0][:] = 0
    complex = FilteredComplex.complete(12, values)
    assert isinstance(complex.vertices, Complete)
    expected = complete_pairings(complex.vertices, complex.values, p, 2, patience=np.inf)

    def bounded(size: int, most: int, chains: Chains, room: int) -> Summands:
        rooms.append(most)
        return summands_of(size, room if len(rooms) % 2 == 0 else most, chains)

    for room in (8, 12, 16, 200):
        monkeypatch.setattr("reduction.packed._summands", partial(bounded, room=room))
        found = complete_pairings(complex.vertices, complex.values, p, 2, patience=0)
        assert list(map(summary, found)) == list(map(summary, expected)), room
    assert outcomes == [True, False] * 3 + [True, True]


def test_an_error_of_memory_leaves_columns_to_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: Any) -> None:
        raise MemoryError

    values = arranged(filtered(full(9, 3), np.random.default_rng(20272), 0))
    values[0][:] = 0
    complex = FilteredComplex.complete(9, values)
    assert isinstance(complex.vertices, Complete)
    expected = complete_pairings(complex.vertices, complex.values, 2, 2, patience=np.inf)
    monkeypatch.setattr("reduction.packed._room", short)
    found = complete_pairings(complex.vertices, complex.values, 2, 2, patience=0)
    assert list(map(summary, found)) == list(map(summary, expected))


def test_twice_a_rank_is_before_the_end_of_a_list() -> None:
    assert 2 * (MOST_ROWS + ROWS) <= END <= np.iinfo(np.int32).max


def test_terms_that_outgrow_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    values = arranged(filtered(full(14, 3), np.random.default_rng(20273), 0))
    values[0][:] = 0
    complex = FilteredComplex.complete(14, values)
    assert isinstance(complex.vertices, Complete)

    def short(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
        monkeypatch.setattr("reduction.memory.available", lambda: 0)
        return enlarged(*arrays)

    monkeypatch.setattr("reduction.columns.enlarged", short)
    with pytest.raises(CapacityError, match=r"[0-9]+ terms of columns needs .* GB of memory"):
        complete_pairings(complex.vertices, complex.values, 2, 2, threads=1, patience=np.inf)


@pytest.mark.parametrize("levels", [0, 40])
def test_many_points_agree_with_the_matrix(levels: int) -> None:
    """So many that a pass takes pairs (v0, v1) in parts, and cofacets one by one in the end."""
    n = 20 if INTERPRETED else 90
    arrays = filtered(full(n, 2), np.random.default_rng(20262), levels)
    complex = FilteredComplex.complete(n, arranged(arrays))
    assert_all_ways_agree(complex, 2)


def test_positions_beyond_32_bits_take_64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is moved below the size of a small complex; long columns need rows of their own."""
    monkeypatch.setattr("reduction.simplices.FEWEST_WIDE", 1000)
    n = 9 if INTERPRETED else 20
    complex = FilteredComplex.complete(
        n, arranged(filtered(full(n, 3), np.random.default_rng(20261), 0))
    )
    assert isinstance(complex.vertices, Complete)
    d = coboundary(complex.vertices, complex.values, 2, 2, 1)
    assert d.first["note"].dtype == np.int64
    found = complete_pairings(complex.vertices, complex.values, 2, 2, patience=np.inf)
    monkeypatch.undo()
    narrow = coboundary(complex.vertices, complex.values, 2, 2, 1)
    assert narrow.first["note"].dtype == np.int32
    np.testing.assert_array_equal(narrow.first["note"], d.first["note"])
    expected = complete_pairings(complex.vertices, complex.values, 2, 2, patience=np.inf)
    assert list(map(summary, found)) == list(map(summary, expected))


@given(arrays=complete_arrays())
def test_first_cofacets_are_the_earliest_in_order(arrays: Arrays) -> None:
    n, values = len(arrays.vertices[0]), arranged(arrays)
    r = len(values) - 2
    if r < 1:
        return
    complex = FilteredComplex.complete(n, values)
    assert isinstance(complex.vertices, Complete)
    d = coboundary(complex.vertices, complex.values, r, 2, 2)
    for simplex in range(values[r].size):
        rows, signs = np.nonzero(complex.facets(r + 1) == simplex)
        order = np.lexsort((rows, values[r + 1][rows]))[: d.first["note"].shape[1]]
        known = d.first[simplex]
        np.testing.assert_array_equal(known["value"][: order.size], values[r + 1][rows[order]])
        notes = 2 * rows[order] + (signs[order] & 1)
        np.testing.assert_array_equal(known["note"][: order.size], notes)
        assert (known["value"][order.size :] == np.inf).all()


@pytest.mark.parametrize("levels", [0, 40])
def test_first_cofacets_among_many_are_the_earliest(levels: int) -> None:
    """More new vertices than are added in step, more pairs (v0, v1) than are taken at a time."""
    n = 30 if INTERPRETED else 70
    rng = np.random.default_rng(20263)
    sizes = [comb(n, r + 1) for r in range(4)]
    numbers = [rng.integers(0, levels, m) if levels else rng.random(m) for m in sizes]
    values = [row.astype(np.float64) for row in numbers]
    d = coboundary(Complete(np.arange(n), 3), values, 2, 2, 2)
    for simplex in rng.choice(n, (100, 3), replace=True):
        if len(set(simplex.tolist())) < 3:
            continue
        facet = np.sort(simplex)
        new = np.setdiff1d(np.arange(n), facet)
        cofacets = np.sort(np.column_stack([np.tile(facet, (new.size, 1)), new]), axis=1)
        rows, signs = positions(cofacets), np.argmax(cofacets == new[:, None], axis=1) & 1
        order = np.lexsort((rows, values[3][rows]))[: d.first["note"].shape[1]]
        known = d.first[positions(facet[None])[0]]
        np.testing.assert_array_equal(known["value"], values[3][rows[order]])
        np.testing.assert_array_equal(known["note"], 2 * rows[order] + signs[order])


def test_negative_zero_equals_zero() -> None:
    rng = np.random.default_rng(5)
    values = [np.where(rng.random(comb(7, r + 1)) < 0.5, -0.0, 0.0) for r in range(4)]
    assert_all_ways_agree(FilteredComplex.complete(7, values), 2)


def test_extreme_values_are_in_order() -> None:
    """Nearly the whole range of float64, so that differences overflow; and its smallest steps."""
    for scale, shift in ((1.7e308, -0.5), (5e-324 * 2**20, 0.0), (1e-7, 1e9)):
        arrays = filtered(full(8, 3), np.random.default_rng(8), 0)
        top = max(values.max() for values in arrays.values)
        values = [(row / top + shift) * scale for row in arranged(arrays)]
        assert_all_ways_agree(FilteredComplex.complete(8, values), 3)


@given(
    m=st.integers(0, 300),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["random", "ties", "tight", "clustered", "wide"]),
)
def test_filtration_order_is_a_stable_sort(m: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    kinds: dict[str, Any] = {
        "random": rng.random(m),
        "ties": rng.integers(0, 3, m) * 1.0,
        "tight": 1e9 + rng.random(m) * 1e-7,
        "clustered": np.append(rng.random(m) * 1e-300, 1.0),
        "wide": rng.choice([-1.7e308, 0.0, -0.0, 1.7e308], m),
    }
    values = kinds[kind]
    np.testing.assert_array_equal(filtration_order(values), np.argsort(values, kind="stable"))


@given(
    m=st.integers(1, 300),
    seed=st.integers(0, 2**32),
    bounds=st.sampled_from([(0, 5), (0, 2**11), (0, 2**40), (2**61, 2**62), (-3, 2**20)]),
)
def test_ascending_order_is_a_stable_sort(m: int, seed: int, bounds: tuple[int, int]) -> None:
    keys = np.random.default_rng(seed).integers(*bounds, m)
    order = ascending_order(keys.copy())
    expected = np.argsort(keys, kind="stable")
    if order is None:
        assert (np.diff(keys) > 0).all()
    else:
        np.testing.assert_array_equal(order, expected)


# --- what a complete complex is


@given(arrays=complete_arrays(), stride=st.integers(1, 5))
def test_a_complete_complex_is_recognised_whatever_its_labels(arrays: Arrays, stride: int) -> None:
    listed = FilteredComplex([rows * stride + 3 for rows in arrays.vertices], arrays.values)
    made = FilteredComplex.complete(len(arrays.vertices[0]), arranged(arrays))
    assert isinstance(listed.vertices, Complete)
    for r in range(made.dim + 1):
        np.testing.assert_array_equal(listed.vertices[r], made.vertices[r] * stride + 3)
        np.testing.assert_array_equal(listed.values[r], made.values[r])
        at = np.arange(made.counts[r])[::-2]
        np.testing.assert_array_equal(listed.vertices.rows(r, at), listed.vertices[r][at])
    for r in range(1, made.dim + 1):
        for k in range(r + 1):
            np.testing.assert_array_equal(
                made.vertices[r - 1][made.facets(r)[:, k]], np.delete(made.vertices[r], k, axis=1)
            )


def test_one_missing_simplex_makes_a_list() -> None:
    arrays = filtered(full(5, 2), np.random.default_rng(3), 0)
    short = FilteredComplex(
        [*arrays.vertices[:2], arrays.vertices[2][1:]], [*arrays.values[:2], arrays.values[2][1:]]
    )
    assert not isinstance(short.vertices, Complete)
    assert len(short.vertices) == 3


def test_values_are_copied_unless_nobody_writes_to_them(tmp_path: Path) -> None:
    values = [np.zeros(4), np.ones(6)]
    values[1].flags.writeable = False
    complex = FilteredComplex.complete(4, values)
    assert not np.shares_memory(complex.values[0], values[0])
    assert np.shares_memory(complex.values[1], values[1])
    mapped = np.memmap(tmp_path / "values", np.float64, "w+", shape=(6,))
    mapped[:] = 1
    complex = FilteredComplex.complete(4, [np.zeros(4), mapped])
    assert np.shares_memory(complex.values[1], mapped)
    assert not complex.values[1].flags.writeable
    assert complex.barcode()[0].tolist() == [[0, 1]] * 3 + [[0, np.inf]]


def test_values_in_strides_or_of_other_types_are_copied() -> None:
    strided = np.ones(12)[::2]
    strided.flags.writeable = False
    swapped = np.ones(6, ">f8")
    swapped.flags.writeable = False
    for edges in (strided, swapped, np.ones(6, np.float32), [1] * 6):
        complex = FilteredComplex.complete(4, [np.zeros(4), edges])
        assert complex.values[1].flags.c_contiguous
        assert complex.values[1].dtype == np.float64
        assert complex.barcode()[0].tolist() == [[0, 1]] * 3 + [[0, np.inf]]


@given(arrays=complete_arrays(), data=st.data())
def test_the_first_violation_is_named(arrays: Arrays, data: st.DataObject) -> None:
    n, values = len(arrays.vertices[0]), arranged(arrays)
    r = data.draw(st.integers(1, len(values) - 1))
    i = data.draw(st.integers(0, values[r].size - 1))
    height = values[r][i]
    values[r][i] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    with pytest.raises(FiltrationError, match=rf"values\[{r}\]\[{i}\] is"):
        FilteredComplex.complete(n, values)
    values[r][i] = height - 1e3
    simplex = full(n, r)[r]
    name = tuple(simplex[np.argsort(positions(simplex))][i].tolist())
    with pytest.raises(FiltrationError, match="a face is not above its simplex") as caught:
        FilteredComplex.complete(n, values)
    assert f"of {name};" in str(caught.value)


# --- windows and tables


@pytest.mark.parametrize("p", [2, 3, 5, 127, 131, 65537, 2**31 - 1])
def test_windows_add_as_residues_do(p: int) -> None:
    rng = np.random.default_rng(20265)
    window, others, room = room_for_windows(3, p)
    window[:] = others[:] = 0
    expected, added = rng.integers(0, p, ROWS), rng.integers(0, p, ROWS)
    for residues, target in ((expected, window), (added, others)):
        residues[rng.random(ROWS) < 0.5] = p - 1
        residues[:700] = 0
        for row, residue in enumerate(residues.tolist()):
            if residue:
                add_residue(residue, row, target, p)
    for multiple in {1, p // 2, p - 1} - {0}:
        add_multiple(multiple, others, window, room, p)
        expected = (expected + multiple * added) % p
        found = [find_residue(row, window, p) for row in range(ROWS)]
        np.testing.assert_array_equal(found, expected)
        assert find_row(0, window, p) == find_row(700, window, p) == np.flatnonzero(expected)[0]
    for row in (0, 1, 700, 1023, 1024, ROWS - 1, ROWS):
        clear_before(row, window, p)
        expected[:row] = 0
        found = [find_residue(row, window, p) for row in range(ROWS)]
        np.testing.assert_array_equal(found, expected)
    assert find_row(0, window, p) == ROWS


@given(st.lists(st.integers(0, 10**12), max_size=40, unique=True))
def test_a_table_finds_what_was_put_into_it(keys: list[int]) -> None:
    array, table = np.array(keys, np.int64), np.full(64, -1, np.int32)
    for k, key in enumerate(keys):
        place = find_place(key, table, array)
        assert table[place] == -1
        table[place] = k
    assert [table[find_place(key, table, array)] for key in keys] == list(range(len(keys)))


@pytest.mark.parametrize("p", [2] if INTERPRETED else FIELDS)
def test_cursors_and_windows_find_the_same_pairs(p: int) -> None:
    n = 20 if INTERPRETED else 45
    arrays = filtered(full(n, 3), np.random.default_rng(4), 0)
    complex = FilteredComplex.complete(n, arranged(arrays))
    assert isinstance(complex.vertices, Complete)
    short = complete_pairings(complex.vertices, complex.values, p, 2, patience=np.inf)
    packed = complete_pairings(complex.vertices, complex.values, p, 2, patience=0)
    assert list(map(summary, short)) == list(map(summary, packed))


def test_what_does_not_fit_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    complex = FilteredComplex.complete(
        9, arranged(filtered(full(9, 2), np.random.default_rng(1), 0))
    )
    monkeypatch.setattr("reduction.memory.available", lambda: 100)
    with pytest.raises(
        CapacityError, match=r"reducing 36 columns needs .* GB of memory, but .* take"
    ):
        complex.barcode()
    with pytest.raises(CapacityError, match="a copy of the 84 values of dimension 2 needs"):
        FilteredComplex.complete(9, [*complex.values[:2], complex.values[2].copy()])
