"""Status of a run: simplices finished and left, and the filtration of those that are finished.

Only settings and the values of records are read, so that a run may work on its folder meanwhile.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from reduction import Barcode, DataError, FilteredComplex, TopologyError
from reduction.validation import first_line, is_whole
from simplicial.complex import simplex_values
from simplicial.complex_file import read_geometry
from simplicial.construction.anytime_progress import AnytimeProgress
from simplicial.construction.measured_dimension import FIELD
from simplicial.construction.serialization import CHECKS, TOGETHER, record_name, rung_names
from simplicial.display import dimension_name, duration
from simplicial.errors import RunError
from simplicial.reports.convergence import CONVERGENCE, Convergence
from simplicial.reports.finished_values import finished_values, simplices_of
from simplicial.reports.partial_bounds import with_partial_bounds
from simplicial.run_folder.folder import LOCK
from simplicial.run_folder.records import SETTINGS as SETTINGS_FILES
from simplicial.run_folder.records import Records, check_files, read_json
from simplicial.vertex_checks import VertexChecks

SETTINGS = ("run", "minima", "polish", "complex")  # names of settings, in the order of a run
RECORDS = "records"  # of a command's run, in its folder
BARCODES = "barcodes.json"  # of its result
COMPLEX = "complex.npz"  # likewise
RUN = "run.json"  # its settings and versions, which are written last
Floats = NDArray[np.float64]
State = Literal["running", "stopped", "finished", "unknown"]


class DimensionStatus(NamedTuple):
    """Simplices of one dimension in a run.

    total         number of simplices
    done          number of those that are finished
    seconds_each  of a simplex since the folder was last taken up; None where none was finished
                  then, and in an anytime build, which comes back to a simplex
    at            when the last one was finished, in seconds since 1970; None where there is none
    """

    name: str
    total: int
    done: int
    seconds_each: float | None
    at: float | None


@dataclass(frozen=True, slots=True, eq=False)
class RunStatus:
    """Status of a run folder.

    folder      of the records
    state       whether a process works on it; else whether all is finished, the result of a
                command included; "unknown" where the lock of the folder cannot be tried
    settings    of the run, the minima and the complex, JSON values by name
    dimensions  from that of the minima on
    values      for each dimension (m_r,) filtration values of all simplices, colexicographic; NaN
                where one is not finished, inf where the loss is not finite on it
    failed      reasons for a loss that is not finite, by simplex, but for those with such a face
    worsened    simplices that training made worse: each keeps its start, a minimum excepted
    exhausted   what maxima may be too low by whose refinement the budget ended, by simplex
    error_bounds  for each dimension (m_r,) what the maxima of finished simplices may be too low by;
                inf of sampled ones
    checks      of the minima; NaN where they are not known
    convergence W_inf at the efforts that are finished; None where efforts are not compared
    anytime     progress of an anytime build; None of another, and before one has measured anything
    """

    folder: Path
    state: State
    settings: dict[str, dict[str, Any]]
    dimensions: tuple[DimensionStatus, ...]
    values: tuple[Floats, ...]
    failed: dict[tuple[int, ...], str]
    worsened: tuple[tuple[int, ...], ...]
    exhausted: dict[tuple[int, ...], float]
    error_bounds: tuple[Floats, ...]
    checks: VertexChecks
    convergence: Convergence | None
    anytime: AnytimeProgress | None

    @classmethod
    def read(cls, folder: str | Path) -> "RunStatus":
        """Status of the folder of a run, of a `store=`, or of a result without records, as those of
        the command `analytic`.

        Raises RunError where there is no run, or a pipe or another thing that is no file; DataError
        where a file was changed.
        """
        records = Records(Path(folder) / RECORDS)
        if not records.folder.is_dir():
            records = Records(folder)
        check_files(records.folder)
        try:
            if _has_no_records(records.folder):
                return cls._of_result(records.folder)
            return cls._of_records(records)
        except TopologyError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"the values in {records.folder} must be those that a run wrote, some are of "
                f"another kind ({type(error).__name__}: {first_line(error)}): choose another folder"
            ) from error

    @classmethod
    def _of_records(cls, records: Records) -> "RunStatus":
        """Status by the records of a run folder."""
        every = {name: records.settings(name) for name in SETTINGS}
        settings = {name: kept for name, kept in every.items() if kept is not None}
        if not settings:
            raise RunError(
                f"a run folder holds its settings, {records.folder} holds none: name the folder "
                "that a run was given as --out, or as store="
            )
        n, max_dim = _size(settings)
        anytime, is_anytime = None, "efforts" in settings.get("complex", {})
        if is_anytime:
            anytime = AnytimeProgress.read(records.folder)
        found = finished_values(records, settings, n, max_dim, anytime)
        dimensions = tuple(_dimensions(records, found.values))
        state = _state(records.folder / LOCK)
        is_done = all(dimension.total == dimension.done for dimension in dimensions)
        if is_anytime:
            is_done = is_done and anytime is not None and anytime.ended is not None
        by_command = records.folder.name == RECORDS
        if state == "stopped" and is_done and (not by_command or _result(records.folder).is_file()):
            state = "finished"
        path = records.folder / CONVERGENCE
        return cls(
            records.folder,
            state,
            settings,
            dimensions,
            *found,
            _checks(records, n),
            Convergence.load(path) if path.is_file() else None,
            anytime,
        )

    @classmethod
    def _of_result(cls, folder: Path) -> "RunStatus":
        """Status of a result whose folder has no records: all is finished."""
        record = json.loads((folder / RUN).read_bytes())
        minima, geometry = read_geometry(folder / COMPLEX, torch.device("cpu"))
        inside = (minima, *(interior.maxima.values for interior in geometry.interiors))
        _, values = simplex_values(inside, geometry.simplices, geometry.certificates)
        vertices = [of.vertices for of in geometry.simplices]
        bounds = [np.zeros(len(minima)), *(one.error_bounds for one in geometry.interiors)]
        exhausted = {
            tuple(simplex): bound
            for of, one in zip(vertices[1:], geometry.interiors, strict=True)
            for simplex, bound in zip(
                of[one.exhausted].tolist(), one.error_bounds[one.exhausted].tolist(), strict=True
            )
        }
        names = [dimension_name(r) for r in range(len(vertices))]
        counts = [len(of) for of in vertices]
        settings = {str(record["command"]): dict(record["settings"])}
        if counts != [math.comb(len(minima), r + 1) for r in range(len(vertices))]:
            settings["complex"] = {"edges": vertices[1].tolist()}
        return cls(
            folder,
            "finished",
            settings,
            tuple(
                DimensionStatus(*each, None, None)
                for each in zip(names, counts, counts, strict=True)
            ),
            values,
            {},
            (),
            exhausted,
            tuple(bounds),
            VertexChecks.unknown(len(minima)),
            Convergence.load(folder / CONVERGENCE) if (folder / CONVERGENCE).is_file() else None,
            None,
        )

    @property
    def result(self) -> Path | None:
        """The folder of a command's result; None where it is not written."""
        file = _result(self.folder)
        return file.parent if file.is_file() else None

    def barcode(self, field: int | None = None) -> Barcode | None:
        """Barcode over Z/field of the finished simplices; None before there is an edge.

        field  a prime; None: that of the result, 2 where there is none
        Where there is a result over Z/field it is that, certificates included. Bars have lowest
        deaths, and each index an error, see `simplicial.reports.partial_bounds`. Raises FieldError,
        DataError for a spoilt file.
        """
        filtration = self.filtration()
        if filtration is not None and self.state == "finished" and self.result is not None:
            written = Barcode.load(self.result / BARCODES)
            if field in (None, written.field):
                return written
        if filtration is None:
            return None
        barcode = filtration.barcode(2 if field is None else field)
        return with_partial_bounds(barcode, self._simplices(), self.values, self.error_bounds)

    def filtration(self) -> FilteredComplex | None:
        """Finished simplices, up to the highest dimension that has any, or that is finished; None
        before there is an edge.
        """
        if np.isnan(self.values[0]).any():
            return None
        every = self._simplices()
        finite = [np.isfinite(values) for values in self.values]
        top = len(finite) - 1
        while top and np.isnan(self.values[top]).any() and not finite[top].any():
            top -= 1
        if not top or not finite[1].any():
            return None
        return FilteredComplex(
            [vertices[rows] for vertices, rows in zip(every[: top + 1], finite, strict=False)],
            [values[rows] for values, rows in zip(self.values[: top + 1], finite, strict=False)],
        )

    def work(self, field: int | None = None) -> str | None:
        """What an anytime build has done, as a sentence, with the field by which it chose, where
        barcodes over another one are asked for; None of another build.
        """
        if self.anytime is None:
            return None
        other = "" if field in (None, FIELD) else f" (boundaries that bound: over Z/{FIELD})"
        return f"{self.anytime}{other}"

    def _simplices(self) -> list[NDArray[np.int64]]:
        """Vertices of all simplices, by dimension."""
        return simplices_of(self.settings, len(self.values[0]), len(self.values) - 1)

    def seconds_left(self) -> float | None:
        """Estimated seconds of the rest, at the last seconds of a simplex of its dimension or, in a
        dimension not begun, of the one below; None where there is no estimate, as of an anytime
        build, which trains simplices as long as that helps.
        """
        if "efforts" in self.settings.get("complex", {}):
            return 0.0 if self.state == "finished" else None
        seconds, each = 0.0, None
        for dimension in self.dimensions:
            each = each if dimension.seconds_each is None else dimension.seconds_each
            if dimension.done < dimension.total and each is None:
                return None
            seconds += (dimension.total - dimension.done) * (each or 0.0)
        return seconds

    def time_left(self) -> str:
        """The estimate of `seconds_left` as text."""
        left = self.seconds_left()
        return "unknown" if left is None else f"about {duration(left)}"

    def table(self) -> str:
        """Finished simplices, all simplices and seconds of one, dimension by dimension."""
        width = max(len(dimension.name) for dimension in self.dimensions)
        lines = [f"{'':{width}}     done       of   seconds each"]
        for name, total, done, seconds_each, _ in self.dimensions:
            each = "-" if seconds_each is None else f"{seconds_each:.3g}"
            lines.append(f"{name:{width}} {done:8} {total:8}   {each:>12}")
        return "\n".join(lines)


