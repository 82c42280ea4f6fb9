"""Mending: simplices that end bars, lowered once more where they are at no critical point.

A relaxation that begins on a ridge of symmetry stays there, and one in a winding valley may end
before it is at rest. The highest point of a simplex of dimension r then has further directions of
negative curvature, beside r of its own, or it is no critical point at all. Simplices that end bars
are looked at, since the others only cost: of edges those of the minimum spanning forest. One is
pushed aside along its directions of negative curvature, in their span in a seeded direction, both
ways, and relaxed again; an edge may also be replaced by a chain of passes (`pass_chains`). What is
lower stays, by its refined maximum; then those are looked at that end bars now.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import FilteredComplex
from simplicial.configuration import torch_threads
from simplicial.construction.chunks import Chunk, ChunkResult
from simplicial.construction.finishing import finish
from simplicial.construction.state import ConstructionState
from simplicial.critical_points.certificates import check_second_derivatives
from simplicial.critical_points.eigenvector_following import follow
from simplicial.critical_points.pass_chains import Passes, with_segments
from simplicial.critical_points.quadratic_model import DENSE
from simplicial.errors import LossError, NotFiniteError
from simplicial.evaluation import derivatives
from simplicial.loss import Loss, StochasticLoss
from simplicial.maps.interpolation import interpolate
from simplicial.maxima.refined import rounding_error
from simplicial.optimizers.base import Optimizer
from simplicial.optimizers.nudged_elastic import NudgedElastic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT = 1e-7  # share of the range of values within which two are the same
NEGATIVE = 1e-4  # curvature across, over the largest, below which it is negative
PUSH = 1.0  # of the highest point aside, over the longest edge of its piece
PUSHES = 4  # of a simplex, at most
FIELD = 2  # of the coefficients of the bars
ITERATIONS = 30  # of the search for the critical point beside a highest point


def mends(state: ConstructionState, optimizer: Optimizer) -> bool:
    """Whether simplices of the dimension under construction are mended.

    They are not for another optimizer than `NudgedElastic`, or with `mend=False`, and a loss with
    mini-batches or without second derivatives by torch, or of more than `DENSE` variables.
    """
    points, r = state.control_points, state.dim
    if not isinstance(optimizer, NudgedElastic) or not optimizer.mend:
        return False
    if not r or points.shape[1] > DENSE:
        return False
    if isinstance(state.loss, StochasticLoss):
        return False
    try:
        check_second_derivatives(state.loss, points[0])
    except LossError:
        return False
    return True


def lowered(
    state: ConstructionState, optimizer: Optimizer, result: ChunkResult
) -> dict[int, ChunkResult]:
    """Results of simplices that end bars and could be lowered, by their number; see `mends`.

    result  of all under construction, without their points, which are in the state, and are changed
            there
    Those whose refinement ended by its budget stay: where the loss is that rough, highest points
    say nothing, and each attempt would take the budget again.
    """
    assert isinstance(optimizer, NudgedElastic), "no other one mends"
    looked_at = set[int](np.flatnonzero(result.exhausted).tolist())
    found = dict[int, ChunkResult]()
    with torch_threads(state.options.threads):
        while True:
            left = [n for n in _ending_bars(state, result) if n not in looked_at]
            if not left:
                return found
            for number in left:
                looked_at.add(number)
                lower = _Mending(state, optimizer, number, result).lower()
                if lower is not None:
                    found[number] = lower
                    result = with_lower(state, result, number, lower)
                    break


def _ending_bars(state: ConstructionState, result: ChunkResult) -> list[int]:
    """The simplices under construction that end bars, the lowest first."""
    own = np.maximum(result.maxima.values, state.face_maxima)
    parts = [
        (of.vertices[np.isfinite(values)], values[np.isfinite(values)])
        for of, values in zip(state.layout.simplices, (*state.values, own), strict=False)
    ]
    barcode = FilteredComplex([part[0] for part in parts], [part[1] for part in parts])
    _, deaths = barcode.barcode(FIELD).pairs(state.dim - 1)
    number = {tuple(v): i for i, v in enumerate(state.simplices.vertices.tolist())}
    found = [number[tuple(death)] for death in deaths.tolist() if death[0] >= 0]
    return sorted(found, key=lambda n: (own[n], n))


def with_lower(
    state: ConstructionState, result: ChunkResult, number: int, lower: ChunkResult
) -> ChunkResult:
    """The results with another one of a simplex, whose points go to the state."""
    which = np.array([number])
    state.add_results(which, lower)
    before = result.evaluations[which]
    lower = replace(lower.without_points(), evaluations=lower.evaluations + before)
    others = np.setdiff1d(np.arange(len(result.failed)), which)
    order = np.argsort(np.concatenate([others, which]))
    return ChunkResult.joined([result.part(others), lower]).part(order)


class _Top(NamedTuple):
    """The highest point (d,) of a simplex, and its surroundings.

    t        (r+1,) barycentric coordinates
    reach    the longest edge of the linear piece that holds it
    value    the loss there
    across   (d, q) directions of negative curvature across the simplex
    """

    point: Tensor
    t: Floats
    reach: float
    value: float
    across: Floats


@dataclass(frozen=True, slots=True)
class _Mending:
    """One simplex, as it stands in the state."""

    state: ConstructionState
    optimizer: NudgedElastic
    number: int
    result: ChunkResult

    def lower(self) -> ChunkResult | None:
        """The result of a lower simplex; None where none is found."""
        chunk = self.state.chunk(np.array([self.number]), trains=False)
        value = float(self.result.maxima.values[self.number])
        t, best = self.result.maxima.barycentric[self.number], None
        for _ in range(PUSHES):
            found = self._lowered(chunk, value, t)
            if found is None:
                return best
            chunk, best = chunk.with_inside(found.points.flatten(0, 1)), found
            value, t = float(found.maxima.values[0]), found.maxima.barycentric[0]
        return best

    def _lowered(self, chunk: Chunk, value: float, t: Floats) -> ChunkResult | None:
        """The lowest of what is tried once, where it is lower than a value."""
        assert chunk.problem.face_maxima is not None, "faces stand still"
        faces, tolerance = float(chunk.problem.face_maxima[0]), self._tolerance(value)
        if not chunk.own or value <= faces + tolerance:
            return None
        try:
            top = _top(self.state.loss, chunk, t)
            if self._is_settled(top, value - tolerance):
                return None
        except NotFiniteError:
            return None
        best = None
        for inside in self._tried(chunk, top, value, tolerance):
            found = self._measured(chunk, inside)
            if found is not None and found.maxima.values[0] < value - tolerance:
                best, value = found, float(found.maxima.values[0])
                if chunk.problem.simplices.dim == 1:
                    break
        return best

    def _tolerance(self, value: float) -> float:
        values = np.concatenate([*self.state.values, [value]])
        values = values[np.isfinite(values)]
        share = EXACT if self.state.options.tolerance is None else self.state.options.tolerance
        noise = float(rounding_error(values, self.state.control_points))
        return max(share * float(np.ptp(values)), noise)

    def _is_settled(self, top: _Top, level: float) -> bool:
        """Whether a simplex's value is that of the critical point beside its highest point, or its
        highest point is at rest across it.
        """
        if self.state.dim > 1:
            return not top.across.shape[1]
        start = top.point[None]
        found = follow(self.state.loss, start, 1, top.reach, ITERATIONS, leash=2.0)
        return bool(found.morse[0] == 1 and found.values[0] >= level)

    def _tried(self, chunk: Chunk, top: _Top, value: float, tolerance: float) -> Iterator[Tensor]:
        """Inner control points (i, d) of simplices that may be lower."""
        starts = [chunk.control_points[chunk.problem.inside]]
        if top.across.shape[1]:
            starts = self._pushed(chunk, top)
        if self.state.dim == 1:
            path = self._over_passes(chunk, starts, value, tolerance)
            if path is not None:
                yield path
            if not top.across.shape[1]:
                return
        for start in starts:
            moved = chunk.with_inside(start)
            points = moved.control_points.clone()
            try:
                self.optimizer.relax(self.state.loss, points, moved.problem)
            except NotFiniteError:
                continue
            yield points[moved.problem.inside]

    def _pushed(self, chunk: Chunk, top: _Top) -> list[Tensor]:
        """The simplex pushed aside, both ways: its highest point by about the length of a piece."""
        simplices = chunk.problem.simplices
        entropy = np.random.SeedSequence(
            chunk.problem.seed, spawn_key=tuple(simplices.vertices[0].tolist())
        )
        mixture = np.random.default_rng(entropy).standard_normal(top.across.shape[1])
        aside = torch.as_tensor(top.across @ mixture / np.linalg.norm(mixture)).to(top.point)
        t = simplices.simplex_map.control_points(simplices.dim)
        with np.errstate(divide="ignore"):
            share = np.where(top.t > 0, t / np.where(top.t > 0, top.t, 1.0), np.inf).min(axis=1)
        inner = (t > 0).all(axis=1)
        push = PUSH * top.reach * torch.as_tensor(share[inner]).to(aside)[:, None] * aside
        inside = chunk.control_points[chunk.problem.inside]
        return [inside + push, inside - push]

    def _over_passes(
        self, chunk: Chunk, starts: list[Tensor], value: float, tolerance: float
    ) -> Tensor | None:
        """Inner control points of a path over passes below a value; None where none is found."""
        paths = [_controls(chunk.with_inside(start)) for start in starts]
        ends = [paths[0][0], paths[0][-1]]
        reach = float((paths[0][1:] - paths[0][:-1]).norm(dim=1).max())
        memory = self.state.options.memory
        passes = Passes(self.state.loss, reach, tolerance, memory, ends)
        try:
            chain = passes.chain(paths, value - tolerance, self._between)
            if chain is None:
                return None
            found = with_segments(self.state.loss, chain, len(paths[0]) - 1, tolerance)
        except NotFiniteError:
            return None
        return None if found is None else found[1:-1]

    def _between(self, one: Tensor, other: Tensor) -> Tensor:
        """A path (c, d) between two points, bent to one side, so that it is on no ridge."""
        share = torch.linspace(0, 1, self.optimizer.segments + 1).to(one)[:, None]
        entropy = np.random.SeedSequence(self.state.options.seed, spawn_key=(self.number,))
        aside = torch.as_tensor(np.random.default_rng(entropy).standard_normal(len(one))).to(one)
        aside *= (other - one).norm() / (len(share) - 1) / aside.norm()
        return one + share * (other - one) + (np.pi * share).sin() * aside

    def _measured(self, chunk: Chunk, inside: Tensor) -> ChunkResult | None:
        """The result of other control points inside; None where the loss is not finite."""
        found = finish(self.state.loss, self.optimizer, chunk.with_inside(inside))
        return None if found.failed[0] else found


def _controls(chunk: Chunk) -> Tensor:
    """Control points (c, d) of the one simplex of a chunk."""
    return chunk.control_points[torch.as_tensor(chunk.problem.simplices.controls[0])]


def _top(loss: Loss, chunk: Chunk, t: Floats) -> _Top:
    """The highest point, at barycentric coordinates (r+1,). Raises NotFiniteError."""
    simplex_map, controls = chunk.problem.simplices.simplex_map, _controls(chunk)
    point = interpolate(controls, simplex_map, t[None])[0]
    at = derivatives(loss, point[None])
    hessian = at.hessians[0].double().cpu().numpy()
    if not (np.isfinite(hessian).all() and np.isfinite(t).all()):
        raise NotFiniteError("second derivatives must be finite at a highest point")
    corners = controls[torch.as_tensor(simplex_map.locate(t[None]).corners[0])]
    sides = (corners[1:] - corners[:1]).double().cpu().numpy()
    tangent, _ = np.linalg.qr(sides.T)
    normal = np.eye(len(hessian)) - tangent @ tangent.T
    curvature, axes = np.linalg.eigh(normal @ hessian @ normal)
    negative = curvature < -NEGATIVE * np.abs(np.linalg.eigvalsh(hessian)).max()
    pairs = corners[:, None] - corners[None]
    reach = float(pairs.norm(dim=2).max())
    return _Top(point, t, reach, float(at.values[0]), axes[:, negative])
