"""Exchange with other libraries: GUDHI's simplex trees, text formats of Ripser and PHAT.

A simplex tree is used by its public methods; GUDHI is not imported. Ripser's lower-distance format
has the entries of a distance matrix below the diagonal, row by row, separated by commas or blanks.
PHAT's text format has a line for each column of a boundary matrix modulo 2, in filtration order:
the dimension of the cell, and the numbers of the columns of its facets, ascending, from 0 on.
Sources: GUDHI, SimplexTree; Bauer (2021), "Ripser", and the README of its repository; Bauer,
Kerber, Reininghaus & Wagner (2017), "PHAT", and the README of its repository.
"""

from itertools import pairwise
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.chain_complex import ChainComplex
from reduction.complex import FilteredComplex
from reduction.errors import DataError, FiltrationError, OptionError, ShapeError
from reduction.files import write
from reduction.filtrations.distance_matrix import distance_matrix
from reduction.filtrations.orientation import oriented
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


def read_boundary_matrix(path: str | Path) -> ChainComplex:
    """The chain complex of a boundary matrix in PHAT's text format.

    The value of a generator is the number of its column, so the bars are PHAT's persistence pairs.
    Blank lines, and lines that begin with #, are no columns. The format has no signs: they follow
    from the faces of a regular cell complex, as a simplicial or cubical one is, up to the
    orientation of its cells, which no barcode depends on.

    Raises DataError for other content and other complexes, OptionError for what is no path, OSError
    where there is no file.
    """
    path = as_path(path)
    try:
        lines = [line.split() for line in path.read_bytes().decode().splitlines()]
        columns = [[int(x) for x in line] for line in lines if line and line[0][0] != "#"]
    except ValueError:
        raise DataError(
            f"{path} has entries that are no whole numbers; give a line for each column, of its "
            "dimension and the numbers of its facets' columns"
        ) from None
    if not columns:
        raise DataError(f"{path} has no columns; give a boundary matrix in PHAT's text format")
    dims, facets = [dim for dim, *_ in columns], [rest for _, *rest in columns]
    for j, (dim, below) in enumerate(zip(dims, facets, strict=True)):
        earlier = all(0 <= i < j and dims[i] == dim - 1 for i in below)
        if dim < 0 or not earlier or any(a >= b for a, b in pairwise(below)):
            raise DataError(
                "a column has its dimension, and ascending numbers of earlier columns of one "
                f"dimension less, but column {j} of {path} has {short_repr(columns[j])}; sort "
                "cells so that each comes behind its facets"
            )
    try:
        signs = oriented(facets, dims)
    except DataError as error:
        raise DataError(
            f"{path} cannot be read with signs: {error}; give a complex of cells"
        ) from None
    return _chain_complex(signs, np.array(dims))


def write_boundary_matrix(
    path: str | Path, complex: FilteredComplex | ChainComplex
) -> NDArray[np.float64]:
    """Write boundaries modulo 2 in PHAT's text format; the values (m,) of its columns. Overwrites.

    Columns are in order of value, dimension and position: where PHAT pairs the columns i and j,
    there is a bar from values[i] to values[j]. Raises OptionError for what is no complex or no
    path, OSError where it cannot be written.
    """
    if not isinstance(complex, FilteredComplex | ChainComplex):
        raise OptionError(
            "boundaries are those of a FilteredComplex or a ChainComplex, got "
            f"{short_repr(complex)}; give one"
        )
    if isinstance(complex, FilteredComplex):
        levels = [complex.values[r][complex.order(r)] for r in range(complex.dim + 1)]
        matrices: list[Any] = [complex.boundary(r) for r in range(1, complex.dim + 1)]
    else:
        levels, matrices = list(complex.values), list(complex.boundaries)
    counts = [level.size for level in levels]
    values, dims = np.concatenate(levels), np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((dims, values))
    column = np.argsort(order)
    first = np.cumsum([0, *counts])
    lines = [str(r) for r in dims.tolist()]
    for r, matrix in enumerate(matrices, start=1):
        odd = matrix.data % 2 != 0
        for j, (begin, end) in enumerate(pairwise(matrix.indptr.tolist())):
            rows = matrix.indices[begin:end][odd[begin:end]]
            lines[first[r] + j] += "".join(f" {i}" for i in np.sort(column[first[r - 1] + rows]))
    write(path, "".join(f"{lines[i]}\n" for i in order.tolist()).encode())
    return values[order]


def _chain_complex(signs: list[dict[int, int]], dims: NDArray[np.int64]) -> ChainComplex:
    """The complex of oriented cells; the value of a cell is its number."""
    from scipy import sparse

    values = [np.flatnonzero(dims == r) for r in range(int(dims.max()) + 1)]
    position = np.empty(dims.size, np.int64)
    for numbers in values:
        position[numbers] = np.arange(numbers.size)
    boundaries: list[sparse.csc_array] = []
    for below, numbers in pairwise(values):
        columns = [signs[j] for j in numbers.tolist()]
        indptr = np.cumsum([0, *map(len, columns)])
        rows = position[np.array([i for column in columns for i in column], np.int64)]
        data = np.array([sign for column in columns for sign in column.values()], np.int64)
        shape = (below.size, numbers.size)
        boundaries.append(sparse.csc_array((data, rows, indptr), shape=shape))
    return ChainComplex(boundaries, values)
