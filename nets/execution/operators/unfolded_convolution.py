"""Convolutions as products of their weights with unfolded images.

For gradients of several networks at once on a CUDA device: batched by `torch.func.vmap` these are
convolutions in groups, one group for a network, which cuDNN takes group by group, and if each time
the same bits are to come out, slowly. Unfolding copies a patch for each number of the output, so
this is for few channels.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.overrides import TorchFunctionMode

FEW = 16  # channels from which on copying patches costs more than it saves


class UnfoldedConvolutions(TorchFunctionMode):
    """A mode in which `torch.conv2d` is `unfolded_convolution` wherever that is defined."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        found = unfolded_convolution(*args, **kwargs) if func is torch.conv2d else None
        return func(*args, **kwargs) if found is None else found


def unfolded_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """`torch.conv2d` of images with fewer than FEW channels; None for all other arguments.

    Arguments and result as for `torch.conv2d`, also by name. Of torch's operations alone, so it can
    be batched and differentiated as they can.
    """
    steps, zeros, size = _pair(stride), _pair(padding), weight.shape[2:]
    plain = groups == 1 and _pair(dilation) == (1, 1) and input.ndim == weight.ndim == 4
    if not plain or len(steps) != 2 or len(zeros) != 2 or weight.shape[1] >= FEW:
        return None
    if not all(isinstance(number, int) for number in (*steps, *zeros)):
        return None  # "same", or what torch refuses
    if min(zeros) < 0 or min(steps) < 1 or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    inside = all(k <= n + 2 * p for k, n, p in zip(size, input.shape[2:], zeros, strict=True))
    if not inside or input.shape[1] != weight.shape[1]:
        return None
    framed = pad(input, (zeros[1], zeros[1], zeros[0], zeros[0]))
    patches = framed.unfold(2, size[0], steps[0]).unfold(3, size[1], steps[1])
    n, _, height, width = patches.shape[:4]
    columns = patches.permute(1, 4, 5, 0, 2, 3).reshape(-1, n * height * width)
    out = weight.flatten(1) @ columns
    if bias is not None:
        out = out + bias[:, None]
    return out.unflatten(1, (n, height, width)).transpose(0, 1)


def _pair(number: Any) -> tuple[int, ...]:
    """(rows, columns) of one number or two, as torch takes them; of more, all."""
    numbers = tuple(number) if isinstance(number, list | tuple) else (number,)
    return 2 * numbers if len(numbers) == 1 else numbers
