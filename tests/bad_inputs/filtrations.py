"""Bad inputs of filtrations and chain complexes, for the table of `reduction`."""

import numpy as np
from gudhi import SimplexTree

from reduction import (
    CapacityError,
    ChainComplex,
    DataError,
    DimensionError,
    FieldError,
    FiltrationError,
    OptionError,
    ShapeError,
    from_simplex_tree,
    read_boundary_matrix,
    read_lower_distances,
    to_simplex_tree,
    write_boundary_matrix,
    write_lower_distances,
)
from reduction import FilteredComplex as Complex
from tests.bad_inputs.table import INF, INSTEAD, NAN, NO_PATH, UNSURE, Row

EDGE = ([[0], [1]], [[0, 1]])
NO_PRIME = (4, 1, 0, -2, 9, 2**31, 2**61 - 1, 10**40, 2.0, "2", None, True, NAN)
POINTS, TRIANGLE = [[0], [1], [2]], [[0, 1, 2]]

FILTRATIONS = (
    Row("FilteredComplex.complete", lambda _, n: Complex.complete(n, [[0.0]]), DimensionError, ";",
        (*INSTEAD, NAN, 0, -1)),
    *(Row("FilteredComplex.complete", lambda _, v: Complex.complete(3, v), ShapeError,
          f"values{piece}", bad)
      for piece, bad in {
          " must be a sequence": (5, None),
          "[0] has shape (2,), but 3 vertices span 3 simplices of dim": ([[0, 0]],),
          "[1] has shape (2,), but 3 vertices span 3 simplices of dim": ([[0] * 3, [1] * 2],),
          "[0] ": ([[0, 0, "a"]], [[0, 0, [1, 2]]]),
      }.items()),
    Row("FilteredComplex.complete", lambda _, v: Complex.complete(2, v), FiltrationError, "but ",
        ([[0, NAN]], [[0, 5], [1]])),
    *(Row("FilteredComplex.complete", lambda _, v: Complex.complete(2, v), DimensionError,
          f"2 vertices span simplices of the dimensions 0..1, but values has {len(bad)} arrays; "
          "give 1 to 2", (bad,))
      for bad in ([], [[0, 0], [0], []])),
    Row("FilteredComplex.complete", lambda _, v: Complex.complete(1, [[0]], copy=v), OptionError,
        "copy must be True or False", UNSURE),
    *(Row("FilteredComplex.complete", lambda _, v: Complex.complete(3, [v]), ShapeError, piece,
          (bad,))
      for piece, bad in {
          "2 of values[0], a masked array, are masked; fill or": np.ma.masked_less([0, 1, 2], 2),
          "but values[0] has 9007199254740993; subtract": [0.5, 2**53 + 1, 0],
          "but values[0] has 9223372036854775807; subtract": [0, 2**63 - 1, 0],
          "but values[0] has 18446744073709551615; subtract": [0, 2**64 - 1, 0],
      }.items()),
    *(Row("FilteredComplex.complete", lambda _, v: Complex.complete(3, [v], copy=False),
          ShapeError, f"but values[0] is of type {piece}; convert it, or leave out copy=False",
          (bad,))
      for piece, bad in {
          "list": [0.0] * 3, "int64 in steps of (8,) bytes": np.zeros(3, int),
      }.items()),
    *(Row("FilteredComplex.rips", lambda _, v: Complex.rips(v, 1), error, piece, bad)
      for error, piece, bad in (
          (ShapeError, "give a float64 array of shape (n, n) for n >= 1 points",
           (3.0, "x", None, [], [[0, 1, 2]], [["a"]], [[True]], np.zeros((2, 3)), np.eye(0))),
          (ShapeError, "distances is ragged; give a square matrix",
           ([[0, 1], [1]], ([0, 1], [1, [2]]))),
          (ShapeError, "distances[0] is ragged; give two labels in each row",
           (([[0, 1], [1]], [1.0, 2.0]),)),
          (ShapeError, "distances[1] is ragged; give one length for each edge",
           (([[0, 1], [1, 2]], [1.0, [2.0]]),)),
          (FiltrationError, "distances[0, 1] is 1.0 and distances[1, 0] is 2.0; correct one",
           ([[0, 1], [2, 0]],)),
          (FiltrationError, "from 0 on, but distances[0, 1] is -1.0; ", ([[0, -1], [-1, 0]],)),
          (FiltrationError, "distances[0, 1] is nan; ", ([[0, NAN], [NAN, 0]],)),
          (FiltrationError, "distances[1, 0] is 2.0; complete a triangle by", ([[0, 0], [2, 0]],)),
          (FiltrationError, "0 from itself, but distances[0, 0] is 1.0", ([[1, 1], [1, 0]],)),
          (FiltrationError, "0 from itself, but distances[1, 1] is 3.0", ([[0, 1], [1, 3]],)),
      )),
    *(Row("FilteredComplex.rips",
          lambda _, v, t=threshold: Complex.rips([[0, 1], [1, 0]], v, threshold=t),
          DimensionError, "up to one of the dimensions 0..63, but dim is",
          (*INSTEAD, 64, 2**70, -1, 1.0))
      for threshold in (None, 1)),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips([[0]], 0, threshold=v), OptionError,
        "; give one, inf for all edges, or leave it out",
        (NAN, -1, -INF, "2", True, [1], 1j, np.complex128(1), np.bool_(True), -(10**400))),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips([[0], [1]], 1, metric=v), OptionError,
        "have no distances by metric=",
        ("nope", "", float, dict, lambda a: 0, lambda a, b: 1j, lambda a, b: 10**400, max)),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips([[0], [1]], 1, metric=v), OptionError,
        "a metric is one of scipy.spatial.distance.pdist, got", ({}, 3, True, [])),
    Row("FilteredComplex.rips", lambda _, v: Complex.rips(np.ones(v) - np.eye(*v), 9),
        CapacityError, "GB of memory", ((500, 500),)),
    Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(EDGE, [[0, 0], [1]], v),
        DimensionError, "up to one of the dimensions 0..63, but dim is",
        (*INSTEAD, 64, 2**70, -1, 1.0)),
    *(Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(v, v, 1), ShapeError, piece, bad)
      for piece, bad in {
          "give two arrays, of the vertices and of the edges": (3, None),
          "vertices has 1 arrays and values 1; give two of each": ([[[0]]],),
      }.items()),
    Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(v, [[0] * 3, [1]], 2), ShapeError,
        "vertices[1] has shape (1, 3)", ([POINTS, TRIANGLE],)),
    Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(EDGE, v, 1), FiltrationError,
        "values[0][1] is nan", ([[0, NAN], [1]],)),
    Row("FilteredComplex.cliques", lambda _, v: Complex.cliques(EDGE, v, 1), FiltrationError,
        "(1,) has value 2.0 > 1.0 of (0, 1)", ([[0, 2], [1]],)),
)  # fmt: skip

