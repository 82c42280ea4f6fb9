"""The text table of a barcode: index by index, then bar after bar."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.bars import Bars, as_text, bar_lengths, finite_bars
from reduction.barcodes.bounds import Bounds
from reduction.barcodes.distances import w_inf
from reduction.barcodes.endpoints import BarEnds, Ends, uncertified
from reduction.barcodes.repeated import repeated_ends
from reduction.reprs import few

Rows = NDArray[np.int64]

LEGEND = (
    "?: not certified; Morse index and |grad| at the critical points of birth and death, "
    "- if unknown"
)
REPEATED = (
    "!: certified at a critical point that ends another bar, too: one of these bars at most is true"
)
BOUNDS_LEGEND = (
    "lowest: the death, if the simplices one dimension higher were perfect; error: bound on the "
    "bottleneck distance, if all were"
)


def line(
    field: int, bars: Sequence[Bars], ends: Sequence[BarEnds], bounds: Sequence[Bounds]
) -> str:
    """The repr of a barcode: the number of bars, the longest that ends, and the error, of each
    index; of all, how many births and finite deaths are certified and not repeated.

    ends, bounds  of each index, or empty
    """
    lengths = (bar_lengths(finite_bars(rows)).max(initial=0.0) for rows in bars)
    shown = f"field={field}, counts={few(map(len, bars))}, longest={few(lengths, '.4g')}"
    if bounds:
        shown += f", errors={few((each.error for each in bounds), '.4g')}"
    if ends:
        pairs = zip(ends, repeated_ends(bars, ends), strict=True)
        sure = sum(int((each.certified & ~marks).sum()) for each, marks in pairs)
        shown += f", certified={sure}/{sum(int(np.isfinite(rows).sum()) for rows in bars)}"
    return f"Barcode({shown})"


def table(
    field: int,
    bars: Sequence[Bars],
    pairs: Sequence[tuple[Rows, Rows]],
    ends: Sequence[BarEnds],
    bounds: Sequence[Bounds] = (),
) -> str:
    """Index by index count, essential, longest and W_inf; then bar after bar.

    pairs   vertex labels of the birth and death simplices of each index
    ends    of each index, or empty
    bounds  of each index, or empty: the error of each index, and the lowest death of each bar
    Where there are ends, also how many births and finite deaths of each index are certified and not
    repeated, a mark on each that is not, and Morse index and gradient norm at both ends of a bar.
    """
    repeated = repeated_ends(bars, ends) if ends else tuple(np.zeros_like(b, bool) for b in bars)
    lines = [f"coefficients Z/{field}", "", *_summary(bars, ends, bounds, repeated)]
    precision = _precision(bars)
    for r, (rows, simplices) in enumerate(zip(bars, pairs, strict=True)):
        lines += ["", f"index {r}" + ("" if len(rows) else ": no bars")]
        if len(rows):
            critical, lowest = ends[r] if ends else None, bounds[r] if bounds else None
            lines += _rows(
                rows, simplices, critical, lowest, repeated=repeated[r], precision=precision
            )
    legends = [LEGEND] * bool(ends) + [REPEATED] * any(marks.any() for marks in repeated)
    legends += [BOUNDS_LEGEND] * bool(bounds)
    return "\n".join([*lines, "", *legends] if legends else lines)


class Summary(NamedTuple):
    """Counts of bars of one index, and lengths in units of the loss.

    longest  of the bars that end, as text; "-" where there are none
    """

    bars: int
    essential: int
    longest: str
    w_inf: float


def summary(r: int, bars: Bars) -> Summary:
    """The summary of the bars of index r."""
    finite = finite_bars(bars)
    longest = f"{bar_lengths(finite).max():.6g}" if len(finite) else "-"
    distance = w_inf(bars, essential=1 if r == 0 else 0)
    return Summary(len(bars), len(bars) - len(finite), longest, distance)


def _summary(
    bars: Sequence[Bars],
    ends: Sequence[BarEnds],
    bounds: Sequence[Bounds],
    repeated: Sequence[NDArray[np.bool_]],
) -> list[str]:
    """A header, and one line for each index."""
    header = "index   bars  essential     longest       W_inf"
    lines = [header + ("       error" if bounds else "") + ("  certified" if ends else "")]
    for r, rows in enumerate(bars):
        found = summary(r, rows)
        share = ""
        if ends:
            share = f"{(ends[r].certified & ~repeated[r]).sum()}/{np.isfinite(rows).sum()}"
        lines.append(
            f"{r:5} {found.bars:6} {found.essential:10} "
            f"{found.longest:>11} {found.w_inf:11.6g}"
            + (f"{bounds[r].error:12.6g}" if bounds else "")
            + (f"{share:>11}" if ends else "")
        )
    return lines


def _rows(
    bars: Bars,
    pairs: tuple[Rows, Rows],
    ends: BarEnds | None,
    bounds: Bounds | None,
    *,
    repeated: NDArray[np.bool_],
    precision: tuple[float, int],
) -> list[str]:
    """A header, and one line for each bar of an index; values of a size and digits of them."""
    longest = float(
        bar_lengths(finite_bars(bars)).max(initial=0.0)
    )  # beside which lengths may vanish
    marks = np.where(uncertified(bars, ends), "?", " " if ends else "")
    marks[repeated] = "!"
    middle = _critical(bars, ends) if ends else [""] * (len(bars) + 1)
    if bounds:
        middle = [low + rest for low, rest in zip(_lowest(bounds, precision), middle, strict=True)]
    blank = " " if ends else ""
    texts = [
        [
            as_text(birth, *precision),
            as_text(death, *precision),
            as_text(death - birth, longest),
        ]
        for birth, death in bars.tolist()
    ]
    width = max(11, *(len(text) for row in texts for text in row), 0)
    head = (f"{name:>{width}}" for name in ("birth", "death", "length"))
    lines = [f"{blank} ".join(head) + f"  {middle[0]}born with -> dies with"]
    for (birth, death, length), mark, shown, born, dies in zip(
        texts, marks.tolist(), middle[1:], *pairs, strict=True
    ):
        end = f" -> {_name(dies)}" if dies[0] >= 0 else ""
        lines.append(
            f"{birth:>{width}}{mark[0]} {death:>{width}}{mark[1]} {length:>{width}}  "
            f"{shown}{_name(born)}{end}"
        )
    return lines


def _lowest(bounds: Bounds, precision: tuple[float, int]) -> list[str]:
    """A header, and the lowest death of each bar."""
    texts = [as_text(death, *precision) for death in bounds.lowest_deaths.tolist()]
    width = max(11, *map(len, texts), 0)
    return [f"{text:>{width}}  " for text in ("lowest", *texts)]


def _precision(bars: Sequence[Bars]) -> tuple[float, int]:
    """The largest size of a value, and digits: six of the differences, however far all are from
    0."""
    values = np.concatenate([np.zeros((0, 2)), *bars])
    values = values[np.isfinite(values)]
    scale = float(np.abs(values).max(initial=0.0))
    spread = float(values.max()) - float(values.min()) if values.size else 0.0
    return scale, min(15, 6 + int(np.log10(scale / spread))) if 0 < spread < np.inf else 6


def _critical(bars: Bars, ends: BarEnds) -> list[str]:
    """A header, and for each bar Morse index and gradient norm at its birth and its death."""
    births, deaths = _known(ends.births), _known(ends.deaths)
    deaths = [
        pair if death < math.inf else ("", "")  # nothing is missing there
        for pair, death in zip(deaths, bars[:, 1].tolist(), strict=True)
    ]
    texts = [(*birth, *death) for birth, death in zip(births, deaths, strict=True)]
    morse = max(2, *(len(text) for row in texts for text in row[::2]))
    norm = max(7, *(len(text) for row in texts for text in row[1::2]))
    lines = [f"{'Morse':^{2 * morse + 1}}  {'|grad|':^{2 * norm + 1}}  "]
    for i, g, j, h in texts:
        lines.append(f"{i:>{morse}} {j:>{morse}}  {g:>{norm}} {h:>{norm}}  ")
    return lines


def _known(ends: Ends) -> list[tuple[str, str]]:
    """Morse index and gradient norm of each end as text."""
    return [
        ("-" if morse < 0 else f"{morse}", "-" if math.isnan(norm) else f"{norm:.1e}")
        for morse, norm in zip(ends.morse.tolist(), ends.gradient_norms.tolist(), strict=True)
    ]


def _name(simplex: NDArray[np.int64]) -> str:
    return f"({','.join(map(str, simplex.tolist()))})"
