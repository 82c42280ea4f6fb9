"""Arrays of bars: (m, 2) float64, birth and death, inf for essential classes."""

import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_numbers
from reduction.errors import BarcodeError, ShapeError

Bars = NDArray[np.float64]


def checked_bars(given: ArrayLike, name: str = "bars") -> Bars:
    """A copy of `given` as bars; an empty sequence is no bars. Raises ShapeError, BarcodeError."""
    if hasattr(given, "bars"):  # a barcode
        raise ShapeError(
            f"bars are those of one index, but {name} is a {type(given).__name__}; "
            "give barcode[r] of an index r"
        )
    bars = as_numbers(name, given, "give a birth and a death in each row")
    if bars.shape == (0,):
        return np.empty((0, 2))
    if bars.ndim != 2 or bars.shape[1] != 2 or bars.dtype.kind not in "fiu":
        raise ShapeError(
            f"{name} has shape {bars.shape} and type {bars.dtype}; "
            "give a float64 array of shape (m, 2)"
        )
    bars = bars.astype(np.float64)
    valid = np.isfinite(bars[:, 0]) & (bars[:, 0] <= bars[:, 1])
    if not valid.all():
        i = int(np.argmin(valid))
        raise BarcodeError(
            f"a bar has a finite birth and a death not before it, but row {i} of {name} is "
            f"{bars[i].tolist()}; mend or remove it"
        )
    return bars


def finite_bars(bars: Bars) -> Bars:
    """The bars that end, (m', 2)."""
    return bars[np.isfinite(bars[:, 1])]


def bar_lengths(bars: Bars) -> NDArray[np.float64]:
    """The lengths of bars, (m,); inf where one is beyond the largest float64, too."""
    with np.errstate(over="ignore"):
        return bars[:, 1] - bars[:, 0]


def essential_births(bars: Bars) -> NDArray[np.float64]:
    """The births of the bars that never end, (m'',)."""
    return bars[np.isinf(bars[:, 1]), 0]


def as_text(value: float, scale: float, digits: int = 6) -> str:
    """Significant digits; 0 for what is rounding error beside numbers of size `scale`."""
    negligible = 1e-12 * min(scale, sys.float_info.max)
    return f"{value if abs(value) > negligible else 0.0:.{digits}g}"
