"""Chains, and representative cycles and cocycles of bars.

The class that a bar stands for begins with a simplex sigma and ends with a simplex tau. Its cycle
is found by reducing boundaries (`boundary_reduction`): where tau is, the reduced boundary column of
tau; of an essential bar the column of V of sigma. Either way sigma is the youngest simplex of the
cycle. A chain bounds before tau only if its youngest simplex begins a class that ended earlier, and
sigma's ends with tau: so the cycle is the boundary of something from tau on, and of nothing before.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.filtration import Filtration
from reduction.persistence.boundary_reduction import ReducedBoundary, Terms
from reduction.persistence.cocycles import ReducedCoboundary
from reduction.persistence.cohomology import pairings
from reduction.persistence.pairs import UNPAIRED, Pairing
from reduction.persistence.shortening import shortened


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chain:
    """An r-chain with coefficients in Z/p: the sum of coefficients[i] times simplices[i].

    Or an r-cochain, with the value coefficients[i] on simplices[i], and 0 on all others.

    simplices     (k, r+1) int64, vertex labels, ascending in each row; rows in colexicographic
                  order
    coefficients  (k,) int64, in 1..p-1
    field         the prime p

    A simplex is oriented by the order of its labels. Arrays are read-only.
    """

    simplices: NDArray[np.int64]
    coefficients: NDArray[np.int64]
    field: int

    def __post_init__(self) -> None:
        for array in (self.simplices, self.coefficients):
            array.flags.writeable = False

    def __len__(self) -> int:
        """The number of simplices."""
        return len(self.coefficients)

    def __repr__(self) -> str:
        return (
            f"Chain(dim={self.simplices.shape[1] - 1}, simplices={len(self)}, field={self.field})"
        )


class Cycles:
    """Representative cycles and cocycles of the bars of a filtration over Z/p, found on request.

    Pairs are found anew at the first request of an index and kept from then on, as the columns are
    that are reduced.
    """

    def __init__(self, filtration: Filtration, p: int) -> None:
        self._filtration, self._p = filtration, p
        self._known: list[Pairing] = []
        self._reduced: dict[int, ReducedBoundary] = {}
        self._with_chains: dict[int, ReducedBoundary] = {}
        self._coboundaries: dict[int, ReducedCoboundary] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._filtration, self._p)

    def cycle(self, r: int, birth: int, death: int) -> Chain:
        """The cycle of the bar between two positions, in dimensions r and r + 1; -1: essential.

        Raises CapacityError.
        """
        return self._chain(r, self._cycle(r, birth, death))

    def shortened(
        self, r: int, birth: int, death: int, level: float, weights: NDArray[np.float64]
    ) -> Chain:
        """A cycle in the class of that one at a level, and no heavier. Raises CapacityError."""
        found = self._cycle(r, birth, death)
        found = shortened(found, self._filtration, r, level=level, weights=weights, p=self._p)
        return self._chain(r, found)

    def cocycle(self, r: int, birth: int) -> Chain:
        """The cocycle of the bar that begins at a position. Raises CapacityError."""
        with self._lock:
            if r not in self._coboundaries:
                cleared = self._pairing(r - 1).deaths
                found = ReducedCoboundary(self._filtration, r, cleared, self._p)
                self._coboundaries[r] = found
            return self._chain(r, self._coboundaries[r].cocycle(birth))

    @property
    def values(self) -> tuple[NDArray[np.float64], ...]:
        """For each dimension r (m_r,): the filtration values of the simplices."""
        return self._filtration.values

    def _cycle(self, r: int, birth: int, death: int) -> Terms:
        with self._lock:
            if death < 0:
                return self._boundary(r, chains=True).cycle(birth)
            return self._boundary(r + 1, chains=False).ending(birth).boundary

    def _chain(self, r: int, found: Terms) -> Chain:
        order = np.argsort(found.positions)
        rows = self._filtration.simplices.rows(r, found.positions[order])
        return Chain(rows, found.coefficients[order], self._p)

    def _pairing(self, r: int) -> Pairing:
        """The pairs of index r, from -1 on."""
        if r >= len(self._known):
            self._known = pairings(self._filtration, self._p, r)
        return self._known[r] if r >= 0 else UNPAIRED

    def _boundary(self, r: int, *, chains: bool) -> ReducedBoundary:
        """The columns of the r-simplices."""
        kept = self._with_chains if chains else self._reduced
        if r not in kept:
            pairing = self._pairing(r - 1)
            kept[r] = ReducedBoundary(self._filtration, r, pairing, self._p, chains=chains)
        return kept[r]
