"""Filtration order: by value, then position."""

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit, njit_step

DIGIT = 11  # bits: as many counters as fit into a core's first cache
COARSE = 3 * DIGIT  # bits of a coarse value
LONGEST = 64  # numbers that insertion sort is given


@njit
def sort_bits(keys: NDArray[np.int64], low: Int, high: Int) -> NDArray[np.int64]:
    """(m,): keys, 0 or more and below 2**high, in the order of their bits from `low` on.

    Stable. Radix sort from the lowest digit on (Knuth, TAOCP 3,
    5.2.5). The array of keys is used up.
    """
    others, starts = np.empty(keys.size, np.int64), np.empty(1 << DIGIT, np.int64)
    for shift in range(low, high, DIGIT):
        sort_digit(keys, shift, starts, others)
        keys, others = others, keys
    return keys


@njit
def coarse_order(
    values: NDArray[np.float64], least: Float, scale: Float, bits: Int, coarse: Int
) -> NDArray[np.int64]:
    """(m,): a coarse value of `coarse` bits, then the position in the lowest `bits`, ascending.

    Rounding is monotone, so a higher value never gets a lower number. Positions begin in order and
    stay so among equal values.
    """
    keys, highest = np.empty(values.size, np.int64), (np.int64(1) << coarse) - 1
    for k in range(values.size):
        keys[k] = min(np.int64((values[k] - least) * scale), highest) << bits | k
    return sort_bits(keys, bits, bits + coarse)


@njit_step
def sort_digit(
    keys: NDArray[np.int64], shift: Int, starts: NDArray[np.int64], ordered: NDArray[np.int64]
) -> None:
    """Write the keys in the order of one digit, stable."""
    starts[:] = 0
    for k in range(keys.size):
        starts[keys[k] >> shift & (starts.size - 1)] += 1
    total = np.int64(0)
    for digit in range(starts.size):
        starts[digit], total = total, total + starts[digit]
    for k in range(keys.size):
        digit = keys[k] >> shift & (starts.size - 1)
        ordered[starts[digit]] = keys[k]
        starts[digit] += 1


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
