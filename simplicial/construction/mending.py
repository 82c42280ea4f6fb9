"""Mending: simplices that end bars, lowered once more where they are at no critical point.

A relaxation that begins on a ridge of symmetry stays there, and one in a winding valley may end
before it is at rest. The highest point of a simplex of dimension r then has further directions of
negative curvature, beside r of its own, or it is no critical point at all. Simplices that end bars
are examined, since the others only cost: of edges those of the minimum spanning forest. One is
pushed aside along its directions of negative curvature, in their span in a seeded direction, both
ways, and relaxed again; an edge may also be replaced by a chain of passes (`pass_chains`). What is
lower stays, by its refined maximum; then those are examined that end bars now. Where a chain needs
more segments than edges have, the simplices of the whole complex are divided into as many times
more: edges that are finished stay the maps that they are. An edge that ends a bar and is at no pass
in the end has a value that may be too high: a LossWarning names it.
"""

import warnings
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
from simplicial.critical_points.pass_chains import Chain, Lines, Passes, halved, polyline
from simplicial.critical_points.quadratic_model import DENSE
from simplicial.errors import LossError, LossWarning, NotFiniteError
from simplicial.evaluation import derivatives
from simplicial.loss import Loss, StochasticLoss
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.interpolation import interpolate
from simplicial.maxima.refined import rounding_error
from simplicial.optimizers.base import Optimizer
from simplicial.optimizers.nudged_elastic import NudgedElastic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT = 1e-7  # share of the range of values within which two are the same
NEGATIVE = 1e-4  # curvature across, over the largest, below which it is negative
PUSH = 1.0  # of the highest point aside, over the longest edge of its piece
PARTS = 24, 96, 384  # of a line over passes, between which the loss is taken; more if need be
PUSHES = 4  # of a simplex, at most
FIELD = 2  # of the coefficients of the bars
ITERATIONS = 30  # of the search for the critical point beside a highest point
FINER = 8, 2  # times as many segments, at most: of a graph, and of complexes with triangles


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


class Mended(NamedTuple):
    """What mending leaves.

    state      of the construction, whose simplices may have more segments than before
    result     of all simplices under construction, without their points, which are in the state
    numbers    of the simplices that were lowered
    unsettled  numbers of edges that end bars and are at no pass, as far as was found
    segments   that their chains of passes would need, the most of all; 0 where none is known
    """

    state: ConstructionState
    result: ChunkResult
    numbers: Ints
    unsettled: Ints
    segments: int


def mended(state: ConstructionState, optimizer: Optimizer, result: ChunkResult) -> Mended:
    """Simplices that end bars lowered where they could be; see `mends`.

    result  of all under construction, without their points, which are in the state, and are changed
            there
    Those whose refinement ended by its budget stay: where the loss is that rough, highest points
    say nothing, and each attempt would take the budget again.
    """
    assert isinstance(optimizer, NudgedElastic), "no other one mends"
    rough = set[int](np.flatnonzero(result.exhausted).tolist())
    examined, numbers, open_ends = set(rough), set[int](), dict[int, int]()
    most = optimizer.segments * FINER[0 if len(state.layout.simplices) == 2 else 1]
    with torch_threads(state.options.threads):
        while True:
            ending = _ending_bars(state, result)
            left = [n for n in ending if n not in examined]
            if not left:
                break
            number = left[0]
            examined.add(number)
            found = _Mending(state, optimizer, number, result, most).lower()
            if found.lower is not None:
                numbers.add(number)
                state = state.with_segments(found.segments, result)
                evaluations = found.lower.evaluations + result.evaluations[[number]]
                lower = replace(found.lower, evaluations=evaluations)
                result = with_lower(state, result, number, lower)
            if not found.is_settled and state.dim == 1:
                open_ends[number] = found.needs
    unsettled = [n for n in ending if n in open_ends]
    needs = max((open_ends[n] for n in unsettled), default=0)
    which = [np.array(sorted(some), np.int64) for some in (numbers, unsettled)]
    return Mended(state, result, which[0], which[1], needs)


