"""All simplices of a dimension, chunk by chunk: here or by an executor's workers, stored as they
end."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction import DataError
from simplicial.construction.chunks import Chunk, ChunkResult
from simplicial.construction.executors import by_workers, cut
from simplicial.construction.finishing import finish
from simplicial.construction.mending import mended, mends, warn_unsettled, with_lower
from simplicial.construction.serialization import (
    MENDED,
    TOGETHER,
    from_record,
    mended_name,
    record_name,
    store_checks,
    to_record,
)
from simplicial.construction.state import ConstructionState
from simplicial.display import dimension_name, progress_bar
from simplicial.maps.control_points import straight
from simplicial.maps.edgewise import Edgewise
from simplicial.optimizers.base import OptimisationProblem, Optimizer
from simplicial.optimizers.nudged_elastic import NudgedElastic
from simplicial.run_folder.checkpoint import Checkpoint
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

Ints = NDArray[np.int64]
FACE = "a face of it has no finite loss"


class Job(NamedTuple):
    """Simplices of a dimension that are to be finished.

    state   of their construction
    chunk   the chunk of some of them (m,), ascending
    trains  whether they are trained
    title   of the progress bars
    tells   what the bars say of the results so far
    """

    state: ConstructionState
    chunk: Callable[[Ints], Chunk]
    trains: bool
    title: str
    tells: Callable[[], str] = str


@dataclass(frozen=True, slots=True, eq=False)
class Scheduler:
    """Finishes a dimension of a complex; minima are dimension 0.

    optimizer  trains the simplices
    folder     of the run, where finished simplices are stored; None: nowhere
    executor   whose workers finish chunks; None: this process does
    batch      simplices in a chunk; None: all, or up to 16 with a folder or an executor
    progress   bars on stderr, for what takes over two seconds
    """

    optimizer: Optimizer
    folder: RunFolder | None
    executor: Executor | None
    batch: int | None
    progress: bool

    def run(self, state: ConstructionState, *, trains: bool = True) -> ConstructionState:
        """Finish the simplices that are not stored; the state in which all are finished.

        Raises LossError where no edge is finite, RunError where workers die or nothing can be
        stored, DataError for spoilt records.
        """
        stored = self._stored(state)
        pieces = [(np.array([number]), result) for number, result in stored.items()]
        first = state.translates.first
        copied = np.flatnonzero(first != np.arange(len(first))).tolist()
        faceless = np.flatnonzero(np.isposinf(state.face_maxima))
        lost = np.setdiff1d(faceless, [*stored, *copied])
        if len(lost):
            pieces.append((lost, without_faces(state, lost)))
        alone = self.folder is None and self.executor is None
        done = [*stored, *lost.tolist(), *copied]
        parts = cut(state.order(), self.batch, alone=alone, executor=self.executor, done=done)
        name = dimension_name(state.dim) if state.dim else "minima"
        for which, result in self.finished(
            Job(state, partial(self._chunk, state, trains), trains, name), parts
        ):
            state.add_results(which, result)
            self._store(state, which, result)
            pieces.append((which, result.without_points()))
        if self.folder is not None and state.dim == 1:  # edges are stored, so a run has begun
            store_checks(state, self.folder)
        order = np.argsort(np.concatenate([which for which, _ in pieces]))
        every = ChunkResult.joined([result for _, result in pieces])
        result = state.of_all(every.part(order))
        state, result = self._mended(state, result) if trains else (state, result)
        return state.finish_dimension(result)

    def _mended(
        self, state: ConstructionState, result: ChunkResult
    ) -> tuple[ConstructionState, ChunkResult]:
        """The state and the results of a dimension, simplices lowered that end bars at no critical
        point; the folder keeps them, and that all were examined.
        """
        r, folder, name = state.dim, self.folder, mended_name(state.dim)
        done = None if folder is None else folder.get(MENDED, r)
        if folder is not None and done is not None:
            unsettled = np.array(done.values.get("unsettled", []), np.int64)
            if "segments" in done.values:
                state = state.with_segments(done.values["segments"], result)
            records = {number: folder.get(name, number) for number in folder.numbers(name)}
            for number, record in records.items():
                assert record is not None, "its file was just listed"
                one = from_record(record, state, number, folder)
                result = with_lower(state, result, number, one)
            warn_unsettled(state, unsettled, done.values.get("needs", 0))
            return state, result
        if not mends(state, self.optimizer):
            return state, result
        before = state.simplex_map
        state, result, numbers, unsettled, needs = mended(state, self._optimizer(state), result)
        if folder is not None:
            for number in numbers.tolist():
                one = state.result_of(number, result)
                folder.put(name, number, to_record(one, state.simplices.vertices[number]))
            values = {"unsettled": unsettled.tolist(), "needs": needs}
            if (after := state.simplex_map) != before:
                assert isinstance(after, Edgewise), "the map of elastic simplices"
                values["segments"] = after.segments
            folder.put(MENDED, r, Record({}, values))
        warn_unsettled(state, unsettled, needs)
        return state, result

    def _optimizer(self, state: ConstructionState) -> Optimizer:
        """The optimizer, of as many segments as simplices have, which mending may have raised."""
        simplex_map = state.simplex_map
        if isinstance(self.optimizer, NudgedElastic) and isinstance(simplex_map, Edgewise):
            return replace(self.optimizer, segments=simplex_map.segments)
        return self.optimizer

    def train_with_faces(self, state: ConstructionState, max_dim: int) -> ConstructionState:
        """The state in which all control points are trained, by an optimizer that moves faces: all
        simplices of a dimension at once, and none is evaluated before all stand still. The folder
        keeps all control points after each dimension.
        """
        points, layout, options = state.control_points, state.layout, state.options
        for r in range(1, max_dim + 1):
            moving, checkpoint = slice(layout.starts[1], layout.starts[r + 1]), None
            if self.folder is not None:
                if (record := self.folder.get(TOGETHER, r)) is not None:
                    points[moving] = _moved_points(record, points[moving], self.folder).to(points)
                    continue
                checkpoint = self.folder.checkpoint(f"{TOGETHER}: {r}")
            sides = slice(moving.start, layout.starts[r])
            problem = OptimisationProblem(
                layout.simplices[r],
                layout.rows(r),
                sides,
                options.seed,
                options.memory,
                checkpoint=checkpoint,
            )
            steps = self.optimizer.step_count(state.loss, points, problem)
            with progress_bar(f"{dimension_name(r)}: training", steps, self.progress) as bar:
                self.optimizer.optimise(state.loss, points, problem, bar.update)
            if self.folder is not None:
                self.folder.put(TOGETHER, r, Record({"points": points[moving].cpu()}, {}))
        return replace(state, starts=straight(points[: layout.starts[1]], layout))

    def _stored(self, state: ConstructionState) -> dict[int, ChunkResult]:
        """The finished simplices by their number, added to the state."""
        if self.folder is None:
            return {}
        found, folder, name = {}, self.folder, record_name(state.dim)
        for number in folder.numbers(name):
            record = folder.get(name, number)
            assert record is not None, "its file was just listed"
            result = from_record(record, state, number, folder)
            state.add_results(np.array([number]), result)
            found[number] = result.without_points()
        return found

    def _store(self, state: ConstructionState, which: Ints, result: ChunkResult) -> None:
        """Store the simplices of a chunk."""
        if self.folder is None:
            return
        for row, number in enumerate(which.tolist()):
            one = result.part(slice(row, row + 1))
            vertices = state.simplices.vertices[number]
            self.folder.put(record_name(state.dim), number, to_record(one, vertices))
        self._checkpoint(self.folder, state, which).clear()

    def _chunk(self, state: ConstructionState, trains: bool, which: Ints) -> Chunk:
        chunk = state.chunk(which, trains=trains)
        if self.folder is None:
            return chunk
        return chunk.saved_as(self._checkpoint(self.folder, state, which))

    @staticmethod
    def _checkpoint(folder: RunFolder, state: ConstructionState, which: Ints) -> Checkpoint:
        return folder.checkpoint(f"{record_name(state.dim)}: {which.tolist()}")

    def finished(self, job: Job, parts: list[Ints]) -> Iterator[tuple[Ints, ChunkResult]]:
        """Chunks as they end, in any order."""
        if not parts:
            return
        state, steps = job.state, 0
        optimizer = self._optimizer(state)
        if job.trains:
            first = job.chunk(parts[0])
            steps = optimizer.step_count(state.loss, first.control_points, first.problem)
        title, points = job.title, sum(map(len, parts)) * state.lattice_size
        total = steps * len(parts)
        with (
            progress_bar(f"{title}: training", total, self.progress and job.trains) as up,
            progress_bar(f"{title}: maxima", points, self.progress) as bar,
        ):

            def grow(count: int) -> None:
                bar.total = max(bar.total, bar.n + count)
                bar.update(count)

            def results() -> Iterator[tuple[Ints, ChunkResult]]:
                chunks = map(job.chunk, parts)
                if self.executor is None:
                    for which, chunk in zip(parts, chunks, strict=True):
                        yield which, finish(state.loss, optimizer, chunk, up.update, grow)
                    return
                calls = ((state.loss, optimizer, chunk) for chunk in chunks)
                for row, result in by_workers(self.executor, finish, calls):
                    up.update(steps)
                    bar.update(len(parts[row]) * state.lattice_size)
                    yield parts[row], result

            for which, result in results():
                try:
                    yield which, result
                finally:  # also where this was the last chunk that there is time for
                    if self.progress:
                        (up if job.trains else bar).set_postfix_str(job.tells())


def without_faces(state: ConstructionState, which: Ints) -> ChunkResult:
    """Results of simplices (m,) with a face that has no finite loss."""
    chunk = state.chunk(which, trains=False)
    return ChunkResult.not_finite(state.loss, chunk, FACE).without_points()


def _moved_points(record: Record, like: Tensor, folder: RunFolder) -> Tensor:
    """The control points of a record. Raises DataError for those of another complex."""
    points = record.tensors.get("points")
    if points is None or points.shape != like.shape:
        raise DataError(
            f"records of {folder.folder} must be those of this complex, its {TOGETHER} are not: "
            "choose another folder"
        )
    return points
