"""Distances of points as they are given: a matrix, points and a metric, or the edges of a graph.

Libraries compute distances in floating point, many by way of |x|^2 + |y|^2 - 2 x.y, whose error is
some roundings of the longest squared distance L^2. So a number from -8 sqrt(eps) L to 0, or on the
diagonal to 8 sqrt(eps) L, is 0, eps of the type of the numbers but at most that of float32; and two
numbers for one distance are one where their squares differ by no more than 64 eps L^2: they are
averaged. 8 sqrt(eps) is 1.2e-7 for float64, 2.8e-3 for float32 and shorter types.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_array, as_float64, as_numbers, dimensions
from reduction.errors import FiltrationError, OptionError, ShapeError
from reduction.memory import require
from reduction.validation import first_line, short_repr

ROUNDINGS = 64  # of a squared distance
SMALL = 1e-2  # share of the longest distance below which an asymmetry may be one of coarser numbers
Floats = NDArray[np.float64]


class Edges(NamedTuple):
    """A graph on the vertices 0..n-1, each edge once."""

    n: int
    ends: NDArray[np.int64]  # (m, 2) ascending in each row
    lengths: Floats  # (m,)


def is_graph(given: Any) -> bool:
    """Whether edges are given: a matrix of scipy.sparse, or a pair of ends and lengths."""
    if hasattr(given, "tocoo"):
        return True
    return (
        isinstance(given, tuple)
        and len(given) == 2
        and dimensions(given[0]) != 1
        and dimensions(given[1]) in (1, None)
    )


def graph(given: Any) -> Edges:
    """The edges that are stored, each in one direction or in both. Raises ShapeError,
    FiltrationError.
    """
    if hasattr(given, "tocoo"):
        matrix = given.tocoo(copy=True)
        if matrix.data.dtype.kind in "iu":  # of which few bits could not hold sums
            matrix = matrix.astype(np.int64)
        matrix.sum_duplicates()
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.shape[0]:
            raise ShapeError(
                f"distances has shape {matrix.shape}; give a sparse matrix of shape (n, n) for "
                "n >= 1 points"
            )
        n, ends = int(matrix.shape[0]), np.column_stack([matrix.row, matrix.col])
        lengths = _numbers("distances", matrix.data, ends.shape[:1])
    else:
        ends = as_array("distances[0]", given[0], "give two labels in each row")
        if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu" or not ends.size:
            raise ShapeError(
                f"distances[0] has shape {ends.shape} and type {ends.dtype}; give the edges, an "
                "integer array of shape (m, 2), or FilteredComplex.cliques vertices without edges"
            )
        lengths = _numbers("distances[1]", given[1], ends.shape[:1])
        if int(ends.min()) < 0 or int(ends.max()) >= 2**31:
            raise ShapeError(
                f"points are 0..n-1 for n up to 2**31, but distances[0] has labels from "
                f"{ends.min()} to {ends.max()}; relabel them"
            )
        n = int(ends.max()) + 1
    return _once(n, ends.astype(np.int64), lengths)


def distances_of(points: ArrayLike, metric: Any) -> Floats:
    """(n, n): distances of points (n, d), by a metric of SciPy's pdist. Raises ShapeError,
    FiltrationError, OptionError, CapacityError.
    """
    if not (isinstance(metric, str) or callable(metric)):
        raise OptionError(
            f"a metric is one of scipy.spatial.distance.pdist, got {short_repr(metric)}; give "
            "'euclidean', or a function of two points"
        )
    if is_graph(points):
        raise OptionError(f"edges have lengths already, but metric is {metric!r}; leave it out")
    given = as_numbers("points", points, "give an array of shape (n, d)")
    if given.ndim != 2 or not len(given) or given.dtype.kind not in "fiub":
        raise ShapeError(
            f"points has shape {given.shape} and type {given.dtype}; give a float64 array of shape "
            "(n, d) for n >= 1 points"
        )
    from scipy.spatial.distance import pdist, squareform

    between: Any = pdist
    require(12 * len(given) ** 2, f"the distances of {len(given)} points")
    try:
        distances = squareform(between(given, metric))
    except (ValueError, TypeError, OverflowError) as error:
        raise OptionError(
            f"points of shape {given.shape} have no distances by metric={short_repr(metric)}: "
            f"{first_line(error)}; give another, as 'euclidean', or none with a matrix of distances"
        ) from error
    missing = np.argwhere(np.isnan(given))
    if len(missing) and np.isnan(distances).any():  # a function may do without
        i, j = missing[0]
        raise FiltrationError(
            f"coordinates are numbers, but points[{i}, {j}] is nan; correct it, or leave the point "
            "out"
        )
    return distances


def distance_matrix(given: ArrayLike) -> Floats:
    """(n, n): distances in float64, symmetric, not negative, 0 on the diagonal, inf for no edge.

    Raises ShapeError, FiltrationError.
    """
    matrix = as_numbers("distances", given, "give a square matrix")
    n = len(matrix) if matrix.ndim else 0
    if matrix.shape != (n, n) or n == 0 or matrix.dtype.kind not in "fiu":
        remedy = "give a float64 array of shape (n, n) for n >= 1 points"
        if matrix.ndim == 2 and matrix.size:
            remedy += ", or metric='euclidean' with their coordinates"
        elif matrix.ndim == 1 and matrix.size:
            remedy += ", as scipy.spatial.distance.squareform makes of a condensed one"
        raise ShapeError(f"distances has shape {matrix.shape} and type {matrix.dtype}; {remedy}")
    tolerance = _tolerance(matrix)
    matrix = as_float64(matrix)
    _refuse(~(matrix >= -tolerance), matrix, "distances are numbers from 0 on", "correct it")
    if (matrix < 0).any():
        matrix = np.maximum(matrix, 0.0)
    if not np.array_equal(matrix, matrix.T):
        matrix = _symmetric(matrix, tolerance)
    far = np.diag(np.diag(matrix) > tolerance)
    remedy = "set it to 0, or give metric='euclidean' with coordinates"
    _refuse(far, matrix, "a point is at distance 0 from itself", remedy)
    if np.diag(matrix).any():
        matrix = matrix.copy()
        np.fill_diagonal(matrix, 0.0)
    return matrix


def _tolerance(numbers: NDArray[Any]) -> float:
    """The largest distance that may be 0: 8 sqrt(eps) of the longest; 0 of whole numbers.

    eps is at most that of float32: that of float16 would be a quarter of the longest distance.
    """
    if numbers.dtype.kind != "f":
        return 0.0
    longest = np.max(np.abs(numbers), where=np.isfinite(numbers), initial=0.0)
    eps = min(np.finfo(numbers.dtype).eps, np.finfo(np.float32).eps)
    return float((ROUNDINGS * np.float64(eps)) ** 0.5 * np.float64(longest))


def _same(a: Floats, b: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Whether two numbers are one distance, but for rounding."""
    if not tolerance:
        return a == b
    with np.errstate(invalid="ignore"):  # of two infinities, which are equal
        x, y = a / tolerance, b / tolerance
        return (a == b) | (np.abs(x - y) * (x + y) <= 1)


