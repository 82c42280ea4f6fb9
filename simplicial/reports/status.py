"""Status of a run: simplices finished and left, and the filtration of those that are finished.

Only settings and the values of records are read, so that a run may work on its folder meanwhile.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from reduction import Barcode, DataError, FilteredComplex
from reduction.filtrations.colex import complete_simplices
from simplicial.construction.anytime_progress import ANYTIME, AnytimeProgress
from simplicial.construction.measured_dimension import FIELD
from simplicial.construction.serialization import (
    CHECKS,
    TOGETHER,
    mended_name,
    record_name,
    rung_names,
)
from simplicial.display import dimension_name, duration
from simplicial.errors import RunError
from simplicial.maps.control_points import clique_simplices
from simplicial.maxima.maxima import filtration_values, maximum_over_facets
from simplicial.neighbor_graphs.edges import edges_of
from simplicial.reports.convergence import CONVERGENCE, Convergence
from simplicial.reports.partial_bounds import with_partial_bounds
from simplicial.run_folder.folder import BEGUN, LOCK
from simplicial.run_folder.records import Records, read_json
from simplicial.vertex_checks import VertexChecks

SETTINGS = ("run", "minima", "polish", "complex")  # names of settings, in the order of a run
RECORDS = "records"  # of a command's run, in its folder
BARCODES = "barcodes.json"  # of its result
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
        """Status of the folder of a run, or of a `store=`.

        Raises RunError where there is no run, DataError where a file was changed.
        """
        records = Records(Path(folder) / RECORDS)
        if not records.folder.is_dir():
            records = Records(folder)
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
        found = _values(records, settings, n, max_dim, anytime)
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

    @property
    def result(self) -> Path | None:
        """The folder of a command's result; None where it is not written."""
        is_there = self.folder.name == RECORDS and _result(self.folder).is_file()
        return self.folder.parent if is_there else None

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
        return _simplices(self.settings, len(self.values[0]), len(self.values) - 1)

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


def _checks(records: Records, n: int) -> VertexChecks:
    """The checks of the minima; unknown before they are stored, and in older runs."""
    found = read_json(records.folder / CHECKS) or {}
    parts = [np.array(found.get(name, []), np.float64) for name in VertexChecks._fields]
    return VertexChecks(*parts) if all(len(v) == n for v in parts) else VertexChecks.unknown(n)


def _simplices(
    settings: dict[str, dict[str, Any]], n: int, max_dim: int
) -> list[NDArray[np.int64]]:
    """Vertices of the simplices of each dimension, of a complete complex or of a graph's."""
    edges = settings.get("complex", {}).get("edges")
    if edges is None:
        return complete_simplices(n, max_dim)
    return clique_simplices(n, max_dim, edges_of(edges, n))


class _Values(NamedTuple):
    """Values of all simplices by dimension, reasons of failures, those made worse, error bounds of
    those whose refinement the budget ended, and of all by dimension.
    """

    values: tuple[Floats, ...]
    failed: dict[tuple[int, ...], str]
    worsened: tuple[tuple[int, ...], ...]
    exhausted: dict[tuple[int, ...], float]
    error_bounds: tuple[Floats, ...]


def _values(
    records: Records,
    settings: dict[str, dict[str, Any]],
    n: int,
    max_dim: int | None,
    anytime: AnytimeProgress | None,
) -> _Values:
    values, failed, worsened, exhausted = [np.full(n, np.nan)], {}, [], {}
    error_bounds = [np.zeros(n)]
    # a complex may be of some of the networks only, and then numbers them otherwise
    if "complex" not in settings or settings.get("minima", {}).get("n") == n:
        for number, record in _record_values(records, 0, n).items():
            values[0][number] = record["loss"]
            if record.get("worsened"):
                worsened.append((number,))
    if "complex" in settings:  # of minima that may be aligned, or not all trained here
        values[0] = np.array(settings["complex"]["values at the minima"], np.float64)
    simplices = _simplices(settings, n, max_dim or 0)
    for r, (facets, vertices) in enumerate(pairwise(simplices), start=1):
        inside, bounds = np.full(len(vertices), np.nan), np.full(len(vertices), np.inf)
        for number, record in _record_values(records, r, len(inside), anytime).items():
            largest = record["largest"]
            if record["failed"]:
                failed[tuple(record["vertices"])] = record["failed"]
                largest = math.inf
            if record.get("worsened"):  # not in records of version 3
                worsened.append(tuple(record["vertices"]))
            if record.get("error_bound") is not None:  # not in records before version 5
                bounds[number] = record["error_bound"]
            if record.get("exhausted"):
                exhausted[tuple(record["vertices"])] = record["error_bound"]
            inside[number] = -math.inf if largest is None else largest
        missing = np.isinf(maximum_over_facets(values[-1], vertices, facets))
        known = filtration_values(inside, vertices, values[-1], facets)
        values.append(np.where(missing, np.inf, known))
        error_bounds.append(bounds)
    return _Values(tuple(values), failed, tuple(worsened), exhausted, tuple(error_bounds))


def _record_values(
    records: Records, r: int, m: int, anytime: AnytimeProgress | None = None
) -> dict[int, Mapping[str, Any]]:
    """Values of the records of r-simplices, at most m of them, by number."""
    if anytime is not None and r:
        return _lowest(records, r, m, anytime) if r <= len(anytime.rungs) else {}
    values = records.values(record_name(r), "complex" if r else "minima")
    if r:
        lower = records.values(mended_name(r), "complex")
        values |= {number: lower[number] for number in lower.keys() & values.keys()}
    if values and max(values) >= m:
        raise DataError(
            f"a run of this size has {m} {dimension_name(r)}, {records.folder} has a record of "
            f"number {max(values)}: choose another folder"
        )
    return values


def _lowest(
    records: Records, r: int, m: int, anytime: AnytimeProgress
) -> dict[int, Mapping[str, Any]]:
    """Those of an anytime build: of each simplex that of its lowest result."""
    rungs, found = anytime.rungs[r - 1], dict[int, Mapping[str, Any]]()
    for rung in np.unique(rungs[rungs >= 0]).tolist():
        values = records.values(record_name(r, rung), "complex")
        numbers = np.flatnonzero(rungs == rung).tolist()
        found |= {number: values[number] for number in numbers if number in values}
    if len(rungs) != m or len(found) != np.count_nonzero(rungs >= 0):
        raise DataError(
            f"{records.folder / ANYTIME} must name records that are there, it does not for all of "
            f"{m} {dimension_name(r)}: run the build again"
        )
    return found


def _dimensions(records: Records, values: tuple[Floats, ...]) -> Iterator[DimensionStatus]:
    try:
        begun = (records.folder / BEGUN).stat().st_mtime
    except FileNotFoundError:
        begun = math.inf
    before = max(records.times(TOGETHER), default=0.0)  # trained before anything is measured
    for r in range(len(values)):
        times = records.times(record_name(r))
        since = [time for time in times if time >= begun]
        of_rungs = [at for name in rung_names(records, r) for at in records.times(name)]
        seconds_each = (since[-1] - max(begun, before)) / len(since) if since else None
        yield DimensionStatus(
            name=dimension_name(r),
            total=len(values[r]),
            done=int((~np.isnan(values[r])).sum()),
            seconds_each=seconds_each,
            at=max([*times, *of_rungs], default=None),
        )
        before = max([before, *times])


def _result(folder: Path) -> Path:
    """The file that a command writes last, beside the records in `folder`."""
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
