"""Gradients through statistics that a norm computes itself, or one sentence why there is none."""

import pytest
import torch
from torch import Tensor, nn

from nets import NetworkLoss
from nets.execution import point_bytes
from nets.execution.policy import Batching
from reduction import DataError
from simplicial.evaluation import hessian_operator
from tests.nets.execution.test_population_statistics import Home
from tests.nets.networks import numbers, points_near, seeded
from tests.nets.test_statistics_gradient import STEP, XS, YS, check_gradient


class InPlace(Home):
    """Writes into its statistics where torch records nothing."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        with torch.no_grad():
            self.running_mean.mul_(1 - self.momentum).add_(self.momentum * x.data.mean(0))
            self.running_var.data.lerp_(x.var(0, keepdim=True), self.momentum)
        return self.weight * (x - x.mean(0)) / (x.var(0) + 1e-5).sqrt()


class OtherMoments(Home):
    """Takes the mean for a constant in the variance, E x^2 - m^2."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean = x.new_tensor([float(each) for each in x.detach().mean(0)])
        var = x.square().mean(0) - mean**2
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * x.mean(0)[
            None
        ]
        self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        return self.weight * (x - x.mean(0)) / (x.var(0) + 1e-5).sqrt()


class Detached(Home):
    """Does not let gradients go through its statistics in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        mean, var = self.running_mean.detach(), self.running_var
        return self.weight * (x - mean) / (var + 1e-5).sqrt()


class InNumPy(Home):
    """Computes its statistics by NumPy."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            own, share = x.detach().numpy(), self.momentum
            mean, var = torch.as_tensor(own.mean(0)), torch.as_tensor(own.var(0, ddof=1))
            self.running_mean = (1 - share) * self.running_mean + share * mean
            self.running_var = (1 - share) * self.running_var + share * var
            return self.weight * (x - x.mean(0)) / (x.var(0) + 1e-5).sqrt()
        return super().forward(x)


def network(norm: type[Home]) -> nn.Sequential:
    """The norm by hand, and one of torch's after it."""
    return nn.Sequential(
        nn.Linear(6, 5), norm(), nn.Tanh(), nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
    )


@pytest.mark.parametrize(("norm", "batching"), [(Home, "loop"), (Home, "vmap"), (InPlace, "loop")])
def test_gradients_are_those_of_the_exact_loss(norm: type[Home], batching: Batching) -> None:
    model = seeded(lambda: network(norm)).double()
    point = points_near(model, 1)
    loss = NetworkLoss(model, XS, YS, batching=batching)
    gradient = loss.values_and_gradients(point)[1][0]
    # values, which other tests compare with plain torch's
    check_gradient(gradient, lambda at: float(loss.evaluate(at[None]).loss[0]), point[0])
    direction = numbers(loss.dim, seed=7).double()
    near = torch.stack([point[0] + STEP * direction, point[0] - STEP * direction])
    ahead, behind = loss.values_and_gradients(near)[1]
    expected = (ahead - behind) / (2 * STEP)
    found = hessian_operator(loss, point[0]).hessian(direction)
    assert (found - expected).norm() < 1e-5 * expected.norm()


def test_gradients_in_single_precision_are_those_of_double() -> None:
    model = seeded(lambda: network(Home))
    point = points_near(model, 1)
    single = NetworkLoss(model, XS.float(), YS).values_and_gradients(point)[1]
    double = NetworkLoss(model.double(), XS, YS).values_and_gradients(point.double())[1]
    assert (single - double).norm() < 1e-4 * double.norm()


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize("norm", [OtherMoments, Detached, InNumPy])
def test_derivatives_that_are_not_those_of_the_values_are_refused(norm: type[Home]) -> None:
    model = seeded(lambda: network(norm)).double()
    loss = NetworkLoss(model, XS, YS, batching="loop")
    point = points_near(model, 1)
    assert loss(point).isfinite().all()
    with pytest.raises(DataError, match=rf"{norm.__name__}, .* do not have torch's derivatives"):
        loss.values_and_gradients(point)
    stored = NetworkLoss(model, XS, YS, batching="loop", batch_norm="stored")
    assert stored.values_and_gradients(point)[1].isfinite().all()


def test_a_norm_by_hand_is_refused_for_more_inputs_than_one_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(point_bytes, "ONE_GRAPH", 0)
    loss = NetworkLoss(seeded(lambda: network(Home)).double(), XS, YS)
    point = points_near(network(Home).double(), 1)
    assert loss(point).isfinite().all()
    with pytest.raises(DataError, match=r"Home, .*, must be those of one batch"):
        loss.values_and_gradients(point)
