"""The repr of every public value fits two lines, computes nothing, and says what is in it."""

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nets
import reduction
import simplicial
from reduction import Barcode, Bounds, ChainComplex, FilteredComplex, optimal_matching
from simplicial import (
    Algorithm1,
    Copies,
    Evaluation,
    FinishedRun,
    LeftOut,
    Minima,
    MorseComplex,
    OptimisationProblem,
    PeriodicImages,
    PlaneSamples,
    Polish,
    Recipe,
    Search,
    Spent,
    build_complex,
    find_minima,
    in_box,
    invariant,
    periodic,
    transition_states,
)
from simplicial.landscapes import himmelblau
from simplicial.loss import DeclaredLoss
from simplicial.vertex_checks import VertexChecks

LINE = 100  # characters
CALLS = [0]  # of the loss
N, D = 400, 300  # bars, coordinates: long arrays


def wells(x: Tensor) -> Tensor:
    """(x² - 1)² + (y² - 1)²; counts its calls."""
    CALLS[0] += 1
    return ((x**2 - 1) ** 2).sum(dim=1)


class Wide(DeclaredLoss):
    """Of a class with a name of 60 letters."""

    def __call__(self, points: Tensor) -> Tensor:
        return points.square().sum(dim=1)


Wide.__name__ = "W" * 60


def many_bars() -> Barcode:
    """Seven indices of 400 bars, with bounds."""
    bars = np.sort(np.random.default_rng(5).random((N, 2)), axis=1) - 1e-5 / 3
    names = np.arange(N)[:, None]
    return Barcode([bars] * 7, [(names, names)] * 7, 2, bounds=[(bars[:, 1], 1e-5 / 3)] * 7)


def of_reduction() -> list[Any]:
    """Of hundreds of bars, of eight indices."""
    rng = np.random.default_rng(5)
    bars = np.sort(rng.random((N, 2)), axis=1)
    tree = FilteredComplex.cliques(
        [np.arange(N)[:, None], [[0, 1], [1, 2]]], [np.zeros(N), [1.0, 2.0]], 8
    )
    complex_ = FilteredComplex.complete(4, [np.zeros(4), np.arange(6) + 1.0, np.full(4, 9.0)])
    barcode = complex_.barcode()
    found = np.zeros((N, D))
    ends = reduction.Ends(
        np.ones(N, bool), found, np.zeros(N), np.ones((N, 3)), np.zeros(N, np.int64)
    )
    many = many_bars()
    chains = ChainComplex([np.ones((1, 1), np.int64)], [[0.0], [1.0]])
    return [
        tree,
        tree.barcode(),
        many,
        barcode,
        barcode.pairs(1),
        barcode.cycle(1, 0),
        complex_.canonical_form(),
        chains,
        ends,
        reduction.BarEnds(ends, ends),
        Bounds(bars[:, 1], 0.125),
        optimal_matching(bars, bars[:9]),
    ]


