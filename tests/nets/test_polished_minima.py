"""Minima of networks that are polished: gradients by plain torch, and births that are certified."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import DIGITS_MLP, NetworkLoss, align, load_digits, train_minima
from simplicial import Algorithm1, Edgewise, Minima, Polish, Recipe, build_complex
from simplicial.evaluation import evaluate
from tests.nets.networks import X, Y, at

WD = 1e-3
UNTRAINED = Algorithm1(recipe=Recipe(epochs=0, weight_decay=0.0))


def plain(
    model: nn.Module, minima: Minima, x: Tensor, y: Tensor
) -> tuple[list[float], list[float]]:
    """Penalised losses and gradient norms of plain networks, by torch's own autograd."""
    losses, norms = [], []
    for point in minima.points:
        network = at(model, point)
        squares = sum(p.square().sum() for p in network.parameters())
        value = cross_entropy(network(x), y) + WD / 2 * squares
        slopes = torch.autograd.grad(value, [*network.parameters()])
        losses.append(value.item())
        norms.append(float(nn.utils.parameters_to_vector(slopes).norm()))
    return losses, norms


def births(minima: Minima) -> tuple[int, int]:
    """How many births are certified as critical points of Morse index 0, of how many."""
    built = build_complex(
        minima,
        1,
        optimizer=UNTRAINED,
        simplex_map=Edgewise(16),  # short pieces, so that searches for saddles are given up soon
        resolution=2,
        tolerance=None,
        certify=True,
        progress=False,
    )
    ends = built.barcode().ends(0)
    assert ends is not None
    assert (ends.births.morse[ends.births.certified] == 0).all()
    return int(ends.births.certified.sum()), len(ends.births.certified)


def test_births_at_polished_minima_of_a_small_network_are_certified() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    x, y = X[::18].double(), Y[::18]
    loss = NetworkLoss(model, x, y, weight_decay=WD)
    recipe = Recipe(epochs=20, batch_size=20, learning_rate=0.1, weight_decay=0.0)
    raw = train_minima(loss, 3, recipe=recipe, progress=False)
    minima = train_minima(loss, 3, recipe=recipe, polish=True, progress=False)
    losses, norms = plain(model, minima, x, y)
    assert max(norms) <= 2e-8
    assert min(plain(model, raw, x, y)[1]) > 1e-3
    assert (minima.values < raw.values).all()
    np.testing.assert_allclose(minima.values, losses, rtol=1e-12)
    assert births(minima) == (3, 3)
    assert births(raw)[0] < 3


def test_polished_networks_are_aligned_after_that_and_stay_critical() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    x, y = X[::18].double(), Y[::18]
    loss = NetworkLoss(model, x, y, weight_decay=WD)
    recipe = Recipe(epochs=5, batch_size=20, learning_rate=0.1, weight_decay=0.0)
    options: dict[str, Any] = {
        "recipe": recipe,
        "polish": Polish(tolerance=1e-6),
        "progress": False,
    }
    apart = train_minima(loss, 3, **options)
    near = train_minima(loss, 3, align=True, **options)
    torch.testing.assert_close(near.points, align(apart).points, rtol=0, atol=0)
    assert max(plain(model, near, x, y)[1]) <= 1.01e-6


def test_a_folder_of_polished_minima_goes_on(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    loss = NetworkLoss(model, X[::18].double(), Y[::18], weight_decay=WD)
    recipe = Recipe(epochs=2, batch_size=20, weight_decay=0.0)
    options: dict[str, Any] = {
        "recipe": recipe,
        "polish": Polish(tolerance=1e-4),
        "progress": False,
    }
    raw = train_minima(loss, 2, recipe=recipe, store=tmp_path, progress=False)
    first, again = (train_minima(loss, 2, store=tmp_path, **options) for _ in range(2))
    assert torch.equal(first.points, again.points)
    assert torch.equal(first.points, train_minima(loss, 2, **options).points)
    assert not torch.equal(first.points, raw.points)
    back = train_minima(loss, 2, recipe=recipe, store=tmp_path, progress=False)
    assert torch.equal(back.points, raw.points)


@pytest.mark.long
def test_births_of_four_tanh_networks_on_digits_are_certified() -> None:
    """64-8-10 in double precision, 300 images: gradients below 1e-6, 4 births of 4."""
    digits = load_digits().subset(300)
    x, y = digits.train_inputs.double(), digits.train_targets
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10)).double()
    loss = NetworkLoss(model, x, y, weight_decay=WD)
    recipe = DIGITS_MLP.changed(weight_decay=0.0)
    polish = Polish(tolerance=5e-7)
    minima = train_minima(loss, 4, recipe=recipe, polish=polish, progress=False)
    losses, norms = plain(model, minima, x, y)
    assert max(norms) < 1e-6
    np.testing.assert_allclose(evaluate(loss, minima.points).loss, losses, rtol=1e-12)
    assert births(minima) == (4, 4)
