"""Which simplex ends the class that another one began, for one index."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.simplices import Simplices
from reduction.kernels.union_find import join

AT_ONCE = 1 << 12  # edges; complete complexes are connected long before the last one


class Pairing(NamedTuple):
    """Bars of one index, as positions of simplices of the dimensions r and r + 1."""

    births: NDArray[np.int64]  # (m,)
    deaths: NDArray[np.int64]  # (k,), k <= m: what ends the first k; nothing ends the others


UNPAIRED = Pairing(np.empty(0, np.int64), np.empty(0, np.int64))  # of index -1


def components(
    simplices: Simplices, values: NDArray[np.float64], order: NDArray[np.int64]
) -> Pairing:
    """Who ends whom in index 0. values (n,) of the vertices, order (m,) filtration order of edges.

    16 bytes for each vertex.
    """
    parent, ends, left = np.arange(values.size), np.full(values.size, -1), values.size - 1
    for begin in range(0, order.size, AT_ONCE):
        edges = order[begin : begin + AT_ONCE]
        left -= join(edges, simplices.facets_of(1, edges), values, parent, ends)
        if left == 0:
            break
    births = np.argsort(ends < 0, kind="stable")  # what never ends comes last
    return Pairing(births, ends[births][ends[births] >= 0])
