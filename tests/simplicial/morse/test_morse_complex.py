"""Morse complexes: exact bars of analytic functions, grids elsewhere, and what is refused."""

from collections.abc import Callable

import gudhi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from simplicial import (
    MorseComplex,
    NudgedElastic,
    SearchError,
    build_complex,
    find_all_critical_points,
    find_critical_points,
    find_minima,
    morse_complex,
    periodic,
)
from simplicial.landscapes import by_name
from tests.benchmarks.certificates import truth
from tests.oracles.cubical import cubical_barcode, grid
from tests.simplicial.mixtures import mixture

Floats = NDArray[np.float64]


def of(name: str, dim: int) -> MorseComplex:
    """The Morse complex of a landscape in its box, on the critical points that it lists."""
    landscape = by_name(name, dim)
    return morse_complex(landscape, landscape.critical_points.points, box=landscape.domain)


def sublevel(function: Callable[[Tensor], Tensor], box: Floats, count: int) -> tuple[Floats, ...]:
    """Bars of a function on a box by a grid, closed by its walls."""
    vertices = torch.tensor(grid(box, count))
    flat = vertices.reshape(-1, box.shape[1])
    return cubical_barcode(function(flat).numpy().reshape(vertices.shape[:-1]))


@pytest.mark.parametrize("field", [2, 3])
@pytest.mark.parametrize(
    ("name", "dim"),
    [
        ("double-well", 1),
        ("double-well", 2),
        ("double-well", 3),
        ("rastrigin", 1),
        ("rastrigin", 2),
        ("styblinski-tang", 2),
        ("simplex-wells", 2),
        ("himmelblau", 2),
        ("muller-brown", 2),
        ("six-hump-camel", 2),
    ],
)
def test_bars_of_analytic_functions_are_exact(name: str, dim: int, field: int) -> None:
    exact = by_name(name, dim).exact_bars
    assert exact is not None
    barcode = of(name, dim).barcode(field)
    assert len(barcode[dim]) == 0
    for bars, true in zip(barcode, exact, strict=False):
        scale = np.abs(true[np.isfinite(true)]).max(initial=1.0)
        assert bars.shape == true.shape
        assert gudhi.bottleneck_distance(bars, true, 0) < 1e-12 * scale


def test_lines_of_a_double_well_in_space_are_those_of_a_cube() -> None:
    """Critical points are a cube's faces: each has two facets along each of its axes."""
    first, second, third = (matrix.toarray() for matrix in of("double-well", 3).chains.boundaries)
    for matrix, ones in ((first, 2), (second, 4), (third, 6)):
        assert set(np.unique(matrix).tolist()) <= {-1, 0, 1}
        assert (np.abs(matrix).sum(axis=0) == ones).all()


def test_in_four_variables_bars_of_index_0_and_1_are_exact() -> None:
    landscape = by_name("double-well", 4)
    assert landscape.exact_bars is not None
    barcode = morse_complex(landscape, landscape.critical_points.points).barcode()
    assert len(barcode) == 2
    for bars, true in zip(barcode, landscape.exact_bars, strict=False):
        np.testing.assert_allclose(bars, true, atol=1e-12)


def test_walls_through_which_a_function_falls_hold_critical_points() -> None:
    """Griewank's function does not rise on all of its box's boundary: 18 of 77 points are on it."""
    landscape = by_name("griewank", 2)
    box = np.array([[-10.0, -10.0], [10.0, 10.0]])
    points = [find_critical_points(landscape, r, box=box, starts=1500) for r in range(3)]
    found = morse_complex(landscape, points, box=box)
    assert found.chains.euler_characteristic == 1
    on_walls = sum(int((np.abs(rows) == 10).any(axis=1).sum()) for rows in found.points)
    assert on_walls > 0
    error = 2e-3  # of cells 0.05 wide, curvatures up to 1
    for bars, true in zip(found.barcode(3), sublevel(landscape, box, 401), strict=False):
        long = true[true[:, 1] - true[:, 0] > 2 * error]
        assert gudhi.bottleneck_distance(bars, true, 0) <= error
        assert len(long) > 10


def test_two_torsions_have_the_barcode_of_a_periodic_grid_on_the_torus() -> None:
    landscape = by_name("torsions")
    found = morse_complex(landscape, landscape.critical_points.points)
    count = 400
    axis = np.arange(count) * 2 * np.pi / count
    vertices = torch.tensor(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1))
    values = landscape(vertices.reshape(-1, 2)).numpy().reshape(count, count)
    cubes = gudhi.PeriodicCubicalComplex(vertices=values, periodic_dimensions=[True, True])
    cubes.compute_persistence(homology_coeff_field=3, min_persistence=0)
    for field in (2, 3):
        barcode = found.barcode(field)
        assert [len(barcode.essential(r)) for r in range(3)] == [1, 2, 1]
        for r, bars in enumerate(barcode):
            true = np.asarray(cubes.persistence_intervals_in_dimension(r)).reshape(-1, 2)
            assert gudhi.bottleneck_distance(bars, true, 0) < 0.02  # cells of 0.016, slopes of 5


@pytest.mark.parametrize("seed", [401])
def test_random_mixtures_have_the_barcodes_of_a_grid(seed: int) -> None:
    loss, box = mixture(seed), np.array([[-3.2, -3.2], [3.2, 3.2]])
    found = morse_complex(loss, find_all_critical_points(loss, dim=2, box=box), box=box)
    true, error = truth(loss)
    for bars, rows in zip(found.barcode(3), true, strict=False):
        assert gudhi.bottleneck_distance(bars, rows, 0) <= error
    assert found.chains.counts[2] > 0


