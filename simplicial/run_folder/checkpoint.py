"""Checkpoints: the state of a chunk after some of its steps, saved now and then.

unfinished/NAME/STEP.{json,safetensors}    of a chunk
unfinished/NAME/PART/STEP...               of a part of it
"""

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from reduction import DataError
from reduction.files import digest
from simplicial.run_folder.records import Record, read_record, write_record

UNFINISHED = "unfinished"
PERIOD = 30.0  # seconds between the steps after which a chunk is saved


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The record of a chunk after the last step that was saved.

    root  the run folder
    name  of this chunk alone; other processes than the run folder's may write to its folder
    """

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """The folder of the record."""
        return self.root / UNFINISHED / self.name

    def part(self, name: str) -> "Checkpoint":
        """The checkpoint of a part of the chunk, cleared with the chunk."""
        return Checkpoint(self.root, f"{self.name}/{name}")

    def load(self) -> tuple[int, Record] | None:
        """The last step that was saved whole, and its record; None where there is none."""
        paths = self.folder.glob("[0-9]*.json")
        for path in sorted(paths, key=lambda path: int(path.stem), reverse=True):
            with suppress(DataError):  # two processes wrote it, one of them outlived its run
                if (found := read_record(path, self._digest(path))) is not None:
                    return int(path.stem), found
        return None

    def save(self, step: int, record: Record) -> None:
        """Write the record of this step, in place of those before it.

        Nothing is written where the run folder is on another machine. Raises RunError where the
        disk is full.
        """
        if not self.root.is_dir():
            return
        path = self.folder / f"{step:06}.json"
        write_record(path, record, self._digest(path))
        for old in self.folder.glob("[0-9]*"):
            if int(old.stem) < step:
                old.unlink(missing_ok=True)

    def _digest(self, path: Path) -> str:
        return digest(f"{self.name}: {path.stem}".encode())

    def clear(self) -> None:
        """Remove the record and those of the parts: the chunk is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Checkpointer:
    """Saves the tensors of a chunk after some of its steps, where it has a checkpoint.

    main  (..., d) the tensor that is optimised; a record of another shape is refused
    """

    def __init__(self, checkpoint: Checkpoint | None, main: Tensor) -> None:
        self.checkpoint, self.shape, self.device = checkpoint, main.shape, main.device
        self.last = time.monotonic()
        self.has_saved = False

    def resume(self) -> tuple[int, Mapping[str, Tensor]]:
        """Number of steps taken, and the tensors after them; 0 and none where none were saved.

        Raises DataError for a record of another chunk.
        """
        found = None if self.checkpoint is None else self.checkpoint.load()
        if found is None:
            return 0, {}
        step, (tensors, _) = found
        shape = tensors["main"].shape if "main" in tensors else ()
        if shape != self.shape:
            raise DataError(
                "a chunk goes on from its own control points, those that were saved have shape "
                f"{tuple(shape)}, not {tuple(self.shape)}: choose another folder"
            )
        self.has_saved = True
        return step, {name: tensor.to(self.device) for name, tensor in tensors.items()}

    @property
    def is_due(self) -> bool:
        """Whether `PERIOD` has passed since the last step that was saved."""
        return self.checkpoint is not None and time.monotonic() - self.last >= PERIOD

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Save the tensors after this number of steps; `main` has the shape given before."""
        if self.checkpoint is not None:
            record = Record({k: t.detach().cpu() for k, t in tensors.items()}, {})
            self.checkpoint.save(step, record)
        self.last, self.has_saved = time.monotonic(), True
