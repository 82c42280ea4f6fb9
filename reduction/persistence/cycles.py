"""Representative cycles of bars.

The class that a bar stands for begins with a simplex sigma and ends with a simplex tau. Its cycle
is found by reducing boundaries (`involution`): where tau is, the reduced boundary column of tau; of
an essential bar the column of V of sigma. Either way sigma is the latest simplex of the cycle. A
chain bounds before tau only if its latest simplex begins a class that ended earlier, and sigma's
ends with tau: so the cycle is the boundary of something from tau on, and of nothing before.
"""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.persistence.boundary_reduction import ReducedBoundary
from reduction.persistence.chains import Chain
from reduction.persistence.pairs import UNPAIRED, Pairing

if TYPE_CHECKING:
    from reduction.complex import FilteredComplex


class Cycles:
    """The cycles of the bars of a complex over Z/p, found when they are asked for.

    pairings  gives the pairs of the indices 0..r for any r. They are found anew at the first
              request of an index and kept from then on, as the columns are that are reduced.
    """

    def __init__(
        self, complex: "FilteredComplex", p: int, pairings: Callable[[int], list[Pairing]]
    ) -> None:
        self._complex, self._p, self._pairings = complex, p, pairings
        self._known: list[Pairing] = []
        self._reduced: dict[int, ReducedBoundary] = {}
        self._with_chains: dict[int, ReducedBoundary] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._complex, self._p, self._pairings)

    def cycle(self, r: int, birth: int, death: int) -> Chain:
        """The cycle of the bar between two positions, in dimensions r and r + 1; -1: essential.

        Raises CapacityError.
        """
        with self._lock:
            if death < 0:
                found = self._boundary(r, chains=True).cycle(birth)
            else:
                found = self._boundary(r + 1, chains=False).ending(birth).boundary
        order = np.argsort(found.positions)
        rows = self._complex.vertices.rows(r, found.positions[order])
        return Chain(rows, found.coefficients[order], self._p)

    def _boundary(self, r: int, *, chains: bool) -> ReducedBoundary:
        """The columns of the r-simplices."""
        kept = self._with_chains if chains else self._reduced
        if r not in kept:
            if r > len(self._known):
                self._known = self._pairings(r - 1)
            kept[r] = ReducedBoundary(
                self._complex.vertices,
                self._complex.values,
                r,
                self._known[r - 1] if r else UNPAIRED,
                self._p,
                chains=chains,
            )
        return kept[r]
