"""Gradients scaled by the second moments of those that were seen.

A coordinate is divided by the root mean square of its gradients, the latest of which weigh more, as
in Adam (Kingma & Ba 2015). In these units the second moments of the latest gradients are large
along the few directions in which a network's loss is steep, above all on a single mini-batch, and a
gradient is divided by their roots as well: what is left is shorter along these and longer along a
valley's floor. The moments are known in the span of the latest gradients alone, from their scalar
products (GGT: Agarwal et al. 2019, Efficient full-matrix adaptive regularization). Deviations from
the source: coordinates are scaled first; a moment below a coordinate's mean counts as that; the
gradients seen keep their length in the mean, so that a step's length does not depend on their
number; a gradient is scaled before it is gathered with momentum, not after.
"""

import numpy as np
import torch
from torch import Tensor

RECENT = 64  # gradients whose moments count
MOST = 2**25  # numbers that these may be: in more dimensions there are fewer of them
FORGET = 0.99  # of mean squares, from call to call
TINY = 1e-15  # beside a root mean square; its square is positive in float32
STATE = ("squares", "recent", "products", "calls")


class Preconditioner:
    """Second moments of the gradients of one simplex.

    like  (d,), of the dtype and on the device of gradients
    """

    def __init__(self, like: Tensor) -> None:
        count = max(1, min(RECENT, MOST // len(like)))
        self._squares = torch.zeros_like(like)
        self._recent = like.new_zeros(count, len(like))
        self._products = torch.zeros(count, count, dtype=torch.float64)
        self._calls = torch.zeros(2, dtype=torch.int64)  # those of `see`, and gradients seen

    def state(self) -> tuple[Tensor, ...]:
        """The tensors `STATE`."""
        own = (self._squares, self._recent, self._products, self._calls)
        return tuple(tensor.clone() for tensor in own)

    def restore(self, *state: Tensor) -> None:
        """Go on from what `state` gave."""
        self._squares, self._recent = state[:2]
        self._products, self._calls = (tensor.cpu() for tensor in state[2:])

    def see(self, gradients: Tensor) -> None:
        """Take gradients (q, d) into the moments."""
        seen = int(self._calls[1])
        self._squares = FORGET * self._squares + (1 - FORGET) * gradients.square().mean(dim=0)
        self._calls += torch.tensor([1, len(gradients)])
        count = len(self._recent)
        latest = (gradients / self._scale)[-count:]
        rows = torch.as_tensor((seen + np.arange(len(latest))) % count)
        self._recent[rows] = latest
        products = (self._recent @ latest.T).double().cpu()
        self._products[:, rows], self._products[rows] = products, products.T

    @property
    def _scale(self) -> Tensor:
        """(d,) root mean squares."""
        return (self._squares / (1 - FORGET ** int(self._calls[0]))).sqrt() + TINY

    def scaled(self, gradients: Tensor) -> Tensor:
        """Gradients (q, d) by the inverse roots of the moments."""
        seen = min(int(self._calls[1]), len(self._recent))
        moments, directions = torch.linalg.eigh(self._products / seen)
        length = moments.clamp(min=TINY).sum() / moments.clamp(min=TINY, max=1).sum()
        moments = moments.clamp(min=1)
        shares = (moments.rsqrt() - 1) / (moments * seen)
        roots = ((directions * shares) @ directions.T).to(gradients)
        scaled = gradients / self._scale
        return float(length.sqrt()) * (scaled + scaled @ self._recent.T @ roots @ self._recent)
