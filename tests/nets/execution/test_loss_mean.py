"""Losses with weights against torch's own value on the whole data; what is no mean is refused.

Values and gradients in double precision: bounds as in tests/nets/test_loss.py.
"""

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, nll_loss

from nets import NetworkLoss, train_minima
from nets.execution.loss_mean import ExampleWeights, LossFunction
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError, OptionError
from simplicial import Recipe
from tests.nets.networks import N, X, Y, at, bound, numbers, points_near, seeded, trainable

WEIGHTS = torch.tensor([1.0, 2.0, 5.0]).double()
WORDS = torch.randint(2, 9, (260, 6), generator=torch.Generator().manual_seed(41))
LENGTHS = torch.randint(1, 7, (260,), generator=torch.Generator().manual_seed(42)).sort().values
PADDED = torch.where(torch.arange(6) < LENGTHS[:, None], WORDS, 0)
IGNORED = torch.where(PADDED > 0, PADDED, -100)
SPARSE = torch.where(torch.arange(N) < 400, -100, Y)  # parts of 123 without any weight
SCORED = torch.stack([numbers(N, seed=43), numbers(N, seed=44).abs()], dim=1).double()


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 9)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.table(words).tanh())


def language(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs.transpose(1, 2), targets)


def causal(outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of Hugging Face's causal language models: each step predicts the next target."""
    return cross_entropy(outputs[:, :-1].flatten(0, 1), targets[:, 1:].flatten())


def padded(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs.transpose(1, 2), targets, ignore_index=0)


def by_example(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean over examples of their means over tokens: no example counts more for its length."""
    each = cross_entropy(outputs.transpose(1, 2), targets, reduction="none")
    counted = targets != -100
    return ((each * counted).sum(1) / counted.sum(1)).mean()


def next_words(targets: Tensor) -> Tensor:
    return (targets[:, 1:] != -100).sum(dim=1)


def second_column(targets: Tensor) -> Tensor:
    return targets[:, 1]


def weighted_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    errors = (outputs[:, 0] - targets[:, 0]) ** 2
    return (errors * targets[:, 1]).sum() / targets[:, 1].sum()


def class_weights(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs, targets, weight=WEIGHTS)


def weight_of_class(targets: Tensor) -> Tensor:
    return WEIGHTS[targets]


def linear(width: int = 3) -> nn.Module:
    return seeded(lambda: nn.Linear(6, width)).double()


def log_probabilities() -> nn.Module:
    return nn.Sequential(linear(), nn.LogSoftmax(1))


Case = tuple[Callable[[], nn.Module], Tensor, Tensor, LossFunction, ExampleWeights | None]
WIDE = X.double()
CASES: dict[str, Case] = {
    "class weights": (linear, WIDE, Y, nn.CrossEntropyLoss(WEIGHTS), None),
    "class weights, smoothed": (
        linear,
        WIDE,
        Y,
        nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.1),
        None,
    ),
    "class weights and ignored": (
        linear,
        WIDE,
        SPARSE,
        partial(cross_entropy, weight=WEIGHTS, ignore_index=-100),
        None,
    ),
    "a class of no weight": (
        linear,
        WIDE,
        Y,
        nn.CrossEntropyLoss(torch.tensor([0.0, 1.0, 2.0]).double()),
        None,
    ),
    "negative log likelihood": (log_probabilities, WIDE, Y, nn.NLLLoss(WEIGHTS), None),
    "its function": (log_probabilities, WIDE, Y, partial(nll_loss, weight=WEIGHTS), None),
    "class weights of a function": (linear, WIDE, Y, class_weights, weight_of_class),
    "probabilities": (
        linear,
        WIDE,
        numbers(N, 3, seed=45).double().softmax(1),
        nn.CrossEntropyLoss(WEIGHTS),
        None,
    ),
    "ignored": (linear, WIDE, SPARSE, cross_entropy, None),
    "ignored by a function": (
        linear,
        WIDE,
        torch.where(SPARSE < 0, 7, SPARSE),
        lambda outputs, y: cross_entropy(outputs, y, ignore_index=7),
        None,
    ),
    "tokens": (lambda: seeded(Language).double(), PADDED, IGNORED, language, None),
    "padding": (lambda: seeded(Language).double(), PADDED, PADDED, padded, None),
    "next tokens": (lambda: seeded(Language).double(), PADDED, IGNORED, causal, next_words),
    "means of examples": (lambda: seeded(Language).double(), PADDED, IGNORED, by_example, None),
    "weights beside targets": (
        lambda: linear(1),
        WIDE,
        SCORED,
        weighted_squares,
        second_column,
    ),
    "twice these weights": (
        lambda: linear(1),
        WIDE,
        SCORED,
        weighted_squares,
        lambda y: 2 * y[:, 1],
    ),
}


def points_of(model: nn.Module) -> Tensor:
    return points_near(model, 2)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_loss_with_weights_is_that_of_the_whole_data_and_so_is_its_gradient(
    name: str, batching: Batching
) -> None:
    make, x, y, loss_fn, weights = CASES[name]
    model = make()
    loss = NetworkLoss(model, x, y, loss_fn=loss_fn, weights=weights, batching=batching)
    points = points_of(model)
    values, gradients = loss.values_and_gradients(points)
    leaf = points.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(loss(leaf).sum(), leaf)
    assert torch.equal(loss(points), values)
    assert loss.evaluate(points).loss.tolist() == values.tolist()
    for i, point in enumerate(points):
        network = at(model, point)
        expected = loss_fn(network(x), y)
        limit = bound(torch.float64) * max(1.0, expected.item())
        assert abs(values[i].item() - expected.item()) <= limit
        exact = torch.autograd.grad(expected, trainable(network))
        flat = nn.utils.parameters_to_vector(exact)
        assert flat.norm() > 1e-3
        assert (gradients[i] - flat).norm() <= bound(torch.float64) * max(1.0, flat.norm().item())
        assert (slopes[i] - flat).norm() <= bound(torch.float64) * max(1.0, flat.norm().item())


@pytest.mark.parametrize("name", ["class weights", "tokens", "ignored"])
def test_estimates_are_the_loss_of_their_mini_batch_and_0_where_nothing_counts(name: str) -> None:
    make, x, y, loss_fn, weights = CASES[name]
    model = make()
    loss = NetworkLoss(model, x, y, loss_fn=loss_fn, weights=weights)
    points = points_of(model)[:1]
    order = np.random.default_rng(7).permutation(len(y))
    expected = list[float]()
    for batch in torch.as_tensor(order).split(2):
        value = loss_fn(at(model, points[0])(x[batch]), y[batch])
        expected.append(value.item() if (y[batch] != -100).any() else 0.0)
    leaf = points.clone().requires_grad_()
    estimates = list(loss.estimates(2, np.random.default_rng(7)))
    found = [estimate(leaf) for estimate in estimates]
    assert [value.item() for value in found] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert (0.0 in expected) == (name == "ignored")
    for value in found:
        assert torch.autograd.grad(value.sum(), leaf)[0].isfinite().all()


def test_networks_are_trained_where_mini_batches_have_no_weight() -> None:
    model = seeded(lambda: nn.Linear(6, 3))
    loss = NetworkLoss(model, X, SPARSE)
    recipe = Recipe(epochs=2, batch_size=2, learning_rate=0.002)
    minima = train_minima(loss, 2, recipe=recipe, progress=False)
    with torch.no_grad():
        expected = [cross_entropy(at(model, p)(X), SPARSE).item() for p in minima.points]
        begin = cross_entropy(model(X), SPARSE).item()
    assert minima.values == pytest.approx(expected, rel=1e-5, abs=0)
    assert max(expected) < begin - 0.2


def test_a_loss_with_weights_can_be_pickled() -> None:
    model = linear()
    loss = NetworkLoss(model, WIDE, Y, loss_fn=class_weights, weights=weight_of_class)
    points = points_of(model)
    assert torch.equal(pickle.loads(pickle.dumps(loss))(points), loss(points))


@pytest.mark.parametrize(
    ("loss_fn", "targets", "sentence"),
    [
        (partial(cross_entropy, reduction="sum"), Y, "the sum of their losses one by one: use"),
        (
            lambda o, y: cross_entropy(o, y, reduction="sum"),
            Y,
            "the sum of their losses one by one: use reduction='mean'",
        ),
        (class_weights, Y, "how much each example counts by weights=, a function of targets"),
        (lambda o, y: cross_entropy(o @ o.T, torch.arange(len(o))), Y, "the mean over examples"),
        (lambda o, y: cross_entropy(o, y) + o.std(correction=0), Y, "the mean over examples"),
        (
            lambda o, y: ((o[:, 0] - y) ** 2 * (y > -9)).sum() / (y > -9).sum(),
            torch.where(torch.arange(N) == 777, -99.0, X[:, 0].double()),
            "by weights=, a function of targets",
        ),
        (cross_entropy, torch.full_like(Y, -100), "some examples must have a weight"),
    ],
)
def test_losses_that_are_no_mean_are_refused_with_the_remedy(
    loss_fn: LossFunction, targets: Tensor, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        NetworkLoss(linear(), WIDE, targets, loss_fn=loss_fn)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "error", "sentence"),
    [
        (WEIGHTS, OptionError, "weights must be a function of targets"),
        (5, OptionError, "weights must be a function of targets"),
        (nn.Identity, OptionError, "weights must be a function of targets"),
        (lambda y: y[:-1], DataError, "one weight for each of 1100 examples"),
        (lambda y: y[:, None], DataError, "one weight for each of 1100 examples"),
        (lambda y: 1.0, DataError, "one weight for each of 1100 examples"),
        (lambda y: y - 1.0, DataError, "not negative, example 0 has -1"),
        (lambda y: y * torch.nan, DataError, "finite and not negative, example 0 has nan"),
        (lambda y: 0 * y, DataError, "some examples must have a weight"),
        (lambda y: WEIGHTS[y] / WEIGHTS[y].sum(), DataError, "must depend on its own target"),
        (lambda y: 3 - WEIGHTS[y] / 2, DataError, "the mean over examples by their weights"),
        (torch.ones_like, DataError, "the mean over examples by their weights"),
    ],
)
def test_weights_that_are_not_those_of_the_loss_are_refused(
    weights: ExampleWeights, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        NetworkLoss(linear(), WIDE, Y, loss_fn=class_weights, weights=weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("axis", [0, None])
def test_outputs_without_a_row_for_each_example_are_refused(axis: int | None) -> None:
    class Mean(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input).mean(dim=axis)

    with pytest.raises(DataError, match="outputs for each example on axis 0, Mean gives"):
        NetworkLoss(Mean(6, 3), X, Y, loss_fn=lambda outputs, y: outputs.mean())


def test_connectionist_temporal_classification_is_a_mean_over_examples() -> None:
    """Torch divides the loss of each sequence by its length, then takes the mean."""

    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        lengths = (targets > 0).sum(dim=1)
        steps = torch.full_like(lengths, outputs.shape[1])
        scores = outputs.log_softmax(2).transpose(0, 1)
        return nn.functional.ctc_loss(scores, targets, steps, lengths)

    targets = PADDED[:, :3]
    model = seeded(Language).double()
    loss = NetworkLoss(model, WORDS, targets, loss_fn=loss_fn, batching="loop")
    found = loss.evaluate(loss.flatten(model.state_dict())[None])
    assert found.loss == pytest.approx([loss_fn(model(WORDS), targets).item()], rel=1e-12, abs=0)
    assert found.accuracy is None


RARE = torch.where(torch.arange(N) == 777, 50.0, 1.0).double()


@pytest.mark.parametrize(
    ("targets", "given"),
    [
        ((X[:, 0].double(), RARE), lambda y: y[1]),
        ({"value": X[:, 0].double(), "weight": RARE}, lambda y: y["weight"]),
        (torch.stack([X[:, 0].double(), RARE.clamp(max=2)], dim=1), lambda y: y[:, 1]),
    ],
)
def test_weights_that_few_examples_have_are_asked_for(targets: Any, given: ExampleWeights) -> None:
    model = linear(1)

    def loss_fn(outputs: Tensor, y: Any) -> Tensor:
        value = y["value"] if isinstance(y, dict) else y[0] if isinstance(y, tuple) else y[:, 0]
        weight = given(y)
        return ((outputs[:, 0] - value) ** 2 * weight).sum() / weight.sum()

    with pytest.raises(DataError, match=r"examples \d+ to \d+ have .* halves.* by weights="):
        NetworkLoss(model, WIDE, targets, loss_fn=loss_fn)
    loss = NetworkLoss(model, WIDE, targets, loss_fn=loss_fn, weights=given)
    found = loss.evaluate(loss.flatten(model.state_dict())[None]).loss
    assert found == pytest.approx([loss_fn(model(WIDE), targets).item()], rel=1e-12, abs=0)


def test_a_loss_that_the_network_computes_asks_for_the_weights_too() -> None:
    class Computing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Language()

        def forward(self, words: Tensor, labels: Tensor) -> Any:
            outputs = self.inner(words)
            return {"loss": language(outputs, labels), "logits": outputs}

    def loss_fn(outputs: dict[str, Tensor], _targets: Tensor) -> Tensor:
        return outputs["loss"]

    model, inputs = seeded(Computing).double(), {"words": WORDS, "labels": IGNORED}
    point = points_near(model, 1)
    unweighted = NetworkLoss(model, inputs, IGNORED, loss_fn=loss_fn)
    with pytest.raises(DataError, match=r"examples \d+ to \d+ have .* a row for each example"):
        unweighted(point)
    told = NetworkLoss(
        model, inputs, IGNORED, loss_fn=loss_fn, weights=lambda y: (y != -100).sum(dim=1)
    )
    expected = at(model, point[0])(**inputs)["loss"].item()
    assert told(point).tolist() == pytest.approx([expected], rel=1e-12, abs=0)


def test_weights_that_fail_are_told_apart_from_the_loss() -> None:
    with pytest.raises(DataError, match=r"weights must be a function of targets, on \(1100,\).*2"):
        NetworkLoss(linear(), WIDE, Y, weights=lambda y: WEIGHTS[:2][y])
