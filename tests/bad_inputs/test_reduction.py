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
    DataError,
    DimensionError,
    FieldError,
    FiltrationError,
    OptionError,
    Pairs,
    ShapeError,
    bottleneck,
    optimal_matching,
    plot_barcode,
    plot_diagram,
    w_inf,
    wasserstein,
)
from reduction import Ends as Points
from reduction import FilteredComplex as Complex
from tests.bad_inputs.filtrations import (
    CHAINS,
    EXCHANGE,
    FILTRATIONS,
    IMAGES,
    NO_PRIME,
    POINTS,
    TRIANGLE,
)
from tests.bad_inputs.table import (
    INF,
    INSTEAD,
    NAN,
    NO_AXES,
    NO_PATH,
    UNSURE,
    Row,
    assert_complete,
    assert_refused,
    rows,
)

BAR, PAIR = [[0, 1]], ([[0]], [[0, 1]])
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
    Row("FilteredComplex", lambda _, v: Complex([POINTS], v), ShapeError,
        "vertices has 1 dimensions and values 2; give", ([[0] * 3, [1]],)),
    Row("FilteredComplex", lambda _, v: Complex(v, v), FiltrationError, "dimension 0 is empty",
        ([],)),
    *(Row("FilteredComplex", lambda _, v: Complex([v], [[0.0] * 3]), ShapeError,
          f"vertices[0] {piece}", bad)
      for piece, bad in {
          "has shape (2,) and type int64; give an integer array of shape (m, 1)": ([0, 1],),
          "has shape (1, 1) and type": ([["a"]], [[2**64]]),
          "has shape (1, 1) and type float64; give an integer": ([[0.0]],),
          "has shape (1, 1) and type bool; give an integer": ([[True]],),
          "has shape (1, 2)": ([[0, 1]],),
          "has shape ()": (None,),
          "is ragged; give 1 labels in each row": ([[0], [1, 2]],),
      }.items()),
    *(Row("FilteredComplex", lambda _, v: Complex([POINTS], [v]), ShapeError, f"values[0] {piece}",
          bad)
      for piece, bad in {
          "has shape () and": ("x", 0.0),
          "has shape (2,) and type int64 for 3 simplices; give a float64": ([0, 0],),
          "has shape (3,) and type <U1 for 3 simplices; give a float64": (["a", "b", "c"],),
          "has shape (3,) and type": ([None] * 3,),
          "has shape (3,) and type complex128": ([1j, 0, 0],),
          "has shape (3,) and type bool": ([True, False, True],),
          "is ragged; give one number for each simplex": ([0, [1], 2],),
      }.items()),
    *(Row("FilteredComplex", lambda _, v: Complex([POINTS], [v]), FiltrationError, piece, (bad,))
      for piece, bad in {
          "values[0][1] is nan; leave out": [0, NAN, 0], "values[0][2] is inf": [0, 0, INF],
          "values[0][0] is -inf": [-INF, 0, 0],
      }.items()),
    *(Row("FilteredComplex", lambda _, v: Complex([v], [[0.0] * len(v)]), FiltrationError, piece,
          (bad,))
      for piece, bad in {
          "dimension 0 is empty; list": np.empty((0, 1), int),
          "(5,) stands in rows 0 and 2 of vertices[0]; remove one": [[5], [6], [5]],
          "lie in 0..2**63-1, but row 0 of vertices[0] is [-1]; relabel": [[-1]],
          "lie in 0..2**63-1, but row 0 of vertices[0] is [9223372036854775808]": [[2**63]],
      }.items()),
    *(Row("FilteredComplex",
          lambda _, v: Complex([POINTS, *v], [[r] * len(x) for r, x in enumerate([POINTS, *v])]),
          error, piece, (bad,))
      for error, piece, bad in (
          (ShapeError, "vertices[1] has shape (1, 3)", [TRIANGLE]),
          (FiltrationError, "distinct, but row 1 of vertices[1] is [2, 2]; remove",
           [[[0, 1], [2, 2]]]),
          (FiltrationError, "ascend in each row, but row 1 of vertices[1] is [2, 0]; sort",
           [[[0, 1], [2, 0]]]),
          (FiltrationError, "(0, 1) stands in rows 0 and 2 of vertices[1]; remove",
           [[[0, 1], [1, 2], [0, 1]]]),
          (FiltrationError, "(7,) of (1, 7) is missing", [[[1, 7]]]),
          (FiltrationError, "(1, 2) of (0, 1, 2) is missing; add", [[[0, 1], [0, 2]], TRIANGLE]),
          (FiltrationError, "(0, 2) of (0, 1, 2) is missing; add", [[[0, 1], [1, 2]], TRIANGLE]),
          (FiltrationError, "(1, 2) of (0, 1, 2) is missing", [np.empty((0, 2), int), TRIANGLE]),
      )),
    Row("FilteredComplex", lambda _, v: Complex([POINTS, [[1, 2]]], v), FiltrationError,
        "(2,) has value 3.0 > 2.5 of (1, 2); raise each simplex to the maximum",
        ([[0, 0, 3], [2.5]],)),
    *FILTRATIONS,
    *(Row("FilteredComplex.from_simplices", lambda _, v: Complex.from_simplices(v), ShapeError,
          piece, bad)
      for piece, bad in {
          "simplices are a mapping to their values, got": (5, None, [(0,)]),
          "a simplex is a tuple of integer labels, but one is":
              ({0: 1.0}, {(): 1.0}, {(0.0,): 1.0}, {(True,): 1.0}, {"a": 1.0}, {("a", 1): 1.0},
               {(0, None): 1.0}),
          "values[0] has": ({(0,): "x"}, {(0,): None}, {(0,): True}, {(0,): [1]}),
          "vertices[0] has": ({(2**64,): 1.0},),
      }.items()),
    *(Row("FilteredComplex.from_simplices", lambda _, v: Complex.from_simplices(v),
          FiltrationError, piece, bad)
      for piece, bad in {
          "a complex has a vertex, but dimension 0 is empty": ({}, {(0, 1): 1.0}),
          "values[0][0] is nan": ({(0,): NAN},),
          "distinct, but row 0 of vertices[1] is [0, 0]": ({(0,): 0.0, (0, 0): 1.0},),
          "row 0 of vertices[0] is [-1]": ({(-1,): 1.0},),
          "(0, 1) stands in rows 0 and 1": ({(0,): 0, (1,): 0, (0, 1): 1, (1, 0): 1},),
          "(1, 2) of (0, 1, 2) is missing": ({(0,): 0, (1,): 0, (2,): 0, (0, 1, 2): 1},),
      }.items()),
    *(Row(f"FilteredComplex.{name}", call, DimensionError, piece, bad)
      for name, call, below in (
          ("facets", lambda g, v: g.complex.facets(v), 0),
          ("boundary", lambda g, v: g.complex.boundary(v), 0),
          ("order", lambda g, v: g.complex.order(v), -1),
          ("barcode", lambda g, v: g.complex.barcode(max_index=v), -1),
      )
      for piece, bad in (
          ("a dimension is a whole number, got", (0.5, "1", True, 1.0, NAN)),
          (f"is outside {below + 1}..2 of this complex; take one", (below, below - 1, 3)),
      )),
    *(Row(f"FilteredComplex.{name}", lambda g, v, name=name: getattr(g.complex, name)(v),
          DimensionError, "a dimension is a whole number, got None", (None,))
      for name in ("facets", "boundary", "order")),
    Row("FilteredComplex.boundary", lambda _, v: Complex([[[0]]], [[0]]).boundary(v),
        DimensionError, "dimension 1 is asked of a complex of vertices alone", (1,)),
    Row("FilteredComplex.barcode", lambda g, v: g.complex.barcode(v), FieldError,
        "in Z/p for a prime p < 2**31, but field is", NO_PRIME),
    Row("FilteredComplex.barcode", lambda g, v: g.complex.barcode(keep_zero=v), OptionError,
        "keep_zero must be True or False", UNSURE),
    Row("FilteredComplex.barcode", lambda g, v: g.complex.barcode(threads=v), OptionError,
        "threads must be a whole number of at least 1", (0.5, "1", True, 0, -1, NAN)),
    Row("FilteredComplex.canonical_form", lambda g, v: g.complex.canonical_form(v), FieldError,
        "field is", NO_PRIME),
)  # fmt: skip

