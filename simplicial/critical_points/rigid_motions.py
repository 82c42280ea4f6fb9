"""Translations and rotations of points in space, under which an energy of atoms is invariant.

Sources: Kabsch, Acta Cryst. A 32, 922 (1976), and A 34, 827 (1978), for the nearest rotation.
"""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from reduction.validation import as_bool, as_integer, short_repr
from simplicial.errors import LossError
from simplicial.evaluation import check_callable
from simplicial.loss import (
    BoundedLoss,
    DifferentiatedLoss,
    Loss,
    Motions,
    ParametrizedLoss,
    PenalisedLoss,
    ScoredLoss,
    SizedLoss,
    StochasticLoss,
    SymmetricLoss,
    TwiceDifferentiatedLoss,
)

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


class _Invariant(SymmetricLoss):
    """A loss with motions."""

    def __init__(self, loss: Any, motions: Motions) -> None:
        self.loss, self._motions = loss, motions

    def __call__(self, points: Tensor) -> Tensor:
        return self.loss(points)

    @property
    def motions(self) -> Motions:
        return self._motions

    def __reduce__(self) -> tuple[Any, ...]:
        return invariant, (self.loss, self._motions)  # its class is made anew there


class _Bounded(_Invariant, BoundedLoss):
    """One in a box."""

    @property
    def domain(self) -> Floats:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.loss.domain

    @property
    def dim(self) -> int:
        return self.loss.dim


class _Differentiated(_Invariant, DifferentiatedLoss):
    """One with a gradient of its own."""

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self.loss.values_and_gradients(points)


class _TwiceDifferentiated(_Differentiated, TwiceDifferentiatedLoss):
    """One with products of its Hessians and vectors."""

    def hessian_products(self, points: Tensor, vectors: Tensor) -> Tensor:
        return self.loss.hessian_products(points, vectors)

    @property
    def hessian_error(self) -> float:
        return self.loss.hessian_error


class _Sized(_Invariant, SizedLoss):
    """One that knows its size in memory."""

    def point_bytes(self, *, gradients: bool = True) -> int:
        return self.loss.point_bytes(gradients=gradients)


PASSED_ON = {
    BoundedLoss: _Bounded,
    TwiceDifferentiatedLoss: _TwiceDifferentiated,
    DifferentiatedLoss: _Differentiated,
    SizedLoss: _Sized,
}
OTHERS = (StochasticLoss, ScoredLoss, ParametrizedLoss, PenalisedLoss, SymmetricLoss)


def invariant(loss: Loss, motions: Motions) -> SymmetricLoss:
    """A loss, declared to be invariant under continuous motions such as `RigidMotions()`.

    The `domain` of a BoundedLoss, a gradient and a size in memory of its own are passed on; a loss
    with other abilities, such as one of networks, declares `simplicial.loss.SymmetricLoss` itself.
    Searches check what is declared.
    Raises LossError for what is no loss, or one with other abilities, OptionError for no motions.
    """
    check_callable(loss)
    if not isinstance(motions, Motions):
        raise OptionError(
            f"motions must be Motions such as RigidMotions(), got {short_repr(motions)}: pass one"
        )
    if isinstance(loss, OTHERS):
        ability = next(other.__name__ for other in OTHERS if isinstance(loss, other))
        raise LossError(
            f"motions are declared for a function, {type(loss).__name__} is a {ability}: let its "
            "class have the base class simplicial.loss.SymmetricLoss"
        )
    parts = [part for ability, part in PASSED_ON.items() if isinstance(loss, ability)]
    kind = type("InvariantLoss", (*parts, _Invariant), {})
    return kind(loss, motions)