IMAGES = (
    *(Row("FilteredComplex.lower_star", lambda _, v: Complex.lower_star(v, [0] * 3), error, piece,
          bad)
      for error, piece, bad in (
          (ShapeError, "simplices is ragged; give the same number", ([[0, 1], [2]], [(0,), ()])),
          (ShapeError, "simplices has shape", (3, None, "ab", [0, 1], [[0.0, 1.0]], [[]],
                                               [[True, False]], [[[[0]]]])),
          (ShapeError, "simplices[1] has shape (1, 1) and type float64", ([[[0, 1]], [[0.5]]],)),
          (FiltrationError, "vertices are 0..2, one for each of vertex_values, but row 1 of "
           "simplices is [1, 3]; relabel", ([[0, 1], [1, 3]],)),
          (FiltrationError, "row 0 of simplices is [-1, 1]; relabel", ([[-1, 1]],)),
          (FiltrationError, "row 0 of simplices[0] has those of [1, 1]",
           ([[[1, 1]], [[0, 1, 2]]],)),
      )),
    Row("FilteredComplex.lower_star", lambda _, v: Complex.lower_star(v, [0] * 70), CapacityError,
        "the faces of the simplices needs", (np.arange(70)[None],)),
    *(Row("FilteredComplex.lower_star", lambda _, v: Complex.lower_star([[0, 1]], v), error, piece,
          bad)
      for error, piece, bad in (
          (ShapeError, "vertex_values has shape", (3, None, "ab", [], [[0, 1]], ["a", "b"])),
          (ShapeError, "vertex_values is ragged; give", ([0, [1]],)),
          (FiltrationError, "values[0][1] is nan", ([0, NAN],)),
          (FiltrationError, "vertices are 0..0, one for each", ([1.0],)),
      )),
    *(Row(name, call, error, piece, bad)
      for name, call in (
          ("FilteredComplex.freudenthal", lambda _, v: Complex.freudenthal(v)),
          ("ChainComplex.cubical", lambda _, v: ChainComplex.cubical(v)),
      )
      for error, piece, bad in (
          (ShapeError, "array has shape", (3, None, "ab", [], [[]], ["a"], [1j],
                                           np.zeros((1, 2, 1, 2, 1)))),
          (ShapeError, "array is ragged; give", ([0, [1]],)),
          (ShapeError, "array, a masked array, are masked", (np.ma.masked_less([0, 1], 1),)),
          (FiltrationError, "values are finite, but array[0, 1] is nan; replace", ([[0, NAN]],)),
          (FiltrationError, "values are finite, but array[0] is inf; replace", ([INF],)),
          (CapacityError, "take a smaller array", (np.broadcast_to(0.0, (10**5, 10**5)),)),
      )),
    Row("FilteredComplex.freudenthal", lambda _, v: Complex.freudenthal([0], superlevel=v),
        OptionError, "superlevel must be True or False", UNSURE),
    Row("ChainComplex.cubical", lambda _, v: ChainComplex.cubical([0], superlevel=v),
        OptionError, "superlevel must be True or False", UNSURE),
    Row("ChainComplex.cubical", lambda _, v: ChainComplex.cubical([0], values_on=v), OptionError,
        "has values on 'top cells' or on 'vertices', but values_on is",
        ("cells", "", None, 1, ["vertices"])),
    Row("ChainComplex.cubical", lambda _, v: ChainComplex.cubical([[0, 1]], periodic=v),
        OptionError, "an axis is periodic or not, but periodic is",
        (None, 1, "yes", [True], [1, 0], [True, None])),
)  # fmt: skip

