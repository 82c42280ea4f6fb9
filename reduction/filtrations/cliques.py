"""Clique complexes: every set of vertices that are joined pairwise is a simplex.

The flag complex of a filtered graph; the value of a simplex is that of its highest edge. Dimension
by dimension the cliques are counted, buffers allocated, and the cliques written
(`kernels.simplex_tree`).
"""

import numpy as np
from numpy.typing import NDArray

from reduction.errors import DimensionError
from reduction.filtrations.filtration import Filtration, listed_or_complete
from reduction.filtrations.simplex_tree import level, vertex_level
from reduction.filtrations.simplices import index_type
from reduction.kernels.simplex_tree import Cliques, Level, count_children, fill_children
from reduction.memory import require
from reduction.validation import is_whole

HIGHEST = 63  # a simplex of a higher dimension has more than 2**64 faces


def check_dimension(dim: int) -> None:
    """Raise DimensionError unless simplices of this dimension may be listed."""
    if not (is_whole(dim) and 0 <= dim <= HIGHEST):
        raise DimensionError(
            f"a complex is made up to one of the dimensions 0..{HIGHEST}, but dim is {dim!r}; "
            "give one of these"
        )


def clique_filtration(graph: Filtration, dim: int) -> Filtration:
    """All cliques of a graph up to a dimension, at most 63; one without any is empty.

    An r-simplex takes 12 r + 20 bytes, and 8 more while they are made. Raises DimensionError,
    CapacityError.
    """
    vertices = vertex_level(graph.values[0].size)
    check_dimension(dim)
    found = graph.simplices.facets(1).astype(vertices.facets.dtype)
    levels = [vertices, level(found, found[:, 1], vertices)]
    made = [Cliques(graph.simplices[r], graph.values[r], levels[r]) for r in (0, 1)]
    while len(made) <= dim:
        made.append(_children(made[-1], made[1], made[0].rows[:, 0]))
    return listed_or_complete(
        [cliques.rows for cliques in made[: dim + 1]],
        [cliques.values for cliques in made[: dim + 1]],
        [cliques.level.facets for cliques in made[: dim + 1]],
    )


def _children(below: Cliques, edges: Cliques, labels: NDArray[np.int64]) -> Cliques:
    """The cliques one dimension above; labels (n,) of the vertices."""
    m, r = count_children(below.level, edges.level), below.rows.shape[1]
    require((12 * r + 28) * m, f"listing the {m} cliques of dimension {r}")
    kind = np.result_type(below.level.lowest, index_type(m))
    facets, lowest, last = np.empty((m, r + 1), kind), np.empty(m, kind), np.empty(r + 1, kind)
    made = Cliques(np.empty((m, r + 1), np.int64), np.empty(m), Level(facets, lowest, last))
    fill_children(below, edges, labels, made)
    for array in (made.rows, made.values):
        array.flags.writeable = False
    return made._replace(level=level(facets, lowest, below.level))
