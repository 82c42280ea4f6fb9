"""Functions with many minima in order, against published values, autograd and grids."""

from collections.abc import Callable
from functools import partial

import gudhi.hera
import numpy as np
import pytest
import torch

from simplicial.errors import SearchError
from simplicial.landscapes import (
    Landscape,
    ackley,
    griewank,
    levy,
    mixture_likelihood,
    rastrigin,
    styblinski_tang,
    torsions,
    xor_network,
)
from simplicial.landscapes.truth.exhaustive_search import Sought, searched
from tests.oracles.cubical import cubical_barcode, end_error, grid, paired_vertices
from tests.simplicial.landscapes.test_landscapes import (
    EPS,
    assert_sublevels_end_inside,
    gradients_at,
    hessians_at,
    stated_bars,
    values_at,
)

Make = Callable[[], Landscape]
SEPARABLE = {
    **{f"rastrigin-{d}": partial(rastrigin, d) for d in (1, 2, 3)},
    **{f"styblinski-tang-{d}": partial(styblinski_tang, d) for d in (1, 2, 4)},
    **{f"levy-{d}": partial(levy, d) for d in (1, 2, 3)},
}
SEARCHED = {
    **{f"ackley-{d}": partial(ackley, d) for d in (1, 2)},
    **{f"griewank-{d}": partial(griewank, d) for d in (1, 2)},
    "torsions": torsions,
    "mixture-likelihood-1": partial(mixture_likelihood, 0, 1),
    "mixture-likelihood-2": partial(mixture_likelihood, 0, 2),
}
COUNTS = {  # of critical points by index
    "rastrigin-2": [121, 220, 100],
    "styblinski-tang-2": [4, 4, 1],
    "levy-2": [40, 67, 28],
    "ackley-2": [25, 40, 16],
    "griewank-2": [17, 24, 18],
    "torsions": [9, 18, 9],
    "mixture-likelihood-2": [2, 1],
}
MADE = SEPARABLE | SEARCHED
everywhere = pytest.mark.parametrize("name", MADE)


def smooth(landscape: Landscape) -> np.ndarray:
    """Which of the critical points are no cusp."""
    if landscape.name != "ackley":
        return np.ones(len(landscape.critical_points), dtype=bool)
    return np.asarray(landscape.critical_points.points.any(axis=1))


@everywhere
def test_critical_points_are_critical_points_of_their_index_and_value(name: str) -> None:
    landscape = MADE[name]()
    critical, there = landscape.critical_points, smooth(landscape)
    assert len(critical) >= 1
    found = values_at(landscape, critical.points)
    np.testing.assert_allclose(found, critical.values, rtol=0, atol=256 * EPS * np.abs(found).max())
    points, hessians = critical.points[there], hessians_at(landscape, critical.points[there])
    scale = np.abs(points).max(axis=1, keepdims=True, initial=1.0)
    # a point off by 16 ulps, and the rounding of a gradient's terms
    bound = 16 * EPS * (scale * np.abs(hessians).sum(axis=2) + 20)
    assert (np.abs(gradients_at(landscape, points)) <= bound).all()
    eigenvalues = np.linalg.eigvalsh(hessians)
    assert ((eigenvalues < 0).sum(axis=1) == critical.indices[there]).all()
    assert np.abs(eigenvalues).min() > 1e-3
    low, high = landscape.domain
    assert ((critical.points > low) & (critical.points < high)).all()
    assert len(np.unique(critical.points.round(6), axis=0)) == len(critical)


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_critical_points(name: str) -> None:
    assert np.bincount(MADE[name]().critical_points.indices).tolist() == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_no_critical_point_in_the_box_is_missing(name: str) -> None:
    """Newton's method from all over the box arrives at what is listed, and at nothing else."""
    landscape = MADE[name]()
    low, high = landscape.domain
    at = grid(landscape.domain, 80).reshape(-1, 2)
    for _ in range(30):
        hessians = hessians_at(landscape, at) + 1e-9 * np.eye(2)
        steps = np.linalg.solve(hessians, gradients_at(landscape, at)[:, :, None])[:, :, 0]
        sizes = np.linalg.norm(steps, axis=1, keepdims=True)
        at = at - steps * np.minimum(1, 0.02 * (high - low).min() / np.maximum(sizes, 1e-300))
        at = at[((at > low) & (at < high)).all(axis=1)]
    settled = at[np.abs(gradients_at(landscape, at)).max(axis=1) < 1e-9]
    known = landscape.critical_points.points[smooth(landscape)]
    apart = np.linalg.norm(settled[:, None] - known[None], axis=2)
    assert apart.min(axis=1).max() < 1e-6
    assert set(apart.argmin(axis=1)) == set(range(len(known)))


