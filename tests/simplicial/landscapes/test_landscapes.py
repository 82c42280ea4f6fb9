"""Landscapes against what shares no code with them: autograd, grids, steepest descent, counting."""

from collections.abc import Callable
from functools import partial
from math import comb, inf

import gudhi.hera
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simplicial.landscapes import (
    Landscape,
    double_well,
    himmelblau,
    mueller_brown,
    simplex_wells,
    six_hump_camel,
)
from tests.oracles.cubical import cubical_barcode, end_error, grid
from tests.oracles.gradient_flow import flow_barcode

EPS = float(np.finfo(np.float64).eps)
PLANAR = {"himmelblau": himmelblau, "muller-brown": mueller_brown, "six-hump-camel": six_hump_camel}
LANDSCAPES = {
    **{f"double-well-{d}": partial(double_well, d) for d in (1, 2, 3, 5)},
    **{f"simplex-wells-{r}": partial(simplex_wells, r) for r in (1, 2, 3, 6, 10)},
    "simplex-wells-2-curved-1": partial(simplex_wells, 2, curved=1),
    "simplex-wells-3-curved-5": partial(simplex_wells, 3, curved=5),
    **PLANAR,
}
# Vertices along an axis, and how much of the domain they cover. None of them is a critical point:
# nothing is right by luck.
GRIDS = {
    "double-well-2": (240, 1.0),
    "simplex-wells-2": (240, 1.0),
    "simplex-wells-3": (68, 0.75),
    "himmelblau": (500, 1.0),
    "muller-brown": (700, 1.0),
    "six-hump-camel": (400, 1.0),
}
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
everywhere = pytest.mark.parametrize("make", LANDSCAPES.values(), ids=LANDSCAPES.keys())
in_the_plane = pytest.mark.parametrize("make", PLANAR.values(), ids=PLANAR.keys())

Array = NDArray[np.float64]
Make = Callable[[], Landscape]


def values_at(landscape: Landscape, points: Array) -> Array:
    with torch.no_grad():
        return landscape(torch.tensor(points.reshape(-1, landscape.dim))).numpy()


def gradients_at(landscape: Landscape, points: Array) -> Array:
    at = torch.tensor(points, requires_grad=True)
    return torch.autograd.grad(landscape(at).sum(), at)[0].numpy()


def hessians_at(landscape: Landscape, points: Array) -> Array:
    at = torch.tensor(points, requires_grad=True)
    (slopes,) = torch.autograd.grad(landscape(at).sum(), at, create_graph=True)
    columns = [
        torch.autograd.grad(slope.sum(), at, retain_graph=True)[0] for slope in slopes.unbind(dim=1)
    ]
    return torch.stack(columns, dim=2).numpy()


def stated_bars(landscape: Landscape) -> tuple[Array, ...]:
    assert landscape.exact_bars is not None
    return landscape.exact_bars


def lengths(bars: Array) -> Array:
    return bars[:, 1] - bars[:, 0]


# Critical points


@everywhere
def test_gradient_vanishes_at_every_critical_point(make: Make) -> None:
    landscape = make()
    points = landscape.critical_points.points
    assert len(points) >= 3
    gradients = gradients_at(landscape, points)
    # What a point off by 8 ulps in each coordinate has. Rounding inside a formula is within it,
    # since no term of a gradient is much larger than the Hessian times the point.
    reach = np.abs(points).max(axis=1, keepdims=True)
    bound = 8 * EPS * reach * np.abs(hessians_at(landscape, points)).sum(axis=2)
    assert (np.abs(gradients) <= bound).all()
    # and it vanishes there only, not everywhere around
    assert (np.abs(gradients_at(landscape, points + 1e-3)).max(axis=1) > 1e-5).all()


@everywhere
def test_stated_index_is_the_number_of_negative_eigenvalues(make: Make) -> None:
    landscape = make()
    critical = landscape.critical_points
    eigenvalues = np.linalg.eigvalsh(hessians_at(landscape, critical.points))
    assert ((eigenvalues < 0).sum(axis=1) == critical.indices).all()
    assert np.abs(eigenvalues).min() > 0.1  # a Morse function, and not by a hair


@everywhere
def test_stated_value_is_the_function_there(make: Make) -> None:
    landscape = make()
    critical = landscape.critical_points
    found = values_at(landscape, critical.points)
    # closed forms and formulas add up a dozen terms of order 1; tables hold the formula's value
    assert (np.abs(found - critical.values) <= 16 * EPS * np.maximum(1, np.abs(found))).all()


