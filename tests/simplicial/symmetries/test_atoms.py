"""The nearest copy of a configuration of atoms."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reduction import OptionError, ShapeError
from simplicial import AtomSymmetry


def atoms(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3))


def turn(seed: int) -> np.ndarray:
    """A random rotation (3, 3)."""
    return Rotation.from_quat(np.random.default_rng(seed).normal(size=4)).as_matrix()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("n", [2, 3, 7, 13])
def test_a_planted_copy_is_found_again(n: int, mirrored: bool) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        there = atoms(n, seed)
        rotation = turn(seed)
        copy = there[rng.permutation(n)] @ rotation.T + rng.normal(size=3)
        if mirrored:
            copy = copy * [-1, 1, 1]
        found = AtomSymmetry("A" * n).nearest(copy.ravel(), there.ravel())
        np.testing.assert_allclose(found, there.ravel(), atol=1e-9)


def test_unlike_atoms_keep_their_places() -> None:
    there = atoms(6, 0)
    names = ["O", "H", "H", "O", "H", "H"]
    copy = there[[3, 5, 1, 0, 2, 4]] @ turn(1).T
    found = AtomSymmetry(names).nearest(copy.ravel(), there.ravel())
    np.testing.assert_allclose(found, there.ravel(), atol=1e-9)
    swapped = there[[1, 0, 2, 3, 4, 5]]
    found = AtomSymmetry(names).nearest(swapped.ravel(), there.ravel())
    assert np.linalg.norm(found - there.ravel()) > 0.1


def test_beside_atoms_that_are_held_copies_differ_by_names_alone() -> None:
    there = atoms(5, 4)
    names = ["Cu", "Au", "Cu", "Cu", "Au"]
    moved = there[[3, 4, 0, 2, 1]] + 0.01
    found = AtomSymmetry(names, rigid=False).nearest(moved.ravel(), there.ravel())
    np.testing.assert_allclose(found, there.ravel() + 0.01, atol=1e-12)


def test_a_mirror_image_is_no_copy_without_mirrors() -> None:
    there = atoms(8, 3)
    mirrored = (there * [1, 1, -1]).ravel()
    exact = AtomSymmetry([0] * 8).nearest(mirrored, there.ravel())
    np.testing.assert_allclose(exact, there.ravel(), atol=1e-9)
    turned = AtomSymmetry([0] * 8, mirrors=False).nearest(mirrored, there.ravel())
    assert np.linalg.norm(turned - there.ravel()) > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_copy_is_a_copy_and_not_farther_than_by_rotation_alone(seed: int) -> None:
    a, b = atoms(5, seed), atoms(5, seed + 100)
    found = AtomSymmetry([0] * 5).nearest(a.ravel(), b.ravel()).reshape(5, 3)
    before, after = (
        np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=None) for x in (a, found)
    )
    np.testing.assert_allclose(before, after, atol=1e-9)
    centred = [x - x.mean(axis=0) for x in (a, b)]
    u, _, vt = np.linalg.svd(centred[1].T @ centred[0])
    best = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    by_rotation = np.linalg.norm(centred[0] @ best.T - centred[1])
    assert np.linalg.norm(found - b) <= by_rotation + 1e-9


def test_atoms_on_a_line_have_a_nearest_copy() -> None:
    line = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
    turned = line[[2, 0, 1]] @ turn(2).T
    found = AtomSymmetry([0] * 3).nearest(turned.ravel(), line.ravel())
    np.testing.assert_allclose(found, line.ravel(), atol=1e-9)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 atoms have 9 coordinates, got shape"):
        AtomSymmetry([0] * 3).nearest(np.zeros(6), np.zeros(9))
    with pytest.raises(OptionError, match="give one for each atom"):
        AtomSymmetry([])
