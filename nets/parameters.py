"""Coordinates of parameter space: a network's parameters as one vector.

Coordinates are the parameters that require a gradient, each tied weight once, in the order of
`named_parameters`. Buffers (running statistics, step counters) and frozen parameters are not
coordinates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reduction import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The layout of one architecture's parameters in a vector (d,).

    names    of the parameters, one for each tensor
    shapes   of the parameters
    aliases  further names of tied parameters, each with the name that stands in `names`
    frozen   tensors that every network of this architecture must share: parameters without gradient
    buffers  names of the buffers in a state dict
    dtype    the one floating dtype of the parameters
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    aliases: Mapping[str, str]
    frozen: Mapping[str, Tensor]
    buffers: frozenset[str]
    dtype: torch.dtype

    @classmethod
    def of(cls, model: nn.Module) -> "Coordinates":
        """The layout of a model's parameters.

        Raises DataError for a model with no trainable parameter, or with several number types.
        """
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
            buffers=frozenset(k for k in model.state_dict() if k not in every),
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

    def flatten(self, network: Mapping[str, Tensor], device: torch.device) -> Tensor:
        """The point (d,) of a state dict of this architecture, on the device.

        Raises DataError for missing, unknown or misshapen entries, for tied weights that differ and
        for frozen parameters that are not the model's.
        """
        self._check_names(network)
        for alias, name in self.aliases.items():
            if alias in network and not torch.equal(network[alias], network[name]):
                raise DataError(
                    f"tied weights must be equal, {alias!r} and {name!r} differ in the state dict: "
                    "untie them in the model, or save it again"
                )
        for name, value in self.frozen.items():
            if not torch.equal(network[name].to(value), value):
                raise DataError(
                    f"frozen parameters are no coordinates and must be the model's, {name!r} "
                    "differs: let it require a gradient, or load the frozen part into the model "
                    "first"
                )
        parts = [network[name].detach().reshape(-1) for name in self.names]
        return torch.cat([part.to(device, self.dtype) for part in parts])

    def _check_names(self, network: Mapping[str, Tensor]) -> None:
        if not isinstance(network, Mapping):
            raise DataError(
                f"a network is given as its state dict, got {type(network).__name__}: pass "
                "model.state_dict()"
            )
        unknown = network.keys() - {*self.names, *self.aliases, *self.frozen, *self.buffers}
        if unknown:
            raise DataError(
                "a state dict must be of the loss's own architecture, it has "
                f"{min(unknown, key=str)!r}, which the model has not: build the loss with the "
                "network that was trained"
            )
        for name, shape in [
            *zip(self.names, self.shapes, strict=True),
            *((name, value.shape) for name, value in self.frozen.items()),
        ]:
            if name not in network:
                raise DataError(
                    f"a state dict must be of the loss's own architecture, {name!r} is missing: "
                    "save the whole model.state_dict()"
                )
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
