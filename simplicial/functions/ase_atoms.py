"""Energies of atoms as losses, by the calculators of ASE.

A point is the positions of all atoms that may move, flattened: (x_1, y_1, z_1, x_2, ...), in Å; a
value is the potential energy in eV, a gradient minus the forces, in eV/Å, whatever units a
calculator has inside: those are ASE's. The energy is the one that forces are the derivative of,
where a calculator tells it apart (`free_energy`).
Source: Larsen et al. (2017), The atomic simulation environment, J. Phys.: Condens. Matter 29.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import ShapeError
from reduction.validation import as_bool, short_repr
from simplicial.errors import LossError
from simplicial.functions.array_loss import EPS, ArrayLoss, as_precision
from simplicial.functions.outputs import Floats, as_floats, called
from simplicial.loss import SymmetricLoss
from simplicial.symmetries.atoms import AtomSymmetry
from simplicial.symmetries.motions import Motions
from simplicial.symmetries.rigid_motions import RigidMotions

SCALE = 1.0  # Å, over which energies vary

REMEDY = "see the calculator's message, or seek elsewhere: atoms may be too close together"


def from_ase(atoms: Any, *, precision: float = EPS, invariant: bool = True) -> "AseLoss":
    """The potential energy of atoms as a loss on their positions, by the calculator they have.

    atoms      an `ase.Atoms` with a calculator of energies and forces; copied, the calculator is
               shared. Coordinates that FixAtoms or FixCartesian holds are left out of points; other
               constraints are refused. Cell and periodicity stay; positions are not wrapped
    precision  relative error of energies (eV) and forces (eV/Å): 2.2e-16 for formulas; 1e-6, say,
               for density functionals. Second derivatives are central differences of forces of step
               precision^(1/3) Å, 6e-6 Å by default and 0.01 Å for 1e-6, right to precision^(2/3)
    invariant  whether the energy is that of atoms in free space, so that the loss declares what
               holds of `RigidMotions` and `AtomSymmetry` for these atoms; False, in external
               fields: nothing
    returns    a loss of points (batch, d), d = 3 for each atom that is free, in Å; values in eV
    Of atoms none of which is held translations, rotations, mirrors and exchanges of one element's
    atoms are declared; where a direction is periodic translations and exchanges, where atoms are
    held exchanges of those that are free. Not declared are rotations about a periodic direction or
    about one or two atoms that are held, and symmetries of a crystal. Searches check what is
    declared. Raises LossError for what are no such atoms, and in a call where the calculator fails,
    OptionError for a precision out of range, or where invariant is neither True nor False.
    """
    try:
        from ase import Atoms
    except ImportError as error:
        raise LossError(
            f"from_ase needs ASE, which cannot be imported ({error}): pip install "
            "'loss-barcodes[ase]'"
        ) from error
    if not isinstance(atoms, Atoms):
        raise LossError(
            f"from_ase takes an ase.Atoms with a calculator, got {short_repr(atoms)}: pass one "
            "structure"
        )
    if atoms.calc is None:
        raise LossError(
            f"atoms need a calculator of their energy, {atoms.get_chemical_formula()} have none: "
            "set atoms.calc"
        )
    has = getattr(atoms.calc, "implemented_properties", ["energy", "forces"])
    if not {"energy", "forces"} <= set(has):
        raise LossError(
            f"a calculator must have energy and forces, {type(atoms.calc).__name__} has "
            f"{', '.join(has) or 'neither'}: choose another"
        )
    invariant = as_bool("invariant", invariant)
    return AseLoss(atoms.copy(), atoms.calc, _free(atoms), as_precision(precision), invariant)


@dataclass(frozen=True, eq=False, repr=False)
class AseLoss(ArrayLoss, SymmetricLoss):
    """The energy of atoms at positions: what `from_ase` returns.

    start       ase.Atoms, whose held coordinates all points share; without calculator
    calculator  of ASE
    free        (d,) int64, the coordinates of a point among all 3 N, flattened
    invariant   whether the energy is that of atoms in free space
    """

    start: Any
    calculator: Any
    free: NDArray[np.int64]
    precision: float
    invariant: bool
    scale = SCALE

    def __repr__(self) -> str:
        held = 3 * len(self.start) - self.dim
        return (
            f"<loss from_ase({self.start.get_chemical_formula()}, "
            f"{type(self.calculator).__name__}): energy in eV of {self.dim} coordinates in Å, "
            f"{held} held; second derivatives by central differences of forces of step "
            f"{self.step:.2g} Å>"
        )

    @property
    def dim(self) -> int:
        """d, the number of coordinates of a point."""
        return len(self.free)

    @property
    def motions(self) -> Motions | None:
        """Translations and rotations, or translations alone in a periodic cell; None where atoms
        are held.
        """
        if not self.invariant or self.dim < 3 * len(self.start):
            return None
        return RigidMotions(rotations=not self.start.pbc.any())

    @property
    def symmetry(self) -> AtomSymmetry | None:
        """Of free atoms that of free space; exchanges of like atoms where some are held, or a
        direction is periodic; None where an atom is held in part.
        """
        atoms = np.unique(self.free // 3)
        if not self.invariant or self.dim < 3 * len(atoms):
            return None
        symbols = [self.start.symbols[atom] for atom in atoms.tolist()]
        is_free = len(atoms) == len(self.start) and not self.start.pbc.any()
        return AtomSymmetry(symbols, rigid=is_free)

    def atoms(self, point: Any) -> Any:
        """The ase.Atoms of a point (d,), with the calculator. Raises ShapeError."""
        x = np.asarray(point.detach().cpu() if isinstance(point, Tensor) else point)
        if x.shape != (self.dim,):
            raise ShapeError(
                f"a point of these atoms has shape ({self.dim},), got {x.shape}: give one row"
            )
        return self._atoms(x)

    def point(self, atoms: Any) -> Tensor:
        """The point (d,) float64 of ase.Atoms: those of `from_ase`, moved. Raises ShapeError."""
        positions = np.asarray(getattr(atoms, "positions", atoms), dtype=np.float64)
        if positions.shape != (len(self.start), 3):
            raise ShapeError(
                f"positions must have shape ({len(self.start)}, 3), as the atoms of this loss, got "
                f"{positions.shape}: give these atoms, moved"
            )
        return torch.from_numpy(positions.ravel()[self.free].copy())

    def array_values(self, points: Floats) -> Floats:
        """Energies (n,) in eV at points (n, d) in Å."""
        return np.array([self._evaluated(x, forces=False)[0] for x in points]).reshape(len(points))

    def array_values_and_gradients(self, points: Floats) -> tuple[Floats, Floats]:
        """Energies (n,) in eV, and minus the forces (n, d) in eV/Å."""
        found = [self._evaluated(x, forces=True) for x in points]
        gradients = np.array([slope for _, slope in found]).reshape(points.shape)
        return np.array([energy for energy, _ in found]).reshape(len(points)), gradients

    def _atoms(self, point: Floats) -> Any:
        moved = self.start.copy()
        positions = moved.get_positions().ravel()
        positions[self.free] = point
        moved.set_positions(positions.reshape(-1, 3), apply_constraint=False)
        moved.calc = self.calculator
        return moved

    def _evaluated(self, point: Floats, *, forces: bool) -> tuple[Floats, Floats]:
        """Energy () and gradient (d,), 0 where no forces are asked for, at a point (d,)."""
        moved, name = self._atoms(point), type(self.calculator).__name__
        shape, slopes = (len(moved), 3), np.zeros(self.dim)

        def call(method: Any, **options: bool) -> Any:
            return called(lambda: method(**options), name=name, point=point, remedy=REMEDY)

        if forces:
            given = call(moved.get_forces, apply_constraint=False)
            all_forces = as_floats(given, shape, name=f"forces of {name}", precision=self.precision)
            slopes = -all_forces.ravel()[self.free]
        consistent = "free_energy" in getattr(self.calculator, "implemented_properties", [])
        given = call(moved.get_potential_energy, force_consistent=consistent)
        return as_floats(given, (), name=f"the energy of {name}", precision=self.precision), slopes


def _free(atoms: Any) -> NDArray[np.int64]:
    """Coordinates that no constraint holds. Raises LossError for constraints of other kinds."""
    from ase.constraints import FixAtoms, FixCartesian

    held = np.zeros((len(atoms), 3), dtype=bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms | FixCartesian):
            raise LossError(
                "from_ase holds coordinates by FixAtoms and FixCartesian, the atoms have a "
                f"{type(constraint).__name__}: take it off, or write the energy of other "
                "coordinates by from_numpy"
            )
        mask = constraint.mask if isinstance(constraint, FixCartesian) else True
        held[constraint.index] |= np.asarray(mask)
    free = np.flatnonzero(~held.ravel())
    if not free.size:
        raise LossError(
            f"atoms need a coordinate that is free, all {held.size} are held: hold fewer atoms"
        )
    return free