def _symmetric(matrix: Floats, tolerance: float) -> Floats:
    """The mean of a matrix and its transpose, which are one but for rounding."""
    other = matrix.T
    wrong = ~_same(matrix, other, tolerance)
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        longest = np.max(matrix, where=np.isfinite(matrix), initial=0.0)
        if not np.triu(matrix, 1).any() or not np.tril(matrix, -1).any():
            remedy = "complete a triangle by d + d.T"
        elif np.abs(matrix[wrong] - other[wrong]).max() <= SMALL * longest:
            remedy = "average what is rounding by (d + d.T) / 2"
        else:
            remedy = "correct one of them, or give metric='euclidean' with coordinates"
        raise FiltrationError(
            f"distances are symmetric, but distances[{i}, {j}] is {matrix[i, j]} and "
            f"distances[{j}, {i}] is {matrix[j, i]}; {remedy}"
        )
    return np.where(matrix == other, matrix, matrix / 2 + other / 2)


def _refuse(wrong: NDArray[np.bool_], matrix: Floats, rule: str, remedy: str) -> None:
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise FiltrationError(f"{rule}, but distances[{i}, {j}] is {matrix[i, j]}; {remedy}")


def _numbers(name: str, given: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Lengths of edges, of any type of numbers."""
    numbers = as_numbers(name, given, "give one length for each edge")
    if numbers.shape != shape or numbers.dtype.kind not in "fiu":
        raise ShapeError(
            f"{name} has shape {numbers.shape} and type {numbers.dtype} for {shape[0]} edges; give "
            "one length for each"
        )
    return numbers


def _once(n: int, ends: NDArray[np.int64], numbers: NDArray[Any]) -> Edges:
    """Each edge once, in one direction; those of length inf are none."""
    tolerance, lengths = _tolerance(numbers), as_float64(numbers)
    loops = ends[:, 0] == ends[:, 1]
    wrong = ~(lengths >= -tolerance) | (loops & ~(lengths <= tolerance))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise FiltrationError(
            f"an edge has a length from 0 on, 0 from a point to itself, but that of "
            f"{tuple(ends[k].tolist())} has {lengths[k]}; correct or remove it"
        )
    kept = ~loops & (lengths < np.inf)
    if not kept.any():
        return Edges(n, np.empty((0, 2), np.int64), np.empty(0))
    ends, lengths = np.sort(ends[kept], axis=1), np.maximum(lengths[kept], 0.0)
    order = np.lexsort((lengths, ends[:, 0], ends[:, 1]))
    ends, lengths = ends[order], lengths[order]
    first = np.append(True, (ends[1:] != ends[:-1]).any(axis=1))[: len(ends)]
    begin = np.flatnonzero(first)
    last = np.append(begin[1:], len(ends)) - 1
    shortest, longest = lengths[begin], lengths[last]
    wrong = ~_same(shortest, longest, tolerance)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise FiltrationError(
            f"distances are symmetric, but the edge {tuple(ends[begin[k]].tolist())} has the "
            f"lengths {shortest[k]} and {longest[k]}; keep one of them"
        )
    mean = np.where(shortest == longest, shortest, shortest / 2 + longest / 2)
    return Edges(n, np.ascontiguousarray(ends[begin]), mean)
