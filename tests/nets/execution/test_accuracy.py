"""Accuracies against plain counts: which axis has the classes, which targets count, or none."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll_loss,
    mse_loss,
    multi_margin_loss,
    nll_loss,
    one_hot,
    poisson_nll_loss,
)

from nets import NetworkLoss
from nets.execution.loss_mean import LossFunction
from reduction import DataError
from tests.nets.networks import N, X, Y, numbers, seeded

CLASS_WEIGHTS = torch.tensor([1.0, 2.0, 5.0])


class Tokens(nn.Module):
    """Outputs (n, T, V) of tokens (n, T), or with the classes on axis 1, (n, V, T)."""

    def __init__(self, classes: int, axis: int) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(classes, 6), nn.Linear(6, classes)
        self.axis = axis

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.table(tokens)).movedim(-1, self.axis)


def tokens(length: int, classes: int) -> Tensor:
    generator = torch.Generator().manual_seed(31)
    return torch.randint(classes, (300, length), generator=generator)


def on_last_axis(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs.transpose(1, 2), targets)


def smoothed_on_last_axis(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs.movedim(-1, 1), targets, label_smoothing=0.2)


def flattened(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs.flatten(0, 1), targets.flatten())


def accuracy_at_start(loss: NetworkLoss) -> float | None:
    scores = loss.evaluate(loss.flatten(loss.model().state_dict())[None]).accuracy
    return None if scores is None else float(scores[0])


def share(right: Tensor) -> object:
    return pytest.approx(right.double().mean().item(), rel=0, abs=1e-6)


@pytest.mark.parametrize(("length", "classes"), [(5, 5), (5, 7), (9, 3)])
@pytest.mark.parametrize(
    ("axis", "loss_fn"),
    [
        (1, cross_entropy),
        (1, nn.CrossEntropyLoss(label_smoothing=0.1)),
        (1, lambda outputs, y: cross_entropy(outputs, y)),
        (2, on_last_axis),
        (2, smoothed_on_last_axis),
        (2, flattened),
        (2, lambda outputs, y: mse_loss(outputs, one_hot(y, outputs.shape[2]).to(outputs))),
    ],
)
def test_accuracy_is_taken_on_the_axis_on_which_the_loss_has_the_classes(
    axis: int, loss_fn: LossFunction, length: int, classes: int
) -> None:
    x = tokens(length, classes)
    model = seeded(lambda: Tokens(classes, axis))
    with torch.no_grad():
        right = model(x).argmax(dim=axis)
        other = model(x).argmax(dim=3 - axis)
    y = torch.where(tokens(length, 4) > 0, right, (right + 1) % classes)
    assert accuracy_at_start(NetworkLoss(model, x, y, loss_fn=loss_fn)) == share(right == y)
    if length == classes:
        assert abs((other == y).double().mean() - (right == y).double().mean()) > 0.2


def test_a_perfect_network_of_as_many_steps_as_classes_is_told_so() -> None:
    model, x = seeded(lambda: Tokens(5, 2)), tokens(5, 5)
    y = model(x).argmax(dim=2)
    assert accuracy_at_start(NetworkLoss(model, x, y, loss_fn=on_last_axis)) == 1.0


def test_targets_that_would_fit_both_axes_are_no_matter() -> None:
    """Each target its own place: the classes of every axis are a permutation of order two."""
    model = seeded(lambda: Tokens(5, 2))
    x, y = tokens(5, 5), torch.arange(5).expand(300, 5)
    right = model(x).argmax(dim=2) == y
    assert accuracy_at_start(NetworkLoss(model, x, y, loss_fn=on_last_axis)) == share(right)


def focal(outputs: Tensor, targets: Tensor) -> Tensor:
    each = cross_entropy(outputs, targets, reduction="none")
    return ((1 - (-each).exp()) ** 2 * each).mean()


@pytest.mark.parametrize(
    "loss_fn",
    [
        focal,
        partial(cross_entropy, label_smoothing=0.1),
        partial(cross_entropy, weight=CLASS_WEIGHTS),
        nn.MultiMarginLoss(),
        lambda outputs, y: multi_margin_loss(outputs, y, p=2),
        lambda outputs, y: nll_loss(outputs.log_softmax(1), y),
        lambda outputs, y: nll_loss((outputs.softmax(1) + 1e-9).log(), y),
        lambda outputs, y: mse_loss(outputs.softmax(1), one_hot(y, 3).float()),
        lambda outputs, y: binary_cross_entropy_with_logits(outputs, one_hot(y, 3).float()),
    ],
)
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
def test_losses_of_classes_have_an_accuracy(loss_fn: LossFunction) -> None:
    model = seeded(lambda: nn.Linear(6, 3))
    right = model(X).argmax(dim=1) == Y
    assert accuracy_at_start(NetworkLoss(model, X, Y, loss_fn=loss_fn)) == share(right)


@pytest.mark.parametrize("ignored", [-100, -1, 255, 0, 2])
@pytest.mark.parametrize("told", [True, False])
def test_ignored_targets_are_left_out_of_the_accuracy(told: bool, ignored: int) -> None:
    def untold(outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets, ignore_index=ignored)

    model = seeded(lambda: nn.Conv2d(2, 3, 1))
    x = numbers(140, 2, 4, 4, seed=33)
    drawn = torch.randint(4, (140, 4, 4), generator=torch.Generator().manual_seed(34))
    y = torch.where(drawn == 3, ignored, drawn)
    loss_fn = nn.CrossEntropyLoss(ignore_index=ignored) if told else untold
    right = model(x).argmax(dim=1) == y
    assert accuracy_at_start(NetworkLoss(model, x, y, loss_fn=loss_fn)) == share(
        right[y != ignored]
    )


BINARY = (numbers(N, seed=35) > 0.4).long()


@pytest.mark.parametrize(
    ("loss_fn", "targets", "outputs", "threshold"),
    [
        (nn.BCEWithLogitsLoss(), BINARY[:, None].float(), (1,), 0.0),
        (binary_cross_entropy_with_logits, BINARY.float(), (), 0.0),
        (lambda o, y: binary_cross_entropy_with_logits(o[:, 0], y.float()), BINARY, (1,), 0.0),
        (lambda o, y: binary_cross_entropy_with_logits(o[:, 0], y.float()), BINARY > 0, (1,), 0.0),
        (lambda o, y: nn.functional.softplus(o * (1 - 2 * y)).mean(), BINARY, (), 0.0),
        (nn.BCELoss(), BINARY[:, None].float(), (1,), 0.5),
        (lambda o, y: binary_cross_entropy(o, y.float()), BINARY, (), 0.5),
    ],
)
def test_binary_cross_entropy_of_single_outputs_has_an_accuracy(
    loss_fn: LossFunction, targets: Tensor, outputs: tuple[int, ...], threshold: float
) -> None:
    model = seeded(
        lambda: nn.Sequential(
            nn.Linear(6, 1),
            nn.Sigmoid() if threshold else nn.Identity(),
            nn.Identity() if outputs else nn.Flatten(0),
        )
    )
    right = (model(X).flatten() > threshold) == BINARY.bool()
    assert accuracy_at_start(NetworkLoss(model, X, targets, loss_fn=loss_fn)) == share(right)


def pinball(outputs: Tensor, targets: Tensor) -> Tensor:
    above = targets[:, None] - outputs
    return torch.maximum(above * torch.tensor([0.1, 0.5, 0.9]), above * -0.1).mean()


def ordinal(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of CORAL: is the target above each threshold?"""
    steps = torch.arange(outputs.shape[1])
    return binary_cross_entropy_with_logits(outputs, (targets[:, None] > steps).to(outputs))


