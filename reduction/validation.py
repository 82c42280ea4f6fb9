"""Checks of arguments: whole numbers, numbers, booleans, sequences, names, paths.

And words for messages: short reprs, and the first lines of errors.
"""

import difflib
import math
import os
from collections.abc import Sequence
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from reduction.errors import DataError, OptionError, ShapeError, TopologyError


def as_integer(name: str, value: int, least: int) -> int:
    """`value` as a Python int of at least `least`. Raises OptionError, which names the option."""
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise OptionError(
            f"{name} must be a whole number of at least {least}, got {short_repr(value)}: "
            f"change {name}"
        )
    return number


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, of Python or NumPy; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a real number, of Python or NumPy, nan and inf included; True and False are
    none.
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def as_float(value: Any) -> float:
    """A real number as a Python float: inf where it is too large for one; nan for what is none."""
    try:
        return float(value) if is_number(value) else math.nan
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_bool(name: str, value: bool) -> bool:
    """`value` as a Python bool. Raises OptionError, which names the option."""
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{name} must be True or False, got {short_repr(value)}: change {name}")
    return bool(value)


def length_of(name: str, given: Any, remedy: str) -> int:
    """The length of a sequence. Raises ShapeError for what has none."""
    try:
        return len(given)
    except TypeError:
        raise ShapeError(f"{name} must be a sequence, got {short_repr(given)}; {remedy}") from None


def check_name(
    kind: str,
    name: str,
    names: Sequence[str],
    *,
    error: type[TopologyError] = DataError,
    rule: str = "there is no {kind} {name!r}; choose from {names}",
    remedy: str = "",
) -> None:
    """Raise an error, with the nearest of `names`, unless `name` is one of them.

    rule    its sentence, with fields `kind`, `name` and `names`
    remedy  where no name is near
    """
    if name in names:
        return
    nearest = difflib.get_close_matches(str(name).lower(), names, n=1)
    remedy = f"did you mean {nearest[0]}?" if nearest else remedy
    sentence = rule.format(kind=kind, name=name, names=", ".join(names))
    raise error(f"{sentence}: {remedy}" if remedy else sentence)


def as_path(path: Any) -> Path:
    """The path of a file. Raises OptionError for what names none."""
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise OptionError(
            f"a file is named by a str or a Path, got {short_repr(path)}: give its path"
        )
    return Path(path)


def short_repr(value: Any) -> str:
    """The repr of a value in a message, or its type where that is long or has many lines."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else type(value).__name__


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
