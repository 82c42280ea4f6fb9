"""Starts of simplices by way of the lowest minimum, made of simplices of its cone.

A path between two minima is joined of the two that lead to the lowest minimum, the apex. In every
dimension: with m the lowest barycentric coordinate at a point t of an r-simplex without the apex,
and v the vertex where it is attained, t goes to the point of the simplex on the apex and on the
other vertices with coordinates (r + 1) m at the apex and t_i - m at the others. That is barycentric
subdivision, with the apex for the barycenter, and the identity on faces. A simplex on the apex,
whose facet off the apex stands like this, is filled by nothing but its other facets: with m the
lowest coordinate of the vertices but the apex, and v among these, t goes to the point with
t_0 + r m at the apex and t_i - m at the others. Neither is higher than the simplices that it is
made of, as far as the subdivision at hand can follow them.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.filtrations.colex import complete_positions
from simplicial.construction.state import ConstructionState
from simplicial.maps.interpolation import interpolate

Ints = NDArray[np.int64]


def cone_points(state: ConstructionState, which: Ints) -> list[Tensor]:
    """Control points (own, d) inside each of simplices (m,) under construction, see this file.

    Simplices off the apex take those of the same dimension at the apex as they are now.
    """
    simplices, first = state.simplices, state.layout.starts[state.dim]
    t = simplices.simplex_map.control_points(state.dim)
    found: list[Tensor] = []
    for number in which.tolist():
        inside = np.flatnonzero(simplices.controls[number] >= first)
        inside = inside[np.argsort(simplices.controls[number][inside])]
        found.append(_points(state, simplices.vertices[number], t[inside]))
    return found


def _points(state: ConstructionState, vertices: Ints, t: NDArray[np.float64]) -> Tensor:
    """Points (p, d) of one simplex at barycentric coordinates (p, r+1)."""
    apex, others = state.lowest_vertex, vertices != state.lowest_vertex
    lowest = np.where(others, t, np.inf).min(axis=1, keepdims=True)
    without = np.where(others, t, np.inf).argmin(axis=1)
    lowered = np.where(others, t - lowest, t)
    points = state.control_points.new_empty(len(t), state.control_points.shape[1])
    for column in np.flatnonzero(others).tolist():
        rows = np.flatnonzero(without == column)
        used = np.flatnonzero(others & (np.arange(len(vertices)) != column))
        on = np.append(vertices[used], apex)
        order = np.argsort(on)
        at_apex = 1 - lowered[rows][:, used].sum(axis=1, keepdims=True)
        weights = np.append(lowered[rows][:, used], at_apex, axis=1)[:, order]
        own = state.layout.simplices[len(on) - 1]
        controls = own.controls[int(complete_positions(on[order]))]
        part = state.control_points[torch.as_tensor(controls)]
        points[torch.as_tensor(rows)] = interpolate(part, own.simplex_map, weights)
    return points
