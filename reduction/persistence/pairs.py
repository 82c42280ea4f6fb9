"""Persistence pairs of one index, and those of index 0 by a minimum spanning forest."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.union_find import join

AT_ONCE = 1 << 12  # edges; complete complexes are connected long before the last one


class Pairing(NamedTuple):
    """Persistence pairs of index r, as positions of simplices of dimensions r and r + 1."""

    births: NDArray[np.int64]  # (m,)
    deaths: NDArray[np.int64]  # (k,), k <= m: of the first k births; the others are essential


UNPAIRED = Pairing(np.empty(0, np.int64), np.empty(0, np.int64))  # of index -1


def components(
    ends_of: Callable[[NDArray[np.int64]], NDArray[np.integer]],
    values: NDArray[np.float64],
    order: NDArray[np.int64],
) -> Pairing:
    """The persistence pairs of index 0: connected components (the elder rule).

    ends_of  the two vertices of each of (k,) edges, (k, 2)
    values   (n,) of the vertices
    order    (m,) filtration order of the edges
    A vertex is paired with the edge of the minimum spanning forest that joins its component to an
    older one. Takes 16 bytes for each vertex.
    """
    parent, ends, left = np.arange(values.size), np.full(values.size, -1), values.size - 1
    for begin in range(0, order.size, AT_ONCE):
        edges = order[begin : begin + AT_ONCE]
        left -= join(edges, ends_of(edges), values, parent, ends)
        if left == 0:
            break
    births = np.argsort(ends < 0, kind="stable")  # essential classes come last
    return Pairing(births, ends[births][ends[births] >= 0])
