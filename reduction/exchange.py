"""Exchange with other libraries: GUDHI's simplex trees, and distances in Ripser's text format.

A simplex tree is used by its public methods; GUDHI is not imported. Ripser's lower-distance format
has the entries of a distance matrix below the diagonal, row by row, separated by commas or blanks.
Sources: GUDHI, SimplexTree; Bauer (2021), "Ripser", and the README of its repository.
"""

from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.complex import FilteredComplex
from reduction.errors import DataError, FiltrationError, OptionError, ShapeError
from reduction.files import write
from reduction.filtrations.distance_matrix import distance_matrix
from reduction.validation import as_path, short_repr

LARGEST_LABEL = 2**31 - 1  # GUDHI's vertices are 32-bit integers


def from_simplex_tree(tree: Any) -> FilteredComplex:
    """The filtered complex of a simplex tree, as `gudhi.SimplexTree`.

    Raises OptionError for what is no simplex tree, FiltrationError for an empty one, and for values
    that are not finite.
    """
    if not hasattr(tree, "get_simplices") or isinstance(tree, type):
        raise OptionError(
            f"a simplex tree has the method get_simplices, got {short_repr(tree)}; give a "
            "gudhi.SimplexTree"
        )
    return FilteredComplex.from_simplices({tuple(s): value for s, value in tree.get_simplices()})


def to_simplex_tree(complex: FilteredComplex, tree: Any) -> Any:
    """The simplices of a complex and their values, put into an empty simplex tree, which is
    returned: `to_simplex_tree(complex, gudhi.SimplexTree())`.

    Raises OptionError for what is no complex or no empty tree, ShapeError for labels above
    2**31 - 1.
    """
    if not isinstance(complex, FilteredComplex):
        raise OptionError(
            f"a simplex tree is filled with a FilteredComplex, got {short_repr(complex)}; give one"
        )
    if not hasattr(tree, "insert_batch") or isinstance(tree, type) or tree.num_simplices():
        raise OptionError(
            f"simplices are put into an empty simplex tree, got {short_repr(tree)}; give "
            "gudhi.SimplexTree()"
        )
    largest = int(complex.vertices[0].max())
    if largest > LARGEST_LABEL:
        raise ShapeError(
            f"vertices of a simplex tree are up to 2**31 - 1, but one is {largest}; relabel them"
        )
    for r, values in enumerate(complex.values):
        if values.size:
            tree.insert_batch(complex.vertices[r].T.astype(np.int32), values.copy())
    return tree


def read_lower_distances(path: str | Path) -> NDArray[np.float64]:
    """(n, n): distances from a file in Ripser's lower-distance format, n >= 2.

    Raises DataError for other content, OptionError for what is no path, OSError where there is no
    file.
    """
    content = as_path(path).read_bytes()
    try:
        numbers = np.array(content.decode().replace(",", " ").split(), np.float64)
    except ValueError:
        raise DataError(
            f"{path} has entries that are no numbers; give the distances below the diagonal, row "
            "by row, separated by commas or blanks"
        ) from None
    n = (1 + isqrt(1 + 8 * numbers.size)) // 2
    if n < 2 or n * (n - 1) // 2 != numbers.size:
        raise DataError(
            f"n points have n (n - 1) / 2 distances for n >= 2, but {path} has {numbers.size}; "
            "give those below the diagonal, and no more"
        )
    if not ((numbers >= 0) & (numbers < np.inf)).all():
        raise DataError(
            f"distances are finite and not negative, {path} has others; give the distances below "
            "the diagonal"
        )
    distances = np.zeros((n, n))
    distances[np.tril_indices(n, -1)] = numbers
    return distances + distances.T


def write_lower_distances(path: str | Path, distances: ArrayLike) -> None:
    """Write distances (n, n) in Ripser's lower-distance format, n >= 2; overwrites.

    `read_lower_distances` restores them bit by bit; Ripser itself keeps them in float32. Distances
    may be off by rounding as those of `FilteredComplex.rips`. Raises ShapeError, FiltrationError
    (also for inf, which Ripser does not read), OptionError for what is no path, OSError where it
    cannot be written.
    """
    matrix = distance_matrix(distances)
    n = len(matrix)
    if n < 2:
        raise ShapeError(f"distances are between points, but there is {n}; give two or more")
    if not np.isfinite(matrix).all():
        i, j = np.argwhere(np.isinf(matrix))[0]
        raise FiltrationError(
            f"Ripser reads finite distances, but distances[{i}, {j}] is inf; give a number above "
            "the threshold"
        )
    rows = (",".join(map(repr, matrix[i, :i].tolist())) for i in range(1, n))
    write(path, ("\n".join(rows) + "\n").encode())
