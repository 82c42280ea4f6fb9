"""Losses with continuous symmetries: minima and Morse indices across translations and rotations."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from simplicial import LossError, RigidMotions, SearchError, find_minima, from_numpy, landscapes
from simplicial import invariant as declared
from simplicial.critical_points.eigenvector_following import follow
from simplicial.critical_points.search import _Problem
from simplicial.loss import BoundedLoss, DifferentiatedLoss, SymmetricLoss

LJ7 = [-16.505384, -15.935043, -15.593211, -15.533060]  # Wales & Doye (1997) and others


def lennard_jones(atoms: int, space: int = 3) -> Callable[[Tensor], Tensor]:
    i, j = torch.triu_indices(atoms, atoms, 1)

    def energy(x: Tensor) -> Tensor:
        at = x.reshape(len(x), atoms, space)
        attraction = (at[:, i] - at[:, j]).square().sum(dim=2) ** -3
        return 4 * (attraction.square() - attraction).sum(dim=1)

    return energy


def turned(points: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Points (m, 3 a), each moved by a rotation and a translation of its own."""
    rng, moved = np.random.default_rng(seed), []
    for point in points:
        q, r = np.linalg.qr(rng.standard_normal((3, 3)))
        q *= np.sign(np.diag(r))
        q[:, 0] *= np.sign(np.linalg.det(q))
        moved.append((point.reshape(-1, 3) @ q.T + rng.standard_normal(3)).ravel())
    return np.stack(moved)


def test_three_and_four_atoms_have_the_minima_of_triangle_and_tetrahedron() -> None:
    """-3 and -6; the tetrahedron and its mirror image are two, as its atoms are told apart."""
    for atoms, values in ((3, [-3.0]), (4, [-6.0, -6.0])):
        loss = declared(lennard_jones(atoms), RigidMotions())
        minima = find_minima(loss, dim=3 * atoms, box=(-1.2, 1.2), starts=60)
        np.testing.assert_allclose(minima.values, values, rtol=1e-12)
        assert minima.search is not None
        assert minima.search.degenerate == 0
        assert minima.search.box is None
        assert minima.loss is loss


def test_atoms_in_a_row_are_a_saddle_across_five_motions() -> None:
    """Of three atoms in space: two ways to bend, of which both go down, and one motion less."""
    row = torch.tensor([[0.0, 0, 0, 1.1, 0, 0, 2.2, 0, 0]]).double()
    bent = row + 0.02 * torch.sin(torch.arange(9)).double()
    loss = declared(lennard_jones(3), RigidMotions())
    # while they are bent, one of the two is a rotation
    arrival = follow(loss, torch.cat([row, bent]), np.array([2, 1]), 0.2)
    assert arrival.morse.tolist() == [2, 2]
    twelfth, sixth = 2 + 1 / 2**12, 2 + 1 / 2**6  # pairs at r, r and 2 r
    np.testing.assert_allclose(arrival.values, [-(sixth**2) / twelfth] * 2, rtol=1e-12)
    assert np.isnan(arrival.eigenvalues).sum(axis=1).tolist() == [5, 5]


def test_seven_atoms_have_four_energies() -> None:
    loss = declared(lennard_jones(7), RigidMotions())
    rng = np.random.default_rng(0)
    starts = torch.as_tensor(rng.uniform(-1.3, 1.3, size=(150, 21)))
    arrival = follow(loss, starts, 0, 0.5, 300)
    found = arrival.values[arrival.morse == 0]
    assert len(found) > 120
    levels = np.unique(np.round(found, 6))
    np.testing.assert_allclose(levels[:4], LJ7, atol=1.1e-6)
    assert len(levels) == 4
    assert np.isnan(arrival.eigenvalues[:, -6:]).all()
    lowest = arrival.eigenvalues[arrival.morse == 0]
    assert (lowest[:, :15] > 0.1).all()


def test_permuted_minima_are_one_where_the_loss_declares_it() -> None:
    """Of five atoms there is one minimum, of six two: Hoare & Pal (1971)."""
    for atoms in (5, 6):
        landscape = landscapes.lennard_jones(atoms)
        minima = find_minima(landscape, starts=20)
        np.testing.assert_allclose(minima.values, landscape.stratum(0).values, atol=1e-9)
        assert minima.search is not None
        assert minima.search.duplicates == 20 - len(minima)


def test_chains_come_back_to_their_minimum_by_a_motion() -> None:
    points = landscapes.lennard_jones(6).minima
    problem = _Problem.of(landscapes.lennard_jones(6), 0, None, None, None)
    back = problem.came_back(np.concatenate([turned(points, 6), points]), np.tile(points, (2, 1)))
    assert back.all()
    assert not problem.came_back(points, points[::-1]).any()


def test_without_the_declaration_the_error_says_that_six_eigenvalues_are_0() -> None:
    with pytest.raises(SearchError, match=r"6 of 12 eigenvalues are 0: declare motions"):
        find_minima(lennard_jones(4), dim=12, box=(-1.2, 1.2), starts=50)


def test_eigenvalues_across_the_motions_are_those_in_coordinates_without_them() -> None:
    """A pair: its distance alone is left, with the second derivative of the pair potential twice,
    since the unit step along both atoms changes the distance by sqrt(2)."""
    loss = declared(lennard_jones(2), RigidMotions())
    arrival = follow(loss, torch.tensor([[0.0, 0, 0, 0.9, 0.4, 0.5]]).double(), 0, 0.3)
    assert arrival.morse.tolist() == [0]
    r = 2 ** (1 / 6)
    second = 4 * (156 / r**14 - 42 / r**8)
    np.testing.assert_allclose(arrival.eigenvalues[0, :1], [2 * second], rtol=1e-9)
    assert np.isnan(arrival.eigenvalues[0, 1:]).all()