def spread(outputs: Tensor, targets: Tensor) -> Tensor:
    mean, variance = outputs[:, 0], outputs[:, 1].exp()
    return gaussian_nll_loss(mean, targets.to(mean), variance)


def shifted(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs[:, :-1].flatten(0, 1), targets[:, 1:].flatten())


COUNTS = (numbers(N, seed=36).abs() * 3).long()


@pytest.mark.parametrize(
    ("width", "loss_fn", "targets"),
    [
        (1, lambda o, y: poisson_nll_loss(o[:, 0], y), COUNTS),
        (1, lambda o, y: mse_loss(o[:, 0], y.to(o)), COUNTS),
        (1, lambda o, y: mse_loss(o[:, 0], y.to(o)), BINARY),
        (1, lambda o, y: nn.functional.hinge_embedding_loss(o[:, 0], 2 * y - 1), BINARY),
        (1, nn.HuberLoss(), COUNTS[:, None].double()),
        (1, nn.BCEWithLogitsLoss(), 0.9 * BINARY[:, None].double()),
        (1, nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0])), BINARY[:, None].double()),
        (2, spread, COUNTS),
        (2, spread, BINARY),
        (3, pinball, COUNTS),
        (3, pinball, COUNTS.clamp(0, 2)),
        (3, ordinal, COUNTS.clamp(0, 3)),
        (3, ordinal, COUNTS.clamp(0, 2)),
        (3, cross_entropy, numbers(N, 3, seed=37).double().softmax(1)),
        (3, nn.BCEWithLogitsLoss(), (numbers(N, 3, seed=38) > 0).double()),
        (3, lambda o, y: binary_cross_entropy_with_logits(o, y.to(o)), BINARY.repeat(3, 1).T),
        (
            3,
            lambda o, y: nn.functional.kl_div(o.log_softmax(1), y, reduction="batchmean"),
            numbers(N, 3, seed=37).double().softmax(1),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
def test_losses_that_leave_open_what_is_right_have_a_value_and_no_accuracy(
    width: int, loss_fn: LossFunction, targets: Tensor
) -> None:
    model = seeded(lambda: nn.Linear(6, width)).double()
    loss = NetworkLoss(model, X.double(), targets, loss_fn=loss_fn, batching="loop")
    found = loss.evaluate(loss.flatten(model.state_dict())[None])
    expected = loss_fn(model(X.double()), targets).item()
    assert found.loss == pytest.approx([expected], rel=1e-12, abs=0)
    assert found.accuracy is None


@pytest.mark.parametrize("classes", [5, 7])
def test_labels_that_are_those_of_the_next_step_have_no_accuracy(classes: int) -> None:
    x = tokens(5, classes)
    loss = NetworkLoss(seeded(lambda: Tokens(classes, 2)), x, x, loss_fn=shifted)
    assert accuracy_at_start(loss) is None


@pytest.mark.parametrize(
    ("loss_fn", "bad"),
    [
        (cross_entropy, 3),
        (cross_entropy, -1),
        (nn.CrossEntropyLoss(CLASS_WEIGHTS), 3),
        (nn.CrossEntropyLoss(ignore_index=-1), 3),
        (lambda outputs, y: cross_entropy(outputs, y), 3),
        (lambda outputs, y: cross_entropy(outputs, y), -1),
        (lambda outputs, y: cross_entropy(outputs, y, ignore_index=-1), 255),
    ],
)
def test_targets_that_are_no_class_and_not_ignored_are_refused(
    loss_fn: Callable[[Tensor, Tensor], Tensor], bad: int
) -> None:
    y = Y.clone()
    y[701] = bad
    with pytest.raises(DataError, match=rf"classes 0 to 2, .* got {bad} at example 701: mend"):
        NetworkLoss(nn.Linear(6, 3), X, y, loss_fn=loss_fn)
