"""Files: a filtered complex as a NumPy archive (npz), a barcode as JSON.

Both carry the name of their format, its version and a checksum of all else: a file that was altered
is refused, one that was written by hand may leave the checksum out. What they hold is trusted no
more than what a caller passes: these functions decode it, and the constructors of complex and
barcode check it.
"""

import json
import math
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from reduction.barcodes.endpoints import BarEnds, Ends
from reduction.errors import DataError
from reduction.validation import as_path

COMPLEX = "loss-barcodes filtered complex"
BARCODE = "loss-barcodes barcode"
CHECKSUM = "sha256"
VERSION = 1
WITH_ENDS = 2  # of a barcode with the critical points where its bars begin and end
BARCODE_VERSIONS = f"{VERSION} or {WITH_ENDS}"


class IndexRecord(NamedTuple):
    """The bars of index r as they stand in a file: None, in JSON null, where nothing ends a bar."""

    bars: list[tuple[float, float | None]]
    births: list[list[int]]  # r + 1 vertex labels of the simplex that begins each bar
    deaths: list[list[int] | None]  # r + 2 labels of the simplex that ends it
    ends: BarEnds | None  # of every index, or of none


@contextmanager
def refusing(path: str | Path, name: str, version: int | str = VERSION) -> Generator[None]:
    """Turn whatever goes wrong while the content of a file is decoded into one DataError."""
    try:
        yield
    except Exception as error:  # decoders fail in every way on bytes that are not their own
        raise DataError(
            f"{path} is no {name} of version {version}, or was altered or cut off "
            f"({type(error).__name__}: {error}); save it anew"
        ) from error


def write_complex(
    path: str | Path, vertices: Sequence[NDArray[np.int64]], values: Sequence[NDArray[np.float64]]
) -> None:
    """Write the vertices and values of each dimension; overwrites."""
    arrays: dict[str, Any] = {"format": COMPLEX, "version": VERSION, "dim": len(values) - 1}
    for r, (rows, heights) in enumerate(zip(vertices, values, strict=True)):
        arrays |= {f"vertices_{r}": rows, f"values_{r}": heights}
    write_arrays(path, arrays)


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name and their checksum to an npz file; overwrites."""
    with as_path(path).open("wb") as file:  # given a name, savez would add an ending to it
        np.savez(file, **arrays, sha256=np.array(_arrays_digest(arrays)))


def check_arrays(archive: "NpzFile[Any]", names: Collection[str]) -> None:
    """Raise DataError, to be caught by `refusing`, unless an archive has these arrays, as they were
    written.
    """
    found = set(archive) - {CHECKSUM}
    if found != set(names):
        raise DataError(f"it has other arrays than it should: {sorted(found ^ set(names))}")
    arrays = {name: archive[name] for name in names}
    if CHECKSUM in archive and archive[CHECKSUM].item() != _arrays_digest(arrays):
        raise DataError("its checksum is another one")


def _arrays_digest(arrays: Mapping[str, Any]) -> str:
    total = sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def read_complex(content: bytes) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """The vertices and values of each dimension, unchecked. Raises anything: see `refusing`."""
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        check_tag(archive["format"].item(), archive["version"].item(), COMPLEX, VERSION)
        dimensions = range(archive["dim"].item() + 1)
        if len(dimensions) > len(archive.files):  # or names alone would fill the memory
            raise DataError(f"it has not the arrays of dimension {len(dimensions) - 1}")
        parts = {f"{part}_{r}" for part in ("vertices", "values") for r in dimensions}
        check_arrays(archive, {"format", "version", "dim"} | parts)
        return (
            [archive[f"vertices_{r}"] for r in dimensions],
            [archive[f"values_{r}"] for r in dimensions],
        )


def write_barcode(path: str | Path, field: int, indices: Sequence[IndexRecord]) -> None:
    """Write the bars of each index; a float as the shortest decimal that reads back as the same."""
    document = {
        "format": BARCODE,
        "version": WITH_ENDS if any(record.ends for record in indices) else VERSION,
        "field": field,
        "indices": [_index_document(record) for record in indices],
    }
    document[CHECKSUM] = _document_digest(document)
    as_path(path).write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")


def _document_digest(document: Mapping[str, Any]) -> str:
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def read_barcode(content: bytes) -> tuple[int, list[IndexRecord]]:
    """The field and the bars of each index, of the right types. Raises anything: see `refusing`."""
    document = json.loads(content.decode("utf-8"))
    version = document["version"]
    check_tag(document["format"], version, BARCODE, VERSION, WITH_ENDS)
    given = document.pop(CHECKSUM, None)
    if set(document) != {"format", "version", "field", "indices"}:
        raise DataError(f"it has other parts than it should: {sorted(document)}")
    if given is not None and given != _document_digest(document):
        raise DataError("its checksum is another one")
    records: list[IndexRecord] = []
    for r, record in enumerate(_listed(document["indices"])):
        if ("ends" in record) != (version == WITH_ENDS):
            raise DataError(f"indices have ends in version {WITH_ENDS} only, and all of them")
        bars = [
            (_number(birth), None if death is None else _number(death))
            for birth, death in _listed(record["bars"])
        ]
        births = [_labels(row, r + 1) for row in _listed(record["births"])]
        deaths = [row if row is None else _labels(row, r + 2) for row in _listed(record["deaths"])]
        ends = None
        if version == WITH_ENDS:
            ends = BarEnds(*(_ends(record["ends"][side]) for side in BarEnds._fields))
        records.append(IndexRecord(bars, births, deaths, ends))
    return document["field"], records


def check_tag(name: object, version: object, expected: str, *versions: int) -> None:
    """Raise DataError, to be caught by `refusing`, unless format and version are as expected."""
    if name != expected or version not in versions:
        raise DataError(f"its format is {name!r} of version {version!r}")


def _index_document(record: IndexRecord) -> dict[str, Any]:
    document = record._asdict()
    if record.ends is None:
        del document["ends"]
    else:
        sides = zip(BarEnds._fields, record.ends, strict=True)
        document["ends"] = {side: _ends_document(ends) for side, ends in sides}
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
    """What `_ends_document` made a document of. Raises anything."""
    certified, morse = _typed(document["certified"], bool), _typed(document["morse"], int)
    return Ends(
        np.array(certified, np.bool_),
        _matrix(document["points"], document["d"]),
        np.array(_numbers(document["gradient_norms"]), np.float64),
        _matrix(document["eigenvalues"], document["e"]),
        np.array(morse, np.int64),
    )


def _nullable(row: list[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in row]


def _numbers(row: list[Any]) -> list[float]:
    return [math.nan if value is None else _number(value) for value in _listed(row)]


def _matrix(rows: list[list[Any]], width: int) -> NDArray[np.float64]:
    if any(len(row) != width for row in _listed(rows)):
        raise TypeError(f"its rows have not all {width} numbers")
    return np.array([_numbers(row) for row in rows], np.float64).reshape(len(rows), width)


def _listed(value: Any) -> list[Any]:
    # an empty object or string would pass for an empty list
    if type(value) is not list:
        raise TypeError(f"{value!r} is no list")
    return value


def _number(value: Any) -> float:
    # bool is an int to Python, and float() would read digits in a string
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)


def _labels(row: list[Any], count: int) -> list[int]:
    if len(row) != count:
        raise TypeError(f"{row!r} are no {count} vertex labels")
    return _typed(row, int)


def _typed(row: list[Any], kind: type) -> list[Any]:
    if not all(type(value) is kind for value in _listed(row)):
        raise TypeError(f"{row!r} are not all of type {kind.__name__}")
    return row
