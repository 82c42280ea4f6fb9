"""Uniform points and the lattice of the standard simplex."""

from math import comb

import numpy as np
import pytest
from scipy import stats

from simplicial.maps.lattice import interior_lattice, lattice
from simplicial.optimizers.random_points import BLOCK, UniformPoints


@pytest.mark.parametrize("r", range(5))
@pytest.mark.parametrize("resolution", [1, 2, 3, 6])
def test_the_lattice_has_every_point_once(r: int, resolution: int) -> None:
    points = lattice(r, resolution)
    assert points.shape == (comb(resolution + r, r), r + 1)
    assert (points >= 0).all()
    assert (points.sum(axis=1) == resolution).all()
    assert len(np.unique(points, axis=0)) == len(points)
    assert len(interior_lattice(r, resolution)) == comb(resolution - 1, r)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_points_are_uniform_on_the_simplex(r: int) -> None:
    """Each coordinate of a uniform point is Beta(1, r): Kolmogorov-Smirnov on 20,000 points."""
    points = UniformPoints(5, np.arange(r + 1)[None], samples=20_000 // BLOCK).draw()
    more = [UniformPoints(5, np.arange(r + 1)[None] + i, 2_000).draw() for i in range(1, 11)]
    drawn = np.concatenate([points.reshape(-1, r + 1), *(m.reshape(-1, r + 1) for m in more)])
    assert len(drawn) > 20_000
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-12)
    for i in range(r + 1):
        assert stats.kstest(drawn[:, i], stats.beta(1, r).cdf).pvalue > 1e-3
    # Dirichlet(1, ..., 1): covariance of two coordinates is -1 / ((r+1)^2 (r+2))
    covariance = np.cov(drawn[:, 0], drawn[:, 1])[0, 1]
    assert covariance == pytest.approx(-1 / ((r + 1) ** 2 * (r + 2)), rel=0.1)


def test_a_stream_belongs_to_its_simplex() -> None:
    """The same points whatever is drawn beside them, and in whichever order, across blocks too."""
    vertices = np.array([[0, 1], [0, 2], [1, 2]])
    together = UniformPoints(7, vertices, 3)
    alone = UniformPoints(7, vertices[2:], 3)
    backwards = UniformPoints(7, vertices[::-1], 3)
    drawn = [together.draw() for _ in range(BLOCK + 2)]
    for points in drawn:
        np.testing.assert_array_equal(points[2:], alone.draw())
        np.testing.assert_array_equal(points[::-1], backwards.draw())
    assert len(np.unique(np.array(drawn).reshape(-1, 2), axis=0)) == 9 * (BLOCK + 2)


def test_another_seed_gives_other_points() -> None:
    vertices = np.array([[0, 1, 2]])
    assert not np.array_equal(
        UniformPoints(1, vertices, 1).draw(), UniformPoints(2, vertices, 1).draw()
    )
