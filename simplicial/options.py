"""Options beside those of `reduction.validation`: memory, devices, and how options are kept."""

import re
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from reduction import OptionError
from reduction.validation import as_integer, short_repr

SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kMGT]i?B)")
UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"kiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def byte_count(memory: int | str) -> int:
    """A budget of memory in bytes: a whole number, or words such as "4GB", "1.5 GiB".

    Raises OptionError.
    """
    if not isinstance(memory, str):
        return as_integer("memory", memory, 1)
    found = SIZE.fullmatch(memory.strip())
    if found is None or not (count := int(float(found[1]) * UNITS[found[2]])):
        raise OptionError(
            f"memory must be a number of {', '.join(UNITS)}, got {short_repr(memory)}: "
            'write "4GB", say'
        )
    return count


def described(option: Any) -> Any:
    """JSON values of an option, the same in every process: numbers and text as they are, a frozen
    dataclass by its fields, a function by its bare name. Raises OptionError for a function without
    a name of its own.
    """
    if option is None or isinstance(option, bool | int | float | str):
        return option
    if is_dataclass(option):
        parts = {f.name: described(getattr(option, f.name)) for f in fields(option)}
        return {"kind": type(option).__name__, **parts}
    name = getattr(option, "__qualname__", repr(option))
    if "<" in name:
        raise OptionError(
            f"an option of a run folder must have a name of its own, got {short_repr(option)}: "
            "define it at the top level of a module"
        )
    return name


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
