"""Values of the finished simplices of a run folder, read from its records."""

import math
from collections.abc import Mapping
from itertools import pairwise
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction import DataError
from reduction.filtrations.colex import complete_simplices
from reduction.memory import require
from simplicial.construction.anytime_progress import ANYTIME, AnytimeProgress
from simplicial.construction.serialization import mended_name, record_name
from simplicial.display import dimension_name
from simplicial.maps.control_points import clique_simplices
from simplicial.maxima.maxima import filtration_values, maximum_over_facets
from simplicial.neighbor_graphs.edges import edges_of
from simplicial.run_folder.records import Records

Floats = NDArray[np.float64]


def simplices_of(
    settings: dict[str, dict[str, Any]], n: int, max_dim: int
) -> list[NDArray[np.int64]]:
    """Vertices of the simplices of each dimension, of a complete complex or of a graph's."""
    edges = settings.get("complex", {}).get("edges")
    if edges is None:
        return complete_simplices(n, max_dim)
    return clique_simplices(n, max_dim, edges_of(edges, n))


class FinishedValues(NamedTuple):
    """Values of all simplices by dimension, reasons of failures, those made worse, error bounds of
    those whose refinement the budget ended, and of all by dimension.
    """

    values: tuple[Floats, ...]
    failed: dict[tuple[int, ...], str]
    worsened: tuple[tuple[int, ...], ...]
    exhausted: dict[tuple[int, ...], float]
    error_bounds: tuple[Floats, ...]


def finished_values(
    records: Records,
    settings: dict[str, dict[str, Any]],
    n: int,
    max_dim: int | None,
    anytime: AnytimeProgress | None,
) -> FinishedValues:
    """Values of the records of a run of n minima; `RunStatus.values` has what is not finished.

    max_dim  None where it is not known yet
    Raises DataError where a file was changed, CapacityError where so many simplices do not fit.
    """
    top = 0 if max_dim is None else max_dim
    if settings.get("complex", {}).get("edges") is None:  # cliques of a graph ask for their own
        size = sum(8 * (r + 4) * comb(n, r + 1) for r in range(top + 1))
        require(size, f"the simplices of {n} minima up to dimension {top}", "choose another folder")
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
    simplices = simplices_of(settings, n, top)
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
    return FinishedValues(tuple(values), failed, tuple(worsened), exhausted, tuple(error_bounds))


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
