"""Hidden units that may change places, and networks aligned by letting them.

The units of a hidden layer, or the channels of a convolution, may be permuted where the layers
behind take them up in the new order: the network computes the same function from another point of
parameter space. So there are as many copies of each minimum as such permutations, and the barrier
between two networks depends on which copies are taken. `align` takes copies near to each other, by
weight matching.

Source: S. Ainsworth, J. Hayase, S. Srinivasa, "Git Re-Basin: merging models modulo permutation
symmetries" (2023), section 3.2 and algorithm 1. Its assignment problems are solved by SciPy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from nets.loss import NetworkLoss
from nets.models.resnet import BasicBlock, ResNet
from reduction import DataError
from reduction.validation import as_integer, is_whole, short_repr
from simplicial import Minima
from simplicial.loss import MEMORY
from simplicial.minima import check_minima
from simplicial.options import byte_count

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_UNIT_BY_UNIT = (  # what treats all units alike, each by itself
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Dropout, nn.Identity,
    nn.Flatten,
)  # fmt: skip
GAIN = 1e-9  # share of what all weights come to, below which a permutation is no better


@dataclass(frozen=True, slots=True)
class Place:
    """An axis of a parameter along which units stand, each with `block` numbers in turn."""

    name: str
    axis: int
    block: int = 1


@dataclass(frozen=True, slots=True)
class Units:
    """Units that may be permuted, in all places at once."""

    count: int
    places: tuple[Place, ...]


def units_of(model: nn.Module) -> tuple[Units, ...]:
    """The hidden units of a network that may change places, layer by layer.

    Known are MLP, LeNet and ResNet, and `nn.Sequential` of linear layers, convolutions, batch norm,
    pooling and functions of single units. Raises DataError for another network.
    """
    if isinstance(model, ResNet):
        return tuple(_residual_units(model))
    layers = getattr(model, "layers", model)
    if not isinstance(layers, nn.Sequential):
        raise DataError(
            f"the order of layers must be known to align networks, {type(model).__name__} is no "
            "nn.Sequential: name its units, align(minima, units=[Units(...), ...])"
        )
    prefix = "" if layers is model else "layers."
    return tuple(_chain_units(list(_leaves(layers, prefix))))


def permuted(
    point: Tensor, loss: NetworkLoss, units: Sequence[Units], orders: Sequence[NDArray[np.int64]]
) -> Tensor:
    """The point (d,) with its units in other orders: unit k becomes the former unit order[k]."""
    parameters = dict(loss.coordinates.views(point))
    for each, order in zip(units, orders, strict=True):
        for place in each.places:
            parameters[place.name] = _reordered(parameters[place.name], place, order)
    return torch.cat([parameters[name].reshape(-1) for name in loss.coordinates.names])


def align(
    minima: Minima,
    *,
    units: Sequence[Units] | None = None,
    seed: int = 0,
    memory: int | str = MEMORY,
) -> Minima:
    """The minima with their hidden units permuted so that they come near the first one.

    units   what may be permuted; None: what `units_of` finds in the loss's model
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
        raise DataError(f"units must be a list of Units, got {short_repr(units)}: mend the Units")
    units = units_of(loss.model()) if units is None else tuple(units)
    _check_units(units, loss)
    rng = np.random.default_rng(as_integer("seed", seed, 0))
    first, *others = minima.points
    points = [first]
    for point in others:
        orders = _matched(first, point, loss, units, rng)
        points.append(permuted(point, loss, units, orders))
    aligned = Minima(torch.stack(points), loss, minima.search, memory)
    changed = np.flatnonzero(~np.isclose(aligned.values, minima.values, rtol=1e-4, atol=1e-6))
    if changed.size:
        k = changed[0]
        raise DataError(
            f"permuted units must leave a network's function as it is, the loss of network {k} "
            f"went from {minima.values[k]:.6g} to {aligned.values[k]:.6g}: name the units that "
            "may change places, units=[...]"
        )
    return aligned


