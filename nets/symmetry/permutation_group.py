"""Permutation groups of hidden units, and their action on the parameters of a network.

The units of a hidden layer, or the channels of a convolution, may be permuted where the layers
behind take them up in the new order: the network computes the same function from another point of
parameter space.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nets.loss import NetworkLoss
from reduction import DataError
from reduction.validation import is_whole, short_repr

Order = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a parameter along which hidden units lie, `block` numbers to each unit.

    parameter  its name, or that of a buffer
    dim        0 to its number of dimensions
    block      numbers of a unit, one after another, as where channels were flattened
    start      index of the first number, where units lie along a slice of the axis, as the gates of
               an LSTM and the heads of attention do; None: they fill the axis
    """

    parameter: str
    dim: int
    block: int = 1
    start: int | None = None

    @property
    def name(self) -> str:
        """Former name of `parameter`, for one release."""
        return former("Place.name", "Axis.parameter", self.parameter)

    @property
    def axis(self) -> int:
        """Former name of `dim`, for one release."""
        return former("Place.axis", "Axis.dim", self.dim)

    def rows(self, count: int) -> range:
        """Indices along the axis of `count` units."""
        first = self.start or 0
        return range(first, first + count * self.block)

    def units(self, parameter: Tensor, count: int) -> Tensor:
        """(count, ...) as rows: a parameter's numbers that belong to each unit."""
        along = self.rows(count)
        taken = parameter.narrow(self.dim, along.start, len(along))
        return taken.movedim(self.dim, 0).reshape(count, -1)

    def permuted(self, parameter: Tensor, order: Order) -> Tensor:
        """The parameter whose unit k is the former unit order[k]."""
        rows = np.arange(parameter.shape[self.dim])
        blocks = order[:, None] * self.block + np.arange(self.block)
        rows[list(self.rows(order.size))] = (self.start or 0) + blocks.reshape(-1)
        return parameter.index_select(self.dim, torch.as_tensor(rows, device=parameter.device))


@dataclass(frozen=True, slots=True)
class PermutationGroup:
    """The symmetric group of `count` hidden units, acting on all `axes` at once."""

    count: int
    axes: tuple[Axis, ...]

    @property
    def places(self) -> tuple[Axis, ...]:
        """Former name of `axes`, for one release."""
        return former("Units.places", "PermutationGroup.axes", self.axes)

    def act(self, tensors: Mapping[str, Tensor], order: Order) -> dict[str, Tensor]:
        """Tensors, by name, with their units permuted; axes of tensors that are not there wait."""
        changed = dict(tensors)
        for axis in self.axes:
            if axis.parameter in changed:
                changed[axis.parameter] = axis.permuted(changed[axis.parameter], order)
        return changed


def former(old: str, new: str, value: Any) -> Any:
    """The value, with a DeprecationWarning that names its new name."""
    text = f"nets.symmetry.{old} is called nets.symmetry.{new}: change the name"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return value


@overload
def permuted(
    point: Tensor, loss: NetworkLoss, groups: Sequence[PermutationGroup], orders: Sequence[Order]
) -> Tensor: ...


@overload
def permuted(
    point: Mapping[str, Tensor],
    loss: NetworkLoss,
    groups: Sequence[PermutationGroup],
    orders: Sequence[Order],
) -> dict[str, Tensor]: ...


def permuted(
    point: Tensor | Mapping[str, Tensor],
    loss: NetworkLoss,
    groups: Sequence[PermutationGroup],
    orders: Sequence[Order],
) -> Tensor | dict[str, Tensor]:
    """The point (d,) with its hidden units permuted: unit k becomes the former unit order[k].

    point   or a state dict, whose running statistics are permuted along
    orders  one permutation (count,) for each group. Groups act one after another, so groups within
            units of others, as inside heads of attention, are taken back in reverse order
    """
    tensors = loss.coordinates.views(point) if isinstance(point, Tensor) else dict(point)
    for group, order in zip(groups, orders, strict=True):
        tensors = group.act(tensors, order)
    if isinstance(point, Tensor):
        return torch.cat([tensors[name].reshape(-1) for name in loss.coordinates.names])
    for alias, name in loss.coordinates.aliases.items():
        if alias in tensors:
            tensors[alias] = tensors[name]
    return tensors


def check_groups(groups: Any, loss: NetworkLoss) -> None:
    """Raise DataError for units that do not lie in a loss's parameters, or share an axis."""
    if not isinstance(groups, Sequence):
        raise DataError(
            f"units must be a list of PermutationGroups, got {short_repr(groups)}: "
            "mend the PermutationGroups"
        )
    shapes = dict(zip(loss.coordinates.names, loss.coordinates.shapes, strict=True))
    taken: dict[tuple[str, int], list[tuple[Axis, int]]] = {}
    for group in groups:
        known = isinstance(group, PermutationGroup) and isinstance(group.axes, tuple | list)
        is_group = known and is_whole(group.count) and group.count >= 1
        if not is_group or not all(isinstance(axis, Axis) for axis in group.axes):
            raise DataError(
                "units must be PermutationGroups of one unit or more, each with its Axis objects, "
                f"got {short_repr(group)}: mend the PermutationGroup"
            )
        for axis in group.axes:
            if axis.parameter not in loss.coordinates.buffers:
                _check_axis(axis, group.count, shapes)
            taken.setdefault((axis.parameter, axis.dim), []).append((axis, group.count))
    for (name, dim), lying in taken.items():
        if any(_mixed(*one, *other) for one, other in combinations(lying, 2)):
            raise DataError(
                f"units must not share an axis, axis {dim} of {name!r} is named twice: mend the "
                "PermutationGroup"
            )


def _check_axis(axis: Axis, count: int, shapes: Mapping[str, torch.Size]) -> None:
    if axis.parameter not in shapes:
        raise DataError(
            "units that are permuted must lie in parameters that are trained, each under "
            f"one name, {axis.parameter!r} is frozen, tied to another or not there: name "
            "the units, align(minima, units=[PermutationGroup(...), ...])"
        )
    shape = shapes[axis.parameter]
    length = dict(enumerate(shape)).get(axis.dim)
    fits = length == count * axis.block
    if axis.start is not None:
        fits = length is not None and 0 <= axis.start <= length - count * axis.block
    if not fits:
        raise DataError(
            f"units must lie along an axis of a trainable parameter, {count} units "
            f"of {axis.block} along axis {axis.dim} of {axis.parameter!r} with shape "
            f"{tuple(shape)} do not: mend the PermutationGroup"
        )


def _mixed(axis: Axis, count: int, other: Axis, number: int) -> bool:
    """Whether units overlap but those of neither group lie in one unit of the other."""
    rows, others = axis.rows(count), other.rows(number)
    apart = rows.stop <= others.start or others.stop <= rows.start
    return not (
        apart
        or unit_around(axis, count, other, number) is not None
        or unit_around(other, number, axis, count) is not None
    )


def unit_around(axis: Axis, count: int, inner: Axis, number: int) -> int | None:
    """The unit of an axis in which all `number` units of an inner one lie, if there is one."""
    rows, inside = axis.rows(count), inner.rows(number)
    unit, last = (inside.start - rows.start) // axis.block, (inside.stop - 1 - rows.start)
    within = rows.start <= inside.start and inside.stop <= rows.stop
    return unit if within and last // axis.block == unit else None
