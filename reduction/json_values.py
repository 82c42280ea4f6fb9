"""Values of JSON documents: those that are read, of the right types, and infinite numbers as null.

Readers raise TypeError or DataError, to be caught by `reduction.files.refusing`.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from reduction.errors import DataError


def check_parts(document: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise DataError unless an object has these parts and no others."""
    if set(document) != set(names):
        raise DataError(f"it has other parts than it should: {sorted(document)}")


def as_list(value: Any) -> list[Any]:
    """A list as it is. Raises TypeError: an empty object or string would pass for an empty list."""
    if type(value) is not list:
        raise TypeError(f"{value!r} is no list")
    return value


def finite_number(value: Any) -> float:
    """A finite number as a float. Raises TypeError."""
    # bool is an int to Python, and float() would read digits in a string
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)


def null_if_infinite(value: float) -> float | None:
    """A number as it is written: null where it is infinite, for which JSON has no number."""
    return value if math.isfinite(value) else None


def inf_if_null(value: Any) -> float:
    """A number that `null_if_infinite` wrote. Raises TypeError."""
    return math.inf if value is None else finite_number(value)
