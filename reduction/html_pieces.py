"""Pieces of HTML that stand alone: tables of text, and lines over an axis as an inline picture.

No script, no style sheet and no file beside it. Text and axes have the colour of the text around
them, so that they are seen on light and on dark pages.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, LEFT, RIGHT = 640, 70, 16  # of a picture, and beside its axis
ROW, AXIS = 9, 34  # heights of a line, and of the axis below
TICKS = 6  # on an axis, about
ON_ANY_PAGE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of indices, for colour-blind readers, on light and dark pages (Okabe & Ito 2008)."""


class Line(NamedTuple):
    """A line of a picture, from `low` on; `high` inf: without an end.

    sure    as far as it is opaque
    dashed  whether it is
    title   shown beside the pointer
    """

    low: float
    high: float
    sure: float
    dashed: bool
    title: str


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text, all of it escaped."""
    cell = "style='text-align:right;padding:1px 8px'"
    head = "".join(f"<th {cell}>{escape(name)}</th>" for name in header)
    lines = (
        "<tr>" + "".join(f"<td {cell}>{escape(text)}</td>" for text in row) + "</tr>"
        for row in rows
    )
    style = "style='border-collapse:collapse;font-size:90%;margin:4px 0'"
    return f"<table {style}><tr>{head}</tr>{''.join(lines)}</table>"


def block(title: str, *parts: str) -> str:
    """A title, escaped, and pieces of HTML below it."""
    return f"<div style='margin:8px 0'><div><b>{escape(title)}</b></div>{''.join(parts)}</div>"


def remark(text: str) -> str:
    """A sentence, escaped."""
    return f"<div style='font-size:90%'>{escape(text)}</div>"


def picture(groups: Sequence[tuple[str, Sequence[Line]]], label: str) -> str:
    """Lines of named groups, one below another, over an axis of numbers with this label.

    Nothing where no number of any line is finite.
    """
    ends = [end for _, lines in groups for line in lines for end in line[:3] if math.isfinite(end)]
    if not ends or not math.isfinite(max(ends) - min(ends)):
        return ""
    axis = _Axis.over(min(ends), max(ends))
    shapes, height = list[str](), 6.0
    for r, (name, lines) in enumerate(groups):
        middle = height + max(len(lines), 2) * ROW / 2 + 4
        shapes.append(f"<text x='0' y='{middle:.0f}'>{escape(name)}</text>")
        for i, line in enumerate(lines):
            shapes.append(
                _line(line, axis, height + (i + 0.5) * ROW, ON_ANY_PAGE[r % len(ON_ANY_PAGE)])
            )
        height += max(len(lines), 2) * ROW + 6
    shapes.append(axis.drawn(height, label))
    total = height + AXIS
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='{escape(label)}' "
        f"viewBox='0 0 {WIDTH} {total:.0f}' width='{WIDTH}' height='{total:.0f}' "
        "style='max-width:100%;height:auto' font-family='sans-serif' font-size='11' "
        f"fill='currentColor'>{''.join(shapes)}</svg>"
    )


class _Axis(NamedTuple):
    """Numbers from low to high, low < high, along the width of a picture."""

    low: float
    high: float

    @classmethod
    def over(cls, low: float, high: float) -> "_Axis":
        """An axis over numbers with a margin, and never empty."""
        margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
        return cls(low - margin, high + margin)

    def at(self, value: float) -> float:
        """The x coordinate of a number."""
        share = (min(value, self.high) - self.low) / (self.high - self.low)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def ticks(self) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [i * step for i in range(first, last + 1)]

    def drawn(self, y: float, label: str) -> str:
        """The axis at a height, with its ticks and its label."""
        parts = [_stroke(LEFT, y, WIDTH - RIGHT, y, "stroke='currentColor' stroke-opacity='.5'")]
        for tick in self.ticks():
            x = self.at(tick)
            parts.append(_stroke(x, y, x, y + 4, "stroke='currentColor' stroke-opacity='.5'"))
            parts.append(_centred(x, y + 15, f"{tick:.6g}"))
        return "".join([*parts, _centred((LEFT + WIDTH - RIGHT) / 2, y + 29, label)])


def _line(line: Line, axis: _Axis, y: float, colour: str) -> str:
    """A line, lighter from `sure` on, with an arrow where it has no end."""
    style = f"stroke='{colour}' stroke-width='3' stroke-linecap='round'"
    if line.dashed:
        style += " stroke-dasharray='1 6'"
    low, sure, high = axis.at(line.low), axis.at(line.sure), axis.at(line.high)
    shapes = f"<title>{escape(line.title)}</title>" + _stroke(low, y, sure, y, style)
    if high > sure:
        shapes += _stroke(sure, y, high, y, f"{style} stroke-opacity='.35'")
    if math.isinf(line.high):
        shapes += f"<path d='M{high:.1f} {y - 4:.1f}l9 4l-9 4z' fill='{colour}'/>"
    return f"<g>{shapes}</g>"


def _stroke(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' {style}/>"


def _centred(x: float, y: float, text: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='middle'>{escape(text)}</text>"
