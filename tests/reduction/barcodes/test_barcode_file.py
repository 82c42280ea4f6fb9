"""Ends of bars in files: restored bit for bit, or refused."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reduction import Barcode, DataError, Ends, FilteredComplex
from tests.reduction.ends import NAMES, NAN, bare, carried, mixed


def assert_same_bits(a: Barcode, b: Barcode) -> None:
    assert len(carried(a)) == len(carried(b)) == len(a) == len(b)
    for r, pairs in enumerate(zip(carried(a), carried(b), strict=True)):
        assert a[r].tobytes() == b[r].tobytes()
        for one, other in zip(*pairs, strict=True):
            for name in NAMES:
                x, y = getattr(one, name), getattr(other, name)
                assert x.dtype == y.dtype
                assert x.shape == y.shape
                assert x.tobytes() == y.tobytes()


finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def any_ends(draw: st.DrawFn, essential: list[bool], morse: int, d: int) -> Ends:
    """Ends for as many bars; what may be, certified where the Morse index allows it."""
    m, e = len(essential), draw(st.integers(0, 3))
    found = [draw(st.booleans()) and not never for never in essential]
    points = [draw(st.lists(finite, min_size=d, max_size=d)) if f else [NAN] * d for f in found]
    rows = [sorted(draw(st.lists(finite, max_size=e))) if f else [] for f in found]
    negative = [sum(x < 0 for x in row) for row in rows]
    indices = [
        draw(st.sampled_from([-1, count])) if f and count <= d else -1
        for f, count in zip(found, negative, strict=True)
    ]
    return Ends(
        np.array([i == morse and draw(st.booleans()) for i in indices], bool),
        np.array(points, float).reshape(m, d),
        np.array([abs(draw(finite)) if f else NAN for f in found], float),
        np.array([row + [NAN] * (e - len(row)) for row in rows], float).reshape(m, e),
        np.array(indices, int),
    )


@given(data=st.data(), d=st.integers(1, 4))
def test_files_restore_every_bit(
    data: st.DataObject, d: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "barcode.json"
    barcode = bare()
    given = []
    for r, bars in enumerate(barcode):
        births = data.draw(any_ends([False] * len(bars), r, d))
        deaths = data.draw(any_ends(np.isinf(bars[:, 1]).tolist(), r + 1, d))
        given.append((births, deaths))
    barcode = barcode.with_ends(given)
    barcode.save(path)
    assert_same_bits(barcode, Barcode.load(path))


def test_empty_indices_and_odd_numbers_survive_a_file(tmp_path: Path) -> None:
    barcode = FilteredComplex.complete(2, [[0, 0], [0]]).barcode(max_index=1)
    strange = np.array([np.uint64(0xFFF8000000000001)]).view(np.float64)  # another nan
    births = Ends(
        np.array([True]), np.array([[-0.0, 5e-324, 1.7e308]]), np.array([0.1]),
        np.array([[0.0, math.nextafter(1, 2)]]), np.array([0]),
    )  # fmt: skip
    deaths = Ends(
        np.array([False]), np.tile(strange, (1, 3)), strange, np.empty((1, 0)), np.array([-1])
    )
    nobody = Ends(
        np.empty(0, bool), np.empty((0, 3)), np.empty(0), np.empty((0, 7)), np.empty(0, int)
    )
    barcode = barcode.with_ends([(births, deaths), (nobody, nobody)])
    barcode.save(tmp_path / "barcode.json")
    assert_same_bits(barcode, Barcode.load(tmp_path / "barcode.json"))


def test_the_file_is_plain_json_of_version_2(tmp_path: Path) -> None:
    mixed().save(tmp_path / "barcode.json")
    text = (tmp_path / "barcode.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    document = json.loads(text)
    assert document["version"] == 2
    assert document["indices"][1] == {
        "bars": [[5, 7.5]],
        "births": [[0, 2]],
        "deaths": [[0, 1, 2]],
        "ends": {
            "births": {
                "d": 2,
                "e": 2,
                "certified": [True],
                "points": [[0.1, -0.3]],
                "gradient_norms": [4e-10],
                "eigenvalues": [[-1, 1]],
                "morse": [1],
            },
            "deaths": {
                "d": 2,
                "e": 2,
                "certified": [False],
                "points": [[None, None]],
                "gradient_norms": [None],
                "eigenvalues": [[None, None]],
                "morse": [-1],
            },
        },
    }


def test_files_of_version_1_still_load(tmp_path: Path) -> None:
    path = tmp_path / "barcode.json"
    path.write_text(
        '{"format": "loss-barcodes barcode", "version": 1, "field": 2, "indices": '
        '[{"bars": [[0.5, null], [1, 2.5]], "births": [[1], [0]], "deaths": [null, [0, 1]]}]}',
        encoding="utf-8",
    )
    barcode = Barcode.load(path)
    assert barcode[0].tolist() == [[0.5, math.inf], [1, 2.5]]
    assert barcode.ends(0) is None


def test_rows_of_a_file_may_stand_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "barcode.json"
    mixed().save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["sha256"]  # as in a file that was written by hand
    record = document["indices"][0]
    for rows in (record, *record["ends"].values()):
        for name, values in rows.items():
            if isinstance(values, list):
                rows[name] = values[::-1]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert_same_bits(mixed(), Barcode.load(path))


BIRTHS = ("indices", 0, "ends", "births")
DEATHS = ("indices", 0, "ends", "deaths")
Change = Callable[[dict[str, Any]], object]


def _at(document: Any, *keys: str | int) -> Any:
    for key in keys:
        document = document[key]
    return document


def _set(*keys: str | int, to: object) -> Change:
    return lambda document: _at(document, *keys[:-1]).__setitem__(keys[-1], to)


def _pop(*keys: str | int) -> Change:
    return lambda document: _at(document, *keys[:-1]).pop(keys[-1])


@pytest.mark.parametrize(
    "change",
    [
        _set("version", to=1),
        _set("version", to=3),
        _pop("indices", 0, "ends"),
        _pop("indices", 1, "ends"),
        _pop(*DEATHS),
        *(_pop(*BIRTHS, name) for name in ("d", "e", *NAMES)),
        *(_pop(*BIRTHS, name, 0) for name in NAMES),
        *(_set(*BIRTHS, name, to=None) for name in ("d", "e", *NAMES)),
        _set("indices", 0, "ends", to=[]),
        _set(*BIRTHS, "d", to=3),
        _set(*BIRTHS, "d", to=-1),
        _set(*BIRTHS, "d", to=2.0),
        _set(*BIRTHS, "e", to=True),
        _set(*BIRTHS, "certified", 0, to=1),
        _set(*BIRTHS, "certified", 0, to="true"),
        _set(*BIRTHS, "certified", 0, to=None),
        _set(*BIRTHS, "points", 0, to=None),
        _set(*BIRTHS, "points", 0, to=[0.1]),
        _set(*BIRTHS, "points", 0, 1, to=None),
        _set(*BIRTHS, "points", 0, 1, to="0.1"),
        _set(*BIRTHS, "points", 0, 1, to=True),
        _set(*BIRTHS, "points", 0, 1, to=math.inf),
        _set(*BIRTHS, "points", 0, 1, to=10**400),
        _set(*BIRTHS, "gradient_norms", 0, to=-1.0),
        _set(*BIRTHS, "gradient_norms", 0, to=None),
        _set(*BIRTHS, "eigenvalues", 0, to=[1.0, -1.0]),
        _set(*BIRTHS, "eigenvalues", 0, to=[-1.0, 1.0]),
        _set(*BIRTHS, "morse", 0, to=1),
        _set(*BIRTHS, "morse", 0, to=0.0),
        _set(*BIRTHS, "morse", 0, to=2**63),
        _set(*DEATHS, "certified", 2, to=True),
        _set(*DEATHS, "points", 0, to=[0.1, 0.2]),
        _set(*DEATHS, "points", 0, to=[math.nan, math.nan]),  # json reads a literal NaN
        _set(*DEATHS, "gradient_norms", 0, to=math.nan),
        _set("indices", 1, "ends", to={"births": {}, "deaths": {}}),
    ],
)
def test_altered_files_are_refused(tmp_path: Path, change: Change) -> None:
    path = tmp_path / "barcode.json"
    mixed().save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["sha256"]  # as in a file that was written by hand
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DataError, match=r"is no barcode of version 1 or 2, .*; save it anew"):
        Barcode.load(path)


def test_ends_do_not_pass_for_version_1(tmp_path: Path) -> None:
    path = tmp_path / "barcode.json"
    mixed().save(path)
    text = path.read_text(encoding="utf-8").replace('"version": 2', '"version": 1')
    path.write_text(re.sub(r', "sha256": "\w+"', "", text))
    with pytest.raises(DataError, match="indices have ends in version 2 only"):
        Barcode.load(path)
