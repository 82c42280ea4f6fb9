"""How networks are run: batching, precision and layout, which change a loss's speed and, but for
training's precision and rounding, nothing else.

They are rules on the architecture and the device, found by measurement (docs/networks/speed.md),
not timings at run time, so that the same seed gives the same result on the same machine. Which of
the kernels does a convolution is chosen in nets/convolution.py and nets/execution/unfolded_convolution.py, whether a pass
is recorded as a CUDA graph in nets/execution/functional.py.
"""

import copy
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d
from torch.overrides import TorchFunctionMode

from nets import kernels
from nets.convolution import can_do, convolution, suits
from nets.execution.rng import global_generators, undisturbed
from nets.execution.unfolded_convolution import by_patches
from nets.layout import TYPES, examples_last
from nets.normalisation import batch_norm
from nets.pooling import max_pooling
from reduction import OptionError

Batching = Literal["vmap", "loop"]
Precision = Literal["full", "bfloat16"]
Layout = Literal["given", "channels_last", "examples_last"]

BATCHINGS: tuple[Batching, ...] = get_args(Batching)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
UNBATCHED = (nn.RNNBase, nn.MultiheadAttention)  # modules that vmap cannot batch
ALONE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d)
"""Modules that vmap can batch on a CPU, but convolutions not fast, and batch norm not to the same
bits for every number of points."""
NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
)
"""Modules that torch does on a copy of images with their examples last, and that have no kernels
here."""


class _Own(TorchFunctionMode):
    """While it is entered, functions of torch's are `own` ones, where those do not give None."""

    own: ClassVar[dict[Any, Callable[..., Tensor | None]]]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        own = self.own.get(func)
        found = own(*args, **kwargs) if own else None
        return func(*args, **kwargs) if found is None else found


class ExamplesLast(_Own):
    """Convolutions, batch norm and max pooling by the kernels of `nets.kernels`."""

    own: ClassVar = {
        torch.conv2d: convolution,
        torch.nn.functional.batch_norm: batch_norm,
        max_pool2d: max_pooling,
    }


class Patches(_Own):
    """Convolutions by products with patches."""

    own: ClassVar = {torch.conv2d: by_patches}


@dataclass(frozen=True, slots=True)
class Execution:
    """How one architecture is run on one device.

    device         where
    batching       "vmap": all points at once; "loop": one after another
    precision      of training's arithmetic: "full", the parameters' own, or "bfloat16" where
                   torch's autocast allows it. Parameters, gradients and evaluation keep their type
    layout         of images in memory where gradients are taken: as they are given; with their
                   channels last, as torch's convolutions read them fastest; with their examples
                   last, for `nets.kernels`
    in_training    the layout then, which differs for bfloat16
    without_gradients  the layout where none is asked for
    """

    device: torch.device
    batching: Batching
    precision: Precision
    layout: Layout
    in_training: Layout
    without_gradients: Layout

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
        alone = precision == "bfloat16" or any(isinstance(m, unbatched) for m in modules)
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
        if batching == "vmap":
            return cls(device, batching, precision, *3 * ("given",))
        by_torch = _layout_by_torch(model, inputs)
        reads_few, can_do_all = _takes_examples_last(model, inputs, dtype)
        full = "examples_last" if reads_few else by_torch
        narrow = by_torch if precision == "bfloat16" else full
        return cls(
            device, batching, precision, full, narrow, "examples_last" if can_do_all else full
        )

    @contextmanager
    def exactly(self) -> Generator[None]:
        """Products and convolutions of float32 as such, and the same bits each time.

        On a CUDA device torch rounds convolutions to TF32 unless told otherwise, three digits, and
        products where it was told to; and some gradients of convolutions are sums in no fixed
        order.
        """
        if self.device.type != "cuda":
            yield
            return
        cudnn: Any = torch.backends.cudnn
        places: list[Any] = [cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul]
        before = [place.fp32_precision for place in places], cudnn.deterministic
        try:
            for place in places:
                place.fp32_precision = "ieee"
            cudnn.deterministic = True
            yield
        finally:
            for place, precision in zip(places, before[0], strict=True):
                place.fp32_precision = precision
            cudnn.deterministic = before[1]

    def __str__(self) -> str:
        arithmetic = ", training in bfloat16" if self.precision == "bfloat16" else ""
        return f"{self.batching}{arithmetic}, {self.device}"

    def arranged(self, inputs: Tensor, *, training: bool = False) -> Tensor:
        """Inputs (n, ...) in the order in memory in which the network reads them fastest, with
        gradients if torch is to take them.

        Weights of convolutions follow the images.
        """
        return _ARRANGED[self._layout(training)](inputs)

    def _layout(self, training: bool) -> Layout:
        if training:
            return self.in_training
        return self.layout if torch.is_grad_enabled() else self.without_gradients

    @contextmanager
    def arithmetic(self, training: bool) -> Generator[None]:
        """Autocast to bfloat16 for training that was asked to, and to nothing for all else; and
        the functions that images of this layout are made for.
        """
        narrow = training and self.precision == "bfloat16"
        layout = self._layout(training)
        own: AbstractContextManager[object] = nullcontext()
        if layout == "examples_last":
            own = ExamplesLast()
        elif self.device.type == "cuda" and self.batching == "vmap" and torch.is_grad_enabled():
            own = Patches()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=narrow), own:
            yield


