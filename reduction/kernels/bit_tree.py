"""A sparse set of rows whose least one is found at once: the bit tree of PHAT.

One bit for each row, one for each word of 64 bits that is not zero, and one for each word of those.
A column is added bit by bit, in any order. Source: Bauer, Kerber, Reininghaus & Wagner (2017),
"Phat - Persistent Homology Algorithms Toolbox", section 4.3; there with a level for each power of
64 and the greatest row on top. Here the least row only grows while a column is reduced, so that the
third level is passed through once.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Int, njit_step

Words = NDArray[np.uint64]
ONE = np.uint64(1)
# 2 generates the units modulo 67, so a power of 2 below 2**64 is told by its remainder
PRIME = np.uint64(67)
EXPONENTS = np.zeros(67, np.int64)
for _exponent in range(64):
    EXPONENTS[pow(2, _exponent, 67)] = _exponent


class Bits(NamedTuple):
    """A set of rows 0..m-1."""

    rows: Words  # (m >> 6 + 1,)
    words: Words  # (m >> 12 + 1,)
    groups: Words  # (m >> 18 + 1,)


def no_bits(m: int) -> Bits:
    """The empty set of rows below m."""
    return Bits(*(np.zeros((m >> shift) + 1, np.uint64) for shift in (6, 12, 18)))


@njit_step
def lowest_bit(word: Any) -> Int:
    """The index of the lowest bit of a word that is not zero."""
    return EXPONENTS[np.int64((word & ~(word - ONE)) % PRIME)]


@njit_step
def toggle(row: Int, bits: Bits) -> Int:
    """Put a row into the set, or take it out; 1 or -1."""
    bit, at = ONE << np.uint64(row & 63), row >> 6
    before = bits.rows[at]
    bits.rows[at] = before ^ bit
    if before == 0:
        bits.words[at >> 6] |= ONE << np.uint64(at & 63)
        bits.groups[at >> 12] |= ONE << np.uint64((at >> 6) & 63)
    elif before == bit:
        group = bits.words[at >> 6] & ~(ONE << np.uint64(at & 63))
        bits.words[at >> 6] = group
        if group == 0:
            bits.groups[at >> 12] &= ~(ONE << np.uint64((at >> 6) & 63))
    return 1 if before & bit == 0 else -1


@njit_step
def least(row: Int, bits: Bits) -> Int:
    """The least row of a set that is not empty; none is before the group of `row`."""
    at = row >> 18
    while bits.groups[at] == 0:
        at += 1
    at = at << 6 | lowest_bit(bits.groups[at])
    at = at << 6 | lowest_bit(bits.words[at])
    return at << 6 | lowest_bit(bits.rows[at])
