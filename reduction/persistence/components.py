"""Index 0: connected components. Each vertex begins one, and the edge that joins it to an earlier
one ends it: an edge of the minimum spanning forest (the elder rule)."""

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.simplices import Simplices
from reduction.kernels.union_find import join
from reduction.persistence.pairs import Pairing

AT_ONCE = 1 << 12  # edges; complete complexes are connected long before the last one


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
