"""Optimizers: the contract, and the problem that they are given."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simplicial.evaluation import MEMORY
from simplicial.loss import Loss, ValueAndGradient
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import Simplices
from simplicial.run_folder.checkpoint import Checkpoint

SMALLER = 0.1  # of a step, where steps did not stay finite


@dataclass(frozen=True, slots=True, eq=False)
class OptimisationProblem:
    """Simplices of one dimension, on which the loss is to be lowered.

    simplices    rows are those of the control points (K, d) that come with the problem
    inside       rows of the control points inside these simplices
    sides        rows inside their faces, vertices excepted; ends where inside begins
    seed         non-negative; with a simplex's vertices it gives that simplex's random points
    memory       bytes for a batch of points, never the result
    face_maxima  (m,) the largest loss on each simplex's faces; None for an optimizer that moves
                 faces
    at_faces     the loss and its gradient at the rows before inside; None likewise, and for one
                 that takes no gradients
    checkpoint   of the optimisation; None: none is saved
    """

    simplices: Simplices
    inside: slice
    sides: slice
    seed: int
    memory: int = MEMORY
    face_maxima: NDArray[np.float64] | None = None
    at_faces: ValueAndGradient | None = None
    checkpoint: Checkpoint | None = None


class Optimizer(ABC):
    """Lowers the loss on simplices by moving their free control points. Subclasses are values."""

    __slots__ = ()

    _renamed: ClassVar = {
        "fitted": "prepared",
        "gentler": "with_smaller_steps",
        "rounds": "step_count",
    }

    def __init_subclass__(cls, **options: Any) -> None:
        """Take methods by their former names, with a DeprecationWarning."""
        super().__init_subclass__(**options)
        for old, new in cls._renamed.items():
            if old in vars(cls) and new not in vars(cls):
                _warn_renamed(cls, old, new)
                setattr(cls, new, vars(cls)[old])

    def __getattr__(self, name: str) -> Any:
        """Methods by their former names, with a DeprecationWarning."""
        new = type(self)._renamed.get(name)
        if new is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        _warn_renamed(type(self), name, new)
        return getattr(self, new)

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


def _warn_renamed(cls: type, old: str, new: str) -> None:
    warnings.warn(
        f"{cls.__name__}.{old} is called {new} now: rename it", DeprecationWarning, stacklevel=3
    )


def __getattr__(name: str) -> Any:
    """`Stage`, the former name of OptimisationProblem, with a DeprecationWarning."""
    if name != "Stage":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "Stage is called OptimisationProblem now: rename it", DeprecationWarning, stacklevel=2
    )
    return OptimisationProblem
