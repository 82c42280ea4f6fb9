"""Critical points that stand at more ends of bars than they can.

Where a loss is Morse, passing a critical point of Morse index q attaches one q-cell: it ends one
bar of index q - 1 or begins one of index q, and not both (Milnor 1963, "Morse Theory", theorem
3.2). A complex knows simplices, not cells: two of them may run through the same point. The first
may join what was apart; the second runs through the cell again, so what the two close together can
be pushed below the point, and is born, if at all, before. So where the point ends one bar of index
q - 1, the bars that begin there are not true; and of several that end, or of several that begin,
one at most is true, and it is not known which.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.bars import Bars
from reduction.barcodes.endpoints import BarEnds
from reduction.errors import DataError

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

SAME = 1e-4  # share of the spread of all points below which two are one: of Newton in float32


def repeated_ends(bars: Sequence[Bars], ends: Sequence[BarEnds]) -> tuple[Flags, ...]:
    """Which births and deaths (m, 2) of each index are certified at a point that has its bar.

    Two points are one where they, and their values, are. Bars of length zero count for nothing.
    """
    marks = tuple(np.zeros(rows.shape, np.bool_) for rows in bars)
    counted = [
        found.certified & (rows[:, :1] < rows[:, 1:])
        for rows, found in zip(bars, ends, strict=True)
    ]
    sides = [
        np.column_stack([rows[which, column], found[column].points[which]])
        for rows, found, flags in zip(bars, ends, counted, strict=True)
        for column, which in enumerate(flags.T)
    ]
    near = SAME * _extent(np.concatenate(sides)) if sides else np.zeros(2)
    for q in range(len(bars) + 1):
        dying, born = sides[2 * q - 1 : 2 * q], sides[2 * q : 2 * q + 1]
        if not dying + born:
            continue
        label = _labels(np.concatenate(dying + born), near)
        of_deaths, of_births = np.split(label, [sum(map(len, dying))])
        deaths, births = (np.bincount(of, minlength=len(label)) for of in (of_deaths, of_births))
        if dying:
            marks[q - 1][counted[q - 1][:, 1], 1] = deaths[of_deaths] > 1
        if born:
            marks[q][counted[q][:, 0], 0] = (births + deaths)[of_births] > 1
    return marks


def check_repeated(
    given: Sequence[Sequence[list[bool] | None]], bars: Sequence[Bars], ends: Sequence[BarEnds]
) -> None:
    """Raise DataError for marks of births and deaths of each index that `ends` contradict.

    None is not checked.
    """
    for r, (sides, marks) in enumerate(zip(given, repeated_ends(bars, ends), strict=True)):
        for side, mark in zip(sides, marks.T.tolist(), strict=True):
            if side is not None and side != mark:
                raise DataError(
                    f"of its ends of index {r}, {sum(mark)} stand at a point that ends another bar "
                    "already, and it marks others"
                )


def _extent(rows: Floats) -> Floats:
    """Range of the values, and the diagonal of the smallest box around the points of (m, 1+d)."""
    if not len(rows):
        return np.zeros(2)
    ranges = np.ptp(rows, axis=0)
    return np.array([ranges[0], math.hypot(*ranges[1:])])  # its squares cannot overflow


def _labels(rows: Floats, near: Floats) -> NDArray[np.int64]:
    """The same number (m,) for critical points (m, 1+d), values first, that are one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    if not len(rows):
        return np.empty(0, np.int64)
    unit = near[1] or 1.0  # in which squares of distances cannot overflow
    pairs = KDTree(rows[:, 1:] / unit).query_pairs(near[1] / unit, output_type="ndarray")
    pairs = pairs[np.abs(np.diff(rows[pairs, 0])[:, 0]) <= near[0]]
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(rows), len(rows)))
    return connected_components(links, directed=False)[1].astype(np.int64)