def of_simplicial() -> list[Any]:
    """Of four minima, and of points of 300 coordinates."""
    minima = find_minima(wells, n=4, dim=2, seed=0)
    built = build_complex(minima, 2, progress=False, resolution=4)
    wide = Minima(torch.arange(4.0 * D).reshape(4, D), Wide())
    graph, labels = np.array([[0, 1], [1, 2]]), np.array([0, 1, 0, 1])
    triangle = built[(0, 1, 2)]
    assert triangle.samples is not None
    counts: dict[str, Any] = dict.fromkeys(("duplicates", "others", "degenerate"), 10**5)
    left_out = LeftOut(-0.125, (1 / 3,) * D, "critical point of index 2", True)
    efforts = np.ones((39, 3))
    values, edges = np.arange(4.0), built.simplices[1]
    many = many_bars()
    return [
        minima,
        wide,
        built,
        triangle,
        triangle.maximum,
        triangle.samples,
        left_out,
        Search(**counts, starts=10**6, failures=10**5, once=10**4, twice=10**4, left_out=left_out),
        Evaluation(np.ones(N), np.ones(N)),
        Polish(),
        Recipe(),
        Algorithm1(),
        Algorithm1(recipe=Recipe(learning_rate=0.123456789)),
        simplicial.NudgedElastic(),
        simplicial.StochasticMinimax(),
        simplicial.Barycentric(),
        simplicial.Edgewise(8),
        edges,
        OptimisationProblem(edges, slice(4, 10), slice(4, 4), seed=10**9),
        Spent((10**9,) * 9, (values / 4,) * 9, "tolerance", 1e-9, 10**12),
        transition_states(built),
        Copies(wide, labels, graph),
        PeriodicImages(wide, labels, np.zeros((4, D), np.int64), graph),
        PlaneSamples(
            wide.points[0],
            wide.points[:2],
            np.eye(3)[:, :2],
            values,
            values,
            np.ones((4, 4)),
            np.ones((4, 4)),
        ),
        simplicial.Convergence(np.arange(1.0, 40), np.arange(1, 40), efforts, efforts, efforts),
        simplicial.AtomSymmetry(["Al"] * N),
        simplicial.RigidMotions(),
        MorseComplex(
            ChainComplex([], [[0.0]]), (np.zeros((1, D)),), (np.ones((1, D)),), (values,), 0
        ),
        FinishedRun(Path("f" * 99), {"model": "m" * 99, "data": "d"}, {}, many, None),
        himmelblau(),
        himmelblau().critical_points,
        VertexChecks.unknown(N),
        in_box(wells, [[-2.0, -2.0], [2.0, 2.0]]),
        periodic(wells, [4.0, 4.0]),
        invariant(wells, simplicial.RigidMotions(space=2)),
    ]


def of_nets() -> list[Any]:
    """Of the digits, and an MLP."""
    data = nets.load_digits()
    loss = nets.NetworkLoss(nets.MLP(64), data.train_inputs, data.train_targets)
    return [data, loss, Minima(torch.zeros(1, loss.dim), loss)]


@pytest.fixture(scope="module")
def values() -> dict[str, list[Any]]:
    made = {"reduction": of_reduction(), "simplicial": of_simplicial(), "nets": of_nets()}
    CALLS[0] = 0
    return made


ABSTRACT = {"Optimizer", "SimplexMap", "Symmetry"}
MODULES = {"LeNet", "MLP", "ResNet"}  # torch prints their layers


@pytest.mark.parametrize("package", [reduction, simplicial, nets], ids=lambda p: p.__name__)
def test_every_public_class_is_shown_in_two_lines(
    package: ModuleType, values: dict[str, list[Any]]
) -> None:
    public = {name: getattr(package, name) for name in package.__all__}
    classes = {
        name
        for name, value in public.items()
        if inspect.isclass(value) and not issubclass(value, Exception)
    }
    here = values[package.__name__]
    assert {type(value).__name__ for value in here} >= classes - ABSTRACT - MODULES
    shown = [repr(value) for value in here]
    assert {text: len(text) for text in shown if len(text) > 2 * LINE} == {}
    assert [text for text in shown if "\n" in text or " at 0x" in text or "tensor(" in text] == []
    assert CALLS == [0]


def test_a_barcode_says_its_longest_bars_and_errors() -> None:
    complex_ = FilteredComplex.complete(4, [np.zeros(4), np.arange(6) + 1.0, np.full(4, 9.0)])
    barcode = complex_.barcode(lower=[np.zeros(4), np.arange(6) + 1.0, np.full(4, 8.0)])
    # edges 1 to 6: vertices meet at 1, 2 and 4, cycles begin at 3, 5 and 6 and end at 9, or at 8
    assert repr(barcode) == ("Barcode(field=2, counts=(4, 3), longest=(4, 6), errors=(0, 1))")


def test_named_tuples_of_other_things_show_their_types() -> None:
    """Anybody can make them of anything, and messages of errors show them."""
    assert repr(reduction.Pairs(1, "x")) == "Pairs(int, str)"  # pyright: ignore[reportArgumentType]
    assert repr(simplicial.Samples(None, "x", None)) == "Samples(NoneType, str, NoneType)"  # pyright: ignore[reportArgumentType]
    assert repr(simplicial.Maximum("x", None, 3)) == "Maximum(str, NoneType, int)"  # pyright: ignore[reportArgumentType]
