"""Filtered simplicial complexes.

A complex is a set of simplices closed under taking faces; a filtration gives each simplex a value,
never below that of its faces, so that the simplices up to any value form a complex themselves. Here
the value of a simplex is the highest loss on it (section 4 of the paper).

Simplices are stored by dimension, in colexicographic order. The order in which persistence takes
them is total: by value, then dimension, then colexicographic position. Nothing depends on the order
of the input.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.barcodes.barcode import Barcode
from reduction.barcodes.bounds import checked_lower
from reduction.barcodes.compute import barcode_of_pairs
from reduction.errors import DataError, DimensionError, ShapeError
from reduction.files import check_arrays, check_tag, refusing, write_arrays
from reduction.filtrations.cliques import clique_filtration
from reduction.filtrations.filtration import Filtration, complete_filtration, filtration
from reduction.filtrations.lower_star import freudenthal_filtration, lower_star_filtration
from reduction.filtrations.rips import rips_filtration
from reduction.filtrations.simplices import Simplices
from reduction.persistence.boundary import boundary_matrix
from reduction.persistence.canonical import CanonicalForm, canonical_form
from reduction.persistence.cohomology import pairings
from reduction.persistence.fields import prime
from reduction.reprs import few
from reduction.threads import limited
from reduction.validation import as_bool, is_whole, length_of, short_repr

if TYPE_CHECKING:  # loaded where they are used
    import networkx as nx
    from scipy import sparse

FORMAT = "loss-barcodes filtered complex"  # of its file, a NumPy archive (npz)
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class FilteredComplex:
    """A filtered simplicial complex.

    vertices  for each dimension r = 0..dim (m_r, r+1) int64: vertex labels, ascending in each row;
              made when asked for where the complex has all simplices on its vertices
    values    for each dimension r = 0..dim (m_r,) float64: filtration values, in units of the loss

    The labels are any non-negative integers; dimension 0 lists them. Simplices are given in any
    order and kept in colexicographic order; arrays are copied and read-only. Raises ShapeError
    (shapes, number types), FiltrationError (no complex, or no filtration of it).
    """

    vertices: Simplices
    values: tuple[NDArray[np.float64], ...]

    def __init__(self, vertices: Sequence[ArrayLike], values: Sequence[ArrayLike]) -> None:
        self._hold(filtration(vertices, values))

    @classmethod
    def complete(
        cls, n: int, values: Sequence[ArrayLike], *, copy: bool = True
    ) -> "FilteredComplex":
        """All simplices on the vertices 0..n-1, up to dimension len(values) - 1.

        values  for each r (C(n, r+1),), simplex v0 < ... < vr at position sum_i C(v_i, i+1)
        copy    False hands over the arrays, contiguous float64, which become read-only; nobody may
                write to their memory any more, by another view or a memory-mapped file

        Nothing but the values is kept; vertices and facets are computed when they are asked for.
        An array that is read-only, and whose memory nobody else may write to, is never copied.
        Raises DimensionError beyond dimension n - 1, ShapeError, FiltrationError, OptionError,
        CapacityError.
        """
        copy = as_bool("copy", copy)
        if not is_whole(n):
            raise DimensionError(
                f"the vertices are 0..n-1 for a whole number n, but n is {short_repr(n)}; round it"
            )
        count = length_of("values", values, "give one array for every dimension")
        if n < 1:
            raise DimensionError(f"a complex has a vertex, but n is {n}; give n >= 1")
        if not 1 <= count <= n:
            raise DimensionError(
                f"{n} vertices span simplices of the dimensions 0..{n - 1}, "
                f"but values has {count} arrays; give 1 to {n}"
            )
        for r, given in enumerate(values):
            shape = _shape(r, given)
            if shape != (comb(n, r + 1),):
                raise ShapeError(
                    f"values[{r}] has shape {shape}, but {n} vertices span "
                    f"{comb(n, r + 1)} simplices of dimension {r}; "
                    "give one number for each, in colexicographic order"
                )
        return cls._of(complete_filtration(n, values, copy=copy))

    @classmethod
    def rips(
        cls,
        distances: Any,
        dim: int,
        *,
        threshold: float | None = None,
        metric: "str | Callable[..., float] | None" = None,
    ) -> "FilteredComplex":
        """The Vietoris-Rips complex of n points up to a dimension.

        distances  (n, n), symmetric, not negative, 0 on the diagonal; inf where there is no edge.
                   Or edges, all others missing: a matrix of scipy.sparse, whose stored entries are
                   edges, those of one place added up, as SciPy does; or a pair of ends (m, 2) and
                   lengths (m,). With a metric: points (n, d)
        dim        from 0 on; no simplex is above dimension n - 1
        threshold  of the longest edge, inclusive; inf for all edges. By default the enclosing
                   radius, where a list up to it takes less memory than the values of all simplices
                   or some distances are inf, and no threshold otherwise; no bar depends on it but
                   those of length zero, and those of index dim
        metric     of points, by name or a function, as of scipy.spatial.distance.pdist

        The value of a simplex is its longest edge; vertices, labelled 0..n-1, are at 0. Where all
        simplices are there, nothing but their values is kept. Distances may be off by rounding: a
        number down to -1.2e-7 times the longest distance is 0, to -2.8e-3 times in float32, float16
        and bfloat16, see `reduction.filtrations.distance_matrix`. Raises ShapeError,
        FiltrationError, OptionError, DimensionError, CapacityError. Source: Bauer (2021), "Ripser",
        section 2.
        """
        return cls._of(rips_filtration(distances, dim, threshold, metric))

    @classmethod
    def cliques(
        cls, vertices: Sequence[ArrayLike], values: Sequence[ArrayLike], dim: int
    ) -> "FilteredComplex":
        """The clique complex (flag complex) of a filtered graph up to a dimension.

        vertices  the graph: (n, 1) labels of vertices and (m, 2) of edges, ascending in each row
        values    (n,) of the vertices and (m,) of the edges, none below those of its vertices
        dim       from 0 on; no simplex is above dimension n - 1

        A simplex is a set of vertices joined pairwise; its value is that of its highest edge.
        Raises ShapeError, FiltrationError, DimensionError, CapacityError. Source: Boissonnat &
        Maria (2014), "The simplex tree", section 3.3.
        """
        remedy = "give two arrays, of the vertices and of the edges"
        counts = length_of("vertices", vertices, remedy), length_of("values", values, remedy)
        if counts != (2, 2):
            raise ShapeError(
                f"a graph has vertices and edges, but vertices has {counts[0]} arrays and "
                f"values {counts[1]}; give two of each"
            )
        return cls._of(clique_filtration(filtration(vertices, values), dim))

    @classmethod
    def lower_star(cls, simplices: Any, vertex_values: ArrayLike) -> "FilteredComplex":
        """The lower-star filtration of a function on the vertices of simplices, as of a mesh.

        simplices      (m, r+1) integer labels, in any order; or a list of such arrays, for several
                       dimensions. Faces that are not listed are added
        vertex_values  (n,): the vertices are 0..n-1, all of them in the complex

        The value of a simplex is that of its highest vertex; for upper stars give -vertex_values.
        Raises ShapeError, FiltrationError, CapacityError. Source: Edelsbrunner & Harer (2010),
        "Computational Topology", VI.3.
        """
        return cls._of(lower_star_filtration(simplices, vertex_values))

    @classmethod
    def freudenthal(cls, array: ArrayLike, *, superlevel: bool = False) -> "FilteredComplex":
        """The lower-star filtration of numbers on a grid, in Freudenthal's triangulation.

        array       real numbers, finite, on a grid of 1 to 4 axes; vertex i is array.ravel()[i]
        superlevel  filter by -array: a bar (b, d) then is a class of the superlevel sets from the
                    level -b down to -d

        Each cube is cut along its diagonal from the lowest to the highest corner into d! simplices.
        For cubes as they are see `ChainComplex.cubical`. Raises ShapeError, FiltrationError,
        OptionError, CapacityError. Source: Kuhn (1960), "Some combinatorial lemmas in topology".
        """
        return cls._of(freudenthal_filtration(array, superlevel=superlevel))

    @classmethod
    def from_simplices(cls, simplices: Mapping[tuple[int, ...], float]) -> "FilteredComplex":
        """A complex from simplices, tuples of vertex labels in any order, and their values.

        Raises ShapeError, FiltrationError.
        """
        if not isinstance(simplices, Mapping):
            raise ShapeError(
                f"simplices are a mapping to their values, got {short_repr(simplices)}; "
                "write {(0,): 0.5, ...}"
            )
        dim = -1
        for simplex in simplices:
            if not _is_simplex(simplex):
                raise ShapeError(
                    f"a simplex is a tuple of integer labels, but one is {simplex!r}; "
                    "write (0,) for a vertex"
                )
            dim = max(dim, len(simplex) - 1)
        rows: list[list[list[int]]] = [[] for _ in range(dim + 1)]
        values: list[list[float]] = [[] for _ in range(dim + 1)]
        for simplex, value in simplices.items():
            rows[len(simplex) - 1].append(sorted(simplex))
            values[len(simplex) - 1].append(value)
        return cls([row or np.empty((0, r + 1), np.int64) for r, row in enumerate(rows)], values)

    @classmethod
    def load(cls, path: str | Path) -> "FilteredComplex":
        """Read what `save` wrote.

        Raises DataError for other content, OptionError for what is no path, OSError where there is
        no file.
        """
        with refusing(path, "filtered complex", VERSION) as content:
            return cls(*_read(content))

    def save(self, path: str | Path) -> None:
        """Write a NumPy archive (npz, no pickles) that `load` restores bit by bit; overwrites.

        Raises OptionError for what is no path, OSError where it cannot be written.
        """
        arrays: dict[str, Any] = {"format": FORMAT, "version": VERSION, "dim": self.dim}
        for r, values in enumerate(self.values):
            arrays |= {f"vertices_{r}": self.vertices[r], f"values_{r}": values}
        write_arrays(path, arrays)

    def __repr__(self) -> str:
        return f"FilteredComplex(dim={self.dim}, counts={few(self.counts)})"

    def __len__(self) -> int:
        """The number of simplices, of all dimensions."""
        return sum(self.counts)

    @property
    def dim(self) -> int:
        """The top dimension."""
        return self._filtration.dim

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of simplices of each dimension."""
        return self._filtration.counts

    def facets(self, r: int) -> NDArray[np.integer]:
        """(m_r, r+1): position in dimension r-1 of the facet that omits vertex i, r = 1..dim."""
        self._check_dimension(r, lowest=1)
        return self._filtration.facets(r)

    def order(self, r: int) -> NDArray[np.int64]:
        """(m_r,): positions of the r-simplices in filtration order, by value, then position."""
        self._check_dimension(r, lowest=0)
        return np.argsort(self.values[r], kind="stable")

    def boundary(self, r: int) -> "sparse.csc_array":
        """The boundary operator of the r-simplices, r = 1..dim: D of `persistence.boundary`.

        returns (m_{r-1}, m_r) int8, (-1)^i for the facet that omits vertex i; rows and columns both
        in filtration order. Raises DimensionError. Source: section 4 of the paper.
        """
        return boundary_matrix(self.facets(r), self.order(r), self.order(r - 1))

    def barcode(
        self,
        field: int = 2,
        *,
        keep_zero: bool = False,
        max_index: int | None = None,
        lower: Sequence[ArrayLike] | None = None,
        threads: int | None = None,
    ) -> Barcode:
        """The bars of every index 0..max_index, with coefficients in Z/field.

        field      a prime below 2**31
        keep_zero  report bars of length zero too
        max_index  the highest index reported, by default dim - 1, and 0 of vertices alone. Index
                   dim is left out because no simplex of the complex could end its bars; ask for it
                   where the complex is all of the space, as a triangulated sphere is: there every
                   bar of index dim is essential
        lower      for each dimension (m_r,), in the order of `values`: lower bounds of values that
                   may still fall; the barcode then has lowest deaths and errors, see
                   `Barcode.error`. Chains are reduced for it, in the memory of `cycle`
        threads    at least 1; by default that of the environment variable REDUCTION_THREADS, or of
                   the cores. Bars do not depend on it
        Raises FieldError, DimensionError, OptionError; ShapeError and FiltrationError for lower
        bounds of other shapes, or above the values.
        """
        keep_zero = as_bool("keep_zero", keep_zero)
        top = max(self.dim - 1, 0) if max_index is None else max_index
        if max_index is not None:
            self._check_dimension(max_index, lowest=0)
        p = prime(field)
        least = None if lower is None else checked_lower(lower, self.values)
        with limited(threads):
            pairs = pairings(self._filtration, p, top)
            return barcode_of_pairs(self._filtration, pairs, p, keep_zero=keep_zero, lower=least)

    def canonical_form(self, field: int = 2) -> CanonicalForm:
        """A basis of the chains in which the boundary operator over Z/field is a matching.

        For each dimension r a matrix V_r whose column j is a chain with the j-th r-simplex in
        filtration order as its youngest, and a matching P_r of chains, such that D_r V_r = V_{r-1}
        P_r: the boundary of a chain of the basis is zero or, exactly, another one. The pairs are
        those of the barcode, bars of length zero and index dim included. They are unique; the basis
        is not.

        Meant for complexes that fit into memory with all their chains. A chain of m simplices takes
        16 m bytes while it is reduced and 32 m in all; it may have as many as there are simplices
        of its dimension, and mostly has few. Beside that it takes 512 bytes for each simplex, and
        is refused at once where there are fewer; where chains outgrow what is free it is refused
        on the way.

        field  a prime below 2**31
        Raises FieldError, CapacityError. Source: Barannikov (1994), see
        `reduction.persistence.canonical`.
        """
        return canonical_form(self._filtration, field)

    def to_networkx(self) -> "nx.Graph[int]":
        """The vertices and edges as a graph; each node and edge has its `value`."""
        import networkx as nx

        graph: nx.Graph[int] = nx.Graph()
        for (label,), value in zip(self.vertices[0].tolist(), self.values[0].tolist(), strict=True):
            graph.add_node(label, value=value)
        if self.dim >= 1:
            for (a, b), value in zip(
                self.vertices[1].tolist(), self.values[1].tolist(), strict=True
            ):
                graph.add_edge(a, b, value=value)
        return graph

    @classmethod
    def _of(cls, checked: Filtration) -> "FilteredComplex":
        complex = object.__new__(cls)
        complex._hold(checked)
        return complex

    def _hold(self, checked: Filtration) -> None:
        object.__setattr__(self, "vertices", checked.simplices)
        object.__setattr__(self, "values", checked.values)

    @property
    def _filtration(self) -> Filtration:
        return Filtration(self.vertices, self.values)

    def _check_dimension(self, r: int, lowest: int) -> None:
        if not is_whole(r):
            raise DimensionError(f"a dimension is a whole number, got {r!r}; round it")
        if not lowest <= r <= self.dim:
            raise DimensionError(
                f"dimension {r} is outside {lowest}..{self.dim} of this complex; take one of them"
                if lowest <= self.dim
                else f"dimension {r} is asked of a complex of vertices alone; add edges first"
            )


def _shape(r: int, given: ArrayLike) -> tuple[int, ...]:
    try:
        return np.shape(given)
    except ValueError:
        raise ShapeError(f"values[{r}] is ragged; give one number for each simplex") from None


def _read(content: bytes) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """The vertices and values of each dimension, unchecked. Raises anything: see `refusing`."""
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        check_tag(archive["format"].item(), archive["version"].item(), FORMAT, VERSION)
        dimensions = range(archive["dim"].item() + 1)
        if len(dimensions) > len(archive.files):  # or names alone would fill the memory
            raise DataError(f"it has not the arrays of dimension {len(dimensions) - 1}")
        parts = {f"{part}_{r}" for part in ("vertices", "values") for r in dimensions}
        check_arrays(archive, {"format", "version", "dim"} | parts)
        return (
            [archive[f"vertices_{r}"] for r in dimensions],
            [archive[f"values_{r}"] for r in dimensions],
        )


def _is_simplex(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) > 0 and all(map(is_whole, key))
