"""Involuted homology: boundary columns reduced where the pairs are known beforehand.

Cohomology gives the persistence pairs soon (see `cohomology`), but the classes themselves are in
the boundary matrix. Once the pairs are known, only the columns of death simplices need be reduced
(Čufar & Virk, "Fast computation of persistent homology representatives with involuted persistent
homology", Foundations of Data Science 2023): all others become zero. The pivot of each column is
known as well, so columns need not be reduced in order. Here one is reduced when it is asked for,
and before it those whose multiples are added to it.

In the symbols of `boundary`, R = D V: the reduced column of a simplex that ends a class is a cycle
of that class, and the column of V of an essential simplex is a cycle of its class.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.filtration import Filtration
from reduction.filtrations.sorting import filtration_order, ranks
from reduction.kernels.boundary_columns import (
    DONE,
    PAUSED,
    STACK_FULL,
    WAITING_FULL,
    Expressed,
    Given,
    Reduced,
    Stack,
    Working,
    express_pivots,
    first_ranks,
    reduce_columns,
)
from reduction.kernels.buffers import enlarged
from reduction.memory import require
from reduction.persistence.pairs import Pairing

TERMS = 1 << 10  # in buffers at first
AT_ONCE = 1 << 22  # terms added, some 0.05 s, before an interrupt (Ctrl-C) comes through


class Terms(NamedTuple):
    """A chain by the positions of its simplices; each of them once, in any order."""

    positions: NDArray[np.int64]  # (k,)
    coefficients: NDArray[np.int64]  # (k,) in 1..p-1


class Column(NamedTuple):
    """A column of R, and that of V: its boundary is the column of R."""

    boundary: Terms
    chain: Terms  # empty where V is not kept


class Columns(NamedTuple):
    """Chains in coordinate form: each term once, in any order."""

    chains: NDArray[np.int64]  # (k,) the number of the chain that it belongs to
    positions: NDArray[np.int64]  # (k,)
    coefficients: NDArray[np.int64]  # (k,) in 1..p-1


class ReducedBoundary:
    """The columns of R, and of V if `chains`, of the r-simplices that are deaths of index r - 1.

    pairing  of index r - 1; that of index -1 has no pairs
    A column is scaled to have 1 at its pivot. It is kept once it is reduced: this is no value but
    a store that grows, and not for two threads at once.

    Memory in bytes: 33 for each (r-1)-simplex, 8 r + 50 for each r-simplex that ends a class, and
    16 to 48 for each term of a reduced column, and of a pivot expressed by these. Raises
    CapacityError.
    """

    def __init__(
        self,
        filtration: Filtration,
        r: int,
        pairing: Pairing,
        p: int,
        *,
        chains: bool,
    ) -> None:
        below = filtration.values[r - 1] if r else np.empty(0)
        m, count = below.size, pairing.deaths.size
        require(33 * m + (8 * r + 50) * count, f"reducing {count} boundary columns")
        self._simplices, self._r = filtration.simplices, r
        self._columns = np.append(pairing.deaths, -1)  # the last is of any other r-simplex
        self._youngest = filtration_order(below)[::-1]  # (r-1)-simplices by row
        self._row = ranks(self._youngest)
        owner = np.full(m, -1)
        owner[self._row[pairing.births[:count]]] = np.arange(count)
        signs = np.array([(p - 1) if i % 2 else 1 for i in range(r + 1 if r else 0)], np.int64)
        rows = np.empty((count + 1, signs.size), np.int64)
        rows[:count] = self.boundaries(pairing.deaths)
        if chains:
            rows = np.column_stack([rows, m + np.arange(count + 1)])
            signs = np.append(signs, 1)
        self.given = Given(p, rows, signs, owner)
        self._reduced = Reduced(
            np.zeros(1, np.int64),
            np.full(count + 1, -1),
            np.full(count + 1, -1),
            np.empty(TERMS, np.int64),
            np.empty(TERMS, np.int64),
        )
        self._working = _empty_column(m + count + 1)
        self._stack = _empty_stack()

    def ending(self, birth: int) -> Column:
        """The column of the death that is paired with an (r-1)-simplex, its pivot."""
        column = int(self.given.owner[self._row[birth]])
        if self._reduced.begin[column] < 0:
            self._reduce(np.array([column]), self.given.rows[[column]])
        return self._column(column)

    def cycle(self, simplex: int) -> Terms:
        """The column of V of an r-simplex that is no death, 1 there; only where V is kept."""
        found = self._cycles(np.array([simplex]))
        return Terms(found.positions, found.coefficients)

    def endings(self) -> tuple[Columns, Columns]:
        """The columns of R and of V of all deaths, in their order."""
        self._reduce_all()
        terms = np.column_stack([self._reduced.begin[:-1], self._reduced.end[:-1]])
        return self._columns_of(terms)

    def cycles(self, simplices: NDArray[np.int64]) -> Columns:
        """The columns of V of r-simplices that are no deaths, each with 1 at its own simplex."""
        self._reduce_all()  # so that nothing that is kept comes behind the first of these
        return self._cycles(simplices)

    def last_deaths(self, order: NDArray[np.int64]) -> "LastDeaths":
        """The youngest deaths that the boundaries of r-simplices are made of; without V only.

        order  (m,) filtration order of the r-simplices
        """
        self._reduce_all()
        deaths = self._columns[:-1]
        require(32 * max(TERMS, deaths.size), f"pivots of {deaths.size} boundary columns")
        age = np.argsort(-ranks(order)[deaths])  # the youngest first
        by_age = np.empty_like(age)
        by_age[age] = np.arange(age.size)
        pivots = self._reduced.rows[self._reduced.begin[:-1]]
        columns = np.argsort(-pivots)
        expressed = Expressed(
            *(np.zeros(deaths.size, np.int64) for _ in range(2)),
            *(np.empty(max(TERMS, deaths.size), np.int64) for _ in range(2)),
        )
        done = 0
        while True:
            done = express_pivots(
                done, columns, by_age, self.given, self._reduced, expressed, self._working
            )
            if done == columns.size:
                return LastDeaths(self, deaths[age], expressed)
            terms = enlarged(expressed.ranks, expressed.coefficients)
            expressed = Expressed(*expressed[:2], *terms)

    def boundaries(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows (k, r+1) of the facets of r-simplices; a vertex has none."""
        if not self._r:
            return np.empty((positions.size, 0), np.int64)
        return self._row[self._simplices.facets_of(self._r, positions)]

    def _column(self, column: int) -> Column:
        """Copies of the terms of a reduced column."""
        terms = slice(self._reduced.begin[column], self._reduced.end[column])
        rows, coefficients = self._reduced.rows[terms], self._reduced.coefficients[terms]
        m = self._youngest.size
        facets = int(np.searchsorted(rows, m))
        return Column(
            Terms(self._youngest[rows[:facets]], coefficients[:facets].copy()),
            Terms(self._columns[rows[facets:] - m], coefficients[facets:].copy()),
        )

    def _columns_of(self, terms: NDArray[np.int64]) -> tuple[Columns, Columns]:
        """Terms of R, and those of V, of columns that are reduced; (n, 2) where they are."""
        begin, sizes = terms[:, 0], terms[:, 1] - terms[:, 0]
        chains = np.repeat(np.arange(sizes.size), sizes)
        which = np.arange(chains.size) + (begin - np.cumsum(sizes) + sizes)[chains]
        rows, coefficients = self._reduced.rows[which], self._reduced.coefficients[which]
        m = self._youngest.size
        of_v = rows >= m
        return (
            Columns(chains[~of_v], self._youngest[rows[~of_v]], coefficients[~of_v]),
            Columns(chains[of_v], self._columns[rows[of_v] - m], coefficients[of_v]),
        )

    def _cycles(self, simplices: NDArray[np.int64]) -> Columns:
        """The columns of V of one r-simplex that is no death; of many, once all deaths have theirs.

        The last of the columns stands for each in turn and is not kept.
        """
        rows = np.repeat(self.given.rows[-1:], simplices.size, axis=0)
        boundaries = self.boundaries(simplices)
        rows[:, : boundaries.shape[1]] = boundaries
        terms = self._reduce(np.full(simplices.size, self._columns.size - 1), rows)
        _, found = self._columns_of(terms)
        self._reduced.used[0] = terms[:, 0].min(initial=self._reduced.used[0])
        own = found.positions < 0
        found.positions[own] = simplices[found.chains[own]]
        return found

    def _reduce_all(self) -> None:
        columns = np.flatnonzero(self._reduced.begin[:-1] < 0)
        self._reduce(columns, self.given.rows[columns])

    def _reduce(self, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Reduce columns with the given rows; (n, 2) where the terms of each begin and end."""
        if self._stack.depth[0]:  # an error left it so
            self._working = _empty_column(self._working.coefficients.size)
            self._stack = _empty_stack()
        terms, status = np.full((columns.size, 2), -1), PAUSED
        while status != DONE:
            if status != PAUSED:
                self._enlarge(status)
            status = reduce_columns(
                AT_ONCE,
                columns,
                rows,
                terms,
                self.given,
                self._reduced,
                self._working,
                self._stack,
            )
        return terms

    def _enlarge(self, status: int) -> None:
        """Double the buffers that are full; their content stays."""
        reduced, stack = self._reduced, self._stack
        if status == STACK_FULL:
            column, begin = enlarged(stack.column, stack.begin)
            self._stack = stack._replace(column=column, begin=begin)
            return
        full = stack if status == WAITING_FULL else reduced
        rows, coefficients = enlarged(full.rows, full.coefficients)
        if status == WAITING_FULL:
            self._stack = stack._replace(rows=rows, coefficients=coefficients)
        else:
            self._reduced = reduced._replace(rows=rows, coefficients=coefficients)


class LastDeaths(NamedTuple):
    """The boundary of an r-simplex as a sum of those of deaths, in one way: the youngest of these.

    A reduced column is the boundary of its own simplex and of older ones, so the youngest column of
    a sum is the youngest death as well. Each pivot is expressed by reduced columns once; then the
    first term in a sum of r + 1 short lists is asked for, which is soon found.
    """

    reduced: ReducedBoundary
    deaths: NDArray[np.int64]  # (k,) the youngest first
    expressed: Expressed

    def of(self, simplices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) of r-simplices whose boundaries bound, r >= 1, so that no boundary is zero."""
        rows = self.reduced.boundaries(simplices)
        found, heads = np.empty(simplices.size, np.int64), np.empty(rows.shape[1], np.int64)
        first_ranks(rows, self.reduced.given, self.expressed, heads, found)
        assert (found >= 0).all()
        return self.deaths[found]


def _empty_column(rows: int) -> Working:
    """A working column without terms."""
    sizes = [-(-rows // 64)]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 64))
    return Working(
        np.zeros(1, np.int64),
        np.zeros(rows, np.int64),
        np.zeros(sum(sizes), np.uint64),
        np.cumsum([0, *sizes[:-1]]),
    )


def _empty_stack() -> Stack:
    return Stack(
        np.zeros(1, np.int64),
        np.empty(TERMS, np.int64),
        np.empty(TERMS, np.int64),
        np.zeros(1, np.int64),
        np.empty(TERMS, np.int64),
        np.empty(TERMS, np.int64),
    )
