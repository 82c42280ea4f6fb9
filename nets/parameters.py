"""Coordinates of parameter space: a network's parameters as one vector.

Coordinates are the parameters that require a gradient, each tied weight once, in the order of
`named_parameters`. Buffers (running statistics, step counters) and frozen parameters are not
coordinates: they belong to the function, and a state dict may leave them out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from reduction import DataError, ShapeError
from reduction.validation import short_repr


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The layout of one architecture's parameters in a vector (d,).

    names    of the parameters, one for each tensor
    shapes   of the parameters
    aliases  further names of tied parameters, each with the name that stands in `names`
    frozen   tensors that every network of this architecture must share: parameters without gradient
    buffers  shapes of the buffers, also of those that no state dict holds; None for a module's
             extra state
    dtype    the one floating dtype of the parameters
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    aliases: Mapping[str, str]
    frozen: Mapping[str, Tensor]
    buffers: Mapping[str, torch.Size | None]
    dtype: torch.dtype

    @classmethod
    def of(cls, model: nn.Module) -> "Coordinates":
        """The layout of a model's parameters.

        Raises DataError for a model with no trainable parameter, with several number types, or with
        parameters that are not initialised.
        """
        lazy = next((k for k, p in model.named_parameters() if is_lazy(p)), None)
        if lazy is not None:
            raise DataError(
                f"parameters must have their shapes, {lazy!r} of {type(model).__name__} is lazy: "
                "call the model on an example first"
            )
        trainable = {k: p for k, p in model.named_parameters() if p.requires_grad}
        if not trainable:
            raise DataError(
                f"a loss needs parameters to depend on, {type(model).__name__} has none that "
                "require a gradient: unfreeze some"
            )
        dtypes = {p.dtype for p in trainable.values()}
        if len(dtypes) > 1 or not next(iter(dtypes)).is_floating_point:
            raise DataError(
                "the parameters of a model must share one floating type, "
                f"{type(model).__name__} has {sorted(map(str, dtypes))}: convert it, e.g. "
                "model.float()"
            )
        first = {id(p): k for k, p in trainable.items()}
        every = dict(model.named_parameters(remove_duplicate=False))
        return cls(
            names=tuple(trainable),
            shapes=tuple(p.shape for p in trainable.values()),
            aliases={k: first[id(p)] for k, p in every.items() if first.get(id(p), k) != k},
            frozen={k: p.detach() for k, p in every.items() if not p.requires_grad},
            buffers=dict.fromkeys(k for k in model.state_dict() if k not in every)
            | {k: b.shape for k, b in model.named_buffers(remove_duplicate=False)},
            dtype=dtypes.pop(),
        )

    @property
    def dim(self) -> int:
        """The number of coordinates d."""
        return sum(shape.numel() for shape in self.shapes)

    def views(self, points: Tensor, *, copied: bool = False) -> dict[str, Tensor]:
        """The parameters at points (..., d), by name, each (..., *shape), differentiable: views of
        the points, or copies, each of which begins where its device's memory is aligned.
        """
        split: Any = torch.split_with_sizes_copy if copied else torch.split_with_sizes
        parts = split(points, [shape.numel() for shape in self.shapes], dim=-1)
        lead = points.shape[:-1]
        return {
            name: part.view(*lead, *shape)
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }

    def check_points(self, points: Any, name: str) -> None:
        """Raise ShapeError for what is no tensor of points (batch, d), of one or more.

        name  of the model, in messages
        """
        if not isinstance(points, Tensor) or not points.is_floating_point():
            got = (
                f"a tensor of {points.dtype}" if isinstance(points, Tensor) else short_repr(points)
            )
            raise ShapeError(
                f"the loss of {name} takes points as a tensor of floats, got {got}: convert it by "
                "torch.as_tensor or .float()"
            )
        if points.ndim != 2 or points.shape[1] != self.dim or not len(points):
            raise ShapeError(
                f"the loss of {name} takes points (batch, {self.dim}), got shape "
                f"{tuple(points.shape)}: make points of state dicts by `flatten`"
            )

    def flatten(self, network: Mapping[str, Any], device: torch.device) -> Tensor:
        """The point (d,) of a state dict of this architecture, on the device.

        A tied weight may stand under any of its names, frozen parameters and buffers may be left
        out. Raises DataError for missing, unknown or misshapen entries, for tied weights that
        differ and for frozen parameters that are not the model's.
        """
        values = self.select(network)
        for name, value in self.frozen.items():
            if name in network and not torch.equal(network[name].to(value), value):
                raise DataError(
                    f"frozen parameters are no coordinates and must be the model's, {name!r} "
                    "differs: let it require a gradient, or load the frozen part into the model "
                    "first"
                )
        parts = [values[name].detach().reshape(-1) for name in self.names]
        return torch.cat([part.to(device, self.dtype) for part in parts])

    def select(self, network: Mapping[str, Any]) -> dict[str, Tensor]:
        """The tensors of a state dict that are coordinates, by the names of the coordinates.

        Raises DataError where the state dict is not of this architecture; frozen parameters are
        not compared.
        """
        self._check_entries(network)
        values = {name: network[name] for name in self.names if name in network}
        saved = dict(zip(self.names, self.names, strict=True))
        for alias, name in self.aliases.items():
            if alias not in network:
                continue
            if name not in values:
                values[name], saved[name] = network[alias], alias
            elif not torch.equal(network[alias], values[name]):
                raise DataError(
                    f"tied weights must be equal, {alias!r} and {saved[name]!r} differ in the "
                    "state dict: untie them in the model, or save it again"
                )
        missing = next((name for name in self.names if name not in values), None)
        if missing is not None:
            raise DataError(
                f"a state dict must be of the loss's own architecture, {missing!r} is missing: "
                "save the whole model.state_dict()"
            )
        return values

    def entries(self) -> dict[str, torch.Size | None]:
        """All that a state dict may hold: shapes by name, None for a module's extra state."""
        own = dict(zip(self.names, self.shapes, strict=True))
        tied = {alias: own[name] for alias, name in self.aliases.items()}
        return {**own, **tied, **{k: v.shape for k, v in self.frozen.items()}, **self.buffers}

    def _check_entries(self, network: Mapping[str, Any]) -> None:
        if not isinstance(network, Mapping):
            raise DataError(
                f"a network is given as its state dict, got {type(network).__name__}: pass "
                "model.state_dict()"
            )
        entries = self.entries()
        unknown = network.keys() - entries
        if unknown:
            raise DataError(
                "a state dict must be of the loss's own architecture, it has "
                f"{min(unknown, key=str)!r}, which the model has not: build the loss with the "
                "network that was trained"
            )
        for name, shape in entries.items():
            if name not in network or shape is None:
                continue
            value = network[name]
            if not isinstance(value, Tensor):
                raise DataError(
                    f"a state dict must hold tensors, {name!r} is a {type(value).__name__}: save "
                    "model.state_dict()"
                )
            if value.shape != shape:
                raise DataError(
                    f"a state dict must be of the loss's own architecture, {name!r} has shape "
                    f"{tuple(value.shape)}, the model's has {tuple(shape)}: build the loss "
                    "with the network that was trained"
                )