def warn_unsettled(state: ConstructionState, unsettled: Ints, segments: int) -> None:
    """Warn of edges that end bars and are at no pass; see `Mended`."""
    if not len(unsettled):
        return
    first = tuple(state.simplices.vertices[unsettled[0]].tolist())
    remedy = f"give segments={segments}" if segments else "give more steps or segments"
    warnings.warn(
        f"{len(unsettled)} of {len(state.simplices.vertices)} edges end bars at no pass, so that "
        f"their values may be too high, first {first}: {remedy}",
        LossWarning,
        stacklevel=5,
    )


def _ending_bars(state: ConstructionState, result: ChunkResult) -> list[int]:
    """The simplices under construction that end bars, the lowest first; of translates the first."""
    own = np.maximum(result.maxima.values, state.face_maxima)
    parts = [
        (of.vertices[np.isfinite(values)], values[np.isfinite(values)])
        for of, values in zip(state.layout.simplices, (*state.values, own), strict=False)
    ]
    barcode = FilteredComplex([part[0] for part in parts], [part[1] for part in parts])
    _, deaths = barcode.barcode(FIELD).pairs(state.dim - 1)
    number = {tuple(v): i for i, v in enumerate(state.simplices.vertices.tolist())}
    found = [number[tuple(death)] for death in deaths.tolist() if death[0] >= 0]
    firsts = set(state.translates.first[found].tolist())
    return sorted(firsts, key=lambda n: (own[n], n))


def with_lower(
    state: ConstructionState, result: ChunkResult, number: int, lower: ChunkResult
) -> ChunkResult:
    """The results with another one of a simplex, whose points go to the state."""
    which = np.flatnonzero(state.translates.first == number)  # itself, and what is it elsewhere
    state.add_results(np.array([number]), lower)
    evaluations = np.where(which == number, lower.evaluations, result.evaluations[which])
    every = lower.without_points().part(np.zeros(len(which), np.int64))
    lower = replace(every, evaluations=evaluations)
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


class _Outcome(NamedTuple):
    """The result of a lower simplex, None where none was found.

    segments    that the complex's simplices have with it
    is_settled  whether its highest point is a critical point, or it is no higher than its faces
    needs       segments of a chain of passes that would be lower; 0 where none is known
    """

    lower: ChunkResult | None
    segments: int
    is_settled: bool
    needs: int


