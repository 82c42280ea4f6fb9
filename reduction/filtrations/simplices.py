"""The simplices of a complex, dimension by dimension: listed one by one, or known to be all.

A complete complex contains every simplex on its vertices up to some dimension. It needs no list:
positions and labels are computed when they are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.colex import binomial_table, complete_positions, complete_simplices

Positions = NDArray[np.int64]
FEWEST_WIDE = 2**31  # numbers that need 64 bits
GUESS_BITS = 10  # of a position, from which a vertex is guessed


def index_type(bound: int) -> type[np.integer]:
    """The smaller integer type that holds -1..bound - 1: positions of `bound` simplices."""
    return np.int32 if bound < FEWEST_WIDE else np.int64


@dataclass(frozen=True, slots=True, eq=False)
class Listed(Sequence[Any]):
    """Any simplices: [r] are the (m_r, r+1) vertex labels of dimension r, ascending in each row.

    all_facets  for each r (m_r, r+1) int32, where it fits: position of the facet that
                omits vertex i
    """

    vertices: tuple[Positions, ...]
    all_facets: tuple[NDArray[np.integer], ...]

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, r: Any) -> Any:
        return self.vertices[r]

    def rows(self, r: int, positions: Positions) -> Positions:
        """(k, r+1): the vertex labels of the r-simplices at (k,) positions."""
        return self.vertices[r][positions]

    def facets(self, r: int) -> NDArray[np.integer]:
        """(m_r, r+1): position in dimension r-1 of the facet that omits vertex i."""
        return self.all_facets[r]

    def facets_of(self, r: int, positions: Positions) -> Positions:
        """(k, r+1): the same for the r-simplices at (k,) positions only, r >= 1."""
        return self.all_facets[r].take(positions, axis=0).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Complete(Sequence[Any]):
    """All simplices up to dimension `dim` on the vertices `labels` (n,), which ascend.

    [r] makes the (m_r, r+1) vertex labels of dimension r, read-only; nothing is kept.
    """

    labels: Positions
    dim: int

    def __len__(self) -> int:
        return self.dim + 1

    def __getitem__(self, r: Any) -> Any:
        if isinstance(r, slice):
            return tuple(self[k] for k in range(len(self))[r])
        rows = self.labels[complete_simplices(self.labels.size, range(len(self))[r])[-1]]
        rows.flags.writeable = False
        return rows

    @property
    def n(self) -> int:
        """The number of vertices."""
        return self.labels.size

    def binomials(self) -> Positions:
        """(dim + 2, n + 1): C(v, k) in row k and column v; none exceeds the number of simplices."""
        return binomial_table(self.dim + 2, self.n + 1)

    def guesses(self) -> tuple[NDArray[np.int32], Positions]:
        """(dim + 2, 2**b), (dim + 2,): v with C(v, k) <= index << shifts[k] < C(v + 1, k)."""
        binomials = self.binomials()
        bits = [int(row[-1]).bit_length() - GUESS_BITS for row in binomials]
        shifts = np.maximum(bits, 0)
        indices = np.arange(1 << GUESS_BITS)
        rows = [
            np.searchsorted(row, indices << shift, side="right") - 1
            for row, shift in zip(binomials, shifts, strict=True)
        ]
        return np.array(rows, np.int32), shifts

    def rows(self, r: int, positions: Positions) -> Positions:
        """(k, r+1): the vertex labels of the r-simplices at (k,) positions."""
        return self.labels[self._ranks(r, positions)]

    def facets(self, r: int) -> Positions:
        """(m_r, r+1): position in dimension r-1 of the facet that omits vertex i, read-only."""
        rows = complete_simplices(self.n, r)[-1]
        columns = [complete_positions(np.delete(rows, k, axis=1)) for k in range(r + 1)]
        found = np.column_stack(columns)
        found.flags.writeable = False
        return found

    def facets_of(self, r: int, positions: Positions) -> Positions:
        """(k, r+1): the same for the r-simplices at (k,) positions only, r >= 1."""
        rows = self._ranks(r, positions)
        columns = [complete_positions(np.delete(rows, k, axis=1)) for k in range(r + 1)]
        return np.column_stack(columns)

    def _ranks(self, r: int, positions: Positions) -> Positions:
        """(k, r+1): vertices of simplices as 0..n-1, whatever their labels are."""
        binomials, rest = self.binomials(), positions
        rows = np.empty((positions.size, r + 1), np.int64)
        for k in range(r + 1, 0, -1):
            rows[:, k - 1] = np.searchsorted(binomials[k], rest, side="right") - 1
            rest = rest - binomials[k][rows[:, k - 1]]
        return rows


Simplices = Listed | Complete
