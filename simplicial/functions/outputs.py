"""Outputs of functions of other libraries, checked: one sentence for each that is none."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reduction import TopologyError
from reduction.validation import first_line, short_repr
from simplicial.errors import LossError

Floats = NDArray[np.float64]
Result = TypeVar("Result")

SHOWN = 4  # coordinates of a point in a message


def shown_point(point: Iterable[Any]) -> str:
    """The first coordinates of a point (d,), for a message."""
    coordinates = [float(x) for x in point]
    first = ", ".join(f"{x:.4g}" for x in coordinates[:SHOWN])
    return f"[{first}{', ...' if len(coordinates) > SHOWN else ''}]"


def name_of(function: Any) -> str:
    """The name of a function, or the type of an object that can be called."""
    return getattr(function, "__name__", type(function).__name__)


def called(
    function: Callable[..., Result], *arguments: Any, name: str, point: Floats, remedy: str
) -> Result:
    """What a function returns at a point, or at points of which that is the first.

    NumPy does not warn of overflow, division by zero and invalid operations, since values that are
    not finite are told by the library. Raises LossError where the function raises; an error of
    memory stays one.
    """
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except (MemoryError, TopologyError):
        raise
    except Exception as error:
        raise LossError(
            f"{name} must have a value at every point, it raised {type(error).__name__} "
            f"({first_line(error)}) at {shown_point(point)}: {remedy}"
        ) from error


def as_floats(given: Any, shape: tuple[int, ...], *, name: str, precision: float) -> Floats:
    """An output of a function as an array of its own, of a shape.

    name       the function and its output, for messages
    precision  relative error that the output is declared to have
    Raises LossError for what is not real, floating, of that shape, or at least that precise.
    """
    try:
        array = np.asarray(given)
    except Exception as error:  # ragged; a tensor that requires a gradient
        raise LossError(
            f"{name} must be numbers of shape {shape}, got {type(given).__name__} "
            f"({first_line(error)}): return a float or a float64 array"
        ) from error
    kind, got = array.dtype.kind, f"{array.dtype} of shape {array.shape}"
    if kind == "c":
        raise LossError(f"{name} must be real, got {got}: return its real part, or its modulus")
    if kind in "iub":
        raise LossError(
            f"{name} must be floating, got {got}: rounded values have no gradient; convert by "
            "float or .astype(float) if they are not rounded"
        )
    if kind != "f":
        raise LossError(
            f"{name} must be numbers of shape {shape}, got {short_repr(given)}: return a float or "
            "a float64 array"
        )
    if array.shape != shape:
        remedy = "return one number for each"
        if array.size == np.prod(shape):
            remedy = "reshape it" if shape else "return a scalar, value[0] or value.item()"
            remedy = (
                "drop the last axis, [:, 0]" if array.shape == (*shape, 1) and shape else remedy
            )
        raise LossError(f"{name} must have shape {shape}, got {array.shape}: {remedy}")
    rounding = float(np.finfo(array.dtype).eps)
    if rounding > 2 * precision:
        raise LossError(
            f"{name} must be as precise as declared, precision={precision:.2g}, got {array.dtype}: "
            f"compute it in float64, or give precision={rounding:.2g}, by which differences take "
            "longer steps"
        )
    return np.array(array, dtype=np.float64)