def _size(settings: dict[str, dict[str, Any]]) -> tuple[int, int | None]:
    """Number of minima, and the top dimension where it is known yet."""
    complex_, run = settings.get("complex", {}), settings.get("run", {})
    max_dim = complex_.get("max_dim", run.get("max_dim"))
    try:
        if "complex" in settings:
            n = len(complex_["values at the minima"])
        else:
            n = settings["minima"]["n"] if "minima" in settings else run["minima"]
    except (KeyError, TypeError):
        n = 0
    fits = is_whole(n) and n >= 1 and (max_dim is None or is_whole(max_dim))
    if not fits or not (max_dim is None or (max_dim >= 1 and (n == 1 or max_dim < n))):
        raise DataError(
            "settings of a run tell the number of minima and the top dimension, "
            f"{sorted(settings)} do not: choose another folder"
        )
    return n, max_dim


def _checks(records: Records, n: int) -> VertexChecks:
    """The checks of the minima; unknown before they are stored, and in older runs."""
    found = read_json(records.folder / CHECKS) or {}
    parts = [np.array(found.get(name, []), np.float64) for name in VertexChecks._fields]
    return VertexChecks(*parts) if all(len(v) == n for v in parts) else VertexChecks.unknown(n)


def _dimensions(records: Records, values: tuple[Floats, ...]) -> Iterator[DimensionStatus]:
    begun = records.begun()  # None: times of files say nothing
    before = max(records.times(TOGETHER), default=0.0)  # trained before anything is measured
    for r in range(len(values)):
        times = records.times(record_name(r))
        since = [time for time in times if begun is not None and time >= begun]
        of_rungs = [at for name in rung_names(records, r) for at in records.times(name)]
        seconds_each = (since[-1] - max(begun or 0.0, before)) / len(since) if since else None
        yield DimensionStatus(
            name=dimension_name(r),
            total=len(values[r]),
            done=int((~np.isnan(values[r])).sum()),
            seconds_each=seconds_each,
            at=None if begun is None else max([*times, *of_rungs], default=None),
        )
        before = max([before, *times])


def _result(folder: Path) -> Path:
    """The file that a command writes last: beside the records, or where there are none."""
    return (folder.parent if folder.name == RECORDS else folder) / RUN


def _has_no_records(folder: Path) -> bool:
    """Whether a folder is that of a result alone."""
    return (folder / RUN).is_file() and not any(folder.glob(f"*{SETTINGS_FILES}"))


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
