"""Every bad input of `reduction`, in one table."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import reduction
from reduction import Barcode as Bars
from reduction import (
    BarcodeError,
    BarEnds,
    CanonicalForm,
    CapacityError,
    DataError,
    DimensionError,
    FieldError,
    FiltrationError,
    OptionError,
    Pairs,
    ShapeError,
    bottleneck,
    plot_barcode,
    plot_diagram,
    w_inf,
    wasserstein,
)
from reduction import Ends as Points
from reduction import FilteredComplex as Complex
from tests.bad_inputs.table import (
    INF,
    INSTEAD,
    NAN,
    NO_AXES,
    NO_PATH,
    UNSURE,
    Row,
    assert_refused,
    rows,
    unknown,
    without_rows,
)

EDGE = ([[0], [1]], [[0, 1]])
BAR, PAIR = [[0, 1]], ([[0]], [[0, 1]])
NO_PRIME = (4, 1, 0, -2, 2**31, 10**40, 2.0, "2", None, True, NAN)
NO_INDEX = (*INSTEAD, -1, 9, 2**70, [0])


class Good(NamedTuple):
    folder: Path
    complex: Complex
    barcode: Bars
    form: CanonicalForm


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    folder = tmp_path_factory.mktemp("files")
    complex_ = Complex.complete(4, [np.zeros(4), np.arange(6) + 1.0, np.full(4, 9.0)])
    barcode = complex_.barcode()
    complex_.save(folder / "complex.npz")
    barcode.save(folder / "barcodes.json")
    (folder / "text.npz").write_text("no archive")
    (folder / "folder").mkdir()
    return Good(folder, complex_, barcode, complex_.canonical_form())


def ends(**changed: Any) -> Points:
    """One certified minimum, but for what is changed."""
    parts: dict[str, Any] = {
        "certified": [True],
        "points": [[1.0, 2.0]],
        "gradient_norms": [0.0],
        "eigenvalues": [[1.0, 2.0]],
        "morse": [0],
    }
    return Points(**{**parts, **changed})


def barred(pair: Any = PAIR, **changed: Any) -> Bars:
    """A barcode of one bar, but for what is changed."""
    parts: dict[str, Any] = {"bars": [BAR], "pairs": [pair], "field": 2}
    return Bars(**{**parts, **changed})


COMPLEXES = (
    Row("FilteredComplex", lambda _, v: Complex(v, [[0.0]]), ShapeError, "vertices", (3, None)),
    Row("FilteredComplex", lambda _, v: Complex([[[0]]], v), ShapeError, "values", (3, None, [])),
    Row("FilteredComplex", lambda _, v: Complex([v], [[0.0]]), ShapeError, "vertices[0] has",
        ([0], [["a"]], [[0.0]], [[True]], [[0, 1]], None, [[2**64]])),
    Row("FilteredComplex", lambda _, v: Complex([[[0]]], [v]), ShapeError, "values[0] has",
        ("x", ["x"], [True], [None], [1j], [0, 1], 0.0)),
    Row("FilteredComplex", lambda _, v: Complex([[[0]]], [v]), FiltrationError, "are finite",
        ([NAN], [INF], [-INF])),
    Row("FilteredComplex", lambda _, v: Complex([v], [[0.0] * len(v)]), FiltrationError, "0]",
        ([[0], [0]], [[-1]], [[2**63]])),
    Row("FilteredComplex", lambda _, v: Complex([EDGE[0], [v]], [[0, 0], [1]]), FiltrationError,
        "but ", ([1, 0], [0, 0], [0, 2])),
    Row("FilteredComplex", lambda _, v: Complex(EDGE, v), FiltrationError, "not above its simplex",
        ([[0, 2], [1]],)),
    Row("FilteredComplex", lambda _, v: Complex(v, [[0, 0]]), ShapeError, "is ragged",
        ([[[0], [1, 2]]],)),
    Row("FilteredComplex", lambda _, v: Complex(v, v), FiltrationError, "dimension 0 is empty",
        ([],)),
    Row("FilteredComplex.complete", lambda _, n: Complex.complete(n, [[0.0]]), DimensionError, ";",
        (*INSTEAD, NAN, 0, -1)),
    Row("FilteredComplex.complete", lambda _, v: Complex.complete(3, v), ShapeError, "values",
        (5, None, [[0, 0]], [[0, 0, "a"]], [[0, 0, [1, 2]]])),
    Row("FilteredComplex.complete", lambda _, v: Complex.complete(2, v), FiltrationError, "but ",
        ([[0, NAN]], [[0, 5], [1]])),
    Row("FilteredComplex.complete", lambda _, v: Complex.complete(2, v), DimensionError, "2 vert",
        ([], [[0, 0], [0], []])),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips(v, 0), ShapeError, "distances",
        ("x", None, [], [[0, 1, 2]], [[0, 1], [1]], [["a"]], [[True]])),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips(v, 1), FiltrationError, "distance",
        ([[0, 1], [2, 0]], [[0, -1], [-1, 0]], [[0, NAN], [NAN, 0]], [[0, INF], [INF, 0]],
         [[1, 1], [1, 0]])),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips([[0, 1], [1, 0]], v), DimensionError,
        "but dim is", (*INSTEAD, 2, -1, 1.0)),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips([[0]], 0, threshold=v), OptionError,
        "threshold is", (NAN, -1, "2", True, [1], 1j, np.complex128(1), np.bool_(True))),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips(np.ones(v) - np.eye(*v), 9),
        CapacityError, "GB of memory", ((500, 500),)),
    Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(EDGE, [[0, 0], [1]], v),
        DimensionError, "but dim is", (*INSTEAD, 5, -1)),
    Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(v, v, 1), ShapeError, "two",
        (3, None, [[[0]]])),
    Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(EDGE, v, 1), FiltrationError,
        "but ", ([[0, NAN], [1]], [[0, 2], [1]])),
    Row("FilteredComplex.from_simplices", lambda _, v: Complex.from_simplices(v), ShapeError, "; ",
        (5, None, [(0,)], {0: 1.0}, {(): 1.0}, {(0.0,): 1.0}, {(True,): 1.0}, {"a": 1.0},
         {(0,): "x"}, {(0,): None}, {(0,): True}, {(0,): [1]}, {(2**64,): 1.0})),
    Row("FilteredComplex.from_simplices", lambda _, v: Complex.from_simplices(v), FiltrationError,
        "but ", ({}, {(0,): NAN}, {(0,): 0.0, (0, 0): 1.0}, {(0, 1): 1.0}, {(-1,): 1.0})),
    Row("FilteredComplex.facets", lambda g, v: g.complex.facets(v), DimensionError, "dimension",
        (*INSTEAD, 0, 3, 1.0)),
    Row("FilteredComplex.order", lambda g, v: g.complex.order(v), DimensionError, "dimension",
        (*INSTEAD, -1, 3, NAN)),
    Row("FilteredComplex.boundary", lambda g, v: g.complex.boundary(v), DimensionError,
        "dimension", (*INSTEAD, 0, 3)),
    Row("FilteredComplex.barcode", lambda g, v: g.complex.barcode(v), FieldError, "field is",
        NO_PRIME),
    Row("FilteredComplex.barcode", lambda g, v: g.complex.barcode(keep_zero=v), OptionError,
        "keep_zero must be True or False", UNSURE),
    Row("FilteredComplex.barcode", lambda g, v: g.complex.barcode(max_index=v), DimensionError,
        "dimension", (0.5, "1", True, -1, 3)),
    Row("FilteredComplex.canonical_form", lambda g, v: g.complex.canonical_form(v), FieldError,
        "field is", NO_PRIME),
)  # fmt: skip

BARCODES = (
    Row("Barcode", lambda _, v: barred(bars=v), ShapeError, "bars",
        (3, None, [], ["ab"], [[[0, 1], [2]]], [[["a", "b"]]], [[[True, True]]], [[0, 1]])),
    Row("Barcode", lambda _, v: barred(bars=[[v]]), BarcodeError, "a finite birth",
        ([1, 0], [NAN, 0], [0, NAN], [-INF, 0])),
    Row("Barcode", lambda _, v: barred(pairs=v), ShapeError, "pairs",
        (3, None, [], [5], [([[0]],)], [(*PAIR, 1)])),
    Row("Barcode", lambda _, v: barred(v), ShapeError, "of index 0",
        (Pairs(1, 2), (None, None), ([[0], [1, 2]], [[0, 1]]), ([["a"]], [[0, 1]]),  # pyright: ignore
         ([[0.0]], [[0, 1]]), ([[True]], [[0, 1]]), ([[0]], [[0]]))),
    Row("Barcode", lambda _, v: barred(v), BarcodeError, "give ascending labels",
        (([[0]], [[1, 0]]), ([[-1]], [[0, 1]]), ([[0]], [[-1, -1]]))),
    Row("Barcode", lambda _, v: barred(v, bars=[[*BAR, *BAR]]), BarcodeError, "stands twice",
        (([[0], [0]], [[0, 1], [0, 2]]), ([[0], [1]], [[0, 2], [0, 2]]))),
    Row("Barcode", lambda _, v: barred(field=v), FieldError, "field is", NO_PRIME),
    Row("Barcode", lambda _, v: barred(ends=v), ShapeError, "give ",
        (5, [], [5], [(5, 6)], [(ends(),)], [BarEnds(1, 2)], [(ends(), ends(points=[[1.0]]))],  # pyright: ignore
         [(ends(), ends().taken(np.arange(0)))])),
    Row("Barcode", lambda _, v: barred(ends=v), BarcodeError, "Morse index 1",
        ([(ends(), ends())],)),
    Row("BarEnds", lambda g, v: g.barcode.with_ends([v, v]), ShapeError, "ends[0] are two Ends",
        (BarEnds(1, 2), BarEnds(ends(), None))),  # pyright: ignore
    Row("Pairs", lambda _, v: barred(v), ShapeError, "of index 0", (Pairs(1, 2),)),  # pyright: ignore
    Row("Barcode.__getitem__", lambda g, v: g.barcode[v], DimensionError, "index",
        (*NO_INDEX, (0,), slice(1))),
    Row("Barcode.pairs", lambda g, v: g.barcode.pairs(v), DimensionError, "index", NO_INDEX),
    Row("Barcode.ends", lambda g, v: g.barcode.ends(v), DimensionError, "index", NO_INDEX),
    Row("Barcode.finite", lambda g, v: g.barcode.finite(v), DimensionError, "index", NO_INDEX),
    Row("Barcode.essential", lambda g, v: g.barcode.essential(v), DimensionError, "index",
        NO_INDEX),
    Row("Barcode.w_inf", lambda g, v: g.barcode.w_inf(v), DimensionError, "index", NO_INDEX),
    Row("Barcode.cycle", lambda g, v: g.barcode.cycle(v, 0), DimensionError, "index", NO_INDEX),
    Row("Barcode.cycle", lambda g, v: g.barcode.cycle(0, v), BarcodeError, "a bar is named",
        (*NO_INDEX, 99)),
    Row("Barcode.cycle", lambda g, _: Bars.load(g.folder / "barcodes.json").cycle(0, 0),
        BarcodeError, "was loaded"),
    Row("Barcode.with_ends", lambda g, v: g.barcode.with_ends(v), ShapeError, "give ",
        (3, None, [], [1, 2], [(ends(), ends())] * 2)),
    Row("Ends", lambda _, v: ends(certified=v), ShapeError, "certified", (1, [1], ["yes"], None)),
    Row("Ends", lambda _, v: ends(points=v), ShapeError, "points",
        (2, [1.0, 2.0], [["a", "b"]], [[]], [[1.0], [1.0, 2.0]], None)),
    Row("Ends", lambda _, v: ends(points=v), BarcodeError, "a point is finite",
        ([[NAN, 1.0]], [[1.0, INF]])),
    Row("Ends", lambda _, v: ends(gradient_norms=v), BarcodeError, "a gradient norm",
        ([-1.0], [NAN], [INF])),
    Row("Ends", lambda _, v: ends(gradient_norms=v), ShapeError, "gradient_norms",
        (3, [[1.0]], ["a"], [True])),
    Row("Ends", lambda _, v: ends(eigenvalues=v), BarcodeError, "eigenvalue",
        ([[2.0, 1.0]], [[INF, INF]], [[NAN, 1.0]], [[-1.0, 1.0]])),
    Row("Ends", lambda _, v: ends(morse=v), BarcodeError, "Morse index", ([3], [-2], [1])),
    Row("Ends", lambda _, v: ends(morse=v), ShapeError, "morse", (0, [0.0], [True], [0, 1], None)),
    Row("Ends.taken", lambda _, v: ends().taken(v), BarcodeError, "taken at rows",
        ("a", np.array([5]), np.array([0.0]))),
    Row("CanonicalForm.matching", lambda g, v: g.form.matching(v), DimensionError, "take one",
        (*NO_INDEX, 0, NAN)),
    Row("CanonicalForm.pairs", lambda g, v: g.form.pairs(v), DimensionError, "take one", NO_INDEX),
    Row("CanonicalForm.essential", lambda g, v: g.form.essential(v), DimensionError, "take one",
        NO_INDEX),
)  # fmt: skip

DISTANCES = (
    *(Row(name, call, error, piece, bad)
      for name, call in {
          "bottleneck": lambda _, v: bottleneck(BAR, v),
          "wasserstein": lambda _, v: wasserstein(v, BAR, 1),
          "w_inf": lambda _, v: w_inf(v),
      }.items()
      for error, piece, bad in (
          (ShapeError, "give", (5, None, "ab", [0, 1], [[0, 1, 2]], [[0, 1], [2]], [[0j, 1]],
                                [[True, True]])),
          (BarcodeError, "a finite birth", ([[1, 0]], [[NAN, 0]], [[0, NAN]], [[-INF, 0]])),
      )),
    Row("bottleneck", lambda _, v: bottleneck(BAR, BAR, norm=v), BarcodeError, "but norm is",
        (0, -1, NAN, "2", None, True, [2], np.array([2.0, 3.0]), 2j)),
    Row("wasserstein", lambda _, v: wasserstein(BAR, BAR, 1, norm=v), BarcodeError, "but norm is",
        (0.5, "inf", None)),
    Row("wasserstein", lambda _, v: wasserstein(BAR, BAR, v), BarcodeError, "but q is",
        (0, NAN, "1", None, True, [1, 2])),
    Row("w_inf", lambda _, v: w_inf(BAR, essential=v), OptionError, "essential must be",
        (*INSTEAD, -1, NAN, 1.0)),
)  # fmt: skip

FILES_AND_PICTURES = (
    *(Row(f"{kind.__name__}.load", lambda g, v, kind=kind: kind.load(g.folder / v), error, piece,
          bad)
      for kind, other in ((Complex, "barcodes.json"), (Bars, "complex.npz"))
      for error, piece, bad in (
          (FileNotFoundError, "nowhere", ("nowhere",)),
          (IsADirectoryError, "folder", ("folder",)),
          (DataError, "save it anew", ("text.npz", other)),
      )),
    *(Row(f"{kind.__name__}.load", lambda _, v, kind=kind: kind.load(v), OptionError, "a Path",
          NO_PATH)
      for kind in (Complex, Bars)),
    *(Row(f"{type_}.save", lambda g, v, part=part: getattr(g, part).save(g.folder / v), error, v,
          (v,))
      for type_, part in (("FilteredComplex", "complex"), ("Barcode", "barcode"))
      for error, v in ((IsADirectoryError, "folder"), (FileNotFoundError, "nowhere/file"))),
    Row("FilteredComplex.save", lambda g, v: g.complex.save(v), OptionError, "a Path", NO_PATH),
    Row("Barcode.save", lambda g, v: g.barcode.save(v), OptionError, "a Path", NO_PATH),
    *(Row(plot.__name__, lambda _, v, plot=plot: plot(v), OptionError, "of type Barcode",
          (5, None, [BAR], np.zeros((1, 2)), Bars, [barred()]))
      for plot in (plot_barcode, plot_diagram)),
    Row("plot_barcode", lambda g, v: plot_barcode(g.complex, v), OptionError, "of type Barcode"),
    Row("plot_barcode", lambda g, v: plot_barcode(g.barcode, v), OptionError, "of type Axes",
        NO_AXES),
    Row("plot_diagram", lambda g, v: plot_diagram(g.barcode, v), OptionError, "of type Axes",
        NO_AXES),
)  # fmt: skip

TABLE = (*COMPLEXES, *BARCODES, *DISTANCES, *FILES_AND_PICTURES)

HANDED = {"Chain", "Barcode.located"}
"""What the library makes, and hands out: nothing is asked of who calls it."""


@rows(*TABLE)
def test_bad_input_is_refused(row: Row, bad: Any, good: Good):
    assert_refused(row, bad, good, good.folder)


def test_everything_that_can_be_called_has_a_row():
    assert without_rows(reduction, TABLE, HANDED) == []
    assert unknown(reduction, TABLE, HANDED) == []
