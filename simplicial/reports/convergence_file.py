"""The file of a convergence: JSON of W_inf and its bounds, index by index and effort by effort.

An infinite number is null.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reduction import DataError
from reduction.files import check_tag, sealed, unsealed, write

FORMAT = "loss-barcodes convergence"
VERSION = 1


class IndexRecord(NamedTuple):
    """Numbers of one index at one effort; None stands for inf."""

    w_inf: float | None
    lowest: float | None
    errors: float | None


class EffortRecord(NamedTuple):
    """An effort, its gradients, and the numbers of every index."""

    effort: float
    gradients: int
    indices: list[IndexRecord]


KEYS = {"w_inf": "w_inf", "lowest": "lowest_w_inf", "errors": "error"}
"""Names in the file."""


def write_convergence(path: str | Path, field: int, records: Sequence[EffortRecord]) -> None:
    """Write the records; a float as the shortest decimal that reads back as the same."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "field": field,
        "efforts": [
            {
                "effort": record.effort,
                "gradients": record.gradients,
                "indices": [
                    {KEYS[name]: value for name, value in index._asdict().items()}
                    for index in record.indices
                ],
            }
            for record in records
        ],
    }
    write(path, (json.dumps(sealed(document), indent=1, allow_nan=False) + "\n").encode())


def read_convergence(content: bytes) -> tuple[int, list[EffortRecord]]:
    """The field and the records, of the right types. Raises anything: see
    `reduction.files.refusing`.
    """
    document = json.loads(content.decode("utf-8"))
    check_tag(document["format"], document["version"], FORMAT, VERSION)
    document = unsealed(document)
    _check_parts(document, {"format", "version", "field", "efforts"})
    return document["field"], [_effort(record) for record in _listed(document["efforts"])]


def _effort(record: dict[str, Any]) -> EffortRecord:
    _check_parts(record, {"effort", "gradients", "indices"})
    if type(record["gradients"]) is not int:
        raise TypeError(f"{record['gradients']!r} is no number of gradients")
    indices = list[IndexRecord]()
    for index in _listed(record["indices"]):
        _check_parts(index, set(KEYS.values()))
        values = {name: index[key] for name, key in KEYS.items()}
        indices.append(
            IndexRecord(**{k: v if v is None else _number(v) for k, v in values.items()})
        )
    return EffortRecord(_number(record["effort"]), record["gradients"], indices)


def _check_parts(document: dict[str, Any], names: set[str]) -> None:
    if set(document) != names:
        raise DataError(f"it has other parts than it should: {sorted(document)}")


def _listed(value: Any) -> list[Any]:
    if type(value) is not list:  # an empty object or string would pass for an empty list
        raise TypeError(f"{value!r} is no list")
    return value


def _number(value: Any) -> float:
    # bool is an int to Python, and float() would read digits in a string
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)
