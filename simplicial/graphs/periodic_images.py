"""Minima of a loss with periods, with the images between which simplices are optimised.

On a torus a path is given by its ends and by how often it goes around: from one minimum to each
image of another there is a class of paths of its own, with a barrier of its own. So edges join a
minimum to images of others, and of itself, in R^d, where there are no periods; simplices are sets
of images that are joined pairwise, hence close around nothing. What differs by periods is one
simplex afterwards (`graphs.quotients`), whose value is the lowest that any of its translates has.
The quotient has the torus's classes that never end: C(k, r) of index r, for k periods.
"""

import warnings
from collections.abc import Callable
from itertools import combinations, product
from math import comb
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reduction import FilteredComplex, OptionError
from reduction.memory import require
from reduction.reprs import or_types
from reduction.validation import short_repr
from simplicial.complex import LossComplex
from simplicial.critical_points.search_domain import check_periods_near
from simplicial.domains.images import classes
from simplicial.domains.periods import Cell
from simplicial.errors import LossWarning
from simplicial.graphs.quotients import Shift, Simplex, Vertex, minus, quotient, representative
from simplicial.loss import BoundedLoss, Evaluation, PeriodicLoss
from simplicial.minima import Minima, check_minima
from simplicial.neighbor_graphs.edges import Graph, edges_of
from simplicial.neighbor_graphs.rules import beta_skeleton, delaunay_graph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rule = Callable[[Minima], Graph]

TRIANGULATED = 2, 3  # numbers of coordinates in which the graph is a triangulation's
BETA = 0.87  # beta of the skeleton that stands for a triangulation in many coordinates


class PeriodicImages(NamedTuple):
    """Minima in one cell, and those of their images that simplices need.

    minima  by class, and in a class by shift
    labels  (N,) of each the number of the minimum that it is an image of
    shifts  (N, d) by how many periods
    graph   (m, 2) edges between them, each class of paths at least once
    """

    minima: Minima
    labels: Ints
    shifts: Ints
    graph: Ints

    @or_types
    def __repr__(self) -> str:
        n, edges = len(np.unique(self.labels)), len(self.graph)
        return f"PeriodicImages(minima={n}, images={len(self.labels) - n}, {edges=})"

    def filtration(self, built: LossComplex) -> FilteredComplex:
        """The simplices of a complex, of which images are one.

        built  on `minima` and `graph`: `build_complex(images.minima, 2, graph=images.graph)`
        Labels of its vertices are those of minima, or of simplices where it is subdivided. Warns by
        LossWarning where classes of the torus are not seen, or seen in more ways than one. Raises
        OptionError for another complex.
        """
        is_own = isinstance(built, LossComplex)
        if not is_own or not torch.equal(built.minima.points, self.minima.points):
            raise OptionError(
                f"the complex must be that of these images, got {short_repr(built)}: call "
                "build_complex(images.minima, 2, graph=images.graph)"
            )
        at: list[Vertex] = [
            (int(label), tuple(shift))
            for label, shift in zip(self.labels, self.shifts.tolist(), strict=True)
        ]
        lowest: dict[Simplex, float] = {}
        for of, values in zip(built.simplices, built.values, strict=True):
            for vertices, value in zip(of.vertices.tolist(), values.tolist(), strict=True):
                simplex = representative(at[v] for v in vertices)[0]
                if np.isfinite(value):
                    lowest[simplex] = min(value, lowest.get(simplex, np.inf))
        glued = quotient(lowest)
        self._check_torus(glued, sum(map(len, built.missing)))
        return glued

    def _check_torus(self, glued: FilteredComplex, left_out: int) -> None:
        """Warn where the classes that never end are not those of the torus."""
        k = int(np.isfinite(self.minima.periods).sum())
        for r, bars in enumerate(glued.barcode()):
            found = int(np.isinf(bars[:, 1]).sum())
            if found != comb(k, r):
                warnings.warn(
                    f"with {k} periods there are {comb(k, r)} classes of index {r} that never end, "
                    f"this complex has {found}: bars of index {r} are missing or too long, so "
                    f"{self._remedy(left_out)}",
                    LossWarning,
                    stacklevel=3,
                )

    def _remedy(self, left_out: int) -> str:
        """A cure where classes of the torus are not seen, of a complex without some simplices."""
        if left_out:
            return (
                "make the loss finite, or the optimizer's steps smaller, for "
                f"{left_out} simplices that are left out as not finite"
            )
        if self.minima.points.shape[1] not in TRIANGULATED:
            return "give periodic_images a rule with more edges, as beta_skeleton of a lower beta"
        inside = np.flatnonzero(~self.shifts.any(axis=1))
        seen = Evaluation(self.minima.values[inside], None)
        cell = Minima(self.minima.points[torch.as_tensor(inside)], self.minima.loss, seen=seen)
        if np.array_equal(self.graph, periodic_images(cell).graph):
            return "add vertices, as with_saddles does"
        return "leave out the rule of periodic_images, whose own is delaunay_graph"


