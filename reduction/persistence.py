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
pairs are unique. Any correct reduction finds the same: `complete` for complete complexes, and the
one below, on a sparse matrix, for all others.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reduction.barcode import Barcode, Located
from reduction.complete import complete_pairings
from reduction.cycles import Cycles
from reduction.fields import prime
from reduction.kernels.matrix import reduce_coboundary
from reduction.order import bars_order
from reduction.pairing import Pairing
from reduction.simplices import Complete

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
        births, deaths = _by_position(pairing, complex.counts[r])
        values = np.column_stack([complex.values[r][births], np.full(births.size, np.inf)])
        ends = deaths >= 0
        if ends.any():
            values[ends, 1] = complex.values[r + 1][deaths[ends]]
        if not keep_zero:
            kept = values[:, 0] < values[:, 1]
            births, deaths, values = births[kept], deaths[kept], values[kept]
        order = bars_order(values)
        bars.append(values[order])
        located.append(Located(complex.vertices, r, births[order], deaths[order]))
    return Barcode.located(bars, located, p, Cycles(complex, p, partial(pairings, complex, p)))


def _by_position(pairing: Pairing, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Births, ascending, and their deaths; -1 for none. m is the number of r-simplices."""
    ends = np.full(m, -2)
    ends[pairing.births] = -1
    ends[pairing.births[: pairing.deaths.size]] = pairing.deaths
    births = np.flatnonzero(ends > -2)
    return births, ends[births]


def pairings(complex: "FilteredComplex", field: int, max_index: int) -> list[Pairing]:
    """Who ends whom, for the indices 0..max_index."""
    if isinstance(complex.vertices, Complete):
        return complete_pairings(complex.vertices, complex.values, field, max_index)
    return matrix_pairings(complex, field, max_index)


def matrix_pairings(
    complex: "FilteredComplex", field: int, max_index: int, *, clearing: bool = True
) -> list[Pairing]:
    """Who ends whom in any complex. `clearing` changes the time, nothing else."""
    result: list[Pairing] = []
    # the r-simplices, in filtration order, that end a class of index r - 1
    ends_below = np.zeros(complex.counts[0], np.bool_)
    for r in range(max_index + 1):
        owner = np.empty(0, np.int64)
        if r < complex.dim:
            coboundary = complex.boundary(r + 1).tocsr()
            owner = reduce_coboundary(
                coboundary.indptr,
                coboundary.indices,
                np.asarray(coboundary.data, np.int8),
                complex.counts[r + 1],
                ends_below if clearing else np.zeros_like(ends_below),
                field,
            )
        deaths = np.flatnonzero(owner >= 0)
        essential = ~ends_below
        essential[owner[deaths]] = False
        births = complex.order(r)[np.concatenate([owner[deaths], np.flatnonzero(essential)])]
        if deaths.size:
            deaths = complex.order(r + 1)[deaths]
        result.append(Pairing(births, deaths))
        ends_below = owner >= 0
    return result
