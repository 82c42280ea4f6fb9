"""The complex of optimised simplices: its geometry in parameter space, and its filtration by the
loss."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import Barcode, DimensionError, FilteredComplex, OptionError
from reduction.data_frames import data_frame
from reduction.reprs import few, name_of
from reduction.validation import is_whole, short_repr
from simplicial.complex_file import Parts, read_complex, write_complex
from simplicial.construction.spent import Spent
from simplicial.critical_points.certificates import Certificates, with_certificates
from simplicial.display import values_html
from simplicial.loss import Loss
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import Simplices, complete_counts
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import lattice
from simplicial.maxima.error_bounds import error_bounds, with_error_bounds
from simplicial.maxima.maxima import Interior, filtration_values, maximum_over_facets
from simplicial.minima import Minima
from simplicial.simplex import Maximum, OptimisedSimplex, Samples

Floats = NDArray[np.float64]

if TYPE_CHECKING:  # loaded where it is used
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class LossComplex:
    """Optimised simplices of dimension 0 .. max_dim on minima, all of each dimension, or those of
    the clique complex of a graph.

    minima          the vertices, their loss and its values there
    simplex_map     the subdivision of every simplex
    resolution      of the lattice on which Algorithm 2 took the maxima
    simplices       for each dimension: vertices and rows of the control points
    control_points  (K, d)
    interiors       for each dimension from 1 on: the loss inside the simplices, and what their
                    maxima may be too low by
    certificates    for each dimension from 0 on: critical points nearby; None if none were sought
    spent           what an anytime build spent, and what ended it; None of a full build
    maxima          for each dimension: the largest loss found on each simplex, faces included; inf
                    where it is not finite on the simplex
    values          for each dimension: f(simplex) = its maximum (Algorithm 2, section 4); where a
                    simplex is highest inside and a critical point lies nearby, the value of that in
                    its place
    filtration      the simplices by their values; those of value inf never appear
    """

    minima: Minima
    simplex_map: SimplexMap
    resolution: int
    simplices: tuple[Simplices, ...]
    control_points: Tensor
    interiors: tuple[Interior, ...]
    certificates: tuple[Certificates, ...] | None = None
    spent: Spent | None = None
    maxima: tuple[Floats, ...] = field(init=False)
    values: tuple[Floats, ...] = field(init=False)
    filtration: FilteredComplex = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.spent, Spent | None):
            raise OptionError(
                f"spent must be that of an anytime build or None, got {short_repr(self.spent)}: "
                "take the `spent` of another complex, or leave it out"
            )
        inside = (self.minima.values, *(interior.maxima.values for interior in self.interiors))
        maxima, values = simplex_values(inside, self.simplices, self.certificates)
        for array in (*maxima, *values):
            array.flags.writeable = False
        object.__setattr__(self, "maxima", maxima)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "filtration", _filtration(self.simplices, values))

    def __repr__(self) -> str:
        counts = few(map(len, self.values))
        highest = few((values.max(initial=-np.inf) for values in self.values), ".6g")
        shown = f"max_dim={self.max_dim}, {counts=!s}, {highest=!s}"
        if any(np.isinf(values).any() for values in self.values):
            shown += f", missing={sum(int(np.isinf(values).sum()) for values in self.values)}"
        return f"LossComplex({shown}, of={name_of(self.minima.loss)})"

    def _repr_html_(self) -> str:
        n, d = self.minima.points.shape
        title = f"LossComplex of {name_of(self.minima.loss)}: {n} vertices in {d} coordinates"
        found = self.certificates
        certified = None if found is None else [int(each.accepted.sum()) for each in found]
        return values_html(title, self.values, self._highest_vertices(), certified)

    def to_pandas(self, r: int = 1) -> "DataFrame":
        """A row for each r-simplex, edges by default: its vertices, and its values.

        vertex_0, ..., vertex_r  ascending
        value                    in the filtration; inf where the loss is not finite on it
        maximum, error_bound     the largest loss found on it, and what that may be too low by
        highest_vertex           the loss there, below which no simplex is
        Raises DimensionError for a dimension that the complex has not, OptionError where pandas
        cannot be imported.
        """
        if not is_whole(r) or not 0 <= r <= self.max_dim:
            raise DimensionError(
                f"the simplices have dimensions 0 to {self.max_dim}, got {short_repr(r)}: ask for "
                "one of these"
            )
        vertices = self.simplices[r].vertices
        columns = {f"vertex_{i}": column for i, column in enumerate(vertices.T)}
        columns |= {"value": self.values[r], "maximum": self.maxima[r]}
        columns |= {"error_bound": self.error_bounds[r]}
        return data_frame(columns | {"highest_vertex": self._highest_vertices()[r]})

    @property
    def max_dim(self) -> int:
        """The top dimension; indices 0 .. max_dim - 1 have a barcode."""
        return len(self.simplices) - 1

    @property
    def missing(self) -> tuple[NDArray[np.int64], ...]:
        """The simplices (m, r+1) of each dimension on which the loss is not finite."""
        pairs = zip(self.simplices, self.values, strict=True)
        return tuple(of.vertices[np.isinf(values)] for of, values in pairs)

    @property
    def error_bounds(self) -> tuple[Floats, ...]:
        """What `maxima` may be too low by, of each dimension: the tolerance of refined ones, or
        more where the refinement budget ended them or those of a face; inf of sampled ones. By the
        rule of refined maxima, which is an estimate and no proof.
        """
        inside = (np.zeros(len(self.minima)), *(one.error_bounds for one in self.interiors))
        return error_bounds(self.maxima, inside, [of.vertices for of in self.simplices])

    @property
    def exhausted(self) -> tuple[NDArray[np.int64], ...]:
        """The simplices (m, r+1) of each dimension whose refined maxima the budget ended."""
        none = np.zeros(len(self.minima), dtype=bool)
        ended = [none, *(interior.exhausted for interior in self.interiors)]
        return tuple(of.vertices[rows] for of, rows in zip(self.simplices, ended, strict=True))

    def save(self, path: str | Path) -> None:
        """Write everything but the loss to an npz file; overwrites."""
        parts = (getattr(self, name) for name in Parts._fields)
        write_complex(path, Parts(*parts))

    @classmethod
    def load(cls, path: str | Path, loss: Loss, device: torch.device | str = "cpu") -> Self:
        """Read what `save` wrote; the loss must be the one that the complex was built for.

        Raises DataError for other content, LossError for another loss, OSError where there is no
        file.
        """
        return cls(*read_complex(path, loss, device))

    def barcode(self, field: int = 2, *, keep_zero: bool = False) -> Barcode:
        """Barcodes of all indices 0 .. max_dim - 1 over Z/field (section 4).

        Index max_dim is not reported: no simplex of the complex could end its bars. Where
        certificates were sought, every end of a bar carries its critical point. Bars that only
        `missing` simplices could end have no end, as with these simplices at the value inf; so
        `w_inf` may be inf. Bars have lowest deaths, and each index an error, see `Barcode.error`:
        no simplex is lower than its highest vertex; an error is no less than what maxima may be too
        low by, inf where they were sampled, or a simplex is missing that bears on the index.
        Raises FieldError for a field that is not prime, OptionError for a loss with periods, of
        which `periodic_images` has the barcode.
        """
        if np.isfinite(self.minima.periods).any():
            raise OptionError(
                "images of a minimum are one in the barcode of a loss with periods, in this "
                "complex they are many: take periodic_images(minima).filtration(complex).barcode()"
            )
        barcode = self.filtration.barcode(field, keep_zero=keep_zero, lower=self._lower_bounds())
        barcode = barcode.with_bounds([self._bounds(barcode, r) for r in range(len(barcode))])
        if self.certificates is None:
            return barcode
        vertices = tuple(of.vertices for of in self.simplices)
        return with_certificates(barcode, self.values, vertices, self.certificates)

    @property
    def evaluations(self) -> int:
        """Number of evaluations of the loss for the maxima, vertices included."""
        return len(self.minima) + sum(interior.evaluations for interior in self.interiors)

    def triplet_barcode(self) -> Floats:
        """Eq. 3: one bar [h1, h2] for each triple of minima, (C(n, 3), 2), triples colexicographic.

        Triples with a missing side have no bar; a missing triangle ends none, h2 is inf.
        h1 is the largest loss on the triangle's sides, h2 on the triangle (Algorithm 2). Four
        minima give four bars, of which the complex has three: the fourth cycle is the sum of the
        others.
        Raises DimensionError for a complex without triangles.
        """
        if self.max_dim < 2:
            raise DimensionError(
                f"eq. 3 needs triangles, the complex has max_dim={self.max_dim}: build it with "
                "max_dim=2"
            )
        edges, triangles = self.simplices[1:3]
        sides = maximum_over_facets(self.values[1], triangles.vertices, edges.vertices)
        bars = np.stack([sides, self.values[2]], axis=1)
        return bars[np.isfinite(sides)]

    def __getattr__(self, name: str) -> Any:
        """Fields by their former names, with a DeprecationWarning."""
        new = {"pool": "control_points", "heights": "maxima"}.get(name)
        if new is None:
            raise AttributeError(f"a LossComplex has no attribute {name!r}")
        warnings.warn(f"LossComplex.{name} is called {new} now", DeprecationWarning, stacklevel=2)
        return getattr(self, new)

    def __getitem__(self, vertices: Sequence[int]) -> OptimisedSimplex:
        """The optimised simplex on these ascending vertices, for example complex[(0, 1, 2)].

        Raises DimensionError for vertices that are no simplex of the complex.
        """
        named = (
            isinstance(vertices, tuple | list | np.ndarray) and getattr(vertices, "ndim", 1) == 1
        )
        if not (named and all(is_whole(v) for v in vertices)):
            raise DimensionError(
                f"a simplex is named by its vertices, got {short_repr(vertices)}: write "
                "complex[(0, 1)], say"
            )
        vertices = tuple(int(v) for v in vertices)
        n, r = len(self.minima), len(vertices) - 1
        ascending = all(a < b for a, b in pairwise(vertices))
        if not (0 <= r <= self.max_dim and ascending and vertices[0] >= 0 and vertices[-1] < n):
            raise DimensionError(
                f"a simplex is 1 to {self.max_dim + 1} ascending vertices from 0 to {n - 1}, got "
                f"{vertices}: sort them, or build a complex with a higher max_dim"
            )
        position = self._position(vertices)
        if position < 0:
            raise DimensionError(
                f"a simplex of this complex has vertices that its graph joins pairwise, {vertices} "
                "has others: name another, or build the complex on a graph with more edges"
            )
        controls = self.control_points[torch.as_tensor(self.simplices[r].controls[position])]
        return OptimisedSimplex(
            vertices,
            controls,
            self.simplex_map,
            self.minima.loss,
            self._maximum(vertices, controls),
            self._samples(vertices),
        )

    def _highest_vertices(self) -> list[Floats]:
        """The loss at the highest vertex of each simplex, by dimension."""
        return [self.values[0][of.vertices].max(axis=1) for of in self.simplices]

    def _lower_bounds(self) -> list[Floats]:
        """The highest vertex of each simplex of the filtration."""
        heights = self.values[0]
        rows = (self.filtration.vertices[r] for r in range(self.max_dim + 1))
        return [heights[vertices].max(axis=1) for vertices in rows]

    def _bounds(self, barcode: Barcode, r: int) -> tuple[Floats, float]:
        """The bounds of index r. Maxima may be too low, so that bars are longer by that at most."""
        found = barcode.bounds(r)
        assert found is not None
        return found.lowest_deaths, with_error_bounds(found.error, self.error_bounds[r : r + 2])

    def _maximum(self, vertices: tuple[int, ...], controls: Tensor) -> Maximum:
        """The maximum, and where: on the lowest face that attains it."""
        value = float(self.maxima[len(vertices) - 1][self._position(vertices)])
        t = np.zeros(len(vertices))
        for face in _faces(len(vertices)):
            inside, at = self._inside(tuple(vertices[i] for i in face))
            if inside == value:
                t[list(face)] = at
                break
        return Maximum(value, t, interpolate(controls, self.simplex_map, t[None])[0])

    def _inside(self, vertices: tuple[int, ...]) -> tuple[float, Floats]:
        if len(vertices) == 1:
            return float(self.minima.values[vertices[0]]), np.ones(1)
        maxima, position = self.interiors[len(vertices) - 2].maxima, self._position(vertices)
        return float(maxima.values[position]), maxima.barycentric[position]

    def _position(self, vertices: tuple[int, ...]) -> int:
        """Of a simplex among those of its dimension; -1 where it is not there."""
        return int(self.simplices[len(vertices) - 1].positions(np.array(vertices)))

    def _samples(self, vertices: tuple[int, ...]) -> Samples | None:
        """The lattice of the simplex, put together from the interiors of its faces."""
        r = len(vertices) - 1
        kept = [interior.samples for interior in self.interiors[:r]]
        points = lattice(r, self.resolution) / self.resolution
        loss, accuracy = np.empty(len(points)), np.full(len(points), np.nan)
        for face in _faces(r + 1):
            here = _on_interior(points, face)
            if len(face) == 1:
                loss[here] = self.minima.values[vertices[face[0]]]
                accuracy[here] = self._vertex_accuracy(vertices[face[0]])
                continue
            samples = kept[len(face) - 2]
            if samples is None:
                return None
            rank = self._position(tuple(vertices[i] for i in face))
            if np.isinf(self.maxima[len(face) - 1][rank]):
                return None
            loss[here] = samples.loss[rank]
            if samples.accuracy is not None:
                accuracy[here] = samples.accuracy[rank]
        return Samples(points, loss, None if np.isnan(accuracy).any() else accuracy)

    def _vertex_accuracy(self, vertex: int) -> float:
        accuracy = self.minima.accuracy
        return np.nan if accuracy is None else float(accuracy[vertex])


def simplex_values(
    inside: tuple[Floats, ...],
    simplices: tuple[Simplices, ...],
    certificates: tuple[Certificates, ...] | None,
) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
    """f of all simplices by dimension: of the maxima found, and with critical values in place of
    those where certificates were sought.

    inside  the largest loss inside each simplex, by dimension; at the minima their loss
    """
    maxima = _filtration_values(inside, simplices)
    if certificates is None:
        return maxima, maxima
    certified = map(_certified, maxima, certificates)
    return maxima, _filtration_values(tuple(certified), simplices)


def _filtration_values(
    inside: tuple[Floats, ...], simplices: tuple[Simplices, ...]
) -> tuple[Floats, ...]:
    """f of all simplices by dimension, from the largest loss inside each."""
    values = [inside[0]]
    for own, (facets, of) in zip(inside[1:], pairwise(simplices), strict=True):
        values.append(filtration_values(own, of.vertices, values[-1], facets.vertices))
    return tuple(values)


def _certified(maxima: Floats, found: Certificates) -> Floats:
    """Critical values in place of the maxima inside that lie near them; -inf of other simplices."""
    own = np.where(np.isinf(maxima), maxima, -np.inf)
    own[found.simplices] = np.where(found.accepted, found.values, maxima[found.simplices])
    return own


def _filtration(simplices: tuple[Simplices, ...], values: tuple[Floats, ...]) -> FilteredComplex:
    there = [np.isfinite(of_dimension) for of_dimension in values]
    counts = complete_counts(len(values[0]), len(values) - 1)
    is_complete = [len(each) for each in values] == counts and counts[-1] > 0
    if is_complete and all(each.all() for each in there):
        return FilteredComplex.complete(len(values[0]), values)
    parts = list(zip(simplices, values, there, strict=True))
    return FilteredComplex(
        [of.vertices[finite] for of, _, finite in parts],
        [of_dimension[finite] for _, of_dimension, finite in parts],
    )


def _faces(count: int) -> list[tuple[int, ...]]:
    """All faces of a simplex with `count` vertices, as positions, by dimension."""
    return [face for k in range(1, count + 1) for face in combinations(range(count), k)]


def _on_interior(points: Floats, face: tuple[int, ...]) -> NDArray[np.int64]:
    inside = np.zeros(points.shape[1], dtype=bool)
    inside[list(face)] = True
    return np.flatnonzero(((points > 0) == inside).all(axis=1))
