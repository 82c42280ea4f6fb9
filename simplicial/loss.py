"""A loss: a function on parameter space, and the abilities that it may declare.

A loss is any callable that takes points `(batch, d)` and returns values `(batch,)`, differentiable
by torch, each value depending on its own point alone. Everything else is optional, and declared by
a base class: a loss over data may offer cheap random estimates for training (`StochasticLoss`) and
a score beside the value (`ScoredLoss`), may compute its exact gradient itself
(`DifferentiatedLoss`) and products with its Hessian (`TwiceDifferentiatedLoss`), may state the
memory that a point takes (`SizedLoss`) and the box in which searches start (`BoundedLoss`), and be
constant outwards of its walls (`WalledLoss`), may turn the parameters of a network into a point
(`ParametrizedLoss`), may hold a penalty that recipes of training would count again
(`PenalisedLoss`), and may be invariant under continuous motions (`SymmetricLoss`) or have periods
(`PeriodicLoss`). A method of the same name in a class without the
base class is the user's own, and never called.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction.reprs import or_types, span
from simplicial.symmetries.motions import Motions as Motions
from simplicial.symmetries.symmetry import Symmetry

Loss = Callable[[Tensor], Tensor]


def spans_of(loss: NDArray[np.float64], accuracy: NDArray[np.float64] | None) -> str:
    """The number of points and the ranges of losses and accuracies (n,) there, for reprs."""
    shown = f"points={len(loss)}, loss={span(loss)}"
    return shown if accuracy is None else f"{shown}, accuracy={span(accuracy)}"


class Evaluation(NamedTuple):
    """A loss at points: loss (batch,) float64, in the loss's units; accuracy (batch,) or None."""

    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64] | None

    @or_types
    def __repr__(self) -> str:
        return f"Evaluation({spans_of(self.loss, self.accuracy)})"

    @classmethod
    def joined(cls, parts: "list[Evaluation]") -> Self:
        """The values of all parts, at least one; all have an accuracy, or none has."""
        scores = [part.accuracy for part in parts if part.accuracy is not None]
        losses = np.concatenate([part.loss for part in parts])
        return cls(losses, np.concatenate(scores) if scores else None)


class ValueAndGradient(NamedTuple):
    """A loss and its gradient at points: values (batch,) float64 on the CPU, gradients (batch, d)
    as the points are.
    """

    values: NDArray[np.float64]
    gradients: Tensor


class DeclaredLoss(ABC):
    """A loss that declares an ability: the base class of all below."""

    @abstractmethod
    def __call__(self, points: Tensor) -> Tensor:
        """Exact values (batch,) at points (batch, d)."""


class StochasticLoss(DeclaredLoss):
    """A loss with cheaper random estimates of itself, one for each mini-batch of its data."""

    @abstractmethod
    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        """One pass over the data in random order: a differentiable estimate for each mini-batch.

        Of no more than batch_size examples; of all, where there are no more.
        """


