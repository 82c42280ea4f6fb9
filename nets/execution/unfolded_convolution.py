"""Convolutions as products of their weights with patches of images.

For gradients of several networks at once on a CUDA device: batched by `torch.func.vmap` these are
convolutions in groups, one group for a network, which cuDNN takes group by group, and if each time
the same bits are to come out, slowly. A patch is copied for each place of the output, so this is
for few channels.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from nets.layout import pair

FEW = 16  # channels from which on copying patches costs more than it saves


def by_patches(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """`torch.conv2d` of images that have few channels; None where it is left to torch.

    Of torch's operations, so that it can be batched and differentiated as they can.
    """
    steps, zeros, size = pair(stride), pair(padding), weight.shape[2:]
    plain = groups == 1 and pair(dilation) == (1, 1) and input.ndim == weight.ndim == 4
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
