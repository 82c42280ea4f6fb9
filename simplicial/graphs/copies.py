"""Minima that are copies of one another by a symmetry: one of each, and edges to nearest copies.

An edge from one minimum to another may end at any copy of that other: the sublevel sets of the
quotient by the symmetry are those of one copy of each basin, joined wherever some copies are. So
each edge gets the copy that is nearest to its first end, as a vertex of its own, and in the barcode
of index 0 all copies are one (`Copies.filtration`). A path to a farther copy may be lower; then a
bar of index 0 ends too high, as it does for any path that is not the best. Cycles of index 1 pass
through several copies, and are not followed here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reduction import FilteredComplex, OptionError
from reduction.validation import short_repr
from simplicial.complex import LossComplex
from simplicial.errors import LossError
from simplicial.minima import Minima, check_minima
from simplicial.neighbor_graphs.edges import edges_of
from simplicial.symmetries.symmetry import Symmetry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME_VALUE = 1e-6  # of the range of the values, or of one where there is none
SAME_POINT = 1e-4  # distance to the nearest copy, over the size of the point about its mean


def distinct(minima: Minima, symmetry: Symmetry) -> Minima:
    """One of each minimum, that of the lowest number, without its copies by a symmetry.

    Copies have the same value, to 1e-6 of the range of values, and the nearest copy of the one is
    at the other, to 1e-4 of its size about its mean. Raises OptionError.
    """
    points = _checked(minima, symmetry)
    span = float(np.ptp(minima.values)) or max(1.0, float(np.abs(minima.values).max()))
    kept: list[int] = []
    for i, point in enumerate(points):
        size = float(np.linalg.norm(point - point.mean())) or 1.0
        for j in kept:
            if abs(minima.values[i] - minima.values[j]) > SAME_VALUE * span:
                continue
            if np.linalg.norm(symmetry.nearest(point, points[j]) - points[j]) <= SAME_POINT * size:
                break
        else:
            kept.append(i)
    return Minima(minima.points[torch.as_tensor(kept)], minima.loss, minima.search)


class Copies(NamedTuple):
    """Minima, and the copies of them at which edges end.

    minima    n minima, then the copies
    labels    (N,) of each the number of the minimum that it is a copy of
    graph     (m, 2) edges, each from a minimum to a copy
    """

    minima: Minima
    labels: Ints
    graph: Ints

    def filtration(self, built: LossComplex) -> FilteredComplex:
        """Minima and the lowest edge between each two of them, all copies being one.

        built  of dimension 1, on `minima` and `graph`: `build_complex(copies.minima, 1,
               graph=copies.graph)`
        Raises OptionError for another complex.
        """
        is_own = isinstance(built, LossComplex) and built.max_dim == 1
        if not is_own or not torch.equal(built.minima.points, self.minima.points):
            raise OptionError(
                f"the complex must be that of these copies, up to dimension 1, got "
                f"{short_repr(built)}: call build_complex(copies.minima, 1, graph=copies.graph)"
            )
        n = int(self.labels.max()) + 1
        lowest: dict[tuple[int, ...], float] = {
            (i,): float(value) for i, value in enumerate(built.values[0][:n])
        }
        edges = np.sort(self.labels[built.simplices[1].vertices], axis=1)
        for edge, value in zip(map(tuple, edges.tolist()), built.values[1].tolist(), strict=True):
            if edge[0] != edge[1] and np.isfinite(value):
                ends = max(lowest[(v,)] for v in edge)  # a copy's value may differ by rounding
                lowest[edge] = max(ends, min(lowest.get(edge, np.inf), value))
        return FilteredComplex.from_simplices(lowest)


def nearest_copies(
    minima: Minima, symmetry: Symmetry, pairs: Sequence[tuple[int, int]] | Ints | None = None
) -> Copies:
    """Edges from each minimum to the copy of another that is nearest to it.

    pairs  (m, 2) of minima to join, as the graph of `build_complex`; None: all
    Raises OptionError, LossError for a loss that has another value at a copy, by more than 1e-6 of
    the range of values.
    """
    points = _checked(minima, symmetry)
    n = len(points)
    joined = np.argwhere(np.triu(np.ones((n, n), dtype=bool), k=1))
    if pairs is not None:
        joined = edges_of(pairs, n)
    if not len(joined):
        raise OptionError("edges join two minima or more, got one: find others first")
    every, labels, graph = list(points), list(range(n)), list[tuple[int, int]]()
    for i, j in joined.tolist():
        copy = symmetry.nearest(points[j], points[i])
        there = [k for k in range(len(every)) if labels[k] == j and _is_at(every[k], copy)]
        graph.append((i, there[0] if there else len(every)))
        if not there:
            every.append(copy)
            labels.append(j)
    dtype, device = minima.points.dtype, minima.points.device
    all_points = torch.tensor(np.array(every), dtype=dtype, device=device)
    copies = Minima(all_points, minima.loss)
    _check_values(copies.values, minima.values, labels)
    return Copies(copies, np.array(labels), np.sort(np.array(graph), axis=1))


def _is_at(point: Floats, copy: Floats) -> bool:
    size = float(np.linalg.norm(point - point.mean())) or 1.0
    return bool(np.linalg.norm(point - copy) <= SAME_POINT * size)


def _check_values(found: Floats, values: Floats, labels: list[int]) -> None:
    span = float(np.ptp(values)) or max(1.0, float(np.abs(values).max()))
    off = np.abs(found - values[labels])
    if off.max() > SAME_VALUE * span:
        worst = int(np.argmax(off))
        raise LossError(
            f"a symmetry leaves the loss as it is, at a copy of minimum {labels[worst]} it is "
            f"{found[worst]:.9g}, not {values[labels[worst]]:.9g}: give the symmetry of the loss"
        )


def _checked(minima: Minima, symmetry: Symmetry) -> Floats:
    """The points (n, d). Raises OptionError."""
    check_minima(minima)
    if not isinstance(symmetry, Symmetry):
        raise OptionError(
            f"symmetry must be a Symmetry such as AtomSymmetry([0] * 7), got "
            f"{short_repr(symmetry)}: pass one"
        )
    return minima.points.double().cpu().numpy()
