"""Barcodes of index 0 of minima of which copies are one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from reduction import OptionError
from simplicial import (
    AtomSymmetry,
    LossError,
    Minima,
    NudgedElastic,
    Symmetry,
    build_complex,
    distinct,
    landscapes,
    nearest_copies,
)

ATOMS = 7
LJ7 = (-16.505384, -15.935043, -15.593211, -15.533060)  # Cambridge Cluster Database; Tsai & Jordan
LIKE = AtomSymmetry([0] * ATOMS)


def lennard_jones(points: Tensor) -> Tensor:
    atoms = points.reshape(len(points), ATOMS, 3)
    i, j = np.triu_indices(ATOMS, 1)
    sixth = (atoms[:, i] - atoms[:, j]).square().sum(dim=2) ** -3
    return (4 * (sixth * sixth - sixth)).sum(dim=1)


def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
    at = torch.tensor(x[None], requires_grad=True)
    value = lennard_jones(at)
    (slope,) = torch.autograd.grad(value.sum(), at)
    return float(value.detach()), slope[0].numpy()


@pytest.fixture(scope="module")
def arrivals() -> Minima:
    """Minima of the cluster of seven atoms, with copies."""
    rng, found = np.random.default_rng(1), []
    for _ in range(150):
        start = 0.9 * rng.normal(size=3 * ATOMS)
        options = {"maxiter": 3000, "ftol": 1e-15, "gtol": 1e-9}
        end = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=options)
        if end.fun < -14 and np.abs(end.jac).max() < 1e-4:
            found.append(end.x)
    return Minima(torch.tensor(np.array(found)), lennard_jones)


def test_lj7_has_four_minima_but_for_copies(arrivals: Minima) -> None:
    assert len(arrivals) > 40
    np.testing.assert_allclose(np.sort(distinct(arrivals, LIKE).values), LJ7, atol=1e-5)


@pytest.mark.filterwarnings("ignore:. of 6 edges end bars at no pass")  # between turned copies
def test_lj7_merges_at_its_transition_states(arrivals: Minima) -> None:
    minima = distinct(arrivals, LIKE)
    minima = Minima(minima.points[np.argsort(minima.values)], lennard_jones)
    copies = nearest_copies(minima, LIKE)
    assert len(copies.graph) == 6
    built = build_complex(
        copies.minima,
        1,
        graph=copies.graph,
        optimizer=NudgedElastic(segments=16, steps=400),
        progress=False,
    )
    bars = copies.filtration(built).barcode()[0]
    assert np.isinf(bars[:, 1]).sum() == 1
    ends = np.sort(bars[np.isfinite(bars[:, 1]), 1])
    assert (np.diff(ends) > 0.01).all()
    found = transition_states(
        torch.stack([built[tuple(edge)].maximum.point for edge in copies.graph])
    )
    for end in ends:  # a critical point of Morse index 1 has this value
        assert np.abs(found - end).min() < 1e-5
    straight = build_complex(minima, 1, optimizer=NudgedElastic(segments=16), progress=False)
    assert np.sort(straight.barcode()[0][:, 1])[:3].min() > ends.min() + 0.1


def test_copies_have_certified_transition_states() -> None:
    """One edge of each minimum of LJ7 to the lowest, as Tsai & Jordan (1993) have them."""
    cluster = landscapes.lennard_jones(ATOMS)
    assert isinstance(cluster.symmetry, AtomSymmetry)
    minima = Minima(torch.tensor(cluster.minima), cluster)
    copies = nearest_copies(minima, pairs=[(0, 1), (0, 2), (0, 3)])
    elastic = NudgedElastic(segments=16, steps=400)
    built = build_complex(
        copies.minima, 1, graph=copies.graph, optimizer=elastic, certify=True, progress=False
    )
    states = copies.transition_states(built)
    assert states.certified.all()
    assert [tuple(sorted(ends)) for ends in states.ends.tolist()] == [(0, 1), (0, 2), (0, 3)]
    np.testing.assert_allclose(states.values, (-15.44473, -15.31986, -15.28342), atol=1e-5)
    newton = transition_states(torch.tensor(states.points))
    np.testing.assert_allclose(newton, states.values, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(states.minima.values, minima.values)


def transition_states(points: Tensor) -> np.ndarray:
    """Values of the critical points of Morse index 1 to which Newton's method leads from points:
    up along the lowest curvature, down along the others.
    """
    slopes = torch.func.vmap(torch.func.grad(lambda x: lennard_jones(x[None])[0]))
    hessians = torch.func.vmap(torch.func.hessian(lambda x: lennard_jones(x[None])[0]))
    for _ in range(60):
        values, vectors = torch.linalg.eigh(hessians(points))
        inverse = torch.where(values.abs() > 1e-6, 1 / values.abs(), 0.0)
        inverse[:, 0] *= -1
        along = torch.einsum("mdk,md->mk", vectors, slopes(points))
        step = torch.einsum("mdk,mk->md", vectors, inverse * along)
        points = points - step * (0.1 / step.norm(dim=1, keepdim=True)).clamp(max=1.0)
    values = torch.linalg.eigvalsh(hessians(points))
    is_one = (slopes(points).norm(dim=1) < 1e-7) & ((values < -1e-4).sum(dim=1) == 1)
    return lennard_jones(points[is_one]).numpy()


class Mirror(Symmetry):
    """x -> -x in the first coordinate."""

    def nearest(self, point: np.ndarray, target: np.ndarray) -> np.ndarray:
        copies = [point, point * np.array([-1.0, 1.0])]
        return min(copies, key=lambda copy: float(np.linalg.norm(copy - target)))


def wells(x: Tensor) -> Tensor:
    """Four wells at (+-1, +-1), the upper two higher: two, but for mirror images."""
    return (x[:, 0] ** 2 - 1) ** 2 + 3 * (x[:, 1] ** 2 - 1) ** 2 + 0.1 * x[:, 1]


def test_an_edge_ends_at_the_nearest_copy() -> None:
    low = float(np.roots([12, 0, -12, 0.1])[0].real)
    down, up = np.sort(np.roots([12, 0, -12, 0.1]).real)[[0, 2]]
    assert low < 0
    minima = Minima(torch.tensor([[-1.0, down], [1.0, up]], dtype=torch.float64), wells)
    copies = nearest_copies(minima, Mirror())
    assert copies.labels.tolist() == [0, 1, 1]
    np.testing.assert_allclose(copies.minima.points[2].numpy(), [-1.0, up])
    built = build_complex(
        copies.minima, 1, graph=copies.graph, progress=False, optimizer=NudgedElastic()
    )
    (bar, endless) = sorted(copies.filtration(built).barcode()[0].tolist(), reverse=True)
    middle = np.sort(np.roots([12, 0, -12, 0.1]).real)[1]
    top = 3 * (middle**2 - 1) ** 2 + 0.1 * middle  # over the pass between (-1, down), (-1, up)
    assert bar[1] == pytest.approx(top, abs=1e-6)
    assert endless[1] == np.inf


def test_copies_of_two_are_one_minimum() -> None:
    points = torch.tensor([[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    assert len(distinct(Minima(points, wells), Mirror())) == 2


def test_a_symmetry_of_another_loss_is_refused() -> None:
    points = torch.tensor([[0.9, -1.0], [-1.0, 1.0]])
    tilted = Minima(points, lambda x: wells(x) + x[:, 0])
    with pytest.raises(LossError, match="a symmetry leaves the loss as it is"):
        nearest_copies(tilted, Mirror())


def test_the_complex_of_other_minima_is_refused(tmp_path: Path) -> None:
    points = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    minima = Minima(points, wells)
    built = build_complex(minima, 1, progress=False, optimizer=NudgedElastic())
    with pytest.raises(OptionError, match="that of these copies"):
        nearest_copies(minima, Mirror()).filtration(built)
