"""The penalty that a loss holds, against plain torch: values, derivatives, estimates, training."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import DIGITS_MLP, MLP, NetworkLoss, train_minima
from nets.execution.policy import BATCHINGS, Batching
from nets.penalty import Penalty
from nets.training import initial_points
from reduction import DataError, OptionError
from simplicial import Algorithm1, Minima, NudgedElastic, Recipe, RunError, build_complex
from simplicial.evaluation import hessian_operator, values_and_gradients
from tests.nets.networks import (
    MODELS,
    N,
    X,
    Y,
    at,
    batch_norm,
    bound,
    numbers,
    plain_values,
    points_near,
    seeded,
    trainable,
    value_and_gradient,
)

WD = 0.03
SHORT = Recipe(epochs=4, batch_size=128, learning_rate=0.1, weight_decay=WD)


def tanh() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def half_squares(network: nn.Module) -> float:
    """By torch's own sums, in double precision."""
    return sum(float(p.detach().double().square().sum()) for p in trainable(network)) / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", [*MODELS])
def test_values_and_gradients_are_those_of_plain_networks_and_half_their_squares(
    name: str, batching: Batching, dtype: torch.dtype
) -> None:
    model, x = seeded(MODELS[name]).to(dtype), X.to(dtype)
    loss = NetworkLoss(model, x, Y, batching=batching, weight_decay=WD)
    plain = NetworkLoss(model, x, Y, batching=batching)
    points = points_near(model)
    values, gradients = loss.values_and_gradients(points)
    leaf = points.clone().requires_grad_()
    again = loss(leaf)
    (slopes,) = torch.autograd.grad(again.sum(), leaf)
    found = loss.evaluate(points)
    assert found.accuracy is not None
    np.testing.assert_array_equal(found.accuracy, plain.evaluate(points).accuracy)
    assert torch.equal(values, again.detach())
    for i, point in enumerate(points):
        network = at(model, point).eval()
        value, slope = value_and_gradient(network, x, Y)
        expected = value + WD * half_squares(network)
        error = bound(dtype) * max(1.0, value)
        assert WD * half_squares(network) > 100 * error
        assert [float(values[i]), found.loss[i]] == pytest.approx([expected] * 2, abs=error)
        limit = bound(dtype) * max(1.0, float(slope.abs().max()))
        for gradient in (gradients[i], slopes[i]):
            torch.testing.assert_close(gradient, slope + WD * point, rtol=0, atol=limit)


def test_the_gradient_is_the_one_of_torchs_sgd_with_weight_decay_on_all_parameters() -> None:
    """Batch norm's weights and all biases too; one step of torch's at rate 1 tells it."""
    model = seeded(batch_norm)
    for stored in ("stored", "recomputed"):
        options: Any = {"batch_norm": stored}
        points = points_near(model, 1)
        slopes = [
            NetworkLoss(model, X, Y, **options, weight_decay=wd).values_and_gradients(points)[1]
            for wd in (0.0, WD)
        ]
        network = at(model, points[0])
        sgd = torch.optim.SGD(network.parameters(), lr=1.0, weight_decay=WD)
        own = nn.utils.parameters_to_vector(network.parameters()).detach()
        nn.utils.vector_to_parameters(own, network.parameters())
        first = 0
        for p in network.parameters():
            p.grad = slopes[0][0, first : first + p.numel()].view_as(p).clone()
            first += p.numel()
        sgd.step()
        end = nn.utils.parameters_to_vector(network.parameters()).detach()
        torch.testing.assert_close(points[0] - slopes[1][0], end, rtol=0, atol=1e-6)


def test_products_with_the_hessian_have_the_penalty() -> None:
    model = seeded(tanh).double()
    points, v = points_near(model, 1), numbers(53, seed=8).double()
    operators = [
        hessian_operator(NetworkLoss(model, X.double(), Y, weight_decay=wd), points[0])
        for wd in (0.0, WD)
    ]
    plain, penalised = (operator.hessian(v) for operator in operators)
    torch.testing.assert_close(penalised, plain + WD * v, rtol=0, atol=bound(torch.float64))
    assert float((penalised - plain).norm()) > 0.1


