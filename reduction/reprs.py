"""Parts of reprs that hold arrays: sizes, spans and the first numbers, which fit two lines."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

FEW = 4  # entries of a tuple that are shown
LONG = 40  # characters of a name that are shown


def few(values: Iterable[Any], form: str = "") -> str:
    """A tuple of the first values, with "..." for the others, numbers in a format such as ".6g"."""
    first = list(islice(values, FEW + 1))
    texts = [format(value, form) for value in first[:FEW]] + ["..."] * (len(first) > FEW)
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def span(values: ArrayLike) -> str:
    """The range of numbers, nan left out: "0.5 to 1.25"; "none" where there are none."""
    array = np.asarray(values)
    array = array[~np.isnan(array)]
    if not array.size:
        return "none"
    low, high = (f"{float(end):.6g}" for end in (array.min(), array.max()))
    return low if low == high else f"{low} to {high}"


def name_of(value: Any) -> str:
    """The name of a function or a class, or that of a value's class, shortened where it is long."""
    name = str(getattr(value, "__name__", type(value).__name__))
    return name if len(name) <= LONG else f"{name[: LONG - 3]}..."


def of_fields(value: Any) -> str:
    """A dataclass by its fields, functions among them by their names."""
    parts = {field.name: getattr(value, field.name) for field in fields(value)}
    texts = (f"{name}={name_of(v) if callable(v) else repr(v)}" for name, v in parts.items())
    return f"{type(value).__name__}({', '.join(texts)})"


def or_types(shown: Callable[[Any], str]) -> Callable[[Any], str]:
    """The repr of a named tuple, whose parts nobody has checked: types where others do not fit."""

    @wraps(shown)
    def text(value: Any) -> str:
        try:
            return shown(value)
        except (AttributeError, TypeError, ValueError):
            return f"{type(value).__name__}({', '.join(type(part).__name__ for part in value)})"

    return text
