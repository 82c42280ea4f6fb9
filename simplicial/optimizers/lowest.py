"""The lowest of several simplices with the same faces, and their highest points."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.maxima.maxima import Maxima

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class HighestPoints(NamedTuple):
    """The highest points of k simplices, and the loss's gradients there, (k, d)."""

    maxima: Maxima
    gradients: Tensor


class Lowest:
    """The lowest simplices so far: control points (m, c, d), refined maxima (m,).

    is_critical  (m,) whether the loss is about level at the maximum
    margin       (m,) above its maxima, within which a simplex cannot be lowered
    gain         (m,) by how much one must be lower to be taken: what maxima are wrong by
    """

    def __init__(
        self, controls: Tensor, maxima: Floats, margin: Floats, gain: Floats | None = None
    ) -> None:
        self.controls, self.maxima, self.margin = controls, maxima, margin
        self.gain = np.zeros(len(controls)) if gain is None else gain
        self.values = np.full(len(controls), np.inf)
        self.is_critical = np.zeros(len(controls), dtype=bool)

    def above(self) -> Ints:
        """The simplices that are still higher than their faces."""
        return np.flatnonzero(self.values > self.maxima + self.margin)

    def take(
        self, which: Ints, controls: Tensor, values: Floats, is_critical: NDArray[np.bool_]
    ) -> None:
        """Replace those of the simplices `which` (k,) that are lower now."""
        lower = values < self.values[which] - self.gain[which]
        self.controls[which[lower]] = controls[torch.as_tensor(lower)]
        self.values[which[lower]] = values[lower]
        self.is_critical[which[lower]] = is_critical[lower]
