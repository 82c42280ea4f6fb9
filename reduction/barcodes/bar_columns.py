"""Columns of the bars of all indices, one entry for each bar: what `Barcode.to_pandas` shows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.bars import Bars
from reduction.barcodes.bounds import Bounds
from reduction.barcodes.endpoints import BarEnds
from reduction.barcodes.repeated import repeated_ends

Rows = NDArray[np.int64]


def bar_columns(
    bars: Sequence[Bars],
    pairs: Sequence[tuple[Rows, Rows]],
    ends: Sequence[BarEnds],
    bounds: Sequence[Bounds],
) -> dict[str, Any]:
    """Index, birth and death, the simplices at both, and what else is known, in the bars' order.

    pairs   vertex labels of the birth and death simplices of each index
    ends    of each index, or empty: whether each end is certified, and whether another bar has the
            same critical point
    bounds  of each index, or empty: lowest deaths
    Simplices are tuples, None where nothing ends a bar.
    """
    both = np.concatenate([np.empty((0, 2)), *bars])
    found: dict[str, Any] = {
        "index": np.repeat(np.arange(len(bars)), [len(rows) for rows in bars]),
        "birth": both[:, 0],
        "death": both[:, 1],
    }
    if bounds:
        found["lowest_death"] = np.concatenate([each.lowest_deaths for each in bounds])
    for side, name in enumerate(("birth_simplex", "death_simplex")):
        rows = (row for pair in pairs for row in pair[side].tolist())
        found[name] = [tuple(row) if row[0] >= 0 else None for row in rows]
    if ends:
        marks = (
            ("certified", [each.certified for each in ends]),
            ("repeated", repeated_ends(bars, ends)),
        )
        for name, parts in marks:
            flags = np.concatenate([np.empty((0, 2), np.bool_), *parts])
            found |= {f"birth_{name}": flags[:, 0], f"death_{name}": flags[:, 1]}
    return found
