"""Execution policy: batching, precision and memory layout of networks.

Policies change a loss's speed and, but for training's precision and rounding, nothing else. They
are rules on the architecture and the device, found by measurement (docs/networks/speed.md), not
timings at run time, so that the same seed gives the same result on the same machine.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from nets.data.trees import Tree, mapped, tensors_of
from nets.execution.operators.pooling import channels_last_pooling
from nets.execution.operators.unfolded_convolution import UnfoldedConvolutions
from nets.names import BATCHINGS, PRECISIONS, Batching, Precision
from reduction import OptionError

Layout = Literal["given", "channels_last"]

UNBATCHED = (nn.RNNBase, nn.MultiheadAttention)  # modules that vmap cannot batch
WEIGHTS = 64  # of convolutions to a pixel: reordering more of them costs more than it saves
ALONE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d)
"""Modules that vmap can batch on a CPU, but convolutions not fast, and batch norm not to the same
bits for every number of points."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The execution policy of one architecture on one device.

    device     of parameters and examples
    batching   "vmap": all points at once; "loop": one after another
    precision  of training's arithmetic: "full", the parameters' own, or "bfloat16" where torch's
               autocast allows it. Parameters, gradients and evaluation keep their type
    layout     of images in memory: as they are given, or with their channels last, as torch's
               convolutions read them fastest
    automatic  whether batching was left to the rule
    pools      whether images that are given to convolutions are pooled with their channels last
    """

    device: torch.device
    batching: Batching
    precision: Precision
    layout: Layout
    automatic: bool = False
    pools: bool = False

    @classmethod
    def of(
        cls,
        model: nn.Module,
        inputs: Tree,
        dtype: torch.dtype,
        batching: Batching | None,
        precision: Precision,
    ) -> Self:
        """The options of `NetworkLoss`, and its rule where `batching` is None.

        inputs  tree (n, ...) of a part of the examples, on the device
        dtype   of the model's coordinates
        Images of convolutions that run one network after another have their channels last, unless
        there are many weights to a pixel; whether the model allows that is not tried here. Raises
        OptionError for a batching or a precision that is not there or does not fit.
        """
        check_choice("batching", batching, (*BATCHINGS, None))
        check_choice("precision", precision, PRECISIONS)
        tensors, modules = tensors_of(inputs), list(model.modules())
        device = tensors[0].device
        unbatched = (*UNBATCHED, *ALONE) if device.type == "cpu" else UNBATCHED
        alone = precision == "bfloat16" or any(isinstance(m, unbatched) for m in modules)
        automatic = batching is None
        batching = batching or ("loop" if alone else "vmap")
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
        pixels = sum(t.numel() // max(1, t.shape[1]) for t in tensors if t.ndim == 4)
        weights = sum(m.weight.numel() for m in modules if isinstance(m, nn.Conv2d))
        few = 0 < weights <= WEIGHTS * pixels
        layout = "channels_last" if few and batching == "loop" else "given"
        pools = weights > 0 and pixels > 0 and batching == "loop" and device.type == "cpu"
        return cls(device, batching, precision, layout, automatic, pools)

    @contextmanager
    def exactly(self) -> Generator[None]:
        """Products and convolutions of float32 are rounded to float32, to the same bits each time.

        On a CUDA device torch rounds convolutions to TF32 unless told otherwise, three digits, and
        products where it was told to; and some gradients of convolutions are sums in no fixed
        order.
        """
        if self.device.type != "cuda":
            yield
            return
        cudnn: Any = torch.backends.cudnn
        backends: list[Any] = [cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul]
        before = [backend.fp32_precision for backend in backends], cudnn.deterministic
        try:
            for backend in backends:
                backend.fp32_precision = "ieee"
            cudnn.deterministic = True
            yield
        finally:
            for backend, precision in zip(backends, before[0], strict=True):
                backend.fp32_precision = precision
            cudnn.deterministic = before[1]

    def __str__(self) -> str:
        arithmetic = ", training in bfloat16" if self.precision == "bfloat16" else ""
        return f"{self.batching}{arithmetic}, {self.device}"

    def arranged(self, inputs: Tree) -> Tree:
        """Inputs (n, ...) whose images have the policy's layout; weights of convolutions follow."""
        return mapped(_channels_last, inputs) if self.layout == "channels_last" else inputs

    @contextmanager
    def arithmetic(self, training: bool, modules: Iterable[nn.Module] = ()) -> Generator[None]:
        """Autocast to bfloat16 for training with that precision, and none otherwise; unfolded
        convolutions for gradients of several networks at once on a CUDA device; and pooling by
        these modules with channels last on a CPU, where they are not there already.
        """
        narrow = training and self.precision == "bfloat16"
        several = self.device.type == "cuda" and self.batching == "vmap"
        unfolded = several and torch.is_grad_enabled()
        convolutions = UnfoldedConvolutions() if unfolded else nullcontext()
        pooling = channels_last_pooling(modules if self.pools and self.layout == "given" else ())
        changes = narrow or torch.is_autocast_enabled(self.device.type)
        cast = torch.autocast(self.device.type, torch.bfloat16, enabled=narrow)
        with cast if changes else nullcontext(), convolutions, pooling:
            yield


def check_choice(name: str, value: str | None, values: tuple[str | None, ...]) -> None:
    """Raise OptionError for a value that is none of the option's."""
    if value not in values:
        known = " or ".join(", ".join(map(repr, values)).rsplit(", ", 1))
        raise OptionError(f"{name} is {known}, got {value!r}: choose one")


def _channels_last(images: Tensor) -> Tensor:
    """Images (n, channels, height, width) whose channels lie last in memory; others as they are.

    torch's `contiguous` leaves images of one channel as they are, and convolutions choose their
    layout by the strides.
    """
    if images.ndim != 4:
        return images
    if images.shape[1] > 1 and images.is_contiguous(memory_format=torch.channels_last):
        return images
    return torch.empty_like(images, memory_format=torch.channels_last).copy_(images)
