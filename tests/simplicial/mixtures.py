"""Random mixtures of Gaussians in a shallow bowl in the plane: many passes close together."""

from collections.abc import Callable

import torch
from torch import Tensor

WELLS = 14


def mixture(seed: int) -> Callable[[Tensor], Tensor]:
    """Fourteen Gaussians in a shallow bowl, points (batch, 2) -> values (batch,)."""
    generator = torch.Generator().manual_seed(seed)
    centres = (torch.rand(WELLS, 2, generator=generator, dtype=torch.float64) - 0.5) * 6
    depths = 0.5 + torch.rand(WELLS, generator=generator, dtype=torch.float64) * 1.5
    widths = 0.35 + 0.35 * torch.rand(WELLS, generator=generator, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        c, a, s = centres.to(x), depths.to(x), widths.to(x)
        squares = (x[:, None] - c).square().sum(dim=2)
        return 0.02 * x.square().sum(dim=1) - torch.exp(-squares / (2 * s.square())) @ a

    return loss
