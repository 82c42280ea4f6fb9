"""Findings: the critical points found for simplices, those accepted, and the maps that attain them.

A candidate is accepted where a map of its simplex attains its value, and no more: the simplex as it
is, or pushed down (`lowered_maps`), or for an edge the ways down from the point (`descents`). An
edge at which two components meet loses its point again where a lower pass is found that joins them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.critical_points.descents import (
    Descents,
    joined,
    passes_beside,
    same,
    spanning,
)
from simplicial.critical_points.eigenvector_following import Arrival
from simplicial.critical_points.lowered_maps import CriticalPoint, attains, on_lattice
from simplicial.evaluation import values_and_gradients
from simplicial.loss import Loss
from simplicial.maps.control_points import Simplices
from simplicial.maps.mesh import LinearPieces
from simplicial.maxima.maxima import Maxima

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Acceptance:
    """Bounds within which a critical point is accepted for a simplex.

    highest_index  highest Morse index at a birth or a death
    value_range    range of the filtration values
    values         (m,) of all simplices of the dimension: maxima that their maps attain
    error_bounds   (k,) what the maxima of those examined may be too low by; inf for sampled ones
    tolerance      of the maxima of maps that are made, in the loss's units
    """

    highest_index: int
    value_range: float
    values: Floats
    error_bounds: Floats
    tolerance: float


class Candidate(NamedTuple):
    """A critical point near the highest point of a simplex, and no higher than its maximum.

    row      of the simplex in `which`
    arrival  of the search, and the row of its start there
    """

    row: int
    arrival: Arrival
    at: int

    @property
    def critical(self) -> CriticalPoint:
        """The point, its value, and its Morse index."""
        arrival, at = self.arrival, self.at
        return CriticalPoint(arrival.points[at], float(arrival.values[at]), int(arrival.morse[at]))


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Certificates under construction: the critical points that simplices (k,) were given.

    points          (k, d) highest points of the simplices
    values          (k,) the loss there
    gradient_norms  (k,)
    count           eigenvalues that are listed, at most
    given           for each row that is accepted its critical point
    """

    points: Floats
    values: Floats
    gradient_norms: Floats
    count: int
    given: dict[int, Candidate] = field(default_factory=dict)

    @classmethod
    def at(cls, loss: Loss, points: Tensor, count: int, memory: int) -> "Findings":
        """None yet, at points (k, d)."""
        values, gradients = values_and_gradients(loss, points, memory)
        norms = gradients.norm(dim=1).double().cpu().numpy()
        return cls(points.double().cpu().numpy(), values, norms, count)

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """(k,)."""
        return np.isin(np.arange(len(self.points)), list(self.given))

    def accept(self, candidate: Candidate) -> None:
        """Give a simplex its critical point."""
        self.given[candidate.row] = candidate

    def reject(self, rows: Ints) -> None:
        """Take the critical points of some simplices away again."""
        for row in rows.tolist():
            del self.given[row]

    def levels(self, values: Floats, which: Ints) -> Floats:
        """Values (m,) of all simplices, of which `which` (k,) were sought, with those accepted."""
        levels = values.copy()
        for row, candidate in self.given.items():
            levels[which[row]] = candidate.critical.value
        return levels

    @property
    def arrays(self) -> tuple[NDArray[np.bool_], Floats, Floats, Floats, Floats, Ints]:
        """The arrays of `Certificates`, (k, ...) each, in the order of its fields."""
        points, values, norms = self.points.copy(), self.values.copy(), self.gradient_norms.copy()
        eigenvalues, morse = np.full((len(points), self.count), np.nan), np.full(len(points), -1)
        for row, (_, arrival, at) in self.given.items():
            points[row] = arrival.points[at].double().cpu().numpy()
            values[row], morse[row] = arrival.values[at], arrival.morse[at]
            norms[row] = arrival.gradient_norms[at]
            known = arrival.eigenvalues[at, : self.count]
            eigenvalues[row, : len(known)] = known
        return self.accepted, points, values, norms, eigenvalues, morse


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Maps of the simplices of one dimension through critical points below their maxima."""

    loss: Loss
    control_points: Tensor
    simplices: Simplices
    acceptance: Acceptance
    memory: int
    descents: Descents

    def attain(self, which: Ints, candidate: Candidate, maxima: Maxima) -> bool:
        """Whether a simplex, or what it is pushed down to, attains the value, and no more."""
        row, critical = candidate.row, candidate.critical
        tolerance, bound = self.acceptance.tolerance, self.acceptance.error_bounds[row]
        rows = self.simplices.controls[which[row]]
        controls = self.control_points[torch.as_tensor(rows, device=self.control_points.device)]
        pieces = LinearPieces.of(self.simplices.simplex_map, self.simplices.dim)
        rise = critical.value - maxima.values[row]
        if abs(rise) <= tolerance and bound <= tolerance and len(controls) > 1:
            highest = on_lattice(self.loss, controls, pieces, self.memory).max()
            if highest <= critical.value + 2 * tolerance:
                return True
        return attains(
            self.loss, controls, pieces, critical, tolerance=tolerance, memory=self.memory
        )

    def ways_down(
        self, which: Ints, found: Findings, candidates: list[Candidate], reach: Floats
    ) -> Iterator[Candidate]:
        """Candidates of edges for which the ways down from the point stand, by their values.

        They end at the vertices of the edge, or at such as are joined to them by edges no higher:
        those found to be so, and those yielded before.
        """
        vertices, tolerance = self.simplices.vertices, self.acceptance.tolerance
        levels = found.levels(self.acceptance.values, which)
        for candidate in sorted(candidates, key=lambda each: each.critical.value):
            critical, edge = candidate.critical, which[candidate.row]
            if critical.morse != 1:
                continue
            ends = self.descents.ends(critical, reach[candidate.row])
            others = levels <= critical.value + tolerance
            others[edge] = False
            if ends is not None and joined(vertices[others], vertices[edge], ends):
                levels[edge] = critical.value
                yield candidate

    def undercut(
        self, which: Ints, found: Findings, candidates: list[Candidate], reach: Floats
    ) -> Ints:
        """Rows of edges at points at which components meet that a lower pass joins already.

        Passes are the critical points of Morse index 1 among all candidates, and those beside the
        points at which components meet.
        """
        vertices, tolerance = self.simplices.vertices, self.acceptance.tolerance
        levels = found.levels(self.acceptance.values, which)
        row_of = {int(edge): row for row, edge in enumerate(which)}
        meeting = [row_of[edge] for edge in spanning(vertices, levels) if edge in row_of]
        meeting = [row for row in meeting if row in found.given]
        known = [(each.critical, reach[each.row]) for each in candidates]
        for row in meeting:
            beside = passes_beside(self.loss, found.given[row].critical, reach[row], self.memory)
            known += [(critical, reach[row]) for critical in beside]
        links, heights = self.descents.links(known)
        rejected = []
        for row in meeting:
            critical = found.given[row].critical
            level = critical.value - 2 * tolerance
            lower = np.concatenate([vertices[levels < level], links[heights < level]])
            first = int(vertices[which[row], 0])
            if joined(lower, vertices[which[row]], (first, first)):
                rejected.append(critical)
        return np.array(
            [
                row
                for row, candidate in found.given.items()
                if any(same(candidate.critical, critical, reach[row]) for critical in rejected)
            ],
            np.int64,
        )
