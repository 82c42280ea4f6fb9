"""Calls of functions of NumPy at points, one at a time or all together, their outputs checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from reduction.validation import short_repr
from simplicial.errors import LossError
from simplicial.functions.outputs import Floats, as_floats, called, name_of

Function = Callable[[Any], Any]
Gradient = Function | Literal[True] | None

REMEDY = (
    "mend it there, or return nan where it is not defined; batched=True if it takes points (n, d), "
    "batched=False if it takes one point (d,)"
)


@dataclass(frozen=True, eq=False)
class NumpyCalls:
    """A function and its gradient, as `from_numpy` takes them.

    Each call has a copy of the points, and each output is copied before the next, so that functions
    may write into their arguments, and return the same array again.
    """

    value: Function
    gradient: Gradient
    batched: bool
    precision: float

    def values(self, points: Floats) -> tuple[Floats]:
        """Values (n,) at points (n, d). Raises LossError for outputs that are none."""
        if self.gradient is True:
            return (self._evaluated(self.value, points, [("value", False), ("gradient", True)])[0],)
        return (self._evaluated(self.value, points, [("value", False)])[0],)

    def values_and_gradients(self, points: Floats) -> tuple[Floats, Floats]:
        """Values (n,) and gradients (n, d) at points (n, d), of a function that has them."""
        if callable(self.gradient):
            (gradients,) = self._evaluated(self.gradient, points, [("gradient", True)])
            return (*self.values(points), gradients)
        values, gradients = self._evaluated(
            self.value, points, [("value", False), ("gradient", True)]
        )
        return values, gradients

    def _evaluated(
        self, function: Function, points: Floats, outputs: list[tuple[str, bool]]
    ) -> list[Floats]:
        """Outputs of a function at points (n, d): names, and whether they are vectors (d,)."""
        n, d = points.shape
        name = name_of(function)
        found = [np.empty((n, d) if is_vector else n) for _, is_vector in outputs]
        for rows, at in self._arguments(points):
            with torch.enable_grad():  # a function may take its slope from torch itself
                given = called(function, at, name=name, point=points[rows][0], remedy=REMEDY)
            several = self._several(given, len(outputs), name)
            for array, one, (what, is_vector) in zip(found, several, outputs, strict=True):
                shape = (*at.shape[:-1], *([d] if is_vector else []))
                checked = as_floats(
                    one, shape, name=f"the {what} of {name}", precision=self.precision
                )
                array[rows] = checked[: rows.stop - rows.start] if self.batched else checked
        return found

    def _arguments(self, points: Floats) -> list[tuple[slice, Floats]]:
        """Rows of points, and the argument that a function is called with for them.

        A batch of d points gets its last one twice: a function that takes rows for columns would
        otherwise return the right shape.
        """
        n, d = points.shape
        if not self.batched:
            return [(slice(i, i + 1), points[i].copy()) for i in range(n)]
        return [(slice(0, n), points[[*range(n), n - 1]] if n == d else points.copy())] * (n > 0)

    @staticmethod
    def _several(given: Any, count: int, name: str) -> tuple[Any, ...]:
        if count == 1:
            return (given,)
        if not isinstance(given, tuple | list) or len(given) != count:
            raise LossError(
                f"{name} must return the pair (value, gradient), as gradient=True says, got "
                f"{short_repr(given)}: return both, or give the gradient's own function"
            )
        return tuple(given)
