"""Gradients scaled by their second moments, against the whole matrix of these."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.optimizers import preconditioner
from simplicial.optimizers.preconditioner import FORGET, Preconditioner

Floats = NDArray[np.float64]


def gradients(count: int, dim: int) -> Tensor:
    """Steep along a few directions, with coordinates of different units."""
    rng = np.random.default_rng(31)
    axes, units = np.linalg.qr(rng.normal(size=(dim, dim)))[0], 10.0 ** rng.uniform(-3, 3, dim)
    steepness = np.r_[30.0, 10.0, 3.0, np.full(dim - 3, 0.1)]
    return torch.as_tensor(rng.normal(size=(count, dim)) * steepness @ axes * units)


def by_the_whole_matrix(seen: list[Floats], vectors: Floats) -> Floats:
    """Vectors (q, d) by the moments of gradients [(q, d)], by definition."""
    squares, scale, latest = np.zeros(vectors.shape[1]), np.ones(vectors.shape[1]), []
    for call, own in enumerate(seen, start=1):
        squares = FORGET * squares + (1 - FORGET) * np.square(own).mean(axis=0)
        scale = np.sqrt(squares / (1 - FORGET**call))
        latest.extend(own / scale)
    units = np.array(latest[-preconditioner.RECENT :])
    moments, axes = np.linalg.eigh(units.T @ units / len(units))
    moments = moments.clip(min=0)
    roots = axes / np.sqrt(moments.clip(min=1)) @ axes.T
    length = np.sqrt(moments.sum() / moments.clip(max=1).sum())
    return length * (vectors / scale) @ roots


@pytest.mark.parametrize("calls", [1, 5, 40])
def test_the_whole_matrix_scales_them_alike(calls: int) -> None:
    """Before and after the first gradients are forgotten: 64 of 160 are kept."""
    given = gradients(4 * calls + 3, 20)
    seen, vectors = list(given[:-3].split(4)), given[-3:]
    own = Preconditioner(given[0])
    for part in seen:
        own.see(part)
    expected = by_the_whole_matrix([part.numpy() for part in seen], vectors.numpy())
    np.testing.assert_allclose(own.scaled(vectors), expected, rtol=1e-9)


def test_steep_directions_are_shortened() -> None:
    given = gradients(240, 20)
    own = Preconditioner(given[0])
    for part in given.split(4):
        own.see(part)
    before, after = (torch.linalg.svdvals(x) for x in (given / own._scale, own.scaled(given)))
    assert before[0] > 5 * before[2]
    assert after[0] < 2 * after[2]
    lengths = [float(x.norm()) for x in (given / own._scale, own.scaled(given))]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.1)


def test_it_goes_on_as_it_was() -> None:
    given = gradients(100, 20)
    own, other = Preconditioner(given[0]), Preconditioner(given[0])
    for part in given[:60].split(5):
        own.see(part)
    other.restore(*own.state())
    for part in given[60:].split(5):
        own.see(part)
        other.see(part)
    assert torch.equal(own.scaled(given), other.scaled(given))


def test_in_many_dimensions_fewer_gradients_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditioner, "MOST", 40)
    given = gradients(30, 20)
    own = Preconditioner(given[0])
    for part in given.split(3):
        own.see(part)
    monkeypatch.setattr(preconditioner, "RECENT", 2)
    expected = by_the_whole_matrix([part.numpy() for part in given.split(3)], given.numpy())
    np.testing.assert_allclose(own.scaled(given), expected, rtol=1e-9)


def test_without_a_slope_nothing_moves() -> None:
    own = Preconditioner(torch.zeros(5))
    own.see(torch.zeros(2, 5))
    assert torch.equal(own.scaled(torch.zeros(2, 5)), torch.zeros(2, 5))
