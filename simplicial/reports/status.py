"""How far a run folder has come: what is done and left, and the filtration of what is done.

Only settings and the numbers of records are read, so that it may be looked at while a run works on
it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from reduction import Barcode, DataError, FilteredComplex
from reduction.filtrations.colex import complete_simplices
from simplicial.construction.scheduler import TOGETHER, record_name
from simplicial.display import dimension_name, duration
from simplicial.errors import RunError
from simplicial.maxima.lattice_maximum import on_facets
from simplicial.run_folder.folder import BEGUN, LOCK
from simplicial.run_folder.records import Records

RECORDS = "records"  # of a command's run, in its folder
Floats = NDArray[np.float64]
State = Literal["running", "stopped", "finished", "unknown"]


class Turn(NamedTuple):
    """One dimension's share of a run.

    total   simplices
    done    of them
    pace    seconds that one took since the folder was last taken up; None where none was done then
    at      when the last one was done, in seconds since 1970; None where there is none
    """

    name: str
    total: int
    done: int
    pace: float | None
    at: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """What a run folder holds.

    folder      of the records
    state       whether a process works on it; else whether all is finished, the result of a
                command included; "unknown" where the folder cannot be asked for a process
    settings    of the run, the minima and the complex, JSON values by name
    turns       dimension by dimension
    values      for each dimension (m_r,) what the filtration has for each simplex, colexicographic;
                NaN where it is not finished, inf where the loss is not finite on it
    failed      why there is no finite loss, by simplex; those with such a face are not in it
    """

    folder: Path
    state: State
    settings: dict[str, dict[str, Any]]
    turns: tuple[Turn, ...]
    values: tuple[Floats, ...]
    failed: dict[tuple[int, ...], str]

    @classmethod
    def read(cls, folder: str | Path) -> "Progress":
        """Of the folder of a run, or of a `store=`.

        Raises RunError where there is no run, DataError where a file was changed.
        """
        records = Records(Path(folder) / RECORDS)
        if not records.folder.is_dir():
            records = Records(folder)
        found = {name: records.settings(name) for name in ("run", "minima", "complex")}
        settings = {name: kept for name, kept in found.items() if kept is not None}
        if not settings:
            raise RunError(
                f"a run folder holds its settings, {records.folder} holds none: name the folder "
                "that a run was given as --out, or as store="
            )
        n, max_dim = _size(settings)
        values, failed = _values(records, settings, n, max_dim)
        turns = tuple(_turns(records, values, n, max_dim))
        state = _state(records.folder / LOCK)
        whole = all(turn.total == turn.done for turn in turns)
        by_command = records.folder.name == RECORDS
        if state == "stopped" and whole and (not by_command or _result(records.folder).is_file()):
            state = "finished"
        return cls(records.folder, state, settings, turns, values, failed)

    @property
    def result(self) -> Path | None:
        """The folder of what the command wrote when all was finished; None where it did not."""
        is_there = self.folder.name == RECORDS and _result(self.folder).is_file()
        return self.folder.parent if is_there else None

    def barcode(self, field: int | None = None) -> Barcode | None:
        """Over Z/field, of what is finished; None before there is an edge.

        field  a prime; None: that of the result, 2 where there is none
        Where there is a result over Z/field it is that, certificates included. Raises FieldError,
        DataError for a spoilt file.
        """
        filtration = self.filtration()
        if filtration is not None and self.state == "finished" and self.result is not None:
            written = Barcode.load(self.result / "barcodes.json")
            if field in (None, written.field):
                return written
        return None if filtration is None else filtration.barcode(2 if field is None else field)

    def filtration(self) -> FilteredComplex | None:
        """The simplices that are finished, up to the highest dimension that has any, or that is
        finished; None before there is an edge.
        """
        n = len(self.values[0])
        if np.isnan(self.values[0]).any():
            return None
        every = complete_simplices(n, len(self.values) - 1)
        there = [np.isfinite(values) for values in self.values]
        top = len(there) - 1
        while top and np.isnan(self.values[top]).any() and not there[top].any():
            top -= 1
        if not top or not there[1].any():
            return None
        return FilteredComplex(
            [of[finite] for of, finite in zip(every[: top + 1], there, strict=False)],
            [of[finite] for of, finite in zip(self.values[: top + 1], there, strict=False)],
        )

    def left(self) -> float | None:
        """Seconds that the rest may take, if a simplex takes as long as the last ones, and one of a
        dimension not begun as one of the dimension below; None where nothing tells."""
        seconds, pace = 0.0, None
        for turn in self.turns:
            pace = turn.pace if turn.pace is not None else pace
            if turn.done < turn.total and pace is None:
                return None
            seconds += (turn.total - turn.done) * (pace or 0.0)
        return seconds

    def duration(self) -> str:
        """What `left` says, for people."""
        left = self.left()
        return "unknown" if left is None else f"about {duration(left)}"

    def table(self) -> str:
        """Dimension by dimension what is done, and how long the rest may take."""
        width = max(len(turn.name) for turn in self.turns)
        lines = [f"{'':{width}}     done       of   seconds each"]
        for turn in self.turns:
            pace = "-" if turn.pace is None else f"{turn.pace:.3g}"
            lines.append(f"{turn.name:{width}} {turn.done:8} {turn.total:8}   {pace:>12}")
        return "\n".join(lines)


def _size(settings: dict[str, dict[str, Any]]) -> tuple[int, int | None]:
    """How many minima, and the top dimension where it is known yet."""
    complex_, run = settings.get("complex", {}), settings.get("run", {})
    try:
        max_dim = complex_.get("max_dim", run.get("max_dim"))
        if "complex" in settings:
            return len(complex_["values at the minima"]), max_dim
        return int(settings["minima"]["n"] if "minima" in settings else run["minima"]), max_dim
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"settings of a run tell the number of minima, {sorted(settings)} do not: choose "
            "another folder"
        ) from None


def _values(
    records: Records, settings: dict[str, dict[str, Any]], n: int, max_dim: int | None
) -> tuple[tuple[Floats, ...], dict[tuple[int, ...], str]]:
    """Values of all simplices by dimension, and why some failed."""
    values, failed = [np.full(n, np.nan)], {}
    if "complex" in settings:
        values[0] = np.array(settings["complex"]["values at the minima"], np.float64)
    else:
        for number, figures in _figures(records, 0, n).items():
            values[0][number] = figures["loss"]
    for r in range(1, (max_dim or 0) + 1):
        inside = np.full(comb(n, r + 1), np.nan)
        for number, figures in _figures(records, r, len(inside)).items():
            largest = figures["largest"]
            if figures["failed"]:
                failed[tuple(figures["vertices"])] = figures["failed"]
                largest = math.inf
            inside[number] = -math.inf if largest is None else largest
        floor = on_facets(values[-1], complete_simplices(n, r)[r])
        values.append(np.where(np.isinf(floor), np.inf, np.maximum(inside, floor)))
    return tuple(values), failed


def _figures(records: Records, r: int, m: int) -> dict[int, Mapping[str, Any]]:
    """The numbers of the records of r-simplices, of which there are m at most."""
    figures = records.values(record_name(r), "complex" if r else "minima")
    if figures and max(figures) >= m:
        raise DataError(
            f"a run of this size has {m} {dimension_name(r)}, {records.folder} has a record of "
            f"number {max(figures)}: choose another folder"
        )
    return figures


def _turns(
    records: Records, values: tuple[Floats, ...], n: int, max_dim: int | None
) -> Iterator[Turn]:
    try:
        begun = (records.folder / BEGUN).stat().st_mtime
    except FileNotFoundError:
        begun = math.inf
    before = max(records.times(TOGETHER), default=0.0)  # trained before anything is measured
    for r in range((max_dim or 0) + 1):
        times = records.times(record_name(r))
        since = [time for time in times if time >= begun]
        pace = (since[-1] - max(begun, before)) / len(since) if since else None
        yield Turn(
            name=dimension_name(r),
            total=comb(n, r + 1),
            done=int((~np.isnan(values[r])).sum()),
            pace=pace,
            at=times[-1] if times else None,
        )
        before = max([before, *times])


def _result(folder: Path) -> Path:
    """What a command writes last, beside the records in `folder`."""
    return folder.parent / "run.json"


def _state(lock: Path) -> State:
    """Whether a process works on the folder; its lock is held for a moment."""
    if not lock.exists():
        return "stopped"
    try:
        with FileLock(lock, timeout=0):
            return "stopped"
    except Timeout:
        return "running"
    except OSError:  # a folder that may only be read
        return "unknown"
