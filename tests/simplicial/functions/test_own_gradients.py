"""A loss with its own gradient is a loss everywhere, with the results of torch's derivatives."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import (
    Algorithm1,
    LossError,
    Minima,
    NotFiniteError,
    NudgedElastic,
    Optimizer,
    SearchError,
    StochasticMinimax,
    build_complex,
    find_critical_points,
    find_minima,
    polish,
    with_saddles,
)
from simplicial.evaluation import derivatives, gradient, hessian_operator, steepest_curvature
from simplicial.loss import DifferentiatedLoss, Loss
from tests.simplicial.functions import himmelblau
from tests.simplicial.functions.himmelblau import Detached, Own, Twice, in_torch

POINTS = 3 * torch.randn(7, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
every_loss = pytest.mark.parametrize(
    "loss", [Own(), Detached(), Twice()], ids=["own", "detached", "twice"]
)


@pytest.fixture(scope="module")
def minima() -> Minima:
    return find_minima(in_torch, dim=2)


@every_loss
def test_second_derivatives_are_right_to_two_thirds_of_the_digits(loss: Loss) -> None:
    found = derivatives(loss, POINTS)
    exact = np.stack([himmelblau.hessian(point) for point in POINTS.numpy()])
    # truncation vanishes: third differences of a quartic's gradient, h^2 * 4 * v^3, are 1.5e-10 L^2
    size = np.abs(exact).max()
    np.testing.assert_allclose(found.hessians.numpy(), exact, rtol=0, atol=1e-9 * size)
    np.testing.assert_allclose(found.gradients.numpy(), himmelblau.gradients(POINTS.numpy()))
    product = hessian_operator(loss, POINTS[0]).hessian(torch.tensor([0.0, -3.0]))
    np.testing.assert_allclose(product.numpy(), -3 * exact[0, :, 1], rtol=0, atol=3e-9 * size)
    # from below, to a factor
    largest = np.abs(np.linalg.eigvalsh(exact)).max()
    assert steepest_curvature(loss, POINTS) == pytest.approx(largest, rel=1e-3)


def test_differences_along_nothing_are_nothing() -> None:
    assert not hessian_operator(Own(), POINTS[0]).hessian(torch.zeros(2)).any()


def test_single_precision_has_two_thirds_of_its_own_digits() -> None:
    found = derivatives(Own(), POINTS.float())
    exact = np.stack([himmelblau.hessian(point) for point in POINTS.numpy()])
    assert found.hessians.dtype == torch.float32
    np.testing.assert_allclose(
        found.hessians.numpy(), exact, rtol=0, atol=1e-3 * np.abs(exact).max()
    )


@every_loss
@pytest.mark.parametrize("index", [0, 1, 2])
def test_critical_points_of_every_index_are_those_of_torch(loss: Loss, index: int) -> None:
    expected = find_critical_points(in_torch, index, dim=2)
    found = find_critical_points(loss, index, dim=2)
    assert len(found) == (4, 4, 1)[index]
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-12, atol=1e-20)
    np.testing.assert_allclose(found.points.numpy(), expected.points.numpy(), atol=1e-8)


@every_loss
def test_saddles_norms_and_polished_minima_are_those_of_torch(loss: Loss, minima: Minima) -> None:
    # the two lowest are 0 either way, to rounding
    both = [with_saddles(Minima(minima.points, f)) for f in (loss, in_torch)]
    np.testing.assert_allclose(both[0].values, both[1].values, rtol=1e-12, atol=1e-20)
    rough = minima.points + 0.01
    norms = Minima(rough, loss).gradient_norms()
    np.testing.assert_allclose(norms, np.linalg.norm(himmelblau.gradients(rough.numpy()), axis=1))
    np.testing.assert_allclose(
        polish(Minima(rough, loss), progress=False).points, minima.points, atol=1e-8
    )


@pytest.mark.parametrize(
    "optimizer", [None, NudgedElastic(), StochasticMinimax()], ids=["default", "elastic", "minimax"]
)
def test_barcodes_of_every_optimizer_are_those_of_torch(
    optimizer: Optimizer | None, minima: Minima
) -> None:
    def bars(f: Loss) -> Any:
        built = build_complex(
            Minima(minima.points[2:], f), 1, optimizer=optimizer, certify=True, progress=False
        )
        return built.barcode()[0]

    expected = bars(in_torch)
    assert len(expected) == 2
    np.testing.assert_allclose(bars(Own()), expected, rtol=1e-9, atol=1e-9)


def test_certificates_are_those_of_torch(minima: Minima) -> None:
    found, expected = (
        build_complex(
            Minima(minima.points, f), 2, optimizer=NudgedElastic(), certify=True, progress=False
        ).barcode()
        for f in (Own(), in_torch)
    )
    for r in (0, 1):
        np.testing.assert_allclose(found[r], expected[r], rtol=0, atol=1e-9)
        both = found.ends(r), expected.ends(r)
        assert both[0] is not None
        assert both[1] is not None
        ends, exact = both[0].deaths, both[1].deaths
        np.testing.assert_array_equal(ends.certified, exact.certified)
        np.testing.assert_array_equal(ends.morse, exact.morse)
        np.testing.assert_allclose(ends.eigenvalues, exact.eigenvalues, rtol=1e-6)
        assert ends.certified.sum() == (3, 1)[r]


class Flat(DifferentiatedLoss):
    """x^2 + y^4: the minimum is degenerate."""

    def __call__(self, points: Tensor) -> Tensor:
        x, y = points.detach().numpy().T
        return torch.as_tensor(x**2 + y**4)

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        x, y = points.numpy().T
        return self(points), torch.as_tensor(np.stack([2 * x, 4 * y**3], axis=1))


def test_the_error_of_differences_makes_no_minimum_of_a_degenerate_point() -> None:
    with pytest.raises(SearchError, match="degenerate points"):
        find_minima(Flat(), dim=2, starts=20)


class Wrong(Own):
    """`Own` that gives something else as its values and gradients."""

    def __init__(self, pair: Any) -> None:
        self.pair = pair

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self.pair(points)


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        (lambda p: p, "must return a tuple"),
        (lambda p: (p[:, 0],), "must return a pair"),
        (lambda p: (p[:, 0].numpy(), p), "values as a torch tensor"),
        (lambda p: (p[:, 0], p.numpy()), r"gradients of the points' shape \(7, 2\), got"),
        (lambda p: (p[:, 0], p[:, :1]), r"shape \(7, 2\), got \(7, 1\)"),
        (lambda p: (p[:, :1], p), "one value for each point"),
    ],
)
def test_gradients_that_break_the_contract_are_refused_wherever_they_are_taken(
    pair: Any, sentence: str
) -> None:
    for take in (gradient, derivatives, lambda f, p: Minima(p, f).gradient_norms()):
        with pytest.raises(LossError, match=sentence):
            take(Wrong(pair), POINTS)


def test_products_that_break_the_contract_are_refused() -> None:
    class Short(Twice):
        def hessian_products(self, points: Tensor, vectors: Tensor) -> Tensor:
            return vectors[:, :1]

    with pytest.raises(LossError, match=r"hessian_products must return .* \(7, 2\), got \(7, 1\)"):
        derivatives(Short(), POINTS)


def test_a_gradient_that_is_not_finite_is_told() -> None:
    loss = Wrong(lambda p: (p[:, 0], torch.full_like(p, torch.nan)))
    with pytest.raises(NotFiniteError, match="gradient must be finite"):
        Minima(POINTS, loss).gradient_norms()


def test_algorithm1_takes_one_gradient_of_a_loss_that_has_its_own() -> None:
    calls = {"values": 0, "gradients": 0}

    class Counted(Own):
        def __call__(self, points: Tensor) -> Tensor:
            calls["values"] += 1
            return super().__call__(points)

        def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
            calls["gradients"] += 1
            return torch.as_tensor(himmelblau.values(points.numpy())), gradient(in_torch, points)

    gradient(Counted(), POINTS)
    assert calls == {"values": 0, "gradients": 1}
    assert Algorithm1().recipe_for(Counted(), POINTS).learning_rate > 0


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (lambda p: torch.as_tensor(himmelblau.values(p.numpy())), "makes NumPy arrays"),
        (lambda p: torch.as_tensor(himmelblau.values(p.detach().numpy())), "carry no gradient"),
        (lambda p: himmelblau.values(p.detach().numpy()), "return a torch tensor"),
    ],
)
def test_a_function_of_numpy_is_told_from_numpy(loss: Any, sentence: str) -> None:
    with pytest.raises(LossError, match=f"{sentence}.*from_numpy"):
        find_minima(loss, dim=2)
