"""Options that must be whole numbers."""

from operator import index

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
