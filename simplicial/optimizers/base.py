"""Optimizers: the contract, and the problem that they are given."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from reduction.validation import as_float, short_repr
from simplicial.loss import Loss, ValueAndGradient
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import Simplices
from simplicial.options import MEMORY
from simplicial.run_folder.checkpoint import Checkpoint

SMALLER = 0.1  # of a step, where steps did not stay finite


@dataclass(frozen=True, slots=True, eq=False)
class OptimisationProblem:
    """Simplices of one dimension, on which the loss is to be lowered.

    simplices    rows are those of the control points (K, d) that come with the problem
    inside       rows of the control points inside these simplices
    sides        rows inside their faces, vertices excepted; ends where inside begins
    seed         non-negative; with a simplex's vertices it gives that simplex's random points
    memory       bytes for a batch of points, and for what moves a group of simplices; never the
                 result
    face_maxima  (m,) the largest loss on each simplex's faces; None for an optimizer that moves
                 faces
    at_faces     the loss and its gradient at the rows before inside; None likewise, and for one
                 that takes no gradients
    checkpoint   of the optimisation; None: none is saved
    refinement_budget  gradients of a refined maximum that an optimizer looks for; None: the default
    """

    simplices: Simplices
    inside: slice
    sides: slice
    seed: int
    memory: int = MEMORY
    face_maxima: NDArray[np.float64] | None = None
    at_faces: ValueAndGradient | None = None
    checkpoint: Checkpoint | None = None
    refinement_budget: int | None = None

    def __repr__(self) -> str:
        free = self.inside.stop - (self.sides if self.face_maxima is None else self.inside).start
        return f"OptimisationProblem({self.simplices}, free_points={free}, seed={self.seed})"

    def __getattr__(self, name: str) -> Any:
        """Fields by their former names, with a DeprecationWarning."""
        former = {"floor": "face_maxima", "seen": "at_faces", "memo": "checkpoint"}
        if name not in former:
            raise AttributeError(f"an OptimisationProblem has no attribute {name!r}")
        _warn_renamed(f"OptimisationProblem.{name}", former[name])
        return getattr(self, former[name])


class Optimizer(ABC):
    """Lowers the loss on simplices by moving their free control points. Subclasses are values."""

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Take methods by their former names, with a DeprecationWarning."""
        super().__init_subclass__(**options)
        for old, new in RENAMED.items():
            if old in vars(cls) and new not in vars(cls):
                _warn_renamed(f"{cls.__name__}.{old}", new, level=4)
                setattr(cls, new, vars(cls)[old])

    @property
    @abstractmethod
    def simplex_map(self) -> SimplexMap:
        """The subdivision of the simplices, where the caller names none."""

    @property
    def moves_faces(self) -> bool:
        """Whether lower dimensions' control points move with those of a dimension."""
        return False

    @property
    def takes_gradients(self) -> bool:
        """Whether it must be told the loss's gradients on faces."""
        return False

    def with_smaller_steps(self) -> Self:
        """The same optimizer with smaller steps, for simplices that did not stay finite."""
        return self

    def prepared(self, loss: Loss, vertices: Tensor) -> Self:
        """The same optimizer, with settings that depend on the loss and its vertices (n, d)."""
        return self

    def with_effort(self, share: float) -> Self:
        """The same optimizer, `prepared`, with that multiple of its gradients.

        share  above 0; 1 gives the optimizer itself
        Asked for where builds end early or efforts are compared, and by nothing else. Raises
        OptionError for another share, and of an optimizer that does not override this.
        """
        del share
        raise self._without("with_effort", "the same optimizer with a share of its gradients")

    def gradient_count(self, dim: int, mini_batches: int) -> int:
        """Gradients at most by which a simplex of dimension dim is trained, once `prepared`.

        mini_batches  gradients that a pass over the data has, as `mini_batch_count` gives them; an
                      optimizer that takes the whole loss's counts each as one
        Asked for like `with_effort`. Raises OptionError of an optimizer that does not override it.
        """
        del dim, mini_batches
        raise self._without("gradient_count", "gradients that the training of a simplex takes")

    def mini_batch_count(self, loss: Loss) -> int:
        """Number of estimates in a pass over the loss's data; 1 where the whole loss is taken."""
        del loss
        return 1

    @abstractmethod
    def step_count(self, loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> int:
        """Number of calls of `on_step` in `optimise`, at most."""

    @abstractmethod
    def optimise(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object],
    ) -> None:
        """Move free rows of the control points (K, d), in place; `on_step` is for progress.

        Raises NotFiniteError where the loss or the control points do not stay finite.
        """

    def _without(self, method: str, returned: str) -> OptionError:
        name = type(self).__name__
        return OptionError(
            f"an optimizer whose effort is changed or counted must say how, {name} has no "
            f"{method}: give it that method, which returns {returned}"
        )

    def fitted(self, loss: Loss, vertices: Tensor) -> Self:
        """`prepared`, by its former name."""
        return self._renamed("fitted", loss, vertices)

    def gentler(self) -> Self:
        """`with_smaller_steps`, by its former name."""
        return self._renamed("gentler")

    def rounds(self, loss: Loss, pool: Tensor, stage: OptimisationProblem) -> int:
        """`step_count`, by its former name."""
        return self._renamed("rounds", loss, pool, stage)

    def _renamed(self, old: str, *given: Any) -> Any:
        """Call a method by its new name; where a subclass has it by the former one, the base's."""
        new = RENAMED[old]
        _warn_renamed(f"Optimizer.{old}", new, level=4)
        methods = ((vars(cls).get(new), vars(cls).get(old)) for cls in type(self).__mro__)
        return next(m for m, former in methods if m is not None and m is not former)(self, *given)


RENAMED = {"fitted": "prepared", "gentler": "with_smaller_steps", "rounds": "step_count"}


def scaled(count: int, share: float) -> int:
    """Steps in place of `count` at a share of the effort: at least 1, unless the count is 0.

    Raises OptionError for a share that is no number above 0, or that is too large.
    """
    number = as_float(share)
    if not (0 < number < np.inf and (product := number * count) < np.inf):
        raise OptionError(
            f"effort must be a multiple of an optimizer's gradients above 0, got "
            f"{short_repr(share)}: give 1 for as many as it has, or 0.5 for half of them"
        )
    return max(1, round(product)) if count else 0


def _warn_renamed(old: str, new: str, level: int = 3) -> None:
    warnings.warn(f"{old} is called {new} now: rename it", DeprecationWarning, stacklevel=level)


def __getattr__(name: str) -> Any:
    """`Stage`, the former name of OptimisationProblem, with a DeprecationWarning."""
    if name != "Stage":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _warn_renamed("Stage", "OptimisationProblem", level=4)  # through the package's __getattr__
    return OptimisationProblem
