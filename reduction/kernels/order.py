"""Filtration order: by value, then position."""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit

LONGEST = 64  # numbers that insertion sort is given


@njit
def repair_order(
    keys: NDArray[np.int64], values: NDArray[np.float64], bits: Int, order: NDArray[np.int64]
) -> bool:
    """Order numbers whose coarse order is known; False where that is too coarse.

    keys  (m,)  ascending: a coarse value, then a position in the lowest `bits` bits
    Where coarse values are equal, insertion sort puts the positions in order.
    """
    mask, begin = (np.int64(1) << bits) - 1, 0
    for k in range(keys.size):
        if keys[k] >> bits != keys[begin] >> bits:
            begin = k
        position, at = keys[k] & mask, k
        while at > begin and values[order[at - 1]] > values[position]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = position
        if k - at > LONGEST:
            return False
    return True
