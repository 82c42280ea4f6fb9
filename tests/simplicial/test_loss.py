"""What a loss may return, and what is said of one that breaks its contract."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import TopologyError
from simplicial import (
    Algorithm1,
    Barycentric,
    Evaluation,
    Minima,
    OptimisationProblem,
    Recipe,
    build_complex,
    find_minima,
)
from simplicial.errors import LossError
from simplicial.evaluation import evaluate, gradient, steepest_curvature, values_and_gradients
from simplicial.landscapes import double_well
from simplicial.loss import (
    DifferentiatedLoss,
    ParametrizedLoss,
    ScoredLoss,
    SizedLoss,
    StochasticLoss,
)
from simplicial.maps.control_points import lay_out

POINTS = torch.tensor([[0.0, 1.0], [2.0, 0.5]])


def square(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


def as_numpy(x: Tensor) -> Any:
    return square(x).detach().numpy()


def test_a_numpy_array_is_no_loss() -> None:
    for use in (Minima, lambda p, f: gradient(f, p), lambda _, f: find_minima(f, dim=2)):
        with pytest.raises(LossError, match="must return a torch tensor, got ndarray"):
            use(POINTS, as_numpy)


def test_a_scored_loss_evaluates_to_numpy_arrays() -> None:
    class Scored(ScoredLoss):
        def __call__(self, x: Tensor) -> Tensor:
            return square(x)

        def evaluate(self, points: Tensor) -> Evaluation:
            return Evaluation(as_numpy(points), np.ones(len(points)))

    np.testing.assert_array_equal(evaluate(Scored(), POINTS).loss, [1, 4.25])


def test_a_gradient_that_is_not_finite_is_called_one() -> None:
    """sqrt(|x|) has the value 0 at 0, and no derivative."""
    points = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    with pytest.raises(LossError, match=r"a gradient must be finite .* at point \[0, 1\]"):
        values_and_gradients(lambda x: x[:, 0].abs().sqrt(), points)
    with pytest.raises(LossError, match=r"a loss must be finite .* nan at point \[0, 1\]") as error:
        values_and_gradients(lambda x: x[:, 0].log() * 0, points)
    assert str(error.value).endswith("where the loss is defined, or scale it")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_curvature_is_finite_where_one_vertex_has_none(dtype: torch.dtype) -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=dtype)
    assert steepest_curvature(lambda x: x.pow(4).sum(dim=1), points) == pytest.approx(12)


class Undeclared:
    """A loss whose methods have the names of abilities, and are its own business."""

    def __call__(self, x: Tensor) -> Tensor:
        return square(x)

    def _own(self, *given: object, **named: object) -> Any:
        raise AssertionError(f"a method of the user's own was called with {given}, {named}")

    evaluate = estimates = point_bytes = values_and_gradients = flatten = dim = domain = _own


def test_methods_that_are_named_like_abilities_are_not_taken_for_them() -> None:
    points = torch.tensor([[0.0, 1.0], [2.0, 0.5], [1.0, 1.0]])
    optimizer = Algorithm1(recipe=Recipe(epochs=3, learning_rate=0.01))
    bars = [
        build_complex(Minima(points, loss), max_dim=2, optimizer=optimizer).barcode()
        for loss in (Undeclared(), square)
    ]
    for r in range(2):
        np.testing.assert_array_equal(bars[0][r], bars[1][r])
    assert len(find_minima(Undeclared(), dim=2, starts=20, box=(-1, 1))) == 1
    with pytest.raises(LossError, match=r"need a ParametrizedLoss, .* Undeclared is none"):
        Minima.from_state_dicts([], Undeclared())


class Wrong(StochasticLoss, ScoredLoss, DifferentiatedLoss, SizedLoss, ParametrizedLoss):
    """A loss whose declared methods return what they should not."""

    @property
    def dim(self) -> int:
        return 2

    def __init__(self, bytes_of_a_point: Any = 8) -> None:
        self.bytes_of_a_point = bytes_of_a_point

    def __call__(self, x: Tensor) -> Tensor:
        return square(x)

    def evaluate(self, points: Tensor) -> Any:
        return square(points)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Any:
        return None

    def values_and_gradients(self, points: Tensor) -> Any:
        return square(points), square(points)

    def point_bytes(self, *, gradients: bool = True) -> Any:
        return self.bytes_of_a_point

    def flatten(self, network: object) -> Any:
        return "a point"


def trained(loss: Wrong) -> None:
    problem = OptimisationProblem(lay_out(2, 0, Barycentric()).simplices[0], slice(2), slice(0), 0)
    Algorithm1(recipe=Recipe(epochs=1)).optimise(loss, POINTS.clone(), problem, lambda: None)


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (lambda: evaluate(Wrong(), POINTS), "evaluate .* must return a Evaluation, .* Wrong gives"),
        (lambda: values_and_gradients(Wrong(), POINTS), r"gradients of the points' shape \(2, 2\)"),
        (lambda: evaluate(Wrong("8 bytes"), POINTS), "point_bytes must be a whole number"),
        (lambda: trained(Wrong()), "estimates .* must be an iterator of losses, .* are None"),
        (lambda: Minima.from_state_dicts([{}], Wrong()), r"must return a tensor \(d,\), got 'a p"),
    ],
)
def test_abilities_that_return_the_wrong_thing(use: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(TopologyError, match=sentence):
        use()


def test_points_and_loss_of_double_wells_are_still_taken() -> None:
    assert len(Minima(POINTS.double(), double_well(2))) == 2