@everywhere
def test_euler_characteristic_is_that_of_space(make: Make) -> None:
    assert ((-1) ** make().critical_points.indices).sum() == 1


@everywhere
def test_critical_points_are_distinct_ordered_and_inside_the_domain(make: Make) -> None:
    landscape = make()
    critical = landscape.critical_points
    rows = [
        (index, value, *point)
        for index, value, point in zip(
            critical.indices.tolist(),
            critical.values.tolist(),
            critical.points.tolist(),
            strict=True,
        )
    ]
    assert rows == sorted(rows)
    assert len({tuple(point) for point in critical.points.round(3).tolist()}) == len(critical)
    low, high = landscape.domain
    room = 0.1 * (high - low)
    assert ((critical.points > low + room) & (critical.points < high - room)).all()


@everywhere
def test_minima_are_the_critical_points_of_index_0(make: Make) -> None:
    landscape = make()
    critical = landscape.critical_points
    assert len(landscape.minima) >= 2
    np.testing.assert_array_equal(landscape.minima, critical.points[critical.indices == 0])
    np.testing.assert_array_equal(landscape.minima, critical.of_index(0).points)


@pytest.mark.parametrize("name", GRIDS)
def test_no_critical_point_is_missing(name: str) -> None:
    """Newton from all over the box finds every critical point that is listed and no other."""
    landscape = LANDSCAPES[name]()
    at = grid(landscape.domain, 25 if landscape.dim == 2 else 11).reshape(-1, landscape.dim)
    span = (landscape.domain[1] - landscape.domain[0]).min()
    for _ in range(40):
        # an infinitesimal shift keeps a Hessian invertible on a symmetric function's axes
        hessians = hessians_at(landscape, at) + 1e-9 * np.eye(landscape.dim)
        steps = np.linalg.solve(hessians, gradients_at(landscape, at)[:, :, None])[:, :, 0]
        sizes = np.linalg.norm(steps, axis=1, keepdims=True)
        at = at - steps * np.minimum(1, 0.05 * span / np.maximum(sizes, 1e-300))
        at = at[((at > landscape.domain[0]) & (at < landscape.domain[1])).all(axis=1)]
    settled = at[np.abs(gradients_at(landscape, at)).max(axis=1) < 1e-6]
    known = landscape.critical_points.points
    distances = np.linalg.norm(settled[:, None] - known[None], axis=2)
    assert set(distances.argmin(axis=1)) == set(range(len(known)))
    assert distances.min(axis=1).max() < 1e-6


# Barcodes


@pytest.mark.parametrize("name", GRIDS)
def test_barcode_agrees_with_a_cubical_grid(name: str) -> None:
    """Bottleneck distance within the grid's error: all bars are there, all others are short."""
    landscape = LANDSCAPES[name]()
    count, share = GRIDS[name]
    box = landscape.domain * share
    vertices = grid(box, count)
    assert_sublevels_end_inside(landscape, vertices)
    found = cubical_barcode(values_at(landscape, vertices).reshape(vertices.shape[:-1]))
    hessians = hessians_at(landscape, landscape.critical_points.points)
    error = end_error(hessians, (box[1] - box[0]) / (count - 1))
    stated = stated_bars(landscape)
    assert len(stated) == len(found) == landscape.dim
    shortest = min(lengths(bars).min() for bars in stated if len(bars))
    assert shortest > 2 * error  # else a bar could be matched with the diagonal
    for bars, others in zip(stated, found, strict=True):
        assert gudhi.hera.bottleneck_distance(bars, others, 0.0) <= error


def assert_sublevels_end_inside(landscape: Landscape, vertices: Array) -> None:
    """The function rises outward on the whole boundary: the box has the sublevel sets of R^d."""
    for axis in range(landscape.dim):
        for side, sign in ((0, -1), (-1, 1)):
            face = np.take(vertices, side, axis=axis).reshape(-1, landscape.dim)
            assert (sign * gradients_at(landscape, face)[:, axis] > 0).all()


