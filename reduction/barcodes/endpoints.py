"""Critical points of the loss at which bars begin and end, and which of them are certified.

The topology of the sublevel sets changes only at critical points: where the loss is Morse, a bar of
index r is born at a critical point of Morse index r, and dies at one of Morse index r + 1 (Milnor
1963, "Morse Theory", section 3; Barannikov 1994). An end is certified where such a point was shown
to be there. One that is not is kept, and marked wherever the bar is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.arrays import as_array
from reduction.barcodes.bars import Bars
from reduction.errors import BarcodeError, ShapeError
from reduction.reprs import or_types
from reduction.validation import length_of, short_repr

LAYOUT = {  # name: number of axes, kinds of numbers taken, what they are kept as
    "certified": (1, "b", np.bool_, "a bool array of shape (m,)"),
    "points": (2, "fiu", np.float64, "a float64 array of shape (m, d)"),
    "gradient_norms": (1, "fiu", np.float64, "a float64 array of shape (m,)"),
    "eigenvalues": (2, "fiu", np.float64, "a float64 array of shape (m, e)"),
    "morse": (1, "i", np.int64, "an integer array of shape (m,)"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Critical points at which the bars of one index begin, or end; row i belongs to bar i.

    certified       (m,) bool; needs a point and its Morse index
    points          (m, d) float64, in parameter space; rows of nan where nothing was found, as at
                    the deaths of essential bars and at ends never examined
    gradient_norms  (m,) float64, |grad L| at the points, in units of the loss over those of the
                    parameters; nan where there is no point
    eigenvalues     (m, e) float64, the lowest e eigenvalues of the Hessian there, ascending; nan,
                    behind those that are known, where unknown
    morse           (m,) int64, Morse index: number of negative eigenvalues, of all d, not only of
                    those listed; -1 where unknown or degenerate

    Arrays are copied and read-only. Raises ShapeError (shapes, number types), BarcodeError (rows
    that contradict themselves).
    """

    certified: NDArray[np.bool_]
    points: NDArray[np.float64]
    gradient_norms: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    morse: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in LAYOUT:
            object.__setattr__(self, name, _owned(name, getattr(self, name)))
        lengths = {name: len(getattr(self, name)) for name in LAYOUT}
        if len(set(lengths.values())) > 1:
            raise ShapeError(
                f"ends have one row of each array for each bar, but there are {lengths}; "
                "give as many of each"
            )
        if not self.points.shape[1]:
            raise ShapeError("points of bars have d >= 1 coordinates, but d is 0; give (m, d)")
        _check_found(self)
        _check_morse(self)

    def __repr__(self) -> str:
        counts = f"found={self.found.sum()}, certified={self.certified.sum()}"
        return f"Ends(bars={len(self)}, dim={self.points.shape[1]}, {counts})"

    def __len__(self) -> int:
        """The number of bars."""
        return len(self.certified)

    @property
    def found(self) -> NDArray[np.bool_]:
        """(m,): where there is a point."""
        return np.isfinite(self.points[:, 0])

    def taken(self, order: NDArray[np.int64]) -> "Ends":
        """The rows `order`, (m',) positions, in that order. Raises BarcodeError for other rows."""
        try:
            return Ends(*(getattr(self, name)[order] for name in LAYOUT))
        except IndexError:
            raise BarcodeError(
                f"ends are taken at rows of {len(self)}, got {short_repr(order)}; "
                "give their positions"
            ) from None


class BarEnds(NamedTuple):
    """Critical points at the births and deaths of the bars of one index, row by row."""

    births: Ends
    deaths: Ends

    @or_types
    def __repr__(self) -> str:
        births, deaths = (side.certified.sum() for side in self)
        shown = f"certified_births={births}, certified_deaths={deaths}"
        return f"BarEnds(bars={len(self.births)}, dim={self.births.points.shape[1]}, {shown})"

    @property
    def certified(self) -> NDArray[np.bool_]:
        """(m, 2): whether the birth, and the death, is certified."""
        return np.column_stack([self.births.certified, self.deaths.certified])


