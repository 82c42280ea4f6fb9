"""Filtrations: arrays whose rules are checked here, and whose simplices are put in order.

A filtered complex contains the facets of every simplex, and gives none of them a higher value than
the simplex. Facets are enough: what holds for them holds for all faces, dimension by dimension.
"""

from collections.abc import Sequence
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_array, as_float64, as_numbers, is_constant
from reduction.errors import FiltrationError, ShapeError
from reduction.filtrations.colex import complete_positions
from reduction.filtrations.simplex_tree import colex_order, facets, level, tails, vertex_level
from reduction.filtrations.simplices import Complete, Listed, Simplices
from reduction.filtrations.sorting import ascending_order
from reduction.kernels.rows import first_violation
from reduction.kernels.simplex_tree import Level, first_disordered, first_lower, first_repeated
from reduction.memory import require
from reduction.threads import spread, top_bounds
from reduction.validation import length_of


class Filtration(NamedTuple):
    """A filtration whose rules hold: for each dimension r arrays in colexicographic order."""

    simplices: Simplices
    values: tuple[NDArray[np.float64], ...]  # (m_r,)

    @property
    def dim(self) -> int:
        """The top dimension."""
        return len(self.values) - 1

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of simplices of each dimension."""
        return tuple(values.size for values in self.values)

    def facets(self, r: int) -> NDArray[np.integer]:
        """(m_r, r+1): position in dimension r-1 of the facet that omits vertex i, r = 1..dim."""
        return self.simplices.facets(r)


def filtration(vertices: Sequence[ArrayLike], values: Sequence[ArrayLike]) -> Filtration:
    """Check and sort simplices (m_r, r+1) and values (m_r,) given in any order; copies, read-only.

    Raises ShapeError, FiltrationError.
    """
    remedy = "give one array for every dimension"
    counts = length_of("vertices", vertices, remedy), length_of("values", values, remedy)
    if counts[0] != counts[1]:
        raise ShapeError(
            f"vertices has {counts[0]} dimensions and values {counts[1]}; "
            "give one array of each for every dimension"
        )
    simplices = [_labels(r, given) for r, given in enumerate(vertices)]
    numbers = [_values(r, given, len(simplices[r])) for r, given in enumerate(values)]
    if not simplices or not simplices[0].size:
        raise FiltrationError(
            "a complex has a vertex, but dimension 0 is empty; list the vertices there"
        )
    _rearrange(0, simplices, numbers, ascending_order(simplices[0][:, 0]))
    levels = [vertex_level(len(simplices[0]))]
    for r in range(1, len(simplices)):
        levels.append(_next_level(r, simplices, numbers, levels))
        _check_monotone(simplices[r - 1 :], numbers[r - 1 :], levels[r].facets)
    return listed_or_complete(simplices, numbers, [level.facets for level in levels])


def listed_or_complete(
    simplices: Sequence[NDArray[np.int64]],
    values: Sequence[NDArray[np.float64]],
    facets: Sequence[NDArray[np.integer]],
) -> Filtration:
    """Read-only arrays as a filtration; all simplices on the vertices need no list."""
    for array in (*simplices, *values, *facets):
        array.flags.writeable = False
    n = len(simplices[0])
    if len(simplices) <= n and all(len(rows) == comb(n, r + 1) for r, rows in enumerate(simplices)):
        return Filtration(Complete(simplices[0][:, 0], len(simplices) - 1), tuple(values))
    return Filtration(Listed(tuple(simplices), tuple(facets)), tuple(values))


def complete_filtration(n: int, values: Sequence[ArrayLike], *, copy: bool = True) -> Filtration:
    """Check values (C(n, r+1),) of all simplices on the vertices 0..n-1, in colexicographic order.

    copy  of values that somebody may write to; without it they are taken as they are
    No list of simplices is made: the check is one pass over the values of each dimension, in as
    many threads as there are cores. Raises ShapeError, FiltrationError, CapacityError.
    """
    labels = np.arange(n)
    labels.flags.writeable = False
    simplices = Complete(labels, len(values) - 1)
    held = [_held(r, given, comb(n, r + 1), copy=copy) for r, given in enumerate(values)]
    binomials = simplices.binomials()
    if not np.isfinite(held[0]).all():
        _check_finite(0, held[0])
    for r in range(1, len(held)):

        def check(first: int, last: int, r: int = r) -> int:
            return first_violation(r, first, last, binomials, held[r - 1], held[r])

        found = spread(check, top_bounds(n, r, held[r].size))
        if max(found) >= 0:
            for k in range(r, len(held)):
                _check_finite(k, held[k])
            i = next(position for position in found if position >= 0)
            _refuse_lower(simplices, held, r, i)
    return Filtration(simplices, tuple(held))


def _held(r: int, given: ArrayLike, m: int, *, copy: bool) -> NDArray[np.float64]:
    """values[r] as a read-only array: a copy, unless it is constant or handed over."""
    array = _numbers(r, given, m)
    usable = array.dtype == np.float64 and array.flags.c_contiguous and array.flags.aligned
    if copy and not (usable and is_constant(array)):
        require(8 * m, f"a copy of the {m} values of dimension {r}")
        values = np.array(array, np.float64)
    elif usable and isinstance(given, np.ndarray):
        given.flags.writeable = False
        values = array.view(np.ndarray)
    else:
        raise ShapeError(
            f"values that are not copied are contiguous float64 arrays, but values[{r}] is "
            f"{_kind(given)}; convert it, or leave out copy=False"
        )
    values.flags.writeable = False
    return values


def _kind(given: ArrayLike) -> str:
    """The type of what is given, and of its entries where it is an array, for a message."""
    if isinstance(given, np.ndarray):
        return f"of type {given.dtype} in steps of {given.strides} bytes"
    return f"of type {type(given).__name__}"


def _refuse_lower(
    simplices: Complete, values: Sequence[NDArray[np.float64]], r: int, i: int
) -> None:
    """Raise for the r-simplex i, which is below one of its facets."""
    simplex = simplices.rows(r, np.array([i]))
    facets = complete_positions(np.stack([np.delete(simplex, k, axis=1) for k in range(r + 1)]))
    vertices = [simplices.rows(r - 1, facets[:, 0]), simplex]
    at = [values[r - 1][facets[:, 0]], values[r][[i]]]
    _check_monotone(vertices, at, np.arange(r + 1)[None])


def _labels(r: int, given: ArrayLike) -> NDArray[np.int64]:
    """vertices[r], its rows checked one by one; copied where the type is another."""
    rows = as_array(f"vertices[{r}]", given, f"give {r + 1} labels in each row")
    if rows.shape == (0,):
        return np.empty((0, r + 1), np.int64)
    if rows.ndim != 2 or rows.shape[1] != r + 1 or rows.dtype.kind not in "iu":
        raise ShapeError(
            f"vertices[{r}] has shape {rows.shape} and type {rows.dtype}; "
            f"give an integer array of shape (m, {r + 1})"
        )
    labels = np.require(
        rows, np.int64, ["C", "A", "W", "E"]
    )  # beyond 2**63 - 1 they become negative
    if first_disordered(labels) >= 0:
        raise _disordered(r, rows, labels)
    return labels


def _disordered(r: int, rows: NDArray[np.integer], labels: NDArray[np.int64]) -> FiltrationError:
    """The error for rows (m, r+1) of which some labels are negative or do not ascend."""
    outside = (labels < 0).any(axis=1)
    if outside.any():
        i = int(np.argmax(outside))
        return FiltrationError(
            f"vertex labels lie in 0..2**63-1, but row {i} of vertices[{r}] is {rows[i].tolist()}; "
            "relabel the vertices"
        )
    i = first_disordered(labels)
    rule, remedy = "labels ascend in each row", "sort each row"
    if np.unique(rows[i]).size <= r:
        rule, remedy = "the vertices of a simplex are distinct", "remove the repeated vertex"
    return FiltrationError(f"{rule}, but row {i} of vertices[{r}] is {rows[i].tolist()}; {remedy}")


def _values(r: int, given: ArrayLike, m: int) -> NDArray[np.float64]:
    """values[r] in float64, its entries checked one by one; copied where the type is another."""
    values = as_float64(_numbers(r, given, m))
    _check_finite(r, values)
    return values


def _numbers(r: int, given: ArrayLike, m: int) -> NDArray[Any]:
    """values[r] as an array of m numbers of any type."""
    values = as_numbers(f"values[{r}]", given, "give one number for each simplex")
    if values.shape != (m,) or values.dtype.kind not in "fiu":
        raise ShapeError(
            f"values[{r}] has shape {values.shape} and type {values.dtype} for {m} simplices; "
            f"give a float64 array of shape ({m},)"
        )
    return values


def _check_finite(r: int, values: NDArray[np.float64]) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        i = int(np.argmin(finite))
        raise FiltrationError(
            f"values are finite, but values[{r}][{i}] is {values[i]}; leave out what never appears"
        )


def _next_level(
    r: int,
    simplices: list[NDArray[np.int64]],
    values: list[NDArray[np.float64]],
    levels: Sequence[Level],
) -> Level:
    """Put the r-simplices into order, and find their facets; all must be there, r >= 1."""
    ranks = _ranks(simplices[r], simplices[0][:, 0])
    tail, lowest = tails(ranks, levels), ranks[:, 0]
    order = colex_order(tail, lowest, len(simplices[0]))
    if order is not None:
        tail, lowest = tail[order], lowest[order]
    found = facets(tail, lowest, levels[-1])
    if found.min(initial=0) < 0:
        lacking = np.flatnonzero((found < 0).any(axis=1))
        given = lacking if order is None else order[lacking]
        first = np.argmin(given)
        simplex, k = simplices[r][given[first]], int(np.argmin(found[lacking[first]]))
        raise _missing(simplex, np.delete(simplex, k))
    _rearrange(r, simplices, values, order)
    return level(found, lowest, levels[-1])


def _rearrange(
    r: int,
    simplices: list[NDArray[np.int64]],
    values: list[NDArray[np.float64]],
    order: NDArray[np.int64] | None,
) -> None:
    """Put the r-simplices into the order, in which equal ones are neighbours; None: they are in it.

    What is kept is a copy.
    """
    rows, given = simplices[r], values[r]
    if order is None:
        simplices[r], values[r] = rows.copy(), given.copy()
        return
    simplices[r], values[r] = rows.take(order, axis=0), given.take(order)
    repeated = first_repeated(simplices[r])
    if repeated >= 0:
        i, j = order[repeated], order[repeated + 1]
        raise FiltrationError(
            f"a simplex is given once, but {tuple(rows[i].tolist())} stands in rows {i} and {j} "
            f"of vertices[{r}]; remove one"
        )


def _ranks(labels: NDArray[np.int64], names: NDArray[np.int64]) -> NDArray[np.int64]:
    """Vertices (m, r+1) as positions among all of them, names (n,)."""
    if labels.max(initial=0) <= names[-1] == names.size - 1:
        return labels  # they are positions
    ranks = np.minimum(np.searchsorted(names, labels), names.size - 1)
    unknown = names[ranks] != labels
    if unknown.any():
        i, k = np.argwhere(unknown)[0]
        raise _missing(labels[i], labels[i, k : k + 1])
    return ranks


def _missing(simplex: NDArray[np.int64], face: NDArray[np.int64]) -> FiltrationError:
    return FiltrationError(
        f"a complex contains every face of its simplices, but {tuple(face.tolist())} of "
        f"{tuple(simplex.tolist())} is missing; add it"
    )


def _check_monotone(
    simplices: Sequence[NDArray[np.int64]],
    values: Sequence[NDArray[np.float64]],
    facets: NDArray[np.integer],
) -> None:
    """Raise FiltrationError for a simplex below a facet.

    simplices, values  of the facets (first) and of the simplices (second)
    """
    i = first_lower(facets, values[0], values[1])
    if i >= 0:
        face = facets[i, np.argmax(values[0][facets[i]] > values[1][i])]
        raise FiltrationError(
            f"a face is not above its simplex, but {tuple(simplices[0][face].tolist())} has value "
            f"{values[0][face]} > {values[1][i]} of {tuple(simplices[1][i].tolist())}; "
            "raise each simplex to the maximum over its faces first"
        )
