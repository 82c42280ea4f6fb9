"""The error of a barcode bounds its distance to the exact one, however short the training."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gudhi.hera
import numpy as np
import pytest

from simplicial import (
    Algorithm1,
    Edgewise,
    LossComplex,
    Minima,
    NudgedElastic,
    build_complex,
    find_minima,
)
from simplicial.construction.anytime import AnytimeBuilder
from simplicial.construction.measured_dimension import MeasuredDimension
from simplicial.construction.scheduler import Scheduler
from simplicial.construction.state import ConstructionState
from simplicial.landscapes import (
    Landscape,
    double_well,
    himmelblau,
    mueller_brown,
    simplex_wells,
    six_hump_camel,
)
from simplicial.maps.control_points import lay_out
from simplicial.optimizers.base import Optimizer
from simplicial.optimizers.recipe import EXACT
from simplicial.options import BuildOptions, Limits

FUNCTIONS: dict[str, tuple[Callable[[], Landscape], int]] = {
    "himmelblau": (himmelblau, 2),
    "muller-brown": (mueller_brown, 2),
    "six-hump-camel": (six_hump_camel, 2),
    "double-well": (lambda: double_well(2), 2),
    "double-well in space": (lambda: double_well(3), 3),
    "simplex-wells of a segment": (lambda: simplex_wells(1, 1), 1),
    "simplex-wells of a triangle": (lambda: simplex_wells(2, 1), 2),
    "simplex-wells of a tetrahedron": (lambda: simplex_wells(3, 0), 3),
}


def efforts(steps: list[int]) -> list[Optimizer]:
    """Optimizers that stop after so many steps."""
    recipe = EXACT.changed(learning_rate=1e-3)
    descents = [Algorithm1(recipe=recipe.changed(epochs=k), samples=4) for k in steps]
    return [*descents, *(NudgedElastic(segments=6, steps=max(1, k)) for k in steps)]


def assert_exact_is_within_the_error(built: LossComplex, landscape: Landscape) -> None:
    barcode = built.barcode()
    exact = landscape.exact_bars
    assert exact is not None
    for r in range(len(barcode)):
        bars = exact[r] if r < len(exact) else np.empty((0, 2))
        assert barcode.error(r) < math.inf
        assert gudhi.hera.bottleneck_distance(barcode[r], bars, 0.0) <= barcode.error(r)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "steps", [[0, 5], pytest.param([1, 2, 4, 8, 16, 32, 64, 128], marks=pytest.mark.long)]
)
@pytest.mark.filterwarnings("ignore::simplicial.LossWarning")  # of steps that are too long
def test_exact_barcodes_are_within_the_error_at_every_moment(name: str, steps: list[int]) -> None:
    make, max_dim = FUNCTIONS[name]
    landscape = make()
    points = find_minima(landscape, seed=0).points
    for optimizer in efforts(steps):
        built = build_complex(
            Minima(points, landscape), max_dim, optimizer=optimizer, tolerance=1e-5, progress=False
        )
        assert_exact_is_within_the_error(built, landscape)


MOMENTS = {  # of a run, at least: after every chunk from that on which measures the last simplex
    "himmelblau": 20,
    "muller-brown": 11,
    "six-hump-camel": 60,
    "double-well": 17,
    "double-well in space": 3,
    "simplex-wells of a segment": 3,
    "simplex-wells of a triangle": 11,
    "simplex-wells of a tetrahedron": 25,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::simplicial.LossWarning")
def test_exact_barcodes_are_within_the_error_of_a_run_after_every_chunk(name: str) -> None:
    make, max_dim = FUNCTIONS[name]
    landscape = make()
    minima = Minima(find_minima(landscape, seed=0).points, landscape)
    optimizer = NudgedElastic(segments=6, steps=16)
    layout = lay_out(len(minima), max_dim, optimizer.simplex_map)
    options = BuildOptions(resolution=8, tolerance=1e-5, seed=0)
    state = ConstructionState.of_vertices(minima, layout, options, gradients=True)
    errors: list[list[float]] = [[] for _ in range(max_dim)]

    def look(dimension: MeasuredDimension) -> None:
        if np.isinf(dimension.values).any():  # not all are measured yet
            return
        now = dimension.state.with_results(dimension.result())
        r = len(now.values) - 1
        parts = layout.simplices[: r + 1], now.control_points.clone(), now.interiors
        built = LossComplex(minima, optimizer.simplex_map, 8, *parts)
        assert_exact_is_within_the_error(built, landscape)
        error = built.barcode().error(r - 1)
        assert dimension.error() >= error - 1e-12  # of levels as the rung began
        errors[r - 1].append(error)

    scheduler = Scheduler(optimizer, None, None, 1, progress=False)
    AnytimeBuilder(scheduler, Limits(), look).run(state, max_dim, 0.0)
    for each in errors:
        assert all(b <= a + 1e-12 for a, b in pairwise(each))
    moments = sum(map(len, errors))
    assert moments >= MOMENTS[name]


BUDGETS = (0, 3, 16, 50, 120, 250, 400, 700, 1000, 1500, 2500, 4000)  # of gradients


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::simplicial.LossWarning")
def test_exact_barcodes_are_within_the_error_whatever_the_gradients(name: str) -> None:
    make, max_dim = FUNCTIONS[name]
    landscape = make()
    minima, spent = Minima(find_minima(landscape, seed=0).points, landscape), [-1]
    for budget in BUDGETS:
        built = build_complex(
            minima, max_dim, optimizer=NudgedElastic(segments=4, steps=16), resolution=6,
            tolerance=1e-5, progress=False, max_gradients=budget,
        )  # fmt: skip
        assert_exact_is_within_the_error(built, landscape)
        assert built.spent is not None
        spent.append(sum(built.spent.gradients))
        assert spent[-2] <= spent[-1] <= budget
        if built.spent.ended == "tolerance":
            break
    assert spent[1] == 0 < spent[-1]


def built_with(**options: Any) -> LossComplex:
    landscape = himmelblau()
    minima = Minima(find_minima(landscape, seed=0).points, landscape)
    return build_complex(minima, 2, progress=False, **options)


def test_the_error_falls_with_the_work() -> None:
    straight = Algorithm1(recipe=EXACT.changed(epochs=0, learning_rate=1e-3))
    before = built_with(optimizer=straight).barcode()
    after = built_with(optimizer=NudgedElastic()).barcode()
    for r in range(2):
        assert after.error(r) < before.error(r)


@pytest.mark.filterwarnings("ignore:.*were worse after training:simplicial.LossWarning")  # 2 steps
def test_the_error_of_sampled_maxima_is_unknown() -> None:
    built = built_with(optimizer=NudgedElastic(steps=2), tolerance=None, simplex_map=Edgewise(12))
    assert built.barcode().error(0) == math.inf


def test_the_error_is_that_of_the_highest_edge_of_the_tree_and_of_triangles() -> None:
    """By hand: edges up to the level at which others join their ends, over their higher end."""
    built = built_with(optimizer=NudgedElastic())
    heights, edges = built.values[0], built.values[1]
    rows = built.simplices[1].vertices
    gaps = []
    for i, (a, b) in enumerate(rows.tolist()):
        others = np.delete(np.arange(len(edges)), i)
        joined = next(
            (
                level
                for level in np.sort(edges[others])
                if connected(rows[others][edges[others] <= level], a, b)
            ),
            math.inf,
        )
        gaps.append(min(edges[i], joined) - max(heights[a], heights[b]))
    slack = max(bounds.max() for bounds in built.error_bounds[:2])
    assert built.barcode().error(0) == pytest.approx((max(gaps) + slack) / 2, abs=1e-12)


def connected(edges: Any, a: int, b: int) -> bool:
    reached = {a}
    for _ in edges:
        reached |= {v for edge in edges.tolist() if reached & set(edge) for v in edge}
    return b in reached