@pytest.mark.parametrize("name", SEPARABLE)
def test_every_critical_point_is_one_end_of_one_bar(name: str) -> None:
    landscape = SEPARABLE[name]()
    critical, stated = landscape.critical_points, stated_bars(landscape)
    assert ((-1) ** critical.indices).sum() == 1
    for index in range(landscape.dim + 1):
        births = stated[index][:, 0] if index < landscape.dim else np.empty(0)
        deaths = stated[index - 1][:, 1] if index else np.empty(0)
        ends = np.sort(np.append(births, deaths[np.isfinite(deaths)]))
        expected = critical.of_index(index).values
        # sums of the same terms in another order
        np.testing.assert_allclose(ends, expected, rtol=0, atol=64 * EPS * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "count"), [("rastrigin-2", 400), ("styblinski-tang-2", 200), ("levy-2", 700)]
)
def test_barcode_agrees_with_a_cubical_grid(name: str, count: int) -> None:
    landscape = SEPARABLE[name]()
    vertices = grid(landscape.domain, count)
    assert_sublevels_end_inside(landscape, vertices)
    found = cubical_barcode(values_at(landscape, vertices).reshape(vertices.shape[:-1]))
    hessians = hessians_at(landscape, landscape.critical_points.points)
    error = end_error(hessians, (landscape.domain[1] - landscape.domain[0]) / (count - 1))
    for bars, others in zip(stated_bars(landscape), found, strict=True):
        assert (bars[:, 1] - bars[:, 0]).max() > 4 * error
        assert gudhi.hera.bottleneck_distance(bars, others, 0.0) <= error


def test_barcodes_in_one_variable_are_those_of_the_grid() -> None:
    for make in (rastrigin, styblinski_tang, levy):
        landscape = make(1)
        low, high = landscape.domain[:, 0].tolist()
        x = np.linspace(low, high, 200_001)
        (found,) = cubical_barcode(values_at(landscape, x))
        (stated,) = stated_bars(landscape)
        assert found.shape == stated.shape
        np.testing.assert_allclose(found[np.lexsort(found.T[::-1])], stated, atol=1e-5)


@pytest.mark.parametrize("make", [ackley, torsions])
def test_births_of_a_grid_are_the_minima_of_what_was_searched(make: Make) -> None:
    landscape = make()
    count = 401
    vertices = grid(landscape.domain, count)
    pairs, lowest = paired_vertices(values_at(landscape, vertices).reshape(count, count))
    births = np.append(pairs[pairs[:, 0] == 0, 1], lowest)
    spacing = (landscape.domain[1] - landscape.domain[0]) / (count - 1)
    found = vertices.reshape(-1, 2)[births]
    apart = np.abs(found[:, None] - landscape.minima[None]) / spacing
    assert (apart.max(axis=2).min(axis=0) < 2).all()
    inside = ((found > landscape.domain[0]) & (found < landscape.domain[1])).all(axis=1)
    assert (apart.max(axis=2).min(axis=1)[inside] < 2).all()


@pytest.mark.parametrize(
    ("landscape", "point", "value"),
    [
        (rastrigin(5), [0.0] * 5, 0.0),
        (levy(4), [1.0] * 4, 0.0),
        (ackley(3), [0.0] * 3, 0.0),
        (griewank(3), [0.0] * 3, 0.0),
        (styblinski_tang(3), [-2.903534] * 3, -39.16616570377142 * 3),
        (rastrigin(1), [0.5], 20.25),
        (griewank(2), [np.pi, 0.0], 2 + np.pi**2 / 4000),
        (levy(1), [-3.0], 1.0),
        (torsions(), [np.pi, np.pi], 0.0),
        (torsions(), [0.0, np.pi], 1.522 + 3.207 + 0.8),
    ],
    ids=lambda given: getattr(given, "name", None),
)
def test_published_values(landscape: Landscape, point: list[float], value: float) -> None:
    (found,) = values_at(landscape, np.array([point]))
    assert found == pytest.approx(value, abs=1e-10)


