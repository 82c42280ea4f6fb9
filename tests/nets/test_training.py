"""Training of minima: against torch's own SGD on one network, and what it must not depend on."""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from nets import DIGITS_MLP, LENET, MLP, RESNET, NetworkLoss, train_minima
from nets.training import initial_points
from reduction import DataError
from simplicial import (
    Algorithm1,
    LossWarning,
    Minima,
    NudgedElastic,
    Recipe,
    build_complex,
    garipov,
)
from simplicial.reports.status import RunStatus
from tests.nets.networks import Recorder, numbers

N = 90


X = numbers(N, 4)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
SHORT = Recipe(epochs=5, batch_size=32, learning_rate=0.1)


def mlp_loss() -> NetworkLoss:
    return NetworkLoss(MLP(4, (5,), 3), X, Y)


# Recipe


def test_the_papers_recipe():
    assert Recipe() == LENET
    paper = Recipe(epochs=50, batch_size=128, learning_rate=1e-2, momentum=0.9, weight_decay=1e-3)
    assert paper == LENET
    assert LENET.schedule is garipov
    assert DIGITS_MLP.epochs == LENET.epochs


def test_li_et_als_recipe():
    """300 epochs with Nesterov's momentum; a tenth of the rate at 150, 225 and 275."""
    assert (RESNET.epochs, RESNET.batch_size, RESNET.learning_rate) == (300, 128, 0.1)
    assert (RESNET.momentum, RESNET.nesterov, RESNET.weight_decay) == (0.9, True, 5e-4)
    factors = [RESNET.schedule(epoch / 300) for epoch in range(300)]
    expected = [1.0] * 150 + [0.1] * 75 + [0.01] * 50 + [0.001] * 25
    assert factors == pytest.approx(expected, rel=1e-12)


def test_nesterovs_momentum_is_torchs():
    """Two networks, three epochs in one batch each: the same as by torch.optim on each alone."""
    loss = mlp_loss()
    recipe = SHORT.changed(epochs=3, batch_size=N, weight_decay=0.01, nesterov=True)
    found = train_minima(loss, 2, recipe=recipe, seed=5).points
    begun = initial_points(loss, 2, None, 5)
    for start, end in zip(begun, found, strict=True):
        theta = start.clone().requires_grad_()
        sgd = torch.optim.SGD([theta], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
        for epoch in range(3):
            sgd.param_groups[0]["lr"] = 0.1 * garipov(epoch / 3)
            sgd.zero_grad()
            loss(theta[None]).sum().backward()
            sgd.step()
        torch.testing.assert_close(end, theta.detach(), rtol=1e-4, atol=1e-5)
    without = train_minima(loss, 2, recipe=recipe.changed(nesterov=False), seed=5).points
    assert not torch.allclose(without, found, atol=1e-3)


# Against torch's own optimiser


@pytest.mark.parametrize("batching", ["vmap", "loop"])
def test_steps_are_those_of_torchs_sgd_on_each_network(batching: str):
    recorder, x = Recorder(), X.double()
    y = torch.stack([x[:, 0].sin(), torch.arange(N).double()], dim=1)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    loss = NetworkLoss(model, x, y, loss_fn=recorder, batching=batching)  # pyright: ignore
    recipe = Recipe(epochs=10, batch_size=40, learning_rate=0.05, momentum=0.8, weight_decay=0.02)
    loss.point_bytes()  # the first use, which is preceded by checks
    recorder.batches.clear()
    found = train_minima(loss, 1, recipe=recipe, seed=3, progress=False)
    batches = recorder.batches[:30]  # 40, 40, 10; then the exact values
    assert [len(batch) for batch in batches] == [40, 40, 10] * 10

    network = copy.deepcopy(model)
    begin = initial_points(loss, 1, None, 3)[0]
    nn.utils.vector_to_parameters(begin.clone(), network.parameters())
    sgd = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.8, weight_decay=0.02)
    # epochs 0 to 5 are at most half of 10; then down by 0.99 / 4 an epoch
    rates = [1.0] * 6 + [1 - 0.99 * k / 4 for k in (1, 2, 3)] + [0.01]
    for step, batch in enumerate(batches):
        sgd.param_groups[0]["lr"] = 0.05 * rates[step // 3]
        sgd.zero_grad()
        mse_loss(network(x[batch])[:, 0], y[batch, 0]).backward()
        sgd.step()
    end = nn.utils.parameters_to_vector(network.parameters()).detach()
    assert (end - begin).abs().max() > 0.1
    # 30 steps, each with sums of 40 terms, none of which amplifies an error: 1,200 eps
    torch.testing.assert_close(found.points[0], end, rtol=0, atol=1_200 * 2.3e-16)


def test_training_lowers_the_loss():
    loss = mlp_loss()
    before = loss(initial_points(loss, 4, None, 0))
    minima = train_minima(loss, 4, recipe=SHORT, progress=False)
    assert (minima.values < before.numpy() - 0.1).all()
    assert minima.accuracy is not None
    assert isinstance(minima, Minima)
    assert minima.loss is loss


def test_no_epochs_leave_the_initial_networks():
    loss = mlp_loss()
    minima = train_minima(loss, 2, recipe=Recipe(epochs=0), progress=False)
    assert torch.equal(minima.points, initial_points(loss, 2, None, 0))


# What a network depends on

# 15 steps with sums of at most 32 terms: rounding of another batching, 480 eps, amplified by SGD at
# most as 1 / (1 - momentum)
SAME = 10 * 480 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("make", [lambda: MLP(4, (5,), 3), lambda: with_dropout()])
def test_network_i_depends_on_the_seed_and_i_alone(make: Callable[[], nn.Module]):
    loss = NetworkLoss(make(), X, Y)
    two = train_minima(loss, 2, recipe=SHORT, seed=7, progress=False).points
    four = train_minima(loss, 4, recipe=SHORT, seed=7, progress=False).points
    other = train_minima(loss, 2, recipe=SHORT, seed=8, progress=False).points
    torch.testing.assert_close(four[:2], two, rtol=0, atol=SAME)
    assert all((p - q).abs().max() > 0.1 for p, q in [(four[0], four[2]), (two[0], other[0])])


@pytest.mark.parametrize("make", [lambda: MLP(4, (5,), 3), lambda: with_dropout()])
def test_memory_changes_no_result(make: Callable[[], nn.Module]):
    loss = NetworkLoss(make(), X, Y)
    whole = train_minima(loss, 3, recipe=SHORT, progress=False)
    single = train_minima(loss, 3, recipe=SHORT, memory=1, progress=False)
    torch.testing.assert_close(single.points, whole.points, rtol=0, atol=SAME)


def test_same_seed_same_bits_whatever_torchs_global_state():
    loss = mlp_loss()
    first = train_minima(loss, 2, recipe=SHORT, progress=False)
    state = torch.get_rng_state()
    torch.rand(3)
    moved = torch.get_rng_state()
    second = train_minima(loss, 2, recipe=SHORT, progress=False)
    assert torch.equal(torch.get_rng_state(), moved)
    assert not torch.equal(moved, state)
    assert torch.equal(first.points, second.points)


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))