def _check(name: str, value: str | None, values: tuple[str | None, ...]) -> None:
    if value not in values:
        known = " or ".join(", ".join(map(repr, values)).rsplit(", ", 1))
        raise OptionError(f"{name} is {known}, got {value!r}: choose one")


def _takes_examples_last(model: nn.Module, images: Tensor, dtype: torch.dtype) -> tuple[bool, bool]:
    """Whether the network is made for `nets.convolution`, and runs: with gradients, and without."""
    modules = list(model.modules())
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
    if images.ndim != 4 or images.device.type != "cpu" or not dtype == images.dtype in TYPES:
        return False, False
    if not convolutions or any(isinstance(m, NORMS) for m in modules):
        return False, False
    normed = any(isinstance(m, nn.BatchNorm2d) for m in modules)
    with_gradients = all(map(suits, convolutions)) and not normed
    without = all(map(can_do, convolutions)) and (with_gradients or kernels.HAS_AVX512)
    if not without or not _takes(model, images, examples_last, ExamplesLast()):
        return False, False
    return with_gradients, without


def _layout_by_torch(model: nn.Module, images: Tensor) -> Layout:
    if images.ndim != 4 or not any(isinstance(m, nn.Conv2d) for m in model.modules()):
        return "given"
    return "channels_last" if _takes(model, images, _channels_last) else "given"


def _channels_last(images: Tensor) -> Tensor:
    """Images (n, channels, height, width); `contiguous` would leave those of one channel as they
    are, and convolutions choose their layout by the strides.
    """
    if images.shape[1] > 1 and images.is_contiguous(memory_format=torch.channels_last):
        return images
    return torch.empty_like(images, memory_format=torch.channels_last).copy_(images)


_ARRANGED: dict[Layout, Callable[[Tensor], Tensor]] = {
    "given": lambda inputs: inputs,
    "channels_last": _channels_last,
    "examples_last": examples_last,
}


def _takes(
    model: nn.Module,
    images: Tensor,
    arranged: Callable[[Tensor], Tensor],
    mode: AbstractContextManager[object] | None = None,
) -> bool:
    """Whether the network runs on rearranged images as on these, with gradients, in training too.

    One that calls `view` may not, one that reads memory by strides of its own gives other values,
    and one that is compiled may not get on with a mode.
    """
    network = copy.deepcopy(model)
    try:
        with undisturbed(global_generators(images.device)):
            for training in (False, True):
                network.train(training)
                with torch.enable_grad(), mode or nullcontext():
                    outputs = network(arranged(images).clone())
                outputs.sum().backward()
            network.eval()
            with torch.no_grad():
                expected = network(images.clone())
                with mode or nullcontext():
                    found = network(arranged(images).clone())
            return bool((found - expected).abs().max() <= 1e-4 * expected.abs().max())
    except (
        Exception
    ):  # whatever it is: what fails on these images too is told by `nets.execution.checks`
        return False
