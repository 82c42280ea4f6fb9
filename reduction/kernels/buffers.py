"""Buffers that kernels write to, enlarged when they report that one is full."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.memory import require

LINE = 64  # bytes of a cache line


def enlarged(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Copies with twice the numbers; the second halves are unset. Raises CapacityError before."""
    require(2 * sum(array.nbytes for array in arrays), f"{2 * arrays[0].size} terms of columns")
    larger = [np.empty(2 * array.size, array.dtype) for array in arrays]
    for copy, array in zip(larger, arrays, strict=True):
        copy[: array.size] = array
    return larger


def records(m: int, count: int, kind: type[np.integer]) -> NDArray[np.void]:
    """(m,): unset records of `count` cofacets, each in one cache line where it fits.

    value    (count,) float64 in order, inf where there are fewer
    cofacet  (count,) of the kind: 2 * position + (1 where the sign is -1)
    """
    size = count * (8 + np.dtype(kind).itemsize)
    record = np.dtype(
        {
            "names": ["value", "cofacet"],
            "formats": [(np.float64, (count,)), (kind, (count,))],
            "itemsize": -(-size // 16) * 16,
        }
    )
    octets = np.empty(record.itemsize * m + LINE, np.uint8)
    begin = -octets.ctypes.data % LINE
    return octets[begin : begin + record.itemsize * m].view(record)
