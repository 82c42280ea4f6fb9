"""Room for what kernels write, enlarged when they report that it is full."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64  # bytes of a cache line


def enlarged(array: NDArray[Any]) -> NDArray[Any]:
    """A copy with twice the rows; the second half is unset."""
    larger = np.empty((2 * len(array), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def aligned(m: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """(m,): room for m records, the first at a multiple of their size or of a cache line."""
    size = kind.itemsize * m
    octets = np.empty(size + LINE, np.uint8)
    begin = -octets.ctypes.data % LINE
    return octets[begin : begin + size].view(kind)
