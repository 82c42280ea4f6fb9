"""Reduction of boundary columns whose pivots are known beforehand.

Rows are simplices, the youngest first, so the pivot of a column is its first row. While the pivot
of the working column belongs to an earlier column, a multiple of that one, reduced, is added. Where
the earlier one is not reduced yet, the working column waits on a stack until it is: so nothing is
reduced but the requested columns and those that they depend on, each once.

The working column has a coefficient for each row, and a tree of bits that marks where it may not be
0: 64 marks to a word, and a mark one level higher for each word that has any (Bauer, Kerber,
Reininghaus & Wagner 2017, "PHAT", section 4). Columns that wait or are reduced are lists of terms.

Behind the facets one more row may stand for each column. A column that is given 1 in that row
carries its column of V along with that of R = D V (see `persistence.boundary`), and none of these
rows is a pivot before the boundary has cancelled.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.bit_tree import lowest_bit
from reduction.kernels.compilation import Int, njit, njit_step
from reduction.kernels.sparse_columns import inverse

DONE, STACK_FULL, WAITING_FULL, TERMS_FULL, PAUSED = 0, 1, 2, 3, 4


class Given(NamedTuple):
    """The columns before they are reduced, all of the same length."""

    p: int  # coefficients in Z/p
    rows: NDArray[np.int64]  # (k, w)
    signs: NDArray[np.int64]  # (w,) 1 or p - 1
    owner: NDArray[np.int64]  # (m,) the column that has its pivot there once it is reduced; or -1


class Reduced(NamedTuple):
    """The columns reduced so far: rows ascending, coefficients in 1..p-1, that of the pivot 1."""

    used: NDArray[np.int64]  # (1,) terms
    begin: NDArray[np.int64]  # (k,) column j has the terms begin[j]:end[j]; -1 if not reduced
    end: NDArray[np.int64]  # (k,)
    rows: NDArray[np.int64]
    coefficients: NDArray[np.int64]


class Working(NamedTuple):
    """The working column, N rows."""

    marked: NDArray[np.int64]  # (1,) rows
    coefficients: NDArray[np.int64]  # (N,)
    marks: NDArray[np.uint64]  # all levels one behind the other
    levels: NDArray[np.int64]  # (L,) where each begins; the last is one word


class Stack(NamedTuple):
    """The working column, which is the last, and those that wait, each for the one behind it."""

    depth: NDArray[np.int64]  # (1,)
    column: NDArray[np.int64]  # (S,)
    begin: NDArray[np.int64]  # (S,) where the terms of each that waits begin
    used: NDArray[np.int64]  # (1,) terms of all that wait
    rows: NDArray[np.int64]
    coefficients: NDArray[np.int64]


@njit_step
def mark(row: Int, working: Working) -> None:
    """Mark a row, if it is not marked."""
    at = row
    for level in range(working.levels.size):
        word = working.levels[level] + (at >> 6)
        bit = np.uint64(1) << np.uint64(at & 63)
        before = working.marks[word]
        if level == 0 and not before & bit:
            working.marked[0] += 1
        working.marks[word] = before | bit
        if before:
            return
        at >>= 6


@njit_step
def unmark(row: Int, working: Working) -> None:
    """Take the mark off a row, which has one and whose coefficient is 0."""
    working.marked[0] -= 1
    at = row
    for level in range(working.levels.size):
        word = working.levels[level] + (at >> 6)
        working.marks[word] ^= np.uint64(1) << np.uint64(at & 63)
        if working.marks[word]:
            return
        at >>= 6


@njit_step
def find_pivot(working: Working) -> Int:
    """The first row whose coefficient is not 0; the marks before it vanish. -1 if there is none."""
    while working.marked[0]:
        row = np.int64(0)
        for level in range(working.levels.size - 1, -1, -1):
            word: Any = working.marks[working.levels[level] + row]
            row = (row << 6) + lowest_bit(word)
        if working.coefficients[row]:
            return row
        unmark(row, working)
    return np.int64(-1)


@njit_step
def add_term(row: Int, coefficient: Int, p: Int, working: Working) -> None:
    """Add a term, its coefficient in 0..p-1."""
    total = working.coefficients[row]
    if not total:  # it may be marked all the same
        mark(row, working)
    total += coefficient
    working.coefficients[row] = total - p if total >= p else total


@njit_step
def take_terms(
    at: Int, working: Working, rows: NDArray[np.int64], coefficients: NDArray[np.int64]
) -> Int:
    """Empty the working column into lists from index `at` on; the index behind the last term."""
    row = find_pivot(working)
    while row >= 0:
        rows[at], coefficients[at] = row, working.coefficients[row]
        working.coefficients[row] = 0
        unmark(row, working)
        at += 1
        row = find_pivot(working)
    return at


@njit_step
def open_column(column: Int, given: Given, working: Working, stack: Stack) -> None:
    """Begin to reduce a column; the working column, if there is one, waits for it."""
    depth = stack.depth[0]
    if depth:
        stack.begin[depth - 1] = stack.used[0]
        stack.used[0] = take_terms(stack.used[0], working, stack.rows, stack.coefficients)
    stack.column[depth] = column
    stack.depth[0] = depth + 1
    for k in range(given.signs.size):
        add_term(given.rows[column, k], given.signs[k], given.p, working)


@njit_step
def close_column(scale: Int, p: Int, reduced: Reduced, working: Working, stack: Stack) -> None:
    """Keep the working column times `scale`, and go on with the one that waited for it."""
    depth = stack.depth[0] - 1
    column, begin = stack.column[depth], reduced.used[0]
    end = take_terms(begin, working, reduced.rows, reduced.coefficients)
    for k in range(begin, end):
        reduced.coefficients[k] = reduced.coefficients[k] * scale % p
    reduced.begin[column], reduced.end[column], reduced.used[0] = begin, end, end
    stack.depth[0] = depth
    if depth:
        begin = stack.begin[depth - 1]
        for k in range(begin, stack.used[0]):
            add_term(stack.rows[k], stack.coefficients[k], p, working)
        stack.used[0] = begin


@njit_step
def full_buffer(closes: bool, reduced: Reduced, working: Working, stack: Stack) -> Int:
    """The buffer too small to keep the working column, or to let it wait, as a status; or DONE."""
    if closes:
        free = reduced.rows.size - reduced.used[0]
        return TERMS_FULL if working.marked[0] > free else DONE
    if working.marked[0] > stack.rows.size - stack.used[0]:
        return WAITING_FULL
    return STACK_FULL if stack.depth[0] == stack.column.size else DONE


@njit_step
def reduce_stack(
    limit: Int, given: Given, reduced: Reduced, working: Working, stack: Stack
) -> tuple[Int, Int]:
    """Reduce all columns on the stack; DONE, PAUSED once `limit` terms have been added, or the
    buffer to enlarge before the next call; and the number of terms left to add."""
    p, facets = given.p, given.owner.size
    while stack.depth[0]:
        if limit <= 0:
            return PAUSED, limit
        column = stack.column[stack.depth[0] - 1]
        pivot = find_pivot(working)
        total: Any = working.coefficients[pivot]
        owner = given.owner[pivot] if 0 <= pivot < facets else column
        if owner != column and reduced.begin[owner] >= 0:
            multiple = p - total
            for k in range(reduced.begin[owner], reduced.end[owner]):
                add_term(reduced.rows[k], multiple * reduced.coefficients[k] % p, p, working)
            limit -= reduced.end[owner] - reduced.begin[owner]
            continue
        status = full_buffer(owner == column, reduced, working, stack)
        if status != DONE:
            return status, limit
        limit -= given.signs.size + working.marked[0]
        if owner != column:
            open_column(owner, given, working, stack)
        elif 0 <= pivot < facets:
            close_column(inverse(total, p), p, reduced, working, stack)
        else:  # no boundary is left, and nothing to scale
            close_column(np.int64(1), p, reduced, working, stack)
    return DONE, limit


@njit
def reduce_columns(
    limit: Int,
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
    terms: NDArray[np.int64],
    given: Given,
    reduced: Reduced,
    working: Working,
    stack: Stack,
) -> Int:
    """Reduce columns one after the other; a status as of `reduce_stack`, to be called again.

    limit    terms to add before it pauses
    columns  (n,) their numbers; the last column of those given may stand there many times
    rows     (n, w) of each before it is reduced
    terms    (n, 2) where those of each, once it is reduced, begin and end; -1 before. The first
             column that has none is on the stack, unless that is empty
    """
    for j in range(columns.size):
        column = columns[j]
        if terms[j, 0] >= 0:
            continue
        if stack.depth[0] == 0 and (reduced.begin[column] < 0 or column == given.rows.shape[0] - 1):
            given.rows[column] = rows[j]
            open_column(column, given, working, stack)
        status, limit = reduce_stack(limit, given, reduced, working, stack)
        if status != DONE:
            return status
        terms[j, 0], terms[j, 1] = reduced.begin[column], reduced.end[column]
    return DONE


class Expressed(NamedTuple):
    """Unit columns of pivots as sums of reduced columns, but for rows without an owner."""

    begin: NDArray[np.int64]  # (k,) that of column j's pivot has the terms begin[j]:end[j]
    end: NDArray[np.int64]  # (k,)
    ranks: NDArray[np.int64]  # of the reduced columns, ascending
    coefficients: NDArray[np.int64]  # in 1..p-1


@njit
def express_pivots(
    first: Int,
    columns: NDArray[np.int64],
    ranks: NDArray[np.int64],
    given: Given,
    reduced: Reduced,
    expressed: Expressed,
    working: Working,
) -> Int:
    """Express pivots by reduced columns, whose pivots are 1: the number expressed; all, or those
    whose terms fit into the buffer.

    first    of them, before which all are expressed
    columns  (k,) that with the last pivot first, so that each needs those before it
    ranks    (k,) of the columns, by which terms are kept in order
    """
    p, used = given.p, np.int64(0)
    if first:
        used = expressed.end[columns[first - 1]]
    for j in range(first, columns.size):
        column, terms = columns[j], np.int64(1)  # at most
        for k in range(reduced.begin[column] + 1, reduced.end[column]):
            owner = given.owner[reduced.rows[k]]
            if owner >= 0:
                terms += expressed.end[owner] - expressed.begin[owner]
        if min(terms, columns.size) > expressed.ranks.size - used:
            return j
        add_term(ranks[column], np.int64(1), p, working)
        for k in range(reduced.begin[column] + 1, reduced.end[column]):
            owner, multiple = given.owner[reduced.rows[k]], p - reduced.coefficients[k]
            if owner >= 0:
                for i in range(expressed.begin[owner], expressed.end[owner]):
                    term = multiple * expressed.coefficients[i] % p
                    add_term(expressed.ranks[i], term, p, working)
        end = take_terms(used, working, expressed.ranks, expressed.coefficients)
        expressed.begin[column], expressed.end[column], used = used, end, end
    return columns.size


@njit
def first_ranks(
    rows: NDArray[np.int64],
    given: Given,
    expressed: Expressed,
    heads: NDArray[np.int64],
    found: NDArray[np.int64],
) -> None:
    """The first rank with a term in sums of reduced columns.

    rows   (n, w) of columns with the given signs, each such a sum; w as there, but for rows of V
    heads  (w,) a buffer
    found  (n,) the ranks; -1 where there is none
    """
    width = rows.shape[1]
    for j in range(rows.shape[0]):
        for k in range(width):
            owner = given.owner[rows[j, k]]
            heads[k] = expressed.begin[owner] if owner >= 0 else 0
        found[j] = -1
        while found[j] < 0:
            rank = np.int64(-1)
            for k in range(width):
                owner = given.owner[rows[j, k]]
                if owner >= 0 and heads[k] < expressed.end[owner]:
                    here = expressed.ranks[heads[k]]
                    rank = here if rank < 0 else min(rank, here)
            if rank < 0:
                break
            total = np.int64(0)
            for k in range(width):
                owner, head = given.owner[rows[j, k]], heads[k]
                if owner >= 0 and head < expressed.end[owner] and expressed.ranks[head] == rank:
                    total += given.signs[k] * expressed.coefficients[head] % given.p
                    heads[k] += 1
            if total % given.p:
                found[j] = rank
