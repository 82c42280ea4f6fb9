"""The largest loss on simplices, and the filtration that it gives.

f(simplex) is the largest loss on it, and never below its faces: what a face is known to attain is
inherited, and only the interior of a simplex is evaluated (Algorithm 2, section 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.colex import positions_among
from simplicial.loss import Evaluation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Maxima:
    """The largest loss found on each of m simplices, and where; read-only.

    values       (m,) float64, in the loss's units; -inf where nothing was evaluated, inf where the
                 loss is not finite
    barycentric  (m, r+1) float64, coordinates of a point that has this value; zeros where there is
                 none
    """

    values: Floats
    barycentric: Floats

    def __post_init__(self) -> None:
        self.values.flags.writeable = False
        self.barycentric.flags.writeable = False

    @classmethod
    def none(cls, count: int, dim: int) -> Self:
        """Maxima of simplices of which nothing was evaluated: -inf."""
        return cls(np.full(count, -np.inf), np.zeros((count, dim + 1)))

    @classmethod
    def of(cls, values: Floats, barycentric: Floats) -> Self:
        """Maxima of values (m, p) at the same barycentric coordinates (p, r+1) of each simplex."""
        if not values.shape[1]:
            return cls.none(len(values), barycentric.shape[1] - 1)
        best = values.argmax(axis=1)
        return cls(values[np.arange(len(values)), best], barycentric[best])

    @classmethod
    def joined(cls, parts: "Sequence[Maxima]") -> Self:
        """The maxima of all parts, at least one, one after the other."""
        values = np.concatenate([part.values for part in parts])
        return cls(values, np.concatenate([part.barycentric for part in parts]))

    def part(self, simplices: slice | Ints) -> "Maxima":
        """The maxima of some of the simplices."""
        return Maxima(self.values[simplices], self.barycentric[simplices])

    def or_higher(self, other: "Maxima") -> "Maxima":
        """The higher one of two on each simplex; of equal ones this."""
        higher = other.values > self.values
        return Maxima(
            np.where(higher, other.values, self.values),
            np.where(higher[:, None], other.barycentric, self.barycentric),
        )

    def with_values(self, owner: Ints, values: Floats, barycentric: Floats) -> "Maxima":
        """Maxima with values (a,) at barycentric coordinates (a, r+1) of simplices owner (a,)."""
        order = np.lexsort((-np.arange(len(owner)), values, owner))
        last = order[np.append(owner[order][1:] != owner[order][:-1], True)]
        last = last[values[last] > self.values[owner[last]]]
        largest, at = self.values.copy(), self.barycentric.copy()
        largest[owner[last]], at[owner[last]] = values[last], barycentric[last]
        return Maxima(largest, at)


@dataclass(frozen=True, slots=True, eq=False)
class Interior:
    """Evaluations of the loss inside the simplices of one dimension.

    maxima       the largest ones
    samples      all on the interior lattice, (m, p), and accuracy where the loss has one; None if
                 not kept; inf and 0 where the loss is not finite
    evaluations  their number
    error_bounds (m,) what the larger of `maxima` and those of the faces may be too low by; inf
                 where they are sampled
    exhausted    (m,) bool, whether the refinement budget ended `maxima`
    """

    maxima: Maxima
    samples: Evaluation | None
    evaluations: int
    error_bounds: Floats
    exhausted: NDArray[np.bool_]

    def __post_init__(self) -> None:
        self.error_bounds.flags.writeable = False
        self.exhausted.flags.writeable = False

    @classmethod
    def sampled(cls, maxima: Maxima, samples: Evaluation | None, evaluations: int) -> Self:
        """Of maxima that were sampled: they may be too low by any amount."""
        m = len(maxima.values)
        return cls(maxima, samples, evaluations, np.full(m, np.inf), np.zeros(m, dtype=bool))


def filtration_values(
    inside: Floats, vertices: Ints, below: Floats | None, facets: Ints | None
) -> Floats:
    """f of simplices: the largest loss inside each, (m,), or on a facet if that is higher.

    vertices  (m, r+1) of these simplices
    below     (k,) f of all (r-1)-simplices of the complex; None for vertices
    facets    (k, r) vertices of these, in colexicographic order; None for vertices
    """
    if below is None or facets is None:
        return inside
    return np.maximum(inside, maximum_over_facets(below, vertices, facets))


def maximum_over_facets(values: Floats, vertices: Ints, facets: Ints) -> Floats:
    """The largest of the facets' values, (m,), of simplices (m, r+1) of a complex.

    values  (k,) of all (r-1)-simplices of the complex
    facets  (k, r) vertices of these, in colexicographic order
    """
    own = np.stack([np.delete(vertices, i, axis=1) for i in range(vertices.shape[1])], axis=1)
    return values[positions_among(facets, own)].max(axis=1)
