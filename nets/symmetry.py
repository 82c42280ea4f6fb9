"""Permutation groups of hidden units, and networks aligned by their elements.

The units of a hidden layer, or the channels of a convolution, may be permuted where the layers
behind take them up in the new order: the network computes the same function from another point of
parameter space. So there are as many copies of each minimum as such permutations, and the barrier
between two networks depends on which copies are taken. `align` takes copies near to each other, by
weight matching.

Source: S. Ainsworth, J. Hayase, S. Srinivasa, "Git Re-Basin: merging models modulo permutation
symmetries" (2023), section 3.2 and algorithm 1. Its assignment problems are solved by SciPy.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nets.loss import NetworkLoss
from nets.models.resnet import BasicBlock, ResNet
from reduction import DataError
from reduction.validation import as_integer, is_whole, short_repr
from simplicial import Minima
from simplicial.minima import check_minima
from simplicial.options import MEMORY, byte_count

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_UNIT_BY_UNIT = (  # modules that treat all units alike, each by itself
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Dropout, nn.Identity,
    nn.Flatten,
)  # fmt: skip
GAIN = 1e-9  # relative gain of inner products below which a permutation is no better


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a parameter along which hidden units lie, `block` numbers to each unit.

    parameter  its name
    dim        0 to its number of dimensions
    block      numbers of a unit, one after another, as where channels were flattened
    """

    parameter: str
    dim: int
    block: int = 1

    @property
    def name(self) -> str:
        """Former name of `parameter`, for one release."""
        return _former("Place.name", "Axis.parameter", self.parameter)

    @property
    def axis(self) -> int:
        """Former name of `dim`, for one release."""
        return _former("Place.axis", "Axis.dim", self.dim)


@dataclass(frozen=True, slots=True)
class PermutationGroup:
    """The symmetric group of `count` hidden units, acting on all `axes` at once."""

    count: int
    axes: tuple[Axis, ...]

    @property
    def places(self) -> tuple[Axis, ...]:
        """Former name of `axes`, for one release."""
        return _former("Units.places", "PermutationGroup.axes", self.axes)


def permutation_groups(model: nn.Module) -> tuple[PermutationGroup, ...]:
    """Permutations of hidden units that leave a network's function as it is, layer by layer.

    Known are MLP, LeNet and ResNet, and `nn.Sequential` of linear layers, convolutions, batch norm,
    pooling and functions of single units. Raises DataError for another network.
    """
    if isinstance(model, ResNet):
        return tuple(_residual_groups(model))
    layers = getattr(model, "layers", model)
    if not isinstance(layers, nn.Sequential):
        raise DataError(
            f"the order of layers must be known to align networks, {type(model).__name__} is no "
            "nn.Sequential: name its units, align(minima, units=[PermutationGroup(...), ...])"
        )
    prefix = "" if layers is model else "layers."
    return tuple(_chain_groups(list(_leaves(layers, prefix))))


def _former(old: str, new: str, value: Any) -> Any:
    """The value, with a DeprecationWarning that names its new name."""
    text = f"nets.symmetry.{old} is called nets.symmetry.{new}: change the name"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return value


class _Place(Axis):
    """Axis, made by its former keywords."""

    def __new__(cls, name: str, axis: int, block: int = 1) -> Any:
        return Axis(name, axis, block)


class _Units(PermutationGroup):
    """PermutationGroup, made by its former keywords."""

    def __new__(cls, count: int, places: tuple[Axis, ...]) -> Any:
        return PermutationGroup(count, places)


_RENAMED = {
    "Place": (_Place, "Axis"),
    "Units": (_Units, "PermutationGroup"),
    "units_of": (permutation_groups, "permutation_groups"),
}


