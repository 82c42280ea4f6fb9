"""Filtration order, the order of whole numbers, and that of bars."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.radix_sort import COARSE, coarse_order, repair_order, sort_bits


def filtration_order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(m,): positions by value, then position.

    A radix sort of whole numbers: a coarse value, rounded down, above the position; what stays out
    of order is repaired. Several times faster than a stable sort of the values, which is what is
    left where most of them differ by far less than their range. 16 bytes for each value, 28 there.
    """
    values = values.view()
    values.flags.writeable = False  # one type for the compiler
    bits = max(values.size - 1, 1).bit_length()
    coarse = min(COARSE, 63 - bits)
    least = values.min(initial=np.inf)
    with np.errstate(over="ignore", divide="ignore"):
        span = values.max(initial=-np.inf) - least
        scale = np.float64(2.0**coarse) / span
    if not 0 < scale < np.inf:
        return np.argsort(values, kind="stable")
    keys = coarse_order(values, least, scale, bits, coarse)
    order = np.empty(values.size, np.int64)
    if not repair_order(keys, values, bits, order):
        return np.argsort(values, kind="stable")
    return order


def ranks(order: NDArray[np.int64], kind: type[np.integer] = np.int64) -> NDArray[Any]:
    """(m,): the rank of each position in an order of all of them, the inverse permutation."""
    rank = np.empty(order.size, kind)
    rank[order] = np.arange(order.size, dtype=kind)
    return rank


def ascending_order(keys: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """(m,): the stable order of whole numbers; None where they ascend already, all distinct."""
    if (keys[1:] > keys[:-1]).all():
        return None
    bits, used = keys.size.bit_length(), int(keys.max()).bit_length()
    if bits + used > 63 or int(keys.min()) < 0:
        return np.argsort(keys, kind="stable")
    ordered = keys << bits  # positions are in order in the lowest bits, and stay so
    ordered += np.arange(keys.size)
    ordered = sort_bits(ordered, bits, bits + used)
    ordered &= (1 << bits) - 1
    return ordered


def bars_order(
    births: NDArray[np.float64], deaths: NDArray[np.float64], begun: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(m,): bars by birth, then death, then the position of the simplex that began them."""
    order = filtration_order(births)
    ascending, tied = births[order], np.zeros(order.size + 1, np.bool_)
    tied[1:-1] = ascending[1:] == ascending[:-1]
    among = np.flatnonzero(tied[1:] | tied[:-1])
    rows = order[among]
    order[among] = rows[np.lexsort((begun[rows], deaths[rows], births[rows]))]
    return order