def checked_ends(ends: Sequence[tuple[Ends, Ends]], bars: Sequence[Bars]) -> list[BarEnds]:
    """The ends of each index, checked against its bars. Raises ShapeError, BarcodeError."""
    remedy = "give births and deaths for every index"
    if (count := length_of("ends", ends, remedy)) != len(bars):
        raise ShapeError(f"ends has {count} indices and the barcode {len(bars)}; {remedy}")
    for r, pair in enumerate(ends):
        if length_of(f"ends[{r}]", pair, remedy) != 2 or not all(isinstance(e, Ends) for e in pair):
            raise ShapeError(f"ends[{r}] are two Ends, but it is {short_repr(pair)}; {remedy}")
    checked = [BarEnds(*pair) for pair in ends]
    widths = {side.points.shape[1] for pair in checked for side in pair}
    if len(widths) > 1:
        raise ShapeError(
            "the points of all ends lie in one parameter space, but some have "
            f"{min(widths)} coordinates and some {max(widths)}; give d for every index"
        )
    for r, (births, deaths) in enumerate(checked):
        _check_side(f"births of index {r}", births, r, bars[r])
        _check_side(f"deaths of index {r}", deaths, r + 1, bars[r])
        _refuse(
            np.isinf(bars[r][:, 1]) & deaths.found,
            f"nothing ends an essential bar of index {r}",
            "deaths.found",
            deaths.found,
            "give nan for the point",
        )
    return checked


def uncertified(bars: Bars, ends: BarEnds | None) -> NDArray[np.bool_]:
    """(m, 2): which births and finite deaths are not certified; none where nothing was examined."""
    if ends is None:
        return np.zeros(bars.shape, np.bool_)
    return np.isfinite(bars) & ~ends.certified


def _owned(name: str, given: Any) -> NDArray[Any]:
    """A read-only copy of the right type."""
    axes, kinds, dtype, wanted = LAYOUT[name]
    array = as_array(name, given, f"give {wanted}")
    if array.ndim != axes or array.dtype.kind not in kinds:
        raise ShapeError(f"{name} has shape {array.shape} and type {array.dtype}; give {wanted}")
    owned = array.astype(dtype)
    if owned.dtype.kind == "f":
        owned[np.isnan(owned)] = np.nan  # one nan of the many, so that a file restores every bit
    owned.flags.writeable = False
    return owned


def _check_found(ends: Ends) -> None:
    """Check that points that are there are finite, with a gradient, and that all else is nan."""
    found, norms, eigenvalues = ends.found, ends.gradient_norms, ends.eigenvalues
    _refuse(
        np.where(found[:, None], ~np.isfinite(ends.points), ~np.isnan(ends.points)),
        "a point is finite, or nan throughout where nothing was found",
        "points",
        ends.points,
        "give the whole point or none of it",
    )
    _refuse(
        np.where(found, ~(np.isfinite(norms) & (norms >= 0)), ~np.isnan(norms)),
        "a gradient norm is finite and not negative, and nan where there is no point",
        "gradient_norms",
        norms,
        "give |grad L| at each point",
    )
    known = ~np.isnan(eigenvalues)
    ascending = (eigenvalues == np.sort(eigenvalues, axis=1)) | ~known  # np.sort puts nan last
    _refuse(
        (np.isinf(eigenvalues) | ~ascending | (known & ~found[:, None])).any(axis=1),
        "eigenvalues are finite and ascend, nan behind them and where there is no point",
        "eigenvalues",
        eigenvalues,
        "sort each row",
    )


def _check_morse(ends: Ends) -> None:
    """Morse indices belong to points, agree with the eigenvalues, and are known if certified."""
    d = ends.points.shape[1]
    _refuse(
        (ends.morse < -1) | (ends.morse > np.where(ends.found, d, -1)),
        f"a Morse index is 0..{d} at a point, or -1, and -1 where there is no point",
        "morse",
        ends.morse,
        "count the negative eigenvalues",
    )
    known = (~np.isnan(ends.eigenvalues)).sum(axis=1)
    negative = (ends.eigenvalues < 0).sum(axis=1)
    _refuse(
        (ends.morse >= 0) & (negative != np.minimum(ends.morse, known)),
        "a Morse index is the number of negative eigenvalues",
        "morse",
        ends.morse,
        "count the eigenvalues in that row",
    )
    _refuse(
        ends.certified & (ends.morse < 0),
        "a certified end has a point whose Morse index is known",
        "certified",
        ends.certified,
        "give both, or leave the end uncertified",
    )


def _check_side(side: str, ends: Ends, morse: int, bars: Bars) -> None:
    """Raise for births, or deaths, of one index that do not fit its bars."""
    if len(ends) != len(bars):
        raise ShapeError(f"there are {len(ends)} {side} for {len(bars)} bars; give one for each")
    _refuse(
        ends.certified & (ends.morse != morse),
        f"certified {side} have Morse index {morse}",
        "morse",
        ends.morse,
        "leave the end uncertified",
    )


def _refuse(wrong: NDArray[np.bool_], rule: str, name: str, values: Any, remedy: str) -> None:
    """Raise BarcodeError for the first entry that breaks the rule, if there is one."""
    if wrong.any():
        at = np.argwhere(wrong)[0].tolist()
        entry = f"{name}[{', '.join(map(str, at))}]"
        raise BarcodeError(f"{rule}, but {entry} is {values[tuple(at)].tolist()}; {remedy}")
