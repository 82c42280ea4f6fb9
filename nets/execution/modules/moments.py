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


class MomentsOfParts:
    """Moments of the parts of a pass, one after another, in one block of memory.

    A tensor for each part would lie between the inputs of two parts, and keep the memory of the
    first from being used for inputs again, where the allocator has one heap.
    """

    def __init__(self) -> None:
        self._sizes = list[int]()
        self._rows: Tensor | None = None  # (capacity, 2, channels)

    def append(self, moments: Moments) -> None:
        """Add the moments of a part."""
        row = torch.stack(moments[1:])
        if self._rows is None:
            self._rows = row.new_empty((1, *row.shape))
        if len(self._sizes) == len(self._rows):
            self._rows = torch.cat([self._rows, torch.empty_like(self._rows)])
        self._rows[len(self._sizes)] = row
        self._sizes.append(moments.size)

    def sum(self, *, between: bool) -> Moments:
        """Moments of all values; see `sum_of_moments`."""
        assert self._rows is not None, "a part has been added"
        rows = zip(self._sizes, self._rows, strict=False)
        return sum_of_moments([Moments(size, *row) for size, row in rows], between=between)


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
