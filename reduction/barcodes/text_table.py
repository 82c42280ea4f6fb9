"""The text table of a barcode: index by index, then bar after bar."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.bars import as_text
from reduction.barcodes.endpoints import BarEnds, Ends, uncertified

if TYPE_CHECKING:
    from reduction.barcodes.barcode import Barcode

LEGEND = (
    "?: not certified; Morse index and |grad| at the critical points of birth and death, "
    "- if unknown"
)


def table(barcode: "Barcode") -> str:
    """Index by index count, essential, longest and W_inf; then bar after bar.

    Where the barcode has ends, also how many births and finite deaths of each index are certified,
    a mark on each that is not, and Morse index and gradient norm at both ends of each bar.
    """
    lines = [f"coefficients Z/{barcode.field}", "", *_summary(barcode)]
    for r in range(len(barcode)):
        lines += ["", f"index {r}" + ("" if len(barcode[r]) else ": no bars")]
        if len(barcode[r]):
            lines += _rows(barcode, r)
    return "\n".join([*lines, "", LEGEND] if _examined(barcode) else lines)


def _examined(barcode: "Barcode") -> bool:
    return any(barcode.ends(r) is not None for r in range(len(barcode)))


class Summary(NamedTuple):
    """What there is to say of one index: counts of bars, and lengths in units of the loss.

    longest  of the bars that end, as text; "-" where there are none
    """

    bars: int
    essential: int
    longest: str
    w_inf: float


def summary(barcode: "Barcode", r: int) -> Summary:
    """Of index r."""
    finite, bars = barcode.finite(r), len(barcode[r])
    longest = f"{np.diff(finite).max():.6g}" if len(finite) else "-"
    return Summary(bars, bars - len(finite), longest, barcode.w_inf(r))


def _summary(barcode: "Barcode") -> list[str]:
    """A header, and one line for each index."""
    header = "index   bars  essential     longest       W_inf"
    lines = [header + ("  certified" if _examined(barcode) else "")]
    for r, bars in enumerate(barcode):
        ends, found = barcode.ends(r), summary(barcode, r)
        share = f"{ends.certified.sum()}/{np.isfinite(bars).sum()}" if ends else ""
        lines.append(
            f"{r:5} {found.bars:6} {found.essential:10} "
            f"{found.longest:>11} {found.w_inf:11.6g}" + (f"{share:>11}" if ends else "")
        )
    return lines


def _rows(barcode: "Barcode", r: int) -> list[str]:
    """A header, and one line for each bar of index r."""
    bars, ends = barcode[r], barcode.ends(r)
    scale, digits = _precision(barcode)
    longest = float(np.diff(barcode.finite(r)).max(initial=0.0))  # beside which lengths may vanish
    marks = np.where(uncertified(bars, ends), "?", " " if ends else "")
    middle = _critical(bars, ends) if ends else [""] * (len(bars) + 1)
    blank = " " if ends else ""
    texts = [
        [
            as_text(birth, scale, digits),
            as_text(death, scale, digits),
            as_text(death - birth, longest),
        ]
        for birth, death in bars.tolist()
    ]
    width = max(11, *(len(text) for row in texts for text in row), 0)
    head = (f"{name:>{width}}" for name in ("birth", "death", "length"))
    lines = [f"{blank} ".join(head) + f"  {middle[0]}born with -> dies with"]
    for (birth, death, length), mark, shown, born, dies in zip(
        texts, marks.tolist(), middle[1:], *barcode.pairs(r), strict=True
    ):
        end = f" -> {_name(dies)}" if dies[0] >= 0 else ""
        lines.append(
            f"{birth:>{width}}{mark[0]} {death:>{width}}{mark[1]} {length:>{width}}  "
            f"{shown}{_name(born)}{end}"
        )
    return lines


def _precision(barcode: "Barcode") -> tuple[float, int]:
    """The largest size of a value, and digits: six of the differences, however far all are from
    0."""
    values = np.concatenate([np.zeros((0, 2)), *barcode])
    values = values[np.isfinite(values)]
    scale = float(np.abs(values).max(initial=0.0))
    spread = float(np.ptp(values)) if values.size else 0.0
    return scale, min(15, 6 + int(np.log10(scale / spread))) if spread else 6


def _critical(bars: NDArray[np.float64], ends: BarEnds) -> list[str]:
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
