"""The simplices that begin and end the bars of one index: by vertex labels, or by position.

A generator of a chain complex has no vertices: its position is all that names it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_array
from reduction.barcodes.bars import Bars
from reduction.errors import BarcodeError, ShapeError
from reduction.filtrations.simplices import Simplices
from reduction.reprs import or_types
from reduction.validation import length_of


class Pairs(NamedTuple):
    """Birth and death simplices of the bars of one index r, row by row, as vertex labels.

    Of a chain complex the positions of generators, of degrees r and r + 1: both arrays are (m, 1).
    """

    births: NDArray[np.int64]  # (m, r+1)
    deaths: NDArray[np.int64]  # (m, r+2), -1 throughout for essential bars

    @or_types
    def __repr__(self) -> str:
        shapes = f"births={self.births.shape}, deaths={self.deaths.shape}"
        return f"Pairs(bars={len(self.births)}, {shapes})"


class Generators:
    """The generators of a chain complex, named by their positions."""

    def rows(self, _r: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """(k, 1): the names of generators at (k,) positions."""
        return positions[:, None].copy()


class Located(NamedTuple):
    """Birth and death simplices by their positions; rows of labels are made on demand."""

    simplices: Simplices | Generators
    r: int
    births: NDArray[np.int64]  # (m,) positions in dimension r
    deaths: NDArray[np.int64]  # (m,) positions in dimension r + 1, -1 for essential bars

    def pairs(self) -> Pairs:
        """The simplices as vertex labels, read-only."""
        width = 1 if isinstance(self.simplices, Generators) else self.r + 2
        deaths = np.full((self.deaths.size, width), -1)
        ends = self.deaths >= 0
        if ends.any():
            deaths[ends] = self.simplices.rows(self.r + 1, self.deaths[ends])
        pairs = Pairs(self.simplices.rows(self.r, self.births), deaths)
        for rows in pairs:
            rows.flags.writeable = False
        return pairs


def checked_pairs(r: int, pair: Sequence[ArrayLike], bars: Bars) -> Pairs:
    """Copies of the simplices of index r, births and deaths, checked against its bars."""
    count = length_of(f"pairs[{r}]", pair, "give births and deaths")
    if count != 2:
        raise ShapeError(f"pairs[{r}] has {count} arrays; give two, births and deaths")
    births, deaths = pair
    checked: list[NDArray[np.int64]] = []
    essential = np.isinf(bars[:, 1])
    named = [
        as_array(f"the array of {name} of index {r}", given, f"give {width} labels each")
        for name, given, width in (("births", births, r + 1), ("deaths", deaths, r + 2))
    ]
    is_generator = named[1].shape[1:] == (1,)  # not a simplex's labels
    widths = (1, 1) if is_generator else (r + 1, r + 2)
    for name, rows, width in zip(("births", "deaths"), named, widths, strict=True):
        if rows.shape != (len(bars), width) or rows.dtype.kind != "i":
            raise ShapeError(
                f"{name} of index {r} have shape {rows.shape} and type {rows.dtype} "
                f"for {len(bars)} bars; give an integer array of shape ({len(bars)}, {width})"
            )
        simplex = (rows[:, 0] >= 0) & (rows[:, 1:] > rows[:, :-1]).all(axis=1)
        none = (rows == -1).all(axis=1) & essential
        wrong = ~np.where(essential, none, simplex) if name == "deaths" else ~simplex
        if wrong.any():
            i = int(np.argmax(wrong))
            raise BarcodeError(
                f"bars begin and end with simplices, essential ones end with -1, but {name}[{i}] "
                f"of index {r} is {rows[i].tolist()} for the bar {bars[i].tolist()}; "
                "give ascending labels"
            )
        _check_distinct(name, r, rows[rows[:, 0] >= 0])
        checked.append(rows.astype(np.int64))
    return Pairs(*checked)


def named_pairs(r: int, births: Sequence[list[int]], deaths: Sequence[list[int] | None]) -> Pairs:
    """The pairs of index r from rows of names, None where nothing ends a bar; not checked."""
    width = next((len(row) for row in deaths if row is not None), r + 2)
    if r and births:
        width = len(births[0]) + (len(births[0]) > 1)
    rows = [row if row is not None else [-1] * width for row in deaths]
    return Pairs(
        np.array(births, np.int64).reshape(-1, max(width - 1, 1)),
        np.array(rows, np.int64).reshape(-1, width),
    )


def _check_distinct(name: str, r: int, simplices: NDArray[np.int64]) -> None:
    """Raise BarcodeError for a simplex that stands twice in (k, w), k simplices of one index."""
    ranked = simplices[np.lexsort(simplices.T)]
    twice = (ranked[1:] == ranked[:-1]).all(axis=1)
    if twice.any():
        raise BarcodeError(
            f"a simplex begins or ends one bar, but {ranked[int(np.argmax(twice))].tolist()} "
            f"stands twice in the {name} of index {r}; remove one of the two bars"
        )
