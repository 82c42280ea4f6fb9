"""Filtered chain complexes: generators of each degree, their values, and boundary matrices.

What a barcode needs of a complex is no more than that (Barannikov 1994, "The framed Morse complex
and its invariants", section 2): generators with values, and a boundary operator with integer
coefficients, whose square is zero and which leads to no higher value. Simplices are one case of it
(`FilteredComplex`, which keeps no matrix), cells another, critical points of a function a third.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.arrays import as_array, as_numbers
from reduction.barcodes.barcode import Barcode
from reduction.barcodes.compute import barcode_of_chains
from reduction.errors import DimensionError, FiltrationError, ShapeError
from reduction.filtrations.cubical import TOP_CELLS, cubical_cells
from reduction.persistence.chain_pairs import chain_pairings
from reduction.persistence.fields import prime
from reduction.reprs import few
from reduction.validation import as_bool, is_whole, length_of

if TYPE_CHECKING:  # loaded where it is used
    from scipy import sparse

LARGEST = 2**31  # coefficients are below it, so that products of two of them stay below 2**62


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChainComplex:
    """A filtered chain complex over the integers.

    boundaries  for each degree r = 1..dim a matrix (m_{r-1}, m_r), dense or of scipy.sparse, of
                whole numbers: column j is the boundary of the j-th generator of degree r. Kept as a
                read-only `csc_array` of int64
    values      for each degree r = 0..dim (m_r,): filtration values; kept as read-only float64
    Raises ShapeError (shapes, number types, coefficients that are too large), FiltrationError
    (values that are not finite, a boundary of a boundary that is not 0, a value above that of a
    generator in whose boundary it is).
    """

    boundaries: "tuple[sparse.csc_array, ...]"
    values: tuple[NDArray[np.float64], ...]

    def __init__(self, boundaries: Sequence[Any], values: Sequence[ArrayLike]) -> None:
        remedy = "give one matrix for each degree from 1 on, and values for each from 0 on"
        counts = length_of("boundaries", boundaries, remedy), length_of("values", values, remedy)
        if counts[1] != counts[0] + 1:
            raise ShapeError(
                f"a chain complex has values of one degree more than matrices, but {counts[1]} and "
                f"{counts[0]} are given; {remedy}"
            )
        kept = tuple(_values(r, given) for r, given in enumerate(values))
        matrices = tuple(_matrix(r, given, kept) for r, given in enumerate(boundaries, start=1))
        for r, matrix in enumerate(matrices, start=1):
            _check_monotone(r, matrix, kept)
            if r > 1:
                _check_square(r, matrices[r - 2], matrix)
        self._hold(matrices, kept)

    @classmethod
    def cubical(
        cls,
        array: ArrayLike,
        *,
        values_on: str = TOP_CELLS,
        superlevel: bool = False,
        periodic: bool | Sequence[bool] = False,
    ) -> "ChainComplex":
        """The cubical complex of an image: the cells of a grid of 1 to 4 axes, filtered.

        array       real numbers, finite; one for each pixel, voxel, ... of the image
        values_on   "top cells": the numbers are those of top-dimensional cells, and a face is at
                    the lowest of the cells around it, so pixels that touch at a corner are joined;
                    "vertices": those of vertices, and a cell is at its highest vertex
        superlevel  filter by -array: a bar (b, d) then is a class of the superlevel sets from the
                    level -b down to -d
        periodic    whether opposite ends of an axis are one, for all axes or for each

        Bars name cells by position: those of degree r stand by the axes along which they extend, in
        the order of itertools.combinations, and among equal ones in C order. The last index has no
        bars but where all axes are periodic. Raises ShapeError, FiltrationError, OptionError,
        CapacityError. Source: see `reduction.filtrations.cubical`.
        """
        cells = cubical_cells(array, values_on, superlevel=superlevel, periodic=periodic)
        complex = object.__new__(cls)
        complex._hold(cells.boundaries, cells.values)
        return complex

    def __repr__(self) -> str:
        return f"ChainComplex(dim={self.dim}, counts={few(self.counts)})"

    @property
    def dim(self) -> int:
        """The highest degree."""
        return len(self.values) - 1

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of generators of each degree."""
        return tuple(values.size for values in self.values)

    @property
    def euler_characteristic(self) -> int:
        """The sum of (-1)^r times the number of generators of degree r."""
        return sum((-1) ** r * count for r, count in enumerate(self.counts))

    def barcode(
        self, field: int = 2, *, keep_zero: bool = False, max_index: int | None = None
    ) -> Barcode:
        """The bars of every index 0..max_index, with coefficients in Z/field.

        field      a prime below 2**31
        keep_zero  report bars of length zero too
        max_index  the highest index reported, by default dim: the complex is taken to be all there
                   is. Ask for dim - 1 where generators of higher degrees are left out
        Equal values are ordered by position. Bars name the generators at their ends by position,
        `Barcode.pairs`. Raises FieldError, DimensionError, OptionError.
        """
        keep_zero = as_bool("keep_zero", keep_zero)
        top = self.dim if max_index is None else max_index
        if not is_whole(top) or not 0 <= top <= self.dim:
            raise DimensionError(
                f"an index of this complex is one of 0..{self.dim}, but max_index is {top!r}; take "
                "one of them"
            )
        p = prime(field)
        found = chain_pairings(self.boundaries, self.values, p)[: top + 1]
        return barcode_of_chains(self.values, found, p, keep_zero=keep_zero)

    def _hold(
        self, boundaries: "Sequence[sparse.csc_array]", values: Sequence[NDArray[np.float64]]
    ) -> None:
        matrices = [part for d in boundaries for part in (d.data, d.indices, d.indptr)]
        for array in (*matrices, *values):
            array.flags.writeable = False
        object.__setattr__(self, "boundaries", tuple(boundaries))
        object.__setattr__(self, "values", tuple(values))


