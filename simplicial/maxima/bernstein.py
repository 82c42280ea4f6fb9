"""The cubic on a simplex that values and gradients at its corners define, in Bernstein form.

No value of the cubic exceeds its largest Bernstein coefficient (Farin 1986, Triangular
Bernstein-Bezier patches). Corner data: values (a, r+1), and rises (a, r+1, r+1), the derivative at
corner i in the direction of corner j, to its length.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def bernstein_range(values: Floats, rises: Floats) -> tuple[Floats, Floats]:
    """Largest and smallest Bernstein coefficient, (a,), of the cubic with these corner data.

    Coefficients on edges are values + rises / 3; that in the middle of a triangle is the usual
    choice that reproduces quadratics. Those of 4 different corners do not exist in a cubic.
    """
    edges = values[:, :, None] + rises / 3
    highest, lowest = edges.max(axis=(1, 2)), edges.min(axis=(1, 2))
    for corners in combinations(range(values.shape[1]), 3):
        centre = _centre(edges, corners)
        highest, lowest = np.maximum(highest, centre), np.minimum(lowest, centre)
    return highest, lowest


def cubic_values(values: Floats, rises: Floats, barycentric: Floats) -> Floats:
    """Values of the cubic, (a, q), at barycentric coordinates (a, q, r+1), outside too."""
    edges = values[:, :, None] + rises / 3
    squares = barycentric * barycentric
    sums = np.einsum("aij,aqi,aqj->aq", 3 * edges, squares, barycentric)
    sums -= 2 * np.einsum("ai,aqi->aq", values, squares * barycentric)
    for corners in combinations(range(values.shape[1]), 3):
        sums += 6 * _centre(edges, corners)[:, None] * barycentric[:, :, corners].prod(axis=2)
    return sums


def _centre(edges: Floats, corners: tuple[int, ...]) -> Floats:
    """The coefficient (a,) in the middle of a triangle, by those on its edges (a, r+1, r+1)."""
    block = edges[:, corners][:, :, corners]
    vertices = np.einsum("aii->a", block) / 3
    sides = (block.sum(axis=(1, 2)) - 3 * vertices) / 6
    return 1.5 * sides - 0.5 * vertices
