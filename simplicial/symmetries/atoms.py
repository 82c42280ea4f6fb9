"""Atoms in space: configurations that differ by a rigid motion, a mirror, or by the names of like
atoms are copies of one another.

Without rigid motions the nearest copy is an assignment of like atoms. With them it is sought from
many rotations. A frame of the target, its centre and two atoms, is laid on the same of each ordered
pair of atoms of the configuration, also mirrored; from there the assignment of like atoms (SciPy's
linear_sum_assignment) and the best rotation (Kabsch 1976, "A solution for the best rotation to
relate two sets of vectors") are found in turn until nothing changes. Of configurations that are
copies one of the frames is exact, so that they are always found out; of others the nearest of all
ends is taken, which may not be the nearest there is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from reduction import OptionError, ShapeError
from reduction.reprs import few
from reduction.validation import as_bool
from simplicial.symmetries.symmetry import Symmetry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FRAMES = 2_000  # pairs of atoms that are tried at most, those most alike to the target's first
COPY = 1e-10  # distance over the size of the target at which nothing can be nearer
ROUNDS = 50  # of assignment and rotation; a few are enough


@dataclass(frozen=True, slots=True)
class AtomSymmetry(Symmetry):
    """Rigid motions of space and permutations of like atoms; points are (3 N,), atom by atom.

    species  (N,) labels: atoms of one label are alike
    mirrors  whether mirror images are copies, as the energies of atoms have it
    rigid    whether translations and rotations make copies; False, of atoms in a field or beside
             others that are held: names of like atoms alone do, and mirrors are left out
    Raises OptionError for no atoms.
    """

    species: Sequence[str | int]
    mirrors: bool = True
    rigid: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.species, Sequence) or not len(self.species):
            raise OptionError(
                f"species are labels of the atoms, got {self.species!r}: give one for each atom"
            )
        object.__setattr__(self, "species", tuple(self.species))
        as_bool("mirrors", self.mirrors)
        as_bool("rigid", self.rigid)

    def __repr__(self) -> str:
        atoms, species = len(self.species), few(dict.fromkeys(self.species), "")
        return f"AtomSymmetry({atoms=}, {species=!s}, mirrors={self.mirrors}, rigid={self.rigid})"

    def nearest(self, point: Floats, target: Floats) -> Floats:
        """The copy (3 N,) of a point that was found nearest to a target (3 N,).

        Raises ShapeError for points of other sizes.
        """
        moving, fixed = self._positions(point), self._positions(target)
        if not self.rigid:
            return moving[self._assigned(moving, fixed)].ravel()
        middle = fixed.mean(axis=0)
        x, y = moving - moving.mean(axis=0), fixed - middle
        best, least = x, np.inf
        for rotation in self._rotations(x, y):
            found, distance = self._settled(x @ rotation.T, y)
            if distance < least:
                best, least = found, distance
            if least <= COPY * float(np.linalg.norm(y)):
                break
        return (best + middle).ravel()

    def _positions(self, point: Floats) -> Floats:
        """Positions (N, 3). Raises ShapeError."""
        given = np.asarray(point, np.float64)
        if given.shape != (3 * len(self.species),):
            raise ShapeError(
                f"{len(self.species)} atoms have {3 * len(self.species)} coordinates, got shape "
                f"{given.shape}: give their positions, atom by atom"
            )
        return given.reshape(-1, 3)

    def _rotations(self, x: Floats, y: Floats) -> Iterator[Floats]:
        """Rotations (3, 3), and mirrored ones, that lay frames of x on the one of y."""
        yield np.eye(3)
        first = int(np.argmax(np.linalg.norm(y, axis=1)))
        second = int(np.argmax(np.linalg.norm(np.cross(y[first], y), axis=1)))
        target = _frame(y[first], y[second])
        pairs = np.array([*permutations(range(len(x)), 2)], np.int64).reshape(-1, 2)
        like = np.array([self.species[i] == self.species[first] for i in range(len(x))])
        pairs = pairs[like[pairs[:, 0]]]
        radii, wanted = np.linalg.norm(x, axis=1), np.linalg.norm(y[[first, second]], axis=1)
        apart = np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1)
        off = np.abs(radii[pairs] - wanted).sum(axis=1)
        off += np.abs(apart - np.linalg.norm(y[first] - y[second]))  # 0 if x is a copy of y
        for a, b in pairs[np.argsort(off, kind="stable")[:FRAMES]].tolist():
            frame = _frame(x[a], x[b])
            yield target @ frame.T
            if self.mirrors:
                yield target @ (frame * [1, 1, -1]).T

    def _settled(self, x: Floats, y: Floats) -> tuple[Floats, float]:
        """Positions with the best names and rotation from here on, and their distance to y."""
        before = np.inf
        for _ in range(ROUNDS):
            x = x[self._assigned(x, y)]
            x = x @ _kabsch(x, y).T
            distance = float(np.linalg.norm(x - y))
            if distance >= before * (1 - 1e-12):
                break
            before = distance
        return x, float(np.linalg.norm(x - y))

    def _assigned(self, x: Floats, y: Floats) -> Ints:
        """The atom of x (N, 3) for each of y, of like ones those whose squared distances are least
        in sum.
        """
        from scipy.optimize import linear_sum_assignment
        from scipy.spatial.distance import cdist

        names = np.array([self.species.index(label) for label in self.species])
        cost = cdist(y, x, "sqeuclidean")
        far = 1.0 + len(x) * cost.max()
        return linear_sum_assignment(np.where(names[:, None] != names, far, cost))[1]


def _frame(a: Floats, b: Floats) -> Floats:
    """Orthonormal columns (3, 3): the first along a, the second towards b; any where they are 0."""
    columns, _ = np.linalg.qr(np.stack([a, b, np.cross(a, b)], axis=1))
    signs = np.array([np.sign(columns[:, 0] @ a) or 1.0, np.sign(columns[:, 1] @ b) or 1.0])
    first, second = columns[:, 0] * signs[0], columns[:, 1] * signs[1]
    return np.stack([first, second, np.cross(first, second)], axis=1)


def _kabsch(x: Floats, y: Floats) -> Floats:
    """The rotation (3, 3) that brings x (N, 3) nearest to y."""
    u, _, vt = np.linalg.svd(y.T @ x)
    sign = np.sign(np.linalg.det(u @ vt)) or 1.0
    return u @ np.diag([1.0, 1.0, sign]) @ vt
