"""All simplices of a dimension, batch by batch: here or by an executor's workers, stored as they
end."""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from reduction import DataError
from simplicial.construction.batches import Batch, Finished, finish
from simplicial.construction.executors import by_workers, cut
from simplicial.construction.state import Gauge
from simplicial.display import dimension_name, progress_bar
from simplicial.loss import Evaluation
from simplicial.optimizers.base import Optimizer
from simplicial.run_folder.checkpoint import Checkpoint
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

Ints = NDArray[np.int64]
FACE = "a face of it has no finite loss"


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """How batches are finished.

    optimizer  trains them
    store      where finished simplices are kept; None: nowhere
    executor   whose workers finish batches; None: this process does
    batch      simplices in a batch; None: all, or up to BATCH with a store or an executor
    progress   bars on stderr, for what takes over two seconds
    """

    optimizer: Optimizer
    store: RunFolder | None
    executor: Executor | None
    batch: int | None
    progress: bool

    def run(self, gauge: Gauge, r: int, *, trains: bool) -> None:
        """Finish the r-simplices that are not stored, and let the gauge take in all.

        Raises LossError where no edge is finite, RunError where workers die
        or nothing can be stored, DataError for spoilt records.
        """
        stored = self._stored(gauge, r)
        pieces = [(np.array([number]), finished) for number, finished in stored.items()]
        lost = np.setdiff1d(np.flatnonzero(np.isinf(gauge.floor(r))), list(stored))
        if len(lost):
            gone = Finished.given_up(gauge.minima.loss, gauge.batch(r, lost, trains=False), FACE)
            pieces.append((lost, gone.without_points()))
        alone = self.store is None and self.executor is None
        done = [*stored, *lost.tolist()]
        parts = cut(gauge.order(r), self.batch, alone=alone, executor=self.executor, done=done)
        for which, finished in self._finished(gauge, r, parts, trains):
            gauge.take(r, which, finished)
            self._put(gauge, r, which, finished)
            pieces.append((which, finished.without_points()))
        order = np.argsort(np.concatenate([which for which, _ in pieces]))
        gauge.close(r, Finished.joined([finished for _, finished in pieces]).part(order))

    def _stored(self, gauge: Gauge, r: int) -> dict[int, Finished]:
        """The finished r-simplices by their number, taken in by the gauge."""
        if self.store is None:
            return {}
        found, store = {}, self.store
        for number in store.numbers(record_name(r)):
            record = store.get(record_name(r), number)
            assert record is not None, "its file was just listed"
            finished = _finished(record, gauge, r, number, store)
            gauge.take(r, np.array([number]), finished)
            found[number] = finished.without_points()
        return found

    def _put(self, gauge: Gauge, r: int, which: Ints, finished: Finished) -> None:
        """Save the simplices of a batch."""
        if self.store is None:
            return
        for row, number in enumerate(which.tolist()):
            one = finished.part(slice(row, row + 1))
            vertices = gauge.layout.simplices[r].vertices[number]
            self.store.put(record_name(r), number, _record(one, vertices))
        self._checkpoint(self.store, r, which).clear()

    def _batch(self, gauge: Gauge, r: int, which: Ints, trains: bool) -> Batch:
        batch = gauge.batch(r, which, trains=trains)
        if self.store is None:
            return batch
        checkpoint = self._checkpoint(self.store, r, which)
        return replace(batch, stage=replace(batch.stage, checkpoint=checkpoint))

    @staticmethod
    def _checkpoint(store: RunFolder, r: int, which: Ints) -> Checkpoint:
        return store.checkpoint(f"{record_name(r)}: {which.tolist()}")

    def _rounds(self, gauge: Gauge, r: int, which: Ints) -> int:
        batch = gauge.batch(r, which, trains=True)
        return self.optimizer.rounds(gauge.minima.loss, batch.pool, batch.stage)

    def _finished(
        self, gauge: Gauge, r: int, parts: list[Ints], trains: bool
    ) -> Iterator[tuple[Ints, Finished]]:
        """Batches as they end, in any order."""
        if not parts:
            return
        title, loss = dimension_name(r), gauge.minima.loss
        rounds = self._rounds(gauge, r, parts[0]) if trains else 0
        points = sum(map(len, parts)) * gauge.lattice_points(r)
        with (
            progress_bar(f"{title}: training", rounds * len(parts), self.progress and trains) as up,
            progress_bar(f"{title}: maxima", points, self.progress) as bar,
        ):

            def grow(count: int) -> None:
                bar.total = max(bar.total, bar.n + count)
                bar.update(count)

            batches = (self._batch(gauge, r, which, trains) for which in parts)
            if self.executor is None:
                for which, batch in zip(parts, batches, strict=True):
                    yield which, finish(loss, self.optimizer, batch, up.update, grow)
                return
            calls = ((loss, self.optimizer, batch) for batch in batches)
            for row, finished in by_workers(self.executor, finish, calls):
                up.update(rounds)
                bar.update(len(parts[row]) * gauge.lattice_points(r))
                yield parts[row], finished


