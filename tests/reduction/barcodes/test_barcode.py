"""Barcodes: what they tell, what they refuse, and their files."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from reduction import (
    Barcode,
    BarcodeError,
    DataError,
    DimensionError,
    FieldError,
    FilteredComplex,
    ShapeError,
    TopologyError,
)
from tests.oracles.complexes import Arrays, full_complexes, sparse_complexes

PAIRS = ([[2], [1], [0]], [[-1, -1], [1, 2], [0, 1]])


def example() -> Barcode:
    """Components [0, inf), [1, 5], [2, 3]; a cycle [5, 7.5]."""
    return FilteredComplex.from_simplices(
        {(0,): 0, (1,): 1, (2,): 2, (1, 2): 3, (0, 1): 5, (0, 2): 5, (0, 1, 2): 7.5}
    ).barcode()


def test_rows_are_sorted_by_birth_death_and_simplex() -> None:
    bars = [[1.0, 2.0], [0.0, math.inf], [1.0, 2.0]]
    barcode = Barcode([bars], [([[5], [4], [3]], [[3, 5], [-1, -1], [3, 4]])], 2)
    assert barcode[0].tolist() == [[0, math.inf], [1, 2], [1, 2]]
    assert barcode.pairs(0).births.tolist() == [[4], [3], [5]]
    assert barcode.pairs(0).deaths.tolist() == [[-1, -1], [3, 4], [3, 5]]


def test_colexicographic_order_breaks_the_last_ties() -> None:
    births = [[0, 3], [1, 2], [0, 2]]
    deaths = [[0, 3, 4], [1, 2, 4], [0, 2, 4]]
    barcode = Barcode(
        [[], [[1.0, 2.0]] * 3],
        [(np.empty((0, 1), int), np.empty((0, 2), int)), (births, deaths)],
        2,
    )
    assert barcode.pairs(1).births.tolist() == [[0, 2], [1, 2], [0, 3]]


def test_bars_are_reported_index_by_index() -> None:
    barcode = example()
    assert len(barcode) == 2
    assert [bars.tolist() for bars in barcode] == [
        [[0, math.inf], [1, 5], [2, 3]],
        [[5, 7.5]],
    ]
    assert barcode.finite(0).tolist() == [[1, 5], [2, 3]]
    assert barcode.essential(0).tolist() == [0]
    assert barcode.essential(1).tolist() == []
    assert barcode.field == 2
    assert repr(barcode) == "Barcode(field=2, counts=(3, 1))"


def test_eq_4_is_the_longest_bar_over_the_root_of_two() -> None:
    barcode = example()
    assert barcode.w_inf(0) == 4 / math.sqrt(2)
    assert barcode.w_inf(1) == 2.5 / math.sqrt(2)


def test_only_one_essential_component_belongs_to_a_convex_function() -> None:
    two_points = FilteredComplex([[[0], [1]]], [[0, 0]]).barcode(max_index=0)
    assert two_points.w_inf(0) == math.inf
    assert FilteredComplex([[[0]]], [[3]]).barcode(max_index=0).w_inf(0) == 0.0
    circle = FilteredComplex.complete(3, [[0] * 3, [1] * 3]).barcode(max_index=1)
    assert circle.w_inf(0) == 1 / math.sqrt(2)
    assert circle.w_inf(1) == math.inf


def test_the_table_shows_every_index_and_every_bar() -> None:
    assert example().table().splitlines() == [
        "coefficients Z/2",
        "",
        "index   bars  essential     longest       W_inf",
        "    0      3          1           4     2.82843",
        "    1      1          0         2.5     1.76777",
        "",
        "index 0",
        "      birth       death      length  born with -> dies with",
        "          0         inf         inf  (0)",
        "          1           5           4  (1) -> (0,1)",
        "          2           3           1  (2) -> (1,2)",
        "",
        "index 1",
        "      birth       death      length  born with -> dies with",
        "          5         7.5         2.5  (0,2) -> (0,1,2)",
    ]


def test_the_table_of_an_empty_index_says_so() -> None:
    lines = FilteredComplex.complete(3, [[0] * 3, [1] * 3, [1]]).barcode().table().splitlines()
    assert "    1      0          0           -           0" in lines
    assert lines[-1] == "index 1: no bars"


def test_arrays_are_read_only() -> None:
    barcode = example()
    for r in range(2):
        for array in (barcode[r], *barcode.pairs(r)):
            assert not array.flags.writeable
    with pytest.raises(AttributeError):
        barcode.field = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("r", [-1, 2])
def test_an_index_that_is_not_reported(r: int) -> None:
    barcode = example()
    for ask in (
        barcode.__getitem__,
        barcode.pairs,
        barcode.finite,
        barcode.essential,
        barcode.w_inf,
    ):
        with pytest.raises(
            DimensionError, match=rf"index {r} is not reported \(reported: 0..1\); ask"
        ):
            ask(r)
    with pytest.raises(DimensionError, match=r"index 0 is not reported \(reported: none\)"):
        FilteredComplex([[[0]]], [[0]]).barcode()[0]


@pytest.mark.parametrize(
    ("bars", "pairs", "field", "error", "message"),
    [
        ([[[0.0, 1.0]]], [], 2, ShapeError, "bars has 1 indices and pairs 0; give"),
        ([[0.0, 1.0]], [PAIRS], 2, ShapeError, r"bars\[0\] has shape \(2,\)"),
        ([[[0.0, 1.0]]], [PAIRS], 2, ShapeError, r"births of index 0 have shape \(3, 1\)"),
        (
            [[[0.0, 1.0]]], [([[0.5]], [[0, 1]])], 2, ShapeError,
            r"births of index 0 .* type float64 for 1 bars; give an integer array of shape",
        ),
        ([[[0.0, -1.0]]], [([[0]], [[0, 1]])], 2, BarcodeError, r"row 0 of bars\[0\] is \["),
        ([[[0.0, 1.0]]], [([[-1]], [[0, 1]])], 2, BarcodeError, r"births\[0\] of index 0 is"),
        ([[[0.0, 1.0]]], [([[0]], [[1, 0]])], 2, BarcodeError, r"deaths\[0\] of index 0 is"),
        (
            [[[0.0, 1.0]]], [([[0]], [[-1, -1]])], 2, BarcodeError,
            r"\[-1, -1\] for the bar \[0.0, 1.0\]; give ascending labels",
        ),
        (
            [[[0.0, math.inf]]], [([[0]], [[0, 1]])], 2, BarcodeError,
            r"deaths\[0\] of index 0 is \[0, 1\] for the bar \[0.0, inf\]",
        ),
        ([[[0.0, 1.0]]], [([[0]], [[0, 1]])], 4, FieldError, "but field is 4"),
        (
            [[[0.0, 2.0], [1.0, 3.0], [0.0, 4.0]]],
            [([[5], [4], [5]], [[4, 5], [3, 4], [3, 5]])], 2, BarcodeError,
            r"\[5\] stands twice in the births of index 0; remove one of the two bars",
        ),
        (
            [[[0.0, 2.0], [1.0, 3.0], [0.0, 4.0]]],
            [([[5], [4], [3]], [[4, 5], [3, 4], [4, 5]])], 2, BarcodeError,
            r"\[4, 5\] stands twice in the deaths of index 0",
        ),
    ],
)  # fmt: skip
def test_what_is_no_barcode_is_refused(
    bars: Any, pairs: Any, field: int, error: type[TopologyError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Barcode(bars, pairs, field)


# --- files


@given(arrays=full_complexes() | sparse_complexes())
def test_files_restore_every_bit(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "barcode.json"
    complex = FilteredComplex(*arrays)
    barcode = complex.barcode(3, keep_zero=True, max_index=complex.dim)
    barcode.save(path)
    loaded = Barcode.load(path)
    assert loaded.field == 3
    assert len(loaded) == len(barcode)
    for r in range(len(barcode)):
        for a, b in zip(
            (barcode[r], *barcode.pairs(r)), (loaded[r], *loaded.pairs(r)), strict=True
        ):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes()


def test_a_barcode_of_no_index_survives_a_file(tmp_path: Path) -> None:
    """Points alone have none: nothing in their complex could end a bar."""
    barcode = FilteredComplex([[[0], [1]]], [[0, 1]]).barcode()
    assert len(barcode) == 0
    barcode.save(tmp_path / "barcode.json")
    assert len(Barcode.load(tmp_path / "barcode.json")) == 0


def test_extreme_values_survive_a_file(tmp_path: Path) -> None:
    values = [-1.7e308, -0.0, 5e-324, 0.1, math.nextafter(1, 2)]
    barcode = FilteredComplex([np.arange(5)[:, None]], [values]).barcode(max_index=0)
    barcode.save(tmp_path / "barcode.json")
    assert Barcode.load(tmp_path / "barcode.json")[0].tobytes() == barcode[0].tobytes()


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    example().save(tmp_path / "barcode.json")
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


@pytest.mark.parametrize(
    ("old", "new"), [("7.5", "7.4"), ("sha256", "sha257"), ("[0, 1]", "[0, 2]")]
)
def test_a_file_that_was_altered_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "barcode.json"
    example().save(path)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new))
    with pytest.raises(DataError, match="was altered"):
        Barcode.load(path)


def test_cut_off_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "barcode.json"
    example().save(path)
    content = path.read_bytes()
    for size in range(len(content) - 2):  # without its last newline it is still whole
        path.write_bytes(content[:size])
        with pytest.raises(
            DataError, match=r"is no barcode of version 1 or 2, or was altered or cut off"
        ):
            Barcode.load(path)


Change = Callable[[dict[str, Any]], object]


def _set(*keys: str | int, to: object) -> Change:
    def change(document: dict[str, Any]) -> None:
        at: Any = document
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(lambda d, key=key: d.pop(key) for key in ("format", "version", "field", "indices")),
        *(lambda d, key=key: d["indices"][0].pop(key) for key in ("bars", "births", "deaths")),
        _set("format", to="loss-barcodes filtered complex"),
        _set("version", to=2),
        _set("field", to=2.0),
        _set("field", to="2"),
        _set("field", to=4),
        _set("indices", to=3),
        _set("indices", to=[[]]),
        _set("indices", to={}),
        _set("indices", to=""),
        _set("indices", 0, to={"bars": {}, "births": [], "deaths": []}),
        _set("indices", 0, to={"bars": [], "births": {}, "deaths": []}),
        _set("indices", 0, to={"bars": [], "births": [], "deaths": ""}),
        _set("indices", 0, "bars", to=None),
        _set("indices", 0, "bars", to=[[0, None]]),
        _set("indices", 0, "bars", 1, to=[1, 5, 6]),
        _set("indices", 0, "bars", 1, to=[5, 1]),
        _set("indices", 0, "bars", 1, to=["1", "5"]),
        _set("indices", 0, "bars", 1, to=[True, 5]),
        _set("indices", 0, "bars", 1, to=[None, 5]),
        _set("indices", 0, "bars", 1, to=[math.nan, 5]),
        _set("indices", 0, "bars", 1, to=[1, math.inf]),
        _set("indices", 0, "bars", 1, to=[1, 10**400]),
        _set("indices", 0, "bars", 1, to=[1, None]),
        _set("indices", 0, "births", 1, to=[0]),
        _set("indices", 0, "births", 1, to=[1, 2]),
        _set("indices", 0, "births", 1, to=["1"]),
        _set("indices", 0, "births", 1, to=[1.0]),
        _set("indices", 0, "births", 1, to=[-1]),
        _set("indices", 0, "births", 1, to=[2**63]),
        _set("indices", 0, "births", 1, to=7),
        _set("indices", 0, "deaths", 1, to=None),
        _set("indices", 0, "deaths", 0, to=[0, 1]),
        _set("indices", 0, "deaths", 1, to=[]),
        _set("indices", 0, "deaths", 1, to=[1, 0]),
    ],
)
def test_altered_files_are_refused(tmp_path: Path, change: Change) -> None:
    path = tmp_path / "barcode.json"
    example().save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["sha256"]  # as in a file that was written by hand
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DataError, match=r"barcode.json is no barcode .*; save it anew"):
        Barcode.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"PK\x03\x04"]
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(DataError, match="foreign is no barcode"):
        Barcode.load(path)


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Barcode.load(tmp_path / "nothing.json")


def test_the_table_shows_rounding_errors_as_zero() -> None:
    """A birth of 5e-28 beside a death of 100 is 0; the bar itself keeps every bit."""
    complex = FilteredComplex.complete(2, [[5e-28, 0.0], [100.0]])
    barcode = complex.barcode()
    assert barcode.table().splitlines()[-1].split()[:3] == ["0", "100", "100"]
    assert barcode[0][1, 0] == 5e-28


def test_the_table_tells_bars_apart_that_are_far_from_zero() -> None:
    barcode = FilteredComplex.complete(2, [[1e6, 1e6 + 0.25], [1e6 + 0.5]]).barcode()
    assert barcode.table().splitlines()[-1].split()[:2] == ["1000000.25", "1000000.5"]


@pytest.mark.parametrize("last", [1.0, 1e14], ids=["alone", "beside-a-higher-index"])
def test_the_length_of_a_bar_far_from_zero_is_shown(last: float) -> None:
    """Bars [1e12, 1e12 + 1]; the summary says that the longest of index 0 is 1."""
    values = [[1e12] * 3, [1e12 + 1] * 3, [1e12 + last]]
    barcode = FilteredComplex.complete(3, values).barcode()
    lines = barcode.table().splitlines()
    assert lines[3].split()[3] == "1"
    shown = [line.split()[2] for line in lines if line.endswith(("(0,1)", "(0,2)"))]
    assert shown == ["1", "1"]


def test_a_length_is_zero_beside_the_longest_of_its_index_only() -> None:
    """1e-13 beside 1 is rounding; the death 0.1 above 1e12 has six digits of its own length."""
    near = FilteredComplex.complete(3, [[0.0, 0.5, 0.5], [1, 0.5 + 1e-13, 1]]).barcode(max_index=0)
    assert [line.split()[2] for line in near.table().splitlines()[-3:]] == ["inf", "0", "0.5"]
    far = FilteredComplex.complete(2, [[1e12 - 1, 1e12], [1e12 + 0.1]]).barcode()
    assert far.table().splitlines()[-1].split()[2] == "0.0999756"
