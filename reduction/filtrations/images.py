"""Arrays of numbers on a grid, as they are given: images, volumes, sampled functions."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_float64, as_numbers
from reduction.errors import FiltrationError, ShapeError
from reduction.validation import as_bool

MOST_AXES = 4


def numbers_on_grid(given: ArrayLike) -> NDArray[Any]:
    """An array of 1 to 4 axes, of real numbers of any type. Raises ShapeError."""
    array = as_numbers("array", given, "give one number for each point of a grid")
    if not 1 <= array.ndim <= MOST_AXES or not array.size or array.dtype.kind not in "fiub":
        raise ShapeError(
            f"array has shape {array.shape} and type {array.dtype}; give real numbers on a grid of "
            f"1 to {MOST_AXES} axes, none of them empty"
        )
    return array


def filtration_values(array: NDArray[Any], *, superlevel: bool) -> NDArray[np.float64]:
    """The numbers in float64, times -1 for superlevel sets.

    Raises OptionError, and FiltrationError for numbers that are not finite.
    """
    superlevel = as_bool("superlevel", superlevel)
    numbers = as_float64(array)
    finite = np.isfinite(numbers)
    if not finite.all():
        at = tuple(np.argwhere(~finite)[0].tolist())
        raise FiltrationError(
            f"values are finite, but array[{', '.join(map(str, at))}] is {numbers[at]}; replace "
            "it, as by a number above all others"
        )
    return -numbers if superlevel else numbers
