"""Random landscapes against what shares no code with them: autograd, grids, and their bounds."""

from functools import cache

import gudhi.hera
import numpy as np
import pytest
import torch

from reduction.errors import DimensionError, OptionError, ShapeError
from simplicial.errors import SearchError
from simplicial.landscapes import (
    Landscape,
    by_name,
    double_well,
    gaussian_mixture,
    himmelblau,
    mueller_brown,
    simplex_wells,
    six_hump_camel,
    trigonometric,
)
from simplicial.landscapes.truth import exhaustive_search
from tests.oracles.cubical import grid, paired_vertices, refined_bars
from tests.simplicial.landscapes.test_landscapes import EPS, Array, gradients_at, values_at

MAKERS = {"gaussian-mixture": gaussian_mixture, "trigonometric": trigonometric}
PLANAR = [(name, seed, 2) for name in MAKERS for seed in (0, 5, 11)]
CASES = PLANAR + [(name, seed, dim) for name in MAKERS for seed, dim in ((1, 1), (2, 3))]
COUNTS = {1: 4001, 2: 500, 3: 60}  # vertices along an axis
everywhere = pytest.mark.parametrize(("name", "seed", "dim"), CASES)
both = pytest.mark.parametrize("name", MAKERS)


@cache
def made(name: str, seed: int, dim: int) -> Landscape:
    """Shared by the tests: the search is made once."""
    return MAKERS[name](seed, dim)


@cache
def sampled(name: str, seed: int, dim: int) -> tuple[Array, Array]:
    landscape = made(name, seed, dim)
    vertices = grid(landscape.domain, COUNTS[dim])
    return vertices, values_at(landscape, vertices).reshape(vertices.shape[:-1])


def hessians_at(landscape: Landscape, points: Array) -> Array:
    """By central differences of gradients: h^2 of the fourth derivatives, and eps / h."""
    h = EPS ** (1 / 3)
    columns = [
        (gradients_at(landscape, points + h * e) - gradients_at(landscape, points - h * e))
        / (2 * h)
        for e in np.eye(landscape.dim)
    ]
    return np.stack(columns, axis=2) / (2 * h)


# Critical points


@everywhere
def test_gradient_vanishes_at_every_critical_point(name: str, seed: int, dim: int) -> None:
    landscape = made(name, seed, dim)
    points = landscape.critical_points.points
    assert len(points) >= 3
    # Newton's last step leaves the rounding of the gradient: some twenty terms, none above 10
    assert np.abs(gradients_at(landscape, points)).max() < 200 * EPS
    assert (np.abs(gradients_at(landscape, points + 1e-3)).max(axis=1) > 1e-5).all()


@everywhere
def test_stated_index_is_the_number_of_negative_eigenvalues(name: str, seed: int, dim: int) -> None:
    landscape = made(name, seed, dim)
    critical = landscape.critical_points
    eigenvalues = np.linalg.eigvalsh(hessians_at(landscape, critical.points))
    assert ((eigenvalues < 0).sum(axis=1) == critical.indices).all()
    assert np.abs(eigenvalues).min() > 1e-2  # far above the differences' error


@everywhere
def test_stated_value_is_the_function_there(name: str, seed: int, dim: int) -> None:
    landscape = made(name, seed, dim)
    critical = landscape.critical_points
    found = values_at(landscape, critical.points)
    assert np.abs(found - critical.values).max() <= 64 * EPS
    assert np.ptp(critical.values) > 1


@everywhere
def test_euler_characteristic_is_that_of_space(name: str, seed: int, dim: int) -> None:
    assert ((-1) ** made(name, seed, dim).critical_points.indices).sum() == 1


@everywhere
def test_critical_points_are_distinct_and_inside_the_domain_with_room(
    name: str, seed: int, dim: int
) -> None:
    landscape = made(name, seed, dim)
    points = landscape.critical_points.points
    low, high = landscape.domain
    room = 0.1 * (high - low)
    assert ((points > low + room) & (points < high - room)).all()
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert apart[~np.eye(len(points), dtype=bool)].min() > 1e-3
    np.testing.assert_array_equal(landscape.minima, points[landscape.critical_points.indices == 0])


