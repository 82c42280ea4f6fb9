"""Barcodes and complexes as HTML for notebooks, and as tables of pandas."""

import builtins
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from reduction import Barcode, FilteredComplex, OptionError
from simplicial import LossComplex, Minima, build_complex, find_minima
from simplicial.landscapes import double_well

VOID = {"line", "path"}  # of SVG, closed in themselves


class Page(HTMLParser):
    """Rows of tables, titles of lines and attributes; tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.titles: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)
        if self.open and self.open[-1] == "title":
            self.titles.append(data)


def page(value: Any) -> Page:
    """What a notebook shows of a value: no script, nothing that is loaded, no colour of a page."""
    found = Page(value._repr_html_())
    assert found.tags.isdisjoint({"script", "style", "link", "img", "iframe"})
    names = {name for name, _ in found.attributes}
    assert names.isdisjoint({"src", "href", "onclick", "onload"})
    text = " ".join(str(value) for _, value in found.attributes)
    assert not re.search(r"#0{3,6}\b|#f{3,6}\b|black|white|background", text, re.IGNORECASE)
    return found


@pytest.fixture(scope="module")
def built() -> LossComplex:
    minima = find_minima(double_well(2), seed=0)
    return build_complex(minima, 2, certify=True, progress=False)


def test_a_barcode_is_shown_by_index_and_bar_by_bar(built: LossComplex) -> None:
    barcode = built.barcode()
    shown = page(barcode)
    header, zero, one = shown.rows[:3]
    assert header[4:] == ["W_inf", "error", "certified ends"]
    assert zero[:5] == ["0", "4", "1", "1", "0.707107"]
    assert one[:3] == ["1", "1", "0"]
    assert shown.rows[3] == ["index", "birth", "death", "lowest death", "born with", "dies with"]
    assert len(shown.rows) == 4 + 4 + 1
    assert shown.rows[-1][:3] == ["1", "1", "2"]
    assert len(shown.titles) == 5
    assert [title for title in shown.titles if "inf" in title] == ["0 to inf"] * 1


def test_of_many_bars_the_longest_are_shown() -> None:
    heights = np.arange(300.0)
    barcode = FilteredComplex(
        [np.arange(301)[:, None], np.column_stack([np.arange(300), np.arange(1, 301)])],
        [np.zeros(301), heights],
    ).barcode()
    shown = page(barcode)
    assert [row[2] for row in shown.rows[3:]] == [*(f"{h:.6g}" for h in range(293, 300)), "inf"]
    assert len(barcode._repr_html_()) < 15_000
    empty = page(Barcode([], [], 2))
    assert empty.rows == [["index", "bars", "essential", "longest", "W_inf"]]
    assert "svg" not in empty.tags


def test_a_complex_is_shown_by_dimension(built: LossComplex) -> None:
    shown = page(built)
    assert [row[:2] for row in shown.rows[1:]] == [
        ["minima", "4"],
        ["edges", "6"],
        ["triangles", "4"],
    ]
    assert shown.rows[0][-1] == "critical points inside"
    assert len(shown.titles) == 14
    assert shown.titles[-1].endswith(" to 2")


def test_a_name_of_a_loss_is_text(built: LossComplex) -> None:
    def wells(x: Tensor) -> Tensor:
        return double_well(2)(x)

    wells.__name__ = "<script>&'\""
    html = build_complex(Minima(built.minima.points, wells), 1, progress=False)._repr_html_()
    assert "&lt;script&gt;&amp;&#x27;&quot;" in html
    page(build_complex(Minima(built.minima.points, wells), 1, progress=False))


def test_pandas_has_a_row_for_each_bar(built: LossComplex) -> None:
    barcode = built.barcode()
    frame: Any = barcode.to_pandas()
    assert [*frame.columns] == [
        "index",
        "birth",
        "death",
        "lowest_death",
        "birth_simplex",
        "death_simplex",
        "birth_certified",
        "death_certified",
        "birth_repeated",
        "death_repeated",
    ]
    for r, bars in enumerate(barcode):
        rows, pairs, ends = frame[frame["index"] == r], barcode.pairs(r), barcode.ends(r)
        assert ends is not None
        assert np.array_equal(rows[["birth", "death"]].to_numpy(), bars)
        assert [*rows["birth_simplex"]] == [tuple(row) for row in pairs.births.tolist()]
        assert np.array_equal(rows["death_certified"], ends.deaths.certified)
    assert frame["death_simplex"].isna().sum() == 1
    bare = FilteredComplex.from_simplices({(0,): 0.0, (1,): 0.5, (0, 1): 2.0}).barcode()
    assert [*bare.to_pandas().columns] == (
        ["index", "birth", "death", "birth_simplex", "death_simplex"]
    )
    assert bare.to_pandas().iloc[1].tolist() == [0, 0.5, 2.0, (1,), (0, 1)]


def test_pandas_has_a_row_for_each_simplex(built: LossComplex) -> None:
    edges: Any = built.to_pandas()
    assert [*edges.columns] == (
        ["vertex_0", "vertex_1", "value", "maximum", "error_bound", "highest_vertex"]
    )
    assert np.array_equal(edges[["vertex_0", "vertex_1"]], built.simplices[1].vertices)
    assert np.array_equal(edges["value"], built.values[1])
    heights = built.minima.values
    assert all(
        row.highest_vertex == max(heights[row.vertex_0], heights[row.vertex_1])
        for row in edges.itertuples()
    )
    assert [len(built.to_pandas(r)) for r in range(3)] == [4, 6, 4]


def test_without_pandas_one_sentence_says_how_to_get_it(
    built: LossComplex, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError("No module named 'pandas'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for ask in (built.to_pandas, built.barcode().to_pandas):
        with pytest.raises(OptionError, match=r"to_pandas needs pandas, .*: pip install pandas$"):
            ask()