def __getattr__(name: str) -> Any:
    """Former names, for one release."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value, new = _RENAMED[name]
    return _former(name, new, value)


def permuted(
    point: Tensor,
    loss: NetworkLoss,
    groups: Sequence[PermutationGroup],
    orders: Sequence[NDArray[np.int64]],
) -> Tensor:
    """The point (d,) with its hidden units permuted: unit k becomes the former unit order[k].

    orders  one permutation (count,) for each group
    """
    parameters = dict(loss.coordinates.views(point))
    for group, order in zip(groups, orders, strict=True):
        for axis in group.axes:
            parameters[axis.parameter] = _reordered(parameters[axis.parameter], axis, order)
    return torch.cat([parameters[name].reshape(-1) for name in loss.coordinates.names])


def align(
    minima: Minima,
    *,
    units: Sequence[PermutationGroup] | None = None,
    seed: int = 0,
    memory: int | str = MEMORY,
) -> Minima:
    """The minima with their hidden units permuted so that they come near the first one.

    units   PermutationGroups; None: those that `permutation_groups` finds in the loss's model
    seed    of the order in which layers are matched
    memory  bytes, or "4GB", for a batch of networks when the loss is evaluated at them anew
    Layer by layer, units are matched so that the weights around them have the largest inner product
    with those of the first network, until no layer changes: a local optimum, since layers depend on
    each other. The functions stay the same up to rounding. Raises OptionError for what is no
    Minima, DataError for minima of another loss than a NetworkLoss, and for units that do not fit
    its parameters or change the function.
    """
    check_minima(minima)
    loss = minima.loss
    if not isinstance(loss, NetworkLoss):
        raise DataError(
            f"networks can be aligned, got minima of a {type(loss).__name__}: leave out align, or "
            "pass minima of a NetworkLoss"
        )
    memory = byte_count(memory)
    if units is not None and not isinstance(units, Sequence):
        raise DataError(
            f"units must be a list of PermutationGroups, got {short_repr(units)}: "
            "mend the PermutationGroups"
        )
    groups = permutation_groups(loss.model()) if units is None else tuple(units)
    _check_groups(groups, loss)
    rng = np.random.default_rng(as_integer("seed", seed, 0))
    first, *others = minima.points
    points = [first]
    for point in others:
        orders = _matched(first, point, loss, groups, rng)
        points.append(permuted(point, loss, groups, orders))
    aligned = Minima(torch.stack(points), loss, minima.search, memory)
    changed = np.flatnonzero(~np.isclose(aligned.values, minima.values, rtol=1e-4, atol=1e-6))
    if changed.size:
        k = changed[0]
        raise DataError(
            f"permuted units must leave a network's function as it is, the loss of network {k} "
            f"went from {minima.values[k]:.6g} to {aligned.values[k]:.6g}: name the units that "
            "may change axes, units=[...]"
        )
    return aligned


def _matched(
    target: Tensor,
    point: Tensor,
    loss: NetworkLoss,
    groups: Sequence[PermutationGroup],
    rng: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """A permutation of each group that brings the point near the target: algorithm 1."""
    from scipy.optimize import linear_sum_assignment

    aims, weights = ({k: v.double() for k, v in loss.coordinates.views(p).items()}
                     for p in (target, point))  # fmt: skip
    orders = [np.arange(group.count) for group in groups]
    least = GAIN * float(target.double().norm() * point.double().norm())
    better = True
    while better:
        better = False
        for k in rng.permutation(len(groups)):
            similar = _similarity(aims, weights, groups[k])
            order = linear_sum_assignment(similar, maximize=True)[1]
            if similar[np.arange(order.size), order].sum() <= np.trace(similar) + least:
                continue
            better, orders[k] = True, orders[k][order]
            for axis in groups[k].axes:
                weights[axis.parameter] = _reordered(weights[axis.parameter], axis, order)
    return orders


def _similarity(
    aims: Mapping[str, Tensor], weights: Mapping[str, Tensor], group: PermutationGroup
) -> NDArray[np.float64]:
    """Inner products of the weights around each unit of one network with each of the other."""
    total = torch.zeros(group.count, group.count, dtype=torch.float64)
    for axis in group.axes:
        a, b = (_by_unit(side[axis.parameter], axis, group.count) for side in (aims, weights))
        total += (a @ b.T).cpu()
    return total.numpy()


def _by_unit(parameter: Tensor, axis: Axis, count: int) -> Tensor:
    """(count, ...) as rows: a parameter's numbers that belong to each unit."""
    return parameter.movedim(axis.dim, 0).reshape(count, -1)


def _reordered(parameter: Tensor, axis: Axis, order: NDArray[np.int64]) -> Tensor:
    rows = order[:, None] * axis.block + np.arange(axis.block)
    index = torch.as_tensor(rows.reshape(-1), device=parameter.device)
    return parameter.index_select(axis.dim, index)


