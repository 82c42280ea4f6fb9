"""Nudged elastic simplices: paths, triangles, ... that settle where no lower one is near.

A mountain pass is where a path's highest point cannot be lowered by moving the path sideways. So
inner control points follow the loss's gradient across the simplex only, and are spread evenly along
it: a nudged elastic band (Jonsson, Mills & Jacobsen 1998), of any dimension. The highest point of a
simplex also climbs along it, up to the critical point (for paths Henkelman, Uberuaga & Jonsson
2000). What then still is above its faces, and not at a critical point, is lowered where it is
highest; so is a path that is higher between its control points than at any of them, where it cuts
the bends of a valley. Every filling bounds the minimax of eq. 2 from above: of all that were tried,
the one whose refined maximum is lowest is kept; of paths the relaxed one, lowered. Relaxations of
more than 200 steps of paths go on from the lowest path so far, by a hundred steps at a time, and
those that do not lower it are undone: more steps never lead to a higher path. A simplex that ends a
bar, and is at no critical point, is lowered once more (`simplicial.construction.mending`).
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from reduction import OptionError
from reduction.validation import as_bool, as_integer, is_number, short_repr
from simplicial.loss import Loss, StochasticLoss
from simplicial.maps.base import SimplexMap
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.mesh import Mesh
from simplicial.optimizers.algorithm1 import Algorithm1
from simplicial.optimizers.base import SMALLER, OptimisationProblem, Optimizer, scaled
from simplicial.optimizers.elastic_relaxation import BENDS, TOPS, Faces, Relaxation, groups
from simplicial.run_folder.checkpoint import SavedStages


@dataclass(frozen=True, slots=True, kw_only=True)
class NudgedElastic(Optimizer):
    """Simplices of every r >= 1 that are lowered across themselves and kept even along.

    segments  to an edge: its simplices have the map `Edgewise(segments)`; a build whose edges need
              more of them has a multiple (`simplicial.construction.mending`)
    steps     of one relaxation, at most; an edge has one, a simplex of r >= 2 up to two: from its
              harmonic filling and from its lowest ruled filling, each only while it is above its
              faces
    longest   step of a control point, over the spacing of the mesh
    mend      whether simplices that end bars, and are at no critical point, are lowered once more,
              by second derivatives; False saves their cost, dozens of gradients for each atom that
              moves where a calculator has no second derivatives of its own
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
    mend: bool = True

    def __post_init__(self) -> None:
        as_integer("segments", self.segments, 2)
        as_integer("steps", self.steps, 1)
        as_bool("mend", self.mend)
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
        return self.most_steps(problem.simplices.dim) * len(groups(loss, control_points, problem))

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
        for rows, inside, relaxation in self._relaxations(loss, control_points, problem, on_step):
            control_points[rows[:, inside]] = relaxation.lowest(control_points[rows])

    def relax(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object] = lambda: None,
    ) -> None:
        """Move the control points inside the simplices from where they stand, by one relaxation.

        Raises NotFiniteError where the loss or its gradient is not finite.
        """
        for rows, inside, relaxation in self._relaxations(loss, control_points, problem, on_step):
            control_points[rows[:, inside]] = relaxation.lowest_from(control_points[rows])

    def _relaxations(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object],
    ) -> Iterator[tuple[Tensor, Tensor, Relaxation]]:
        """Rows of the control points (m, c) of each group, columns of the inner ones, and what
        relaxes them.
        """
        mesh = Mesh.of(self.simplex_map, problem.simplices.dim)
        for group in groups(loss, control_points, problem) if len(mesh.inside) else ():
            rows = torch.as_tensor(problem.simplices.controls[group], device=control_points.device)
            name = f"{group.start}-{group.stop}"
            checkpoint = None if problem.checkpoint is None else problem.checkpoint.part(name)
            relaxation = Relaxation(
                self,
                loss,
                mesh,
                Faces.of(problem, group, mesh),
                problem.memory,
                checkpoint,
                on_step,
                problem.refinement_budget,
                stages=SavedStages(checkpoint, control_points.device),
            )
            yield rows, torch.as_tensor(mesh.inside, device=rows.device), relaxation


def default_optimizer(loss: Loss, simplex_map: SimplexMap | None) -> Optimizer:
    """The optimizer of a build that names none: `NudgedElastic` for a loss without mini-batches.

    simplex_map  of the build; None: the optimizer's own
    Algorithm 1, the paper's, for a loss with mini-batches (`StochasticLoss`), and on a map that
    `NudgedElastic` cannot have: one that is not edgewise, or of one segment.
    """
    if isinstance(loss, StochasticLoss):
        return Algorithm1()
    if simplex_map is None:
        return NudgedElastic()
    if isinstance(simplex_map, Edgewise) and simplex_map.segments > 1:
        return NudgedElastic(segments=simplex_map.segments)
    return Algorithm1()