TOGETHER = "trained-together"  # records of control points, by the dimension that moved last


def record_name(r: int) -> str:
    """What the records of r-simplices are called in a run folder."""
    return f"simplices-{r}"


def _record(one: Finished, vertices: Ints) -> Record:
    """A simplex as its record."""
    arrays = {"place": one.place, "largest": one.largest, "slack": one.slack}
    tensors = {name: torch.as_tensor(np.array(array)) for name, array in arrays.items()}
    tensors["points"] = one.points.cpu()
    if one.values is not None and one.gradients is not None:
        tensors |= {
            "values": torch.as_tensor(np.array(one.values)),
            "gradients": one.gradients.cpu(),
        }
    if one.samples is not None:
        tensors["loss"] = torch.as_tensor(np.array(one.samples.loss))
        if one.samples.accuracy is not None:
            tensors["accuracy"] = torch.as_tensor(np.array(one.samples.accuracy))
    numbers = {
        "vertices": vertices.tolist(),
        "largest": float(one.largest[0]) if np.isfinite(one.largest[0]) else None,
        "evaluations": int(one.evaluations[0]),
        "retried": bool(one.retried[0]),
        "failed": one.failed[0],
    }
    return Record(tensors, numbers)


def _finished(record: Record, gauge: Gauge, r: int, number: int, store: RunFolder) -> Finished:
    """The simplex of a record. Raises DataError for one that is no simplex of this complex."""
    vertices, tensors = gauge.layout.simplices[r].vertices, record.tensors
    own = (gauge.layout.starts[r + 1] - gauge.layout.starts[r]) // len(vertices)
    d, points = gauge.pool.shape[1], gauge.lattice_points(r)
    shapes = {"points": (1, own, d), "place": (1, r + 1), "largest": (1,), "slack": (1,)}
    if gauge.gradients:
        shapes |= {"values": (1, own), "gradients": (1, own, d)}
    if "loss" in tensors:
        shapes["loss"] = (1, points)
    if "accuracy" in tensors:
        shapes["accuracy"] = (1, points)
    right = number < len(vertices) and record.values.get("vertices") == vertices[number].tolist()
    kinds = {"evaluations": int, "retried": bool, "failed": str}
    right = right and all(isinstance(record.values.get(k), kind) for k, kind in kinds.items())
    if not right or {name: tuple(t.shape) for name, t in tensors.items()} != shapes:
        raise DataError(
            f"records of {store.folder} must be those of this complex, number {number} of "
            f"dimension {r} is not: choose another folder"
        )
    seen = tensors["loss"].numpy() if "loss" in tensors else None
    score = tensors["accuracy"].numpy() if "accuracy" in tensors else None
    return Finished(
        points=tensors["points"],
        values=tensors["values"].numpy() if gauge.gradients else None,
        gradients=tensors["gradients"] if gauge.gradients else None,
        largest=tensors["largest"].numpy(),
        place=tensors["place"].numpy(),
        samples=None if seen is None else Evaluation(seen, score),
        evaluations=np.array([record.values["evaluations"]]),
        slack=tensors["slack"].numpy(),
        retried=np.array([record.values["retried"]]),
        failed=np.array([record.values["failed"]], object),
    )
