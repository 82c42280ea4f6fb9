"""Nudged elastic simplices against the known saddles and maxima of analytic functions."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import OptionError
from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    LossComplex,
    Minima,
    NudgedElastic,
    OptimisationProblem,
    build_complex,
    find_minima,
)
from simplicial.evaluation import values_and_gradients
from simplicial.landscapes import Landscape, double_well, himmelblau, mueller_brown, simplex_wells
from simplicial.loss import Loss
from simplicial.maps.control_points import lay_out, straight
from simplicial.maxima.maxima import maximum_over_facets
from simplicial.optimizers.elastic_relaxation import LEVEL

QUICK = NudgedElastic(segments=6, steps=40)
SMALL = 20_000  # bytes: a few points of the plane at once


def build(
    loss: Loss, points: Any, max_dim: int = 1, elastic: NudgedElastic | None = None, **options: Any
) -> LossComplex:
    minima = Minima(torch.tensor(points), loss)
    elastic = NudgedElastic() if elastic is None else elastic
    return build_complex(minima, max_dim, optimizer=elastic, progress=False, **options)


@pytest.fixture(scope="module")
def himmelblau_complex() -> LossComplex:
    return build(himmelblau(), himmelblau().minima, 2)


def finite(bars: np.ndarray) -> np.ndarray:
    return bars[np.isfinite(bars[:, 1])]


@pytest.mark.parametrize("loss", [mueller_brown(), simplex_wells(1, curved=2), double_well(2)])
def test_paths_through_bent_valleys_are_as_high_as_their_saddles(loss: Landscape) -> None:
    """Within 1e-7 of the loss's range, and never below, without looking for critical points."""
    exact = loss.exact_bars
    assert exact is not None
    bars = finite(build(loss, loss.minima).barcode()[0])
    expected = finite(exact[0])
    excess = np.sort(bars[:, 1]) - np.sort(expected[:, 1])
    assert len(expected) > 0
    assert (excess >= -1e-12 * np.abs(expected[:, 1])).all()
    assert (excess <= 1e-7 * np.ptp(expected)).all()


@pytest.mark.parametrize(("segments", "highest"), [(4, np.inf), (8, 0.5), (12, 0.251), (16, 0.251)])
def test_paths_where_a_valley_bends_in_the_length_of_a_segment(
    segments: int, highest: float
) -> None:
    """Four are too few to stay in it, and it is told; relaxed points alone do not tell."""
    loss = simplex_wells(1, curved=5)
    minima = find_minima(loss, seed=0)
    elastic = NudgedElastic(segments=segments)
    path = build_complex(minima, 1, optimizer=elastic, progress=False)[(0, 1)]
    s = np.linspace(0, 1, 20_001)
    dense = loss(path(np.stack([1 - s, s], axis=1))).max().item()
    assert dense == pytest.approx(path.maximum.value, abs=1e-5)
    assert 0.25 <= path.maximum.value < highest


def test_himmelblaus_bar(himmelblau_complex: LossComplex) -> None:
    """Within 1e-5; what else there is cannot be told from 0."""
    bars = himmelblau_complex.barcode()[1]
    length = bars[:, 1] - bars[:, 0]
    assert bars[length.argmax()] == pytest.approx([178.337239, 181.616522], abs=1e-5)
    assert (np.sort(length)[:-1] < LEVEL * 182).all()
    edges = finite(himmelblau_complex.barcode()[0])[:, 1]
    assert edges == pytest.approx([13.3119263, 67.7191501, 104.0151629], abs=1e-6)


def test_a_maximum_and_a_saddle_of_a_curved_triangle() -> None:
    """simplex-wells: saddles at 125/432 and a maximum at 7/16 on a surface bent in R^3."""
    built = build(simplex_wells(2, curved=1), simplex_wells(2, curved=1).minima, 2)
    assert built.barcode()[1] == pytest.approx(np.array([[125 / 432, 7 / 16]]), abs=1e-5)


