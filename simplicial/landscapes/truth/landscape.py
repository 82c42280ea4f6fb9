"""A Morse function on R^d whose critical points are known, and in most cases its barcodes, exactly.

A Morse function has only non-degenerate critical points. As a level t rises, the sublevel set {f <=
t} changes only where t passes the value of one of them, and then by a cell whose dimension is the
point's Morse index, the number of negative eigenvalues of its Hessian. That cell either begins a
class of its own dimension or ends one of the dimension below: critical points pair off into bars,
and what is left over is the homology of R^d, one class of index 0, where f grows without bound in
every direction.
Source: Milnor, Morse Theory (1963), I.3; Barannikov, The framed Morse complex and its invariants
(1994).

A landscape is this knowledge beside a formula in torch: the truth against which optimised simplices
are judged. Critical points and bars come from functions of the index, because a double well has 3^d
of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from reduction.errors import ShapeError
from reduction.reprs import few, span
from simplicial.loss import BoundedLoss, PeriodicLoss

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class CriticalPoints:
    """Points where a gradient vanishes, in order of index, then value, then coordinates.

    points   (m, d) float64
    values   (m,) float64, the function there
    indices  (m,) int64, Morse indices
    """

    points: NDArray[np.float64]
    values: NDArray[np.float64]
    indices: NDArray[np.int64]

    def __post_init__(self) -> None:
        order = np.lexsort((*self.points.T[::-1], self.values, self.indices))
        for name in ("points", "values", "indices"):
            object.__setattr__(self, name, _frozen(getattr(self, name)[order]))

    def __repr__(self) -> str:
        found, counts = np.unique(self.indices, return_counts=True)
        shown = f"indices={few(found)}, counts={few(counts)}, values={span(self.values)}"
        return f"CriticalPoints(dim={self.points.shape[1]}, {shown})"

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def on_level(cls, points: NDArray[np.float64], value: float, index: int) -> Self:
        """Points (m, d) that share their value and their index."""
        m = len(points)
        return cls(points, np.full(m, value), np.full(m, index, dtype=np.int64))

    def of_index(self, index: int) -> "CriticalPoints":
        """Critical points of one Morse index, none where there is none."""
        chosen = self.indices == index
        return CriticalPoints(self.points[chosen], self.values[chosen], self.indices[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Landscape(BoundedLoss):
    """A loss that carries its critical points and its barcode.

    name     for `by_name`
    domain   (2, d) float64, corners of a box that holds every critical point inside
    formula  points (batch, d) -> values (batch,), in torch, any floating dtype, any device
    stratum  Morse index -> the critical points of that index
    bars     index -> (m, 2), births and deaths in any order; None where no formula is known
    """

    name: str
    domain: NDArray[np.float64]
    formula: Callable[[Tensor], Tensor] = field(repr=False)
    stratum: Callable[[int], CriticalPoints] = field(repr=False)
    bars: Callable[[int], ArrayLike] | None = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "domain", _frozen(np.array(self.domain, dtype=np.float64)))

    def __repr__(self) -> str:
        return f"Landscape({self.name!r}, dim={self.dim})"

    def __call__(self, points: Tensor) -> Tensor:
        """Values (batch,) at points (batch, d), same dtype and device. Raises ShapeError."""
        if points.ndim != 2 or points.shape[1] != self.dim or not points.is_floating_point():
            raise ShapeError(
                f"{self.name} takes floating points (batch, {self.dim}), got shape "
                f"{tuple(points.shape)} of {points.dtype}: give one point in R^{self.dim} a row, "
                "`point[None]` for a single one"
            )
        return self.formula(points)

    @property
    def dim(self) -> int:
        """Number of coordinates of a point."""
        return self.domain.shape[1]

    @property
    def critical_points(self) -> CriticalPoints:
        """Critical points of all indices; of a double well 3^d, made anew at each call."""
        strata = [self.stratum(index) for index in range(self.dim + 1)]
        return CriticalPoints(
            np.concatenate([stratum.points for stratum in strata]),
            np.concatenate([stratum.values for stratum in strata]),
            np.concatenate([stratum.indices for stratum in strata]),
        )

    @property
    def minima(self) -> NDArray[np.float64]:
        """Critical points of index 0, (m, d), read-only, without a search for other indices."""
        return self.stratum(0).points

    @property
    def exact_bars(self) -> tuple[NDArray[np.float64], ...] | None:
        """Bars of index 0 .. d-1, each (m, 2) in ascending order; the essential one ends at inf.

        None where no formula gives them: of random functions only the critical points are known.
        Bars of length zero are never there. Index d is left out, because it has no bars: a bounded
        sublevel set in R^d has no homology of index d.
        """
        if self.bars is None:
            return None
        return tuple(_ordered(self.bars(index)) for index in range(self.dim))


@dataclass(frozen=True, slots=True, eq=False)
class PeriodicLandscape(Landscape, PeriodicLoss):
    """One on a torus, or on a cylinder, of which the domain is a cell.

    periods  (d,) float64, inf in coordinates without one
    """

    periods: NDArray[np.float64]

    def __post_init__(self) -> None:
        super(PeriodicLandscape, self).__post_init__()
        object.__setattr__(self, "periods", _frozen(np.array(self.periods, dtype=np.float64)))


def on_points(
    formula: Callable[[Tensor], Tensor], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A torch formula on a NumPy array of points, in float64 on the CPU."""
    return formula(torch.tensor(points, dtype=torch.float64, device="cpu")).numpy()


def _ordered(bars: ArrayLike) -> NDArray[np.float64]:
    rows = np.array(bars, dtype=np.float64).reshape(-1, 2)
    return _frozen(rows[np.lexsort((rows[:, 1], rows[:, 0]))])


def _frozen(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    array.flags.writeable = False
    return array
