"""All simplices of a dimension, batch by batch: here or by an executor's workers, stored as they
end."""

import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from reduction import DataError, OptionError
from simplicial.errors import RunError
from simplicial.gauge import Gauge, dimension_name, progress_bar
from simplicial.loss import Evaluation
from simplicial.optimise import Optimizer
from simplicial.store import Memo, Record, Store
from simplicial.work import Batch, Finished, finish

Ints = NDArray[np.int64]
Result = TypeVar("Result")

BATCH = 16  # simplices that are finished together, at most, where they are stored or sent away
TURNS = 2  # batches for each core, at least, where workers are


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
    store: Store | None
    executor: Executor | None
    batch: int | None
    progress: bool

    def run(self, gauge: Gauge, r: int, *, trains: bool) -> None:
        """Finish the r-simplices that are not stored, and let the gauge take in all.

        Raises LossError where the loss or the parameters are not finite, RunError where workers die
        or nothing can be stored, DataError for spoilt records.
        """
        m = len(gauge.layout.simplices[r].vertices)
        found = self._stored(gauge, r)
        for number, finished in found.items():
            gauge.take(r, np.array([number]), finished)
        todo = np.setdiff1d(np.arange(m), np.array(list(found), dtype=np.int64))
        for which, finished in self._finished(gauge, r, self._cut(todo), trains):
            gauge.take(r, which, finished)
            for row, number in enumerate(which.tolist()):
                found[number] = finished.part(slice(row, row + 1))
                if self.store is not None:
                    record = _record(found[number], gauge.layout.simplices[r].vertices[number])
                    self.store.put(_name(r), number, record)
            if self.store is not None:
                self._memo(self.store, r, which).clear()
        gauge.close(r, Finished.joined([found[number] for number in range(m)]))

    def _stored(self, gauge: Gauge, r: int) -> dict[int, Finished]:
        """The finished r-simplices by their number."""
        if self.store is None:
            return {}
        found, store = {}, self.store
        for number in store.numbers(_name(r)):
            record = store.get(_name(r), number)
            assert record is not None, "its file was just listed"
            found[number] = _finished(record, gauge, r, number, store)
        return found

    def _cut(self, todo: Ints) -> list[Ints]:
        return cut(todo, self.batch, self.store, self.executor)

    def _batch(self, gauge: Gauge, r: int, which: Ints, trains: bool) -> Batch:
        batch = gauge.batch(r, which, trains=trains)
        if self.store is None:
            return batch
        return replace(batch, stage=replace(batch.stage, memo=self._memo(self.store, r, which)))

    @staticmethod
    def _memo(store: Store, r: int, which: Ints) -> Memo:
        return store.memo(f"{_name(r)}: {which.tolist()}".encode())

    def _finished(
        self, gauge: Gauge, r: int, parts: list[Ints], trains: bool
    ) -> Iterator[tuple[Ints, Finished]]:
        """Batches as they end, in any order."""
        if not parts:
            return
        title, loss = dimension_name(r), gauge.minima.loss
        first = gauge.batch(r, parts[0], trains=trains)
        rounds = self.optimizer.rounds(loss, first.pool, first.stage) if trains else 0
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


def cut(
    todo: Ints, batch: int | None, store: Store | None, executor: Executor | None
) -> list[Ints]:
    """What is to be done, in batches."""
    size = len(todo) if store is None and executor is None else BATCH
    if executor is not None:
        size = min(size, -(-len(todo) // (TURNS * (os.cpu_count() or 1))))
    size = batch or max(1, size)
    return [todo[first : first + size] for first in range(0, len(todo), size)]


def by_workers(
    executor: Executor, work: Callable[..., Result], calls: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[int, Result]]:
    """What `work` returns for its arguments in `calls`, with their place, as workers end them.

    Raises RunError where a worker dies, OptionError where arguments cannot be sent.
    """
    futures: dict[Future[Result], int] = {}
    try:
        for row, call in enumerate(calls):
            futures[executor.submit(work, *call)] = row
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenExecutor as error:
        raise RunError(
            f"workers must live until their batch ends, one died ({error}): run it again, with "
            "fewer workers or less memory if it was killed for memory; what is stored is kept"
        ) from error
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error).lower():
            raise
        raise OptionError(
            f"what goes to workers must be picklable, {error}: define the loss, the model and "
            "loss_fn at the top level of a module, or pass executor=None"
        ) from error
    finally:
        for future in futures:
            future.cancel()


def _name(r: int) -> str:
    return f"simplices-{r}"


def _record(one: Finished, vertices: Ints) -> Record:
    """A simplex as its record."""
    arrays = {"place": one.place, "largest": one.largest, "slack": one.slack}
    tensors = {name: torch.as_tensor(np.array(array)) for name, array in arrays.items()}
    tensors["points"] = one.points.cpu()
    if one.values is not None and one.slopes is not None:
        tensors |= {"values": torch.as_tensor(np.array(one.values)), "slopes": one.slopes.cpu()}
    if one.samples is not None:
        tensors["loss"] = torch.as_tensor(np.array(one.samples.loss))
        if one.samples.accuracy is not None:
            tensors["accuracy"] = torch.as_tensor(np.array(one.samples.accuracy))
    numbers = {
        "vertices": vertices.tolist(),
        "largest": float(one.largest[0]) if np.isfinite(one.largest[0]) else None,
        "evaluations": int(one.evaluations[0]),
    }
    return Record(tensors, numbers)


def _finished(record: Record, gauge: Gauge, r: int, number: int, store: Store) -> Finished:
    """The simplex of a record. Raises DataError for one that is no simplex of this complex."""
    vertices, tensors = gauge.layout.simplices[r].vertices, record.tensors
    own = (gauge.layout.starts[r + 1] - gauge.layout.starts[r]) // len(vertices)
    d, points = gauge.pool.shape[1], gauge.lattice_points(r)
    shapes = {"points": (1, own, d), "place": (1, r + 1), "largest": (1,), "slack": (1,)}
    if gauge.slopes:
        shapes |= {"values": (1, own), "slopes": (1, own, d)}
    if "loss" in tensors:
        shapes["loss"] = (1, points)
    if "accuracy" in tensors:
        shapes["accuracy"] = (1, points)
    right = number < len(vertices) and record.numbers["vertices"] == vertices[number].tolist()
    if not right or {name: tuple(t.shape) for name, t in tensors.items()} != shapes:
        raise DataError(
            f"records of {store.folder} must be those of this complex, number {number} of "
            f"dimension {r} is not: choose another folder"
        )
    seen = tensors["loss"].numpy() if "loss" in tensors else None
    score = tensors["accuracy"].numpy() if "accuracy" in tensors else None
    return Finished(
        points=tensors["points"],
        values=tensors["values"].numpy() if gauge.slopes else None,
        slopes=tensors["slopes"] if gauge.slopes else None,
        largest=tensors["largest"].numpy(),
        place=tensors["place"].numpy(),
        samples=None if seen is None else Evaluation(seen, score),
        evaluations=np.array([record.numbers["evaluations"]]),
        slack=tensors["slack"].numpy(),
    )
