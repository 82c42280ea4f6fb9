"""The canonical form of a filtered complex.

The chains of a filtered complex over a field have a basis, one chain for each simplex, that is the
youngest simplex in it, such that the boundary operator takes each chain of the basis to zero or to
another one, and no two to the same. In such a basis the complex falls apart into lines: pairs,
which are the bars that end, and single chains, the essential ones (Barannikov, "The framed Morse
complex and its invariants", Advances in Soviet Mathematics 21 (1994), 93-115; the simple form to
which section 4 of the paper brings its boundary operators). The pairs are determined by
the filtration and the field. The basis is not: any chain of it may be changed by an earlier one of
its dimension as long as their boundaries keep their order.

It is read off reduced columns (`boundary_reduction`): of a simplex tau that ends the class of
sigma, the column of V is the chain of tau and that of R = D V the chain of sigma; of an essential
simplex the column of V is its chain.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.errors import DimensionError
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.sorting import filtration_order, ranks
from reduction.memory import require
from reduction.persistence.boundary_reduction import Columns, ReducedBoundary
from reduction.persistence.cohomology import pairings
from reduction.persistence.fields import prime
from reduction.persistence.pairs import UNPAIRED, Pairing
from reduction.reprs import few
from reduction.validation import is_whole

if TYPE_CHECKING:  # loaded where it is used
    from scipy import sparse

BYTES = 512  # for a simplex: columns as they are collected, with one term each, and the matrices


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CanonicalForm:
    """A basis of the chains of each dimension in which the boundary operator is a matching.

    bases  for each dimension r = 0..dim a sparse (m_r, m_r) int64 matrix V_r, entries in 0..p-1:
           column j is a chain whose youngest simplex is the j-th, so V_r is upper triangular and
           invertible
    ends   for each dimension r = 0..dim (m_r,) int64: the (r+1)-simplex whose chain has the chain
           of the j-th r-simplex as its boundary, exactly; -1 if there is none
    field  the prime p

    Simplices are numbered in filtration order (value, position), dimension by dimension, as in
    `FilteredComplex.order` and `.boundary`. With D_r = boundary(r) and P_r = matching(r),
    D_r V_r = V_{r-1} P_r modulo p. Arrays are read-only.
    """

    bases: "tuple[sparse.csc_array, ...]"
    ends: tuple[NDArray[np.int64], ...]
    field: int

    def __post_init__(self) -> None:
        for basis in self.bases:
            for array in (basis.data, basis.indices, basis.indptr):
                array.flags.writeable = False
        for array in self.ends:
            array.flags.writeable = False

    def __repr__(self) -> str:
        return f"CanonicalForm(field={self.field}, counts={few(map(len, self.ends))})"

    def matching(self, r: int) -> "sparse.csc_array":
        """P_r, for r = 1..dim: (m_{r-1}, m_r) int64, 1 where a chain is the boundary of another.

        Each row and each column has one entry at most. Raises DimensionError.
        """
        if not (is_whole(r) and 1 <= r < len(self.ends)):
            raise DimensionError(
                f"the boundary operator goes from the dimensions 1..{len(self.ends) - 1}, but "
                f"dimension {r!r} is asked for; take one of these"
            )
        from scipy import sparse

        births, deaths = self.pairs(r - 1).T
        shape = (self.ends[r - 1].size, self.ends[r].size)
        return sparse.csc_array((np.ones(births.size, np.int64), (births, deaths)), shape=shape)

    def pairs(self, r: int) -> NDArray[np.int64]:
        """(k, 2): the birth and death simplices of the finite bars of index r.

        Bars of length zero are among them. Raises DimensionError.
        """
        ends = self._ends(r)
        births = np.flatnonzero(ends >= 0)
        return np.column_stack([births, ends[births]])

    def essential(self, r: int) -> NDArray[np.int64]:
        """(k,): the birth simplices of the essential bars of index r. Raises DimensionError."""
        ends = self._ends(r)
        begins = ends < 0
        if r:
            begins[self.pairs(r - 1)[:, 1]] = False
        return np.flatnonzero(begins)

    def _ends(self, r: int) -> NDArray[np.int64]:
        if not (is_whole(r) and 0 <= r < len(self.ends)):
            raise DimensionError(
                f"index {r!r} is outside 0..{len(self.ends) - 1} of this complex; take one of them"
            )
        return self.ends[r]


def canonical_form(filtration: Filtration, field: int) -> CanonicalForm:
    """A basis in which the boundary operator is a matching. Raises FieldError, CapacityError."""
    p = prime(field)
    count = sum(filtration.counts)
    require(BYTES * count, f"the canonical form of {count} simplices")
    paired = pairings(filtration, p, filtration.dim)
    rank = [ranks(filtration_order(values)) for values in filtration.values]
    bases: list[sparse.csc_array] = []
    below: list[Chains] = []  # those of dimension r - 1
    for r in range(filtration.dim + 1):
        above = paired[r - 1] if r else UNPAIRED
        reduced = ReducedBoundary(filtration, r, above, p, chains=True)
        boundaries, chains = reduced.endings()
        below.append(Chains(above.births, boundaries))
        essential = paired[r].births[paired[r].deaths.size :]
        if r:
            bases.append(_matrix(below, rank[r - 1]))
        below = [Chains(above.deaths, chains), Chains(essential, reduced.cycles(essential))]
    bases.append(_matrix(below, rank[-1]))
    ends = [_ends(pairing, r, rank) for r, pairing in enumerate(paired)]
    return CanonicalForm(tuple(bases), tuple(ends), p)


class Chains(NamedTuple):
    """Chains of the basis."""

    youngest: NDArray[np.int64]  # (n,) or more: the simplex that each belongs to
    columns: Columns


def _matrix(chains: list[Chains], rank: NDArray[np.int64]) -> "sparse.csc_array":
    """The chains of one dimension, by their youngest simplices, as columns in filtration order."""
    from scipy import sparse

    simplices = np.concatenate([youngest[columns.chains] for youngest, columns in chains])
    positions = np.concatenate([columns.positions for _, columns in chains])
    data = np.concatenate([columns.coefficients for _, columns in chains])
    shape = (rank.size, rank.size)
    matrix = sparse.csc_array((data, (rank[positions], rank[simplices])), shape=shape)
    matrix.sort_indices()
    return matrix


def _ends(pairing: Pairing, r: int, rank: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """(m_r,): the death of each r-simplex, both as rank; -1 for none."""
    ends = np.full(rank[r].size, -1)
    if pairing.deaths.size:
        births = pairing.births[: pairing.deaths.size]
        ends[rank[r][births]] = rank[r + 1][pairing.deaths]
    return ends
