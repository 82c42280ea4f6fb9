"""The file of a barcode: JSON of bars, birth and death simplices, critical points, and bounds.

Version 1 has no critical points of births and deaths, version 2 has them for every index; version 3
has bounds for every index, and critical points for every one or for none. A generator of a chain
complex stands as one number, its position, where a simplex has its labels. Where some critical
points end another bar already, it says which: that follows from the rest, and may be left out, as
may the checksum by whoever writes one by hand.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.bounds import Bounds
from reduction.barcodes.endpoints import BarEnds, Ends
from reduction.errors import DataError
from reduction.files import check_tag, sealed, unsealed, write
from reduction.json_values import (
    as_list,
    check_parts,
    finite_number,
    inf_if_null,
    null_if_infinite,
)

FORMAT = "loss-barcodes barcode"
VERSION = 1
WITH_ENDS = 2  # of a barcode with the critical points where its bars begin and end
WITH_BOUNDS = 3
PARTS = {  # whether there are ends, and bounds
    VERSION: {(False, False)},
    WITH_ENDS: {(True, False)},
    WITH_BOUNDS: {(False, True), (True, True)},
}
VERSIONS = f"{VERSION}, {WITH_ENDS} or {WITH_BOUNDS}"


class IndexRecord(NamedTuple):
    """The bars of index r as they stand in a file: None, in JSON null, where nothing ends a bar."""

    bars: list[tuple[float, float | None]]
    births: list[
        list[int]
    ]  # r + 1 vertex labels of the simplex that begins each bar; or one number
    deaths: list[list[int] | None]  # r + 2 labels of the simplex that ends it; or one number
    ends: BarEnds | None  # of every index, or of none
    bounds: Bounds | None  # likewise
    repeated: list[list[bool] | None]  # births, deaths that `repeated_ends` marks; None: unsaid


def write_barcode(path: str | Path, field: int, indices: Sequence[IndexRecord]) -> None:
    """Write the bars of each index; a float as the shortest decimal that reads back as the same."""
    version = WITH_ENDS if any(record.ends for record in indices) else VERSION
    document = {
        "format": FORMAT,
        "version": WITH_BOUNDS if any(record.bounds for record in indices) else version,
        "field": field,
        "indices": [_index_document(record) for record in indices],
    }
    write(path, (json.dumps(sealed(document), allow_nan=False) + "\n").encode())


def read_barcode(content: bytes) -> tuple[int, list[IndexRecord]]:
    """The field and the bars of each index, of the right types. Raises anything: see
    `reduction.files.refusing`.
    """
    document = json.loads(content.decode("utf-8"))
    version = document["version"]
    check_tag(document["format"], version, FORMAT, VERSION, WITH_ENDS, WITH_BOUNDS)
    document = unsealed(document, required=False)
    check_parts(document, {"format", "version", "field", "indices"})
    parts = {("ends" in record, "bounds" in record) for record in as_list(document["indices"])}
    if len(parts) > 1 or not parts <= PARTS[version]:
        raise DataError(f"all indices have the same parts, those of version {version}")
    records: list[IndexRecord] = []
    for r, record in enumerate(as_list(document["indices"])):
        bars = [
            (finite_number(birth), None if death is None else finite_number(death))
            for birth, death in as_list(record["bars"])
        ]
        births, deaths = as_list(record["births"]), as_list(record["deaths"])
        named = [row for row in (*(births if r else ()), *deaths) if row is not None]
        is_generator = {len(row) for row in named} == {1}
        widths = (1, 1) if is_generator else (r + 1, r + 2)
        births = [_labels(row, widths[0]) for row in births]
        deaths = [row if row is None else _labels(row, widths[1]) for row in deaths]
        ends, bounds, repeated = None, None, []
        if "ends" in record:
            ends = BarEnds(*(_ends(record["ends"][side]) for side in BarEnds._fields))
            repeated = [record["ends"][side].get("repeated") for side in BarEnds._fields]
        if "bounds" in record:
            bounds = _bounds(record["bounds"])
        records.append(IndexRecord(bars, births, deaths, ends, bounds, repeated))
    return document["field"], records


def _index_document(record: IndexRecord) -> dict[str, Any]:
    document = record._asdict()
    if record.bounds is None:
        del document["bounds"]
    else:
        lowest, error = record.bounds
        document["bounds"] = {
            "lowest_deaths": [null_if_infinite(death) for death in lowest.tolist()],
            "error": null_if_infinite(error),
        }
    repeated = document.pop("repeated")
    if record.ends is None:
        del document["ends"]
    else:
        document["ends"] = {
            side: _ends_document(ends) | ({"repeated": marks} if any(marks or ()) else {})
            for side, ends, marks in zip(BarEnds._fields, record.ends, repeated, strict=True)
        }
    return document


def _ends_document(ends: Ends) -> dict[str, Any]:
    """Lists of each array's rows, null for nan; d and e, which no row tells where there is none."""
    return {
        "d": ends.points.shape[1],
        "e": ends.eigenvalues.shape[1],
        "certified": ends.certified.tolist(),
        "points": [_nullable(row) for row in ends.points.tolist()],
        "gradient_norms": _nullable(ends.gradient_norms.tolist()),
        "eigenvalues": [_nullable(row) for row in ends.eigenvalues.tolist()],
        "morse": ends.morse.tolist(),
    }


def _ends(document: dict[str, Any]) -> Ends:
    """The ends of a document that `_ends_document` made. Raises anything."""
    certified, morse = _typed(document["certified"], bool), _typed(document["morse"], int)
    return Ends(
        np.array(certified, np.bool_),
        _matrix(document["points"], document["d"]),
        np.array(_numbers(document["gradient_norms"]), np.float64),
        _matrix(document["eigenvalues"], document["e"]),
        np.array(morse, np.int64),
    )


def _bounds(document: dict[str, Any]) -> Bounds:
    """The bounds of a document that `_index_document` made. Raises anything."""
    deaths = [inf_if_null(death) for death in as_list(document["lowest_deaths"])]
    return Bounds(np.array(deaths, np.float64), inf_if_null(document["error"]))


def _nullable(row: list[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in row]


def _numbers(row: list[Any]) -> list[float]:
    return [math.nan if value is None else finite_number(value) for value in as_list(row)]


def _matrix(rows: list[list[Any]], width: int) -> NDArray[np.float64]:
    if any(len(row) != width for row in as_list(rows)):
        raise TypeError(f"its rows have not all {width} numbers")
    return np.array([_numbers(row) for row in rows], np.float64).reshape(len(rows), width)


def _labels(row: list[Any], count: int) -> list[int]:
    if len(row) != count:
        raise TypeError(f"{row!r} are no {count} vertex labels")
    return _typed(row, int)


def _typed(row: list[Any], kind: type) -> list[Any]:
    if not all(type(value) is kind for value in as_list(row)):
        raise TypeError(f"{row!r} are not all of type {kind.__name__}")
    return row
