"""Passes: critical points of Morse index 1, the ways down from them, and those beside them.

From c +- e, e a step along the unstable eigenvector, the steps of descent to a minimum are the
corners of a path, which ends at the vertex beside that minimum. Both together are an edge through
c; whether the loss on it is nowhere above f(c) is not assumed but measured, by its refined maximum.
Source: Milnor (1963), "Morse Theory", section 3: the unstable manifold of c.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from simplicial.critical_points.eigenvector_following import follow
from simplicial.critical_points.lowered_maps import (
    CriticalPoint,
    evaluated,
    largest_inside,
    unstable_axes,
)
from simplicial.errors import NotFiniteError
from simplicial.loss import Loss
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.mesh import LinearPieces

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BESIDE = 0.05  # length of e, as a share of the longest step
LEASH = 4.0  # distance from the start, over the longest step, at which a search is given up
SAME = 1e-4  # distance of two searches' points below which they are one, as a share of that step


@dataclass(frozen=True, slots=True, eq=False)
class Descents:
    """The vertices at which ways down end; each saddle's ways are taken once.

    vertices   (n, d)
    tolerance  of refined maxima, in the loss's units
    memory     bytes for a batch of points, never the result
    """

    loss: Loss
    vertices: Tensor
    tolerance: float
    memory: int
    _known: list[tuple[CriticalPoint, tuple[int, int] | None]] = field(
        default_factory=list, init=False
    )

    def ends(self, critical: CriticalPoint, reach: float) -> tuple[int, int] | None:
        """The two vertices, one for each side; None where the loss on the way exceeds f(c).

        reach  the longest step. Raises LossError where the loss breaks its contract.
        """
        for known, ends in self._known:
            if same(known, critical, reach):
                return ends
        try:
            ends = self._measured(critical, reach)
        except NotFiniteError:
            ends = None
        self._known.append((critical, ends))
        return ends

    def links(self, saddles: list[tuple[CriticalPoint, float]]) -> tuple[Ints, Floats]:
        """Pairs of vertices (l, 2) that ways down from saddles join, and their highest loss (l,).

        saddles  and the longest step for each; points of another Morse index join nothing
        """
        found = [
            (ends, critical.value)
            for critical, reach in saddles
            if critical.morse == 1 and (ends := self.ends(critical, reach)) is not None
        ]
        pairs = np.array([ends for ends, _ in found], np.int64).reshape(-1, 2)
        return pairs, np.array([value for _, value in found], np.float64)

    def _measured(self, critical: CriticalPoint, reach: float) -> tuple[int, int] | None:
        axis = torch.as_tensor(unstable_axes(self.loss, critical)[:, 0]).to(critical.point)
        parts, ends = [], []
        for side in (-1, 1):
            way = self._down(critical.point + side * BESIDE * reach * axis, reach)
            ends.append(int((self.vertices - way[-1]).norm(dim=1).argmin()))
            parts.append(torch.cat([way, self.vertices[ends[-1]][None]]))
        path = torch.cat([parts[0].flip(0), critical.point[None], parts[1]])
        edge = evaluated(self.loss, path, LinearPieces.of(Edgewise(len(path) - 1), 1), self.memory)
        highest = largest_inside(self.loss, edge, critical.value, self.tolerance, self.memory)
        return None if highest > critical.value + self.tolerance else (ends[0], ends[1])

    def _down(self, start: Tensor, reach: float) -> Tensor:
        """Points (k, d) from a start (d,) on, of which the last is a minimum."""
        way = [start[None]]
        arrival = follow(self.loss, start[None], 0, reach, memory=self.memory, on_step=way.append)
        return torch.cat([*way, arrival.points])


def same(one: CriticalPoint, other: CriticalPoint, reach: float) -> bool:
    """Whether two searches with steps up to `reach` have found one critical point."""
    near = float((one.point - other.point).norm()) <= SAME * reach
    return near and one.morse == other.morse


def passes_beside(
    loss: Loss, saddle: CriticalPoint, reach: float, memory: int
) -> list[CriticalPoint]:
    """Critical points of Morse index 1 beside a saddle, over the ridge on which both are.

    The ridge is climbed on both sides, along the softest of the stable directions, to points of
    index 2, and left from there along each of their unstable directions, on both sides.
    reach  the longest step
    """
    if len(saddle.point) < 2:
        return []
    axis = unstable_axes(loss, saddle._replace(morse=2))[:, 1:]
    tops = _searched(loss, [saddle], [axis], 2, reach=reach, memory=memory)
    axes = [unstable_axes(loss, top) for top in tops]
    return _searched(loss, tops, axes, 1, reach=reach, memory=memory)


def _searched(
    loss: Loss,
    origins: list[CriticalPoint],
    axes: list[Floats],
    index: int,
    *,
    reach: float,
    memory: int,
) -> list[CriticalPoint]:
    """Critical points of a Morse index, sought from beside each origin, both ways along its axes.

    axes  (d, q) of each
    """
    starts = [
        origin.point + side * BESIDE * reach * torch.as_tensor(axis).to(origin.point)
        for origin, columns in zip(origins, axes, strict=True)
        for axis in columns.T.copy()
        for side in (-1, 1)
    ]
    if not starts:
        return []
    arrival = follow(loss, torch.stack(starts), index, reach, leash=LEASH, memory=memory)
    return [
        CriticalPoint(arrival.points[at], float(arrival.values[at]), index)
        for at in np.flatnonzero(arrival.converged & (arrival.morse == index))
    ]


def joined(edges: Ints, ends: Ints, others: tuple[int, int]) -> bool:
    """Whether edges (m, 2) of vertices join the two of `ends` to `others`, one to one."""
    n = max(int(edges.max(initial=-1)), *ends, *others) + 1
    links = coo_array((np.ones(len(edges)), edges.T), shape=(n, n))
    part = connected_components(links, directed=False)[1]
    (a, b), (i, j) = part[ends], part[list(others)]
    return bool((a == i and b == j) or (a == j and b == i))


def spanning(edges: Ints, levels: Floats) -> list[int]:
    """The edges (m, 2) at which components meet, in ascending order of their levels (m,)."""
    part = {int(v): int(v) for v in edges.ravel()}

    def find(vertex: int) -> int:
        while part[vertex] != vertex:
            vertex = part[vertex]
        return vertex

    found = []
    for edge in np.argsort(levels, kind="stable").tolist():
        a, b = (find(int(v)) for v in edges[edge])
        if a != b:
            part[a] = b
            found.append(edge)
    return found