CHAINS = (
    *(Row("ChainComplex", lambda _, v: ChainComplex(*v), error, piece, bad)
      for error, piece, bad in (
          (ShapeError, "boundaries must be a sequence", ((5, [[0]]),)),
          (ShapeError, "values must be a sequence", (([], None),)),
          (ShapeError, "values of one degree more than matrices, but 0 and 0", (([], []),)),
          (ShapeError, "values of one degree more than matrices, but 1 and 1", (([[[0]]], [[0]]),)),
          (ShapeError, "values[0] is ragged; give one number", (([], [[0, [1]]]),)),
          (ShapeError, "values[0] has shape (1, 1) and type int64; give one", (([], [[[0]]]),)),
          (ShapeError, "values[0] has shape (1,) and type bool; give one", (([], [[True]]),)),
          (FiltrationError, "values[0][1] is nan; leave out", (([], [[0, NAN]]),)),
          (ShapeError, "boundaries[0] has shape (1, 2) and type int64 for 1 and 1 of them",
           (([[[0, 0]]], [[0], [1]]),)),
          (ShapeError, "boundaries[0] has shape (1, 1) and type float64",
           (([[[0.0]]], [[0], [1]]),)),
          (ShapeError, "boundaries[0] has shape", (([None], [[0], [1]]), (["a"], [[0], [1]]))),
          (ShapeError, "has one of 2147483648; scale", (([[[2**31]]], [[0], [1]]),)),
          (ShapeError, "coefficients of boundaries[0] times those of boundaries[1] may add up to "
           "1.84e+19; scale", (([[[2**30] * 16], [[2**30]] * 16], [[0], [1] * 16, [2]]),)),
          (FiltrationError, "generator 0 of degree 0 has value 2.0 > 1.0 of generator 1 of degree "
           "1; give", (([[[0, -1]]], [[2], [1, 1]]),)),
          (FiltrationError, "that of generator 0 of degree 2 has -1 times generator 0 of degree 0",
           (([[[-1]], [[1]]], [[0], [1], [2]]),)),
      )),
    Row("ChainComplex.barcode", lambda _, v: ChainComplex([], [[0]]).barcode(v), FieldError,
        "field is", NO_PRIME),
    Row("ChainComplex.barcode", lambda _, v: ChainComplex([], [[0]]).barcode(keep_zero=v),
        OptionError, "keep_zero must be True or False", UNSURE),
    Row("ChainComplex.barcode", lambda _, v: ChainComplex([], [[0]]).barcode(max_index=v),
        DimensionError, "is one of 0..0, but max_index is", (0.5, "1", True, -1, 1)),
)  # fmt: skip