def _check_groups(groups: Sequence[PermutationGroup], loss: NetworkLoss) -> None:
    shapes = dict(zip(loss.coordinates.names, loss.coordinates.shapes, strict=True))
    taken: set[tuple[str, int]] = set()
    for group in groups:
        known = isinstance(group, PermutationGroup) and isinstance(group.axes, tuple | list)
        is_group = known and is_whole(group.count) and group.count >= 1
        if not is_group or not all(isinstance(axis, Axis) for axis in group.axes):
            raise DataError(
                "units must be PermutationGroups of one unit or more, each with its Axis objects, "
                f"got {short_repr(group)}: mend the PermutationGroup"
            )
        for axis in group.axes:
            if axis.parameter not in shapes:
                raise DataError(
                    "units that are permuted must lie in parameters that are trained, each under "
                    f"one name, {axis.parameter!r} is frozen, tied to another or not there: name "
                    "the units, align(minima, units=[PermutationGroup(...), ...])"
                )
            shape = shapes[axis.parameter]
            length = dict(enumerate(shape)).get(axis.dim)
            if length != group.count * axis.block:
                raise DataError(
                    f"units must lie along an axis of a trainable parameter, {group.count} units "
                    f"of {axis.block} along axis {axis.dim} of {axis.parameter!r} with shape "
                    f"{tuple(shape)} do not: mend the PermutationGroup"
                )
            if (axis.parameter, axis.dim) in taken:
                raise DataError(
                    f"units must not share an axis, axis {axis.dim} of {axis.parameter!r} is named "
                    "twice: mend the PermutationGroup"
                )
            taken.add((axis.parameter, axis.dim))


# --- groups of known architectures


def _leaves(layers: nn.Sequential, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, layer in layers.named_children():
        if isinstance(layer, nn.Sequential):
            yield from _leaves(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def _outputs(name: str, layer: nn.Module) -> list[Axis]:
    """The axes of a layer's parameters along which its outputs lie."""
    return [Axis(f"{name}.{key}", 0) for key, _ in layer.named_parameters()]


def _chain_groups(layers: Sequence[tuple[str, nn.Module]]) -> Iterator[PermutationGroup]:
    """A group for each hidden layer of a chain."""
    count, axes = 0, list[Axis]()
    for name, layer in layers:
        if isinstance(layer, (nn.Linear, *_CONVOLUTIONS)):
            weights = layer.weight.shape
            if getattr(layer, "groups", 1) != 1:
                raise DataError(
                    f"channels of grouped convolutions cannot be permuted freely, {name} has "
                    f"{layer.groups} groups: name the units, align(minima, units=[...])"
                )
            if axes and weights[1] % count:
                raise DataError(
                    f"a layer must take up all units of the one before it, {name} takes "
                    f"{weights[1]} inputs from {count} units: name the units, "
                    "align(minima, units=[...])"
                )
            if axes:
                axes.append(Axis(f"{name}.weight", 1, weights[1] // count))
                yield PermutationGroup(count, tuple(axes))
            count, axes = weights[0], _outputs(name, layer)
        elif isinstance(layer, _NORMS) and axes:
            axes += _outputs(name, layer)
        elif not isinstance(layer, _UNIT_BY_UNIT):
            raise DataError(
                f"layers must be known to align networks, {name} is a {type(layer).__name__}: name "
                "the units, align(minima, units=[PermutationGroup(...), ...])"
            )


def _residual_groups(model: ResNet) -> Iterator[PermutationGroup]:
    """A group inside each block, and one along each stream: shortcuts add channel to channel."""
    stream = _outputs_of("layers", model.layers, 0, 1)
    count = model.get_parameter("layers.0.weight").shape[0]
    for at, block in enumerate(model.layers):
        if not isinstance(block, BasicBlock):
            continue
        name = f"layers.{at}"
        width = model.get_parameter(f"{name}.layers.0.weight").shape[0]
        inside = _outputs_of(f"{name}.layers", block.layers, 0, 1)
        outside = _outputs_of(f"{name}.layers", block.layers, 3, 4)
        yield PermutationGroup(width, (*inside, Axis(f"{name}.layers.3.weight", 1)))
        stream.append(Axis(f"{name}.layers.0.weight", 1))
        if isinstance(block.shortcut, nn.Identity):
            stream += outside
            continue
        if isinstance(block.shortcut, nn.Sequential):
            stream.append(Axis(f"{name}.shortcut.0.weight", 1))
            outside += _outputs_of(f"{name}.shortcut", block.shortcut, 0, 1)
        yield PermutationGroup(count, tuple(stream))
        count, stream = width, outside
    yield PermutationGroup(count, (*stream, Axis("classify.weight", 1)))


def _outputs_of(prefix: str, layers: nn.Sequential, *positions: int) -> list[Axis]:
    return [axis for k in positions for axis in _outputs(f"{prefix}.{k}", layers[k])]
