"""Persistent cohomology: which simplex ends the class that another one began.

Over a field, the simplices of a filtered complex fall into pairs and a rest: simplex j begins a
class of index dim j, and its partner, one dimension higher, ends it (Barannikov 1994; section 4 of
the paper). Simplices of the rest begin essential classes. Reducing the coboundary matrix gives the
same pairs as reducing the boundary matrix (de Silva, Morozov & Vejdemo-Johansson 2011, "Dualities
in persistent (co)homology"), and here far sooner:

- Clearing (Chen & Kerber 2011, "Persistent homology computation with a twist"; for cohomology Bauer
  2021, "Ripser", section 3): an r-simplex that ends a class of index r - 1 begins none, so its
  column would reduce to zero. Taking the indices upwards, its column is left out.
- In the coboundary of an r-simplex most pivots are free at once (Bauer 2021, section 3.5: emergent
  pairs).

The order is total (value, dimension, colexicographic position; the paper leaves ties open), so the
pairs are unique. Any correct reduction finds the same: `complete` for complete complexes, and
`matrix` for all others.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.barcode import Barcode, Located
from reduction.filtrations.simplices import Complete
from reduction.filtrations.sorting import bars_order
from reduction.persistence.cycles import Cycles
from reduction.persistence.explicit import matrix_pairings
from reduction.persistence.fields import prime
from reduction.persistence.implicit import complete_pairings
from reduction.persistence.pairs import Pairing
from reduction.threads import even_bounds, spread

if TYPE_CHECKING:
    from reduction.complex import FilteredComplex


def persistence(
    complex: "FilteredComplex", field: int, max_index: int, *, keep_zero: bool
) -> Barcode:
    """The barcode of a complex, for the indices 0..max_index <= dim.

    Values are copied from the complex, never computed, so equal bars are equal bits.
    Raises FieldError, CapacityError.
    """
    p = prime(field)
    bars: list[NDArray[np.float64]] = []
    located: list[Located] = []
    for r, pairing in enumerate(pairings(complex, p, max_index)):
        births, deaths, values = _bars(complex, r, pairing, keep_zero=keep_zero)
        bars.append(values)
        located.append(Located(complex.vertices, r, births, deaths))
    return Barcode.located(bars, located, p, Cycles(complex, p, partial(pairings, complex, p)))


def _bars(
    complex: "FilteredComplex", r: int, pairing: Pairing, *, keep_zero: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Births, their deaths, -1 for none, and their values (m, 2), in the order of a barcode."""
    births, deaths = pairing.births, np.full(pairing.births.size, -1)
    deaths[: pairing.deaths.size] = pairing.deaths
    born, died = complex.values[r][births], np.full(births.size, np.inf)
    if pairing.deaths.size:
        died[: pairing.deaths.size] = complex.values[r + 1][pairing.deaths]
    if not keep_zero and not (born < died).all():
        long = born < died
        births, deaths, born, died = births[long], deaths[long], born[long], died[long]
    order = bars_order(born, died, births)
    values = np.empty((order.size, 2))

    def arrange(begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = order[begin:end]
        values[begin:end, 0], values[begin:end, 1] = born[rows], died[rows]
        return births[rows], deaths[rows]

    parts = spread(arrange, even_bounds(order.size))
    births, deaths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return births, deaths, values


def pairings(complex: "FilteredComplex", field: int, max_index: int) -> list[Pairing]:
    """Who ends whom, for the indices 0..max_index."""
    if isinstance(complex.vertices, Complete):
        return complete_pairings(complex.vertices, complex.values, field, max_index)
    return matrix_pairings(complex, field, max_index)
