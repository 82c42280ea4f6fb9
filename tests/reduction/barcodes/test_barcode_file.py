"""Files of barcodes, with ends of bars and without: restored bit for bit, or refused."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import Barcode, DataError, Ends, FilteredComplex
from tests.oracles.complexes import Arrays, full_complexes, sparse_complexes
from tests.reduction.endpoints import NAMES, NAN, bare, mixed


def arrays_of(barcode: Barcode) -> list[NDArray[Any]]:
    """Bars, pairs and ends of every index."""
    found: list[NDArray[Any]] = []
    for r, bars in enumerate(barcode):
        found += [bars, *barcode.pairs(r)]
        found += [getattr(side, name) for side in barcode.ends(r) or () for name in NAMES]
    return found


def assert_same_bits(one: Barcode, other: Barcode) -> None:
    assert (one.field, len(one)) == (other.field, len(other))
    for a, b in zip(arrays_of(one), arrays_of(other), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()


def assert_restored(barcode: Barcode, path: Path) -> None:
    barcode.save(path)
    assert_same_bits(barcode, Barcode.load(path))


@given(arrays=full_complexes() | sparse_complexes())
def test_files_restore_every_bit(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> None:
    complex = FilteredComplex(*arrays)
    barcode = complex.barcode(3, keep_zero=True, max_index=complex.dim)
    assert_restored(barcode, tmp_path_factory.getbasetemp() / "barcode.json")


EXTREME = [-1.7e308, -0.0, 5e-324, 0.1, math.nextafter(1, 2)]


@pytest.mark.parametrize(
    "barcode",
    [
        FilteredComplex([[[0], [1]]], [[0, 1]]).barcode(),  # of no index: nothing could end a bar
        FilteredComplex([np.arange(5)[:, None]], [EXTREME]).barcode(max_index=0),
    ],
)
def test_odd_barcodes_survive_a_file(barcode: Barcode, tmp_path: Path) -> None:
    assert_restored(barcode, tmp_path / "barcode.json")


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
def test_files_restore_ends_of_bars(
    data: st.DataObject, d: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    barcode = bare()
    given = []
    for r, bars in enumerate(barcode):
        births = data.draw(any_ends([False] * len(bars), r, d))
        deaths = data.draw(any_ends(np.isinf(bars[:, 1]).tolist(), r + 1, d))
        given.append((births, deaths))
    path = tmp_path_factory.getbasetemp() / "barcode.json"
    assert_restored(barcode.with_ends(given), path)


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
    assert_restored(barcode, tmp_path / "barcode.json")


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    bare().save(tmp_path / "barcode.json")
    document = json.loads((tmp_path / "barcode.json").read_text(encoding="utf-8"))
    assert len(document.pop("sha256")) == 64
    assert document == {
        "format": "loss-barcodes barcode",
        "version": 1,
        "field": 2,
        "indices": [
            {
                "bars": [[0, None], [1, 5], [2, 3]],
                "births": [[0], [1], [2]],
                "deaths": [None, [0, 1], [1, 2]],
            },
            {"bars": [[5, 7.5]], "births": [[0, 2]], "deaths": [[0, 1, 2]]},
        ],
    }


def test_the_file_of_ends_is_plain_json_of_version_2(tmp_path: Path) -> None:
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


Change = Callable[[dict[str, Any]], object]


def load_changed(path: Path, barcode: Barcode, change: Change) -> Barcode:
    """A file as if written by hand: without a checksum."""
    barcode.save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["sha256"]
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return Barcode.load(path)


def test_rows_of_a_file_may_stand_in_any_order(tmp_path: Path) -> None:
    def reverse(document: dict[str, Any]) -> None:
        record = document["indices"][0]
        for rows in (record, *record["ends"].values()):
            for name, values in rows.items():
                if isinstance(values, list):
                    rows[name] = values[::-1]

    assert_same_bits(mixed(), load_changed(tmp_path / "barcode.json", mixed(), reverse))


@pytest.mark.parametrize(
    ("old", "new"), [("7.5", "7.4"), ("sha256", "sha257"), ("[0, 1]", "[0, 2]")]
)
def test_a_file_that_was_altered_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "barcode.json"
    bare().save(path)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new))
    with pytest.raises(DataError, match="was altered"):
        Barcode.load(path)


BIRTHS = ("indices", 0, "ends", "births")
DEATHS = ("indices", 0, "ends", "deaths")


def _at(document: Any, *keys: str | int) -> Any:
    for key in keys:
        document = document[key]
    return document


def _set(*keys: str | int, to: object) -> Change:
    return lambda document: _at(document, *keys[:-1]).__setitem__(keys[-1], to)


def _pop(*keys: str | int) -> Change:
    return lambda document: _at(document, *keys[:-1]).pop(keys[-1])


OF_BARS = [
    *(_pop(key) for key in ("format", "version", "field", "indices")),
    *(_pop("indices", 0, key) for key in ("bars", "births", "deaths")),
    _set("format", to="loss-barcodes filtered complex"),
    _set("version", to=2),
    *(_set("field", to=to) for to in (2.0, "2", 4)),
    *(_set("indices", to=to) for to in (3, [[]], {}, "")),
    _set("indices", 0, to={"bars": {}, "births": [], "deaths": []}),
    _set("indices", 0, to={"bars": [], "births": {}, "deaths": []}),
    _set("indices", 0, to={"bars": [], "births": [], "deaths": ""}),
    *(_set("indices", 0, "bars", to=to) for to in (None, [[0, None]])),
    *(_set("indices", 0, "bars", 1, to=[birth, 5]) for birth in ("1", True, None, math.nan)),
    *(_set("indices", 0, "bars", 1, to=[1, death]) for death in (math.inf, 10**400, None)),
    *(_set("indices", 0, "bars", 1, to=bar) for bar in (["1", "5"], [1, 5, 6], [5, 1])),
    *(
        _set("indices", 0, "births", 1, to=to)
        for to in ([0], [1, 2], ["1"], [1.0], [-1], [2**63], 7)
    ),
    *(_set("indices", 0, "deaths", 1, to=to) for to in (None, [], [1, 0])),
    _set("indices", 0, "deaths", 0, to=[0, 1]),
]
OF_ENDS = [
    *(_set("version", to=to) for to in (1, 3)),
    *(_pop("indices", r, "ends") for r in (0, 1)),
    _pop(*DEATHS),
    *(_pop(*BIRTHS, name) for name in ("d", "e", *NAMES)),
    *(_pop(*BIRTHS, name, 0) for name in NAMES),
    *(_set(*BIRTHS, name, to=None) for name in ("d", "e", *NAMES)),
    _set("indices", 0, "ends", to=[]),
    *(_set(*BIRTHS, "d", to=to) for to in (3, -1, 2.0)),
    _set(*BIRTHS, "e", to=True),
    *(_set(*BIRTHS, "certified", 0, to=to) for to in (1, "true", None)),
    *(_set(*BIRTHS, "points", 0, to=to) for to in (None, [0.1])),
    *(_set(*BIRTHS, "points", 0, 1, to=to) for to in (None, "0.1", True, math.inf, 10**400)),
    *(_set(*BIRTHS, "gradient_norms", 0, to=to) for to in (-1.0, None)),
    *(_set(*BIRTHS, "eigenvalues", 0, to=to) for to in ([1.0, -1.0], [-1.0, 1.0])),
    *(_set(*BIRTHS, "morse", 0, to=to) for to in (1, 0.0, 2**63)),
    _set(*DEATHS, "certified", 2, to=True),
    _set(*DEATHS, "points", 0, to=[0.1, 0.2]),
    _set(*DEATHS, "points", 0, to=[math.nan, math.nan]),  # json reads a literal NaN
    _set(*DEATHS, "gradient_norms", 0, to=math.nan),
    _set("indices", 1, "ends", to={"births": {}, "deaths": {}}),
]


@pytest.mark.parametrize(
    ("make", "change"),
    [*((bare, change) for change in OF_BARS), *((mixed, change) for change in OF_ENDS)],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, make: Callable[[], Barcode], change: Change
) -> None:
    refusal = r"barcode.json is no barcode of version 1, 2 or 3, .*; save it anew"
    with pytest.raises(DataError, match=refusal):
        load_changed(tmp_path / "barcode.json", make(), change)


def test_ends_do_not_pass_for_version_1(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all indices have the same parts, those of version 1"):
        load_changed(tmp_path / "barcode.json", mixed(), _set("version", to=1))


def test_points_whose_squares_overflow_are_told_apart(tmp_path: Path) -> None:
    """A certified birth at 1e200 beside one at the origin, in a barcode that a file restores."""
    barcode = FilteredComplex.complete(2, [[0, 0], [1]]).barcode(max_index=0)
    nothing = np.full(2, np.nan)
    births = Ends(
        np.array([True, True]), np.array([[0.0, 0.0], [1e200, -1e200]]), np.zeros(2),
        np.empty((2, 0)), np.zeros(2, int),
    )  # fmt: skip
    deaths = Ends(
        np.array([False, False]), np.full((2, 2), np.nan), nothing, np.empty((2, 0)),
        np.array([-1, -1]),
    )  # fmt: skip
    given = barcode.with_ends([(births, deaths)])
    assert not np.any(given.repeated(0))
    assert_restored(given, tmp_path / "barcode.json")
