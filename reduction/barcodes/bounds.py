"""Bounds on a barcode whose filtration values may still fall.

Where the value of a simplex is what its best map so far attains, a better map makes it lower, but
never lower than a known bound l. Let u be the values that are known and v those of the best maps,
l <= v <= u, all three filtrations of one complex. By the stability theorem (Cohen-Steiner,
Edelsbrunner & Harer 2007, "Stability of persistence diagrams") the barcodes of index r of u and v
are no farther apart than their values on simplices of the dimensions r and r + 1. An (r+1)-simplex
whose boundary bounds already without it, at the level b, ends no bar; its value may be replaced by
min(u, b) and the barcode of index r stays. Both for u and for v, whose level is no higher than b
and no lower than l, so that with

    m = max over r-simplices of u - l, over (r+1)-simplices of min(u, b) - l

the bottleneck distance is at most m. Where no class of index r lasts forever it is at most half of
that, as no bar is longer than m: the r-cycles of v at a level t are cycles of l there. If these
bound in l no later than at t + d, d the longest bar of l, then as sums of boundaries of
(r+1)-simplices, each of which bounds in u, so in v too, no later than m after its l. So bars of u
and of v that end are at most d + m long, and to match none of them costs (d + m) / 2. Of bars that
last forever the births differ by no more than r-simplices do. A complete complex whose l is that of
the highest vertex has d = 0, and no class but that of its components lasts.

With the r-simplices as they are, the death of each bar is lowest where all (r+1)-simplices have the
value of their highest facet: the boundaries at every level are then most, and the birth of a bar,
its youngest r-simplex, is the youngest of a boundary no later.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_numbers
from reduction.barcodes.bars import Bars
from reduction.errors import BarcodeError, FiltrationError, ShapeError
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete, Listed, Simplices
from reduction.filtrations.sorting import filtration_order
from reduction.persistence.boundary_reduction import ReducedBoundary
from reduction.persistence.cohomology import pairings
from reduction.persistence.pairs import Pairing
from reduction.reprs import or_types
from reduction.validation import length_of

Floats = NDArray[np.float64]

AT_ONCE = 1 << 16  # simplices whose boundaries are listed


class Bounds(NamedTuple):
    """Bounds on the bars of one index, in units of the loss.

    lowest_deaths  (m,) float64, of each bar: the lowest death that lower values of the simplices
                   one dimension higher could give it, all others as they are; inf where it has none
    error          bound on the bottleneck distance to the barcode of any filtration between the
                   lower bounds and the values; inf where there is none
    """

    lowest_deaths: Floats
    error: float

    @or_types
    def __repr__(self) -> str:
        return f"Bounds(bars={len(self.lowest_deaths)}, error={self.error:.6g})"

    def taken(self, order: NDArray[np.int64]) -> "Bounds":
        """The bounds of the bars at the rows `order`, (m',) positions, in that order."""
        return self._replace(lowest_deaths=frozen(self.lowest_deaths[order]))


def checked_bounds(bounds: Sequence[tuple[ArrayLike, float]], bars: Sequence[Bars]) -> list[Bounds]:
    """The bounds of each index, checked against its bars. Raises ShapeError, BarcodeError."""
    remedy = "give lowest deaths and an error for every index"
    if (count := length_of("bounds", bounds, remedy)) != len(bars):
        raise ShapeError(f"bounds has {count} indices and the barcode {len(bars)}; {remedy}")
    return [
        _checked(f"bounds[{r}]", *given) for r, given in enumerate(zip(bounds, bars, strict=True))
    ]


def _checked(name: str, given: tuple[ArrayLike, float], bars: Bars) -> Bounds:
    if length_of(name, given, "give lowest deaths and an error") != 2:
        raise ShapeError(f"{name} has {len(given)} parts; give two, lowest deaths and an error")
    lowest, error = given
    numbers = as_numbers(f"the array of lowest deaths of {name}", lowest, "give one for each bar")
    if numbers.shape != (len(bars),) or numbers.dtype.kind not in "fiu":
        raise ShapeError(
            f"lowest deaths of {name} have shape {numbers.shape} and type {numbers.dtype} for "
            f"{len(bars)} bars; give one number for each"
        )
    deaths = numbers.astype(np.float64)
    wrong = ~((bars[:, 0] <= deaths) & (deaths <= bars[:, 1])) | (
        np.isinf(deaths) != np.isinf(bars[:, 1])
    )
    if wrong.any():
        i = int(np.argmax(wrong))
        raise BarcodeError(
            f"a lowest death lies between birth and death, but that of bar {i} of {name} is "
            f"{deaths[i]} for {bars[i].tolist()}; give one that does"
        )
    if not isinstance(error, float | int) or not error >= 0:
        raise BarcodeError(
            f"an error is not negative, but that of {name} is {error!r}; give a bound, or inf"
        )
    return Bounds(frozen(deaths), float(error))


def frozen(deaths: Floats) -> Floats:
    """Lowest deaths, read-only."""
    deaths.flags.writeable = False
    return deaths


@np.errstate(over="ignore")
def error_bound(
    filtration: Filtration, r: int, pairing: Pairing, lower: Sequence[Floats], p: int
) -> float:
    """The bound on the bottleneck distance in index r, see this file.

    pairing  of index r, over Z/p
    lower    for each dimension (m_r,), lower bounds of the values
    """
    moved = float((filtration.values[r] - lower[r]).max(initial=0.0))
    if r == filtration.dim:
        return moved
    levels = bounding_levels(filtration, r + 1, pairing, p, lower=lower[r + 1] + moved)
    return error_of_levels(
        filtration.values[r] - lower[r],
        levels - lower[r + 1],
        endless=moved if pairing.births.size > pairing.deaths.size else 0.0,
        longest=lambda: _longest_bar(filtration, r, lower, p),
    )


def error_of_levels(
    born: Floats,
    levels: Floats,
    *,
    endless: float = 0.0,
    longest: Callable[[], float] = float,
) -> float:
    """The bound on the bottleneck distance in index r, from what it depends on, see this file.

    born     (m,) of the r-simplices: values over their lower bounds, u - l
    levels   (k,) of the (r+1)-simplices: those at which boundaries bound, or values that are lower,
             over their lower bounds, min(u, b) - l
    endless  what the births of bars that last may differ by
    longest  finds the longest bar of the lower bounds that ends: 0 in a complete complex whose
             lower bounds are those of the highest vertex
    """
    error = max(float(born.max(initial=0.0)), float(levels.max(initial=0.0)))
    if not 0 < error < np.inf:
        return error
    return min(error, max((longest() + error) / 2, endless))


def _longest_bar(filtration: Filtration, r: int, lower: Sequence[Floats], p: int) -> float:
    """The longest bar of index r that ends, of the lowest filtration above lower bounds."""
    values = [lower[0]]
    for k in range(1, r + 2):
        facets = values[-1][filtration.facets(k)].max(axis=1, initial=-np.inf)
        values.append(np.maximum(lower[k], facets))
    lowest = Filtration(_skeleton(filtration, r + 1), tuple(values))
    births, deaths = pairings(lowest, p, r)[r]
    return float((values[r + 1][deaths] - values[r][births[: deaths.size]]).max(initial=0.0))


def _skeleton(filtration: Filtration, dim: int) -> Simplices:
    """The simplices up to a dimension."""
    simplices = filtration.simplices
    if isinstance(simplices, Complete):
        return Complete(simplices.labels, dim)
    return Listed(simplices.vertices[: dim + 1], simplices.all_facets[: dim + 1])


def bounding_levels(
    filtration: Filtration, r: int, pairing: Pairing, p: int, *, lower: Floats
) -> Floats:
    """(m,): levels from which on the boundaries of r-simplices bound, r >= 1.

    pairing  of index r - 1, over Z/p
    lower    (m,) lower bounds: a level below its own may come out too high, but not above it
    The level of a simplex that ends a bar is its value. Any other one ends no bar, since its
    boundary bounds without it; bars of index r - 1 stay as they are where it has the level in place
    of its value.
    """
    values, levels = filtration.values[r], filtration.values[r].copy()
    ends = np.zeros(values.size, dtype=bool)
    ends[pairing.deaths] = True
    latest = values[pairing.deaths].max(initial=-np.inf)  # all boundaries bound at that level
    levels[~ends] = np.minimum(values[~ends], latest)
    others = np.flatnonzero(~ends & (levels > lower))
    if others.size:
        reduced = ReducedBoundary(filtration, r, pairing, p, chains=False)
        last = reduced.last_deaths(filtration_order(values))
        for some in np.split(others, range(AT_ONCE, others.size, AT_ONCE)):
            levels[some] = values[last.of(some)]
    return levels


def lowest_deaths(filtration: Filtration, r: int, p: int) -> Floats:
    """(m_r,): the lowest death of the class that each r-simplex begins, inf where it begins none
    that ends; see this file.
    """
    found = np.full(filtration.values[r].size, np.inf)
    if r == filtration.dim:
        return found
    highest = filtration.values[r][filtration.facets(r + 1)].max(axis=1, initial=-np.inf)
    values = (*filtration.values[: r + 1], highest)
    lowest = Filtration(_skeleton(filtration, r + 1), values)
    births, deaths = pairings(lowest, p, r)[r]
    found[births[: deaths.size]] = highest[deaths]
    return found


def checked_lower(
    given: Sequence[ArrayLike], values: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Lower bounds of the values of each dimension. Raises ShapeError, FiltrationError."""
    remedy = "give one array for every dimension"
    if (count := length_of("lower", given, remedy)) != len(values):
        raise ShapeError(f"lower has {count} dimensions and the complex {len(values)}; {remedy}")
    lower: list[NDArray[np.float64]] = []
    for r, (bounds, of_simplices) in enumerate(zip(given, values, strict=True)):
        numbers = as_numbers(f"lower[{r}]", bounds, "give one number for each simplex")
        if numbers.shape != of_simplices.shape or numbers.dtype.kind not in "fiu":
            raise ShapeError(
                f"lower[{r}] has shape {numbers.shape} and type {numbers.dtype} for "
                f"{of_simplices.size} simplices; give one number for each, in the order of `values`"
            )
        lower.append(numbers.astype(np.float64))
        above = ~(lower[r] <= of_simplices)
        if above.any():
            i = int(np.argmax(above))
            raise FiltrationError(
                f"lower bounds are no higher than values, but lower[{r}][{i}] is "
                f"{lower[r][i]} and the value {of_simplices[i]}; give -inf where none is known"
            )
    return lower
