"""Convergence as a value: its checks, table, file and picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reduction import Barcode, BarcodeError, DataError, FieldError, OptionError, ShapeError
from simplicial import Convergence
from simplicial.reports.convergence import LEGEND

INF = np.inf


def barcode(death: float, lowest: float, field: int = 3) -> Barcode:
    """Two bars of index 0, one without an end, and one of index 1."""
    pairs = [([[0], [1]], [[-1, -1], [0, 1]]), ([[1, 2]], [[0, 1, 2]])]
    bars = [[[0.0, INF], [0.5, death]], [[death, death + 0.1]]]
    bounds = [([INF, lowest], death - lowest), ([death], INF)]
    return Barcode(bars, pairs, field).with_bounds(bounds)


def some() -> Convergence:
    return Convergence.of([1, 2.5], [600, 1500], [barcode(1.5, 1.0), barcode(1.25, 1.1)])


def test_numbers_are_those_of_the_barcodes() -> None:
    found = some()
    root = 2**0.5
    np.testing.assert_allclose(found.w_inf, [[1.0 / root, 0.1 / root], [0.75 / root, 0.1 / root]])
    np.testing.assert_allclose(found.lowest, [[0.5 / root, 0.0], [0.6 / root, 0.0]])
    np.testing.assert_allclose(found.errors, [[0.5, INF], [0.15, INF]])
    assert found.gradients.dtype == np.int64
    assert (len(found), found.field) == (2, 3)
    assert repr(found) == "Convergence(efforts=(1, 2.5), indices=2, field=3)"
    for name in ("efforts", "gradients", "w_inf", "lowest", "errors"):
        assert not getattr(found, name).flags.writeable


def test_the_table_names_the_bound_of_index_0_as_one() -> None:
    lines = some().table().splitlines()
    assert lines[0] == "coefficients Z/3"
    assert lines[2:5] == [
        "index 0",
        "  effort    gradients        W_inf       lowest        error",
        "       1          600     0.707107     0.353553          0.5",
    ]
    assert lines[10].split() == ["2.5", "1500", "0.0707107", "0", "inf"]
    assert lines[-1] == LEGEND
    assert "trained at this effort, no property of the loss; of index 0 an upper bound" in LEGEND


def test_a_file_gives_every_bit_back(tmp_path: Path) -> None:
    found = some()
    found.save(tmp_path / "c.json")
    read = Convergence.load(tmp_path / "c.json")
    for name in ("efforts", "gradients", "w_inf", "lowest", "errors", "field"):
        np.testing.assert_array_equal(getattr(read, name), getattr(found, name))
    assert read.gradients.dtype == np.int64
    assert np.isinf(read.errors[:, 1]).all()
    document = json.loads((tmp_path / "c.json").read_text("utf-8"))
    assert (document["format"], document["version"]) == ("loss-barcodes convergence", 1)
    assert document["efforts"][0]["indices"][1]["error"] is None


@pytest.mark.parametrize("kind", [list, tuple, np.array, np.uint64])
def test_counts_of_gradients_are_exact(kind: Any, tmp_path: Path) -> None:
    counts = [2**53 + 1, 2**63 - 1]
    one = np.ones((2, 1))
    found = Convergence(np.array([1.0, 2.0]), kind(counts), one, one, one)
    found.save(tmp_path / "c.json")
    of = Convergence.of([1, 2], kind(counts), [barcode(1.5, 1.0)] * 2)
    for curve in (found, Convergence.load(tmp_path / "c.json"), of):
        assert curve.gradients.tolist() == counts


def test_counts_beside_a_float_are_exact() -> None:
    found = Convergence.of([1, 2], [2**53 + 1, 2.0**60], [barcode(1.5, 1.0)] * 2)
    assert found.gradients.tolist() == [2**53 + 1, 2**60]


@pytest.mark.parametrize("count", [1e19, 2**63, 2.0**63, np.uint64(2**63), np.inf, 2.5, -2, np.nan])
def test_counts_that_are_no_64_bit_numbers_are_refused(count: Any) -> None:
    one = np.ones((2, 1))
    with pytest.raises(OptionError, match=r"gradients must be whole numbers from 0 to 2\*\*63"):
        Convergence(np.array([1.0, 2.0]), [1, count], one, one, one)  # pyright: ignore


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"effort": 2.5', '"effort": 0.5'),
        lambda text: text.replace('"field": 3', '"field": 4'),
        lambda text: text.replace("convergence", "barcode"),
        lambda text: "{}",
        lambda text: "[]",
    ],
)
def test_a_spoilt_file_is_refused_in_one_sentence(spoil, tmp_path: Path) -> None:  # pyright: ignore
    path = tmp_path / "c.json"
    some().save(path)
    text = path.read_text("utf-8")
    path.write_text(spoil(text), "utf-8")
    assert path.read_text("utf-8") != text
    with pytest.raises(DataError, match="is no convergence of version 1, or was altered or cut"):
        Convergence.load(path)


def test_values_that_are_no_convergence_are_refused() -> None:
    one = np.ones((2, 1))
    with pytest.raises(ShapeError, match="a row for each effort"):
        Convergence(np.array([1.0]), np.array([1]), one, one, one)
    with pytest.raises(OptionError, match="efforts must be finite, positive and ascending, got 2"):
        Convergence(np.array([2.0, 1.0]), np.array([1, 2]), one, one, one)
    with pytest.raises(OptionError, match="gradients must be finite, not negative and ascending"):
        Convergence(np.array([1.0, 2.0]), np.array([2, 2]), one, one, one)
    with pytest.raises(OptionError, match="lies between 0 and W_inf"):
        Convergence(np.array([1.0, 2.0]), np.array([1, 2]), one, 2 * one, one)
    with pytest.raises(FieldError):
        Convergence(np.array([1.0, 2.0]), np.array([1, 2]), one, one, one, 4)
    with pytest.raises(OptionError, match="one field and the same indices"):
        Convergence.of([1, 2], [1, 2], [barcode(1.5, 1.0), barcode(1.5, 1.0, 5)])
    bare = Barcode([[[0.0, INF]]], [([[0]], [[-1, -1]])], 2)
    with pytest.raises(BarcodeError, match="has no bounds"):
        Convergence.of([1], [1], [bare])
