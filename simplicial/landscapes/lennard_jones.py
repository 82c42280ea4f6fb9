"""Clusters of atoms with the Lennard-Jones potential, sum over pairs of 4 (r^-12 - r^-6).

Energies are in units of the depth of a pair, lengths in those at which its energy is 0. A point is
the coordinates of n atoms in space, atom by atom, d = 3 n. The energy is invariant under
translations, rotations, reflections and permutations, which the landscape declares, so that no
minimum is alone: one copy of each is listed. Of up to seven atoms they are known (Hoare & Pal
1971): compact shapes, made here by capping faces of smaller ones, and relaxed.
Source: Hoare & Pal, Adv. Phys. 20, 161 (1971), on shapes; Wales & Doye, J. Phys. Chem. A 101, 5111
(1997), and the Cambridge Cluster Database, for the lowest energies.
"""

from functools import cache
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.validation import as_integer
from simplicial.errors import SearchError
from simplicial.landscapes.truth.landscape import CriticalPoints, Landscape, on_points
from simplicial.loss import SymmetricLoss
from simplicial.symmetries.atoms import AtomSymmetry
from simplicial.symmetries.rigid_motions import RigidMotions

LOWEST = {
    2: -1.0,
    3: -3.0,
    4: -6.0,
    5: -9.103852,
    6: -12.712062,
    7: -16.505384,
    8: -19.821489,
    9: -24.113360,
    10: -28.422532,
    11: -32.765970,
    12: -37.967600,
    13: -44.326801,
    14: -47.845157,
    15: -52.322627,
    16: -56.815742,
    17: -61.317995,
    18: -66.530949,
    19: -72.659782,
    20: -77.177043,
}
"""Number of atoms -> energy of the lowest minimum known, to six decimals."""

PAIR = 2 ** (1 / 6)  # distance of two atoms
SIDE = 0.75  # of the box over the cube root of the number of atoms: a cluster fits in
NEWTON_STEPS = 30
LONGEST = 0.1  # that an atom is moved at once
CONVERGED = 1e-13

Array = NDArray[np.float64]
Faces = tuple[tuple[int, int, int], ...]

# Faces that are capped, one after another; an atom that caps one has the next number.
TETRAHEDRON = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * PAIR / sqrt(8)
OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)]) * PAIR / sqrt(2)
SHAPES: dict[int, tuple[tuple[Array, Faces], ...]] = {
    2: ((TETRAHEDRON[:2], ()),),
    3: ((TETRAHEDRON[:3], ()),),
    4: ((TETRAHEDRON, ()),),
    5: ((TETRAHEDRON, ((0, 1, 2),)),),
    6: ((OCTAHEDRON, ()), (TETRAHEDRON, ((0, 1, 2), (0, 1, 3)))),
    7: (
        (TETRAHEDRON, ((0, 1, 2), (0, 1, 3), (0, 1, 4))),  # five around an edge
        (OCTAHEDRON, ((0, 1, 2),)),
        (TETRAHEDRON, ((0, 1, 2), (0, 1, 3), (0, 2, 3))),
        (TETRAHEDRON, ((0, 1, 2), (1, 2, 4), (2, 4, 5))),  # a helix
    ),
}


class Cluster(Landscape, SymmetricLoss):
    """The energy of a cluster of like atoms, the same for all its copies."""

    @property
    def motions(self) -> RigidMotions:
        """Translations and rotations."""
        return RigidMotions()

    @property
    def symmetry(self) -> AtomSymmetry:
        """Rigid motions, mirrors, and exchanges of atoms."""
        return AtomSymmetry([0] * (self.dim // 3))


def lennard_jones(atoms: int = 7) -> Cluster:
    """The energy of a cluster in R^(3 atoms), in a cube around it.

    atoms  2 or more
    `minima` has one copy of each minimum, of up to seven atoms; of more, and of other indices,
    critical points raise SearchError, and no bars are stated. Raises OptionError for atoms out of
    range.
    """
    atoms = as_integer("atoms", atoms, 2)
    reach = SIDE * atoms ** (1 / 3)

    @cache
    def minima() -> Array:
        return np.stack([relaxed(_capped(*shape)).ravel() for shape in SHAPES[atoms]])

    def stratum(index: int) -> CriticalPoints:
        if index > 0 or atoms not in SHAPES:
            raise SearchError(
                f"of Lennard-Jones clusters the minima of 2 to {max(SHAPES)} atoms are listed, got "
                f"Morse index {index} of {atoms} atoms: search for them, `LOWEST` has the lowest "
                "energies known"
            )
        points = minima()
        indices = np.zeros(len(points), dtype=np.int64)
        return CriticalPoints(points, on_points(_energy, points), indices)

    domain = np.outer([-reach, reach], np.ones(3 * atoms))
    return Cluster("lennard-jones", domain, _energy, stratum, None)


def relaxed(positions: Array) -> Array:
    """The minimum (n, 3) below positions (n, 3) near one, by Newton's method across rigid motions.

    Raises SearchError where it does not converge.
    """
    at = np.array(positions, dtype=np.float64).ravel()
    longest = np.inf
    for _ in range(NEWTON_STEPS):
        gradient, hessian = _derivatives(at)
        curvatures, axes = np.linalg.eigh(hessian)
        moving = np.abs(curvatures) > 1e-6 * curvatures.max()  # no translation, no rotation
        slopes = axes.T @ gradient
        sizes = np.where(moving, slopes / np.where(moving, np.abs(curvatures), 1.0), 0.0)
        step = -axes @ sizes
        longest = float(np.abs(step).max())
        at = at + step * min(1.0, LONGEST / max(longest, 1e-300))
        if longest < CONVERGED:
            return at.reshape(-1, 3) - at.reshape(-1, 3).mean(axis=0)
    raise SearchError(
        f"a cluster of {len(positions)} atoms must relax in {NEWTON_STEPS} steps, the last was of "
        f"{longest:.3g}: begin nearer to a minimum"
    )


def _capped(cluster: Array, faces: Faces) -> Array:
    """The cluster with an atom outside of each face in turn."""
    for face in faces:
        a, b, c = cluster[list(face)]
        outward = np.cross(b - a, c - a)
        outward *= np.sign(outward @ (a - cluster.mean(axis=0))) / np.linalg.norm(outward)
        apex = (a + b + c) / 3 + sqrt(2 / 3) * PAIR * outward
        cluster = np.concatenate([cluster, apex[None]])
    return cluster


def _energy(points: Tensor) -> Tensor:
    n = points.shape[1] // 3
    atoms = points.reshape(len(points), n, 3)
    first, second = torch.triu_indices(n, n, 1, device=points.device)
    inverse = 1 / (atoms[:, first] - atoms[:, second]).square().sum(dim=2)
    sixth = inverse**3
    return 4 * (sixth.square() - sixth).sum(dim=1)


def _derivatives(at: Array) -> tuple[Array, Array]:
    """Gradient (d,) and Hessian (d, d) at a point (d,)."""
    point = torch.tensor(at)

    def energy(x: Tensor) -> Tensor:
        return _energy(x[None])[0]

    with torch.enable_grad():
        gradient = torch.func.grad(energy)(point)
        hessian = torch.func.hessian(energy)(point)
    return gradient.numpy(), hessian.numpy()
