"""Minima: what is accepted as vertices, and the search that finds them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import Minima, find_minima
from simplicial.errors import LossError, SearchError
from simplicial.evaluation import derivatives, steepest_curvature
from simplicial.landscapes import NAMES, by_name, double_well, himmelblau, simplex_wells
from simplicial.loss import BoundedLoss, Evaluation, ScoredLoss


def square(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


MORE = ["rastrigin", "levy", "ackley", "griewank", "torsions", "xor-network"]
"""With minima outside of their domain, or more than 200 starts find."""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MORE])
def test_every_minimum_of_a_landscape_is_found_and_nothing_else(name: str) -> None:
    landscape = by_name(name)
    found = find_minima(landscape, seed=0)
    expected = landscape.minima
    distance = np.linalg.norm(found.points.numpy()[:, None] - expected[None], axis=2)
    assert distance.shape == (len(expected), len(expected))
    assert distance.min(axis=0).max() < 1e-7
    assert (np.diff(found.values) >= -1e-9).all()
    counts = found.search
    assert counts is not None
    assert counts.starts == 200
    assert len(found) + counts.duplicates + counts.others + counts.failures == 200
    assert counts.failures == 0


@pytest.mark.parametrize(("dim", "count"), [(1, 2), (3, 8), (5, 32)])
def test_double_wells_in_other_dimensions(dim: int, count: int) -> None:
    found = find_minima(double_well(dim), seed=1)
    corners = np.unique(np.round(found.points.numpy(), 6), axis=0)
    assert corners.shape == (count, dim)
    np.testing.assert_array_equal(np.abs(corners), 1)


def test_wells_on_a_curved_manifold() -> None:
    assert len(find_minima(simplex_wells(3, curved=5), seed=2)) == 4


def test_at_most_n_the_lowest_are_kept() -> None:
    all_of_them = find_minima(by_name("six-hump-camel"), seed=0)
    two = find_minima(by_name("six-hump-camel"), n=2, seed=0)
    assert len(all_of_them) == 6
    assert torch.equal(two.points, all_of_them.points[:2])
    assert two.search == all_of_them.search


def test_a_seed_gives_the_same_minima_in_the_same_order() -> None:
    first, second = (find_minima(himmelblau(), seed=s) for s in (3, 3))
    assert torch.equal(first.points, second.points)
    other = find_minima(himmelblau(), seed=4)
    torch.testing.assert_close(first.points, other.points, rtol=0, atol=1e-7)


def test_critical_points_of_another_index_are_left_out_and_counted() -> None:
    """Starts on the line x = 0 stay on it and arrive at the saddle of a double well in x."""

    class OnALine(BoundedLoss):
        domain = np.array([[-1e-300, -1.0], [1e-300, 1.0]])

        @property
        def dim(self) -> int:
            return 2

        def __call__(self, x: Tensor) -> Tensor:
            return (x[:, 0].square() - 1).square() + x[:, 1].square()

    with pytest.raises(
        SearchError, match="9 starts, of which 0 duplicates, 9 of another index, 0 degenerate"
    ):
        find_minima(OnALine(), starts=9)


def test_degenerate_minima_and_failures_are_left_out_and_counted() -> None:
    with pytest.raises(SearchError, match="8 degenerate points, 0 failures"):
        find_minima(lambda x: x[:, 0].square() + x[:, 1].pow(4), dim=2, starts=8)
    with pytest.raises(SearchError, match="8 degenerate points, 0 failures"):
        find_minima(lambda x: x.pow(4).sum(dim=1), dim=1, starts=8)
    with pytest.raises(SearchError, match="0 degenerate points, 8 failures"):
        find_minima(lambda x: -x.exp().sum(dim=1), dim=2, starts=8)


def test_curvatures_are_the_eigenvalues_of_the_hessian() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    found = derivatives(double_well(2), points)
    np.testing.assert_allclose(found.hessians, [np.diag([8, -4]), np.diag([-4, -4])], atol=1e-12)
    assert steepest_curvature(double_well(2), points) == pytest.approx(8)
    flat = derivatives(lambda x: x.sum(dim=1), points)
    assert not flat.hessians.any()
    with pytest.raises(LossError, match=r"curvature, which is 0\.0 at the vertices"):
        steepest_curvature(lambda x: x.sum(dim=1), points)


def test_points_are_copied_and_values_computed() -> None:
    points = np.array([[0.0, 1.0], [2.0, 0.0]])
    minima = Minima(points, square)  # pyright: ignore[reportArgumentType]
    points[:] = 7
    np.testing.assert_array_equal(minima.values, [1, 4])
    assert minima.points.dtype == torch.float64
    assert minima.accuracy is None
    with pytest.raises(ValueError, match="read-only"):
        minima.values[0] = 3


def test_a_loss_without_gradient_is_refused_in_training() -> None:
    from simplicial import build_complex

    minima = Minima(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), lambda x: square(x).detach())
    with pytest.raises(LossError, match="must be differentiable by torch"):
        build_complex(minima, 1, progress=False)


class Scored(ScoredLoss):
    """A loss that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.asked += 1
        return square(x)

    def evaluate(self, points: Tensor) -> Evaluation:
        values = self(points).numpy()
        return Evaluation(values, 1 / (1 + values))


def test_joined_points_keep_what_is_known_of_them() -> None:
    loss = Scored()
    first = Minima(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), loss)
    second = Minima(torch.tensor([[3.0, 0.0], [1e-7, 1.0], [0.0, 1.01]]).double(), loss)
    asked = loss.asked
    both = first.joined(second)
    assert loss.asked == asked == 2
    assert both.points.dtype == torch.float32
    assert both.loss is loss
    torch.testing.assert_close(both.points[2:], torch.tensor([[3.0, 0.0], [0.0, 1.01]]))
    np.testing.assert_allclose(both.values, [1, 4, 9, 1.01**2], rtol=1e-6)
    assert both.accuracy is not None
    np.testing.assert_allclose(both.accuracy, 1 / (1 + both.values))
    np.testing.assert_array_equal(both.joined(second).points, both.points)
