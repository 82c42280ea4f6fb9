"""Every bad input of `simplicial`, in one table."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import simplicial
from reduction import CapacityError, DataError, DimensionError, FieldError, OptionError, ShapeError
from simplicial import (
    EXACT,
    Algorithm1,
    Barycentric,
    Edgewise,
    Evaluation,
    LossComplex,
    LossError,
    Maximum,
    Minima,
    NudgedElastic,
    OptimisedSimplex,
    Recipe,
    RunError,
    Samples,
    SearchError,
    build_complex,
    constant,
    find_critical_points,
    find_minima,
    garipov,
    plot_barrier_tree,
    plot_edge,
    plot_samples,
    plot_triangle,
    with_saddles,
)
from simplicial.landscapes import Landscape, himmelblau
from tests.bad_inputs.table import (
    INF,
    INSTEAD,
    NAN,
    NO_AXES,
    NO_COUNT,
    NO_PATH,
    NO_SEED,
    UNSURE,
    Row,
    assert_complete,
    assert_refused,
    rows,
)
from tests.bad_inputs.tables import HANDED as OF_TABLES
from tests.bad_inputs.tables import TABLES

NO_NUMBER = (NAN, "1", None, True, 1j, [0.1], np.array([0.1, 0.2]))
NO_LOSS = (5, None, "loss", torch.nn.Linear)
CENTRE = np.full(3, 1 / 3)


class Good(NamedTuple):
    folder: Path
    loss: Landscape
    minima: Minima
    complex: LossComplex
    edge: OptimisedSimplex
    triangle: OptimisedSimplex
    samples: Samples


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    folder = tmp_path_factory.mktemp("files")
    loss = himmelblau()
    minima = Minima(torch.tensor(loss.minima), loss)
    optimizer = NudgedElastic(segments=2, steps=1)
    built = build_complex(minima, 2, optimizer=optimizer, resolution=3, progress=False)
    built.save(folder / "complex.npz")
    built.filtration.save(folder / "filtration.npz")
    (folder / "text.npz").write_text("no archive")
    (folder / "folder").mkdir()
    triangle = built[(0, 1, 2)]
    assert triangle.samples is not None
    return Good(folder, loss, minima, built, built[(0, 1)], triangle, triangle.samples)


def square(points: Tensor) -> Tensor:
    return (points**2).sum(dim=1)


def always(value: float) -> Callable[[Tensor], Tensor]:
    return lambda points: 0 * points.sum(dim=1) + value


def built(good: Good, max_dim: Any = 1, **changed: Any) -> LossComplex:
    """A complex of edges, but for what is changed."""
    options: dict[str, Any] = {"progress": False, **changed}
    return build_complex(good.minima, max_dim, **options)


VERTICES = (
    *(Row("Minima", lambda _, v: Minima(v, square), ShapeError, f"points must {piece}", bad)
      for piece, bad in {
          "be an (n, d) array of numbers, got": (None, "ab", [["a"]], [[1.0], [1.0, 2.0]]),
          "have shape (n, d) with n, d >= 1, got":
              (5, [], [1.0, 2.0], torch.zeros(0, 2), np.zeros((2, 0)), torch.zeros(2, 2, 2)),
          "be float32 or float64, got":
              ([[1, 2]], [[True]], np.zeros((1, 2), np.float16), np.array([[1j]])),
          "be finite, point 1 has nan at coordinate 1": ([[0.0, 1.0], [2.0, NAN]],),
          "be finite, point 0 has inf at coordinate 0": ([[INF, 1.0]],),
          "be distinct, point 2 equals point 0": ([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0]],),
      }.items()),
    *(Row("Minima", lambda g, v: Minima(g.minima.points, v), LossError, f"a loss must {piece}", bad)
      for piece, bad in {
          "be callable": NO_LOSS,
          "return a torch tensor":
              (lambda _: 3.0, lambda _: None, lambda p: p.sum(1).detach().numpy()),
          "return one value for each point": (lambda p: p, lambda p: p.sum()),
          "be floating": (lambda p: p.sum(1).long(),),
          "be at least float32, its values are torch.":
              (lambda p: p.sum(1).half(), lambda p: p.sum(1).bfloat16()),
          "be finite on every simplex: it is nan at point": (always(NAN),),
          "be finite on every simplex: it is inf at point": (always(INF),),
      }.items()),
    Row("Loss", lambda g, v: Minima(g.minima.points, v), LossError, "callable", NO_LOSS),
    Row("Minima", lambda g, v: Minima(g.minima.points, g.loss, v), OptionError, "search must be",
        (5, "found")),
    Row("Search", lambda g, v: Minima(g.minima.points, g.loss, v), OptionError, "search must be",
        (simplicial.Search,)),
    Row("Minima", lambda g, v: Minima(g.minima.points, g.loss, memory=v), OptionError, "memory",
        NO_COUNT),
    Row("Minima", lambda g, v: Minima(g.minima.points, g.loss, seen=v), OptionError, "seen must",
        (5, np.zeros(4))),
    Row("Evaluation", lambda g, v: Minima(g.minima.points, g.loss, seen=v), ShapeError, "float64",
        (Evaluation([0.0] * 4, None), Evaluation(np.zeros(1), None),  # pyright: ignore
         Evaluation(np.zeros(4), np.zeros(2)), Evaluation(np.array(["a"] * 4), None))),
    Row("Evaluation", lambda g, v: Minima(g.minima.points, g.loss, seen=v), LossError, "finite",
        (Evaluation(np.full(4, NAN), None), Evaluation(np.full(4, INF), None))),
    Row("Minima.joined", lambda g, v: g.minima.joined(v), OptionError, "must be a Minima",
        (5, None, torch.zeros(1, 2), Minima)),
    Row("Minima.joined", lambda g, v: g.minima.joined(Minima(torch.zeros(1, v), square)),
        ShapeError, "must have one dimension, got 2 and 3", (3,)),
    Row("Minima.joined", lambda g, v: g.minima.joined(Minima(torch.zeros(1, v), square)),
        LossError, "must share their loss object, got Landscape and another square", (2,)),
    Row("Minima.from_state_dicts", lambda _, v: Minima.from_state_dicts(v, square), LossError,
        "need a ParametrizedLoss, ", ([], 5, [{"w": torch.zeros(2)}])),
    *(Row(name, call, error, piece, bad)
      for name, search in {"find_minima": find_minima,
                           "find_critical_points": find_critical_points}.items()
      for call, error, piece, bad in (
          (lambda _, v, f=search: f(v), LossError, "callable", NO_LOSS),
          (lambda _, v, f=search: f(v), OptionError, "give dim=d", (square,)),
          (lambda _, v, f=search: f(square, dim=v), OptionError, "dim must", (0.5, "1", True, 0)),
          (lambda _, v, f=search: f(square, dim=v), OptionError, "takes at most 128 variables, got",
           (129, 10**6, 10**12)),
          (lambda g, v, f=search: f(g.loss, n=v), OptionError, "n must be", (0.5, "1", True, 0)),
          (lambda g, v, f=search: f(g.loss, n=v), CapacityError, "GB of memory", (10**13,)),
          (lambda g, v, f=search: f(g.loss, starts=v), OptionError, "starts", (0.5, "1", True, 0)),
          (lambda g, v, f=search: f(g.loss, starts=v), CapacityError, "GB", (10**13,)),
          (lambda g, v, f=search: f(g.loss, seed=v), OptionError, "seed must be", NO_SEED),
          (lambda g, v, f=search: f(g.loss, box=v), OptionError,
           "a box must be (2, 2) or (2,), finite, lowest coordinates before highest, got",
           (5, "ab", ("a", "b"), (1, 0), (0, 0), (NAN, 1), (0, INF), (0, 1, 2), (0j, 1j), [0, None],
            [[0, 1], [2]], [[0, 0, 0], [1, 1, 1]], (False, True), (-1e308, 1e308),
            np.zeros((3, 2)), torch.ones(2, requires_grad=True))),
          (lambda _, v, f=search: f(v, dim=2), LossError, "one value for each point",
           (lambda p: p, lambda p: p.square())),
          (lambda _, v, f=search: f(v, dim=2), LossError, "a loss must",
           (lambda _: 1.0, lambda p: p.sum(1).detach())),
          (lambda _, v, f=search: f(v, dim=2), SearchError, "none did",
           (always(1), always(NAN), lambda p: p.sum(1))),
      )),
    Row("find_critical_points", lambda g, v: find_critical_points(g.loss, v), OptionError,
        "index must be a whole number of at least 0", (*INSTEAD, 1.5, -1)),
    Row("find_critical_points", lambda g, v: find_critical_points(g.loss, v), OptionError,
        "Morse index in 2 variables is at most 2, got", (3, 2**70)),
    Row("with_saddles", lambda _, v: with_saddles(v), OptionError, "must be a Minima",
        (5, None, Minima, torch.zeros(1, 2))),
    Row("with_saddles", lambda _, v: with_saddles(Minima(torch.zeros(1, v), square)), OptionError,
        "leave saddles out, or add critical", (129, 500)),
    Row("with_saddles", lambda _, v: with_saddles(Minima(torch.zeros(1, v), square)), SearchError,
        "none did", (2,)),
    Row("with_saddles", lambda g, v: with_saddles(g.minima, starts=v), OptionError, "starts must",
        (0.5, "1", True, 0)),
    Row("with_saddles", lambda g, v: with_saddles(g.minima, seed=v), OptionError, "seed", NO_SEED),
)  # fmt: skip

BUILDS = (
    Row("build_complex", lambda _, v: build_complex(v), OptionError, "must be a Minima",
        (5, None, Minima, torch.zeros(2, 2))),
    Row("build_complex", built, OptionError, "max_dim must be", NO_COUNT),
    Row("build_complex", built, DimensionError, "lower max_dim", (4, 2**70)),
    *(Row("build_complex", lambda g, v, name=name: built(g, **{name: v}), OptionError,
          f"{name} must be", bad)
      for name, bad in {
          "optimizer": (5, "", "elastic", Algorithm1, NudgedElastic, Edgewise(3), torch.optim.SGD),
          "simplex_map": (5, "edgewise", Edgewise, NudgedElastic()),
          "resolution": NO_COUNT,
          "tolerance": (0, 1, -1e-3, NAN, "1e-3", True, False, [1e-3], 1j, np.zeros((9, 9))),
          "refinement_budget": (0, -1, 0.5, 1e3, "100", True, [100]),
          "certify": UNSURE, "saddles": UNSURE, "progress": UNSURE,
          "seed": NO_SEED,
          "memory": NO_COUNT,
          "store": (5, "", "a\0b", True, RunError),
          "executor": (5, "processes", ProcessPoolExecutor),
          "batch": (0.5, "1", True, 0, -2),
      }.items()),
    Row("Optimizer", lambda g, v: built(g, optimizer=v), OptionError, "an Optimizer",
        (5, Barycentric())),
    Row("SimplexMap", lambda g, v: built(g, simplex_map=v), OptionError, "a SimplexMap",
        (5, EXACT)),
    Row("build_complex", lambda g, v: built(g, resolution=v), OptionError, "raise", (1, 10**9)),
    Row("build_complex", lambda g, v: built(g, optimizer=v, simplex_map=Barycentric()),
        OptionError, "the optimizer's own", (NudgedElastic(),)),
    Row("build_complex", lambda g, v: built(g, store=g.folder / v), RunError, "choose another",
        ("text.npz", "text.npz/run")),
    Row("build_complex", lambda g, _: built(g, executor=ThreadPoolExecutor(1)), OptionError,
        "must be processes"),
    Row("LossComplex.load", lambda g, v: LossComplex.load(g.folder / v, g.loss), FileNotFoundError,
        "nowhere", ("nowhere",)),
    Row("LossComplex.load", lambda g, v: LossComplex.load(g.folder / v, g.loss),
        IsADirectoryError, "folder", ("folder",)),
    Row("LossComplex.load", lambda g, v: LossComplex.load(g.folder / v, g.loss), DataError,
        "save it anew", ("text.npz", "filtration.npz")),
    Row("LossComplex.load", lambda g, v: LossComplex.load(v, g.loss), OptionError, "a Path",
        NO_PATH),
    Row("LossComplex.load", lambda g, v: LossComplex.load(g.folder / "complex.npz", v), LossError,
        "loss", (*NO_LOSS, square, lambda p: p)),
    Row("LossComplex.load", lambda g, v: LossComplex.load(g.folder / "complex.npz", g.loss, v),
        OptionError, "cannot be used", ("gpu", "meta", None, -5, [1])),
    Row("LossComplex.save", lambda g, v: g.complex.save(g.folder / v), IsADirectoryError,
        "folder", ("folder",)),
    Row("LossComplex.save", lambda g, v: g.complex.save(g.folder / v), FileNotFoundError,
        "nowhere", ("nowhere/complex.npz",)),
    Row("LossComplex.save", lambda g, v: g.complex.save(v), OptionError, "a Path", NO_PATH),
    Row("LossComplex.barcode", lambda g, v: g.complex.barcode(v), FieldError, "field is",
        (4, 1, 0, -2, 2**31, 2.0, "2", None, True)),
    Row("LossComplex.barcode", lambda g, v: g.complex.barcode(keep_zero=v), OptionError,
        "keep_zero must be", UNSURE),
    Row("LossComplex.__getitem__", lambda g, v: g.complex[v], DimensionError,
        "a simplex is 1 to 3 ascending vertices from 0 to 3, got",
        ((), (4,), (1, 0), (0, 0), (0, 9), (-1, 0), (0, 1, 2, 3), (2**70, 2**71))),
    Row("LossComplex.__getitem__", lambda g, v: g.complex[v], DimensionError,
        "a simplex is named by its vertices, got",
        (0, "01", None, (0, 1.0), (0.5, 1.7), (0, "1"), (False, True), (0, [1]), {0, 1}, slice(1),
         np.array(3), np.zeros((2, 2), int))),
)  # fmt: skip

TRAINING = (
    *(Row(name, lambda _, v, option=option, make=make: make(**{option: v}), OptionError,
          f"{option} must be", bad)
      for name, make in {"Recipe": Recipe, "Recipe.changed": EXACT.changed}.items()
      for option, bad in {
          "epochs": NO_SEED,
          "batch_size": NO_COUNT,
          "learning_rate": (*NO_NUMBER, 0, -1, INF, torch.tensor(0.1)),
          "momentum": (*NO_NUMBER, 1, -0.1, INF),
          "nesterov": UNSURE,
          "weight_decay": (*NO_NUMBER, -1, INF),
          "schedule": (None, 5, "garipov", Recipe),
      }.items()),
    Row("Recipe", lambda _, v: Recipe(momentum=v, nesterov=True), OptionError, "Nesterov's", (0,)),
    Row("Recipe.changed", lambda _, v: EXACT.changed(**v), OptionError, "change one of these",
        ({"lr": 0.1}, {"epoch": 2}, {"": 1})),
    *(Row(name, lambda _, v, schedule=schedule: schedule(v), OptionError, "progress must be",
          (*NO_NUMBER, -0.1, 1.1, INF))
      for name, schedule in {"garipov": garipov, "constant": constant}.items()),
    Row("Algorithm1", lambda _, v: Algorithm1(recipe=v), OptionError, "recipe must be",
        (5, "exact", Recipe)),
    Row("Algorithm1", lambda _, v: Algorithm1(sides=v), OptionError, "sides must be",
        ("open", None, True, ["fixed"])),
    Row("Algorithm1", lambda _, v: Algorithm1(samples=v), OptionError, "samples must be",
        NO_COUNT),
    Row("Algorithm1.recipe_for", lambda g, v: Algorithm1().recipe_for(v, g.minima.points),
        LossError, "loss", (*NO_LOSS, always(1))),
    Row("Algorithm1.recipe_for", lambda g, v: Algorithm1().recipe_for(g.loss, v), ShapeError,
        "vertices must be", (5, "a", None, torch.zeros(2), np.zeros((2, 2)))),
    Row("NudgedElastic", lambda _, v: NudgedElastic(segments=v), OptionError, "segments must be",
        (*NO_COUNT, 1)),
    Row("NudgedElastic", lambda _, v: NudgedElastic(mend=v), OptionError, "mend must be", UNSURE),
    Row("NudgedElastic", lambda _, v: NudgedElastic(longest=v), OptionError, "longest must be",
        (0, -0.1, 1.5, float("nan"), "1", None)),
    Row("NudgedElastic.most_steps", lambda _, v: NudgedElastic().most_steps(v), OptionError,
        "dim must be", (0, *INSTEAD)),
    Row("NudgedElastic", lambda _, v: NudgedElastic(steps=v), OptionError, "steps must be",
        NO_COUNT),
    Row("Edgewise", lambda _, v: Edgewise(v), OptionError, "segments must be", NO_COUNT),
    *(Row(f"{type(chosen).__name__}.{method}",
          lambda _, v, chosen=chosen, method=method: getattr(chosen, method)(v), error, piece, bad)
      for chosen in (Barycentric(), Edgewise(3))
      for method, error, piece, bad in (
          ("control_points", OptionError, "r must be", NO_SEED),
          ("pieces", OptionError, "r must be", NO_SEED),
          ("pieces", CapacityError, "GB of memory", (40, 200)),
          ("locate", ShapeError, "coordinates",
           (5, "a", None, [], [[0.5, 0.5], [1]], [NAN, 1], [2.0, 0.5], [-1.0, 2.0], [0.5j, 0.5],
            [True, False], np.array(1.0))),
      )),
    Row("Barycentric.control_points", lambda _, v: Barycentric().control_points(v), CapacityError,
        "GB of memory", (60, 10**6)),
    Row("Edgewise.control_points", lambda _, v: Edgewise(10**6).control_points(v), CapacityError,
        "GB of memory", (3,)),
)  # fmt: skip

SIMPLICES_AND_PICTURES = (
    *(Row(f"OptimisedSimplex.{name}", call, ShapeError, f"barycentric coordinates {piece}", bad)
      for name, call in {"__call__": lambda g, v: g.edge(v),
                         "evaluate": lambda g, v: g.edge.evaluate(v)}.items()
      for piece, bad in {
          "must be an array of numbers, got":
              ("a", None, [[0.5, 0.5], [1]], [0.5j, 0.5], ["a", "b"], [True, False]),
          "must be non-negative with sum 1, got": ([0.5, 0.6], [-0.5, 1.5], [NAN, 1]),
          "on simplex (0, 1) need shape (batch, 2), got":
              (5, [], [1.0], [0.5, 0.5, 0], [[[0.5, 0.5]]]),
      }.items()),
    Row("OptimisedSimplex.evaluate", lambda g, v: g.edge.evaluate([0.5, 0.5], v), OptionError,
        "memory must be", NO_COUNT),
    Row("OptimisedSimplex.sample", lambda g, v: g.edge.sample(v), OptionError, "resolution must",
        NO_COUNT),
    Row("OptimisedSimplex.sample", lambda g, v: g.edge.sample(v), CapacityError, "GB of memory",
        (10**12,)),
    Row("OptimisedSimplex.sample", lambda g, v: g.edge.sample(3, v), OptionError, "memory must be",
        NO_COUNT),
    Row("plot_triangle", lambda _, v: plot_triangle(v), OptionError, "of type OptimisedSimplex",
        (5, None, (0, 1, 2), OptimisedSimplex)),
    Row("plot_triangle", lambda g, _: plot_triangle(g.edge), DimensionError,
        "needs a simplex of dimension 2, (0, 1) has"),
    Row("plot_triangle", lambda g, v: plot_triangle(g.triangle, v), LossError, "has no accuracy",
        ("height", "accuracy", None, 5, ["loss"])),
    Row("plot_triangle", lambda g, v: plot_triangle(g.triangle, ax=v), OptionError,
        "of type Axes", NO_AXES),
    Row("Maximum", lambda g, v: plot_triangle(replace(g.triangle, maximum=v)), ShapeError,
        "three barycentric coordinates", (Maximum(1.0, np.ones(2), torch.zeros(2)),)),
    Row("plot_edge", lambda _, v: plot_edge(v), OptionError, "of type OptimisedSimplex",
        (5, None, (0, 1), OptimisedSimplex)),
    Row("plot_edge", lambda g, _: plot_edge(g.triangle), DimensionError,
        "needs a simplex of dimension 1, (0, 1, 2) has"),
    Row("plot_edge", lambda g, v: plot_edge(g.edge, v), LossError, "a picture shows",
        ("height", "accuracy", None)),
    Row("plot_edge", lambda g, v: plot_edge(g.edge, ax=v), OptionError, "of type Axes", NO_AXES),
    Row("plot_edge", lambda g, v: plot_edge(g.edge, straight=v), OptionError, "straight must be",
        UNSURE),
    Row("plot_samples", lambda _, v: plot_samples(v, CENTRE), OptionError, "of type Samples",
        (5, None, np.zeros(3), Samples)),
    Row("Samples", lambda _, v: plot_samples(v, CENTRE), DimensionError, "of a triangle",
        (Samples(1, 2, 3), Samples(np.eye(2), np.zeros(2), None))),  # pyright: ignore
    Row("Samples", lambda _, v: plot_samples(Samples(np.eye(3), v, None), CENTRE), ShapeError,
        "a finite loss", (np.zeros(2), np.full(3, NAN), np.array(["a"] * 3), None)),
    Row("plot_samples", lambda g, v: plot_samples(g.samples, v), ShapeError, "coordinates",
        (None, "a", 5, np.ones(2) / 2, [NAN, 0, 1], [2.0, 0, -1], [0.5, 0.5, 0.5])),
    Row("plot_samples", lambda g, v: plot_samples(g.samples, CENTRE, v), LossError, "a picture",
        ("height", "accuracy", 5)),
    Row("plot_samples", lambda g, v: plot_samples(g.samples, CENTRE, ax=v), OptionError, "Axes",
        NO_AXES),
    Row("plot_samples", lambda g, v: plot_samples(g.samples, CENTRE, vertices=v), ShapeError,
        "three vertices", ((0, 1), 5, None)),
    Row("plot_barrier_tree", lambda _, v: plot_barrier_tree(v), OptionError, "FilteredComplex",
        (5, None, {(0,): 1.0})),
    Row("plot_barrier_tree", lambda g, _: plot_barrier_tree(g.complex), OptionError,
        "FilteredComplex"),
    Row("plot_barrier_tree", lambda g, v: plot_barrier_tree(g.complex.filtration, v), OptionError,
        "of type Axes", NO_AXES),
)  # fmt: skip

TABLE = (*VERTICES, *BUILDS, *TRAINING, *SIMPLICES_AND_PICTURES, *TABLES)

HANDED = {
    *OF_TABLES,
    "configure_process",
    "Simplices",
    "OptimisationProblem",
    "Evaluation.joined",
    *(f"{name}.{method}"
      for name in ("Algorithm1", "NudgedElastic", "Optimizer")
      for method in ("step_count", "optimise")),
    "Optimizer.fitted",
    "Optimizer.rounds",
    "NudgedElastic.most_rounds",
    "NudgedElastic.relax",
    "Algorithm1.prepared",
    "Optimizer.prepared",
    *(f"SimplexMap.{method}" for method in ("control_points", "locate", "pieces")),
}  # fmt: skip
"""Names that take nothing, or what a build makes and hands to its optimizer, or that a protocol
asks of users' classes."""


@rows(*TABLE)
def test_bad_input_is_refused(row: Row, bad: Any, good: Good):
    assert_refused(row, bad, good, good.folder)


def test_everything_that_can_be_called_has_a_row():
    assert_complete(simplicial, TABLE, HANDED)
