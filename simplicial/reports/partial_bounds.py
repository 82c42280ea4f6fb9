"""Bounds on the barcode of a complex under construction: that of its finished simplices, beside
that of perfectly optimised simplices, all of them.

A simplex that is not finished is no lower than its highest vertex, and no more is known of it. It
is taken to come after all finished ones, at one value far above theirs. Then the theorem of
`reduction.barcodes.bounds` holds, and a bound that reaches so far is none: index r has none as long
as an r-simplex is left, or a class of its that no finished (r+1)-simplex ends; an (r+1)-simplex
that is left, and whose boundary bounds already, counts by the level at which it does.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reduction import Barcode, FilteredComplex
from reduction.barcodes.bounds import Bounds
from simplicial.maxima.error_bounds import error_bounds, filled, with_error_bounds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def with_partial_bounds(
    barcode: Barcode,
    simplices: Sequence[Ints],
    values: Sequence[Floats],
    inside: Sequence[Floats],
) -> Barcode:
    """The barcode of finished simplices, with bounds against perfectly optimised ones, see above.

    simplices  vertices (m, r+1) of all of each dimension, colexicographic
    values     (m,) of these; NaN where one is not finished, inf where the loss is not finite on it
               or on a face
    inside     likewise, of finished ones: what each maximum may be too low by
    """
    top = len(barcode)
    whole, vertices = filled(values[: top + 1]), simplices[: top + 1]
    complex = FilteredComplex(vertices, whole.values)
    lower = [values[0][of].max(axis=1) for of in complex.vertices]
    every = complex.barcode(barcode.field, lower=lower)
    slacks = error_bounds(values[: top + 1], inside[: top + 1], vertices)
    bounds = list[tuple[Floats, float]]()
    for r, bars in enumerate(barcode):
        found = every.bounds(r)
        assert found is not None
        deaths = _lowest_deaths(barcode.pairs(r).births, every.pairs(r).births, found)
        error = found.error if 2 * found.error < whole.far else np.inf
        deaths = np.where(np.isinf(bars[:, 1]), np.inf, deaths)
        bounds.append((deaths, with_error_bounds(error, slacks[r : r + 2])))
    return barcode.with_bounds(bounds)


def _lowest_deaths(births: NDArray[np.int64], every: NDArray[np.int64], found: Bounds) -> Floats:
    """The lowest deaths of the bars that begin with these simplices, among those of all bars."""
    rows = {tuple(simplex): row for row, simplex in enumerate(every.tolist())}
    return found.lowest_deaths[[rows[tuple(simplex)] for simplex in births.tolist()]]
