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
    for part in seen[:-1]:
        own.see(part)
    found = own.see(seen[-1], vectors)
    expected = by_the_whole_matrix([part.numpy() for part in seen], vectors.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_gradients_are_scaled_with_themselves_seen() -> None:
    given = gradients(60, 20)
    own, other = Preconditioner(given[0]), Preconditioner(given[0])
    for part in given.split(4):
        torch.testing.assert_close(own.see(part), other.see(part, part), rtol=1e-9, atol=0)


def test_steep_directions_are_shortened() -> None:
    given = gradients(240, 20)
    own = Preconditioner(given[0])
    for part in given[:-4].split(4):
        own.see(part)
    by_coordinates, scaled = given / given.square().mean(dim=0).sqrt(), own.see(given[-4:], given)
    before, after = (torch.linalg.svdvals(x) for x in (by_coordinates, scaled))
    assert before[0] > 5 * before[2]
    assert after[0] < 2 * after[2]
    assert float(scaled.norm()) == pytest.approx(float(by_coordinates.norm()), rel=0.1)


def test_it_goes_on_as_it_was() -> None:
    given = gradients(100, 20)
    own, other = Preconditioner(given[0]), Preconditioner(given[0])
    for part in given[:60].split(5):
        own.see(part)
    other.restore(*(tensor.clone() for tensor in own.state()))
    for part in given[60:].split(5):
        assert torch.equal(own.see(part), other.see(part))


def test_in_many_dimensions_fewer_gradients_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditioner, "MOST", 40)
    given = gradients(30, 20)
    own = Preconditioner(given[0])
    for part in given[:-3].split(3):
        own.see(part)
    monkeypatch.setattr(preconditioner, "RECENT", 2)
    expected = by_the_whole_matrix([part.numpy() for part in given.split(3)], given.numpy())
    np.testing.assert_allclose(own.see(given[-3:]), expected[-3:], rtol=1e-9)


def test_without_a_slope_nothing_moves() -> None:
    own = Preconditioner(torch.zeros(5))
    assert torch.equal(own.see(torch.zeros(2, 5)), torch.zeros(2, 5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("far", [-0.8, -0.4, 0.4, 0.8])
def test_units_of_the_loss_change_no_bit(dtype: torch.dtype, far: float) -> None:
    """Squares of its gradients may overflow, or be lost; and it may be steep on and off."""
    info = torch.finfo(dtype)
    exponent = int(np.log2(info.max if far > 0 else 1 / info.tiny) * far)
    given = (1e-3 * gradients(60, 20)).to(dtype)
    assert given.abs().max() < 30
    own, other = Preconditioner(given[0]), Preconditioner(given[0])
    for part in given.split(4):
        assert torch.equal(other.see(part * 2.0**exponent), own.see(part))
    steep = own.see(torch.full((1, 20), 0.9 * info.max, dtype=dtype))
    assert steep.isfinite().all()
    assert steep.abs().max() > 1
    assert own.see(given[:4]).isfinite().all()
