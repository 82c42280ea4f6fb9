"""Cheap signs that vertices are no minima, or networks that have learnt nothing.

Between such points optimised simplices need not climb, and W_inf is 0 on them whatever the loss is.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reduction import DataError
from reduction.reprs import or_types
from simplicial.evaluation import evaluate, values_and_gradients, where_finite
from simplicial.loss import Loss, StochasticLoss, SupervisedLoss
from simplicial.options import MEMORY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BATCH, BATCHES = 128, 32  # examples in a mini-batch, and mini-batches at most
BETWEEN = (0.25, 0.5, 0.75)  # of the way to the next point
LEARNT = 0.05  # share of the loss with the targets of other examples that a network is below it


class VertexChecks(NamedTuple):
    """Gradients and losses at vertices, beside what tells points of a slope and untrained networks.

    norms    (n,) of the loss's gradients, but for coordinates on a wall where it falls outwards
    scales   (n,) what such a norm is below near a minimum. Of a loss with three mini-batches of 128
             examples or more: the standard deviation of their gradients, but for the last one's,
             which may have few examples; above it, at a signal-to-noise ratio over 1, one
             mini-batch tells where the loss falls, as early in training. Of another: half the root
             mean square of the norms on the straight line to the next vertex, where they are
             finite; NaN where none is, and of one vertex
    losses   (n,) by mini-batches, of a loss of outputs and targets; else NaN
    shuffled (n,) likewise, of the same outputs with the targets of other examples: equal to
             `losses` for a network that ignores its inputs, far above them for one that has learnt
    These are signs, and no proofs: SGD ends at a ratio far below 1, and so may a plateau.
    Source: McCandlish, Kaplan, Amodei & OpenAI, arXiv:1812.06162 (2018), for the noise scale.
    """

    norms: Floats
    scales: Floats
    losses: Floats
    shuffled: Floats

    @or_types
    def __repr__(self) -> str:
        sloping, untrained = len(self.sloping), len(self.untrained)
        return f"VertexChecks(n={len(self.norms)}, {sloping=}, {untrained=})"

    @classmethod
    def unknown(cls, n: int) -> "VertexChecks":
        """Nothing is known of n vertices."""
        return cls(*(np.full(n, np.nan) for _ in cls._fields))

    @property
    def ratios(self) -> Floats:
        """Norms over scales (n,), NaN where a scale is 0 or not known."""
        nothing = np.full(len(self.norms), np.nan)
        return np.divide(self.norms, self.scales, out=nothing, where=self.scales > 0)

    @property
    def sloping(self) -> Ints:
        """Vertices whose gradient is larger than its scale."""
        return np.flatnonzero(self.norms > self.scales)

    @property
    def untrained(self) -> Ints:
        """Vertices whose loss is not a twentieth lower than with the targets of other examples."""
        return np.flatnonzero(self.losses > self.shuffled - LEARNT * np.abs(self.shuffled))

    @property
    def remark(self) -> str | None:
        """Sentences on the vertices that are `sloping` or `untrained`; None: there are none."""
        parts, n = [], len(self.norms)
        if len(found := self.sloping):
            norm, scale = self.norms[found[0]], self.scales[found[0]]
            size = f"the gradient at {found[0]} is {norm:.3g}, near a minimum below {scale:.3g}"
            parts.append(f"{len(found)} of {n} are no minima ({size})")
        if len(found := self.untrained):
            loss, other = self.losses[found[0]], self.shuffled[found[0]]
            size = f"the loss at {found[0]} is {loss:.3g}, with shuffled targets {other:.3g}"
            parts.append(f"{len(found)} of {n} have learnt next to nothing ({size})")
        if not parts:
            return None
        return (
            f"of the vertices {' and '.join(parts)}: between such points simplices need not climb, "
            "so a small W_inf does not say that the loss is near to convex; train longer, or polish"
        )


def check_vertices(
    loss: Loss, points: Tensor, norms: Floats, memory: int = MEMORY, seed: int = 0
) -> VertexChecks:
    """The checks of points (n, d).

    norms   (n,) of the gradients there
    memory  bytes for a batch of points
    seed    of the mini-batches
    Only norms are known where the data have no such mini-batches: a last one of one example, with
    batch norm. Raises LossError for a loss that torch cannot differentiate.
    """
    try:
        scales = _scales(loss, points, memory, seed)
        if not isinstance(loss, SupervisedLoss):
            return VertexChecks.unknown(len(points))._replace(norms=norms, scales=scales)
        losses, shuffled = (
            np.mean([_losses(each, points, memory) for each in _full(part)], axis=0)
            for part in (
                loss.estimates(BATCH, np.random.default_rng(seed)),
                loss.mismatched(BATCH, np.random.default_rng(seed)),
            )
        )
    except DataError:
        return VertexChecks.unknown(len(points))._replace(norms=norms)
    return VertexChecks(norms, scales, losses, shuffled)


def _losses(loss: Loss, points: Tensor, memory: int) -> Floats:
    """Losses (n,), NaN at points where they are not finite."""
    return where_finite(lambda some: evaluate(loss, some, memory).loss, points)


def _full(one_pass: Iterator[Loss]) -> list[Loss]:
    """Up to `BATCHES` mini-batches, without the last one of the pass unless there is no other."""
    found = list(islice(one_pass, BATCHES + 1))
    return found[: max(1, len(found) - 1)]


def _scales(loss: Loss, points: Tensor, memory: int, seed: int) -> Floats:
    noise = _noise(loss, points, memory, seed) if isinstance(loss, StochasticLoss) else None
    if noise is not None:
        return noise
    if len(points) == 1:
        return np.full(1, np.nan)
    following = points.roll(-1, dims=0)
    between = [points.lerp(following, t) for t in BETWEEN]
    squares = np.stack([_gradients(loss, at, memory) for at in between]) ** 2
    some = np.isfinite(squares).all(axis=2)  # of the three points of each vertex
    total = np.where(some, squares.sum(axis=2), 0.0).sum(axis=0)
    unknown = np.full(len(points), np.nan)
    return 0.5 * np.sqrt(np.divide(total, some.sum(axis=0), out=unknown, where=some.any(axis=0)))


def _noise(loss: StochasticLoss, points: Tensor, memory: int, seed: int) -> Floats | None:
    """The standard deviation of a mini-batch's gradient; None of a single full mini-batch."""
    count, total, squares = 0, np.zeros(points.shape), np.zeros(len(points))
    for estimate in _full(loss.estimates(BATCH, np.random.default_rng(seed))):
        gradients = _gradients(estimate, points, memory)
        squares += (gradients**2).sum(axis=1)
        total, count = total + gradients, count + 1
    if count < 2:
        return None
    variance = (squares - (total**2).sum(axis=1) / count) / (count - 1)
    return np.sqrt(np.maximum(variance, 0))


def _gradients(loss: Loss, points: Tensor, memory: int) -> Floats:
    """Gradients (n, d), NaN at points where they are not finite."""

    def compute(some: Tensor) -> Floats:
        return values_and_gradients(loss, some, memory).gradients.double().cpu().numpy()

    return where_finite(compute, points, tuple(points.shape[1:]))