@dataclass(slots=True)
class _Mending:
    """One simplex, as it stands in the state.

    most   segments that simplices may have
    needs  see `_Outcome`
    """

    state: ConstructionState
    optimizer: NudgedElastic
    number: int
    result: ChunkResult
    most: int
    needs: int = 0

    def lower(self) -> _Outcome:
        """What is found lower, again and again."""
        chunk = self.state.chunk(np.array([self.number]), trains=False)
        value = float(self.result.maxima.values[self.number])
        t, best, is_settled = self.result.maxima.barycentric[self.number], None, False
        for _ in range(PUSHES):
            if is_settled := self._is_settled(chunk, value, t):
                break
            found = self._lowered(chunk, value, t)
            if found is None:
                break
            chunk, best = chunk.along(found.points[0]), found
            value, t = float(found.maxima.values[0]), found.maxima.barycentric[0]
        else:
            is_settled = self._is_settled(chunk, value, t)
        return _Outcome(best, _segments(chunk), is_settled, 0 if is_settled else self.needs)

    def _is_settled(self, chunk: Chunk, value: float, t: Floats) -> bool:
        """Whether a simplex's value is one of its faces', or that of the critical point beside its
        highest point; of a triangle or more, whether its highest point is at rest across it.
        """
        assert chunk.problem.face_maxima is not None, "faces stand still"
        tolerance = self._tolerance(value)
        if not chunk.own or value <= float(chunk.problem.face_maxima[0]) + tolerance:
            return True
        try:
            top = _top(self.state.loss, chunk, t)
            if self.state.dim > 1:
                return not top.across.shape[1]
            start = top.point[None]
            found = follow(self.state.loss, start, 1, top.reach, ITERATIONS, leash=2.0)
        except NotFiniteError:
            return False
        curvature = found.eigenvalues[0]
        is_pass = found.morse[0] == 1
        if found.converged[0] and found.morse[0] < 0:  # of a symmetry: some of them are 0
            is_pass = (curvature < -NEGATIVE * np.abs(curvature).max()).sum() == 1
        return bool(is_pass and found.values[0] >= value - tolerance)

    def _lowered(self, chunk: Chunk, value: float, t: Floats) -> ChunkResult | None:
        """The lowest of what is tried once, where it is lower than a value."""
        tolerance = self._tolerance(value)
        try:
            top = _top(self.state.loss, chunk, t)
        except NotFiniteError:
            return None
        starts, best = [chunk.control_points[chunk.problem.inside]], None
        if top.across.shape[1]:
            starts = self._pushed(chunk, top)
        if self.state.dim == 1:
            over = self._over_passes(chunk, starts, value, tolerance)
            if over is not None or not top.across.shape[1]:
                return over
        for inside in self._relaxed(chunk, starts):
            found = self._measured(chunk, inside)
            if found is not None and found.maxima.values[0] < value - tolerance:
                best, value = found, float(found.maxima.values[0])
                if self.state.dim == 1:
                    break
        return best

    def _tolerance(self, value: float) -> float:
        values = np.concatenate([*self.state.values, [value]])
        values = values[np.isfinite(values)]
        share = EXACT if self.state.options.tolerance is None else self.state.options.tolerance
        noise = float(rounding_error(values, self.state.control_points))
        return max(share * float(np.ptp(values)), noise)

    def _relaxed(self, chunk: Chunk, starts: list[Tensor]) -> Iterator[Tensor]:
        """Inner control points (i, d) of simplices relaxed from others (i, d)."""
        optimizer = replace(self.optimizer, segments=_segments(chunk))
        for start in starts:
            moved = chunk.with_inside(start)
            points = moved.control_points.clone()
            try:
                optimizer.relax(self.state.loss, points, moved.problem)
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
    ) -> ChunkResult | None:
        """The result of a path over passes below a value; None where none is found."""
        paths = [_controls(chunk.with_inside(start)) for start in starts]
        ends = [paths[0][0], paths[0][-1]]
        reach = float((paths[0][1:] - paths[0][:-1]).norm(dim=1).max())
        memory = self.state.options.memory
        passes = Passes(self.state.loss, reach, tolerance, memory, ends)
        try:
            chain = passes.chain(paths, value - tolerance, self._between)
        except NotFiniteError:
            return None
        if chain is None:
            return None
        best, level = None, chain.level + tolerance
        for parts in PARTS:
            inside = self._laid(chunk, chain, Lines(self.state.loss, level, parts))
            found = None if inside is None else self._measured(chunk, inside)
            highest = np.inf if found is None else float(found.maxima.values[0])
            if highest < value - tolerance:
                best, value = found, highest
            if highest <= level + tolerance:
                break
        return best

    def _laid(self, chunk: Chunk, chain: Chain, lines: Lines) -> Tensor | None:
        """Inner control points of a chain laid into the segments of an edge, or into more of them;
        None where it needs too many.
        """
        segments = _segments(chunk)
        try:
            found = polyline(chain, segments, lines)
        except NotFiniteError:
            return None
        times = -(-(len(found) - 1) // segments)
        if times * segments > self.most:
            self.needs = len(found) - 1
            return None
        return halved(found, times * segments)[1:-1]

    def _between(self, one: Tensor, other: Tensor) -> Tensor:
        """A path (c, d) between two points, bent to one side, so that it is on no ridge."""
        share = torch.linspace(0, 1, self.optimizer.segments + 1).to(one)[:, None]
        entropy = np.random.SeedSequence(self.state.options.seed, spawn_key=(self.number,))
        aside = torch.as_tensor(np.random.default_rng(entropy).standard_normal(len(one))).to(one)
        aside *= (other - one).norm() / (len(share) - 1) / aside.norm()
        return one + share * (other - one) + (np.pi * share).sin() * aside

    def _measured(self, chunk: Chunk, inside: Tensor) -> ChunkResult | None:
        """The result of other control points inside; None where the loss is not finite."""
        found = finish(self.state.loss, self.optimizer, chunk.along(inside))
        return None if found.failed[0] else found


def _segments(chunk: Chunk) -> int:
    simplex_map = chunk.problem.simplices.simplex_map
    assert isinstance(simplex_map, Edgewise), "the map of elastic simplices"
    return simplex_map.segments


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