def _matched(
    target: Tensor,
    point: Tensor,
    loss: NetworkLoss,
    units: Sequence[Units],
    rng: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """The order of each group's units that brings the point near the target."""
    aims, weights = ({k: v.double() for k, v in loss.coordinates.views(p).items()}
                     for p in (target, point))  # fmt: skip
    orders = [np.arange(each.count) for each in units]
    least = GAIN * float(target.double().norm() * point.double().norm())
    better = True
    while better:
        better = False
        for k in rng.permutation(len(units)):
            similar = _similarity(aims, weights, units[k])
            order = linear_sum_assignment(similar, maximize=True)[1]
            if similar[np.arange(order.size), order].sum() <= np.trace(similar) + least:
                continue
            better, orders[k] = True, orders[k][order]
            for place in units[k].places:
                weights[place.name] = _reordered(weights[place.name], place, order)
    return orders


def _similarity(
    aims: Mapping[str, Tensor], weights: Mapping[str, Tensor], units: Units
) -> NDArray[np.float64]:
    """Inner products of the weights around each unit of one network with each of the other."""
    total = torch.zeros(units.count, units.count, dtype=torch.float64)
    for place in units.places:
        a, b = (_by_unit(side[place.name], place, units.count) for side in (aims, weights))
        total += (a @ b.T).cpu()
    return total.numpy()


def _by_unit(parameter: Tensor, place: Place, count: int) -> Tensor:
    """(count, ...) as rows: a parameter's numbers that belong to each unit."""
    return parameter.movedim(place.axis, 0).reshape(count, -1)


def _reordered(parameter: Tensor, place: Place, order: NDArray[np.int64]) -> Tensor:
    rows = order[:, None] * place.block + np.arange(place.block)
    index = torch.as_tensor(rows.reshape(-1), device=parameter.device)
    return parameter.index_select(place.axis, index)


def _check_units(units: Sequence[Units], loss: NetworkLoss) -> None:
    shapes = dict(zip(loss.coordinates.names, loss.coordinates.shapes, strict=True))
    seen: set[tuple[str, int]] = set()
    for each in units:
        known = isinstance(each, Units) and isinstance(each.places, tuple | list)
        counted = known and is_whole(each.count) and each.count >= 1
        if not counted or not all(isinstance(place, Place) for place in each.places):
            raise DataError(
                f"units must be Units of one or more, each with its Places, got "
                f"{short_repr(each)}: mend the Units"
            )
        for place in each.places:
            if place.name not in shapes:
                raise DataError(
                    "units that change places must stand in parameters that are trained, each "
                    f"under one name, {place.name!r} is frozen, tied to another or not there: name "
                    "the units that may change places, align(minima, units=[Units(...), ...])"
                )
            shape = shapes[place.name]
            length = dict(enumerate(shape)).get(place.axis)
            if length != each.count * place.block:
                raise DataError(
                    f"units must stand along an axis of a trainable parameter, {each.count} units "
                    f"of {place.block} along axis {place.axis} of {place.name!r} with shape "
                    f"{tuple(shape)} do not: mend the Units"
                )
            if (place.name, place.axis) in seen:
                raise DataError(
                    f"units must not share a place, axis {place.axis} of {place.name!r} is named "
                    "twice: mend the Units"
                )
            seen.add((place.name, place.axis))


# --- which units there are


def _leaves(layers: nn.Sequential, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, layer in layers.named_children():
        if isinstance(layer, nn.Sequential):
            yield from _leaves(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def _outputs(name: str, layer: nn.Module) -> list[Place]:
    """Where the outputs of a layer, or the units of a batch norm, stand in its parameters."""
    return [Place(f"{name}.{key}", 0) for key, _ in layer.named_parameters()]


def _chain_units(layers: Sequence[tuple[str, nn.Module]]) -> Iterator[Units]:
    """The units between the layers of a chain."""
    count, places = 0, list[Place]()
    for name, layer in layers:
        if isinstance(layer, (nn.Linear, *_CONVOLUTIONS)):
            weights = layer.weight.shape
            if getattr(layer, "groups", 1) != 1:
                raise DataError(
                    f"channels of grouped convolutions cannot change places freely, {name} has "
                    f"{layer.groups} groups: name the units, align(minima, units=[...])"
                )
            if places and weights[1] % count:
                raise DataError(
                    f"a layer must take up all units of the one before it, {name} takes "
                    f"{weights[1]} inputs from {count} units: name the units, "
                    "align(minima, units=[...])"
                )
            if places:
                places.append(Place(f"{name}.weight", 1, weights[1] // count))
                yield Units(count, tuple(places))
            count, places = weights[0], _outputs(name, layer)
        elif isinstance(layer, _NORMS) and places:
            places += _outputs(name, layer)
        elif not isinstance(layer, _UNIT_BY_UNIT):
            raise DataError(
                f"layers must be known to align networks, {name} is a {type(layer).__name__}: name "
                "the units, align(minima, units=[Units(...), ...])"
            )


def _residual_units(model: ResNet) -> Iterator[Units]:
    """Inside each block, and along each stream: where shortcuts add, channels stay together."""
    stream = _outputs_of("layers", model.layers, 0, 1)
    count = model.get_parameter("layers.0.weight").shape[0]
    for at, block in enumerate(model.layers):
        if not isinstance(block, BasicBlock):
            continue
        name = f"layers.{at}"
        width = model.get_parameter(f"{name}.layers.0.weight").shape[0]
        inside = _outputs_of(f"{name}.layers", block.layers, 0, 1)
        outside = _outputs_of(f"{name}.layers", block.layers, 3, 4)
        yield Units(width, (*inside, Place(f"{name}.layers.3.weight", 1)))
        stream.append(Place(f"{name}.layers.0.weight", 1))
        if isinstance(block.shortcut, nn.Identity):
            stream += outside
            continue
        if isinstance(block.shortcut, nn.Sequential):
            stream.append(Place(f"{name}.shortcut.0.weight", 1))
            outside += _outputs_of(f"{name}.shortcut", block.shortcut, 0, 1)
        yield Units(count, tuple(stream))
        count, stream = width, outside
    yield Units(count, (*stream, Place("classify.weight", 1)))


def _outputs_of(prefix: str, layers: nn.Sequential, *places: int) -> list[Place]:
    return [place for k in places for place in _outputs(f"{prefix}.{k}", layers[k])]
