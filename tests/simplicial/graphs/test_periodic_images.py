"""Barcodes of functions on tori and cylinders, beside those of GUDHI's periodic cubical complex."""

import warnings
from collections.abc import Callable
from itertools import permutations
from math import comb, inf, pi
from pathlib import Path

import gudhi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from simplicial import (
    LossComplex,
    LossError,
    LossWarning,
    Minima,
    NudgedElastic,
    PeriodicImages,
    build_complex,
    delaunay_graph,
    find_minima,
    morse_complex,
    periodic,
    periodic_images,
    with_saddles,
)
from simplicial.graphs.quotients import Simplex, quotient, representative
from simplicial.landscapes import torsions

Floats = NDArray[np.float64]
TURN = 2 * pi
ELASTIC = NudgedElastic(segments=8)


def one_well(x: Tensor) -> Tensor:
    """One minimum on the torus, so that edges are loops."""
    return -2 * torch.cos(x).sum(dim=1) + 0.3 * torch.cos(2 * x[:, 0] + 1)


def two_wells(x: Tensor) -> Tensor:
    """Two minima with two passes between them, one around the torus."""
    a, b = x.unbind(dim=1)
    return -torch.cos(2 * a) - 0.5 * torch.cos(b - a) + 0.2 * torch.sin(a + 0.3)


