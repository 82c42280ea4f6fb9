"""Gradients scaled by the second moments of those that were seen.

A coordinate is divided by the root mean square of its gradients, the latest of which weigh more, as
in Adam (Kingma & Ba 2015). In these units the second moments of the latest gradients are large
along the few directions in which a network's loss is steep, above all on a single mini-batch, and a
gradient is divided by their roots as well: what is left is shorter along these and longer along a
valley's floor. The moments are known in the span of the latest gradients alone, from their scalar
products (GGT: Agarwal et al. 2019, Efficient full-matrix adaptive regularization). Deviations from
the source: coordinates are scaled first; a moment below a coordinate's mean counts as that; the
gradients seen keep their length in the mean, so that a step's length does not depend on their
number; a gradient is scaled before it is gathered with momentum, not after. All is computed in
units of the steepest slope that was seen, in which no square overflows.
"""

import math

import torch
from torch import Tensor

RECENT = 64  # gradients whose moments count
MOST = 2**25  # numbers that these may be: in more dimensions there are fewer of them
FORGET = 0.99  # of mean squares, from call to call
TINY = 1e-15  # beside a sum of moments
STATE = ("squares", "recent", "products", "counts")


def recent_count(d: int) -> int:
    """Number of gradients (d,) whose moments count."""
    return max(1, min(RECENT, MOST // d))


class Preconditioner:
    """Second moments of the gradients of one simplex.

    like  (d,), of the dtype and on the device of gradients
    """

    def __init__(self, like: Tensor) -> None:
        count = recent_count(len(like))
        self._squares = torch.zeros_like(like)
        self._recent = like.new_zeros(count, len(like))
        self._products = torch.zeros(count, count, dtype=torch.float64)
        tiny = torch.finfo(like.dtype).tiny
        self._least = tiny**0.5  # beside a root mean square: below it squares are lost
        self._calls, self._seen = 0, 0  # calls of `see`, and gradients seen
        self._unit = math.frexp(tiny)[1]  # binary exponent of the steepest slope

    def state(self) -> tuple[Tensor, ...]:
        """The tensors `STATE`; the next call of `see` writes into them."""
        counts = torch.tensor([self._calls, self._seen, self._unit])
        return self._squares, self._recent, self._products, counts

    def restore(self, *state: Tensor) -> None:
        """Go on from what `state` gave."""
        self._squares, self._recent, self._products = *state[:2], state[2].cpu()
        self._calls, self._seen, self._unit = state[3].tolist()

    def see(self, gradients: Tensor, vectors: Tensor | None = None) -> Tensor:
        """Take gradients (q, d) into the moments; vectors (p, d) by the inverse roots of these.

        vectors  None: the gradients
        """
        self._raise_unit(gradients)
        unit, count, before = math.ldexp(1.0, -self._unit), len(self._recent), self._seen
        slopes = unit * gradients
        self._squares = FORGET * self._squares + (1 - FORGET) * slopes.square().mean(dim=0)
        self._calls, self._seen = self._calls + 1, before + len(slopes)
        scale = (self._squares / (1 - FORGET**self._calls)).sqrt() + self._least
        slopes = slopes / scale
        given = slopes if vectors is None else torch.cat([slopes, unit * vectors / scale])
        latest = slice(max(0, len(slopes) - count), len(slopes))
        rows = torch.arange(before, before + latest.stop - latest.start) % count
        self._recent[rows] = slopes[latest]
        recent = self._recent[: self._seen]
        products = (given @ recent.T).double().cpu()  # half of the time; the rest is `addmm`
        self._products[rows, : len(recent)] = products[latest]
        self._products[: len(recent), rows] = products[latest].T
        first = 0 if vectors is None else len(slopes)
        return self._by_moments(given[first:], products[first:], recent)

    def _raise_unit(self, gradients: Tensor) -> None:
        """Go on in units of the steepest slope so far, a power of two, which rounds nothing."""
        unit = math.frexp(float(torch.linalg.vector_norm(gradients, torch.inf)))[1]
        if unit > self._unit:
            self._squares *= math.ldexp(1.0, 2 * (self._unit - unit))
            self._unit = unit

    def _by_moments(self, scaled: Tensor, products: Tensor, recent: Tensor) -> Tensor:
        """Vectors (p, d) in units of coordinates, by their products (p, n) with the n latest."""
        seen = len(recent)
        moments, directions = torch.linalg.eigh(self._products[:seen, :seen] / seen)
        length = moments.clamp(min=TINY).sum() / moments.clamp(min=TINY, max=1).sum()
        moments = moments.clamp(min=1)
        shares = (moments.rsqrt() - 1) / (moments * seen)
        along = products @ (directions * shares) @ directions.T
        return float(length.sqrt()) * torch.addmm(scaled, along.to(scaled), recent)
