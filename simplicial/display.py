"""Progress bars, names of dimensions, lengths of time and values of simplices, for people."""

import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from reduction.html_pieces import Line, block, picture, remark, table
from reduction.reprs import span

Floats = NDArray[np.float64]

DELAY = 2.0  # seconds before a progress bar appears
PERIOD = 60.0  # seconds between lines where there is no terminal
LINE = "{desc}: {n_fmt} of {total_fmt} after {elapsed}, left {remaining}{postfix}"
DRAWN = 24  # simplices of a dimension in a picture, the lowest ones
_NAMES = {0: "minima", 1: "edges", 2: "triangles", 3: "tetrahedra"}


class _Lines:
    """A stream in which each state of a progress bar is a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if line := text.strip():
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        self._stream.flush()


def progress_bar(title: str, total: int | None, enabled: bool) -> "tqdm[NoReturn]":
    """Progress on stderr: on a terminal a bar, for work of more than `DELAY` seconds; elsewhere a
    line every `PERIOD` seconds.
    """
    if sys.stderr.isatty():
        return tqdm(desc=title, total=total, delay=DELAY, disable=not enabled, leave=False)
    return tqdm(
        desc=title,
        total=total,
        delay=PERIOD,
        disable=not enabled,
        leave=False,
        file=_Lines(sys.stderr),
        bar_format=LINE,
        miniters=1,
        mininterval=PERIOD,
    )


def dimension_name(r: int) -> str:
    """Name of the r-simplices of a complex, whose vertices are minima."""
    return _NAMES.get(r, f"{r}-simplices")


def duration(seconds: float) -> str:
    """Length of time in seconds, minutes, hours or days, rounded."""
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    hours, days = minutes // 60, minutes // 1440
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if not days else f"{days} d {hours % 24} h"


def values_html(
    title: str,
    values: Sequence[Floats],
    lowest: Sequence[Floats],
    certified: Sequence[int] | None,
) -> str:
    """Filtration values of the simplices of each dimension as HTML: a table and a picture.

    values     for each dimension (m_r,), inf where the loss is not finite
    lowest     for each dimension (m_r,), lower bounds: the highest vertices
    certified  for each dimension the number of critical values; None: none were sought
    """
    header = ["simplices", "number", "largest loss on them", "missing"]
    header += ["critical points inside"] * (certified is not None)
    rows, groups = list[list[str]](), list[tuple[str, list[Line]]]()
    for r, (given, low) in enumerate(zip(values, lowest, strict=True)):
        finite = np.isfinite(given)
        missing = int((~finite).sum())
        row = [dimension_name(r), str(len(given)), span(given[finite]), str(missing or "-")]
        rows.append(row if certified is None else [*row, str(certified[r])])
        order = np.argsort(given[finite], kind="stable")[:DRAWN]
        pairs = zip(low[finite][order].tolist(), given[finite][order].tolist(), strict=True)
        groups.append((dimension_name(r), [_line(*pair) for pair in pairs]))
    said = "each line: from the highest vertex of a simplex to the largest loss on it"
    if any(len(given) > DRAWN for given in values):
        said += f"; the {DRAWN} lowest of each dimension"
    drawn = picture(groups, "loss")
    return block(title, table(header, rows), drawn, remark(said) if drawn else "")


def _line(low: float, value: float) -> Line:
    return Line(low, value, value, False, f"{low:.6g} to {value:.6g}")
