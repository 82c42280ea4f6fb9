"""Losses from functions of NumPy, with their own gradients or by central differences.

Without a gradient the derivative along coordinate i is

    (f(x + h e_i) - f(x - h e_i)) / (2 h),    h = p^(1/3) L_i,

of error p^(2/3) f / L_i in truncation and rounding, p the relative error of f and L_i the length
over which it varies: 4e-11 in double precision. Products with Hessians are central differences of
gradients, of the same error in units of f / L^2; without a gradient both differences have the step
p^(1/4) L, and the error is p^(1/2), 1.5e-8. Source: Nocedal & Wright (2006), 8.1; where the
truncation balances rounding is derived there for f'''/f of order 1 / L^3.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from reduction.validation import as_bool
from simplicial.errors import LossError
from simplicial.functions.array_loss import (
    EPS,
    ArrayLoss,
    as_positive,
    as_precision,
    differenced_products,
)
from simplicial.functions.numpy_calls import Function, Gradient, NumpyCalls
from simplicial.functions.outputs import Floats, name_of
from simplicial.functions.own_gradients import LENGTHS
from simplicial.functions.workers import check_processes, in_parts

AT_ONCE = 2**20  # numbers, at most, of the points that differences evaluate in one call


def from_numpy(
    value: Function,
    gradient: Gradient = None,
    *,
    batched: bool = False,
    precision: float = EPS,
    scale: float | None = None,
    executor: Executor | None = None,
) -> "NumpyLoss":
    """A loss on torch points from a function of NumPy.

    value      x (d,) float64 -> a real number; smooth; each call has a copy of the point
    gradient   x (d,) -> (d,); True: `value` returns the pair of both, as for SciPy's jac=True.
               None: central differences, 2 d values each, of step precision^(1/3) max(1, |x_i|):
               6e-6, and right to 4e-11 in double precision, in units of f over the length over
               which it varies; where both are differences second derivatives are right to 1.5e-8,
               otherwise to 4e-11
    batched    whether both take points (n, d), and return (n,) and (n, d)
    precision  relative error of values and gradients, at most 1e-2: 2.2e-16 for float64 arithmetic,
               1.2e-7 for float32, more for what is iterated to a tolerance; sets the steps
    scale      length over which the function varies, in the coordinates' units, in place of
               max(1, |x_i|)
    executor   a `concurrent.futures.Executor` of processes, by which points are evaluated: for
               functions that take milliseconds, in searches; the functions must be picklable.
               None: this process, and the workers of a build, evaluate. It stays behind where the
               loss is pickled
    returns    a `simplicial.loss.TwiceDifferentiatedLoss`, which torch differentiates twice; `repr`
               says by which differences
    Values that are not finite are told as those of any loss, NumPy's warnings of them are off.
    Raises LossError for what cannot be called, OptionError for other arguments out of range; in a
    call LossError where a function raises, or returns integers, complex numbers, what is less
    precise than declared, or another shape.
    """
    for function in (value, *([] if gradient is None or gradient is True else [gradient])):
        if not callable(function) or isinstance(function, type):
            raise LossError(
                "from_numpy takes functions x -> value and x -> gradient, got "
                f"{name_of(function) if isinstance(function, type) else type(function).__name__}: "
                "pass a function; as gradient also True, where `value` returns both, or None"
            )
    check_processes(executor)
    return NumpyLoss(
        value,
        gradient,
        as_bool("batched", batched),
        as_precision(precision),
        None if scale is None else as_positive("scale", scale, float(np.finfo(np.float64).max)),
        executor,
    )


@dataclass(frozen=True, eq=False, repr=False)
class NumpyLoss(ArrayLoss):
    """A loss computed by functions of NumPy: what `from_numpy` returns, with its arguments."""

    value: Function
    gradient: Gradient
    batched: bool
    precision: float
    scale: float | None
    executor: Executor | None

    def __repr__(self) -> str:
        unit = "max(1, |x_i|)" if self.scale is None else f"{self.scale:g}"
        gradient = "True" if self.gradient is True else name_of(self.gradient)
        given = "" if self.gradient is None else f", gradient={gradient}"
        second = f"second derivatives by central differences of step {self.step:.2g} {unit}"
        if self.gradient is None:
            first = self.precision ** (1 / 3)
            second = f"gradients by central differences of step {first:.2g} {unit}, {second}"
        return f"<loss from_numpy({name_of(self.value)}{given}): {second}>"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"executor": None}  # which cannot go to another process

    @property
    def step(self) -> float:
        """Step of differences of gradients, as a share of the scale."""
        return self.precision ** (1 / 4 if self.gradient is None else 1 / 3)

    @property
    def hessian_error(self) -> float:
        """That of differences."""
        return LENGTHS * self.precision ** (1 / 2 if self.gradient is None else 2 / 3)

    def array_values(self, points: Floats) -> Floats:
        """Values (n,) at points (n, d), by the executor's processes if there is one."""
        return in_parts(self.executor, self._calls.values, points)[0]

    def array_values_and_gradients(self, points: Floats) -> tuple[Floats, Floats]:
        """Values (n,) and gradients (n, d) at points (n, d), likewise."""
        if self.gradient is None:
            return self.array_values(points), self._differences(points, self.precision ** (1 / 3))
        values, gradients = in_parts(self.executor, self._calls.values_and_gradients, points)
        return values, gradients

    def array_hessian_products(self, points: Floats, vectors: Floats) -> Floats:
        """H v (n, d) by differences of gradients, or of differences of the same step."""
        if self.gradient is not None:
            return super().array_hessian_products(points, vectors)
        steps = self.step * self.lengths(points)
        return differenced_products(
            lambda x: self._differences(x, self.step), points, vectors, steps
        )

    @property
    def _calls(self) -> NumpyCalls:
        return NumpyCalls(self.value, self.gradient, self.batched, self.precision)

    def _differences(self, points: Floats, step: float) -> Floats:
        """Gradients (n, d) by central differences, with a step in shares of the scale."""
        (n, d), found = points.shape, np.empty(points.size)
        steps, size = step * self.lengths(points), max(1, AT_ONCE // (2 * max(1, d)))
        for first in range(0, n * d, size):
            some = np.arange(first, min(first + size, n * d))
            rows, axes = np.divmod(some, d)
            ends = np.repeat(points[rows][None], 2, axis=0)
            row = np.arange(len(some))
            ends[0, row, axes] += steps[rows, axes]
            ends[1, row, axes] -= steps[rows, axes]
            high, low = np.split(self.array_values(ends.reshape(-1, d)), 2)
            # what lies between the ends as they were rounded, which is not quite the step
            found[some] = (high - low) / (ends[0, row, axes] - ends[1, row, axes])
        return found.reshape(n, d)
