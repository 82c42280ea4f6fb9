"""Reduction of a sparse coboundary matrix over Z/p.

Columns are reduced from the last simplex to the first; each is the coboundary of an r-simplex, its
rows are (r+1)-simplices in filtration order. The working column is a set of rows (`bits`) and, for
p > 2, a residue for each row. Reduced columns are written out: those of R = D V (D the coboundary
matrix, see `reduction.persistence.boundary`); V is not needed. Most columns stay as they were.

Sources: Cohen-Steiner, Edelsbrunner & Morozov (2006) for the reduction; de Silva, Morozov &
Vejdemo-Johansson (2011) for the coboundary; Bauer (2021), "Ripser", section 3.5: apparent and
emergent pairs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.bit_tree import Bits, least, toggle
from reduction.kernels.compilation import Int, njit_step

Integers = NDArray[np.integer]


class Matrix(NamedTuple):
    """A coboundary matrix while it is reduced.

    Column j is start[j]:stop[j], its pivot first: the oldest row that is not zero. That
    has the coefficient 1 or -1, which is its own inverse.
    """

    p: int  # coefficients in Z/p
    start: NDArray[np.int64]  # (m + 1,) of the r-simplices
    stop: NDArray[np.int64]  # (m,)
    rows: Integers  # (E,) (r+1)-simplices, numbered in filtration order
    multiples: NDArray[np.int32]  # (E,) coefficients 1..p-1; empty for p = 2, where they are 1
    owner: Integers  # (M,) the r-simplex whose column has its pivot there, or -1
    used: NDArray[np.int64]  # (1,) of the E


@njit_step
def inverse(a: Int, p: Int) -> Int:
    """The b in 0..p-1 with a b = 1 modulo the prime p, for a in 1..p-1 (extended Euclid)."""
    r, r_next, s, s_next = np.int64(p), np.int64(a), np.int64(0), np.int64(1)
    while r_next:
        q = r // r_next
        r, r_next = r_next, r - q * r_next
        s, s_next = s_next, s - q * s_next
    return s % p


@njit_step
def count_cofacets(facets: Integers, cleared: NDArray[np.bool_], stop: NDArray[np.int64]) -> None:
    """Count the cofacets of each facet that is not cleared, from the facets of each simplex."""
    for i in range(len(facets)):
        for k in range(facets.shape[1]):
            stop[facets[i, k]] += not cleared[facets[i, k]]


@njit_step
def fill_columns(
    facets: Integers, rank: Integers, cleared: NDArray[np.bool_], matrix: Matrix
) -> None:
    """Write the coboundaries of the facets that are not cleared; `stop` begins as `start`.

    facets  (M, r+2)  of the (r+1)-simplices; what omits vertex i has the sign (-1)^i
    rank    (M,)      of the (r+1)-simplices in filtration order
    """
    stop, rows, multiples = matrix.stop, matrix.rows, matrix.multiples
    for i in range(len(facets)):
        for k in range(facets.shape[1]):
            facet = facets[i, k]
            if cleared[facet]:
                continue
            at = stop[facet]
            rows[at], stop[facet] = rank[i], at + 1
            if matrix.p > 2:
                multiples[at] = matrix.p - 1 if k & 1 else 1


@njit_step
def lead_with_pivots(matrix: Matrix) -> None:
    """Swap the first entry of each column with that of its oldest row."""
    rows, multiples = matrix.rows, matrix.multiples
    for j in range(matrix.stop.size):
        first = pivot = matrix.start[j]
        for at in range(first + 1, matrix.stop[j]):
            pivot = at if rows[at] < rows[pivot] else pivot
        rows[first], rows[pivot] = rows[pivot], rows[first]
        if matrix.p > 2:
            multiples[first], multiples[pivot] = multiples[pivot], multiples[first]


@njit_step
def pair_apparent(
    facets: Integers,
    rank: Integers,
    rank_below: Integers,
    matrix: Matrix,
    left: NDArray[np.bool_],
) -> None:
    """Pair each r-simplex that is the youngest facet of its oldest cofacet with that.

    rank_below (m,) of the r-simplices in filtration order, left (m,) those without a pair whose
    columns are not empty. Source: Bauer (2021), definition 3.2.
    """
    for i in range(len(facets)):
        youngest, highest = facets[i, 0], rank_below[facets[i, 0]]
        for k in range(1, facets.shape[1]):
            facet, other = facets[i, k], rank_below[facets[i, k]]
            youngest = facet if other > highest else youngest
            highest = other if other > highest else highest
        if left[youngest] and matrix.rows[matrix.start[youngest]] == rank[i]:
            matrix.owner[rank[i]], left[youngest] = youngest, False


@njit_step
def add_column(j: Int, factor: Int, matrix: Matrix, bits: Bits, residues: NDArray[np.int32]) -> Int:
    """Add a multiple of column j to the working column; the growth of its number of rows."""
    p, growth = matrix.p, 0
    for at in range(matrix.start[j], matrix.stop[j]):
        row = np.int64(matrix.rows[at])
        if p == 2:
            growth += toggle(row, bits)
            continue
        before = np.int64(residues[row])
        after = (before + factor * matrix.multiples[at]) % p
        residues[row] = after
        if (before == 0) != (after == 0):
            growth += toggle(row, bits)
    return growth


@njit_step
def take_column(
    count: Int, row: Int, at: Int, matrix: Matrix, bits: Bits, residues: NDArray[np.int32]
) -> None:
    """Move the working column, `count` rows from the pivot `row` on, to `at`; nothing if at < 0."""
    p, scale = matrix.p, np.int64(1)
    if p > 2:
        scale = inverse(residues[row], p)
    for k in range(count):
        row = least(row, bits)
        toggle(row, bits)
        if at >= 0:
            matrix.rows[at + k] = row
        if p > 2:
            if at >= 0:
                matrix.multiples[at + k] = residues[row] * scale % p
            residues[row] = 0


@njit_step
def reduce_columns(
    first: Int, order: Integers, matrix: Matrix, bits: Bits, residues: NDArray[np.int32]
) -> Int:
    """Reduce the columns of the simplices order[first:]; the first that does not fit.

    While another column owns the pivot, a multiple of it is added to cancel that. Emergent pairs
    (Bauer 2021, section 3.5): a pivot free at once needs no working column.
    """
    p = matrix.p
    for k in range(first, order.size):
        j = order[k]
        row = np.int64(matrix.rows[matrix.start[j]])
        owner = np.int64(matrix.owner[row])
        if owner < 0:
            matrix.owner[row] = j
            continue
        factor = np.int64(1)
        count = add_column(j, factor, matrix, bits, residues)
        while count and owner >= 0:
            if p > 2:
                factor = np.int64(p - residues[row]) * matrix.multiples[matrix.start[owner]] % p
            count += add_column(owner, factor, matrix, bits, residues)
            if count:
                row = least(row, bits)
                owner = np.int64(matrix.owner[row])
        if count == 0:
            matrix.stop[j] = matrix.start[j]
            continue
        at = matrix.start[j]
        if count > matrix.stop[j] - at:
            at = matrix.used[0]
            if at + count > matrix.rows.size:
                take_column(count, row, np.int64(-1), matrix, bits, residues)
                return k
            matrix.used[0] += count
        take_column(count, row, at, matrix, bits, residues)
        matrix.start[j], matrix.stop[j], matrix.owner[row] = at, at + count, j
    return order.size