# Initialisation


class Scale(nn.Module):
    """Has a parameter, and no way to initialise it anew."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def scaled() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), Scale(3))


def test_networks_begin_at_pytorchs_own_initialisations():
    loss = mlp_loss()
    points = initial_points(loss, 60, None, 0)
    # uniform on [-1/2, 1/2] for four inputs: 60 * 20 draws miss the outer 1% with (0.99)**1200
    weights = points[:, :20].abs()
    assert 0.495 < weights.max() <= 0.5
    assert len(torch.unique(points[:, 0])) == 60


def test_a_module_without_reset_parameters_is_refused():
    loss = NetworkLoss(scaled(), X, Y)
    with pytest.raises(DataError, match=r"module '1' \(Scale\) has .* pass init="):
        train_minima(loss, 2)
    loss = NetworkLoss(Scale(4), X, Y)
    with pytest.raises(DataError, match=r"module 'model' \(Scale\)"):
        train_minima(loss, 2)


def test_init_makes_the_networks():
    loss = NetworkLoss(scaled(), X, Y)
    made: list[nn.Module] = []

    def init() -> nn.Module:
        made.append(scaled())
        return made[-1]

    recipe = Recipe(epochs=0)
    minima = train_minima(loss, 3, recipe=recipe, init=init, progress=False)
    expected = [nn.utils.parameters_to_vector(network.parameters()) for network in made]
    assert torch.equal(minima.points, torch.stack(expected).detach())
    again = train_minima(loss, 3, recipe=recipe, init=scaled, progress=False)
    assert torch.equal(minima.points, again.points)  # seeded, whatever init draws


def test_init_of_another_architecture_is_refused():
    sentence = "init must make networks of the loss's own .* which the model has not"
    with pytest.raises(DataError, match=sentence):
        train_minima(mlp_loss(), 2, init=scaled)


def test_init_that_always_makes_the_same_network_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("simplicial.optimizers.algorithm1.Algorithm1.optimise", None)
    model = MLP(4, (5,), 3)
    loss = NetworkLoss(model, X, Y)
    with pytest.raises(DataError, match="networks 0 and 1 begin at the same point: let init draw"):
        train_minima(loss, 3, init=lambda: model)


def test_frozen_parameters_stay_and_the_others_are_drawn():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    model[0].requires_grad_(False)
    model.get_parameter("2.weight").requires_grad_(False)  # one module with both kinds
    loss = NetworkLoss(model, X, Y)
    minima = train_minima(loss, 3, recipe=SHORT, progress=False)
    assert minima.points.shape == (3, 3)
    assert torch.equal(
        loss.state_dict(minima.points[1])["0.weight"], model.get_parameter("0.weight")
    )
    assert torch.equal(
        loss.state_dict(minima.points[1])["2.weight"], model.get_parameter("2.weight")
    )


def test_tied_weights_batch_norm_and_recurrent_layers_can_be_drawn_anew():
    tied = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 3))
    tied[2].weight = tied[0].weight
    minima = train_minima(NetworkLoss(tied, X, Y), 2, recipe=SHORT, progress=False)
    assert minima.points.shape == (2, 16 + 4 + 8 + 4 + 15)
    for body in (nn.LSTM(4, 3), nn.MultiheadAttention(4, 2)):
        points = initial_points(NetworkLoss(First(body), X, X, loss_fn=pulled), 2, None, 0)
        assert not torch.equal(points[0], points[1])


class First(nn.Module):
    """The first output of a sequence layer."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.body, nn.MultiheadAttention):
            return self.body(x[:, None], x[:, None], x[:, None])[0]
        return self.body(x[:, None])[0]


