"""Losses of which the domain is declared from outside, with what they declare themselves."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction.reprs import name_of
from simplicial.errors import LossError
from simplicial.loss import (
    BoundedLoss,
    DeclaredLoss,
    DifferentiatedLoss,
    Loss,
    ParametrizedLoss,
    PenalisedLoss,
    PeriodicLoss,
    ScoredLoss,
    SizedLoss,
    StochasticLoss,
    SymmetricLoss,
    TwiceDifferentiatedLoss,
    WalledLoss,
)

Floats = NDArray[np.float64]


class Declared(DeclaredLoss):
    """A loss, and what is declared of it."""

    def __init__(self, loss: Any, declared: Any) -> None:
        self.loss, self.declared = loss, declared

    def __repr__(self) -> str:
        return f"<loss {name_of(self.loss)}, {type(self).__name__.lower()}>"

    def __call__(self, points: Tensor) -> Tensor:
        """Its values (batch,) at points (batch, d)."""
        return self.loss(self.at(points))

    def at(self, points: Tensor) -> Tensor:
        """Points (batch, d) at which the values are those of the loss at `points`."""
        return points

    def slopes(self, points: Tensor, gradients: Tensor) -> Tensor:
        """Gradients (batch, d) at `points`, from those of the loss at `at(points)`."""
        del points
        return gradients


class _Bounded(Declared, BoundedLoss):
    """One in a box."""

    @property
    def domain(self) -> Floats:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.loss.domain

    @property
    def dim(self) -> int:
        return self.loss.dim


class _Differentiated(Declared, DifferentiatedLoss):
    """One with a gradient of its own."""

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        values, gradients = self.loss.values_and_gradients(self.at(points))
        return values, self.slopes(points, gradients)


class _TwiceDifferentiated(_Differentiated, TwiceDifferentiatedLoss):
    """One with products of its Hessians and vectors."""

    def hessian_products(self, points: Tensor, vectors: Tensor) -> Tensor:
        inside = self.slopes(points, vectors)
        return self.slopes(points, self.loss.hessian_products(self.at(points), inside))

    @property
    def hessian_error(self) -> float:
        return self.loss.hessian_error


class _Sized(Declared, SizedLoss):
    """One that knows its size in memory."""

    def point_bytes(self, *, gradients: bool = True) -> int:
        return self.loss.point_bytes(gradients=gradients)


PASSED_ON = {
    BoundedLoss: _Bounded,
    TwiceDifferentiatedLoss: _TwiceDifferentiated,
    DifferentiatedLoss: _Differentiated,
    SizedLoss: _Sized,
}
DOMAINS = (SymmetricLoss, PeriodicLoss, WalledLoss)
OTHERS = (StochasticLoss, ScoredLoss, ParametrizedLoss, PenalisedLoss, *DOMAINS)

OnDomain = TypeVar("OnDomain", bound=Declared)


def declared(domain: type[OnDomain], loss: Loss, what: Any) -> OnDomain:
    """A loss on a domain, and with the box, gradient and size in memory of its own.

    domain  the class that declares `what`
    Raises LossError for a loss with other abilities.
    """
    if isinstance(loss, OTHERS):
        ability = next(other.__name__ for other in OTHERS if isinstance(loss, other))
        base = next(base.__name__ for base in domain.__mro__ if base in DOMAINS)
        remedy = f"let its class have the base class simplicial.loss.{base}"
        if ability == base:
            remedy = "it says its own, leave this one out"
        raise LossError(
            f"a domain is declared for a function, {type(loss).__name__} is a {ability}: {remedy}"
        )
    parts = [
        part
        for ability, part in PASSED_ON.items()
        if isinstance(loss, ability) and not issubclass(domain, ability)
    ]
    kind = type(domain.__name__.strip("_"), (*parts, domain), {})
    return kind(loss, what)
