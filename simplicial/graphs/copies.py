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
from reduction.reprs import or_types
from reduction.validation import short_repr
from simplicial.complex import LossComplex
from simplicial.errors import LossError
from simplicial.graphs.merge_forest import merge_forest
from simplicial.graphs.transition_states import TransitionStates, states_on
from simplicial.loss import symmetry_of
from simplicial.minima import Minima, check_minima
from simplicial.neighbor_graphs.edges import edges_of
from simplicial.symmetries.symmetry import Symmetry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME_VALUE = 1e-6  # of the range of the values, or of one where there is none
SAME_POINT = 1e-4  # distance to the nearest copy, over the size of the point about its mean


def distinct(minima: Minima, symmetry: Symmetry | None = None) -> Minima:
    """One of each minimum, that of the lowest number, without its copies by a symmetry.

    symmetry  None: that which the loss declares (`simplicial.loss.SymmetricLoss`)
    Copies have the same value, to 1e-6 of the range of values, and the nearest copy of the one is
    at the other, to 1e-4 of its size about its mean. Raises OptionError.
    """
    points, symmetry = _checked(minima, symmetry)
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

    @or_types
    def __repr__(self) -> str:
        n, edges = len(np.unique(self.labels)), len(self.graph)
        return f"Copies(minima={n}, copies={len(self.labels) - n}, {edges=})"

    def filtration(self, built: LossComplex) -> FilteredComplex:
        """Minima and the lowest edge between each two of them, all copies being one.

        built  of dimension 1, on `minima` and `graph`: `build_complex(copies.minima, 1,
               graph=copies.graph)`
        Raises OptionError for another complex.
        """
        return self._quotient(built)[0]

    def transition_states(self, built: LossComplex) -> TransitionStates:
        """The transition states of the minima, all copies being one, at which basins meet.

        built  as for `filtration`; with certificates (`certify=True`), or none is certified
        Ends are numbers of minima; a state's point lies on the edge from the first to a copy.
        Raises OptionError for another complex.
        """
        filtration, edges = self._quotient(built)
        forest = merge_forest(filtration)
        ends = forest.labels[forest.edges]
        joined = np.array([edges[tuple(sorted(pair))] for pair in ends.tolist()], np.int64)
        certified, points = states_on(built, joined.reshape(-1, 2))
        own = Minima(self.minima.points[: len(forest.labels)], self.minima.loss)
        return TransitionStates(own, forest.scores, ends, forest.heights.copy(), certified, points)

    def _quotient(
        self, built: LossComplex
    ) -> tuple[FilteredComplex, dict[tuple[int, ...], list[int]]]:
        """Its filtration, and for each of its edges the lowest one of the complex."""
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
        of: dict[tuple[int, ...], list[int]] = {}
        rising = np.argsort(built.values[1], kind="stable")
        edges = built.simplices[1].vertices[rising].tolist()
        for edge, value in zip(edges, built.values[1][rising].tolist(), strict=True):
            ends = tuple(sorted(self.labels[edge].tolist()))
            if ends[0] != ends[1] and ends not in of and np.isfinite(value):
                # a copy's value may differ by rounding
                lowest[ends] = max(value, *(lowest[(v,)] for v in ends))
                of[ends] = edge
        return FilteredComplex.from_simplices(lowest), of


def nearest_copies(
    minima: Minima,
    symmetry: Symmetry | None = None,
    pairs: Sequence[tuple[int, int]] | Ints | None = None,
) -> Copies:
    """Edges from each minimum to the copy of another that is nearest to it.

    symmetry  None: that which the loss declares (`simplicial.loss.SymmetricLoss`)
    pairs     (m, 2) of minima to join, as the graph of `build_complex`; None: all
    Raises OptionError, LossError for a loss that has another value at a copy, by more than 1e-6 of
    the range of values.
    """
    points, symmetry = _checked(minima, symmetry)
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


def _checked(minima: Minima, symmetry: Symmetry | None) -> tuple[Floats, Symmetry]:
    """The points (n, d), and the symmetry or that of the loss. Raises OptionError."""
    check_minima(minima)
    symmetry = symmetry_of(minima.loss) if symmetry is None else symmetry
    if symmetry is None:
        raise OptionError(
            "copies are those by a symmetry, this loss declares none: pass one such as "
            "AtomSymmetry([0] * 7)"
        )
    if not isinstance(symmetry, Symmetry):
        raise OptionError(
            f"symmetry must be a Symmetry such as AtomSymmetry([0] * 7), got "
            f"{short_repr(symmetry)}: pass one"
        )
    return minima.points.double().cpu().numpy(), symmetry