def test_an_estimate_is_the_loss_on_a_mini_batch_and_the_whole_penalty() -> None:
    model = seeded(tanh).double()
    loss, plain = (NetworkLoss(model, X.double(), Y, weight_decay=wd) for wd in (WD, 0.0))
    points = points_near(model).requires_grad_()
    pairs = [x.estimates(300, np.random.default_rng(5)) for x in (loss, plain)]
    count = 0
    for estimate, other in zip(*pairs, strict=True):
        expected = other(points) + WD / 2 * points.square().sum(dim=1)
        torch.testing.assert_close(estimate(points), expected, rtol=0, atol=bound(torch.float64))
        slopes = [torch.autograd.grad(f.sum(), points)[0] for f in (estimate(points), expected)]
        torch.testing.assert_close(*slopes, rtol=0, atol=bound(torch.float64))
        count += 1
    assert count == -(-N // 300)


def test_a_mini_batch_without_weight_has_the_penalty_alone() -> None:
    targets = Y.clone()
    targets[: N - 8] = -100
    model = seeded(tanh).double()
    loss = NetworkLoss(model, X.double(), targets, weight_decay=WD)
    point = points_near(model, 1)
    expected = WD * half_squares(at(model, point[0]))
    values = [float(f(point)) for f in loss.estimates(20, np.random.default_rng(0))]
    assert min(values) == pytest.approx(expected, rel=1e-12)
    assert max(values) > expected + 0.1


def test_the_penalty_of_many_float32_parameters_is_summed_in_double_precision() -> None:
    """5e6 numbers: sums of float32 would be off by more than a thousand times the bound."""
    points = numbers(2, 5_000_000, seed=9)
    found = Penalty(1e-3).values(points)
    expected = 5e-4 * np.square(points.numpy().astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
    assert found.dtype == torch.float64


def test_the_bits_of_a_value_do_not_depend_on_the_points_beside_it() -> None:
    points = numbers(5, 70_001, seed=10)
    together = Penalty(0.1).values(points)
    alone = torch.cat([Penalty(0.1).values(point[None]) for point in points])
    assert torch.equal(together, alone)


def test_derivatives_of_the_penalty_are_exact_to_any_order() -> None:
    points = numbers(2, 7).double().requires_grad_()
    values = Penalty(0.5).values(points)
    (slopes,) = torch.autograd.grad(values.sum(), points, create_graph=True)
    torch.testing.assert_close(slopes, 0.5 * points, rtol=1e-15, atol=0)
    (curved,) = torch.autograd.grad(slopes.square().sum(), points)
    torch.testing.assert_close(curved, 0.5 * points.detach(), rtol=1e-15, atol=0)


def test_a_loss_without_weight_decay_keeps_its_bits_and_its_name() -> None:
    model = seeded(tanh)
    one, other = NetworkLoss(model, X, Y), NetworkLoss(model, X, Y, weight_decay=0)
    assert repr(one) == repr(other)
    assert "weight_decay" not in repr(one)
    points = points_near(model)
    for a, b in zip(one.values_and_gradients(points), other.values_and_gradients(points),
                    strict=True):  # fmt: skip
        assert torch.equal(a, b)


def test_its_name_tells_the_weight_decay() -> None:
    loss = NetworkLoss(seeded(tanh), X, Y, weight_decay=1e-3)
    assert repr(loss).endswith(", weight_decay=0.001)")
    assert loss.weight_decay == 1e-3


@pytest.mark.parametrize(
    "wrong", [-1e-3, float("inf"), float("nan"), "0.1", None, True, 1e39, [0.1]]
)
def test_a_weight_decay_that_is_no_finite_number_of_0_or_more_is_refused(wrong: Any) -> None:
    with pytest.raises(OptionError, match="weight_decay must be 0 or more and finite in") as caught:
        NetworkLoss(seeded(tanh), X, Y, weight_decay=wrong)
    assert "\n" not in str(caught.value)


def test_a_buffer_of_another_function_is_refused_under_a_large_penalty_too() -> None:
    model = seeded(MODELS["buffers"])
    other = copy.deepcopy(model)
    assert isinstance(other.scale, Tensor)
    other.scale.mul_(1.01)
    loss = NetworkLoss(model, X, Y, weight_decay=1e6)
    with pytest.raises(DataError, match="'scale' differs"):
        loss.flatten(other.state_dict())


# Training


def test_minima_are_trained_on_the_loss_that_is_reported() -> None:
    """Steps of torch's SGD with weight decay on the plain network, whole data in a batch."""
    model = seeded(tanh).double()
    loss = NetworkLoss(model, X.double(), Y, weight_decay=WD)
    recipe = SHORT.changed(epochs=6, batch_size=N, weight_decay=0.0)
    found = train_minima(loss, 1, recipe=recipe, seed=3, progress=False)
    network = at(model, initial_points(loss, 1, None, 3)[0])
    sgd = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=WD)
    for epoch in range(6):
        sgd.param_groups[0]["lr"] = 0.1 * recipe.schedule(epoch / 6)
        sgd.zero_grad()
        cross_entropy(network(X.double()), Y).backward()
        sgd.step()
    end = nn.utils.parameters_to_vector(network.parameters()).detach()
    torch.testing.assert_close(found.points[0], end, rtol=0, atol=1e-12)
    value = plain_values(model, found.points, X.double(), Y)[0] + WD * half_squares(network)
    assert found.values[0] == pytest.approx(value, abs=1e-12)


def test_the_losss_weight_decay_trains_as_the_recipes() -> None:
    model = seeded(tanh).double()
    plain, penalised = (NetworkLoss(model, X.double(), Y, weight_decay=w) for w in (0, WD))
    by_recipe = train_minima(plain, 2, recipe=SHORT, progress=False)
    by_loss = train_minima(penalised, 2, recipe=SHORT.changed(weight_decay=0.0), progress=False)
    torch.testing.assert_close(by_loss.points, by_recipe.points, rtol=0, atol=1e-12)
    extra = WD / 2 * by_loss.points.square().sum(dim=1).numpy()
    np.testing.assert_allclose(by_loss.values, by_recipe.values + extra, rtol=1e-9)
    edges = [
        build_complex(
            Minima(by_recipe.points, loss),
            1,
            optimizer=Algorithm1(recipe=recipe),
            tolerance=None,
            progress=False,
        )
        for loss, recipe in ((plain, SHORT), (penalised, SHORT.changed(weight_decay=0.0)))
    ]
    torch.testing.assert_close(edges[1].control_points, edges[0].control_points, rtol=0, atol=1e-12)


def test_the_default_recipe_has_no_weight_decay_beside_the_losss() -> None:
    model = seeded(tanh).double()
    plain, penalised = (NetworkLoss(model, X.double(), Y, weight_decay=w) for w in (0, 0.5))
    assert Algorithm1().recipe_for(plain, points_near(model)) == Recipe()
    assert Algorithm1().recipe_for(penalised, points_near(model)) == Recipe(weight_decay=0.0)
    short = Recipe(epochs=3, batch_size=200, weight_decay=0.0)
    trained = train_minima(penalised, 1, recipe=short, progress=False)
    whole = train_minima(penalised, 1, progress=False)  # 50 epochs, at a rate of 0.01
    assert whole.values[0] < trained.values[0]


@pytest.mark.parametrize(
    "work",
    [
        lambda loss: train_minima(loss, 2, recipe=SHORT, progress=False),
        lambda loss: train_minima(loss, 2, recipe=DIGITS_MLP, progress=False),
        lambda loss: build_complex(
            Minima(points_near(loss.model()), loss), 1, optimizer=Algorithm1(recipe=SHORT)
        ),
        lambda loss: Algorithm1(recipe=SHORT).recipe_for(loss, points_near(loss.model())),
    ],
)
def test_a_weight_decay_that_would_count_twice_is_refused_before_training(
    work: Callable[[NetworkLoss], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loss = NetworkLoss(seeded(tanh), X, Y, weight_decay=0.25)
    monkeypatch.setattr("simplicial.optimizers.algorithm1._Descent.run", None)
    sentence = r"the loss has weight_decay=0.25 and the recipe weight_decay=(0.03|0.0001): give "
    with pytest.raises(OptionError, match=sentence):
        work(loss)


def test_elastic_edges_and_refined_maxima_are_those_of_the_penalised_loss() -> None:
    model = seeded(tanh).double()
    loss = NetworkLoss(model, X.double(), Y, weight_decay=WD)
    minima = Minima(points_near(model), loss)
    optimizer = NudgedElastic(segments=3, steps=4)
    built = build_complex(minima, 1, optimizer=optimizer, tolerance=1e-4, progress=False)
    for edge in ((0, 1), (0, 2), (1, 2)):
        maximum = built[edge].maximum
        network = at(model, maximum.point)
        plain = cross_entropy(network(X.double()), Y).item()
        assert maximum.value == pytest.approx(plain + WD * half_squares(network), rel=1e-12)
    at_minima = values_and_gradients(loss, minima.points)
    np.testing.assert_array_equal(at_minima.values, minima.values)


def test_a_folder_of_another_weight_decay_is_refused(tmp_path: Path) -> None:
    model, recipe = seeded(lambda: MLP(6, (4,), 3)), Recipe(epochs=1, weight_decay=0.0)
    loss = NetworkLoss(model, X, Y, weight_decay=0.01)
    first = train_minima(loss, 2, recipe=recipe, store=tmp_path, progress=False)
    again = train_minima(loss, 2, recipe=recipe, store=tmp_path, progress=False)
    assert torch.equal(first.points, again.points)
    for other in (0.0, 0.02):
        with pytest.raises(RunError, match=r"made with loss = .*weight_decay=0\.01"):
            train_minima(
                NetworkLoss(model, X, Y, weight_decay=other),
                2,
                recipe=recipe,
                store=tmp_path,
                progress=False,
            )
