"""Energies of ASE's calculators are losses on the positions of atoms that are free."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import add_adsorbate, fcc100
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from torch import Tensor

from reduction import OptionError
from simplicial import (
    AtomSymmetry,
    LossError,
    Minima,
    NudgedElastic,
    build_complex,
    find_critical_points,
    find_minima,
    from_ase,
    landscapes,
    nearest_copies,
    polish,
)
from simplicial.critical_points.eigenvector_following import follow
from simplicial.evaluation import derivatives, evaluate, values_and_gradients

pytestmark = pytest.mark.ecosystem

ENERGY = -16.505384  # of the lowest minimum of LJ7, a pentagonal bipyramid; Wales & Doye (1997)


def lennard_jones(points: Tensor) -> Tensor:
    """4 sum over pairs (r^-12 - r^-6), in units of epsilon and sigma."""
    atoms = points.reshape(len(points), -1, 3)
    i, j = torch.triu_indices(atoms.shape[1], atoms.shape[1], 1)
    r6 = (atoms[:, i] - atoms[:, j]).square().sum(dim=2) ** -3
    return 4 * (r6.square() - r6).sum(dim=1)


def bipyramid() -> Atoms:
    angles = np.arange(5) * 2 * np.pi / 5
    ring = 0.9 * 2 ** (1 / 6) * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    atoms = Atoms("Ar7", np.concatenate([ring, [[0, 0, 0.55], [0, 0, -0.55]]]))
    atoms.calc = LennardJones(rc=1e3)  # no cut-off, and so no shift
    return atoms


def test_energies_and_forces_of_lj7_are_those_of_torch() -> None:
    loss = from_ase(bipyramid())
    noise = torch.randn(5, 21, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    points = loss.point(bipyramid()) + 0.05 * noise
    found, expected = (values_and_gradients(f, points) for f in (loss, lennard_jones))
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.gradients, expected.gradients, rtol=1e-9, atol=1e-9)
    assert expected.gradients.norm(dim=1).min() > 1
    exact, differenced = (derivatives(f, points[:1]).hessians for f in (lennard_jones, loss))
    torch.testing.assert_close(differenced, exact, rtol=0, atol=1e-6 * float(exact.abs().max()))


def test_the_lowest_minimum_of_lj7_is_that_of_the_literature() -> None:
    from ase.optimize import BFGS

    atoms = bipyramid()
    assert BFGS(atoms, logfile=None).run(fmax=1e-8, steps=200)
    loss = from_ase(atoms)
    minima = [Minima(loss.point(atoms)[None], f) for f in (loss, lennard_jones)]
    np.testing.assert_allclose(minima[0].values, minima[1].values, rtol=0, atol=1e-9)
    assert minima[0].values[0] == pytest.approx(ENERGY, abs=1e-6)
    assert minima[0].gradient_norms()[0] < 1e-6


def surface() -> Atoms:
    """An atom of Al on a small slab of Al (100), which is held."""
    slab = fcc100("Al", size=(2, 2, 2), vacuum=6.0)
    add_adsorbate(slab, "Al", 1.7, "hollow")
    slab.set_constraint(FixAtoms(mask=[atom.tag > 0 for atom in slab]))
    slab.calc = EMT()
    return slab


def test_atoms_that_are_held_have_no_coordinates() -> None:
    atoms = surface()
    loss, positions = from_ase(atoms), atoms.get_positions()
    assert loss.dim == 3
    point = loss.point(atoms)
    np.testing.assert_array_equal(point.numpy(), positions[-1])
    found = values_and_gradients(loss, point[None] + 0.1)
    moved = loss.atoms(point + 0.1)
    np.testing.assert_array_equal(moved.positions[:-1], positions[:-1])
    assert found.values[0] == moved.get_potential_energy()
    np.testing.assert_array_equal(found.gradients[0].numpy(), -moved.get_forces()[-1])
    np.testing.assert_array_equal(atoms.positions, positions)
    assert "Al9, EMT): energy in eV of 3 coordinates in Å, 24 held" in repr(loss)


def test_coordinates_are_held_one_by_one() -> None:
    atoms = surface()
    atoms.set_constraint([*atoms.constraints, FixCartesian([8], mask=(False, True, False))])
    loss = from_ase(atoms)
    np.testing.assert_array_equal(loss.point(atoms).numpy(), atoms.positions[8, [0, 2]])


def test_a_hop_on_a_surface_has_its_saddle_at_the_bridge() -> None:
    """Two hollows, and the bridge between them, which symmetry has at half of the way."""
    atoms = surface()
    loss, hollow = from_ase(atoms), from_ase(atoms).point(atoms)
    step = torch.tensor([float(atoms.cell.array[0, 0]) / 2, 0.0, 0.0], dtype=torch.float64)
    minima = polish(Minima(torch.stack([hollow, hollow + step]), loss), progress=False)
    assert np.ptp(minima.values) < 1e-9
    assert minima.gradient_norms().max() < 1e-7
    bridge = minima.points.mean(dim=0)
    around = bridge.numpy() + np.array([[-0.1, -0.1, 0.1], [0.1, 0.1, 0.5]])
    saddles = find_critical_points(loss, 1, dim=3, box=around, starts=2, seed=1)
    torch.testing.assert_close(saddles.points[0, :2], bridge[:2], rtol=0, atol=1e-6)
    along = saddles.points[0] + torch.tensor([[0, 0, z] for z in (-1e-3, 0, 1e-3)])
    assert evaluate(loss, along).loss.argmin() == 1
    assert 0.1 < saddles.values[0] - minima.values[0] < 1.0  # eV


def test_losses_of_atoms_go_to_workers() -> None:
    loss = from_ase(surface())
    point = loss.point(surface())[None]
    again = pickle.loads(pickle.dumps(loss))
    np.testing.assert_array_equal(evaluate(again, point).loss, evaluate(loss, point).loss)


def argon(positions: np.ndarray, **options: Any) -> Atoms:
    atoms = Atoms(f"Ar{len(positions)}", positions, **options)
    atoms.calc = LennardJones(rc=1e3)
    return atoms


def test_free_atoms_declare_motions_and_copies() -> None:
    """A triangle: one minimum, -3, in all its turned, mirrored and renamed copies."""
    triangle = from_ase(argon(np.eye(3)))
    assert triangle.symmetry == AtomSymmetry(["Ar"] * 3)
    assert triangle.motions is not None
    assert triangle.motions.tangents(np.arange(9.0)[None] ** 2).shape == (1, 9, 6)
    minima = find_minima(triangle, dim=9, box=(-1.0, 1.0), starts=3)
    np.testing.assert_allclose(minima.values, [-3.0], rtol=1e-9)
    assert minima.search is not None
    assert minima.search.degenerate == 0


def test_of_atoms_in_cells_and_fields_what_still_holds_is_declared() -> None:
    cell = from_ase(argon(np.eye(3), cell=[9, 9, 9], pbc=(True, True, False)))
    assert cell.motions is not None
    assert cell.motions.tangents(np.ones((1, 9))).shape == (1, 9, 3)  # no rotations
    assert cell.symmetry == AtomSymmetry(["Ar"] * 3, rigid=False)
    field = from_ase(argon(np.eye(3)), invariant=False)
    assert field.motions is None
    assert field.symmetry is None
    atoms = Atoms("ArKrAr2", np.arange(12.0).reshape(4, 3), calculator=LennardJones())
    atoms.set_constraint(FixAtoms([0]))
    held = from_ase(atoms)
    assert held.motions is None
    assert held.symmetry == AtomSymmetry(["Kr", "Ar", "Ar"], rigid=False)
    atoms.set_constraint(FixCartesian([0], mask=(True, False, False)))
    assert from_ase(atoms).symmetry is None
    with pytest.raises(OptionError, match="invariant must be True or False"):
        from_ase(atoms, invariant=1)  # pyright: ignore[reportArgumentType]


def test_transition_states_of_lj7_are_those_of_torch() -> None:
    cluster = landscapes.lennard_jones(7)
    loss = from_ase(argon(cluster.minima[0].reshape(7, 3)))
    minima = Minima(torch.tensor(cluster.minima), cluster)
    copies = nearest_copies(minima, pairs=[(0, 1)])
    elastic = NudgedElastic(segments=16, steps=200, mend=False)
    built = build_complex(copies.minima, 1, graph=copies.graph, optimizer=elastic, progress=False)
    there = Minima(copies.minima.points, loss)
    np.testing.assert_allclose(there.values, copies.minima.values, rtol=0, atol=1e-12)
    top = torch.tensor(copies.transition_states(built).points)
    found, known = (follow(f, top, 1, 0.1) for f in (loss, cluster))
    assert found.morse.tolist() == known.morse.tolist() == [1]
    np.testing.assert_allclose(found.values, known.values, rtol=0, atol=1e-10)
    assert found.values[0] == pytest.approx(-15.44473, abs=1e-5)


class Broken(Calculator):
    """A calculator whose self-consistent field does not converge."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        raise CalculationFailed("SCF did not converge\nsee the log")


class Unforced(Broken):
    implemented_properties = ["energy"]  # noqa: RUF012


def test_a_calculator_that_fails_is_told_by_one_sentence() -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.7]], calculator=Broken())
    loss = from_ase(atoms)
    with pytest.raises(
        LossError, match=r"Broken .*raised CalculationFailed \(SCF did not conv"
    ) as caught:
        evaluate(loss, loss.point(atoms)[None])
    assert "\n" not in str(caught.value)


def test_atoms_that_are_no_loss_are_refused() -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.7]])
    with pytest.raises(LossError, match="need a calculator of their energy, H2 have none"):
        from_ase(atoms)
    atoms.calc = Unforced()
    with pytest.raises(LossError, match="must have energy and forces, Unforced has energy"):
        from_ase(atoms)
    atoms.calc = LennardJones()
    atoms.set_constraint(FixBondLength(0, 1))
    with pytest.raises(LossError, match="the atoms have a FixBondLength"):
        from_ase(atoms)
    atoms.set_constraint(FixAtoms([0, 1]))
    with pytest.raises(LossError, match="all 6 are held"):
        from_ase(atoms)