def grid_bars(loss: Callable[[Tensor], Tensor], count: int, *, width: float = TURN) -> list[Floats]:
    """Bars longer than 0.01 of index 0 and 1 on [0, 2 pi] x [0, width], its edges glued."""
    axes = [np.arange(count) * (TURN / count), np.arange(count) * (width / count)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    values = loss(torch.tensor(points)).numpy().reshape(count, count)
    cubes = gudhi.PeriodicCubicalComplex(vertices=values, periodic_dimensions=[True, True])
    cubes.compute_persistence(homology_coeff_field=2, min_persistence=0)
    return [long(cubes.persistence_intervals_in_dimension(r)) for r in range(2)]


def long(bars: Floats) -> Floats:
    bars = bars[bars[:, 1] - bars[:, 0] > 0.01]
    return bars[np.lexsort((bars[:, 1].round(2), bars[:, 0].round(2)))]


def built(minima: Minima, max_dim: int = 2) -> tuple[PeriodicImages, LossComplex]:
    images = periodic_images(minima)
    complex = build_complex(
        images.minima, max_dim, graph=images.graph, optimizer=ELASTIC, progress=False
    )
    return images, complex


def assert_equal(found: list[Floats], expected: list[Floats], error: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert len(theirs)
        np.testing.assert_array_equal(np.isinf(ours), np.isinf(theirs))
        np.testing.assert_allclose(ours[np.isfinite(ours)], theirs[np.isfinite(theirs)], atol=error)


@pytest.fixture(scope="module")
def rotamers() -> tuple[PeriodicImages, LossComplex]:
    """Of the nine minima of two torsions."""
    return built(find_minima(torsions(), starts=100))


def test_two_torsions_have_the_bars_of_the_grid(
    rotamers: tuple[PeriodicImages, LossComplex],
) -> None:
    """Nine minima alone see both loops around the torus, and all eight maxima that end bars."""
    images, complex = rotamers
    barcode = images.filtration(complex).barcode()
    # error of a grid's ends, of second order: |f''| h^2 d, h = 2 pi / 500, |f''| < 20
    assert_equal([long(bars) for bars in barcode], grid_bars(torsions(), 500), 7e-3)
    assert [int(np.isinf(bars).sum()) for bars in barcode] == [1, 2]
    assert [len(long(bars)) for bars in barcode] == [9, 10]


def test_translates_have_the_same_control_points(
    rotamers: tuple[PeriodicImages, LossComplex],
) -> None:
    images, complex = rotamers
    points, edges, seen = complex.control_points.numpy(), complex.simplices[1], dict[str, int]()
    for row, (a, b) in enumerate(edges.vertices.tolist()):
        shift = images.shifts[b] - images.shifts[a]
        first = seen.setdefault(f"{images.labels[a]} {images.labels[b]} {shift}", row)
        by = TURN * (images.shifts[a] - images.shifts[edges.vertices[first, 0]])
        np.testing.assert_allclose(
            points[edges.controls[row]], points[edges.controls[first]] + by, atol=1e-12
        )
        assert complex.interiors[0].maxima.values[row] == complex.interiors[0].maxima.values[first]
    assert len(seen) < len(edges.vertices)


def test_a_complex_of_images_has_no_barcode_of_its_own(
    rotamers: tuple[PeriodicImages, LossComplex],
) -> None:
    with pytest.raises(OptionError, match="images of a minimum are one in the barcode"):
        rotamers[1].barcode()


@pytest.mark.parametrize(("loss", "count"), [(one_well, 1), (two_wells, 2)])
def test_paths_around_are_seen_with_one_minimum_or_two(
    loss: Callable[[Tensor], Tensor], count: int
) -> None:
    minima = find_minima(periodic(loss, [TURN, TURN]), dim=2, starts=50)
    assert len(minima) == count
    images, complex = built(minima)
    barcode = images.filtration(complex).barcode()
    assert_equal([long(bars) for bars in barcode], grid_bars(loss, 500), 1e-3)


def test_saddles_may_be_vertices() -> None:
    minima = with_saddles(find_minima(periodic(two_wells, [TURN, TURN]), dim=2, starts=50))
    assert len(minima) == 6
    images, complex = built(minima)
    barcode = images.filtration(complex).barcode()
    assert_equal([long(bars) for bars in barcode], grid_bars(two_wells, 500), 1e-3)


def test_on_a_cylinder_one_loop_never_ends() -> None:
    """cos x + (y^2 - 1)^2 + y / 4: two wells, each with a loop around, merged over a pass each."""

    def loss(x: Tensor) -> Tensor:
        return torch.cos(x[:, 0]) + (x[:, 1].square() - 1).square() + x[:, 1] / 4

    minima = find_minima(periodic(loss, [TURN, inf]), dim=2, starts=50)
    images, complex = built(minima)
    barcode = images.filtration(complex).barcode()
    low, middle, high = np.sort(np.roots([4, 0, -4, 0.25]).real)
    ys = np.array([low, middle, high])
    wells = (ys**2 - 1) ** 2 + ys / 4  # of the well, the pass and the other well in y
    expected = [
        np.array([[wells[0] - 1, inf], [wells[2] - 1, wells[1] - 1]]),
        np.array([[wells[0] + 1, inf], [wells[2] + 1, wells[1] + 1]]),
    ]
    assert_equal([long(bars) for bars in barcode], expected, 1e-5)


def test_on_a_circle_each_way_around_is_a_path() -> None:
    """Two minima on a circle: they merge over the lower pass, the loop closes over the higher."""

    def loss(x: Tensor) -> Tensor:
        return -torch.cos(2 * x[:, 0]) + 0.3 * torch.sin(x[:, 0] + 0.4)

    axis = np.linspace(0, TURN, 100_001)
    values = loss(torch.tensor(axis[:, None])).numpy()
    inside = values[1:-1]
    lows = np.sort(inside[(inside < values[:-2]) & (inside < values[2:])])
    highs = np.sort(inside[(inside > values[:-2]) & (inside > values[2:])])
    images, complex = built(find_minima(periodic(loss, [TURN]), dim=1, starts=30), 1)
    bars = images.filtration(complex).barcode(max_index=1)
    expected = [np.array([[lows[0], inf], [lows[1], highs[0]]]), np.array([[highs[1], inf]])]
    assert_equal(list(bars), expected, 1e-6)


def test_minima_of_any_cell_have_the_same_images() -> None:
    loss = torsions()
    away = torch.tensor(loss.minima + TURN * np.array([[3, -2]]))
    here, there = (
        periodic_images(Minima(points, loss)) for points in (torch.tensor(loss.minima), away)
    )
    np.testing.assert_allclose(here.minima.points, there.minima.points, atol=1e-12)
    np.testing.assert_array_equal(here.graph, there.graph)
    assert (here.labels[here.shifts.any(axis=1)] < 9).all()


def test_a_graph_that_does_not_go_around_says_so() -> None:
    """Of edges inside the cell alone no loop around the torus is made."""
    minima = find_minima(periodic(two_wells, [TURN, TURN]), dim=2, starts=50)
    minima = with_saddles(minima)

    def inside(near: Minima) -> NDArray[np.int64]:
        edges = delaunay_graph(near)
        return edges[(edges < len(minima)).all(axis=1)]

    images = periodic_images(minima, inside)
    assert len(images.minima) == len(minima)
    complex = build_complex(images.minima, 2, graph=images.graph, optimizer=ELASTIC, progress=False)
    never = "there are 2 classes of index 1 that never end"
    with pytest.warns(LossWarning, match=f"{never}.* leave out the rule of periodic_images"):
        images.filtration(complex)


def test_classes_that_are_not_seen_have_a_remedy_for_each_cause() -> None:
    """Edges on which the loss is not finite, and edges that the complex was not given."""
    lowest = find_minima(periodic(two_wells, [TURN, TURN]), dim=2, starts=50)

    def torn(x: Tensor) -> Tensor:
        return torch.where(torch.cos(2 * x[:, 0]) < -0.9, torch.nan, two_wells(x))

    apart = Minima(lowest.points, periodic(torn, [TURN, TURN]))
    for minima, remedy in (
        (apart, r"make the loss finite, .* for \d+ simplices that are left out"),
        (lowest, "so add vertices, as with_saddles does"),
    ):
        images = periodic_images(minima)
        around = images.labels[images.graph[:, 0]] == images.labels[images.graph[:, 1]]
        graph = images.graph if minima is apart else images.graph[around]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LossWarning)
            complex = build_complex(
                images.minima, 1, graph=graph, optimizer=ELASTIC, progress=False
            )
        with pytest.warns(LossWarning, match=remedy):
            images.filtration(complex)


def test_a_run_goes_on_with_its_translates(tmp_path: Path) -> None:
    minima = find_minima(periodic(one_well, [TURN, TURN]), dim=2, starts=20)
    images = periodic_images(minima)
    first, second = (
        build_complex(
            images.minima, 2, graph=images.graph, optimizer=ELASTIC, store=tmp_path, progress=False
        )
        for _ in range(2)
    )
    assert torch.equal(first.control_points, second.control_points)
    for values, others in zip(first.values, second.values, strict=True):
        np.testing.assert_array_equal(values, others)


def test_images_of_one_point_are_refused() -> None:
    loss = periodic(one_well, [TURN, TURN])
    points = torch.tensor([[1.0, 2.0], [0.0, 1.0], [1.0 + TURN, 2.0]]).double()
    with pytest.raises(OptionError, match="2 is an image of 0"):
        periodic_images(Minima(points, loss))


def test_betti_numbers_of_tori_are_those_of_a_glued_cube() -> None:
    """One vertex, and a square or cube cut along its diagonals: all edges are loops."""
    for d in (1, 2, 3):
        cells: dict[Simplex, float] = {}
        for order in permutations(range(d)):
            path = np.cumsum([np.zeros(d, int), *np.eye(d, dtype=int)[list(order)]], axis=0)
            at = [(0, tuple(step)) for step in path.tolist()]
            for mask in range(1, 2 ** (d + 1)):
                face = [vertex for k, vertex in enumerate(at) if mask >> k & 1]
                cells[representative(face)[0]] = float(len(face))
        bars = quotient(cells).barcode(max_index=d, keep_zero=False)
        essential = [int(np.isinf(of[:, 1]).sum()) for of in bars]
        assert essential == [comb(d, r) for r in range(d + 1)]


def test_a_loss_that_has_not_its_periods_is_refused() -> None:
    """cos(2x) has the period pi, and with a little of cos x that of 2 pi only."""
    points = torch.tensor([[0.0], [2.9]], dtype=torch.float64)
    minima = Minima(points, periodic(lambda x: -torch.cos(2 * x).sum(dim=1), [3.0]))
    with pytest.raises(LossError, match="must have the periods that it declares, 3 in coordinate"):
        periodic_images(minima)
    half = periodic(lambda x: (torch.cos(2 * x) + 0.1 * torch.cos(x)).sum(dim=1), [torch.pi])
    with pytest.raises(LossError, match="must have the periods that it declares"):
        morse_complex(half, [[0.0], [float(np.arccos(-0.025))]], progress=False)
