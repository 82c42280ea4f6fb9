"""From starts to critical points: every index, both ways of using the Hessian, both precisions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError, ShapeError
from simplicial.critical_points.eigenvector_following import DENSE, Arrival, follow
from simplicial.errors import LossError
from simplicial.evaluation import derivatives, hessian_operator
from simplicial.landscapes import double_well, himmelblau, simplex_wells, six_hump_camel

NEGATIVE = 3


def draw(count: int, dim: int, reach: float = 1.0) -> Tensor:
    return torch.as_tensor(np.random.default_rng(0).uniform(-reach, reach, size=(count, dim)))


def symmetric(dim: int) -> NDArray[np.float64]:
    """A matrix with NEGATIVE negative eigenvalues, all from -3 to 30."""
    q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((dim, dim)))
    spectrum = np.concatenate([np.linspace(-3, -1, NEGATIVE), np.geomspace(0.1, 30, dim - 3)])
    return q @ np.diag(spectrum) @ q.T


def quadratic(matrix: NDArray[np.float64]) -> Callable[[Tensor], Tensor]:
    a = torch.as_tensor(matrix)
    return lambda x: ((x @ a.to(x)) * x).sum(dim=1) / 2 + x[:, 0]


def rotation(dim: int) -> Tensor:
    return torch.as_tensor(np.linalg.qr(np.random.default_rng(2).standard_normal((dim, dim)))[0])


def waves(dim: int) -> Callable[[Tensor], Tensor]:
    """Not quadratic, coupled, and with points of many indices near the origin."""
    turn, stiff = rotation(dim), torch.linspace(0.02, 1.5, dim, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        y = x @ turn.to(x)
        bowl = (stiff.to(x) * y.square()).sum(dim=1) / 2
        return bowl + (1 - y.cos()).sum(dim=1) + (y[:, 1:] * y[:, :-1]).sum(dim=1) / 50

    return loss


def crests(dim: int, index: int, count: int) -> Tensor:
    """Points (count, dim) near one critical point of `waves`: a crest in `index` of the waves."""
    y = 0.05 * draw(count, dim)
    y[:, :index] += np.pi
    return y @ rotation(dim).T


def products(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on Hessians are never written out."""
    monkeypatch.setattr("simplicial.critical_points.eigenvector_following.DENSE", 0)


