"""Translations and rotations of points in space, under which an energy of atoms is invariant.

Sources: Kabsch, Acta Cryst. A 32, 922 (1976), and A 34, 827 (1978), for the nearest rotation.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from reduction import OptionError
from reduction.validation import as_bool, as_integer
from simplicial.symmetries.motions import Motions

Floats = NDArray[np.float64]


class RigidMotions(Motions):
    """Translations and rotations of atoms, d = atoms x space coordinates, atom by atom.

    space         number of coordinates of an atom, 1 or more
    translations  whether they are among the motions; without them atoms turn about the origin
    rotations     whether they are; no reflections
    Raises OptionError for arguments out of range, or where neither is left.
    """

    def __init__(
        self, space: int = 3, *, translations: bool = True, rotations: bool = True
    ) -> None:
        self.space = as_integer("space", space, 1)
        self.translations = as_bool("translations", translations)
        self.rotations = as_bool("rotations", rotations) and self.space > 1
        if not (self.translations or self.rotations):
            raise OptionError(
                f"motions must be translations or rotations, got neither in space={space}: leave "
                "one of them in"
            )

    def __repr__(self) -> str:
        shown = f"translations={self.translations}, rotations={self.rotations}"
        return f"RigidMotions(space={self.space}, {shown})"

    def tangents(self, points: Floats) -> Floats:
        """The translations along each axis, then the rotations in each plane of two axes."""
        atoms = self._atoms(points)
        about = atoms - atoms.mean(axis=1, keepdims=True) if self.translations else atoms
        axes = np.eye(self.space)
        moved = [np.broadcast_to(axis, atoms.shape) for axis in axes if self.translations]
        for i, j in combinations(range(self.space), 2) if self.rotations else ():
            moved.append(about[..., [i]] * axes[j] - about[..., [j]] * axes[i])
        return np.stack([part.reshape(points.shape) for part in moved], axis=2)

    def nearest(self, points: Floats, target: Floats) -> Floats:
        """Atoms on the centre of the target's, turned by Kabsch's rotation."""
        atoms, there = self._atoms(points), self._atoms(target[None])
        centre = there.mean(axis=1, keepdims=True) if self.translations else 0.0
        if self.translations:
            atoms, there = atoms - atoms.mean(axis=1, keepdims=True), there - centre
        if self.rotations:
            u, _, v = np.linalg.svd(atoms.transpose(0, 2, 1) @ there)
            v[:, -1] *= np.sign(np.linalg.det(u @ v))[:, None]  # no reflection
            atoms = atoms @ u @ v
        return (atoms + centre).reshape(points.shape)

    def _atoms(self, points: Floats) -> Floats:
        if points.shape[1] % self.space:
            raise OptionError(
                f"atoms in {self.space} coordinates make points of a multiple of {self.space}, got "
                f"{points.shape[1]}: give RigidMotions the right space"
            )
        return points.reshape(len(points), -1, self.space)