@everywhere
def test_every_minimum_is_the_birth_of_a_bar_of_the_grid(name: str, seed: int, dim: int) -> None:
    """And every such birth but the grid's noise, in narrow valleys askew to it, a minimum's."""
    landscape = made(name, seed, dim)
    vertices, values = sampled(name, seed, dim)
    pairs, lowest = paired_vertices(values)
    pairs = pairs[pairs[:, 0] == 0]
    lengths = np.diff(values.ravel()[pairs[:, 1:]], axis=1)[:, 0]
    noise = {"gaussian-mixture": 1e-4, "trigonometric": 2e-3}[name] if dim < 3 else 2e-2
    spacing = (landscape.domain[1] - landscape.domain[0]) / (COUNTS[dim] - 1)
    births = vertices.reshape(-1, dim)[np.append(pairs[:, 1], lowest)]
    steps = np.abs(births[:, None] - landscape.minima[None]) / spacing
    near = steps.max(axis=2) < 2
    assert near.any(axis=0).all()
    long = np.append(lengths > noise * np.ptp(landscape.critical_points.values), True)
    assert near[long].any(axis=1).all()
    assert long.sum() >= 2


@pytest.mark.parametrize(("name", "seed", "dim"), [*PLANAR, ("trigonometric", 2, 3)])
def test_ends_of_the_grid_s_bars_are_critical_values(name: str, seed: int, dim: int) -> None:
    landscape = made(name, seed, dim)
    critical = landscape.critical_points
    barcode = refined_bars(landscape, landscape.domain, COUNTS[dim], share=0.02)
    assert len(barcode[0]) >= 2
    for index, bars in enumerate(barcode):
        for ends, of in ((bars[:, 0], index), (bars[np.isfinite(bars[:, 1]), 1], index + 1)):
            stated = critical.of_index(of).values
            assert all(np.abs(stated - end).min() <= 64 * EPS for end in ends)


def test_a_coarse_grid_gives_the_bars_of_a_fine_one() -> None:
    """Though its errors change the order of two minima."""
    landscape = made("gaussian-mixture", 2, 2)
    coarse, fine = (refined_bars(landscape, landscape.domain, n, share=0.02) for n in (60, 500))
    for bars, others in zip(coarse, fine, strict=True):
        np.testing.assert_allclose(bars, others, rtol=0, atol=1e-9)


def test_the_noise_of_a_grid_is_refused() -> None:
    landscape = made("trigonometric", 7, 2)
    with pytest.raises(AssertionError, match="at two ends, one of them noise: take a finer grid"):
        refined_bars(landscape, landscape.domain, 100)


def test_a_third_of_the_mixtures_have_a_long_bar_of_index_1() -> None:
    shares = []
    for seed in range(1, 7):
        landscape = gaussian_mixture(seed)
        vertices = grid(landscape.domain, 200)
        values = values_at(landscape, vertices).reshape(200, 200)
        pairs, _ = paired_vertices(values)
        bars = values.ravel()[pairs[pairs[:, 0] == 1, 1:]]
        highest = values.ravel()[pairs[:, 1:]].max()
        shares.append((np.diff(bars, axis=1) / (highest - values.min())).max(initial=0.0))
    assert sum(share > 0.02 for share in shares) >= 2


@pytest.mark.parametrize(
    ("landscape", "count"),
    [
        (himmelblau(), 300),
        (mueller_brown(), 400),
        (six_hump_camel(), 400),
        (double_well(1), 100),
        (simplex_wells(3), 50),
    ],
    ids=lambda given: getattr(given, "name", None),
)
def test_refined_bars_are_the_exact_ones_where_these_are_known(
    landscape: Landscape, count: int
) -> None:
    assert landscape.exact_bars is not None
    found = refined_bars(landscape, landscape.domain, count)
    for bars, others in zip(landscape.exact_bars, found, strict=True):
        assert bars.shape == others.shape
        assert gudhi.hera.bottleneck_distance(bars, others, 0.0) <= 1e-9


# What the functions are


@both
def test_a_seed_is_one_function_and_another_seed_another(name: str) -> None:
    points = np.random.default_rng(3).uniform(-1, 1, (20, 2))
    first, again, other = (values_at(MAKERS[name](seed), points) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    found, again = (MAKERS[name](4).critical_points.points for _ in range(2))
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
    ("name", "origin", "lowest"),
    [
        ("gaussian-mixture", -0.034082185329164225, -2.07097820754658),
        ("trigonometric", 0.5173148793638103, -1.2469730613336165),
    ],
)
def test_the_function_of_seed_0_is_what_it_was(name: str, origin: float, lowest: float) -> None:
    """Results are reported by seed: these functions may never change."""
    landscape = made(name, 0, 2)
    assert values_at(landscape, np.zeros((1, 2)))[0] == pytest.approx(origin, abs=1e-12)
    assert landscape.critical_points.values.min() == pytest.approx(lowest, abs=1e-12)