EXCHANGE = (
    Row("from_simplex_tree", lambda _, v: from_simplex_tree(v), OptionError,
        "has the method get_simplices, got", (3, None, {}, SimplexTree, Complex([[[0]]], [[0]]))),
    Row("from_simplex_tree", lambda _, __: from_simplex_tree(SimplexTree()), FiltrationError,
        "dimension 0 is empty"),
    Row("to_simplex_tree", lambda _, v: to_simplex_tree(v, SimplexTree()), OptionError,
        "is filled with a FilteredComplex, got", (3, None, SimplexTree)),
    Row("to_simplex_tree", lambda g, v: to_simplex_tree(g.complex, v), OptionError,
        "into an empty simplex tree, got", (3, None, SimplexTree)),
    Row("to_simplex_tree", lambda g, _: to_simplex_tree(g.complex, to_simplex_tree(
        g.complex, SimplexTree())), OptionError, "into an empty simplex tree, got"),
    Row("to_simplex_tree", lambda _, v: to_simplex_tree(Complex([[[v]]], [[0]]), SimplexTree()),
        ShapeError, "but one is 2147483648; relabel", (2**31,)),
    Row("read_lower_distances", lambda _, v: read_lower_distances(v), OptionError, "a Path",
        NO_PATH),
    Row("read_lower_distances", lambda g, v: read_lower_distances(g.folder / v), FileNotFoundError,
        "nowhere", ("nowhere",)),
    Row("read_lower_distances", lambda g, v: read_lower_distances(g.folder / v), DataError,
        "has entries that are no numbers; give", ("text.npz", "complex.npz")),
    Row("read_boundary_matrix", lambda _, v: read_boundary_matrix(v), OptionError, "a Path",
        NO_PATH),
    Row("read_boundary_matrix", lambda g, v: read_boundary_matrix(g.folder / v), FileNotFoundError,
        "nowhere", ("nowhere",)),
    Row("read_boundary_matrix", lambda g, v: read_boundary_matrix(g.folder / v), DataError,
        "has entries that are no whole numbers; give", ("text.npz", "complex.npz")),
    Row("write_boundary_matrix", lambda g, v: write_boundary_matrix(v, g.complex), OptionError,
        "a Path", NO_PATH),
    Row("write_boundary_matrix", lambda g, v: write_boundary_matrix(g.folder / "d.txt", v),
        OptionError, "are those of a FilteredComplex or a ChainComplex, got", (3, None, [[0]])),
    Row("write_lower_distances", lambda _, v: write_lower_distances(v, [[0, 1], [1, 0]]),
        OptionError, "a Path", NO_PATH),
    *(Row("write_lower_distances", lambda g, v: write_lower_distances(g.folder / "d.txt", v), error,
          piece, (bad,))
      for error, piece, bad in (
          (ShapeError, "but there is 1; give two or more", [[0]]),
          (ShapeError, "distances has shape (2,)", [0, 1]),
          (FiltrationError, "but distances[0, 1] is inf; give a number", [[0, INF], [INF, 0]]),
      )),
)  # fmt: skip
