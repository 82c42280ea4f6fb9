"""Values of simplices that may be too low, or that are not there, in the error of a barcode.

A refined maximum may be too low, by a bound that is known: no bar is longer than its lengths by
more than that, so that half of it comes on top of the error of `reduction.barcodes.bounds`, in
which values are exact. A simplex without a value comes after all others, at one value so far above
theirs that a level or a bar that reaches it is none.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simplicial.maxima.maxima import filtration_values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Filled(NamedTuple):
    """Values of all simplices by dimension.

    values  (m_r,) of each, finite
    known   the highest value of a simplex that has one
    after   the value of all simplices that have none
    """

    values: tuple[Floats, ...]
    known: float
    after: float

    @property
    def far(self) -> float:
        """From the known values to the one after them: more than any two known ones differ by."""
        return self.after - self.known


def filled(values: Sequence[Floats]) -> Filled:
    """Values (m_r,) by dimension, with one far above for those that are inf or NaN."""
    every = np.concatenate([each[np.isfinite(each)] for each in values])
    known = float(every.max())
    after = 2.0 * known - float(every.min()) + 1.0
    held = tuple(np.where(np.isfinite(each), each, after) for each in values)
    return Filled(held, known, after)


def error_bounds(
    maxima: Sequence[Floats], inside: Sequence[Floats], vertices: Sequence[Ints]
) -> tuple[Floats, ...]:
    """(m_r,) for each dimension: what f may be too low by, of a simplex's own maximum or a face's.

    maxima    for each dimension f of all simplices; NaN where it is not known yet, inf where the
              loss is not finite on one: the bound is NaN or inf there
    inside    likewise, what the larger of the maxima inside and on the faces may be too low by
    vertices  likewise, (m, r+1)
    """
    reach, bounds = maxima[0], [np.where(np.isinf(maxima[0]), np.inf, 0.0)]
    for r, (values, own) in enumerate(zip(maxima[1:], inside[1:], strict=True), start=1):
        reach = filtration_values(values + own, vertices[r], reach, vertices[r - 1])
        missing = np.isposinf(values)
        bounds.append(np.where(missing, np.inf, reach - np.where(missing, 0.0, values)))
    return tuple(bounds)


def with_error_bounds(error: float, bounds: Sequence[Floats]) -> float:
    """The error of a barcode of index r, of exact values, with bounds of dimensions r and r + 1.

    bounds  from `error_bounds`; NaN of simplices that bear on nothing yet
    """
    slack = max(float(each[~np.isnan(each)].max(initial=0.0)) for each in bounds)
    return error + slack / 2
