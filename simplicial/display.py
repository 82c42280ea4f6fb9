"""Progress bars, names of dimensions and lengths of time, as people read them."""

from typing import NoReturn

from tqdm import tqdm

DELAY = 2.0  # seconds before a progress bar appears
_NAMES = {0: "minima", 1: "edges", 2: "triangles", 3: "tetrahedra"}


def progress_bar(title: str, total: int | None, enabled: bool) -> "tqdm[NoReturn]":
    """Progress bar on stderr, for work of more than `DELAY` seconds."""
    return tqdm(desc=title, total=total, delay=DELAY, disable=not enabled, leave=False)


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
