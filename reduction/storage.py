"""Files: a filtered complex as a NumPy archive (npz), a barcode as JSON.

Both carry the name of their format and its version. What they hold is trusted no more than what a
caller passes: these functions decode it, and the constructors of complex and barcode check it.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.errors import DataError

COMPLEX = "loss-barcodes filtered complex"
BARCODE = "loss-barcodes barcode"
VERSION = 1


class IndexRecord(NamedTuple):
    """The bars of index r as they stand in a file: None, in JSON null, where nothing ends a bar."""

    bars: list[tuple[float, float | None]]
    births: list[list[int]]  # r + 1 vertex labels of the simplex that begins each bar
    deaths: list[list[int] | None]  # r + 2 labels of the simplex that ends it


@contextmanager
def refusing(path: str | Path, name: str, version: int = VERSION) -> Generator[None]:
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
    with Path(path).open("wb") as file:  # given a name, savez would add an ending to it
        np.savez(file, **arrays)


def read_complex(content: bytes) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """The vertices and values of each dimension, unchecked. Raises anything: see `refusing`."""
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        check_tag(archive["format"].item(), archive["version"].item(), COMPLEX)
        dimensions = range(archive["dim"].item() + 1)
        return (
            [archive[f"vertices_{r}"] for r in dimensions],
            [archive[f"values_{r}"] for r in dimensions],
        )


def write_barcode(path: str | Path, field: int, indices: Sequence[IndexRecord]) -> None:
    """Write the bars of each index; a float as the shortest decimal that reads back as the same."""
    document = {
        "format": BARCODE,
        "version": VERSION,
        "field": field,
        "indices": [record._asdict() for record in indices],
    }
    Path(path).write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")


def read_barcode(content: bytes) -> tuple[int, list[IndexRecord]]:
    """The field and the bars of each index, of the right types. Raises anything: see `refusing`."""
    document = json.loads(content.decode("utf-8"))
    check_tag(document["format"], document["version"], BARCODE)
    records: list[IndexRecord] = []
    for r, record in enumerate(document["indices"]):
        bars = [
            (_number(birth), None if death is None else _number(death))
            for birth, death in record["bars"]
        ]
        births = [_labels(row, r + 1) for row in record["births"]]
        deaths = [row if row is None else _labels(row, r + 2) for row in record["deaths"]]
        records.append(IndexRecord(bars, births, deaths))
    return document["field"], records


def check_tag(
    name: object, version: object, expected: str, expected_version: int = VERSION
) -> None:
    """Raise DataError, to be caught by `refusing`, unless format and version are as expected."""
    if (name, version) != (expected, expected_version):
        raise DataError(f"its format is {name!r} of version {version!r}")


def _number(value: Any) -> float:
    # bool is an int to Python, and float() would read digits in a string
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _labels(row: list[Any], count: int) -> list[int]:
    if len(row) != count or not all(type(label) is int for label in row):
        raise TypeError(f"{row!r} are no {count} vertex labels")
    return row
