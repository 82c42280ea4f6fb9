"""Hash tables with linear probing (Knuth, TAOCP 3, 6.4): where a number stands, without its value.

A table holds indices into an array of keys, -1 where nothing stands; its size is a power of 2, and
it is never full.
"""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit_step


@njit_step
def find_place(key: Int, table: NDArray[np.int32], keys: NDArray[np.int64]) -> Int:
    """Where in the table the index of the key stands, or where it would have to."""
    mask = table.size - 1
    place = (((key ^ key >> 31) & 0x7FFFFFFF) * 0x9E3779B1 >> 24) & mask  # below 2**63
    while table[place] >= 0 and keys[table[place]] != key:
        place = (place + 1) & mask
    return place
