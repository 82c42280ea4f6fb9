"""The axes of a tensor, one factor for each, and calls of operators on tensors of known axes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nets.symmetry.axis_factors import STRUCTURE, Factor, fix, unify


class Axes(tuple[Factor, ...]):
    """The factors of a tensor's axes, the first axis first."""

    __slots__ = ()

    @classmethod
    def of_shape(cls, shape: Iterable[int], fixed: str | None = None) -> "Axes":
        """New factors of these sizes, free or fixed."""
        return cls(Factor(size, STRUCTURE if size == 1 else fixed) for size in shape)

    @classmethod
    def of_constant(cls, value: Tensor, reason: str) -> "Axes":
        """Axes of given numbers: free along an axis if all slices of it are alike, else fixed."""
        factors = list[Factor]()
        for dim, size in enumerate(value.shape):
            alike = value.numel() > 0 and bool((value == value.narrow(dim, 0, 1)).all())
            factors.append(Factor(size, None if alike else reason))
        return cls(factors)

    def fix(self, reason: str) -> None:
        """Fix all axes."""
        for factor in self:
            fix(factor, reason)


@dataclass(frozen=True, slots=True)
class Stack:
    """A tensor along one of whose axes slices have axes of their own, as queries, keys and values.

    dim     of the slices
    slices  their axes, without that one
    """

    dim: int
    slices: tuple[Axes, ...]

    def merged(self) -> Axes:
        """Axes of the whole: slices are identified with each other."""
        first, *others = self.slices
        for other in others:
            unify_all(first, other)
        return Axes((*first[: self.dim], Factor(len(self.slices), STRUCTURE), *first[self.dim :]))

    @property
    def ndim(self) -> int:
        """Number of axes of the whole."""
        return len(self.slices[0]) + 1


Label = Axes | Stack | list[Any] | None
"""Of a tensor, of several, or of a number."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an operator.

    operator    its name, without aten:: and overload
    arguments   by name, tensors as their labels
    shapes      of its outputs
    enumerated  whether an axis of the output is only ever taken apart, index by index
    """

    operator: str
    arguments: dict[str, Any]
    shapes: list[tuple[int, ...]]
    enumerated: Callable[[int], bool]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return self.shapes[0]

    def __getitem__(self, name: str) -> Any:
        value = self.arguments.get(name)
        return value.merged() if isinstance(value, Stack) else value

    @property
    def tensors(self) -> list[Axes]:
        """Axes of all tensors among the arguments."""
        return list(_axes_in(self.arguments.values()))


def _axes_in(values: Any) -> Iterator[Axes]:
    for value in values:
        if isinstance(value, Axes):
            yield value
        elif isinstance(value, Stack):
            yield value.merged()
        elif isinstance(value, list | tuple):
            yield from _axes_in(value)


def unify_all(a: Sequence[Factor], b: Sequence[Factor]) -> None:
    """Unify axis with axis."""
    for x, y in zip(a, b, strict=True):
        unify(x, y)


def broadcast(tensors: Sequence[Axes], shape: Sequence[int]) -> Axes:
    """Axes of tensors that are taken together number by number, broadcast as torch does."""
    result = list[Factor]()
    for back in range(len(shape), 0, -1):
        size = shape[-back]
        present = [axes[-back] for axes in tensors if len(axes) >= back]
        whole = [factor for factor in present if factor.size == size]
        for factor in whole[1:]:
            unify(whole[0], factor)
        result.append(whole[0] if whole else Factor(size))
    return Axes(result)
