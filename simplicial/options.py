"""Options that must be whole numbers, or devices."""

from operator import index

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
            f"{name} must be a whole number of at least {least}, got {value!r}: change {name}"
        )
    return number


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
