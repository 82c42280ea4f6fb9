"""The relaxation of simplices of one dimension, and the lowest of all fillings that are tried."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.errors import NotFiniteError
from simplicial.evaluation import points_at_once, values_and_gradients
from simplicial.loss import Loss, ValueAndGradient
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.interpolation import interpolate_each
from simplicial.maps.mesh import Mesh
from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import EvaluatedSimplices
from simplicial.maxima.refined import refined_maxima, rounding_error
from simplicial.optimizers.base import OptimisationProblem
from simplicial.optimizers.fillings import harmonic, ruled
from simplicial.optimizers.lowest import HighestPoints, Lowest
from simplicial.optimizers.relaxation import TINY, nudge
from simplicial.run_folder.checkpoint import Checkpoint, SavedStages

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 1e-4  # share of the range on its faces: a simplex within it of them cannot be lowered
COARSE = 1e-5  # the same for how well fillings are told apart
COARSEST = 1e-3  # and, as a share of its own range, for how high a path is where it cuts a bend

STRETCH, NEXT = 200, 100  # steps of a path's first relaxation, and of each that goes on from it
SHORTER = 0.5  # steps, after a stretch of them that did not lower a path

TOPS = 20  # how often the highest point is lowered
BENDS = 0.1  # the same for a path that cuts bends, over the steps of its relaxation
LOWERING = 0.4  # longest motion of a control point for it, over that of a relaxation
CRITICAL = 0.02  # slope times spacing, over the height above the faces: a critical point is near


def groups(loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> list[slice]:
    """Simplices whose control points' gradients fit into memory at once."""
    m, c = problem.simplices.controls.shape
    step = max(1, points_at_once(loss, control_points, problem.memory) // c)
    return [slice(first, min(first + step, m)) for first in range(0, m, step)]


def stretches(steps: int) -> list[tuple[int, int]]:
    """First steps, and numbers of steps, of the stretches of a path's relaxation: those of fewer
    steps begin those of more, so that more never lead to a higher path.
    """
    firsts = [0, *range(STRETCH, steps, NEXT)]
    return [(a, b - a) for a, b in pairwise([*firsts, steps])]


class Settings(Protocol):
    """The numbers of relaxations, see `NudgedElastic`."""

    @property
    def simplex_map(self) -> Edgewise:
        """The subdivision of the simplices."""
        ...

    @property
    def steps(self) -> int:
        """Of one relaxation, at most."""
        ...

    @property
    def longest(self) -> float:
        """Step of a control point, over the spacing of the mesh."""
        ...


class Faces(NamedTuple):
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
    def of(cls, problem: OptimisationProblem, group: slice, mesh: Mesh) -> "Faces":
        """The faces of a group of a problem's simplices."""
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
class Relaxation:
    """The lowering of simplices of one dimension: controls (m, c, d) are all their control points,
    each as it would be alone.
    """

    settings: Settings
    loss: Loss
    mesh: Mesh
    faces: Faces
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
            return self._lowest_paths(smooth)[:, self.mesh.inside]
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

    def lowest_from(self, controls: Tensor) -> Tensor:
        """Inner control points (m, i, d) of the lowest simplices, by one relaxation of these."""
        if self.mesh.barycentric.shape[1] == 2:
            return self._lowest_paths(controls)[:, self.mesh.inside]
        best = Lowest(controls.clone(), self.faces.maxima, LEVEL * self.faces.spread)
        each = np.arange(len(controls))
        self._try(lambda: self._offer(best, each, controls))
        self._try(partial(self._offer_nudged, best, each, controls, "from here"))
        self._try(lambda: self._lower(best, TOPS))
        return best.controls[:, self.mesh.inside]

    def _lowest_paths(self, paths: Tensor) -> Tensor:
        """Paths (m, c, d) relaxed by one stretch of steps after another, each from the lowest path
        so far: one that did not lower it is undone, and the next has steps of half the length.
        """
        longest = torch.full((len(paths), 1, 1), self.settings.longest, device=paths.device)
        each, longest, lowest = np.arange(len(paths)), longest.to(paths), None
        for first, steps in stretches(self.settings.steps):
            name = f"path {first}" if first else "path"
            stretch = partial(self._stretch, each, paths, steps, longest, name)
            if lowest is None:
                lowest = stretch()
                paths = lowest.controls
                continue
            found: list[Lowest] = []
            self._try(lambda: found.append(stretch()))  # noqa: B023 called at once
            if not found:
                return paths
            lower = found[0].values < lowest.values
            lowest.take(each, found[0].controls, found[0].values, found[0].is_critical)
            paths = lowest.controls
            longest[torch.as_tensor(~lower)] *= SHORTER
        return paths

    def _stretch(self, each: Ints, paths: Tensor, steps: int, longest: Tensor, name: str) -> Lowest:
        """Paths after some more steps, lowered where they cut bends."""
        return self._in_valley(self._nudged(each, paths, name, steps, longest), name, steps)

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

    def _in_valley(self, paths: Tensor, name: str, steps: int) -> Lowest:
        """Relaxed paths (m, c, d), lowered where they are higher than all their control points, of
        which the highest, at the pass, stands still.
        """
        steps, each = int(BENDS * steps), np.arange(len(paths))
        if not steps:  # too few to be worth a refined maximum
            return Lowest(paths, self.faces.maxima, np.zeros(len(paths)))
        stages = self.stages.part("valley" if name == "path" else f"valley of {name}")
        values = self._at_controls(each, paths, stages).values.reshape(paths.shape[:2])
        fixed = self.faces.fixed | (values == values.max(axis=1, keepdims=True))
        own = self.faces._replace(
            maxima=values.max(axis=1), spread=np.ptp(values, axis=1), fixed=fixed
        )
        best = Lowest(paths, own.maxima, LEVEL * own.spread, COARSEST * own.spread)
        relaxation = replace(self, faces=own, coarse=COARSEST)
        relaxation._offer(best, each, paths)
        relaxation._try(lambda: relaxation._lower(best, steps))
        return best

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

    def _nudged(
        self,
        which: Ints,
        controls: Tensor,
        name: str,
        steps: int | None = None,
        longest: Tensor | None = None,
    ) -> Tensor:
        """Relaxed; `name` tells the relaxations of a simplex apart."""
        return nudge(
            self.loss,
            controls,
            torch.as_tensor(self.faces.values[which], device=controls.device),
            torch.as_tensor(self.faces.maxima[which], device=controls.device),
            self.mesh,
            steps=self.settings.steps if steps is None else steps,
            longest=self.settings.longest if longest is None else longest,
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