@in_the_plane
def test_barcode_agrees_with_steepest_descent(make: Make) -> None:
    """To rounding, so it tells apart the camel's saddles, 1.1e-4 one above the other."""
    landscape = make()
    minima, saddles, maxima = (landscape.critical_points.of_index(index) for index in range(3))
    found = flow_barcode(
        partial(gradients_at, landscape),
        landscape.domain,
        minima=(minima.points, minima.values),
        saddles=(saddles.points, saddles.values, hessians_at(landscape, saddles.points)),
        maxima=(maxima.points, maxima.values),
    )
    assert len(found[0]) == len(minima)
    for bars, others in zip(stated_bars(landscape), found, strict=True):
        assert bars.shape == others.shape
        # the same floats in both, but mirror images may swap in a tie
        assert gudhi.hera.bottleneck_distance(bars, others, 0.0) <= 1e-12


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
def test_double_well_is_the_barcode_of_a_coarse_grid(dim: int) -> None:
    """Exactly: along each axis the grid holds -1, 0 and 1, a sum keeps what its terms have."""
    ends = np.array([[-1.5] * dim, [1.5] * dim])
    vertices = grid(ends, 7)
    values = values_at(double_well(dim), vertices).reshape(vertices.shape[:-1])
    for bars, others in zip(stated_bars(double_well(dim)), cubical_barcode(values), strict=True):
        assert len(bars) > 0
        np.testing.assert_array_equal(bars, others)


@pytest.mark.parametrize(
    ("dim", "counts"), [(1, [1]), (2, [3, 1]), (4, [15, 17, 7, 1]), (5, [31, 49, 31, 9, 1])]
)
def test_double_well_has_the_multiplicities_of_the_kuenneth_formula(
    dim: int, counts: list[int]
) -> None:
    barcode = stated_bars(double_well(dim))
    assert [int(np.isfinite(bars[:, 1]).sum()) for bars in barcode] == counts
    assert [int(np.isinf(bars[:, 1]).sum()) for bars in barcode] == [1] + [0] * (dim - 1)
    for index, bars in enumerate(barcode):
        finite = bars[np.isfinite(bars[:, 1])]
        assert {tuple(row) for row in finite.tolist()} == {(index, index + 1)}


@everywhere
def test_every_critical_point_is_one_end_of_one_bar(make: Make) -> None:
    landscape = make()
    critical = landscape.critical_points
    stated = stated_bars(landscape)
    births = [bars[:, 0] for bars in stated] + [np.empty(0)]
    deaths = [bars[np.isfinite(bars[:, 1]), 1] for bars in stated]
    assert [bar for bar in stated[0].tolist() if bar[1] == inf] == [[critical.values.min(), inf]]
    assert sum(np.isinf(bars).sum() for bars in stated) == 1
    for index in range(landscape.dim + 1):
        ends = np.sort(np.append(births[index], deaths[index - 1] if index else []))
        np.testing.assert_array_equal(ends, critical.of_index(index).values)


@everywhere
def test_bars_are_ascending_rows_of_positive_length(make: Make) -> None:
    barcode = stated_bars(make())
    assert len(barcode) == make().dim
    for bars in barcode:
        assert bars.ndim == 2
        assert bars.shape[1] == 2
        assert bars.dtype == np.float64
        assert (lengths(bars) > 0).all()
        assert bars.tolist() == sorted(bars.tolist())


# What the functions are


def test_published_values_of_himmelblau() -> None:
    landscape = himmelblau()
    at = np.array([[0.0, 0.0], [3.0, 2.0], [1.0, -1.0]])
    np.testing.assert_array_equal(values_at(landscape, at), [170.0, 0.0, 146.0])
    np.testing.assert_allclose(stated_bars(landscape)[1], [[178.337239, 181.616522]], atol=5e-7)
    assert np.abs(landscape.critical_points.of_index(0).values).max() < 1e-24  # all wells at 0


def test_published_values_of_mueller_brown() -> None:
    critical = mueller_brown().critical_points
    np.testing.assert_allclose(
        critical.values, [-146.6995, -108.1667, -80.7678, -72.2489, -40.6648], atol=5e-5
    )
    minima = [[-0.558, 1.442], [0.623, 0.028], [-0.050, 0.467]]
    saddles = [[0.212, 0.293], [-0.822, 0.624]]
    np.testing.assert_allclose(critical.points, minima + saddles, atol=6e-4)


def test_published_values_of_the_camel() -> None:
    critical = six_hump_camel().critical_points
    np.testing.assert_allclose(critical.values[:2], [-1.0316, -1.0316], atol=5e-5)
    np.testing.assert_allclose(
        critical.points[:2], [[-0.0898, 0.7126], [0.0898, -0.7126]], atol=1e-4
    )
    assert [len(critical.of_index(index)) for index in range(3)] == [6, 7, 2]


