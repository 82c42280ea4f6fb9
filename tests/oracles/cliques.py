"""Cliques of small graphs, one set of vertices after the other."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tests.oracles.complexes import Arrays


def cliques(
    labels: NDArray[np.int64],
    heights: NDArray[np.floating],
    edges: dict[tuple[int, int], float],
    dim: int,
) -> Arrays:
    """Sets of up to dim + 1 vertices that are joined pairwise, in colexicographic order, as high as
    their highest edge or vertex."""
    vertex = dict(zip(labels.tolist(), heights.tolist(), strict=True))
    arrays = Arrays([], [])
    for r in range(dim + 1):
        rows = [
            row
            for row in combinations(sorted(vertex), r + 1)
            if all(pair in edges for pair in combinations(row, 2))
        ]
        rows.sort(key=lambda row: row[::-1])
        arrays.vertices.append(np.array(rows, np.int64).reshape(-1, r + 1))
        arrays.values.append(
            np.array(
                [
                    max([vertex[v] for v in row] + [edges[pair] for pair in combinations(row, 2)])
                    for row in rows
                ],
                np.float64,
            )
        )
    return arrays