def test_the_cusp_of_ackley_is_its_lowest_minimum_and_has_a_gradient_of_zero() -> None:
    landscape = ackley()
    lowest = landscape.critical_points.of_index(0)
    np.testing.assert_array_equal(lowest.points[0], [0.0, 0.0])
    np.testing.assert_array_equal(gradients_at(landscape, lowest.points[:1]), [[0.0, 0.0]])
    near = 1e-6 * np.array([[1.0, 0.0], [0.0, -1.0]])
    np.testing.assert_allclose(values_at(landscape, near), 4e-6 / np.sqrt(2), rtol=1e-4)


def test_torsions_are_periodic() -> None:
    points = np.random.default_rng(5).uniform(-3, 3, (20, 2))
    for shift in (2 * np.pi, -2 * np.pi):
        there = values_at(torsions(), points + np.array([shift, -shift]))
        np.testing.assert_allclose(there, values_at(torsions(), points), atol=1e-13)


def test_labels_of_a_mixture_may_be_switched() -> None:
    landscape = mixture_likelihood(seed=3, dim=3)
    points = np.random.default_rng(1).uniform(-4, 4, (10, 3))
    switched = values_at(landscape, points[:, [2, 0, 1]])
    np.testing.assert_allclose(switched, values_at(landscape, points), rtol=1e-14)
    minima = mixture_likelihood().minima
    np.testing.assert_allclose(minima, minima[::-1, ::-1], atol=1e-12)
    other = values_at(mixture_likelihood(seed=4, dim=3), points)
    assert np.abs(other - values_at(landscape, points)).max() > 1e-3


def test_minima_of_xors_network_come_in_orbits_of_its_symmetries() -> None:
    landscape = xor_network()
    minima = landscape.minima
    assert np.bincount(np.unique(values_at(landscape, minima).round(6), return_inverse=True)[1]
                       ).tolist() == [16, 32, 1]  # fmt: skip
    assert np.abs(gradients_at(landscape, minima)).max() < 1e-13
    assert np.linalg.eigvalsh(hessians_at(landscape, minima)).min() > 1e-2
    exchanged = minima[:, [2, 3, 0, 1, 5, 4, 7, 6, 8]]
    turned = minima * np.array([-1, -1, 1, 1, -1, 1, -1, 1, 1])
    for copies in (exchanged, turned):
        apart = np.linalg.norm(copies[:, None] - minima[None], axis=2)
        assert apart.min(axis=1).max() < 1e-9
    with pytest.raises(SearchError, match="xor-network are known up to Morse index 0, got 1"):
        landscape.stratum(1)


def test_the_loss_of_xors_network_is_that_of_torchs_modules() -> None:
    torch.manual_seed(0)
    first, second = torch.nn.Linear(2, 2).double(), torch.nn.Linear(2, 1).double()
    parameters = [first.weight, first.bias, second.weight, second.bias]
    point = torch.cat([p.detach().ravel() for p in parameters])
    x = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]], dtype=torch.float64)
    errors = second(first(x).tanh())[:, 0] + x.prod(dim=1)
    expected = errors.square().mean() + 0.01 * point.square().sum()
    assert xor_network()(point[None]).item() == pytest.approx(expected.item(), rel=1e-14)


def test_a_search_without_a_known_sum_ends_where_nothing_new_is_found() -> None:
    box = np.array([[-1.0, -1.0], [1.0, 1.0]])
    saddle = searched(
        "saddle", lambda x: x[:, 0].square() - x[:, 1].square(), box, Sought(euler=None)
    )
    assert len(saddle(1)) == 1
    assert len(saddle(0)) == 0