@pytest.fixture(params=["dense", "products"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "products":
        products(monkeypatch)


def check(arrival: Arrival, index: int) -> None:
    assert arrival.converged.all()
    assert (arrival.morse == index).all()


@pytest.mark.parametrize("index", range(4))
def test_the_point_of_a_quadratic_form_is_found_in_one_step_if_its_index_is_sought(
    index: int,
) -> None:
    matrix = np.diag([-2.0, -1.0, -0.5, 3.0][:index] + [1.0, 2.0, 3.0, 4.0][index:])
    arrival = follow(quadratic(matrix), draw(5, 4), index, 100.0, iterations=2)
    check(arrival, index)
    expected = np.linalg.solve(matrix, [-1.0, 0, 0, 0])
    np.testing.assert_allclose(arrival.points, np.tile(expected, (5, 1)), atol=1e-14)


def test_a_quadratic_form_in_many_variables_by_products() -> None:
    matrix = symmetric(200)
    arrival = follow(quadratic(matrix), draw(2, 200), NEGATIVE, 10.0)
    check(arrival, NEGATIVE)
    expected = np.linalg.solve(matrix, -np.eye(200)[0])
    np.testing.assert_allclose(arrival.points, np.tile(expected, (2, 1)), atol=1e-12)
    np.testing.assert_allclose(arrival.values, expected[0] / 2, rtol=1e-13)
    lowest = np.linalg.eigvalsh(matrix)[: NEGATIVE + 2]
    # Lanczos' residual is at most eps^(2/3) of the largest eigenvalue, and so is the error
    np.testing.assert_allclose(arrival.eigenvalues, [lowest] * 2, atol=1.2e-9)


@pytest.mark.parametrize("index", [0, 2])
def test_products_and_written_out_hessians_agree(
    monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    loss, starts = waves(100), crests(100, index, 2)
    dense = follow(loss, starts, index, 1.0)
    check(dense, index)
    hessians = derivatives(loss, dense.points).hessians
    np.testing.assert_allclose(dense.eigenvalues, np.linalg.eigvalsh(hessians), atol=1e-12)
    products(monkeypatch)
    sparse = follow(loss, starts, index, 1.0)
    check(sparse, index)
    assert (starts - dense.points).norm(dim=1).min() > 0.1
    np.testing.assert_allclose(sparse.points, dense.points, atol=1e-12)
    np.testing.assert_allclose(sparse.values, dense.values, atol=1e-13)
    assert sparse.eigenvalues.shape == (2, index + 2)
    # Lanczos' residual is at most eps^(2/3) of the largest eigenvalue, and so is the error
    truth = dense.eigenvalues[:, : index + 2]
    np.testing.assert_allclose(sparse.eigenvalues, truth, atol=3e-10)


def test_convergence_is_quadratic_to_rounding() -> None:
    saddles = himmelblau().critical_points.of_index(1)
    starts = torch.tensor(saddles.points) + 0.05
    arrival = follow(himmelblau(), starts, 1, 1.0, iterations=5)
    check(arrival, 1)
    error = np.linalg.norm(arrival.points.numpy() - saddles.points, axis=1)
    assert error.max() < 1e-14
    np.testing.assert_allclose(arrival.values, saddles.values, rtol=1e-14)
    assert not follow(himmelblau(), starts, 1, 1.0, iterations=2).converged.any()


def test_modes_are_followed_where_the_lowest_would_make_a_start_circle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two crossing modes: each in turn is the lowest, and no step comes nearer to a saddle."""
    loss, starts = waves(10), draw(20, 10)
    followed = (follow(loss, starts, 1, 1.0).morse == 1).sum()
    monkeypatch.setattr("simplicial.critical_points.eigenvector_following.LOWEST", 1000)
    assert (follow(loss, starts, 1, 1.0).morse == 1).sum() < followed


def test_descent_never_rises() -> None:
    loss, starts = six_hump_camel(), draw(50, 2)
    before = loss(starts).numpy()
    for iterations in range(1, 8):
        after = follow(loss, starts, 0, 0.3, iterations).values
        assert (after <= before + 1e-14).all()
        assert (after < before).any() or iterations > 5
        before = after


def test_every_start_may_look_for_an_index_of_its_own() -> None:
    starts = draw(1, 3, 0.3).expand(4, 3)
    arrival = follow(double_well(3), starts, np.arange(4), np.full(4, 0.5))
    np.testing.assert_array_equal(arrival.morse, np.arange(4))
    np.testing.assert_array_equal(np.round(arrival.values, 12), np.arange(4))


def test_no_step_is_longer_than_its_reach() -> None:
    starts, reach = draw(4, 2, 2.0), np.array([0.01, 0.1, 0.2, 0.5])
    moved = follow(himmelblau(), starts, 0, reach, iterations=1).points - starts
    length = moved.norm(dim=1).numpy()
    assert (length <= 1.001 * reach).all()
    assert length[0] == pytest.approx(0.01, rel=2e-3)


@pytest.mark.usefixtures("way")
def test_single_precision_converges_to_single_precision() -> None:
    loss = waves(40)
    arrival = follow(loss, crests(40, 1, 2).float(), 1, 1.0)
    assert arrival.points.dtype == torch.float32
    check(arrival, 1)
    exact = follow(loss, arrival.points.double(), 1, 1.0)
    np.testing.assert_allclose(arrival.values, exact.values, rtol=1e-5)
    np.testing.assert_allclose(arrival.points, exact.points, atol=1e-5)
    assert arrival.gradient_norms.max() > 1e-9 > exact.gradient_norms.max()


def test_where_rounding_hides_the_rest_of_newtons_step_a_start_has_converged() -> None:
    """A loss whose gradient's rounding is worth a longer step than the one that is asked for."""

    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.round(decimals=4)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            return grads[0]

    def valley(x: Tensor) -> Tensor:
        return 1 + (Rounded.apply(x) - 1 / 3).square().sum(dim=1)

    arrival = follow(valley, draw(20, 2).float(), 0, 0.01)
    check(arrival, 0)
    np.testing.assert_allclose(arrival.values, 1, rtol=32 * 2**-23)


def test_a_step_that_the_reach_holds_back_is_not_taken_for_rounding() -> None:
    stiff, centre = torch.tensor([[3.0, 4.0], [4.0, -3.0]]) / 5, torch.tensor([30.0, -20.0])

    def valley(x: Tensor) -> Tensor:
        y = (x - centre.to(x)) @ stiff.to(x)
        return 1 + 500 * y[:, 0].square() + 0.05 * y[:, 1].square()

    for starts, reach in ((centre + 0.02 * draw(20, 2), 1e-3), (draw(20, 2), 0.1)):
        arrival = follow(valley, starts.float(), 0, reach, iterations=1000)
        check(arrival, 0)
        np.testing.assert_allclose(arrival.values, 1, rtol=32 * 2**-23)


@pytest.mark.usefixtures("way")
def test_degenerate_points_are_converged_and_have_no_index() -> None:
    starts = draw(2, 5)
    for flat in (
        lambda x: x[:, 1:].square().sum(dim=1) + x[:, 0].pow(4),
        lambda x: x[:, 1:].square().sum(dim=1),
        lambda x: (x[:, 1:].square().sum(dim=1) - 1).square() + x[:, 0].square(),
        lambda x: 1 + x.pow(4).sum(dim=1),
    ):
        arrival = follow(flat, starts, 0, 1.0)
        assert arrival.converged.all()
        assert (arrival.morse == -1).all()


@pytest.mark.usefixtures("way")
def test_starts_that_leave_the_finite_have_not_converged() -> None:
    starts = draw(3, 4).abs() + 0.5
    for endless in (
        lambda x: -x.exp().sum(dim=1),
        lambda x: x.log().sum(dim=1),
        lambda x: x.sum(dim=1),
        lambda x: (x - 10).sqrt().sum(dim=1),
        lambda x: -x.pow(8).sum(dim=1),
    ):
        arrival = follow(endless, starts, 0, 1.0, iterations=40)
        assert not arrival.converged.any()
        assert (arrival.morse == -1).all()
    lost = torch.tensor([[torch.nan] * 4, [0.9] * 4], dtype=torch.float64)
    arrival = follow(lambda x: (x.square() - 1).square().sum(dim=1), lost, 0, 1.0)
    np.testing.assert_array_equal(arrival.converged, [False, True])
    np.testing.assert_array_equal(arrival.morse, [-1, 0])


def test_the_same_starts_give_the_same_bits_and_are_not_changed() -> None:
    loss, starts = quadratic(symmetric(DENSE + 2)), draw(1, DENSE + 2)
    before = starts.clone()
    first, second = (follow(loss, starts, NEGATIVE, 1.0) for _ in range(2))
    assert torch.equal(first.points, second.points)
    np.testing.assert_array_equal(first.eigenvalues, second.eigenvalues)
    assert torch.equal(starts, before)


def test_a_start_alone_arrives_where_it_arrives_among_others() -> None:
    loss, starts = simplex_wells(3, curved=2), draw(40, 5, 0.8)
    together = follow(loss, starts, 1, 0.3)
    assert together.converged.sum() > 30
    for i in range(0, 40, 5):
        alone = follow(loss, starts[i : i + 1], 1, 0.3)
        assert alone.morse[0] == together.morse[i]
        if alone.converged[0]:
            np.testing.assert_allclose(alone.points[0], together.points[i], atol=1e-12)
            np.testing.assert_allclose(alone.values[0], together.values[i], atol=1e-14)


def test_more_negative_eigenvalues_than_were_computed_are_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    products(monkeypatch)
    arrival = follow(lambda x: -x.square().sum(dim=1), torch.zeros(1, 8).double(), 0, 1.0)
    assert arrival.converged.all()
    np.testing.assert_allclose(arrival.eigenvalues, [[-2, -2]])
    np.testing.assert_array_equal(arrival.morse, [-1])


def test_a_hessian_as_a_map_is_the_hessian() -> None:
    point = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    sparse, dense = hessian_operator(waves(3), point), derivatives(waves(3), point[None])
    assert sparse.value == dense.values[0]
    torch.testing.assert_close(sparse.gradient, dense.gradients[0])
    columns = torch.stack([sparse.hessian(axis) for axis in torch.eye(3).double()])
    assert columns.abs().min() > 1e-3
    torch.testing.assert_close(columns, dense.hessians[0])
    assert not hessian_operator(lambda x: x.sum(dim=1), point).hessian(point).any()


def test_arguments_out_of_range_are_refused() -> None:
    loss, starts = double_well(2), draw(3, 2)
    for index in (-1, 3, 0.5, np.array([0, 1]), np.array([0, 1, 3])):
        with pytest.raises(OptionError, match="an index must be whole, 0 to 2 in 2 variables"):
            follow(loss, starts, index, 1.0)  # pyright: ignore
    for reach in (0.0, -1.0, np.inf, np.nan, np.ones(2), np.array([1.0, 1.0, 0.0])):
        with pytest.raises(OptionError, match="a reach must be positive and finite"):
            follow(loss, starts, 1, reach)
    for bad in (torch.zeros(2), torch.zeros(0, 2), torch.zeros(2, 0)):
        with pytest.raises(ShapeError, match="starts must have shape"):
            follow(loss, bad, 1, 1.0)
    with pytest.raises(OptionError, match=r"0 to 100 in 200 .* follow -loss with index d - index"):
        follow(loss, torch.zeros(1, 200), 150, 1.0)
    with pytest.raises(LossError, match="one value for each point"):
        follow(lambda x: x.square(), starts, 1, 1.0)