BARCODES = (
    *(Row("Barcode", lambda _, v: barred(bars=v), ShapeError, piece, bad)
      for piece, bad in {
          "bars": (3, None, ["ab"], [[[0, 1], [2]]], [[["a", "b"]]], [[[True, True]]]),
          "bars has 0 indices and pairs 1; give": ([],),
          "bars[0] has shape (2,)": ([[0, 1]],),
      }.items()),
    Row("Barcode", lambda _, v: barred(bars=[[v]]), BarcodeError,
        "a finite birth and a death not before it, but row 0 of bars[0] is [",
        ([1, 0], [NAN, 0], [0, NAN], [-INF, 0])),
    Row("Barcode", lambda _, v: barred(pairs=v), ShapeError, "pairs",
        (3, None, [], [5], [([[0]],)], [(*PAIR, 1)])),
    *(Row("Barcode", lambda _, v: barred(v), error, f" of index 0 {piece}", bad)
      for error, piece, bad in (
          (ShapeError, "have shape", (Pairs(1, 2), (None, None), ([["a"]], [[0, 1]]),  # pyright: ignore
                                      ([[True]], [[0, 1]]), ([[0]], [[0, 1, 2]]))),
          (ShapeError, "have shape (3, 1)", (([[2], [1], [0]], [[-1, -1], [1, 2], [0, 1]]),)),
          (ShapeError, "have shape (1, 1) and type float64 for 1 bars; give an integer array of",
           (([[0.5]], [[0, 1]]),)),
          (ShapeError, "is ragged", (([[0], [1, 2]], [[0, 1]]),)),
          (BarcodeError, "is [-1] for the bar [0.0, 1.0]; give asc", (([[-1]], [[0, 1]]),)),
          (BarcodeError, "is [1, 0] for the bar [0.0, 1.0]; give asc", (([[0]], [[1, 0]]),)),
          (BarcodeError, "is [-1, -1] for the bar [0.0, 1.0]; give asc", (([[0]], [[-1, -1]]),)),
      )),
    Row("Barcode", lambda _, v: barred(v, bars=[[[0, INF]]]), BarcodeError,
        "deaths[0] of index 0 is [0, 1] for the bar [0.0, inf]", (PAIR,)),
    *(Row("Barcode", lambda _, v: barred(v, bars=[[[0, 2], [1, 3], [0, 4]]]), BarcodeError,
          f"{piece} of index 0; remove one of the two bars", (bad,))
      for piece, bad in {
          "[5] stands twice in the births": ([[5], [4], [5]], [[4, 5], [3, 4], [3, 5]]),
          "[4, 5] stands twice in the deaths": ([[5], [4], [3]], [[4, 5], [3, 4], [4, 5]]),
      }.items()),
    Row("Barcode", lambda _, v: barred(field=v), FieldError, "but field is", NO_PRIME),
    Row("Barcode", lambda _, v: barred(ends=v), ShapeError, "give ",
        (5, [], [5], [(5, 6)], [(ends(),)], [BarEnds(1, 2)], [(ends(), ends(points=[[1.0]]))],  # pyright: ignore
         [(ends(), ends().taken(np.arange(0)))])),
    Row("Barcode", lambda _, v: barred(ends=v), BarcodeError, "Morse index 1",
        ([(ends(), ends())],)),
    Row("BarEnds", lambda g, v: g.barcode.with_ends([v, v]), ShapeError, "ends[0] are two Ends",
        (BarEnds(1, 2), BarEnds(ends(), None))),  # pyright: ignore
    Row("Pairs", lambda _, v: barred(v), ShapeError, "of index 0", (Pairs(1, 2),)),  # pyright: ignore
    *(Row(f"Barcode.{name}", lambda g, v, name=name: getattr(g.barcode, name)(v), DimensionError,
          "is not reported (reported: 0..1); ask", (*NO_INDEX, (0,), slice(1)))
      for name in ("__getitem__", "pairs", "ends", "finite", "essential", "w_inf", "repeated",
                   "bounds", "error")),
    Row("Barcode.__getitem__", lambda _, v: Complex([[[0]]], [[0]]).barcode()[v], DimensionError,
        "(reported: 0..0); ask for one of these, or take barcode(max_index=1) of a complex of "
        "dimension 2 or more", (1,)),
    Row("Barcode.__getitem__", lambda _, v: Bars([], [], 2)[v], DimensionError,
        "index 0 is not reported (reported: none)", (0,)),
    *(Row(f"Barcode.{name}", lambda g, v, name=name: getattr(g.barcode, name)(v, 0), DimensionError,
          "is not reported", NO_INDEX)
      for name in ("cycle", "cocycle", "shortened")),
    *(Row(f"Barcode.{name}", lambda g, v, name=name: getattr(g.barcode, name)(0, v), BarcodeError,
          "is none of index 0 (rows: 0..3)", (*NO_INDEX, 0.0, 99))
      for name in ("cycle", "cocycle", "shortened")),
    Row("Barcode.cycle", lambda _, v: Complex.complete(3, [[0] * 3, [1] * 3, [1]]).barcode()
        .cycle(1, v), BarcodeError, "0 is none of index 1 (rows: none)", (0,)),
    *(Row(f"Barcode.{name}", lambda g, _, name=name:
          getattr(Bars.load(g.folder / "barcodes.json"), name)(0, 0), BarcodeError,
          f"{kinds} consist of simplices of a complex, but this barcode was loaded")
      for name, kinds in (("cycle", "cycles"), ("cocycle", "cocycles"), ("shortened", "cycles"))),
    Row("Barcode.shortened", lambda g, v: g.barcode.shortened(1, 0, level=v), BarcodeError,
        "from its birth 3.0 on and before its death 9.0, but level is",
        (2, 9, NAN, INF, "4", True)),
    Row("Barcode.shortened", lambda _, v: Complex.complete(2, [[0, 0], [0]]).barcode(keep_zero=True)
        .shortened(0, 0, level=v), BarcodeError, "give one between them, and a bar that is not"),
    Row("Barcode.shortened", lambda g, v: g.barcode.shortened(1, 0, weights=v), ShapeError,
        "weights has shape", (3, [1], ["a"] * 6, [True] * 6)),
    Row("Barcode.shortened", lambda g, v: g.barcode.shortened(1, 0, weights=v), OptionError,
        "weights are finite and not negative, but weights[5] is",
        ([0, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, NAN], [0, 0, 0, 0, 0, INF])),
    Row("Barcode.with_ends", lambda g, v: g.barcode.with_ends(v), ShapeError, "give ",
        (3, None, [], [1, 2], [(ends(), ends())] * 2)),
    Row("Barcode.with_bounds", lambda g, v: g.barcode.with_bounds(v), ShapeError, "give ",
        (3, None, [], [1, 2], [([], 0.0)], [(["a"], 0.0)] * 2)),
    Row("FilteredComplex.barcode", lambda _, v: Complex([[[0]]], [[0]]).barcode(lower=v),
        ShapeError, "lower", (3, [], [["a"]], [[0, 1]], [3], [[[0], [0, 1]]])),
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
    Row("CanonicalForm.matching", lambda g, v: g.form.matching(v), DimensionError,
        "is asked for; take one", (*NO_INDEX, 0, 3, NAN)),
    *(Row(f"CanonicalForm.{name}", lambda g, v, name=name: getattr(g.form, name)(v),
          DimensionError, "is outside 0..2", (*NO_INDEX, 3))
      for name in ("pairs", "essential")),
)  # fmt: skip