def _values(r: int, given: ArrayLike) -> NDArray[np.float64]:
    """A read-only copy of values[r]."""
    values = as_numbers(f"values[{r}]", given, "give one number for each generator")
    if values.shape == (0,):
        values = np.empty(0)
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise ShapeError(
            f"values[{r}] has shape {values.shape} and type {values.dtype}; give one number for "
            "each generator"
        )
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        i = int(np.argmin(finite))
        raise FiltrationError(
            f"values are finite, but values[{r}][{i}] is {values[i]}; leave out what never appears"
        )
    return values


def _matrix(r: int, given: Any, values: Sequence[NDArray[np.float64]]) -> "sparse.csc_array":
    """A read-only copy of the boundary matrix of degree r, without zeros."""
    from scipy import sparse

    shape = values[r - 1].size, values[r].size
    name = f"boundaries[{r - 1}]"
    held = given if sparse.issparse(given) else as_array(name, given, "give a matrix")
    if held.shape != shape or (held.dtype.kind not in "iu" and 0 not in shape):
        raise ShapeError(
            f"a boundary matrix has a row and a column for each generator, but {name} has shape "
            f"{held.shape} and type {held.dtype} for {shape[0]} and {shape[1]} of them; give an "
            f"integer matrix of shape {shape}"
        )
    matrix: Any = sparse.csc_array(held, copy=True)
    if matrix.dtype.itemsize < 8:  # few bits could not hold sums
        matrix = matrix.astype(np.int64)
    matrix.sum_duplicates()
    sizes = np.abs(matrix.data.astype(np.float64))
    if (sizes >= LARGEST).any():
        raise ShapeError(
            f"coefficients are below 2**31 in size, but {name} has one of "
            f"{matrix.data[np.argmax(sizes)]}; scale the generator"
        )
    matrix = matrix.astype(np.int64)
    matrix.eliminate_zeros()
    return matrix


def _check_monotone(
    r: int, matrix: "sparse.csc_array", values: Sequence[NDArray[np.float64]]
) -> None:
    entries = matrix.tocoo()
    rows, columns = entries.coords
    above = values[r - 1][rows] > values[r][columns]
    if above.any():
        k = int(np.argmax(above))
        i, j = int(rows[k]), int(columns[k])
        raise FiltrationError(
            f"a boundary is not above its generator, but generator {i} of degree {r - 1} has value "
            f"{values[r - 1][i]} > {values[r][j]} of generator {j} of degree {r}; give values that "
            "do not fall with the degree"
        )


def _check_square(r: int, below: "sparse.csc_array", matrix: "sparse.csc_array") -> None:
    sizes: Any = abs(below).astype(np.float64) @ abs(matrix).astype(np.float64)
    if (largest := sizes.data.max(initial=0.0)) >= 2.0**62:
        raise ShapeError(
            "the boundary of a boundary is computed in int64, but coefficients of "
            f"boundaries[{r - 2}] times those of boundaries[{r - 1}] may add up to {largest:.3g}; "
            "scale the generators, so that they stay below 2**62"
        )
    product: Any = below @ matrix
    square = product.tocoo()
    wrong = square.data != 0
    if wrong.any():
        k = int(np.argmax(wrong))
        i, j = (int(axis[k]) for axis in square.coords)
        raise FiltrationError(
            f"the boundary of a boundary is 0, but that of generator {j} of degree {r} has "
            f"{square.data[k]} times generator {i} of degree {r - 2}; mend its signs, or add what "
            "is missing"
        )
