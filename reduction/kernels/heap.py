"""The working column as a heap: its simplices, by where their cursors stand (Williams 1964)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit_inline


class Heap(NamedTuple):
    """The simplices of the working column, the least (value, position) of a cofacet on top."""

    size: NDArray[np.int64]  # (1,)
    value: NDArray[np.float64]  # (m,)
    cofacet: NDArray[np.int64]  # (m,) encoded
    simplex: NDArray[np.int64]  # (m,)
    standing: NDArray[np.int64]  # (m,) buffer of simplices taken off


@njit_inline
def precedes(value: Float, cofacet: Int, other_value: Float, other_cofacet: Int) -> bool:
    """Whether an encoded cofacet with its value comes before another in filtration order."""
    return value < other_value or (value == other_value and cofacet >> 1 < other_cofacet >> 1)


@njit_inline
def move(heap: Heap, source: Int, at: Int) -> None:
    """Copy an entry of the heap to another index."""
    heap.value[at], heap.cofacet[at] = heap.value[source], heap.cofacet[source]
    heap.simplex[at] = heap.simplex[source]


@njit_inline
def push(heap: Heap, value: Float, cofacet: Int, simplex: Int) -> None:
    """Put a simplex on the heap."""
    at = heap.size[0]
    heap.size[0] += 1
    while at > 0:
        up = (at - 1) >> 1
        if not precedes(value, cofacet, heap.value[up], heap.cofacet[up]):
            break
        move(heap, up, at)
        at = up
    heap.value[at], heap.cofacet[at], heap.simplex[at] = value, cofacet, simplex


@njit_inline
def pop(heap: Heap) -> None:
    """Take the top off the heap."""
    heap.size[0] -= 1
    size, at = heap.size[0], 0
    value, cofacet, simplex = heap.value[size], heap.cofacet[size], heap.simplex[size]
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and precedes(
            heap.value[down + 1], heap.cofacet[down + 1], heap.value[down], heap.cofacet[down]
        ):
            down += 1
        if not precedes(heap.value[down], heap.cofacet[down], value, cofacet):
            break
        move(heap, down, at)
        at = down
    heap.value[at], heap.cofacet[at], heap.simplex[at] = value, cofacet, simplex
