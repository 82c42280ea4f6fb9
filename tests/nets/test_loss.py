"""NetworkLoss against plain loops over networks: values, gradients and estimates.

The plain networks are made by torch's own `vector_to_parameters`. Tolerances: a chain of k
additions in floating point errs by k eps relative to the sum of absolute values; the longest chain
here is a mean over 512 examples, and losses are of order one.
"""

import copy
from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from nets import MLP, LeNet, NetworkLoss
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError
from simplicial import Algorithm1, Minima, Recipe, build_complex
from tests.nets.networks import (
    MODELS,
    TOKENS,
    N,
    Recorder,
    Sequences,
    Tied,
    X,
    Y,
    at,
    batch_norm,
    bound,
    dropout,
    numbers,
    plain_values,
    points_near,
    seeded,
    value_and_gradient,
    within,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", MODELS)
def test_values_accuracy_and_gradient_are_those_of_plain_networks(
    name: str, batching: Batching, dtype: torch.dtype
):
    model = seeded(MODELS[name]).to(dtype)
    x = X.to(dtype)
    loss = NetworkLoss(model, x, Y, batching=batching)
    points = points_near(model).requires_grad_()
    values = loss(points)
    (gradient,) = torch.autograd.grad(values.sum(), points)
    found = loss.evaluate(points)
    assert values.dtype == torch.float64
    assert found.accuracy is not None
    for i, point in enumerate(points.detach()):
        network = at(model, point).eval()
        expected, slope = value_and_gradient(network, x, Y)
        error = bound(dtype) * max(1.0, expected)
        assert abs(values[i].item() - expected) <= error
        assert abs(found.loss[i] - expected) <= error
        limit = bound(dtype) * max(1.0, float(gradient[i].abs().max()))
        torch.testing.assert_close(gradient[i], slope, rtol=0, atol=limit)
        assert gradient[i].abs().max() > 0.01
        share = (network(x).argmax(1) == Y).double().mean().item()
        assert found.accuracy[i] == pytest.approx(share, abs=bound(dtype))
    assert np.ptp(found.loss) > 0.01


@pytest.mark.parametrize(
    ("make", "x", "batching"),
    [
        *((lambda: LeNet(size=12, classes=3), numbers(36, 1, 12, 12), how) for how in BATCHINGS),
        *(
            (lambda kind=kind: Sequences(kind), TOKENS, None)
            for kind in ("embedding", "lstm", "transformer")
        ),
    ],
)
def test_convolutions_and_sequence_models_agree_with_the_plain_network(
    make: Callable[[], nn.Module], x: Tensor, batching: Batching | None
):
    """Tokens are whole numbers."""
    model, classes = seeded(make), torch.arange(len(x)) % 3
    loss = NetworkLoss(model, x, classes, batching=batching)
    points = points_near(model, 2).requires_grad_()
    values = loss(points)
    (gradient,) = torch.autograd.grad(values.sum(), points)
    exact = loss(points.detach())
    for i, point in enumerate(points.detach()):
        expected, slope = value_and_gradient(at(model, point).eval(), x, classes)
        limit = bound(torch.float32) * (max(1.0, expected) if x is not TOKENS else 1.0)
        assert abs(values[i].item() - expected) <= limit
        assert abs(exact[i].item() - expected) <= limit
        limit = bound(torch.float32) * (float(slope.abs().max()) if x is not TOKENS else 1.0)
        torch.testing.assert_close(gradient[i], slope, rtol=0, atol=limit)


def test_a_weight_that_is_tied_has_the_sum_of_both_gradients():
    model = seeded(Tied).double()
    loss = NetworkLoss(model, X.double(), Y)
    untied = Tied().double()
    untied.load_state_dict(model.state_dict())
    untied.second.weight = nn.Parameter(untied.first.weight.detach().clone())
    cross_entropy(untied(X.double()), Y).backward()
    point = nn.utils.parameters_to_vector(model.parameters()).detach()[None].requires_grad_()
    (gradient,) = torch.autograd.grad(loss(point).sum(), point)
    first, second = untied.first.weight.grad, untied.second.weight.grad
    assert first is not None
    assert second is not None
    assert min(float(first.abs().max()), float(second.abs().max())) > 0.01
    # the weight comes first in named_parameters
    torch.testing.assert_close(
        gradient[0, :36].reshape(6, 6), first + second, rtol=0, atol=bound(torch.float64)
    )


def test_values_do_not_depend_on_the_points_beside_them():
    model = seeded(batch_norm).double()
    loss = NetworkLoss(model, X.double(), Y)
    points = points_near(model)
    alone = torch.cat([loss(p[None]) for p in points])
    torch.testing.assert_close(loss(points), alone, rtol=bound(torch.float64), atol=0)


@pytest.mark.parametrize("name", ["batch norm", *MODELS])
def test_the_model_that_is_passed_in_is_never_changed(name: str):
    model = seeded((MODELS | {"batch norm": batch_norm})[name])
    model.train()
    model[0].eval() if isinstance(model, nn.Sequential) else None
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    identities = [id(p) for p in model.parameters()]
    loss = NetworkLoss(model, X, Y)
    points = points_near(model)
    loss.evaluate(points)
    for estimate in loss.estimates(400, np.random.default_rng(0)):
        estimate(points.requires_grad_()).sum().backward()
    loss.model().train().load_state_dict(loss.state_dict(points[0]))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert [id(p) for p in model.parameters()] == identities
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("name", ["batch norm", *MODELS])
def test_estimates_leave_no_trace_in_the_loss(name: str):
    model = seeded((MODELS | {"batch norm": batch_norm})[name])
    loss = NetworkLoss(model, X, Y)
    points = points_near(model)
    before = loss(points)
    for estimate in loss.estimates(200, np.random.default_rng(0)):
        estimate(points)
    assert torch.equal(loss(points), before)


# Estimates


def numbered(n: int) -> tuple[Tensor, Tensor]:
    return X[:n], torch.stack([X[:n].sum(dim=1), torch.arange(n, dtype=torch.float32)], dim=1)


def batches_of(loss: NetworkLoss, recorder: Recorder, seed: int, size: int) -> list[list[int]]:
    points = torch.zeros(1, loss.dim)
    loss(points)  # the first use, which is preceded by checks
    recorder.batches.clear()
    for estimate in loss.estimates(size, np.random.default_rng(seed)):
        estimate(points)
    return copy.deepcopy(recorder.batches)


def test_one_epoch_visits_every_example_once_in_an_order_of_the_seed():
    recorder = Recorder()
    loss = NetworkLoss(nn.Linear(6, 1), *numbered(70), loss_fn=recorder)
    batches = batches_of(loss, recorder, seed=5, size=32)
    assert [len(batch) for batch in batches] == [32, 32, 6]
    assert sorted(chain(*batches)) == list(range(70))
    assert list(chain(*batches)) != list(range(70))
    assert batches_of(loss, recorder, seed=5, size=32) == batches
    assert batches_of(loss, recorder, seed=6, size=32) != batches


def test_a_second_epoch_of_one_generator_has_another_order():
    recorder = Recorder()
    loss = NetworkLoss(nn.Linear(6, 1), *numbered(70), loss_fn=recorder)
    rng, points = np.random.default_rng(5), torch.zeros(1, loss.dim)
    loss(points)
    recorder.batches.clear()
    for _ in range(2):
        (estimate,) = loss.estimates(70, rng)
        estimate(points)
    first, second = recorder.batches
    assert sorted(first) == sorted(second)
    assert first != second


@pytest.mark.parametrize("batching", BATCHINGS)
def test_the_mean_of_an_epochs_estimates_is_the_exact_loss(batching: Batching):
    model = seeded(lambda: MLP(6, (8,), 3)).double()
    loss = NetworkLoss(model, X.double(), Y, batching=batching)
    points = points_near(model)
    sizes = [300, 300, 300, 200]
    estimates = [e(points) for e in loss.estimates(300, np.random.default_rng(2))]
    mean = sum(size / N * e for size, e in zip(sizes, estimates, strict=True))
    torch.testing.assert_close(mean, loss(points), rtol=bound(torch.float64), atol=0)
    assert (estimates[0] - loss(points)).abs().max() > 1e-3


@pytest.mark.parametrize("batching", BATCHINGS)
def test_dropout_is_drawn_by_the_seed_alike_for_all_points(batching: Batching):
    model = seeded(dropout)
    loss = NetworkLoss(model, X[:200], Y[:200], batching=batching)
    points = points_near(model)

    def epoch(seed: int) -> list[Tensor]:
        return [e(points) for e in loss.estimates(100, np.random.default_rng(seed))]

    state = torch.get_rng_state()
    estimates = list(loss.estimates(100, np.random.default_rng(1)))
    together = estimates[0](points)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(epoch(1)[0], together)
    assert (epoch(2)[0] - together).abs().max() > 1e-3
    assert (together - loss(points)).abs().max() > 1e-3  # dropout is felt
    alone = torch.cat([estimates[0](p[None]) for p in points])
    torch.testing.assert_close(together, alone, rtol=bound(torch.float32), atol=0)


# Loss functions


def test_regression_has_no_accuracy():
    model = seeded(lambda: nn.Linear(6, 2)).double()
    x, y = X.double(), numbers(N, 2, seed=9).double()
    loss = NetworkLoss(model, x, y, loss_fn=mse_loss)
    points = points_near(model)
    found = loss.evaluate(points)
    assert found.accuracy is None
    assert Minima(points, loss).accuracy is None
    for value, point in zip(found.loss, points, strict=True):
        expected = mse_loss(at(model, point)(x), y).item()
        assert abs(value - expected) <= bound(torch.float64) * max(1.0, expected)


@pytest.mark.parametrize(
    ("loss_fn", "sentence"),
    [
        (nn.CrossEntropyLoss(reduction="sum"), "must be the mean over examples, 1[0-9] examples"),
        (nn.CrossEntropyLoss(reduction="none"), r"a scalar tensor, .* got shape \(1[0-9],\)"),
        (
            nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 5.0]), reduction="sum"),
            "use reduction=.mean.",
        ),
        (lambda outputs, y: cross_entropy(outputs, y).item(), r"a scalar tensor, .* got [\d.]+:"),
        (lambda outputs, y: cross_entropy(outputs, y) ** 2, "must be the mean over examples"),
    ],
)
def test_loss_functions_that_are_no_mean_are_refused(
    loss_fn: Callable[[Tensor, Tensor], Tensor], sentence: str
):
    # sorted by class: the first two examples alone would not show the weights
    with pytest.raises(DataError, match=sentence) as caught:
        NetworkLoss(seeded(lambda: MLP(6, (8,), 3)), X, Y, loss_fn=loss_fn)
    assert "\n" not in str(caught.value)


