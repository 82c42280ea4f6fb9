"""A barcode as HTML for notebooks: index by index, a picture of its longest bars, and a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.bar_columns import Rows, bar_columns
from reduction.barcodes.bars import Bars, as_text, bar_lengths
from reduction.barcodes.bounds import Bounds
from reduction.barcodes.endpoints import BarEnds
from reduction.barcodes.text_table import summary
from reduction.html_pieces import Line, block, picture, remark, table

DRAWN, LISTED = 24, 8  # bars of an index in the picture, and in the table, the longest ones
Columns = dict[str, Any]


def barcode_html(
    field: int,
    bars: Sequence[Bars],
    pairs: Sequence[tuple[Rows, Rows]],
    ends: Sequence[BarEnds],
    bounds: Sequence[Bounds],
) -> str:
    """What `Barcode.table` says, of the longest bars, and their picture; ends and bounds may be
    empty. Bars are dashed and light as in `plot_barcode`.
    """
    columns = bar_columns(bars, pairs, ends, bounds)
    sizes = np.abs(np.concatenate([np.empty((0, 2)), *bars]))
    scale = float(sizes[np.isfinite(sizes)].max(initial=0.0))
    doubtful = _doubtful(columns)
    starts = np.cumsum([0, *map(len, bars)])
    groups = [
        (
            f"index {r}",
            [
                _drawn(columns, i, doubtful, scale)
                for i in (starts[r] + _longest(rows, DRAWN)).tolist()
            ],
        )
        for r, rows in enumerate(bars)
    ]
    listed = [i for r, b in enumerate(bars) for i in (starts[r] + _longest(b, LISTED)).tolist()]
    return block(
        f"Barcode, coefficients Z/{field}",
        _summary(bars, ends, bounds, doubtful),
        picture(groups, "filtration value"),
        _listed(columns, listed, scale),
        _remark(len(listed), starts[-1], columns, doubtful),
    )


def _longest(bars: Bars, count: int) -> NDArray[np.int64]:
    """Rows of the longest bars, in their order."""
    return np.sort(np.argsort(-bar_lengths(bars), kind="stable")[:count])


def _doubtful(columns: Columns) -> NDArray[np.bool_]:
    """(k, 2): births and deaths of all bars that are not certified, or repeated."""
    both = np.zeros((len(columns["index"]), 2), np.bool_)
    if "birth_certified" in columns:
        for side, name in enumerate(("birth", "death")):
            both[:, side] = ~columns[f"{name}_certified"] | columns[f"{name}_repeated"]
            both[:, side] &= np.isfinite(columns[name])
    return both


def _drawn(columns: Columns, i: int, doubtful: NDArray[np.bool_], scale: float) -> Line:
    birth, death = float(columns["birth"][i]), float(columns["death"][i])
    sure = float(columns["lowest_death"][i]) if "lowest_death" in columns else death
    title = f"{as_text(birth, scale)} to {as_text(death, scale)}"
    return Line(birth, death, sure, bool(doubtful[i].any()), title)


def _summary(
    bars: Sequence[Bars],
    ends: Sequence[BarEnds],
    bounds: Sequence[Bounds],
    doubtful: NDArray[np.bool_],
) -> str:
    """A row for each index."""
    header = ["index", "bars", "essential", "longest", "W_inf"]
    header += ["error"] * bool(bounds) + ["certified ends"] * bool(ends)
    rows, start = [], 0
    for r, each in enumerate(bars):
        found = summary(r, each)
        row = [str(r), str(found.bars), str(found.essential), found.longest, f"{found.w_inf:.6g}"]
        if bounds:
            row.append(f"{bounds[r].error:.6g}")
        if ends:
            all_ends = int(np.isfinite(each).sum())
            sure = all_ends - int(doubtful[start : start + len(each)].sum())
            row.append(f"{sure} of {all_ends}")
        start += len(each)
        rows.append(row)
    return table(header, rows)


def _listed(columns: Columns, listed: Sequence[int], scale: float) -> str:
    """A row for each of these bars."""
    numbers = [name for name in ("birth", "death", "lowest_death") if name in columns]
    header = ["index", *(name.replace("_", " ") for name in numbers), "born with", "dies with"]
    rows = [
        [
            str(columns["index"][i]),
            *(as_text(float(columns[name][i]), scale) for name in numbers),
            *(_simplex(columns[f"{side}_simplex"][i]) for side in ("birth", "death")),
        ]
        for i in listed
    ]
    return table(header, rows) if rows else ""


def _simplex(labels: tuple[int, ...] | None) -> str:
    return "-" if labels is None else f"({','.join(map(str, labels))})"


def _remark(listed: int, count: int, columns: Columns, doubtful: NDArray[np.bool_]) -> str:
    """What the picture and the table leave out, and what light and dashed bars are."""
    said = list[str]()
    if listed < count:
        said.append(
            f"{count} bars: of each index the {LISTED} longest are listed, {DRAWN} at most drawn"
        )
    if "lowest_death" in columns and (columns["lowest_death"] < columns["death"]).any():
        said.append("light: above the lowest death that better simplices could give the bar")
    if doubtful.any():
        said.append("dashed: an end is not certified, or repeated")
    return remark("; ".join(said)) if said else ""
