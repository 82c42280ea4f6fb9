"""Options that must be whole numbers, switches or devices, and how a wrong one is shown."""

from dataclasses import fields, is_dataclass
from operator import index
from typing import Any

import numpy as np
import torch

from reduction import OptionError


def whole(name: str, value: int, least: int) -> int:
    """`value` as a Python int of at least `least`. Raises OptionError, which names the option."""
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise OptionError(
            f"{name} must be a whole number of at least {least}, got {shown(value)}: change {name}"
        )
    return number


def switch(name: str, value: bool) -> bool:
    """`value` as a Python bool. Raises OptionError, which names the option."""
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{name} must be True or False, got {shown(value)}: change {name}")
    return bool(value)


def shown(value: Any) -> str:
    """What stands for a value in a message: itself where that is short, on one line; its type."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else type(value).__name__


def described(option: Any) -> Any:
    """An option as JSON values, the same in every process: numbers and words as they are, a frozen
    dataclass by its fields, a function by its name. Raises OptionError for one without a name of
    its own.
    """
    if option is None or isinstance(option, bool | int | float | str):
        return option
    if is_dataclass(option):
        parts = {f.name: described(getattr(option, f.name)) for f in fields(option)}
        return {"kind": type(option).__name__, **parts}
    name = getattr(option, "__qualname__", repr(option))
    if "<" in name:
        raise OptionError(
            f"what a run folder keeps must be told apart by its name, got {shown(option)}: define "
            "it at the top level of a module"
        )
    return f"{option.__module__}.{name}" if hasattr(option, "__qualname__") else name


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name, if torch can compute on it. Raises OptionError."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise OptionError(
            f"device {str(name)!r} cannot be used ({str(error).splitlines()[0]}): take cpu, or a "
            "device that torch sees"
        ) from error
    return device