def test_targets_that_broadcast_against_the_outputs_are_refused():
    with (
        pytest.warns(UserWarning, match="target size"),
        pytest.raises(DataError, match="must be the mean over examples"),
    ):
        NetworkLoss(seeded(lambda: nn.Linear(6, 1)), X, X[:, 0], loss_fn=mse_loss)


def test_label_smoothing_is_a_mean():
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
    NetworkLoss(seeded(lambda: MLP(6, (8,), 3)), X, Y, loss_fn=smooth)


def test_a_complex_of_network_losses_has_the_values_of_plain_networks():
    model = seeded(lambda: MLP(6, (4,), 3)).double()
    loss = NetworkLoss(model, X.double(), Y)
    short = Algorithm1(recipe=Recipe(epochs=1))
    minima = Minima(points_near(model), loss)
    built = build_complex(minima, 1, optimizer=short, resolution=2, progress=False)
    maxima = [built[edge].maximum for edge in ((0, 1), (0, 2), (1, 2))]
    highest = torch.stack([maximum.point for maximum in maxima])
    found = [maximum.value for maximum in maxima]
    assert found == within(plain_values(model, highest, X.double(), Y))


def test_points_of_another_type_are_converted() -> None:
    """A float32 network at float64 points: the same values, and gradients of the points' type."""
    loss = NetworkLoss(seeded(lambda: MLP(6, (8,), 3)), X, Y)
    points = loss.flatten(seeded(lambda: MLP(6, (8,), 3), 1).state_dict())[None]
    (estimate,) = loss.estimates(N, np.random.default_rng(0))
    wide = points.double().requires_grad_()
    assert torch.equal(loss(wide), loss(points))
    (gradient,) = torch.autograd.grad(estimate(wide).sum(), wide)
    assert gradient.dtype == torch.float64
    assert gradient.norm() > 1e-3
