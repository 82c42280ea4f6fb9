"""How networks are run: the choices that change a loss's speed and, but for training's precision,
nothing else. All of them are made here.

They are rules on the architecture and the device, found by measurement (docs/networks/speed.md),
not timings at run time, so that the same seed gives the same result on the same machine.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn

from reduction import OptionError

Batching = Literal["vmap", "loop"]
Precision = Literal["full", "bfloat16"]

BATCHINGS: tuple[Batching, ...] = get_args(Batching)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
EXAMPLES = 128  # at most, that go through a network at once in evaluation
ALONE = (nn.RNNBase, nn.MultiheadAttention)  # vmap cannot batch them
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions of a CPU that computes with it


@dataclass(frozen=True, slots=True)
class Execution:
    """How one architecture is run on one device.

    device     where
    batching   "vmap": all points at once; "loop": one after another
    precision  of training's arithmetic: the parameters' own, or bfloat16 where torch's autocast
               allows it. Parameters, gradients and evaluation keep their own type
    """

    device: torch.device
    batching: Batching
    precision: Precision

    @classmethod
    def chosen(
        cls,
        model: nn.Module,
        device: torch.device,
        batching: Batching | None,
        precision: Precision | None,
    ) -> Self:
        """What is asked for, and the rule where it is None; see `NetworkLoss`.

        Raises OptionError for a batching or a precision that is not there.
        """
        _check("batching", batching, BATCHINGS)
        _check("precision", precision, PRECISIONS)
        modules = list(model.modules())
        convolves = device.type == "cpu" and any(isinstance(m, CONVOLUTIONS) for m in modules)
        alone = convolves or any(isinstance(m, ALONE) for m in modules)
        dtypes = {p.dtype for p in model.parameters()}
        if precision == "bfloat16" and torch.float64 in dtypes:
            raise OptionError(
                "bfloat16 stands in for float32, the model's parameters are float64: convert it, "
                "model.float(), or choose precision='full'"
            )
        faster = convolves and dtypes == {torch.float32} and _computes_with_bfloat16()
        return cls(
            device,
            batching or ("loop" if alone else "vmap"),
            precision or ("bfloat16" if faster else "full"),
        )

    def __str__(self) -> str:
        arithmetic = ", training in bfloat16" if self.precision == "bfloat16" else ""
        return f"{self.batching}{arithmetic}, {self.device}"

    def arranged(self, inputs: Tensor) -> Tensor:
        """Inputs (n, ...) as the network reads them fastest: images with channels last in memory.

        Weights of convolutions follow the images.
        """
        if self.batching == "vmap" or inputs.ndim != 4:
            return inputs
        # not `contiguous`, which leaves images of one channel as they are
        return torch.empty_like(inputs, memory_format=torch.channels_last).copy_(inputs)

    def in_parts(self, inputs: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Examples in parts of nearly equal size: batch norm cannot take a last part of one."""
        count = -(-len(targets) // EXAMPLES)
        yield from zip(inputs.tensor_split(count), targets.tensor_split(count), strict=True)

    def training(self) -> AbstractContextManager[object]:
        """What a network is called in when it is trained."""
        if self.precision == "full":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def _check(name: str, value: str | None, values: tuple[str, ...]) -> None:
    if value is not None and value not in values:
        known = ", ".join(map(repr, values))
        raise OptionError(f"{name} is one of {known} or None, got {value!r}: choose one")


def _computes_with_bfloat16() -> bool:
    """Whether this CPU has instructions for it; False where torch is too old to tell."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in BFLOAT16)