def test_it_is_the_simplicial_barcode_and_its_ends_are_certified() -> None:
    landscape = by_name("himmelblau")
    found = of("himmelblau", 2).barcode()
    minima = find_minima(landscape, seed=0)
    simplices = build_complex(
        minima, 2, optimizer=NudgedElastic(), certify=True, progress=False
    ).barcode()
    for r in range(2):
        long = simplices[r][simplices[r][:, 1] - simplices[r][:, 0] > 0.1]
        np.testing.assert_allclose(found[r], long, atol=1e-9)
        ends = found.ends(r)
        assert ends is not None
        assert (ends.certified == np.isfinite(found[r])).all()
        assert not found.repeated(r).any()
        values = landscape(torch.tensor(ends.births.points)).numpy()
        np.testing.assert_allclose(values, found[r][:, 0], atol=1e-12)


def test_a_point_that_is_missing_is_refused_by_signs_or_by_the_line_that_leads_there() -> None:
    landscape = by_name("himmelblau")
    points, indices = landscape.critical_points.points, landscape.critical_points.indices
    with pytest.raises(
        SearchError, match=r"must add up to 1, .* those of 3, 4, 1 points .* give 0"
    ):
        morse_complex(landscape, points[1:])
    with pytest.raises(SearchError, match=r"needs all critical points, a flow line down from .*"):
        morse_complex(landscape, np.delete(points, [0, np.flatnonzero(indices == 1)[0]], axis=0))


def test_degenerate_points_cusps_and_unbounded_sublevel_sets_are_refused() -> None:
    def quartic(x: Tensor) -> Tensor:
        return x.pow(4).sum(dim=1)

    def saddle(x: Tensor) -> Tensor:
        return x[:, 0].square() - x[:, 1].square()

    with pytest.raises(SearchError, match="must be non-degenerate, point 0"):
        morse_complex(quartic, [[0.0, 0.0]])
    with pytest.raises(SearchError, match="they are not finite: leave out cusps"):
        of("ackley", 2)
    with pytest.raises(SearchError, match="must add up to 1"):
        morse_complex(saddle, [[0.0, 0.0]])
    with pytest.raises(SearchError, match="sublevel sets must be bounded, a flow line down"):
        morse_complex(saddle, [[0.0, 0.0]], max_index=0)
    with pytest.raises(SearchError, match="Newton's method leads from"):
        morse_complex(by_name("himmelblau"), [[1.0, 1.0], [3.0, 2.0]])


def test_a_saddle_in_a_box_has_its_minima_on_the_walls() -> None:
    def saddle(x: Tensor) -> Tensor:
        return x[:, 0].square() - x[:, 1].square()

    box = np.array([[-1.0, -1.0], [1.0, 2.0]])
    found = morse_complex(saddle, [[0.0, 0.0], [0.0, -1.0], [0.0, 2.0]], box=box)
    assert found.barcode()[0].tolist() == [[-4.0, np.inf], [-1.0, 0.0]]
    with pytest.raises(SearchError, match="counts where the function falls outwards"):
        morse_complex(saddle, [[0.0, 0.0], [0.0, -1.0], [0.0, 2.0], [1.0, 0.0]], box=box)


def test_a_point_beyond_a_wall_is_refused_and_not_moved_onto_it() -> None:
    """Of a separable function the point on the wall would be critical along the wall."""

    def tilted(x: Tensor) -> Tensor:
        return x[:, 0].square() - x[:, 1]

    box = np.array([[-1.0, 0.0], [1.0, 2.0]])
    assert morse_complex(tilted, [[0.0, 2.0 + 1e-10]], box=box).points[0].tolist() == [[0.0, 2.0]]
    refused = r"point 0 at \(0, 2.00001\) has coordinate 1 outside of \[0, 2\]"
    with pytest.raises(SearchError, match=refused):
        morse_complex(tilted, [[0.0, 2.00001]], box=box)


def test_a_box_has_walls_in_coordinates_without_a_period_alone() -> None:
    def well(x: Tensor) -> Tensor:
        return -torch.cos(x[:, 0]) + x[:, 1].square()

    loss = periodic(well, [2 * np.pi, np.inf])
    points = [[0.0, 0.0], [np.pi, 0.0]]
    for box in (None, [[-np.pi, -1.0], [np.pi, 1.0]]):
        bars = morse_complex(loss, points, box=box).barcode()
        assert [rows.tolist() for rows in bars] == [[[-1.0, np.inf]], [[1.0, np.inf]], []]
    with pytest.raises(OptionError, match=r"coordinate 0 has the period .* the box \[-1, 1\]"):
        morse_complex(loss, points, box=[[-1.0, -1.0], [1.0, 1.0]])


@pytest.mark.filterwarnings("ignore:a start ended lower:simplicial.LossWarning")
def test_a_search_that_does_not_end_says_why_it_finds_none_of_an_index() -> None:
    """x^3 / 3 - x + y^2 has no maximum, and a saddle for its minimum: the signs give 0."""

    def falling(x: Tensor) -> Tensor:
        return x[:, 0].pow(3) / 3 - x[:, 0] + x[:, 1].square()

    reason = r"found 1, 1, 0 of .* index 2 says: a search needs a start .* see gradient_tolerance"
    with pytest.raises(SearchError, match=reason):
        find_all_critical_points(falling, dim=2, starts=10)
