"""Construction state: the control points of a complex, and what is known of the dimensions that are
finished.

The dimension under construction, `dim`, is cut into chunks of simplices (`chunk`); their results
are added (`add_results`), and `finish_dimension` gives the state in which f is known on it.
"""

import warnings
from dataclasses import dataclass, replace
from math import comb
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.construction.chunks import Chunk, ChunkResult
from simplicial.display import dimension_name
from simplicial.domains.images import Images, Translates
from simplicial.errors import LossWarning, NotFiniteError
from simplicial.evaluation import values_and_gradients
from simplicial.loss import Loss, ValueAndGradient
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import Layout, Simplices, lay_out, straight
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import interior_lattice
from simplicial.maxima.maxima import Interior, Maxima, filtration_values, maximum_over_facets
from simplicial.minima import Minima
from simplicial.optimizers.base import OptimisationProblem
from simplicial.options import BuildOptions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PICTURED = 2  # highest dimension whose lattice values are kept: what a picture can show
KEPT_BYTES = 16  # loss and accuracy of a lattice point


@dataclass(frozen=True, slots=True, eq=False)
class ConstructionState:
    """A complex under construction.

    Control points and the loss there are buffers that `add_results` writes into, and that a state
    shares with the one that `finish_dimension` makes of it.

    loss            the function whose simplices they are
    layout          rows of the control points
    control_points  (K, d), of which those of finished simplices have their final place
    at_controls     the loss and its gradient at these; None where gradients are not wanted
    options         as `build_complex` was given them
    values          f on each finished dimension, (m,) float64; inf where a simplex, or a face of
                    it, has no finite loss
    error_bounds    of each finished dimension: what each maximum may be too low by, (m,); inf for a
                    sampled one
    interiors       of each finished dimension, vertices that were given excepted
    starts          (K, d) the control points before they were trained, where this was done with
                    their faces; None: each simplex is trained for itself
    images          vertices that are images of one another by periods of the loss; None: it has
                    none. Of simplices that are translates the first is finished for all
    """

    loss: Loss
    layout: Layout
    control_points: Tensor
    at_controls: ValueAndGradient | None
    options: BuildOptions
    values: tuple[Floats, ...] = ()
    error_bounds: tuple[Floats, ...] = ()
    interiors: tuple[Interior, ...] = ()
    starts: Tensor | None = None
    images: Images | None = None

    @classmethod
    def of_points(cls, loss: Loss, points: Tensor, layout: Layout, options: BuildOptions) -> Self:
        """Vertices (n, d) that are still to be trained."""
        return cls(loss, layout, points.clone(), None, options)

    @classmethod
    def of_vertices(
        cls, minima: Minima, layout: Layout, options: BuildOptions, *, gradients: bool
    ) -> Self:
        """Vertices at minima, whose loss is known, and straight simplices between them.

        gradients  whether the loss's gradients at control points are wanted
        """
        points, loss = minima.points, minima.loss
        controls, at_controls = straight(points, layout), None
        if gradients:
            n, unknown = len(points), np.full(len(controls), np.nan)
            at_controls = ValueAndGradient(unknown, torch.empty_like(controls))
            at_vertices = values_and_gradients(loss, points, options.memory)
            at_controls.values[:n], at_controls.gradients[:n] = at_vertices
        images = Images.among(points.double().cpu().numpy(), minima.periods)
        values, bounds = (minima.values,), (np.zeros(len(points)),)
        return cls(loss, layout, controls, at_controls, options, values, bounds, images=images)

    @property
    def dim(self) -> int:
        """The dimension under construction."""
        return len(self.values)

    @property
    def simplex_map(self) -> SimplexMap:
        """The subdivision of all simplices."""
        return self.layout.simplices[0].simplex_map

    @property
    def simplices(self) -> Simplices:
        """The simplices under construction."""
        return self.layout.simplices[self.dim]

    @property
    def face_maxima(self) -> Floats:
        """The largest loss on the faces of each simplex, (m,); -inf for vertices."""
        vertices = self.simplices.vertices
        if not self.values:
            return np.full(len(vertices), -np.inf)
        return maximum_over_facets(self.values[-1], vertices, self.layout.facets(self.dim))

    def has_moved(self, facets: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether a facet of each simplex (m,) under construction is among those that moved."""
        moved = facets.astype(np.float64)
        return maximum_over_facets(moved, self.simplices.vertices, self.layout.facets(self.dim)) > 0

    @property
    def lowest_vertex(self) -> int:
        """The lowest minimum."""
        return int(np.argmin(self.values[0]))

    @property
    def at_lowest(self) -> NDArray[np.bool_]:
        """Whether the lowest minimum is a vertex of each simplex (m,) under construction."""
        return (self.simplices.vertices == self.lowest_vertex).any(axis=1)

    @property
    def translates(self) -> Translates:
        """Of the simplices (m,) under construction; without images each is its own first."""
        m, d = len(self.simplices.vertices), self.control_points.shape[1]
        if self.images is None:
            return Translates(np.arange(m), np.broadcast_to(0.0, (m, d)))
        return self.images.translates(self.simplices.vertices)

    @property
    def lattice_size(self) -> int:
        """Number of points inside a simplex that Algorithm 2 evaluates."""
        return len(interior_lattice(self.dim, self.options.resolution))

    def order(self) -> Ints:
        """All simplices (m,), in the order in which a barcode is known soonest.

        Those at the lowest minimum come first: they are a cone, in which all classes end, so that
        from then on every bar has an end, which the rest can only lower. Of these, and of the rest,
        those with low faces come first.
        """
        if not self.values:
            return np.arange(len(self.simplices.vertices))
        return np.lexsort((self.face_maxima, ~self.at_lowest))

    def chunk(self, which: Ints, *, trains: bool) -> Chunk:
        """Some simplices (m,), ascending, with what is known of their faces."""
        every, r = self.simplices, self.dim
        rows, local = np.unique(every.controls[which], return_inverse=True)
        inside = slice(int(np.searchsorted(rows, self.layout.starts[r])), len(rows))
        vertices = int(np.searchsorted(rows, self.layout.starts[1])) if r else 0
        at, at_faces = torch.as_tensor(rows, device=self.control_points.device), None
        if self.at_controls is not None:
            faces = slice(inside.start)
            at_faces = ValueAndGradient(
                self.at_controls.values[rows[faces]], self.at_controls.gradients[at[faces]]
            )
        problem = OptimisationProblem(
            Simplices(every.vertices[which], local.reshape(len(which), -1), every.simplex_map),
            inside,
            slice(vertices, inside.start),
            self.options.seed,
            self.options.memory,
            face_maxima=self.face_maxima[which],
            at_faces=at_faces,
            refinement_budget=self.options.refinement_budget,
        )
        size = len(every.vertices) * self.lattice_size * KEPT_BYTES
        return Chunk(
            problem,
            self.control_points[at],
            self.options,
            trains=trains,
            gradients=self.at_controls is not None,
            keeps=r == 0 or (r <= PICTURED and size <= self.options.memory),
            starts=None if self.starts is None else self.starts[at[inside]],
        )

    def add_results(self, which: Ints, result: ChunkResult) -> None:
        """Write control points inside simplices (m,), and the loss there, in place; for the first
        of translates those of all.
        """
        own, translates = result.points.shape[1], self.translates
        order = np.argsort(which)
        members = np.flatnonzero(np.isin(translates.first, which))
        source = order[np.searchsorted(which[order], translates.first[members])]
        rows = self.layout.starts[self.dim] + members[:, None] * own + np.arange(own)
        at = torch.as_tensor(rows, device=self.control_points.device)
        self.control_points[at] = result.points[source].to(self.control_points)
        if self.images is not None:
            by = torch.as_tensor(translates.by[members]).to(self.control_points)
            self.control_points[at] += by[:, None]
        if self.at_controls is not None:
            assert result.at_points is not None
            self.at_controls.values[rows] = result.at_points.values[source]
            gradients = result.at_points.gradients[source].to(self.control_points)
            self.at_controls.gradients[at] = gradients

    def with_segments(self, segments: int, result: ChunkResult) -> Self:
        """The state of edges under construction in whose complex all simplices have `segments`
        segments, a multiple of those of before: edges are the maps that they were.

        result  of the edges, of which the finite ones have the loss at their new control points
        """
        edges, dim = self.simplices, len(self.layout.simplices) - 1
        if edges.simplex_map == Edgewise(segments):
            return self
        n, t = len(self.values[0]), Edgewise(segments).control_points(1)
        is_complete = len(edges.vertices) == comb(n, 2)
        graph = None if is_complete else edges.vertices
        layout = lay_out(n, dim, Edgewise(segments), graph)
        points = straight(self.control_points[:n], layout)
        for old, new in zip(edges.controls, layout.simplices[1].controls, strict=True):
            path = self.control_points[torch.as_tensor(old)]
            points[torch.as_tensor(new)] = interpolate(path, edges.simplex_map, t)
        points[:n] = self.control_points[:n]
        finer = replace(self, layout=layout, control_points=points)
        if self.at_controls is None:
            return finer
        values, slopes = np.full(len(points), np.nan), torch.empty_like(points)
        finite = layout.simplices[1].controls[result.failed == ""]
        for rows in (np.arange(n), np.setdiff1d(finite, np.arange(n))):
            at, memory = torch.as_tensor(rows, device=points.device), self.options.memory
            values[rows], slopes[at] = values_and_gradients(self.loss, points[at], memory)
        return replace(finer, at_controls=ValueAndGradient(values, slopes))

    def result_of(self, number: int, result: ChunkResult) -> ChunkResult:
        """The result of one simplex under construction, with its points.

        result  of all of them, without
        """
        one, r = result.part(np.array([number])), self.dim
        own = (self.layout.starts[r + 1] - self.layout.starts[r]) // len(self.simplices.vertices)
        rows = self.layout.starts[r] + number * own + np.arange(own)
        at, found = torch.as_tensor(rows, device=self.control_points.device), None
        if self.at_controls is not None:
            slopes = self.at_controls.gradients[at].cpu()
            found = ValueAndGradient(self.at_controls.values[rows][None], slopes[None])
        return replace(one, points=self.control_points[at].cpu()[None], at_points=found)

    def of_all(self, result: ChunkResult) -> ChunkResult:
        """Results of all simplices, from those of the first of translates, in their order."""
        first = self.translates.first
        firsts, inverse = np.unique(first, return_inverse=True)
        if len(firsts) == len(first):
            return result
        every, is_own = result.part(inverse.reshape(-1)), first == np.arange(len(first))
        return replace(every, evaluations=np.where(is_own, every.evaluations, 0))

    def finish_dimension(self, result: ChunkResult) -> Self:
        """The state in which all simplices have their results, in their order.

        Warns of those without a finite loss. Raises LossError where no edge has one.
        """
        finished = self.with_results(result)
        warn_failed(self.simplices, result)
        return finished

    def of_one_vertex(self) -> Self:
        """The state in which nothing is left to do, as there are no simplices but a vertex."""
        none = np.empty(0)
        interiors = tuple(
            Interior(Maxima(none, np.empty((0, r + 1))), None, 0, none, np.empty(0, dtype=bool))
            for r in range(1, len(self.layout.simplices))
        )
        empty = (none,) * len(interiors)
        values, bounds = (*self.values, *empty), (*self.error_bounds, *empty)
        return replace(self, values=values, error_bounds=bounds, interiors=interiors)

    def with_results(self, result: ChunkResult) -> Self:
        """Likewise, without a warning: of results that are not the last ones.

        Raises LossError where no edge has a finite loss.
        """
        check_finite(self.simplices, result)
        evaluations = int(result.evaluations.sum())
        if self.dim == 1 and self.options.tolerance is not None:
            evaluations += len(self.values[0])  # gradients at the vertices
        below, facets = None, None
        if self.values:
            below, facets = self.values[-1], self.layout.facets(self.dim)
        inside, vertices = result.maxima.values, self.simplices.vertices
        interior = Interior(
            result.maxima, result.samples, evaluations, result.error_bounds, result.exhausted
        )
        return replace(
            self,
            values=(*self.values, filtration_values(inside, vertices, below, facets)),
            error_bounds=(*self.error_bounds, result.error_bounds),
            interiors=(*self.interiors, interior),
        )


def check_finite(simplices: Simplices, result: ChunkResult) -> None:
    """Raise LossError if all edges failed."""
    if simplices.dim == 1 and (result.failed != "").all():
        raise NotFiniteError(
            f"edges need a finite loss, none of {len(result.failed)} has one; the first failed "
            f"since {result.failed[0]}"
        )


def warn_failed(simplices: Simplices, result: ChunkResult) -> None:
    """Warn of simplices that failed or were retried."""
    every, failed = simplices.vertices, result.failed != ""
    bound = float(result.error_bounds[result.exhausted].max(initial=0.0))
    unsure = (
        f"have maxima whose refinement ended by its budget, and that may be {bound:.3g} too low"
    )
    worse = "were worse after training than where it began, and keep their start"
    if not simplices.dim:
        worse = "have a higher loss than the networks that training began from, and are no minima"
    for which, what, remedy in (
        (failed, "have no finite loss and are missing", ""),
        (result.retried & ~failed & ~result.worsened, "were trained with smaller steps", ""),
        (result.worsened, worse, ": choose smaller steps"),
        (result.exhausted & ~failed, unsure, ": raise refinement_budget"),
    ):
        if which.any():
            first = int(np.argmax(which))
            name = tuple(every[first].tolist()) if simplices.dim else first
            why = f": {result.failed[first]}" if failed[first] else remedy
            kind = dimension_name(simplices.dim)
            message = f"{which.sum()} of {len(every)} {kind} {what}, first {name}{why}"
            warnings.warn(message, LossWarning, stacklevel=5)
