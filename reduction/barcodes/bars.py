"""Arrays of bars: (m, 2) float64, birth and death, inf for essential classes."""

import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_numbers
from reduction.errors import BarcodeError, OptionError, ShapeError
from reduction.validation import as_float, short_repr

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


def level_within(bar: NDArray[np.float64], level: float | None) -> float:
    """A value at which a bar (2,) is alive; None: its birth. Raises BarcodeError."""
    birth, death = bar.tolist()
    value = birth if level is None else as_float(level)
    if not birth <= value < death:
        raise BarcodeError(
            f"a class is there from its birth {birth} on and before its death {death}, but level "
            f"is {short_repr(level)}; give one between them, and a bar that is not of length zero"
        )
    return value


def checked_weights(given: ArrayLike | None, m: int) -> NDArray[np.float64]:
    """Weights of m simplices; None: 1 each. Raises ShapeError, OptionError."""
    if given is None:
        return np.ones(m)
    weights = as_numbers("weights", given, "give one number for each simplex")
    if weights.shape != (m,) or weights.dtype.kind not in "fiu":
        raise ShapeError(
            f"weights has shape {weights.shape} and type {weights.dtype} for {m} simplices; give "
            "one number for each, in the order of the complex's values"
        )
    weights = weights.astype(np.float64)
    wrong = ~((weights >= 0) & (weights < np.inf))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise OptionError(
            f"weights are finite and not negative, but weights[{i}] is {weights[i]}; raise or "
            "replace it"
        )
    return weights