def test_one_dimension_of_simplex_wells_is_a_quarter_double_well() -> None:
    x = np.linspace(-2, 2, 9)[:, None]
    np.testing.assert_allclose(
        values_at(simplex_wells(1), x), values_at(double_well(1), x) / 4, rtol=0, atol=16 * EPS
    )


def test_simplex_wells_are_the_vertices_of_a_regular_simplex() -> None:
    minima = simplex_wells(5).minima
    assert minima.shape == (6, 5)
    distances = np.linalg.norm(minima[:, None] - minima[None], axis=2)[~np.eye(6, dtype=bool)]
    np.testing.assert_allclose(distances, distances[0], rtol=16 * EPS)
    np.testing.assert_allclose(minima.sum(axis=0), 0, atol=16 * EPS)


@pytest.mark.parametrize("r", [2, 3, 10])
def test_simplex_wells_bars_are_those_of_skeletons_of_a_simplex(r: int) -> None:
    barcode = stated_bars(simplex_wells(r))
    counts = [comb(r, index + 1) for index in range(r)]
    assert [int(np.isfinite(bars[:, 1]).sum()) for bars in barcode] == counts
    levels = [float(bars[0, 0]) for bars in barcode]
    assert min(np.diff(levels)) > 0.01


@pytest.mark.parametrize("curved", [1, 5])
def test_curved_directions_change_neither_values_nor_bars(curved: int) -> None:
    flat, bent = simplex_wells(3), simplex_wells(3, curved=curved)
    assert bent.dim == 3 + curved
    for bars, others in zip(stated_bars(flat), stated_bars(bent)[:3], strict=True):
        np.testing.assert_array_equal(bars, others)
    assert all(len(bars) == 0 for bars in stated_bars(bent)[3:])
    np.testing.assert_array_equal(flat.critical_points.values, bent.critical_points.values)


@pytest.mark.parametrize(("r", "curved"), [(2, 1), (3, 5)])
def test_curved_directions_shear_the_flat_function(r: int, curved: int) -> None:
    """At every x a parabola in y, its lowest value is g(x), at a y that is not linear in x."""
    bent = simplex_wells(r, curved=curved)
    points = np.random.default_rng(7).uniform(*bent.domain, size=(50, bent.dim))
    across = hessians_at(bent, points)[:, r:, r:]
    np.testing.assert_allclose(
        across, np.broadcast_to(4 * np.eye(curved), across.shape), atol=1e-14
    )

    def bottom(at: Array) -> Array:
        """Newton's step in y, exact for a parabola."""
        return at[:, r:] - gradients_at(bent, at)[:, r:] / 4

    lowest = values_at(bent, np.hstack([points[:, :r], bottom(points)]))
    # f and g add up terms of up to |x|^4 <= 256 / 4
    np.testing.assert_allclose(lowest, values_at(simplex_wells(r), points[:, :r]), atol=64 * EPS)
    middles = (points[::2] + points[1::2]) / 2
    bends = bottom(middles) - (bottom(points)[::2] + bottom(points)[1::2]) / 2
    assert (np.abs(bends).max(axis=0) > 0.1).all()


# What a landscape is


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@everywhere
def test_loss_keeps_dtype_and_is_differentiable(make: Make, dtype: torch.dtype) -> None:
    landscape = make()
    points = torch.tensor(landscape.domain * 0.3, dtype=dtype, requires_grad=True)
    values = landscape(points)
    assert values.shape == (2,)
    assert values.dtype == dtype
    (gradient,) = torch.autograd.grad(values.sum(), points)
    assert gradient.dtype == dtype
    assert gradient.abs().min() > 0


@pytest.mark.parametrize("device", DEVICES)
@everywhere
def test_loss_stays_on_the_device_of_its_points(make: Make, device: str) -> None:
    landscape = make()
    points = torch.tensor(landscape.domain * 0.3)
    values = landscape(points.to(device))
    assert values.device.type == device
    torch.testing.assert_close(values.cpu(), landscape(points))


def test_arrays_of_a_landscape_are_read_only() -> None:
    landscape = himmelblau()
    for array in (landscape.domain, landscape.minima, stated_bars(landscape)[1]):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 7.0
