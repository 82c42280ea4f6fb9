"""The file of a convergence: JSON of W_inf and its bounds, index by index and effort by effort.

An infinite number is null.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reduction.files import check_tag, sealed, unsealed, write
from reduction.json_values import (
    as_list,
    check_parts,
    finite_number,
    inf_if_null,
    null_if_infinite,
)

FORMAT = "loss-barcodes convergence"
VERSION = 1


class IndexRecord(NamedTuple):
    """Numbers of one index at one effort."""

    w_inf: float
    lowest: float
    errors: float


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
                    {KEYS[name]: null_if_infinite(value) for name, value in index._asdict().items()}
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
    check_parts(document, {"format", "version", "field", "efforts"})
    return document["field"], [_effort(record) for record in as_list(document["efforts"])]


def _effort(record: dict[str, Any]) -> EffortRecord:
    check_parts(record, {"effort", "gradients", "indices"})
    if type(record["gradients"]) is not int:
        raise TypeError(f"{record['gradients']!r} is no number of gradients")
    indices = list[IndexRecord]()
    for index in as_list(record["indices"]):
        check_parts(index, set(KEYS.values()))
        indices.append(IndexRecord(**{name: inf_if_null(index[key]) for name, key in KEYS.items()}))
    return EffortRecord(finite_number(record["effort"]), record["gradients"], indices)
