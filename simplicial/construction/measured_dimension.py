"""A dimension of an anytime build: the lowest result so far of each of its simplices."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.barcodes.bounds import bounding_levels
from reduction.files import digest
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete
from reduction.persistence.cohomology import pairings
from simplicial.construction.anytime_progress import AnytimeProgress
from simplicial.construction.chunks import Chunk, ChunkResult
from simplicial.construction.cone import at_lowest_minimum, cone_points
from simplicial.construction.scheduler import Job, without_faces
from simplicial.construction.serialization import from_record, record_name, to_record
from simplicial.construction.state import ConstructionState
from simplicial.maps.mesh import Mesh
from simplicial.maxima.maxima import maximum_over_facets
from simplicial.optimizers.fillings import harmonic
from simplicial.optimizers.spent import Ended
from simplicial.run_folder.checkpoint import Checkpoint
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIELD = 2  # of the coefficients for which boundaries bound
FACES = "faces"  # the value of a record that is the digest of the control points on its faces
START = "start"  # likewise of those inside it, where it starts by way of the lowest minimum
STARTED, CONED = 0, 5  # rungs that train nothing: straight or harmonic, by the lowest minimum
FALL = 0.6  # share of a gap that is left, at least, when the effort is doubled


class MeasuredDimension:
    """The r-simplices of a complex under construction, r >= 1, with all results so far.

    A rung begins (`begin_rung`, `begin_cone`; the first one, which measures them as they start, is
    begun already), takes results of chunks (`take`, `take_stored`), and ends (`end_rung`). A
    result stays where neither the value nor what it may be too low by is higher, so that the error
    of the barcode never grows.

    state      in which all faces are finished; results are written into its control points
    known      (m,) of all facets, values that the full build's are no lower than
    tolerance  of bars, in units of the loss
    max_dim    the top dimension, whose simplices begin no bars
    folder     where results are stored; None: nowhere
    ends_bars  whether the simplices are of the top dimension
    values     (m,) f of each simplex at its lowest result; inf before there is one
    gradients  training gradients that were spent
    efforts    (m,) the highest effort of each
    ended      what ended the work
    order      the simplices of the rung, first what is to be finished first
    rungs      (m,) the rung of each simplex's lowest result; -1 before there is one
    effort     of the rung; 0 where it trains nothing
    """

    def __init__(
        self,
        state: ConstructionState,
        known: Floats,
        tolerance: float,
        folder: RunFolder | None,
        *,
        max_dim: int,
    ) -> None:
        m, r = len(state.simplices.vertices), state.dim
        self.state, self.folder, self.ends_bars = state, folder, r == max_dim
        self._over_vertices = (3 * max_dim + r) / (2 * max_dim) * tolerance
        self._over_faces = r / max_dim * tolerance
        self.values, self.efforts, self.gradients = np.full(m, np.inf), np.zeros(m), 0
        self.ended: Ended = "tolerance"
        self._faces = state.face_maxima
        facets = state.layout.facets(r)
        self._least = maximum_over_facets(known, state.simplices.vertices, facets)
        self._start = state.control_points[state.layout.rows(state.dim)].clone()
        self._rung, self.effort, self._cost = STARTED, 0.0, 0
        self.rungs = np.full(m, -1, np.int64)
        self._reached, self._cone = np.zeros(m), at_lowest_minimum(state)
        self._lost = np.flatnonzero(np.isposinf(self._faces))
        self._pieces: list[tuple[Ints, ChunkResult]] = []
        if len(self._lost):
            self._pieces.append((self._lost, without_faces(state, self._lost)))
        self._best: ChunkResult | None = None
        self._evaluations = np.zeros(m, np.int64)
        self._levels, self._longest = np.full(m, np.inf), 0.0
        self._coned = dict[int, Tensor]()
        order = state.order()
        self.order = order[~np.isin(order, self._lost)]

    # --- what is trained

    def begin_rung(self, number: int, effort: float, cost: int, order: Ints) -> None:
        """Begin to train simplices (k,) at an effort, at its cost in gradients each."""
        self._rung, self.effort, self._cost, self.order = number, effort, cost, order

    def begin_cone(self, *, at_lowest: bool) -> None:
        """Begin to measure simplices whose gap is above the tolerance by way of the lowest minimum:
        those on it, or those off it.
        """
        self._rung, self.effort, self._cost = CONED, 0.0, 0
        some = self.wanted(1.0, at_lowest=at_lowest) if len(self._start) else self.order[:0]
        self.order = some[self._cone[some] == at_lowest]
        points = cone_points(self.state, self.order)
        self._coned = dict(zip(self.order.tolist(), points, strict=True))
        if not at_lowest:  # what they start from was trained
            self._reached[self.order] = self.efforts[self._cone].max(initial=0.0)

    def end_rung(self) -> None:
        """Put the results of the rung together, and find the levels of all boundaries."""
        self._best, self._pieces = self.result(), []
        self._find_levels()

    def wanted(self, effort: float, *, at_lowest: bool) -> Ints:
        """The simplices (k,) that an effort may bring within the tolerance, or that must have it:
        first those at the lowest minimum, a cone, in which all classes end; then by their gap.

        at_lowest  whether those alone
        """
        reach = np.minimum(self.values, self._levels) if self.ends_bars else self.values
        finite = np.isfinite(self._faces)
        lower = self._highest_vertices(self.state.dim)
        over = np.where(finite, reach - lower, 0.0)
        gaps = np.where(finite, reach - np.where(finite, self._least, 0.0), 0.0)
        lowered = reach > self._faces  # no map of a simplex is lower than its faces
        found = (over > self._over_vertices) & (gaps > self._over_faces) & lowered
        found &= self.efforts < effort
        if effort < 1:  # the full one is tried whatever it promises
            before = np.where(self._reached > 0, self._reached, effort)
            left = FALL ** np.log2(effort / before)
            hopeful = (left * over <= self._over_vertices) | (left * gaps <= self._over_faces)
            found &= hopeful | (self._reached == 0)
        if at_lowest:
            found &= self._cone
        rows = np.flatnonzero(found)
        return rows[np.lexsort((-gaps[rows], ~self._cone[rows]))]

    def known(self) -> Floats:
        """(m,) values that the full build's are no lower than, as far as it has the same faces."""
        return np.where(self.efforts == 1, self.values, self._least)

    def error(self) -> float:
        """The error of the barcode of index r - 1, as `Barcode.error`, with the levels of
        boundaries at the beginning of the rung.
        """
        if self._best is None:
            return np.inf
        r = self.state.dim
        births = self.state.values[r - 1] - self._highest_vertices(r - 1)
        own = np.minimum(self.values, self._levels) - self._highest_vertices(r)
        slack = max(self.state.error_bounds[-1].max(), self._best.error_bounds.max())
        return float(max(births.max(), own.max()) + slack) / 2

    def _highest_vertices(self, r: int) -> Floats:
        """Values (m,) of the highest vertices of r-simplices."""
        return self.state.values[0][self.state.layout.simplices[r].vertices].max(axis=1)

    def _find_levels(self) -> None:
        every = (*self.state.values, self.values)
        finite = [values[np.isfinite(values)] for values in every]
        missing = 1 + 2 * max(np.abs(values).max(initial=0.0) for values in finite)
        held = [np.where(np.isfinite(values), values, missing) for values in every]
        r, n = self.state.dim, len(held[0])
        filtration = Filtration(Complete(np.arange(n), r), tuple(held))
        pairing = pairings(filtration, FIELD, r - 1)[r - 1]
        lower = self._highest_vertices(r)
        levels = bounding_levels(filtration, r, pairing, FIELD, lower=lower)
        self._levels = np.where(levels < missing, levels, np.inf)
        ends = held[r][pairing.deaths]
        bars = ends - held[r - 1][pairing.births[: ends.size]]
        self._longest = float(np.where(ends < missing, bars, np.inf).max(initial=0.0))

    def _tells(self) -> str:
        """The error and the longest bar, for a progress bar."""
        if self._best is None:
            return ""
        index = self.state.dim - 1
        return f"index {index}: error {self.error():.3g}, longest bar {self._longest:.3g}"

    # --- chunks and their results

    def job(self, title: str) -> Job:
        """The chunks of the rung."""
        return Job(self.state, self._chunk, self.effort > 0, title, self._tells)

    def _chunk(self, which: Ints) -> Chunk:
        """Simplices (m,), ascending: as they start, to be trained, or with another start."""
        chunk = self.state.chunk(which, trains=self.effort > 0)
        if chunk.own:
            chunk = chunk.with_inside(self._inside(chunk, which))
        return chunk.saved_as(self._checkpoint(which))

    def _checkpoint(self, which: Ints) -> Checkpoint | None:
        if self.folder is None:
            return None
        faces = "".join(f"{self._faces_digest(n)}{self._start_digest(n)}" for n in which.tolist())
        return self.folder.checkpoint(f"{self._name}: {which.tolist()}: {digest(faces.encode())}")

    def _inside(self, chunk: Chunk, which: Ints) -> Tensor:
        if self._rung == CONED:
            return torch.cat([self._coned[number] for number in which.tolist()])
        rows = which[:, None] * chunk.own + np.arange(chunk.own)
        start = self._start[torch.as_tensor(rows.ravel())]
        if self.effort or self.state.dim == 1:  # a straight edge is harmonic
            return start
        simplices = chunk.problem.simplices
        mesh = Mesh.of(simplices.simplex_map, simplices.dim)
        controls = torch.as_tensor(simplices.controls)
        filled = chunk.control_points.clone()
        inner = harmonic(filled[controls], mesh)
        filled[controls[:, torch.as_tensor(mesh.inside)]] = inner
        return filled[chunk.problem.inside]

    def take(self, which: Ints, result: ChunkResult, *, store: bool) -> None:
        """Take the results of simplices (k,), of which those stay that are lower; store them all
        where they are new.
        """
        if store and self.folder is not None:
            for row, number in enumerate(which.tolist()):
                self._put(self.folder, number, result.part(slice(row, row + 1)))
            if (checkpoint := self._checkpoint(which)) is not None:
                checkpoint.clear()
        self._evaluations[which] += result.evaluations
        values = np.maximum(result.maxima.values, self._faces[which])
        stays = np.flatnonzero(self._is_lower(which, values, result.error_bounds))
        lower, taken = which[stays], result.part(stays)
        self.state.add_results(lower, taken)
        self.values[lower], self.rungs[lower] = values[stays], self._rung
        self._pieces.append((lower, taken.without_points()))
        if self.effort:
            self.efforts[which] = self._reached[which] = self.effort
            self.gradients += self._cost * len(which)

    def _is_lower(self, which: Ints, values: Floats, bounds: Floats) -> NDArray[np.bool_]:
        """Whether results (k,) are to stay in place of those before."""
        if self._best is None:
            return np.ones(len(which), dtype=bool)
        before = self._best.error_bounds
        slack, slack_before = (np.where(np.isfinite(b), b, 0.0) for b in (bounds, before[which]))
        lower = (values <= self.values[which]) & (bounds <= before.max())
        return lower & (values + slack <= self.values[which] + slack_before)

    def result(self) -> ChunkResult:
        """The results that stay, in the order of the simplices."""
        pieces, count = self._pieces, len(self.values)
        if self._best is not None:
            new = np.concatenate([np.empty(0, np.int64), *(which for which, _ in pieces)])
            old = np.setdiff1d(np.arange(count), new)
            pieces = [*pieces, (old, self._best.part(old))]
        order = np.argsort(np.concatenate([which for which, _ in pieces]))
        every = ChunkResult.joined([result for _, result in pieces])
        return replace(every.part(order), evaluations=self._evaluations.copy())

    # --- records

    def progress(self, before: AnytimeProgress) -> AnytimeProgress:
        """The progress of the build, of which `before` is that of the dimensions below."""
        rungs = (*before.rungs, self.rungs.copy())
        return AnytimeProgress(rungs, (*before.gradients, self.gradients), self.effort, None)

    @property
    def _name(self) -> str:
        return record_name(self.state.dim, self._rung)

    def take_stored(self) -> list[int]:
        """Take the results of the rung that are stored for faces as they are: their numbers."""
        if self.folder is None:
            return []
        there, found = set(self.folder.numbers(self._name)), []
        for number in np.sort(self.order).tolist():
            record = self.folder.get(self._name, number) if number in there else None
            if record is not None and self._is_of(record, number):
                result = from_record(record, self.state, number, self.folder)
                self.take(np.array([number]), result, store=False)
                found.append(number)
        return found

    def _put(self, folder: RunFolder, number: int, one: ChunkResult) -> None:
        tensors, values = to_record(one, self.state.simplices.vertices[number])
        start = self._start_digest(number)
        digests = {FACES: self._faces_digest(number)} | ({START: start} if start else {})
        folder.put(self._name, number, Record(tensors, {**values, **digests}))

    def _is_of(self, record: Record, number: int) -> bool:
        """Whether a record is of the faces and the start that a simplex has now."""
        faces, start = record.values.get(FACES), record.values.get(START, "")
        return faces == self._faces_digest(number) and start == self._start_digest(number)

    def _start_digest(self, number: int) -> str:
        """Digest of the control points at which a simplex starts by the lowest minimum, or none."""
        return _digest(self._coned[number]) if self._rung == CONED else ""

    def _faces_digest(self, number: int) -> str:
        """Digest of the control points on the faces of a simplex."""
        rows = self.state.simplices.controls[number]
        rows = rows[rows < self.state.layout.starts[self.state.dim]]
        return _digest(self.state.control_points[torch.as_tensor(rows)])


def _digest(points: Tensor) -> str:
    return digest(points.cpu().contiguous().numpy().tobytes())
