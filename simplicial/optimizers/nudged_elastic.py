"""Nudged elastic simplices: paths, triangles, ... that settle where no lower one is near.

A mountain pass is where a path's highest point cannot be lowered by moving the path sideways. So
inner control points follow the loss's gradient across the simplex only, and are spread evenly along
it: a nudged elastic band (Jonsson, Mills & Jacobsen 1998), of any dimension. The highest point of a
simplex also climbs along it, up to the critical point (for paths Henkelman, Uberuaga & Jonsson
2000). What then still is above its faces, and not at a critical point, is lowered where it is
highest; so is a path that is higher between its control points than at any of them, where it cuts
the bends of a valley. Every filling bounds the minimax of eq. 2 from above: of all that were tried,
the one whose refined maximum is lowest is kept; of paths the relaxed one, lowered.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from reduction.validation import as_integer, is_number, short_repr
from simplicial.errors import NotFiniteError
from simplicial.evaluation import points_at_once, values_and_gradients
from simplicial.loss import Loss, ValueAndGradient
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.interpolation import interpolate_each
from simplicial.maps.mesh import Mesh
from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import EvaluatedSimplices
from simplicial.maxima.refined import refined_maxima, rounding_error
from simplicial.optimizers.base import SMALLER, OptimisationProblem, Optimizer, scaled
from simplicial.optimizers.fillings import harmonic, ruled
from simplicial.optimizers.lowest import HighestPoints, Lowest
from simplicial.optimizers.relaxation import TINY, nudge
from simplicial.run_folder.checkpoint import Checkpoint, SavedStages

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 1e-4  # share of the range on its faces: a simplex within it of them cannot be lowered
COARSE = 1e-5  # the same for how well fillings are told apart
COARSEST = 1e-3  # and, as a share of its own range, for how high a path is where it cuts a bend

TOPS = 20  # how often the highest point is lowered
BENDS = 0.1  # the same for a path that cuts bends, over the steps of its relaxation
LOWERING = 0.4  # longest motion of a control point for it, over that of a relaxation
CRITICAL = 0.02  # slope times spacing, over the height above the faces: a critical point is near


@dataclass(frozen=True, slots=True, kw_only=True)
class NudgedElastic(Optimizer):
    """Simplices of every r >= 1 that are lowered across themselves and kept even along.

    segments  to an edge: its simplices have the map `Edgewise(segments)`
    steps     of one relaxation, at most; an edge has one, a simplex of r >= 2 up to two: from its
              harmonic filling and from its lowest ruled filling, each only while it is above its
              faces
    longest   step of a control point, over the spacing of the mesh
    Raises OptionError for other numbers. Takes the loss's exact values and gradients, never random
    estimates; nothing here is random. A simplex's result does not depend on those beside it, but
    for rounding. Sources: Jonsson, Mills & Jacobsen 1998; Henkelman &
    Jonsson 2000; Henkelman, Uberuaga & Jonsson 2000. Deviations: any r; even spacing by motion
    towards the mean of the neighbours in place of springs; only the highest point climbs, and only
    where it is above the simplex's faces.
    """

    segments: int = 12
    steps: int = 200
    longest: float = 0.5

    def __post_init__(self) -> None:
        as_integer("segments", self.segments, 2)
        as_integer("steps", self.steps, 1)
        if not (is_number(self.longest) and 0 < self.longest <= 1):
            raise OptionError(
                "longest must be a share of the mesh's spacing above 0 and at most 1, got "
                f"{short_repr(self.longest)}: change longest"
            )

    @property
    def simplex_map(self) -> Edgewise:
        """The subdivision of its simplices."""
        return Edgewise(self.segments)

    @property
    def takes_gradients(self) -> bool:
        """Whether gradients at control points are taken: always, for the loss on faces."""
        return True

    def with_smaller_steps(self) -> Self:
        """The optimizer with steps of a tenth at most."""
        return replace(self, longest=SMALLER * self.longest)

    def with_effort(self, share: float) -> Self:
        """The optimizer with that multiple of its steps, rounded, at least 1. Raises OptionError
        for a share that is not above 0.
        """
        return replace(self, steps=scaled(self.steps, share))

    def gradient_count(self, dim: int, mini_batches: int) -> int:
        """Gradients of the whole loss at inner control points in `most_steps`, each counted as one
        of a mini-batch; of relaxations that settle earlier it takes fewer, and the refined maxima
        by which fillings are told apart are not counted.
        """
        as_integer("mini_batches", mini_batches, 0)
        return self.most_steps(dim) * len(Mesh.of(self.simplex_map, dim).inside)

    def step_count(self, loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> int:
        """Steps of all relaxations of all groups."""
        return self.most_steps(problem.simplices.dim) * len(_groups(loss, control_points, problem))

    def most_steps(self, dim: int) -> int:
        """Steps of all relaxations of a simplex of dimension dim >= 1, if none is left out.

        Raises OptionError for another dim.
        """
        path, filling = self.steps + int(BENDS * self.steps), 2 * self.steps + TOPS
        return path if as_integer("dim", dim, 1) == 1 else filling

    def most_rounds(self, dim: int) -> int:
        """`most_steps`, by its former name."""
        warnings.warn(
            "NudgedElastic.most_rounds is called most_steps now: rename it",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.most_steps(dim)

    def optimise(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object],
    ) -> None:
        """Move the control points inside the simplices.

        Raises NotFiniteError where the loss or its gradient is not finite.
        """
        mesh = Mesh.of(self.simplex_map, problem.simplices.dim)
        if not len(mesh.inside):
            return
        for group in _groups(loss, control_points, problem):
            faces = _Faces.of(problem, group, mesh)
            rows = torch.as_tensor(problem.simplices.controls[group], device=control_points.device)
            name = f"{group.start}-{group.stop}"
            checkpoint = None if problem.checkpoint is None else problem.checkpoint.part(name)
            stages = SavedStages(checkpoint, control_points.device)
            relaxation = _Relaxation(
                self,
                loss,
                mesh,
                faces,
                problem.memory,
                checkpoint,
                on_step,
                problem.refinement_budget,
                stages=stages,
            )
            inner = relaxation.lowest(control_points[rows])
            control_points[rows[:, torch.as_tensor(mesh.inside)]] = inner


def _groups(loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> list[slice]:
    """Simplices whose control points' gradients fit into memory at once."""
    m, c = problem.simplices.controls.shape
    step = max(1, points_at_once(loss, control_points, problem.memory) // c)
    return [slice(first, min(first + step, m)) for first in range(0, m, step)]


class _Faces(NamedTuple):
    """The loss on the faces of m simplices, which stand still.

    maxima     (m,) the largest loss on them; of a relaxed path, on its control points
    values     (m, c) the loss at control points; arbitrary inside
    gradients  (m, c, d) its gradient; arbitrary inside
    spread     (m,) range of the loss at control points on them, or on the path
    rounding   (m,) rounding error of its values
    fixed      (m, c) bool, control points that stand still
    """

    maxima: Floats
    values: Floats
    gradients: Tensor
    spread: Floats
    rounding: Floats
    fixed: NDArray[np.bool_]

    @classmethod
    def of(cls, problem: OptimisationProblem, group: slice, mesh: Mesh) -> "_Faces":
        assert problem.face_maxima is not None, "faces stand still, so that they are known"
        assert problem.at_faces is not None, "and so are the gradients there"
        level, at_faces = problem.face_maxima[group], problem.at_faces
        rows = problem.simplices.controls[group].copy()
        rows[:, mesh.inside] = rows[:, [0]]
        values = at_faces.values[rows]
        gradients = at_faces.gradients[torch.as_tensor(rows, device=at_faces.gradients.device)]
        fixed = np.ones(values.shape, dtype=bool)
        fixed[:, mesh.inside] = False
        spread = np.ptp(values, axis=1)
        return cls(level, values, gradients, spread, rounding_error(values, gradients), fixed)


@dataclass(frozen=True, slots=True, eq=False)
class _Relaxation:
    """The lowering of simplices of one dimension: controls (m, c, d) are all their control points,
    each as it would be alone.
    """

    settings: NudgedElastic
    loss: Loss
    mesh: Mesh
    faces: _Faces
    memory: int
    checkpoint: Checkpoint | None
    on_step: Callable[[], object]
    budget: int | None
    coarse: float = COARSE
    stages: SavedStages = field(default_factory=lambda: SavedStages(None))
    offers: Iterator[int] = field(default_factory=count)  # numbers of what is tried

    def lowest(self, controls: Tensor) -> Tensor:
        """Inner control points (m, i, d) of the lowest simplices."""
        dim = self.mesh.barycentric.shape[1] - 1
        each = np.arange(len(controls))
        smooth = self._filled(controls, harmonic(controls, self.mesh))
        if dim == 1:
            return self._in_valley(self._nudged(each, smooth, "path"))[:, self.mesh.inside]
        best = Lowest(smooth.clone(), self.faces.maxima, LEVEL * self.faces.spread)
        self._try(lambda: self._offer(best, each, smooth))
        for apex in range(dim + 1):
            if len(which := best.above()):
                lines = ruled(controls[which], self.mesh, self.settings.simplex_map, apex)
                self._try(partial(self._offer, best, which, self._filled(controls[which], lines)))
        filled = best.controls.clone()
        if len(which := best.above()):
            self._try(partial(self._offer_nudged, best, which, smooth[which], "smooth"))
        bent = (filled != smooth).flatten(1).any(dim=1).cpu().numpy()
        if len(which := best.above()[bent[best.above()]]):
            self._try(partial(self._offer_nudged, best, which, filled[which], "ruled"))
        self._try(lambda: self._lower(best, TOPS))
        if np.isinf(best.values).any():
            raise NotFiniteError(
                "a simplex needs a filling on which the loss is finite, none of those tried is "
                "one: choose points where the loss is defined, or scale it"
            )
        return best.controls[:, self.mesh.inside]

    def _try(self, offer: Callable[[], object]) -> None:
        """Leave out what is not finite, but tell of it where other simplices would be left out too:
        each is then tried alone.
        """
        try:
            offer()
        except NotFiniteError:
            if len(self.faces.maxima) > 1:
                raise

    def _offer_nudged(self, best: Lowest, which: Ints, controls: Tensor, name: str) -> None:
        self._offer(best, which, self._nudged(which, controls, name))

    def _in_valley(self, paths: Tensor) -> Tensor:
        """Relaxed paths (m, c, d), lowered where they are higher than all their control points, of
        which the highest, at the pass, stands still.
        """
        steps, each = int(BENDS * self.settings.steps), np.arange(len(paths))
        if not steps:
            return paths
        values = self._at_controls(each, paths, self.stages.part("valley")).values.reshape(
            paths.shape[:2]
        )
        fixed = self.faces.fixed | (values == values.max(axis=1, keepdims=True))
        own = self.faces._replace(
            maxima=values.max(axis=1), spread=np.ptp(values, axis=1), fixed=fixed
        )
        best = Lowest(paths, own.maxima, LEVEL * own.spread, COARSEST * own.spread)
        relaxation = replace(self, faces=own, coarse=COARSEST)
        relaxation._offer(best, each, paths)
        relaxation._try(lambda: relaxation._lower(best, steps))
        return best.controls

    def _lower(self, best: Lowest, steps: int) -> None:
        """Lower the highest point of what is neither as low as its faces nor critical, again and
        again: a subgradient method, its step the one that would reach their maxima (Polyak).
        """
        which = best.above()
        which = which[~best.is_critical[which]]
        controls = best.controls[which]
        for _ in range(steps):
            self.on_step()
            if not len(which):
                continue
            top = self._offer(best, which, controls)
            excess = torch.as_tensor(top.maxima.values - best.maxima[which], device=controls.device)
            controls = self._pushed(which, controls, top, excess.to(controls))
            high = top.maxima.values > best.maxima[which] + best.margin[which]
            high &= ~best.is_critical[which]
            which, controls = which[high], controls[torch.as_tensor(high)]

    def _pushed(self, which: Ints, controls: Tensor, top: HighestPoints, excess: Tensor) -> Tensor:
        """The corners of the piece that holds the highest point moved down its gradient."""
        corners, weights = self.settings.simplex_map.locate(top.maxima.barycentric)
        free = weights * ~np.take_along_axis(self.faces.fixed[which], corners, axis=1)
        share = torch.as_tensor(free, device=controls.device).to(controls)
        steep = top.gradients.square().sum(dim=1) * share.square().sum(dim=1)
        step = (excess / steep.clamp(min=TINY))[:, None] * share
        longest = step.amax(dim=1) * top.gradients.norm(dim=1)
        step *= (
            LOWERING * self.settings.longest * self.mesh.spacing(controls) / longest.clamp(min=TINY)
        ).clamp(max=1)[:, None]
        rows = torch.arange(len(controls), device=controls.device)[:, None].expand(step.shape)
        at = (rows, torch.as_tensor(corners, device=controls.device))
        return controls.index_put(at, -step[:, :, None] * top.gradients[:, None], accumulate=True)

    def _filled(self, controls: Tensor, inner: Tensor) -> Tensor:
        controls = controls.clone()
        controls[:, self.mesh.inside] = inner
        return controls

    def _nudged(self, which: Ints, controls: Tensor, name: str) -> Tensor:
        """Relaxed; `name` tells the relaxations of a simplex apart."""
        return nudge(
            self.loss,
            controls,
            torch.as_tensor(self.faces.values[which], device=controls.device),
            torch.as_tensor(self.faces.maxima[which], device=controls.device),
            self.mesh,
            steps=self.settings.steps,
            longest=self.settings.longest,
            memory=self.memory,
            checkpoint=None if self.checkpoint is None else self.checkpoint.part(name),
            on_step=self.on_step,
        )

    def _offer(self, best: Lowest, which: Ints, controls: Tensor) -> HighestPoints:
        """Take those of the simplices `which` (k,) that are lower than what was found before."""
        top = self._top(which, controls, self.stages.part(f"offer {next(self.offers)}"))
        steepness = top.gradients.norm(dim=1) * self.mesh.spacing(controls)
        values = top.maxima.values
        is_critical = steepness.double().cpu().numpy() <= CRITICAL * (values - best.maxima[which])
        best.take(which, controls, values, is_critical)
        return top

    def _top(self, which: Ints, controls: Tensor, stages: SavedStages) -> HighestPoints:
        """The highest points of simplices `which` with control points (k, c, d)."""
        k, c, d = controls.shape
        if saved := stages.resume("top"):
            found = Maxima(saved["values"].numpy(), saved["barycentric"].numpy())
            return HighestPoints(found, saved["gradients"].to(controls))
        found = refined_maxima(
            self.loss,
            EvaluatedSimplices(
                controls.reshape(k * c, d),
                self._at_controls(which, controls, stages),
                np.arange(k * c).reshape(k, c),
                self.mesh,
            ),
            known=self.faces.maxima[which],
            tolerance=np.maximum(self.coarse * self.faces.spread, self.faces.rounding)[which],
            memory=self.memory,
            budget=self.budget,
            stages=stages,
        ).maxima
        tops = interpolate_each(controls, self.settings.simplex_map, found.barycentric)
        _, gradients = values_and_gradients(self.loss, tops, self.memory)
        stages.finish(
            "top",
            lambda: {
                "values": torch.tensor(found.values),
                "barycentric": torch.tensor(found.barycentric),
                "gradients": gradients,
            },
        )
        return HighestPoints(found, gradients)

    def _at_controls(self, which: Ints, controls: Tensor, stages: SavedStages) -> ValueAndGradient:
        """The loss and its gradient at control points (k, c, d), known on faces."""
        inner = controls[:, self.mesh.inside]
        points = inner.flatten(0, 1)

        def at(some: slice) -> dict[str, Tensor]:
            found = values_and_gradients(self.loss, points[some], self.memory)
            return {"values": torch.as_tensor(found.values), "gradients": found.gradients}

        at_once = points_at_once(self.loss, points, self.memory)
        new = stages.rows("controls", len(points), at_once, at)
        values = self.faces.values[which]
        values[:, self.mesh.inside] = new["values"].numpy().reshape(inner.shape[:2])
        gradients = self.faces.gradients[which]
        gradients[:, self.mesh.inside] = new["gradients"].to(inner).view(inner.shape)
        return ValueAndGradient(values.ravel(), gradients.flatten(0, 1))