@everywhere
def test_it_rises_outward_on_the_domain_s_boundary_and_beyond(
    name: str, seed: int, dim: int
) -> None:
    landscape = made(name, seed, dim)
    highest = landscape.critical_points.values.max()
    for stretch in (1.0, 3.0, 10.0):
        vertices = grid(stretch * landscape.domain, 21)
        for axis in range(dim):
            for side, sign in ((0, -1), (-1, 1)):
                face = np.take(vertices, side, axis=axis).reshape(-1, dim)
                assert (sign * gradients_at(landscape, face)[:, axis] > 0).all()
                assert stretch < 10 or (values_at(landscape, face) > highest + 1).all()


@both
def test_dtype_is_kept_and_float32_agrees(name: str) -> None:
    landscape = made(name, 0, 2)
    points = np.random.default_rng(8).uniform(*landscape.domain, size=(50, 2))
    exact = values_at(landscape, points)
    assert exact.dtype == np.float64
    single = torch.tensor(points, dtype=torch.float32, requires_grad=True)
    values = landscape(single)
    assert values.dtype == torch.float32
    (gradient,) = torch.autograd.grad(values.sum(), single)
    assert gradient.dtype == torch.float32
    assert gradient.abs().min() > 0
    # A rounded point is off by eps / 2 of 9 at most, where slopes are at most 10; the rest adds up
    # 20 terms.
    bound = 100 * float(np.finfo(np.float32).eps) * max(1.0, float(np.abs(exact).max()))
    np.testing.assert_allclose(values.detach().numpy(), exact, rtol=0, atol=bound)


@both
def test_no_bars_are_known(name: str) -> None:
    assert made(name, 0, 2).exact_bars is None


@both
def test_names_take_a_seed_and_a_dimension(name: str) -> None:
    points = np.random.default_rng(3).uniform(-1, 1, (20, 3))
    for seed in (0, 6):
        expected = values_at(MAKERS[name](seed, 3), points)
        np.testing.assert_array_equal(values_at(by_name(name, 3, seed=seed), points), expected)
    expected = values_at(made(name, 0, 2), points[:, :2])
    np.testing.assert_array_equal(values_at(by_name(name), points[:, :2]), expected)


# What is refused


@both
@pytest.mark.parametrize("points", [torch.zeros(2), torch.zeros(4, 3), torch.zeros(4, 2).long()])
def test_points_of_the_wrong_shape_are_refused(name: str, points: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=rf"{name} takes floating points \(batch, 2\), got shape"):
        made(name, 0, 2)(points)


@both
def test_seeds_and_dimensions_out_of_range_are_refused(name: str) -> None:
    for seed in (-1, 1.5, "0", True):
        with pytest.raises(OptionError, match="seed must be a whole number of at least 0, got"):
            by_name(name, seed=seed)  # pyright: ignore[reportArgumentType]
    for dim in (0, -2):
        with pytest.raises(DimensionError, match=f"needs a dimension of at least 1, got {dim}"):
            by_name(name, dim)
    with pytest.raises(DimensionError, match="only simplex-wells has curved directions"):
        by_name(name, curved=1)
    with pytest.raises(OptionError, match=r"(wells|terms) must be a whole number of at least 1"):
        MAKERS[name](0, 2, 0)


@pytest.mark.parametrize("name", ["double-well", "simplex-wells", "himmelblau"])
def test_names_without_randomness_refuse_a_seed(name: str) -> None:
    with pytest.raises(OptionError, match=f"take a seed, got seed = 0 for {name}: leave it out"):
        by_name(name, seed=0)


def test_a_search_that_does_not_end_in_agreement_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Functions that do not grow in every direction: a saddle alone, and no critical point."""
    monkeypatch.setattr(exhaustive_search, "ROUNDS", 2)
    box = np.array([[-1.0, -1.0], [1.0, 1.0]])
    saddle = exhaustive_search.searched(
        "saddle", lambda x: x[:, 0].square() - x[:, 1].square(), domain=box
    )
    with pytest.raises(SearchError, match="saddle in 2 variables has 1 critical points of sum -1"):
        saddle(0)
    slope = exhaustive_search.searched("slope", lambda x: x.exp().sum(dim=1), domain=box)
    with pytest.raises(SearchError, match="slope in 2 variables has 0 critical points of sum 0"):
        slope(0)
