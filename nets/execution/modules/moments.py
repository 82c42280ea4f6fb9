"""Mean and variance of the values of a channel, and those of several parts together."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """The number of values of a channel, their mean and variance (channels,), float64; divisor n.

    Of statistics that are means over examples: the number of examples, and those.
    """

    size: int
    mean: Tensor
    var: Tensor


def sum_of_moments(parts: Sequence[Moments], *, between: bool) -> Moments:
    """Moments of all values of parts; between: the variance between parts is a part of theirs."""
    if len(parts) == 1:
        return parts[0]
    size = sum(part.size for part in parts)
    shares = torch.tensor([part.size / size for part in parts], dtype=torch.float64)
    means, variances = map(torch.stack, zip(*(part[1:] for part in parts), strict=True))
    shares = shares.to(means.device).view(-1, *[1] * (means.ndim - 1))
    mean = (shares * means).sum(dim=0)
    if between:
        variances = variances + (means - mean).square()
    return Moments(size, mean, (shares * variances).sum(dim=0))