def test_the_same_bits_again() -> None:
    again = [build(mueller_brown(), mueller_brown().minima, 2, QUICK) for _ in range(2)]
    assert torch.equal(again[0].control_points, again[1].control_points)


def test_more_steps_never_lead_to_a_higher_path() -> None:
    """By the optimizer alone, in a winding valley in which no number of these is enough."""

    def loss(p: Tensor) -> Tensor:
        return (p[:, 0] ** 2 - 1) ** 2 + 50 * (p[:, 1] - 2 * torch.sin(5 * p[:, 0])) ** 2

    points = torch.tensor([[x, 2 * np.sin(5 * x)] for x in (-1.0, 1.0)])
    layout, heights = lay_out(2, 1, Edgewise(24)), []
    s = torch.linspace(0, 24, 24 * 200 + 1, dtype=torch.float64)
    piece = s.long().clamp(max=23)
    for steps in (200, 300, 400, 600):
        path = straight(points, layout)
        at_ends = values_and_gradients(loss, path[:2])
        problem = OptimisationProblem(
            layout.simplices[1], layout.rows(1), slice(2, 2), 0, 2**30, np.zeros(1), at_ends
        )
        NudgedElastic(segments=24, steps=steps).optimise(loss, path, problem, lambda: None)
        path = path[torch.as_tensor(layout.simplices[1].controls[0])]
        share = (s - piece)[:, None]
        dense = path[piece] + share * (path[piece + 1] - path[piece])
        heights.append(float(loss(dense).max()))
    assert all(b <= a + 1e-6 for a, b in pairwise(heights))
    assert heights[-1] > 1


