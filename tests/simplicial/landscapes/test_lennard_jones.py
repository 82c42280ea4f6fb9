"""Lennard-Jones clusters against published energies."""

import numpy as np
import pytest
import torch

from reduction import OptionError
from simplicial.errors import SearchError
from simplicial.landscapes import lennard_jones
from simplicial.landscapes.lennard_jones import LOWEST, relaxed
from tests.simplicial.landscapes.test_landscapes import gradients_at, hessians_at, values_at

MINIMA = {  # Hoare & Pal (1971); Wales, Energy Landscapes (2003)
    2: [-1.0],
    3: [-3.0],
    4: [-6.0],
    5: [-9.103852],
    6: [-12.712062, -12.302928],
    7: [-16.505384, -15.935043, -15.593211, -15.533060],
}


@pytest.mark.parametrize("atoms", MINIMA)
def test_minima_have_the_published_energies(atoms: int) -> None:
    landscape = lennard_jones(atoms)
    minima = landscape.minima
    np.testing.assert_allclose(values_at(landscape, minima), MINIMA[atoms], rtol=0, atol=6e-7)
    assert np.abs(gradients_at(landscape, minima)).max() < 1e-10
    eigenvalues = np.linalg.eigvalsh(hessians_at(landscape, minima))
    motions = 5 if atoms == 2 else 6
    assert (np.abs(eigenvalues[:, :motions]) < 1e-8).all()
    assert (eigenvalues[:, motions:] > 1).all()
    assert (np.abs(minima) < landscape.domain[1]).all()
    assert LOWEST[atoms] == MINIMA[atoms][0]


def test_the_energy_is_a_sum_over_pairs_and_does_not_change_with_motions() -> None:
    atoms = np.random.default_rng(2).normal(size=(6, 3)) * 1.5
    expected = 0.0
    for i in range(6):
        for j in range(i):
            r = np.linalg.norm(atoms[i] - atoms[j])
            expected += 4 * (r**-12 - r**-6)
    turned = atoms @ np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0] + 0.7
    for positions in (atoms, turned, atoms[[3, 1, 0, 2, 5, 4]], -atoms):
        (found,) = values_at(lennard_jones(6), positions.reshape(1, -1))
        assert found == pytest.approx(expected, rel=1e-10)


def test_the_icosahedron_relaxes_to_the_lowest_cluster_of_13_atoms() -> None:
    phi = (1 + np.sqrt(5)) / 2
    corners = [np.roll([0.0, a, b * phi], k) for k in range(3) for a in (1, -1) for b in (1, -1)]
    icosahedron = np.concatenate([np.zeros((1, 3)), 1.08 * np.array(corners) / np.hypot(1, phi)])
    cluster = relaxed(icosahedron)
    energy = lennard_jones(13)(torch.tensor(cluster.reshape(1, -1))).item()
    assert energy == pytest.approx(LOWEST[13], abs=6e-7)


def test_what_is_not_listed_is_refused() -> None:
    with pytest.raises(SearchError, match="of 2 to 7 atoms are listed, got Morse index 1 of 7"):
        lennard_jones(7).stratum(1)
    with pytest.raises(SearchError, match="got Morse index 0 of 13 atoms"):
        _ = lennard_jones(13).minima
    with pytest.raises(SearchError, match="must relax in 30 steps"):
        relaxed(np.eye(3) * 40)
    for atoms in (1, 0, 2.5, "7", True):
        with pytest.raises(OptionError, match="atoms must be a whole number of at least 2, got"):
            lennard_jones(atoms)  # pyright: ignore[reportArgumentType]
