"""Batch norm of images that lie with their examples last in memory, where no gradient is asked for.

torch's would copy them. What is computed is what `torch.nn.functional.batch_norm` computes, to
rounding, with the same bits for every number of threads.
"""

import torch
from torch import Tensor

from nets import kernels
from nets.layout import empty, inner, ours
from nets.threads import in_threads


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    """`torch.nn.functional.batch_norm`; None where it is left to torch: for all that is no such
    image, or is to be differentiated, and for what torch refuses in its own words.
    """
    running = [part for part in (running_mean, running_var) if part is not None]
    parts = [*running, *(part for part in (weight, bias) if part is not None)]
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or not ours(input, *parts):
        return None
    channels, count = input.shape[1], input[:, 0].numel()
    fits = all(part.shape == (channels,) and part.is_contiguous() for part in parts)
    if not fits or len(running) == 1 or not (training or running):
        return None
    if training and (count < 2 or eps <= 0):
        return None
    weight = input.new_ones(channels) if weight is None else weight
    bias = input.new_zeros(channels) if bias is None else bias
    running = running or input.new_zeros(2, channels).unbind()
    out = empty(input, *input.shape[1:])
    if training:
        kernel, numbers = kernels.standardise, (*running, float(momentum))
    else:
        kernel, numbers = kernels.normalise, running
    in_threads(kernel, channels, inner(input), *numbers, weight, bias, float(eps), inner(out))
    return out