def test_a_small_memory_budget_changes_nothing() -> None:
    loss = mueller_brown()
    large = build(loss, loss.minima, 2, QUICK)
    small = build(loss, loss.minima, 2, QUICK, memory=SMALL)
    torch.testing.assert_close(small.control_points, large.control_points, rtol=1e-9, atol=1e-9)
    for ours, theirs in zip(small.maxima, large.maxima, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_simplices_do_not_depend_on_those_beside_them(himmelblau_complex: LossComplex) -> None:
    """A subset of the vertices, and one with another point far off, give the same simplices."""
    few = [0, 2, 3]
    minima = himmelblau().minima
    more = np.concatenate([minima[few], [[6.0, -5.5]]])
    for points in (minima[few], more):
        built = build(himmelblau(), points, 2)
        for vertices in [(0, 1), (0, 2), (1, 2), (0, 1, 2)]:
            ours = built[vertices]
            theirs = himmelblau_complex[tuple(few[v] for v in vertices)]
            torch.testing.assert_close(ours.controls, theirs.controls, rtol=1e-9, atol=1e-9)
            assert ours.maximum.value == pytest.approx(theirs.maximum.value, rel=1e-9)


def test_new_labels_give_the_same_barcode(himmelblau_complex: LossComplex) -> None:
    """To 1e-5, but for bars that cannot be told from 0."""
    other = build(himmelblau(), himmelblau().minima[[2, 0, 3, 1]], 2)
    for r in range(2):
        ours, theirs = (c.barcode()[r] for c in (other, himmelblau_complex))
        ours, theirs = (bars[np.diff(bars)[:, 0] > LEVEL * 182] for bars in (ours, theirs))
        assert len(ours) == 4 - 3 * r
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_float32_points() -> None:
    loss = himmelblau()
    built = build(loss, loss.minima.astype(np.float32))
    assert built.control_points.dtype == torch.float32
    bars = finite(built.barcode()[0])
    assert np.sort(bars[:, 1]) == pytest.approx([13.311926, 67.71915, 104.015163], abs=1e-3)


@pytest.mark.parametrize("offset", [100.0, 1000.0])
def test_float32_far_from_zero(offset: float) -> None:
    """Fillings are told apart by no less than rounding, so that refinement comes to an end."""

    def loss(x: Tensor) -> Tensor:
        assert len(x) < 20_000
        return offset + 1e-3 * himmelblau()(x)

    points = himmelblau().minima.astype(np.float32)
    built = build(loss, points, 2, NudgedElastic(segments=6, steps=20))
    assert built.evaluations < 20_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_path_that_is_at_rest_already(dtype: type) -> None:
    """Across it no force at all, in either precision."""
    built = build(double_well(2), double_well(2).minima.astype(dtype))
    assert finite(built.barcode()[0])[:, 1] == pytest.approx([1, 1, 1], abs=1e-6)


def cliff(x: Tensor) -> Tensor:
    """A hill of height 7 on the straight path, exactly linear in y, and level 1 beyond y = 2."""
    bend = torch.nn.functional.softplus(200 * (2 - x[:, 1])) / 200
    return (x[:, 0] ** 2 - 1) ** 2 + 3 * bend * (1 - x[:, 0] ** 2).clamp(min=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_slope_without_curvature_is_left(dtype: type) -> None:
    built = build(cliff, np.array([[-1, 0], [1, 0]], dtype=dtype))
    assert built.maxima[1] == pytest.approx([1], abs=1e-4)


def test_faces_stand_still() -> None:
    """Vertices and edges of a complex with triangles are those of one without."""
    loss = mueller_brown()
    edges, triangles = (build(loss, loss.minima, r, QUICK) for r in (1, 2))
    assert torch.equal(triangles.control_points[: len(edges.control_points)], edges.control_points)
    assert len(triangles.control_points) > len(edges.control_points)


def test_more_dimensions_are_as_low_as_their_faces() -> None:
    """A convex bowl: nothing is higher than the highest vertex."""
    points = np.random.default_rng(1).normal(size=(4, 3))
    built = build(lambda x: x.square().sum(dim=1), points, 3, NudgedElastic(segments=4, steps=20))
    for r in range(1, 4):
        face_maxima = maximum_over_facets(
            built.maxima[r - 1], built.simplices[r].vertices, built.simplices[r - 1].vertices
        )
        np.testing.assert_array_equal(built.maxima[r], face_maxima)


@pytest.mark.parametrize("memory", [SMALL, 2**30])
@pytest.mark.parametrize("r", [1, 2])
def test_progress_never_passes_its_end(r: int, memory: int) -> None:
    """And a path's relaxations, of which none is left out, report every step."""
    loss, elastic = himmelblau(), NudgedElastic(segments=5, steps=20)
    layout = lay_out(4, r, elastic.simplex_map)
    points = straight(torch.tensor(loss.minima), layout)
    face_maxima = np.full(len(layout.simplices[r].vertices), -1.0)
    sides = slice(4, layout.rows(r).start)
    at_controls = values_and_gradients(loss, points[: sides.stop])
    problem = OptimisationProblem(
        layout.simplices[r], layout.rows(r), sides, 0, memory, face_maxima, at_controls
    )
    steps: list[int] = []
    elastic.optimise(loss, points, problem, lambda: steps.append(1))
    assert 0 < len(steps) <= elastic.step_count(loss, points, problem)
    if r == 1:
        assert len(steps) == elastic.step_count(loss, points, problem)
        assert len(steps) == 22 * (2 if memory == SMALL else 1)  # 19 points are 3 paths of 6


def test_dimensions_without_control_points_of_their_own_stay_as_they_are() -> None:
    loss = double_well(2)
    built = build(loss, loss.minima, 2, NudgedElastic(segments=2, steps=3))
    assert len(built.control_points) == 4 + 6


@pytest.mark.parametrize("simplex_map", [Barycentric(), Edgewise(8)])
def test_another_map_is_refused(simplex_map: Barycentric | Edgewise) -> None:
    with pytest.raises(OptionError, match=r"must be the optimizer's own, Edgewise\(segments=12\)"):
        build(himmelblau(), himmelblau().minima, simplex_map=simplex_map)
    points = torch.tensor(himmelblau().minima)
    minima = Minima(points, himmelblau())
    elastic = NudgedElastic(segments=8, steps=1)
    build_complex(minima, 1, optimizer=elastic, simplex_map=Edgewise(8), progress=False)
    assert Algorithm1().simplex_map == Barycentric()
