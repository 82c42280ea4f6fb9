"""How networks are run: choices that change a loss's speed and, but for training's precision and
rounding, nothing else. All of them are made here.

They are rules on the architecture and the device, found by measurement (docs/networks/speed.md),
not timings at run time, so that the same seed gives the same result on the same machine.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn

from reduction import OptionError

Batching = Literal["vmap", "loop"]
Precision = Literal["full", "bfloat16"]

BATCHINGS: tuple[Batching, ...] = get_args(Batching)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
UNBATCHED = (nn.RNNBase, nn.MultiheadAttention)  # modules that vmap cannot batch
ALONE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d)
"""Modules that vmap can batch on a CPU, but convolutions not fast, and batch norm not to the same
bits for every number of points."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How one architecture is run on one device.

    device         where
    batching       "vmap": all points at once; "loop": one after another
    precision      of training's arithmetic: "full", the parameters' own, or "bfloat16" where
                   torch's autocast allows it. Parameters, gradients and evaluation keep their type
    channels_last  whether images lie in memory with their channels last
    """

    device: torch.device
    batching: Batching
    precision: Precision
    channels_last: bool

    @classmethod
    def of(
        cls,
        model: nn.Module,
        inputs: Tensor,
        dtype: torch.dtype,
        batching: Batching | None,
        precision: Precision,
    ) -> Self:
        """What is asked for, and the rule where `batching` is None; see `NetworkLoss`.

        inputs  (n, ...) some of the examples, on the device
        dtype   of the model's coordinates
        Raises OptionError for a batching or a precision that is not there or does not fit.
        """
        _check("batching", batching, (*BATCHINGS, None))
        _check("precision", precision, PRECISIONS)
        device, modules = inputs.device, list(model.modules())
        unbatched = (*UNBATCHED, *ALONE) if device.type == "cpu" else UNBATCHED
        by_rule = "loop" if any(isinstance(m, unbatched) for m in modules) else "vmap"
        batching = batching or by_rule
        if precision == "bfloat16" and dtype != torch.float32:
            raise OptionError(
                f"bfloat16 stands in for float32, the model's parameters are {dtype}: convert it, "
                "model.float(), or choose precision='full'"
            )
        if precision == "bfloat16" and batching == "vmap":
            raise OptionError(
                "torch's autocast does not reach convolutions under vmap, got precision='bfloat16' "
                "with batching='vmap': pass batching='loop', or choose precision='full'"
            )
        images = inputs.ndim == 4 and any(isinstance(m, nn.Conv2d) for m in modules)
        last = batching == "loop" and images and _takes(model, _with_channels_last(inputs))
        return cls(device, batching, precision, last)

    def __str__(self) -> str:
        arithmetic = ", training in bfloat16" if self.precision == "bfloat16" else ""
        return f"{self.batching}{arithmetic}, {self.device}"

    def arranged(self, inputs: Tensor) -> Tensor:
        """Inputs (n, ...) in the order in memory in which the network reads them fastest.

        Weights of convolutions follow the images.
        """
        return _with_channels_last(inputs) if self.channels_last else inputs

    def arithmetic(self, training: bool) -> AbstractContextManager[object]:
        """Autocast to bfloat16 for training that was asked to, and to nothing for all else."""
        narrow = training and self.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=narrow)


def _check(name: str, value: str | None, values: tuple[str | None, ...]) -> None:
    if value not in values:
        known = " or ".join(", ".join(map(repr, values)).rsplit(", ", 1))
        raise OptionError(f"{name} is {known}, got {value!r}: choose one")


def _with_channels_last(images: Tensor) -> Tensor:
    """Images (n, channels, height, width); `contiguous` would leave those of one channel as they
    are, and convolutions choose their layout by the strides.
    """
    if images.shape[1] > 1 and images.is_contiguous(memory_format=torch.channels_last):
        return images
    return torch.empty_like(images, memory_format=torch.channels_last).copy_(images)


def _takes(model: nn.Module, images: Tensor) -> bool:
    """Whether the network runs on them as they lie: one that calls `view` may not."""
    model.eval()
    try:
        with torch.no_grad():
            model(images)
    except RuntimeError:
        return False
    return True