def test_many_atoms_are_followed_by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = declared(lennard_jones(4), RigidMotions())
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2 ** (1 / 6) / 8**0.5
    start = torch.as_tensor(corners.reshape(1, 12) + 0.05 * np.sin(np.arange(12)))
    dense = follow(loss, start, 0, 0.3)
    monkeypatch.setattr("simplicial.critical_points.eigenvector_following.DENSE", 0)
    sparse = follow(loss, start, 0, 0.3)
    assert dense.morse.tolist() == sparse.morse.tolist() == [0]
    np.testing.assert_allclose(sparse.values, [-6], rtol=1e-12)
    np.testing.assert_allclose(sparse.eigenvalues, dense.eigenvalues[:, :2], rtol=1e-6)


def test_tangents_are_the_derivatives_of_the_motions() -> None:
    points = np.random.default_rng(3).standard_normal((2, 12))
    tangents = RigidMotions().tangents(points)
    assert tangents.shape == (2, 12, 6)
    loss = lennard_jones(4)
    at = torch.as_tensor(points).requires_grad_()
    slope = torch.autograd.grad(loss(at).sum(), at)[0].numpy()
    scale = np.linalg.norm(slope, axis=1)[:, None] * np.linalg.norm(tangents, axis=1)
    assert (np.abs(np.einsum("md,mdk->mk", slope, tangents)) < 1e-12 * scale).all()
    assert np.linalg.matrix_rank(tangents).tolist() == [6, 6]


def test_the_nearest_point_of_an_orbit_undoes_a_motion_and_no_reflection() -> None:
    points = np.random.default_rng(4).standard_normal((5, 12))
    for target in points:
        back = RigidMotions().nearest(turned(np.tile(target, (4, 1)), 5), target)
        np.testing.assert_allclose(back, np.tile(target, (4, 1)), atol=1e-12)
        mirrored = (target.reshape(4, 3) * [1, 1, -1]).reshape(1, 12)
        assert np.linalg.norm(RigidMotions().nearest(mirrored, target) - target) > 0.05


def test_a_plane_has_one_rotation_and_motions_may_be_left_out() -> None:
    points = np.random.default_rng(0).standard_normal((1, 6))
    shapes = {
        RigidMotions(2): 3,
        RigidMotions(2, translations=False): 1,
        RigidMotions(3, rotations=False): 3,
        RigidMotions(1): 1,
    }
    for motions, count in shapes.items():
        assert motions.tangents(points).shape == (1, 6, count)

    def circle(x: Tensor) -> Tensor:
        return (x.square().sum(dim=1) - 1).square()

    ring = find_minima(declared(circle, RigidMotions(2, translations=False)), dim=2)
    np.testing.assert_allclose(ring.values, [0], atol=1e-20)
    sliding = declared(lambda x: (x[:, 0] - x[:, 1] - 2).square(), RigidMotions(1))
    valley = find_minima(sliding, dim=2)
    np.testing.assert_allclose(valley.points[:, 0] - valley.points[:, 1], [2.0])


def test_a_loss_that_is_not_invariant_is_refused() -> None:
    def anchored(x: Tensor) -> Tensor:
        return lennard_jones(3)(x) + 1e-3 * x.square().sum(dim=1)

    with pytest.raises(
        LossError, match="invariant under the motions that it declares, along motio"
    ):
        find_minima(declared(anchored, RigidMotions()), dim=9, box=(-1.2, 1.2), starts=20)
    with pytest.raises(OptionError, match="atoms in 3 coordinates make points of a multiple of 3"):
        find_minima(declared(lennard_jones(2, 2), RigidMotions()), dim=4, starts=20)


def test_abilities_are_passed_on_and_pickled() -> None:
    class Boxed(BoundedLoss, DifferentiatedLoss):
        domain = np.array([[-1.0, -1.0], [1.0, 1.0]])

        @property
        def dim(self) -> int:
            return 2

        def __call__(self, points: Tensor) -> Tensor:
            return points.square().sum(dim=1)

        def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
            return self(points), 2 * points

    loss = declared(Boxed(), RigidMotions(2, translations=False))
    assert isinstance(loss, BoundedLoss)
    assert isinstance(loss, DifferentiatedLoss)
    assert loss.dim == 2
    np.testing.assert_array_equal(loss.domain, Boxed.domain)
    point = torch.tensor([[1.0, 2.0]])
    assert loss.values_and_gradients(point)[1].tolist() == [[2.0, 4.0]]
    copy = pickle.loads(pickle.dumps(declared(torch.sum, RigidMotions(2))))
    assert isinstance(copy, SymmetricLoss)
    assert not isinstance(copy, BoundedLoss)
    assert copy.motions is not None
    assert copy.motions.tangents(np.ones((1, 4))).shape == (1, 4, 3)


def test_a_function_of_numpy_is_declared_invariant_alike() -> None:
    def energy(x: NDArray[np.float64]) -> NDArray[np.float64]:
        i, j = np.triu_indices(3, 1)
        at = x.reshape(len(x), 3, 3)
        attraction = ((at[:, i] - at[:, j]) ** 2).sum(axis=2) ** -3.0
        return 4 * (attraction**2 - attraction).sum(axis=1)

    def slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
        at = torch.tensor(x).requires_grad_()
        return torch.autograd.grad(lennard_jones(3)(at).sum(), at)[0].numpy()

    loss = declared(from_numpy(energy, slope, batched=True), RigidMotions())
    minima = find_minima(loss, dim=9, box=(-1.2, 1.2), starts=20)
    np.testing.assert_allclose(minima.values, [-3.0], rtol=1e-9)
