"""Arrays as they are given: of NumPy, pandas, torch, or nested lists; numbers as float64.

What NumPy would change in silence is refused: masked entries, which it unmasks, and whole numbers
that float64 rounds.
"""

from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.errors import ShapeError
from reduction.validation import first_line, is_whole

EXACT = 2**53  # whole numbers up to here are float64 numbers


def as_array(name: str, given: Any, remedy: str) -> NDArray[Any]:
    """`given` as an array of any type, not copied where that can be; a tensor without its gradient.

    Raises ShapeError, with the remedy, for ragged rows and whatever else is no array, and for
    masked entries.
    """
    if hasattr(given, "detach"):  # a tensor of torch; NumPy has no bfloat16
        given = given.detach().cpu()
        given = given.float() if given.is_floating_point() and given.element_size() < 4 else given
    masked = int(np.ma.count_masked(given)) if np.ma.isMaskedArray(given) else 0
    if masked:
        raise ShapeError(
            f"every entry is a number, but {masked} of {name}, a masked array, are masked; "
            "fill or remove them"
        )
    try:
        return np.asarray(given)
    except ValueError:
        raise ShapeError(f"{name} is ragged; {remedy}") from None
    except (TypeError, RuntimeError) as error:
        raise ShapeError(
            f"{name}, of type {type(given).__name__}, is no array: {first_line(error)}; {remedy}"
        ) from None


def as_numbers(name: str, given: Any, remedy: str) -> NDArray[Any]:
    """`given` as an array, see `as_array`. Raises ShapeError, also for whole numbers that float64
    rounds.
    """
    array = as_array(name, given, remedy)
    _refuse_rounded(name, given, array)
    return array


def as_float64(array: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers in float64, contiguous, aligned and writeable; copied where they are not.

    Kernels are compiled for one type of arrays, these.
    """
    return np.require(array, np.float64, ["C", "A", "W", "E"])


def dimensions(given: Any) -> int | None:
    """The number of dimensions of what may be an array; None of ragged rows."""
    try:
        return len(np.shape(given))
    except ValueError:
        return None


def is_constant(array: NDArray[Any]) -> bool:
    """Whether neither the array nor the owner of its memory lets anybody write to it.

    A read-only view of memory that its owner may write to, as pandas gives, is not constant; nor is
    one of an owner that is unknown.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return False
        if owner.base is None:
            return True
        owner = owner.base
    return isinstance(owner, bytes) or (isinstance(owner, mmap) and memoryview(owner).readonly)


def _refuse_rounded(name: str, given: Any, array: NDArray[Any]) -> None:
    """Raise ShapeError for a whole number that is rounded in float64."""
    lost = np.empty(0)
    if array.dtype.kind in "iu" and np.abs(array).max(initial=0) > EXACT:
        rounded = array.astype(np.float64)
        beyond = rounded >= 2.0 ** (63 if array.dtype.kind == "i" else 64)  # rounded up, no integer
        lost = array[beyond | (np.where(beyond, 0, rounded).astype(array.dtype) != array)]
    elif array.dtype.kind == "f" and isinstance(given, list | tuple) and array.size:
        large = np.asarray(given, object)[np.isfinite(array) & (np.abs(array) >= EXACT)]
        lost = np.array([x for x in large if is_whole(x) and int(x) != int(float(x))], object)
    if lost.size:
        raise ShapeError(
            f"numbers are kept in float64, which has all whole numbers up to 2**53 and few beyond, "
            f"but {name} has {lost.ravel()[0]}; subtract or divide by what they have in common"
        )
