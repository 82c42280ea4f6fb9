"""The box as a domain: no point outside, minima and saddles on its walls."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from simplicial import Minima, find_critical_points, find_minima, with_saddles
from simplicial.critical_points.eigenvector_following import follow
from simplicial.landscapes import himmelblau

Loss = Callable[[Tensor], Tensor]


def hills(x: Tensor) -> Tensor:
    """Himmelblau's function, of any class but that of a box."""
    a, b = x[:, 0], x[:, 1]
    return (a.square() + b - 11).square() + (a + b.square() - 7).square()


def camel(x: Tensor) -> Tensor:
    a, b = x[:, 0], x[:, 1]
    return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2


def tilted(x: Tensor) -> Tensor:
    """(x² - 1)² + y + z / 2: a double well, which falls towards the walls below y and z."""
    return (x[:, 0].square() - 1).square() + x[:, 1] + x[:, 2] / 2


def waves(x: Tensor) -> Tensor:
    return torch.sin(3 * x).sum(dim=1) + x.prod(dim=1) + (x[:, 1:] * x[:, :-1].square()).sum(dim=1)


def by_scipy(loss: Loss, box: NDArray[np.float64], starts: int = 300) -> NDArray[np.float64]:
    """Distinct minima in a box by L-BFGS-B, sorted by value."""

    def value_and_slope(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = torch.tensor(x)[None].requires_grad_()
        value = loss(at).sum()
        return float(value.detach()), torch.autograd.grad(value, at)[0][0].numpy()

    rng, found = np.random.default_rng(0), list[NDArray[np.float64]]()
    for x in rng.uniform(*box, size=(starts, box.shape[1])):
        end = minimize(
            value_and_slope, x, jac=True, bounds=box.T, options={"ftol": 1e-15, "gtol": 1e-10}
        ).x
        if all(np.linalg.norm(end - other) > 1e-3 for other in found):
            found.append(end)
    return np.stack(sorted(found, key=lambda x: float(loss(torch.tensor(x)[None]))))


BOXES = {
    "himmelblau-inside": (hills, [[0.0, 0.0], [2.5, 2.5]]),
    "himmelblau-wide": (hills, [[-6.0, -6.0], [6.0, 6.0]]),
    "himmelblau-strip": (hills, [[-4.5, -1.0], [4.5, 1.5]]),
    "camel": (camel, [[-1.2, 0.3], [1.7, 1.0]]),
    "tilted": (tilted, [[-2.0, -0.5, 0.0], [2.0, 1.0, 1.0]]),
    "waves-2": (waves, [[-2.0, -2.0], [2.0, 2.0]]),
    "waves-3": (waves, [[-1.0, -1.5, -1.0], [1.5, 1.0, 1.2]]),
    "linear": (lambda x: x.sum(dim=1), [[-1.0, -1.0], [1.0, 1.0]]),
    "ridge": (lambda x: -x.square().sum(dim=1), [[0.0, 0.0], [1.0, 2.0]]),
}


@pytest.mark.parametrize("method", ["starts", "basin hopping"])
@pytest.mark.parametrize("name", BOXES)
def test_minima_in_a_box_are_those_of_scipy(name: str, method: str) -> None:
    loss, corners = BOXES[name]
    box = np.array(corners)
    minima = find_minima(loss, dim=box.shape[1], box=box, method=method)  # pyright: ignore
    expected = by_scipy(loss, box)
    points = minima.points.numpy()
    assert (points >= box[0]).all()
    assert (points <= box[1]).all()
    distance = np.linalg.norm(points[:, None] - expected[None], axis=2)
    assert distance.shape == (len(expected), len(expected))
    assert distance.min(axis=0).max() < 1e-5
    assert distance.min(axis=1).max() < 1e-5
    search = minima.search
    assert search is not None
    assert search.box == (tuple(box[0]), tuple(box[1]))
    on_low, on_high = points == box[0], points == box[1]
    np.testing.assert_array_equal(minima.walls, on_high.astype(int) - on_low)
    slope = torch.autograd.functional.jacobian(lambda x: loss(x).sum(), minima.points).numpy()
    np.testing.assert_allclose(slope[minima.walls == 0], 0, atol=1e-8)
    assert (slope[minima.walls == -1] > 0).all()
    assert (slope[minima.walls == 1] < 0).all()


def test_some_of_these_minima_are_on_walls_and_some_are_not() -> None:
    walls = np.concatenate(
        [find_minima(f, dim=len(box[0]), box=box).walls.ravel() for f, box in BOXES.values()]
    )
    assert {-1, 0, 1} == set(walls.tolist())


def test_a_minimum_outside_the_box_is_not_returned_and_is_without_one() -> None:
    inside = find_minima(hills, dim=2, box=(0.0, 5.0))
    np.testing.assert_allclose(inside.points[0], [3, 2], atol=1e-12)
    np.testing.assert_array_equal(inside.walls, [[0, 0], [0, -1], [-1, 0]])
    free = find_minima(hills, dim=2)
    assert len(free) == 4
    assert not free.walls.any()
    assert free.search is not None
    assert free.search.box is None


def test_saddles_on_a_wall_have_the_index_of_the_loss_along_it() -> None:
    box = np.array([[-2.0, -0.5, 0.0], [2.0, 1.0, 1.0]])
    minima = find_minima(tilted, dim=3, box=box)
    np.testing.assert_allclose(minima.points, [[-1, -0.5, 0], [1, -0.5, 0]], atol=1e-9)
    np.testing.assert_array_equal(minima.walls, [[0, -1, -1], [0, -1, -1]])
    saddles = find_critical_points(tilted, 1, dim=3, box=box)
    np.testing.assert_allclose(saddles.points, [[0, -0.5, 0]], atol=1e-9)
    joined = with_saddles(minima)
    np.testing.assert_allclose(joined.points[2:], [[0, -0.5, 0]], atol=1e-9)


def test_a_maximum_exactly_on_a_wall_is_no_minimum() -> None:
    box = np.array([[0.0], [1.0]])
    starts = torch.tensor([[0.0], [0.5], [1.0]]).double()
    arrival = follow(lambda x: -x[:, 0].square(), starts, 0, 0.3, box=box)
    assert arrival.morse.tolist() != [0, 0, 0]
    np.testing.assert_array_equal(arrival.points[arrival.morse == 0], [[1.0], [1.0]])


def test_no_step_leaves_the_box() -> None:
    box, seen = np.array([[-2.0, -2.0], [2.0, 2.0]]), list[Tensor]()

    def watched(x: Tensor) -> Tensor:
        seen.append(x.detach().clone())
        return waves(x)

    find_minima(watched, dim=2, box=box)
    everywhere = torch.cat(seen).numpy()
    assert len(everywhere) > 1000
    assert (everywhere >= box[0]).all()
    assert (everywhere <= box[1]).all()


def test_minima_without_a_search_have_no_walls() -> None:
    assert not Minima(torch.tensor([[5.0, 5.0]]).double(), himmelblau()).walls.any()
