"""Losses from functions of JAX: gradients and products with Hessians are JAX's own.

Points are taken in blocks of one size, the last one padded, so that a function is compiled once for
each dimension, and its bits do not depend on how many points come together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from reduction.validation import as_integer
from simplicial.errors import LossError
from simplicial.functions.array_loss import EPS, ArrayLoss
from simplicial.functions.outputs import Floats, as_floats, called, name_of

BLOCK = 256

REMEDY = (
    "write it with jax.numpy for one point (d,), without branches on values; functions of NumPy "
    "are taken by simplicial.from_numpy"
)


def from_jax(function: Callable[[Any], Any], *, block: int = BLOCK) -> "JaxLoss":
    """A loss on torch points from a function of JAX.

    function  x (d,) float64 -> scalar; traced by JAX, so of jax.numpy's operations
    block     points that are computed together, by `jax.vmap`, also where fewer come: 1 for
              functions that take long at a point
    returns   a `simplicial.loss.TwiceDifferentiatedLoss` with values, gradients and products with
              Hessians by JAX, compiled; torch differentiates it twice. It may be pickled if the
              function may
    JAX computes in float64 only if told to, before it is used: otherwise LossError is raised. So it
    is where JAX is not installed, for what is no function, and in a call where it cannot be traced,
    or returns what is no real scalar in float64. OptionError for a block that is no number above 0.
    """
    if not callable(function) or isinstance(function, type):
        got = name_of(function) if isinstance(function, type) else type(function).__name__
        raise LossError(f"from_jax takes a function x -> value, got {got}: pass a function of JAX")
    block = as_integer("block", block, 1)
    _jax()
    return JaxLoss(function, block)


class _Compiled(NamedTuple):
    """A function, its value with the gradient, and products with its Hessian, for blocks."""

    values: Callable[[Floats], Any]
    gradients: Callable[[Floats], tuple[Any, Any]]
    products: Callable[[Floats, Floats], Any]


@dataclass(frozen=True, eq=False, repr=False)
class JaxLoss(ArrayLoss):
    """A loss computed by JAX: what `from_jax` returns, with its arguments."""

    function: Callable[[Any], Any]
    block: int
    precision = EPS
    scale = None

    def __repr__(self) -> str:
        return f"<loss from_jax({name_of(self.function)}): gradients and Hessians by JAX>"

    def __getstate__(self) -> dict[str, Any]:
        return {"function": self.function, "block": self.block}  # all else is compiled anew

    @property
    def hessian_error(self) -> float:
        """That of rounding."""
        return EPS ** (2 / 3)

    def array_values(self, points: Floats) -> Floats:
        """Values (n,) at points (n, d)."""
        return self._joined(self._compiled.values, ["value"], points)[0]

    def array_values_and_gradients(self, points: Floats) -> tuple[Floats, Floats]:
        """Values (n,) and gradients (n, d) at points (n, d)."""
        values, gradients = self._joined(self._compiled.gradients, ["value", "gradient"], points)
        return values, gradients

    def array_hessian_products(self, points: Floats, vectors: Floats) -> Floats:
        """H v (n, d) at points (n, d) for vectors (n, d)."""
        return self._joined(self._compiled.products, ["Hessian product"], points, vectors)[0]

    @cached_property
    def _compiled(self) -> _Compiled:
        jax, one = _jax(), self.function

        def product(x: Any, v: Any) -> Any:
            return jax.jvp(jax.grad(one), (x,), (v,))[1]

        return _Compiled(*(jax.jit(jax.vmap(f)) for f in (one, jax.value_and_grad(one), product)))

    @cached_property
    def _traced(self) -> set[int]:
        """Dimensions of points for which the function was seen to have a scalar."""
        return set()

    def _joined(
        self, compiled: Callable[..., Any], outputs: list[str], points: Floats, *more: Floats
    ) -> list[Floats]:
        """Outputs at points (n, d), block by block."""
        _jax()  # its precision may have been changed since
        self._check(points)
        name, (n, d) = name_of(self.function), points.shape
        found = [np.empty(n if what == "value" else (n, d)) for what in outputs]
        for first in range(0, n, self.block):
            rows = slice(first, min(first + self.block, n))
            count = rows.stop - first
            padded = np.minimum(np.arange(first, first + self.block), n - 1)
            blocks = [array[padded] for array in (points, *more)]
            given = called(compiled, *blocks, name=name, point=points[first], remedy=REMEDY)
            several = given if len(outputs) > 1 else (given,)
            for array, one, what in zip(found, several, outputs, strict=True):
                shape = (self.block,) if what == "value" else (self.block, d)
                of = f"the {what} of {name}"
                array[rows] = as_floats(one, shape, name=of, precision=EPS)[:count]
        return found

    def _check(self, points: Floats) -> None:
        """Raise LossError where the function cannot be traced, or gives no real scalar."""
        d = points.shape[1]
        if d in self._traced or not len(points):
            return
        jax, name = _jax(), name_of(self.function)
        at = jax.ShapeDtypeStruct((d,), np.float64)
        given = called(jax.eval_shape, self.function, at, name=name, point=points[0], remedy=REMEDY)
        is_one = hasattr(given, "shape") and hasattr(given, "dtype")
        zeros = np.zeros(given.shape, given.dtype) if is_one else given
        as_floats(zeros, (), name=f"the value of {name}", precision=EPS)
        self._traced.add(d)


def _jax() -> Any:
    """The package, imported. Raises LossError where it is missing, or computes in float32."""
    try:
        import jax
    except ImportError as error:
        raise LossError(
            f"from_jax needs JAX, which cannot be imported ({error}): pip install "
            "'loss-barcodes[jax]'"
        ) from error
    if not jax.config.read("jax_enable_x64"):
        raise LossError(
            "a loss of JAX is computed in float64, JAX is set to float32: call "
            "jax.config.update('jax_enable_x64', True) before, or set JAX_ENABLE_X64=1, in workers "
            "too"
        )
    return jax