def pulled(outputs: Tensor, _targets: Tensor) -> Tensor:
    return outputs.square().mean()


# Weight decay on a simplex


@pytest.mark.parametrize("seed", range(4))
def test_weight_decay_pulls_the_centre_by_its_share_of_the_interpolated_point(seed: int):
    ends = torch.eye(2, dtype=torch.float64)
    minima = Minima(ends, lambda points: 0 * points.square().sum(dim=1))
    recipe = Recipe(epochs=1, learning_rate=0.5, momentum=0.0, weight_decay=0.04)
    built = build_complex(
        minima, 1, optimizer=Algorithm1(recipe=recipe), resolution=2, seed=seed, progress=False
    )
    centre = built[(0, 1)].controls[2].numpy()
    pull = (np.array([0.5, 0.5]) - centre) / 0.5
    # the edge is straight, so psi(t) = (t_0, t_1) and the pull has its direction; its length is
    # weight decay times W_c(t) = 2 min(t_0, t_1)
    t = pull / pull.sum()
    assert (t > 0).all()
    assert math.hypot(*pull) > 1e-4
    expected = 0.04 * 2 * t.min() * t
    np.testing.assert_allclose(pull, expected, rtol=1e-10)


def test_elastic_triangles_of_networks_with_refined_maxima() -> None:
    """No dimension may ask the loss for its values at no points."""
    loss = mlp_loss()
    minima = train_minima(loss, 3, recipe=SHORT, progress=False)
    optimizer = NudgedElastic(segments=4, steps=3)
    built = build_complex(minima, 2, optimizer=optimizer, tolerance=1e-3, progress=False)
    assert built.maxima[2][0] >= built.maxima[1].max()


def test_a_network_that_training_made_worse_is_told_and_stays_where_it_is(tmp_path: Path) -> None:
    """At a rate of 30 it stays finite, far above its initialisation, by torch's own losses."""
    loss, wild = mlp_loss(), SHORT.changed(learning_rate=30.0, weight_decay=0.0)
    begun = initial_points(loss, 3, None, 5)
    with pytest.warns(
        LossWarning, match="3 of 3 minima have a higher loss than .* first 0: choose"
    ):
        minima = train_minima(loss, 3, recipe=wild, seed=5, store=tmp_path, progress=False)
    for start, end, value in zip(begun, minima.points, minima.values, strict=True):
        before, after = (float(loss(point[None])[0]) for point in (start, end))
        assert after > 10 * before
        assert value == pytest.approx(after)
    assert RunStatus.read(tmp_path).worsened == ((0,), (1,), (2,))
    train_minima(loss, 3, recipe=SHORT, seed=5)  # warns of nothing