DISTANCES = (
    *(Row(name, call, error, piece, bad)
      for name, given, call in (
          ("bottleneck", "a", lambda _, v: bottleneck(v, BAR)),
          ("bottleneck", "b", lambda _, v: bottleneck(BAR, v)),
          ("wasserstein", "a", lambda _, v: wasserstein(v, BAR, 1)),
          ("w_inf", "bars", lambda _, v: w_inf(v)),
          ("optimal_matching", "a", lambda _, v: optimal_matching(v, BAR, 1)),
      )
      for error, piece, bad in (
          (ShapeError, f"{given} has shape", (5, None, "ab", [[0j, 1]], [["0", "1"]])),
          (ShapeError, f"{given} has shape (2,)", ([0, 1],)),
          (ShapeError, f"{given} has shape (1, 3) and type float64; give a", ([[0.0, 1, 2]],)),
          (ShapeError, f"{given} has shape (1, 2) and type bool", ([[True, True]],)),
          (ShapeError, f"{given} is ragged; give a birth and a death in", ([[0, 1], [2]],)),
          (BarcodeError, f"a finite birth and a death not before it, but row 0 of {given} is [",
           ([[1, 0]], [[NAN, 0]], [[0, NAN]], [[-INF, 0]], [[INF, INF]])),
          (BarcodeError, f"row 1 of {given} is [2.0, 1.0]; mend or remove", ([[0, 1], [2, 1]],)),
      )),
    *(Row(name, call, BarcodeError, piece, (0.5, 0, -1, NAN, "2", None, True, [2],
                                            np.array([2.0, 3.0]), 2j))
      for name, call, piece in (
          ("bottleneck", lambda _, v: bottleneck(BAR, BAR, norm=v), "p >= 1, but norm is"),
          ("wasserstein", lambda _, v: wasserstein(BAR, BAR, 1, norm=v), "p >= 1, but norm is"),
          ("wasserstein", lambda _, v: wasserstein(BAR, BAR, v), "q >= 1, but q is"),
          ("optimal_matching", lambda _, v: optimal_matching(BAR, BAR, v), "q >= 1, but q is"),
      )),
    Row("optimal_matching", lambda _, v: optimal_matching(BAR, v), BarcodeError,
        "but a has 0 and b 1; compare the finite ones alone", ([[0, INF]],)),
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

TABLE = (*COMPLEXES, *IMAGES, *CHAINS, *EXCHANGE, *BARCODES, *DISTANCES, *FILES_AND_PICTURES)

HANDED = {"Matching", "Bounds", "Chain", "Barcode.located"}
"""What the library makes, and hands out: nothing is asked of who calls it."""


@rows(*TABLE)
def test_bad_input_is_refused(row: Row, bad: Any, good: Good):
    assert_refused(row, bad, good, good.folder)


def test_everything_that_can_be_called_has_a_row():
    assert_complete(reduction, TABLE, HANDED)
