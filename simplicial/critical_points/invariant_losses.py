"""Losses that are declared to be invariant under continuous motions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from reduction.validation import short_repr
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
from simplicial.symmetries.symmetry import Symmetry

Floats = NDArray[np.float64]


class _Invariant(SymmetricLoss):
    """A loss with motions."""

    def __init__(self, loss: Any, motions: Motions, symmetry: Symmetry | None) -> None:
        self.loss, self._motions, self._symmetry = loss, motions, symmetry

    def __call__(self, points: Tensor) -> Tensor:
        return self.loss(points)

    @property
    def motions(self) -> Motions:
        return self._motions

    @property
    def symmetry(self) -> Symmetry | None:
        return self._symmetry

    def __reduce__(self) -> tuple[Any, ...]:
        # its class is made anew there
        return invariant, (self.loss, self._motions, self._symmetry)


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


def invariant(loss: Loss, motions: Motions, symmetry: Symmetry | None = None) -> SymmetricLoss:
    """A loss, declared to be invariant under continuous motions such as `RigidMotions()`.

    symmetry  under which its points have copies, such as `AtomSymmetry([0] * 7)`, or None: none is
              declared
    The `domain` of a BoundedLoss, a gradient and a size in memory of its own are passed on; a loss
    with other abilities, such as one of networks, declares `simplicial.loss.SymmetricLoss` itself.
    Searches check what is declared.
    Raises LossError for what is no loss, or one with other abilities, OptionError for no motions,
    or no symmetry.
    """
    check_callable(loss)
    if not isinstance(motions, Motions):
        raise OptionError(
            f"motions must be Motions such as RigidMotions(), got {short_repr(motions)}: pass one"
        )
    if not isinstance(symmetry, Symmetry | None):
        raise OptionError(
            f"symmetry must be a Symmetry such as AtomSymmetry([0] * 7), got "
            f"{short_repr(symmetry)}: pass one, or leave it out"
        )
    if isinstance(loss, OTHERS):
        ability = next(other.__name__ for other in OTHERS if isinstance(loss, other))
        remedy = "let its class have the base class simplicial.loss.SymmetricLoss"
        if isinstance(loss, SymmetricLoss):
            remedy = "it says itself under which, leave invariant out"
        raise LossError(
            f"motions are declared for a function, {type(loss).__name__} is a {ability}: {remedy}"
        )
    parts = [part for ability, part in PASSED_ON.items() if isinstance(loss, ability)]
    kind = type("InvariantLoss", (*parts, _Invariant), {})
    return kind(loss, motions, symmetry)
