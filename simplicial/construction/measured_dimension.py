"""A dimension of an anytime build: the lowest result so far of each of its simplices."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction.barcodes.bounds import bounding_levels, error_of_levels
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete
from reduction.persistence.cohomology import pairings
from simplicial.construction.chunks import ChunkResult
from simplicial.construction.scheduler import without_faces
from simplicial.construction.state import ConstructionState
from simplicial.maxima.error_bounds import error_bounds, filled, with_error_bounds
from simplicial.maxima.maxima import maximum_over_facets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

FIELD = 2  # of the coefficients for which boundaries bound
FALL = 0.6  # share of a gap that is left, at least, when the effort is doubled


class Tolerances(NamedTuple):
    """A simplex is within one of them where its value is no higher, in units of the loss.

    over_vertices  over the highest vertex
    over_faces     over what the full build's values of its faces are no lower than
    """

    over_vertices: float
    over_faces: float


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredDimension:
    """The r-simplices of a complex under construction, r >= 1.

    state         in which all faces are finished; results are written into its control points
    tolerances    of training
    ends_bars     whether the simplices are of the top dimension, which begin no bars
    straight      control points inside the straight simplices
    faces, lower  (m,) values of the highest face and of the highest vertex
    least         (m,) that the full build's values of the faces are no lower than, where it has
                  the same
    cone          (m,) whether they are at the lowest minimum
    values        (m,) f of each at its lowest result; inf before there is one
    bounds        (m,) what the maxima of these results may be too low by; inf before there is one
    rungs         (m,) of these results, as they are stored; -1 before there is one
    moved         (m,) whether their control points changed since the pass began
    efforts       (m,) the highest at which each was trained; 0 where it was not
    reached       (m,) likewise, or that of the simplices which one is made of
    costs         (m,) gradients that were spent on each since its faces are as they are
    gradients     that were spent on all
    evaluations   (m,) of the loss, for the maxima
    pieces        results of simplices (k,); of one that has several the last one counts
    levels        (m,) at which boundaries bounded without each as the last rung ended
    highest_bound of all at that time
    longest       the longest bar of index r - 1; None while results come in
    """

    state: ConstructionState
    tolerances: Tolerances
    ends_bars: bool
    straight: Tensor
    faces: Floats
    lower: Floats
    least: Floats
    cone: Bools
    values: Floats
    bounds: Floats
    rungs: Ints
    moved: Bools
    efforts: Floats
    reached: Floats
    costs: Ints
    gradients: int
    evaluations: Ints
    pieces: tuple[tuple[Ints, ChunkResult], ...]
    levels: Floats
    highest_bound: float = np.inf
    longest: float | None = None

    @classmethod
    def begin(
        cls, state: ConstructionState, known: Floats, tolerances: Tolerances, *, ends_bars: bool
    ) -> Self:
        """The next dimension of a state, of which nothing is measured.

        known  (m,) of all facets, values that the full build's are no lower than
        """
        simplices, r = state.simplices, state.dim
        m, faces = len(simplices.vertices), state.face_maxima
        lost = np.flatnonzero(np.isposinf(faces))
        return cls(
            state,
            tolerances,
            ends_bars,
            straight=state.control_points[state.layout.rows(r)].clone(),
            faces=faces,
            lower=state.values[0][simplices.vertices].max(axis=1),
            least=maximum_over_facets(known, simplices.vertices, state.layout.facets(r)),
            cone=state.at_lowest,
            values=np.full(m, np.inf),
            bounds=np.full(m, np.inf),
            rungs=np.full(m, -1, np.int64),
            moved=np.ones(m, dtype=bool),
            efforts=np.zeros(m),
            reached=np.zeros(m),
            costs=np.zeros(m, np.int64),
            gradients=0,
            evaluations=np.zeros(m, np.int64),
            pieces=((lost, without_faces(state, lost)),) if len(lost) else (),
            levels=np.full(m, np.inf),
        )

    def again(self, state: ConstructionState, known: Floats, moved: Bools) -> Self:
        """The dimension in the next pass: of simplices whose faces moved nothing is measured.

        moved  (m,) of all facets
        """
        fresh = state.has_moved(moved)
        new = type(self).begin(state, known, self.tolerances, ends_bars=self.ends_bars)
        kept: dict[str, NDArray[np.generic]] = {
            name: np.where(fresh, getattr(new, name), getattr(self, name))
            for name in ("values", "bounds", "rungs", "efforts", "reached", "costs")
        }
        pieces = ((np.arange(len(fresh)), self.result()), *new.pieces)
        return replace(
            new,
            straight=self.straight,
            moved=fresh,
            gradients=self.gradients,
            evaluations=self.evaluations,
            pieces=pieces,
            **kept,
        )._finished_unless(fresh)

    # --- what is trained

    def unmeasured(self) -> Ints:
        """The simplices (k,) that have no result and a finite loss on their faces, first those at
        the lowest minimum.
        """
        order = self.state.order()
        return order[(self.rungs[order] < 0) & np.isfinite(self.faces[order])]

    def wanted(self, effort: float, *, at_lowest: bool) -> Ints:
        """The simplices (k,) that an effort may bring within the tolerance, or that must have it:
        first those at the lowest minimum, a cone, in which all classes end; then by their gap.

        at_lowest  whether those alone
        """
        reach = np.minimum(self.values, self.levels) if self.ends_bars else self.values
        finite, (over_vertices, over_faces) = np.isfinite(self.faces), self.tolerances
        over = np.where(finite, reach - self.lower, 0.0)
        gaps = np.where(finite, reach - np.where(finite, self.least, 0.0), 0.0)
        lowered = reach > self.faces  # no map of a simplex is lower than its faces
        found = (over > over_vertices) & (gaps > over_faces) & lowered & (self.efforts < effort)
        if effort < 1:  # the full one is tried whatever it promises
            before = np.where(self.reached > 0, self.reached, effort)
            left = FALL ** np.log2(effort / before)
            hopeful = (left * over <= over_vertices) | (left * gaps <= over_faces)
            found &= hopeful | (self.reached == 0)
        if at_lowest:
            found &= self.cone
        rows = np.flatnonzero(found)
        return rows[np.lexsort((-gaps[rows], ~self.cone[rows]))]

    def joined_of_cone(self, which: Ints) -> Self:
        """The dimension whose simplices (k,) are to start as made of those at the lowest minimum,
        which were trained.
        """
        effort = self.efforts[self.cone].max(initial=0.0)
        return replace(self, reached=_with(self.reached, which, effort))

    def known(self) -> Floats:
        """(m,) values that the full build's are no lower than, as far as it has the same faces."""
        return np.where(self.efforts == 1, self.values, self.least)

    # --- results

    def with_results(
        self, which: Ints, result: ChunkResult, *, rung: int, effort: float, cost: int
    ) -> Self:
        """The dimension with results of simplices (k,), of which those stay that are lower.

        A result stays where neither the value nor what it may be too low by is higher, so that the
        error of the barcode never grows.

        rung    as they are stored
        effort  at which they were trained, at a cost in gradients each; 0 where they were not
        """
        values = np.maximum(result.maxima.values, self.faces[which])
        evaluations = self.evaluations[which] + result.evaluations
        stays = np.flatnonzero(self._is_lower(which, values, result.error_bounds))
        lower, taken = which[stays], result.part(stays)
        self.state.add_results(lower, taken)
        found = replace(
            self,
            values=_with(self.values, lower, values[stays]),
            bounds=_with(self.bounds, lower, taken.error_bounds),
            rungs=_with(self.rungs, lower, rung),
            moved=_with(self.moved, lower, True),
            evaluations=_with(self.evaluations, which, evaluations),
            pieces=(*self.pieces, (lower, taken.without_points())),
            longest=None,
        )
        if not effort:
            return found
        return replace(
            found,
            efforts=_with(self.efforts, which, effort),
            reached=_with(self.reached, which, effort),
            costs=_with(self.costs, which, self.costs[which] + cost),
            gradients=self.gradients + cost * len(which),
        )

    def _is_lower(self, which: Ints, values: Floats, bounds: Floats) -> Bools:
        """Whether results (k,) are to stay in place of those before."""
        own, before = self.values[which], self.bounds[which]
        slack, slack_before = (np.where(np.isfinite(b), b, 0.0) for b in (bounds, before))
        lower = (values <= own) & (bounds <= self.highest_bound)
        return (self.rungs[which] < 0) | (lower & (values + slack <= own + slack_before))

    def result(self) -> ChunkResult:
        """The results that stay, in the order of the simplices."""
        every = ChunkResult.joined([result for _, result in self.pieces])
        which = np.concatenate([which for which, _ in self.pieces])
        last = np.empty(len(self.values), np.int64)
        last[which] = np.arange(len(which))  # the last of equal indices is assigned
        return replace(every.part(last), evaluations=self.evaluations.copy())

    def end_rung(self) -> Self:
        """The dimension with the results of the rung put together, and the levels of all
        boundaries.
        """
        r, p = self.state.dim, FIELD
        held, known, after = filled((*self.state.values, self.values))
        filtration = Filtration(Complete(np.arange(len(held[0])), r), held)
        pairing = pairings(filtration, p, r - 1)[r - 1]
        levels = bounding_levels(filtration, r, pairing, p, lower=self.lower)
        ends = held[r][pairing.deaths]
        births = held[r - 1][pairing.births[: ends.size]]
        bars = np.where(ends < after, ends - births, np.inf)[births < after]
        return replace(
            self,
            pieces=((np.arange(len(self.values)), self.result()),),
            levels=np.where(levels <= known, levels, np.inf),
            highest_bound=float(self.bounds.max()),
            longest=float(bars.max(initial=0.0)),
        )

    def _finished_unless(self, fresh: Bools) -> Self:
        """The dimension at the end of a rung, if none of it is to be measured anew."""
        return self if (fresh & np.isfinite(self.faces)).any() else self.end_rung()

    # --- what is said

    def error(self) -> float:
        """The error of the barcode of index r - 1, as `Barcode.error`, with the levels of
        boundaries as the last rung ended.
        """
        state, r = self.state, self.state.dim
        vertices = [simplices.vertices for simplices in state.layout.simplices[: r + 1]]
        born = state.values[r - 1] - state.values[0][vertices[r - 1]].max(axis=1)
        error = error_of_levels(born, np.minimum(self.values, self.levels) - self.lower)
        inside = (*state.error_bounds, self.bounds)
        bounds = error_bounds((*state.values, self.values), inside, vertices)
        return with_error_bounds(error, bounds[r - 1 :])

    def summary(self) -> str:
        """The error, and the longest bar where the rung has ended, for a progress bar."""
        error = f"index {self.state.dim - 1}: error {self.error():.3g}"
        return error if self.longest is None else f"{error}, longest bar {self.longest:.3g}"


def _with(array: NDArray[Scalar], rows: Ints, values: Any) -> NDArray[Scalar]:
    """A copy of an array with other values in some rows."""
    changed = array.copy()
    changed[rows] = values
    return changed