class SupervisedLoss(StochasticLoss):
    """A loss of outputs on examples and their targets."""

    @abstractmethod
    def mismatched(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        """The mini-batches of `estimates`, each example with the target of another one."""


class ScoredLoss(DeclaredLoss):
    """A loss that also knows the share of its examples that a point classifies correctly."""

    @abstractmethod
    def evaluate(self, points: Tensor) -> Evaluation:
        """Exact loss and accuracy at points (batch, d), in one pass over the data."""


class DifferentiatedLoss(DeclaredLoss):
    """A loss that computes its exact gradient itself: in less memory than torch would for all its
    data, or where torch cannot.

    Where its values carry no gradient of torch's, its own is taken everywhere, and second
    derivatives are central differences of it (`simplicial.functions.own_gradients`): two gradients
    for each product of the Hessian and a vector, right to 4e-11 in double precision, in units of
    the loss over the square of the length over which it varies, max(1, |x|).
    """

    @abstractmethod
    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Exact values (batch,) and gradients (batch, d) at points (batch, d)."""


class TwiceDifferentiatedLoss(DifferentiatedLoss):
    """A loss that multiplies vectors by its Hessians itself."""

    @abstractmethod
    def hessian_products(self, points: Tensor, vectors: Tensor) -> Tensor:
        """H v (batch, d) at points (batch, d) for vectors (batch, d), as the points are."""

    @property
    def hessian_error(self) -> float:
        """Error of an eigenvalue of the Hessian, as a share of the largest; rounding's if smaller.

        An eigenvalue below it counts as 0.
        """
        return 0.0


class SizedLoss(DeclaredLoss):
    """A loss that knows what a point costs in memory."""

    @abstractmethod
    def point_bytes(self, *, gradients: bool = True) -> int:
        """Bytes that one more point in a batch takes, its gradient included unless left out."""


class ParametrizedLoss(DeclaredLoss):
    """A loss of networks, whose parameters are the coordinates of a point.

    It must not write into the points that it is given: parameters are many, and not copied for it.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """d, the number of coordinates of a point."""

    @abstractmethod
    def flatten(self, network: Mapping[str, Tensor]) -> Tensor:
        """The point (d,) of a state dict; its buffers are no coordinates."""


class PenalisedLoss(DeclaredLoss):
    """A loss whose values, gradients and estimates may hold the penalty 0.5 weight_decay |x|^2.

    Training lowers it with the rest, so that a recipe must have no weight decay of its own then.
    """

    @property
    @abstractmethod
    def weight_decay(self) -> float:
        """Factor of the penalty, finite; 0 for a loss without."""


class SymmetricLoss(DeclaredLoss):
    """A loss that is invariant under continuous motions, so that no critical point is alone.

    Critical points are sought, and their Morse indices counted, across the motions; points that a
    motion carries into each other are one. Points that are copies of one another by a discrete
    symmetry are one for `simplicial.distinct` and `simplicial.nearest_copies`.
    """

    @property
    @abstractmethod
    def motions(self) -> Motions | None:
        """The motions; None: there are none."""

    @property
    def symmetry(self) -> Symmetry | None:
        """The symmetry whose images of a point are its copies; None: none is declared."""
        return None


def motions_of(loss: Loss) -> Motions | None:
    """The motions under which a loss says that it is invariant; None: it says so of none."""
    return loss.motions if isinstance(loss, SymmetricLoss) else None


def symmetry_of(loss: Loss) -> Symmetry | None:
    """The symmetry by which a loss says that points are copies; None: it says so of none."""
    return loss.symmetry if isinstance(loss, SymmetricLoss) else None


class PeriodicLoss(DeclaredLoss):
    """A loss with periods in some coordinates: a function on a torus, or on a cylinder.

    Critical points that differ by periods are one.
    periods  (d,) float64, above 0, in units of the coordinates; inf in coordinates without a period
    """

    periods: NDArray[np.float64]


class BoundedLoss(DeclaredLoss):
    """A loss with a box, in which searches for its critical points start.

    domain  (2, d) float64, lowest and highest corner
    """

    domain: NDArray[np.float64]

    @property
    @abstractmethod
    def dim(self) -> int:
        """d, the number of coordinates of a point."""


class WalledLoss(BoundedLoss):
    """A loss on a box, which is constant outwards of its walls: of what leaves the box the value is
    that of the nearest point in it, so that sublevel sets are those in the box, up to a retraction.
    """


def __getattr__(name: str) -> Any:
    """Functions of `simplicial.evaluation` under the name by which users import them.

    A plain import would be a circle: evaluation knows what a loss is.
    """
    found = None
    if not name.startswith("_"):
        evaluation = importlib.import_module("simplicial.evaluation")
        found = getattr(evaluation, {"Portions": "AdaptiveBatches"}.get(name, name), None)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
