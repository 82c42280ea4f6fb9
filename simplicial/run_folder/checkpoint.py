"""Checkpoints: the state of a chunk after some of its steps, saved now and then.

unfinished/NAME/STEP.{json,safetensors}    of a chunk
unfinished/NAME/PART/STEP...               of a part of it, or of a stage of its work
"""

import copy
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from reduction import DataError
from reduction.files import digest
from simplicial.run_folder.records import VERSION, Record, read_record, write_record

UNFINISHED = "unfinished"
PERIOD = 3.0  # seconds between the steps after which a chunk is saved
CHEAP = 0.2  # seconds that saving may take; where it takes longer, the period is longer alike
TOGETHER = 16  # rows of a stage that are computed together on a CPU, at most, where they are saved


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
        # with the version: what the number of a step counts may change with it
        return digest(f"{VERSION}, {self.name}: {path.stem}".encode())

    def clear(self) -> None:
        """Remove the record and those of the parts: the chunk is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


class _Clock:
    """The time since something was saved, and the seconds that this took."""

    def __init__(self) -> None:
        self.last, self.period = time.monotonic(), PERIOD

    @property
    def is_due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self.last >= self.period

    def saved(self, began: float) -> None:
        """Go on from now, after a saving that began then."""
        self.last = time.monotonic()
        self.period = PERIOD * max(1.0, (self.last - began) / CHEAP)


class Checkpointer:
    """Saves the tensors of a chunk after some of its steps, where it has a checkpoint.

    main  (..., d) the tensor that is optimised; a record of another shape is refused
    """

    def __init__(self, checkpoint: Checkpoint | None, main: Tensor) -> None:
        self.checkpoint, self.shape, self.device = checkpoint, main.shape, main.device
        self.clock = _Clock()
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
        """Whether `PERIOD` has passed since a step was saved; longer where saving takes long."""
        return self.checkpoint is not None and self.clock.is_due

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Save the tensors after this number of steps; `main` has the shape given before."""
        began = time.monotonic()
        if self.checkpoint is not None:
            self.checkpoint.save(step, _record(tensors))
        self.clock.saved(began)
        self.has_saved = True


class SavedStages:
    """Results of the stages of a chunk's work, by name, all on one clock: when it is time, all
    that are new are saved, so that no more is lost than was computed since.

    checkpoint  of the chunk, whose parts are the stages; None: nothing is saved
    device      on which the work is done
    """

    def __init__(self, checkpoint: Checkpoint | None, device: torch.device | None = None) -> None:
        self._checkpoint, self._clock = checkpoint, _Clock()
        is_cut = checkpoint is not None and (device is None or device.type == "cpu")
        self._together = TOGETHER if is_cut else None
        self._new: dict[str, Callable[[], Mapping[str, Tensor]]] = {}
        self._steps: dict[str, int] = {}
        self._prefix = ""

    def part(self, name: str) -> "SavedStages":
        """The stages of a part of the work, on the same clock."""
        part = copy.copy(self)
        part._prefix = f"{self._prefix}{name}/"
        return part

    def resume(self, name: str) -> Mapping[str, Tensor]:
        """The tensors of a stage that were saved, on the CPU; none where there are none."""
        if self._checkpoint is None:
            return {}
        found = self._checkpoint.part(self._prefix + name).load()
        if found is None:
            return {}
        self._steps[self._prefix + name], (tensors, _) = found
        return tensors

    def put(self, name: str, tensors: Callable[[], Mapping[str, Tensor]]) -> None:
        """Take the tensors of a stage, in place of those before, and save all if it is time.

        tensors  called when they are saved, which is at a later call of `put`, or never
        """
        if self._checkpoint is None:
            return
        self._new[self._prefix + name] = tensors
        if not self._clock.is_due:
            return
        began = time.monotonic()
        for full_name, new in self._new.items():
            step = self._steps[full_name] = self._steps.get(full_name, 0) + 1
            self._checkpoint.part(full_name).save(step, _record(new()))
        self._new.clear()
        self._clock.saved(began)

    def finish(self, name: str, tensors: Callable[[], Mapping[str, Tensor]]) -> None:
        """`put` of a part's last stage: those before it that are not saved yet need not be."""
        for full_name in [key for key in self._new if key.startswith(self._prefix)]:
            del self._new[full_name]
        self.put(name, tensors)

    def rows(
        self,
        name: str,
        count: int,
        at_once: int,
        work: Callable[[slice], Mapping[str, Tensor]],
        tag: int = 0,
    ) -> Mapping[str, Tensor]:
        """The tensors of `work` on rows 0 .. count - 1, of which those that were saved are taken.

        at_once  rows in a batch, at most; `TOGETHER` where they are saved. All batches are about
                 as large, however often the work was begun: a reduction of torch may round
                 otherwise for one row than for several
        tag      rows that were saved with another one are not taken
        """
        saved = dict(self.resume(name))
        is_same = int(saved.pop("tag", torch.tensor(tag))) == tag
        parts: list[Mapping[str, Tensor]] = [saved] if saved and is_same else []
        done = len(next(iter(parts[0].values()))) if parts else 0
        size = min(at_once, self._together or at_once)
        batches = max(1, -(-count // size))
        ends = [count * batch // batches for batch in range(1, batches + 1)]
        for end in ends:
            if done < end or not parts:
                parts.append(work(slice(done, end)))
                done = end
                self.put(name, lambda: {"tag": torch.tensor(tag), **_joined(parts)})
        return _joined(parts)


def _joined(parts: list[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    if len(parts) == 1:
        return parts[0]
    return {
        name: torch.cat([part[name].to(parts[-1][name]) for part in parts]) for name in parts[-1]
    }


def _record(tensors: Mapping[str, Tensor]) -> Record:
    return Record({name: tensor.detach().cpu() for name, tensor in tensors.items()}, {})
