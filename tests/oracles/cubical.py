"""Barcodes of a sampled function by GUDHI's cubical complex, and how far off they may be.

The complex has the grid's vertices; a cell takes the highest value of its vertices. Every bar
begins and ends at the value of a vertex v whose lower star, the cells with v as their highest
vertex, does not cancel. It cancels if along one axis i all vertices around v rise or all fall: each
cell of the lower star that is flat along i then pairs with the one beside it, down the slope. With
Hessian H near v and spacing h, |df/dx_i| at the vertices around v differs from that at v by at most
sum_j |H_ij| h_j, and a step along i adds |H_ii| h_i / 2. So a bar ends only where, for every i,

    |df/dx_i (v)| <= G_i = sum_j |H_ij| h_j + |H_ii| h_i / 2,

that is near a critical point c, and there f(v) - f(c) = g.H^-1.g / 2, g the gradient at v, is at
most G.|H^-1|.G / 2, to leading order in h. The error is of second order in h, though a cell's value
is off by the first order away from critical points.
"""

import gudhi
import numpy as np
from numpy.typing import NDArray


def cubical_barcode(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Values (n_1, .., n_d) -> bars of positive length of index 0 .. d-1, (m, 2), ascending."""
    cubes = gudhi.CubicalComplex(vertices=values)
    cubes.compute_persistence(homology_coeff_field=2, min_persistence=0)
    bars = []
    for index in range(values.ndim):
        rows = np.asarray(cubes.persistence_intervals_in_dimension(index)).reshape(-1, 2)
        bars.append(rows[np.lexsort((rows[:, 1], rows[:, 0]))])
    return tuple(bars)


def grid(box: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Vertices of a grid on a box (2, d), corners included, (count, .., count, d)."""
    axes = [np.linspace(low, high, count) for low, high in box.T.tolist()]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def end_error(hessians: NDArray[np.float64], spacing: NDArray[np.float64]) -> float:
    """How far a bar's end may be from the critical value: hessians (m, d, d), spacing (d,).

    Twice the leading order, for the third derivatives, which change H by a share of order h.
    """
    sizes = np.abs(hessians)
    slack = sizes @ spacing + np.diagonal(sizes, axis1=1, axis2=2) * spacing / 2
    inverses = np.abs(np.linalg.inv(hessians))
    return float(np.einsum("mi,mij,mj->m", slack, inverses, slack).max())
