"""One optimised simplex: its map, its maximum, and the loss inside it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from reduction import ShapeError
from reduction.reprs import few, name_of, or_types
from reduction.validation import as_integer
from simplicial.evaluation import check_callable, evaluate
from simplicial.loss import Evaluation, Loss, spans_of
from simplicial.maps.base import SimplexMap, coordinates
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import lattice
from simplicial.options import MEMORY


class Maximum(NamedTuple):
    """The largest loss found on a simplex, and where.

    value        the loss there, in the loss's units
    barycentric  (r+1,) float64
    point        (d,) tensor, psi(barycentric)
    """

    value: float
    barycentric: NDArray[np.float64]
    point: Tensor

    @or_types
    def __repr__(self) -> str:
        at = few(self.barycentric, ".4g")
        return f"Maximum(value={self.value:.6g}, barycentric={at}, dim={len(self.point)})"


class Samples(NamedTuple):
    """The lattice of a simplex, faces included, and the loss (and accuracy) that was found on it.

    barycentric  (p, r+1) float64
    loss         (p,) float64
    accuracy     (p,) float64, or None for a loss that has none
    """

    barycentric: NDArray[np.float64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64] | None

    @or_types
    def __repr__(self) -> str:
        return f"Samples({spans_of(self.loss, self.accuracy)})"


@dataclass(frozen=True, slots=True, eq=False)
class OptimisedSimplex:
    """A simplex in parameter space: psi(t) = W(t) P.

    vertices     labels, ascending
    controls     (c, d) the control points P, those of the faces included
    simplex_map  the subdivision
    loss         the loss that it was optimised for
    maximum      the largest loss found on it, and where
    samples      values on its lattice (Algorithm 2); None where they were not kept: above
                 dimension 2, and in complexes of so many simplices that they would not fit into
                 their memory budget
    """

    vertices: tuple[int, ...]
    controls: Tensor
    simplex_map: SimplexMap
    loss: Loss
    maximum: Maximum
    samples: Samples | None

    def __repr__(self) -> str:
        at = few(self.maximum.barycentric, ".4g")
        return (
            f"OptimisedSimplex(vertices={few(self.vertices)}, maximum={self.maximum.value:.6g} at "
            f"{at}, controls={tuple(self.controls.shape)}, of={name_of(self.loss)})"
        )

    @property
    def dim(self) -> int:
        """The dimension r."""
        return len(self.vertices) - 1

    def __call__(self, t: ArrayLike) -> Tensor:
        """Points psi(t), (batch, d), at barycentric coordinates t, (batch, r+1) or (r+1,).

        Raises ShapeError for coordinates that are negative or do not sum to 1 within 1e-6.
        """
        t = np.atleast_2d(coordinates(t))
        if t.ndim != 2 or t.shape[1] != self.dim + 1:
            raise ShapeError(
                f"barycentric coordinates on simplex {self.vertices} need shape "
                f"(batch, {self.dim + 1}), got {t.shape}: one column for each vertex"
            )
        if not ((t >= 0).all() and (np.abs(t.sum(axis=1) - 1) <= 1e-6).all()):
            raise ShapeError(
                f"barycentric coordinates must be non-negative with sum 1, got {t[_worst(t)]}: "
                "normalise the rows"
            )
        return interpolate(self.controls, self.simplex_map, t)

    def sample(self, resolution: int, memory: int = MEMORY, *, loss: Loss | None = None) -> Samples:
        """Evaluate the loss, and its accuracy where it has one, on the lattice of the simplex.

        loss  another one of the same parameters, such as the loss on test data; None: its own
        Raises OptionError for a resolution below 1, CapacityError for one whose lattice does not
        fit into memory, LossError where the loss is not finite.
        """
        t = lattice(self.dim, as_integer("resolution", resolution, 1)) / resolution
        return Samples(t, *self.evaluate(t, memory, loss=loss))

    def evaluate(
        self, t: ArrayLike, memory: int = MEMORY, *, loss: Loss | None = None
    ) -> Evaluation:
        """The loss, and its accuracy where it has one, at psi(t): arrays (batch,).

        memory  bytes for a batch of points
        loss    another one of the same parameters, such as the loss on test data; None: its own
        Raises ShapeError as psi does, LossError where the loss is not finite.
        """
        if loss is not None:
            check_callable(loss)
        return evaluate(self.loss if loss is None else loss, self(t), memory)


def _worst(t: NDArray[np.float64]) -> int:
    return int(np.argmax(np.maximum(-t.min(axis=1), np.abs(t.sum(axis=1) - 1))))
