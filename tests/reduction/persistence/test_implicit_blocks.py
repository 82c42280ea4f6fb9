"""Reduction by blocks: that it is used, finds the pairs of the matrix, and keeps within memory."""

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reduction import FilteredComplex
from reduction.kernels.blocks import END, MOST_ROWS, Summands
from reduction.kernels.cursors import Chains
from reduction.kernels.residues import (
    ROWS,
    add_multiple,
    add_residue,
    clear_before,
    empty_blocks,
    find_residue,
    find_row,
)
from reduction.persistence.implicit_blocks import _summands as summands_of
from reduction.persistence.implicit_blocks import reduce_by_blocks
from tests.oracles.complexes import PROJECTIVE_PLANE, Arrays, filtered, full
from tests.reduction.complete import FIELDS, INTERPRETED, arranged, explicit, implicit, long_columns


@pytest.mark.parametrize(("n", "seed"), [(10, 0), (10, 1), (10, 5), (12, 0)])
def test_blocks_go_on_with_chains_that_lack_simplices(n: int, seed: int) -> None:
    """With few cofacets some simplices of a chain have none behind its pivot, and are left out.

    What they would cancel before the pivot shows where it falls into the word of the pivot: among
    10 points.
    """
    n, dim = (n - 2, 4) if INTERPRETED else (n, 5)
    complex = long_columns(n, dim, seed)
    expected = explicit(complex, 2, dim)
    for threads, limit in product((1, 2, 3), (10, 30, 100, 300, 1000)):
        found = implicit(complex, 2, dim, threads=threads, step_limit=limit)
        assert found == expected, (threads, limit)


def test_blocks_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else cursors would find the same pairs, and nothing here would fail."""
    found = watched_blocks(monkeypatch)
    complex = long_columns(9, 3, 20271)
    for p in FIELDS:
        implicit(complex, p, 2, step_limit=0)
        assert found == [True, True]
        found.clear()


@pytest.mark.parametrize("p", [3, 5, 127, 2**31 - 1])
@pytest.mark.parametrize("seed", range(5))
def test_pivots_other_than_one_are_normalised(
    p: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A projective plane comes before all else, whose second cohomology over Z is Z/2: one pivot is
    2 or -2, where among random values all are 1 or -1. If it stayed so, blocks would fill up."""
    found = watched_blocks(monkeypatch)
    n, rng = 8, np.random.default_rng(20274 + seed)
    vertices = full(n, 3)
    values = [k + rng.random(len(rows)) for k, rows in enumerate(vertices)]
    plane = PROJECTIVE_PLANE[2].tolist()
    values[2][[row not in plane for row in vertices[2].tolist()]] += 1
    values[3] += 1
    values[0][:] = 0
    complex = FilteredComplex.complete(n, arranged(Arrays(vertices, values)))
    assert implicit(complex, p, 2, step_limit=0) == explicit(complex, p, 2)
    assert found == [True, True]


def watched_blocks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A list that takes up, for each dimension, whether blocks had enough memory."""
    found = list[bool]()

    def watched(*arguments: Any) -> NDArray[np.int64] | None:
        pivots = reduce_by_blocks(*arguments)
        found.append(pivots is not None)
        return pivots

    monkeypatch.setattr("reduction.persistence.implicit.reduce_by_blocks", watched)
    return found


@pytest.mark.parametrize("p", FIELDS)
def test_cursors_go_on_where_blocks_outgrow_their_memory(
    p: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever buffer is full."""
    n = 10 if INTERPRETED else 24
    complex = long_columns(n, 3, 20264)
    expected = implicit(complex, p, 2, step_limit=np.inf)

    outcomes = watched_blocks(monkeypatch)
    lists = 4 * complex.values[2].size * (n - 2)
    for k in range(0, 30, 2):
        monkeypatch.setattr(
            "reduction.persistence.implicit_blocks.available", lambda free=lists + 2**k: free
        )
        assert implicit(complex, p, 2, step_limit=0) == expected, k
    assert set(outcomes) == {True, False}


@pytest.mark.parametrize("p", [2, 127])
def test_a_column_of_more_summands_than_their_buffer_holds_is_left_to_cursors(
    p: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes, sizes = watched_blocks(monkeypatch), list[int]()
    complex = long_columns(12, 3, 20275)
    expected = implicit(complex, p, 2, step_limit=np.inf)

    def bounded(size: int, most: int, chains: Chains, buffer: int) -> Summands:
        sizes.append(most)
        return summands_of(size, buffer if len(sizes) % 2 == 0 else most, chains)

    for buffer in (8, 12, 16, 200):
        monkeypatch.setattr(
            "reduction.persistence.implicit_blocks._summands", partial(bounded, buffer=buffer)
        )
        assert implicit(complex, p, 2, step_limit=0) == expected, buffer
    assert outcomes == [True, False] * 3 + [True, True]


def test_an_error_of_memory_leaves_columns_to_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: Any) -> None:
        raise MemoryError

    complex = long_columns(9, 3, 20272)
    expected = implicit(complex, 2, 2, step_limit=np.inf)
    monkeypatch.setattr("reduction.persistence.implicit_blocks._workspace", short)
    assert implicit(complex, 2, 2, step_limit=0) == expected


def test_twice_a_rank_is_before_the_end_of_a_list() -> None:
    assert 2 * (MOST_ROWS + ROWS) <= END <= np.iinfo(np.int32).max


@pytest.mark.parametrize("p", [2, 3, 5, 127, 131, 65537, 2**31 - 1])
def test_blocks_add_as_residues_do(p: int) -> None:
    rng = np.random.default_rng(20265)
    block, others, buffer = empty_blocks(3, p)
    block[:] = others[:] = 0
    expected, added = rng.integers(0, p, ROWS), rng.integers(0, p, ROWS)
    for residues, target in ((expected, block), (added, others)):
        residues[rng.random(ROWS) < 0.5] = p - 1
        residues[:700] = 0
        for row, residue in enumerate(residues.tolist()):
            if residue:
                add_residue(residue, row, target, p)
    for multiple in {1, p // 2, p - 1} - {0}:
        add_multiple(multiple, others, block, buffer, p)
        expected = (expected + multiple * added) % p
        found = [find_residue(row, block, p) for row in range(ROWS)]
        np.testing.assert_array_equal(found, expected)
        assert find_row(0, block, p) == find_row(700, block, p) == np.flatnonzero(expected)[0]
    for row in (0, 1, 700, 1023, 1024, ROWS - 1, ROWS):
        clear_before(row, block, p)
        expected[:row] = 0
        found = [find_residue(row, block, p) for row in range(ROWS)]
        np.testing.assert_array_equal(found, expected)
    assert find_row(0, block, p) == ROWS


@pytest.mark.parametrize("p", [2] if INTERPRETED else FIELDS)
def test_cursors_and_blocks_find_the_same_pairs(p: int) -> None:
    n = 20 if INTERPRETED else 45
    arrays = filtered(full(n, 3), np.random.default_rng(4), 0)
    complex = FilteredComplex.complete(n, arranged(arrays))
    assert implicit(complex, p, 2, step_limit=np.inf) == implicit(complex, p, 2, step_limit=0)