def periodic_images(minima: Minima, rule: Rule | None = None) -> PeriodicImages:
    """The images of minima, or of any points, between which a complex on a torus is built.

    minima  of a `simplicial.periodic` loss; moved by periods into one cell
    rule    the graph of them with their images up to a period away, as `delaunay_graph` gives it;
            edges at the minima of the cell count, and their translates. None: `delaunay_graph` in
            two and three coordinates, else `beta_skeleton` with beta = 0.87
    Raises OptionError for a loss without periods, for points that are images of one another, and
    where the rule does, LossError for a loss that has not its periods, CapacityError for too many
    images.
    """
    check_minima(minima)
    loss, d = minima.loss, minima.points.shape[1]
    if not isinstance(loss, PeriodicLoss):
        raise OptionError(
            f"images need a loss with periods, {type(loss).__name__} declares none: pass minima of "
            "periodic(loss, periods)"
        )
    low = loss.domain[0] if isinstance(loss, BoundedLoss) else np.zeros(d)
    cell = Cell(low, minima.periods)
    points = cell.within(minima.points.double().cpu().numpy())
    _check_distinct(points, cell)
    check_periods_near(loss, points, cell)
    if not (rule is None or callable(rule)):
        raise OptionError(
            f"a rule is a function that gives the graph of minima and images, got "
            f"{short_repr(rule)}: pass delaunay_graph, say"
        )
    rule = rule or (delaunay_graph if d in TRIANGULATED else lambda near: beta_skeleton(near, BETA))
    joined = _neighbors(minima, points, cell, rule)
    vertices, edges = _stars(len(points), d, joined)
    labels = np.array([label for label, _ in vertices])
    shifts = np.array([shift for _, shift in vertices])
    at = torch.as_tensor(cell.moved(points[labels], shifts)).to(minima.points)
    return PeriodicImages(Minima(at, loss), labels, shifts, np.array(edges))


def _check_distinct(points: Floats, cell: Cell) -> None:
    """Raise OptionError for points that are images of one another."""
    labels, first = classes(points, cell)
    if len(first) < len(points):
        at = int(np.argmax(first[labels] != np.arange(len(points))))
        raise OptionError(
            f"minima must be distinct modulo the periods, {at} is an image of "
            f"{first[labels[at]]}: leave one of them out"
        )


def _neighbors(minima: Minima, points: Floats, cell: Cell, rule: Rule) -> list[set[Vertex]]:
    """Of each minimum in the cell the images that it is joined to."""
    n, steps = len(points), [(0, -1, 1) if has else (0,) for has in cell.is_periodic.tolist()]
    shifts: list[Shift] = list(product(*steps))  # the cell itself first
    count = n * len(shifts)
    require(8 * count**2, f"the distances of {count} images of {n} minima")
    every = np.concatenate([cell.moved(points, np.array([shift])) for shift in shifts])
    values = Evaluation(np.tile(minima.values, len(shifts)), None)
    near = Minima(torch.as_tensor(every), minima.loss, seen=values)
    joined: list[set[Vertex]] = [set() for _ in range(n)]
    for i, image in edges_of(rule(near), count).tolist():
        shift = shifts[image // n]
        if i < n:
            joined[i].add((image % n, shift))
            joined[image % n].add((i, minus(shifts[0], shift)))
    return joined


def _stars(n: int, d: int, joined: list[set[Vertex]]) -> tuple[list[Vertex], list[tuple[int, int]]]:
    """Images and edges such that every simplex has a translate among their cliques: that of which
    the first vertex lies in the cell.
    """
    none = (0,) * d
    edges: set[tuple[Vertex, Vertex]] = set()
    for i in range(n):
        later = sorted(image for image in joined[i] if image > (i, none))
        edges.update(((i, none), image) for image in later)
        for image, other in combinations(later, 2):
            if (other[0], minus(other[1], image[1])) in joined[image[0]]:
                edges.add((image, other))
    vertices = sorted({(i, none) for i in range(n)}.union(*edges))
    number = {vertex: k for k, vertex in enumerate(vertices)}
    return vertices, sorted((number[a], number[b]) for a, b in edges)
