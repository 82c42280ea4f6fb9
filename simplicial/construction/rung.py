"""Rungs of an anytime build: one result of each of some simplices, measured or trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.files import digest
from simplicial.construction.chunks import Chunk, ChunkResult
from simplicial.construction.cone import cone_points
from simplicial.construction.measured_dimension import MeasuredDimension
from simplicial.construction.scheduler import Job, Scheduler
from simplicial.construction.serialization import from_record, record_name, to_record
from simplicial.construction.state import ConstructionState
from simplicial.display import dimension_name
from simplicial.maps.mesh import Mesh
from simplicial.optimizers.fillings import harmonic
from simplicial.run_folder.checkpoint import Checkpoint
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

Ints = NDArray[np.int64]

STARTED, CONED = 0, 5  # rungs that train nothing: straight or harmonic, by the lowest minimum
RUNGS_EACH = 6  # of a pass
FACES = "faces"  # the value of a record that is the digest of the control points on its faces
START = "start"  # likewise of those inside it, where it starts by way of the lowest minimum


class Rung(NamedTuple):
    """A rung of a dimension.

    number     0 as simplices start, 5 by way of the lowest minimum, between them those that train
    effort     over the full build's; 0 where nothing is trained
    scheduler  has the simplices finished
    cost       gradients of a simplex
    """

    number: int
    effort: float
    scheduler: Scheduler
    cost: int

    def record_number(self, r: int, number_of_pass: int) -> int:
        """The number by which its results of r-simplices are stored.

        One for each pass, of which a later one has other faces or starts, but for edges that are
        trained: these are the same in all.
        """
        is_same = r == 1 and self.effort > 0
        return self.number + (0 if is_same else RUNGS_EACH * number_of_pass)


@dataclass(frozen=True, slots=True, eq=False)
class RungRecords:
    """The records of a rung.

    folder  of the run
    state   in which all faces are finished
    number  of the rung, by which its records are named
    starts  control points inside simplices, by simplex, where they are no function of the faces
    """

    folder: RunFolder
    state: ConstructionState
    number: int
    starts: Mapping[int, Tensor]

    @property
    def name(self) -> str:
        """Name of the records."""
        return record_name(self.state.dim, self.number)

    def read(self, which: Ints) -> list[tuple[Ints, ChunkResult]]:
        """The stored results of simplices (k,) on the faces and starts that they have now.

        Raises DataError for spoilt records.
        """
        there, found = set(self.folder.numbers(self.name)), []
        for number in np.sort(which).tolist():
            record = self.folder.get(self.name, number) if number in there else None
            if record is not None and self._is_of(record, number):
                result = from_record(record, self.state, number, self.folder)
                found.append((np.array([number]), result))
        return found

    def put(self, which: Ints, result: ChunkResult) -> None:
        """Store the results of a chunk. Raises RunError where the disk cannot be written."""
        for row, number in enumerate(which.tolist()):
            one = result.part(slice(row, row + 1))
            tensors, values = to_record(one, self.state.simplices.vertices[number])
            start = self._start(number)
            digests = {FACES: self._faces(number)} | ({START: start} if start else {})
            self.folder.put(self.name, number, Record(tensors, {**values, **digests}))
        self.checkpoint(which).clear()

    def checkpoint(self, which: Ints) -> Checkpoint:
        """That of a chunk, of these faces and starts."""
        points = "".join(f"{self._faces(n)}{self._start(n)}" for n in which.tolist())
        return self.folder.checkpoint(f"{self.name}: {which.tolist()}: {digest(points.encode())}")

    def _is_of(self, record: Record, number: int) -> bool:
        faces, start = record.values.get(FACES), record.values.get(START, "")
        return faces == self._faces(number) and start == self._start(number)

    def _start(self, number: int) -> str:
        return _digest(self.starts[number]) if number in self.starts else ""

    def _faces(self, number: int) -> str:
        rows = self.state.simplices.controls[number]
        rows = rows[rows < self.state.layout.starts[self.state.dim]]
        return _digest(self.state.control_points[torch.as_tensor(rows)])


@dataclass(frozen=True, slots=True, eq=False)
class RungWork:
    """The simplices of a rung, and where they start.

    order   (k,), first what is to be finished first
    number  by which its results are stored
    records in a run folder; None: nowhere
    coned   control points inside simplices that start by the lowest minimum, by simplex
    """

    state: ConstructionState
    straight: Tensor
    rung: Rung
    order: Ints
    number: int
    records: RungRecords | None
    coned: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        dimension: MeasuredDimension,
        rung: Rung,
        order: Ints,
        *,
        number_of_pass: int,
        folder: RunFolder | None,
    ) -> Self:
        """Work on simplices (k,) of a dimension as it is now."""
        state, coned = dimension.state, dict[int, Tensor]()
        if rung.number == CONED:
            coned = dict(zip(order.tolist(), cone_points(state, order), strict=True))
        number = rung.record_number(state.dim, number_of_pass)
        records = None if folder is None else RungRecords(folder, state, number, coned)
        return cls(state, dimension.straight, rung, order, number, records, coned)

    def job(self, tells: Callable[[], str]) -> Job:
        """Its chunks; bars say what it tells."""
        title, trains = dimension_name(self.state.dim), self.rung.effort > 0
        if trains:
            title = f"{title}: effort {self.rung.effort:g}"
        return Job(self.state, self.chunk, trains, title, tells)

    def added(
        self, dimension: MeasuredDimension, which: Ints, result: ChunkResult
    ) -> MeasuredDimension:
        """The dimension with the results of a chunk."""
        effort, cost = self.rung.effort, self.rung.cost
        return dimension.with_results(which, result, rung=self.number, effort=effort, cost=cost)

    def chunk(self, which: Ints) -> Chunk:
        """Some simplices (m,), ascending, as they start."""
        chunk = self.state.chunk(which, trains=self.rung.effort > 0)
        if chunk.own:
            chunk = chunk.with_inside(self._inside(chunk, which))
        return chunk.saved_as(None if self.records is None else self.records.checkpoint(which))

    def _inside(self, chunk: Chunk, which: Ints) -> Tensor:
        if self.rung.number == CONED:
            return torch.cat([self.coned[number] for number in which.tolist()])
        rows = which[:, None] * chunk.own + np.arange(chunk.own)
        start = self.straight[torch.as_tensor(rows.ravel())]
        if self.rung.effort or self.state.dim == 1:  # a straight edge is harmonic
            return start
        simplices = chunk.problem.simplices
        mesh = Mesh.of(simplices.simplex_map, simplices.dim)
        controls = torch.as_tensor(simplices.controls)
        filled = chunk.control_points.clone()
        inner = harmonic(filled[controls], mesh)
        filled[controls[:, torch.as_tensor(mesh.inside)]] = inner
        return filled[chunk.problem.inside]


def _digest(points: Tensor) -> str:
    return digest(points.cpu().contiguous().numpy().tobytes())
