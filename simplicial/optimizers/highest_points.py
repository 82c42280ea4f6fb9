"""The highest points of a simplex, lowered by variance-reduced gradients.

After many passes over the data the noise of mini-batches keeps a simplex above what it can attain,
and so does the way in which its control points are lowered, each by itself: points between them
stay high. So the last gradients go to the points of a mesh twice as fine. A snapshot takes the
exact loss at all of them, and exact gradients at the highest; from there each step takes the
gradient at one of them on a mini-batch, less that at the snapshot's, plus the exact one (SVRG:
Johnson & Zhang 2013), whose noise is 0 at the snapshot and grows with the way from it. Points are
drawn as a soft maximum of the loss weighs them, to first order from the snapshot. Where the next
snapshot is higher, the steps since the one before are undone, and those to come are half as long.
Deviations from the source: steps are smoothed, gathered and scaled as those of `MovingSimplex`.
"""

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.maps.edgewise import Edgewise
from simplicial.optimizers.moving_simplex import MovingSimplex
from simplicial.optimizers.nested_meshes import NestedMesh
from simplicial.optimizers.preconditioner import STATE as MOMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEEN = 25  # passes over the data by each inner control point, before which noise matters less
SHARE = 1 / 3  # of the gradients
HIGHEST = 4  # points of an edge with exact gradients; as many more for each further dimension
STEPS = 4  # from snapshot to snapshot, over the gradients on mini-batches that one takes
SHORTER = 0.1  # a first step here, over the simplex's first step of all
SOFT, SHARP = 0.2, 0.03  # first and last temperature, over the range of the points' values
TINY = 1e-15  # beside a temperature
STATE = ("controls", "lowest", "values", "anchors", "exact", "velocity", "numbers", *MOMENTS)


class Snapshots(NamedTuple):
    """Snapshots of a simplex: their number, the points of exact gradients, and steps after each."""

    number: int
    points: int
    steps: int
    mini_batches: int

    @classmethod
    def of(cls, mesh: NestedMesh, gradients: int, mini_batches: int) -> Self:
        """Those for which gradients on mini-batches are kept; none where these are too few.

        mesh          the finest
        mini_batches  of a pass over the data; one has no noise to be reduced
        """
        dim = mesh.mesh.barycentric.shape[1] - 1
        points = min(HIGHEST * dim, len(finer_points(mesh)))
        exact, kept = points * mini_batches, int(SHARE * gradients)
        least = max(SEEN * mesh.inner * mini_batches, 2 * exact / SHARE)
        if mini_batches == 1 or gradients < least:
            return cls(0, points, 0, mini_batches)
        number = max(1, round(kept / (exact * (1 + 2 * STEPS))))
        return cls(number, points, (kept // number - exact) // 2, mini_batches)

    @property
    def exact(self) -> int:
        """Gradients on mini-batches that a snapshot takes."""
        return self.points * self.mini_batches

    @property
    def gradients(self) -> int:
        """Those of all snapshots, and the steps after them, which have two each."""
        return self.number * (self.exact + 2 * self.steps)


def finer_points(mesh: NestedMesh) -> Floats:
    """Barycentric coordinates (p, r+1) of the inner control points of a mesh twice as fine."""
    t = Edgewise(2 * mesh.simplex_map.segments).control_points(mesh.mesh.barycentric.shape[1] - 1)
    return t[(t > 0).all(axis=1)]


class HighestPoints:
    """One simplex at its last gradients. All is computed for it alone, so its bits are its own.

    simplex   as it was moved before, and the moments of its gradients
    mesh      the finest
    points    at which a snapshot has exact gradients
    seed      of the points that are drawn
    """

    def __init__(
        self, simplex: MovingSimplex, mesh: NestedMesh, points: int, seed: np.random.SeedSequence
    ) -> None:
        controls = simplex.finest()
        weights = mesh.interpolation(finer_points(mesh))
        inside = mesh.mesh.inside
        self._weights = torch.as_tensor(weights).to(controls)
        self._spread = torch.as_tensor(weights[:, inside] @ mesh.smoothing).to(controls)
        self._inside = torch.as_tensor(inside)
        self._rng = np.random.Generator(np.random.Philox(seed))
        self._controls, self._lowest = controls, controls.clone()
        self._values = np.full(len(weights), np.inf)
        self._highest = np.arange(points)  # of the last snapshot, the highest first
        self._anchors = self._exact = torch.zeros_like(controls[0]).expand(points, -1)
        self._velocity = torch.zeros_like(controls[self._inside])
        self._preconditioner = simplex.preconditioner
        self._rate, self._steps, self._at = SHORTER * simplex.rate, 0, 0

    def state(self) -> tuple[Tensor, ...]:
        """The tensors `STATE`, on which the next steps depend, which write into them."""
        values = torch.as_tensor(self._values)
        numbers = torch.tensor([self._rate, self._steps], dtype=torch.float64)
        own = (self._controls, self._lowest, values, self._anchors)
        own += (self._exact, self._velocity, numbers)
        return (*own, *self._preconditioner.state())

    def restore(self, *state: Tensor) -> None:
        """Go on from what `state` gave."""
        self._controls, self._lowest, values, self._anchors = state[:4]
        self._exact, self._velocity, numbers = state[4:7]
        self._values = values.cpu().numpy()
        self._highest = self._order()
        self._rate, self._steps = float(numbers[0]), int(numbers[1])
        self._preconditioner.restore(*state[7:])

    def inner(self) -> Tensor:
        """The inner control points of the lowest snapshot."""
        return self._lowest[self._inside]

    def finer(self) -> Tensor:
        """All points (p, d) of which the highest are lowered."""
        return self._weights @ self._controls

    def see(self, values: Floats) -> None:
        """Take the exact loss (p,) at them, or undo the steps that raised its maximum."""
        if values.max() <= self._values.max():
            self._lowest, self._values = self._controls.clone(), values
        else:
            self._controls, self._rate = self._lowest.clone(), self._rate / 2
            self._velocity = torch.zeros_like(self._velocity)

    def _order(self) -> Ints:
        """Positions (q,) of the highest points, the highest first."""
        return np.argsort(-self._values, kind="stable")[: len(self._anchors)]

    def anchors(self) -> Tensor:
        """The highest points (q, d), at which exact gradients are to be taken."""
        self._highest = self._order()
        self._anchors = self.finer()[torch.as_tensor(self._highest)]
        return self._anchors

    def snapshot(self, exact: Tensor) -> None:
        """Take the exact gradients (q, d) at the anchors."""
        self._exact = exact

    def draw(self) -> float:
        """A random number in [0, 1) for the next step: as many are drawn whatever came before."""
        return float(self._rng.random())

    def points(self, drawn: float, share: float) -> Tensor:
        """One of the highest points, as it is and as it was at the snapshot, (2, d).

        drawn  its random number
        share  of the steps that are done
        """
        highest = self._highest
        points = self._weights[torch.as_tensor(highest)] @ self._controls
        rise = ((points - self._anchors) * self._exact).sum(dim=1).double().cpu().numpy()
        heights = self._values[highest] + rise
        temperature = SOFT * (SHARP / SOFT) ** share * float(np.ptp(self._values))
        odds = np.exp((heights - heights.max()) / (temperature + TINY)).cumsum()
        self._at = min(int(np.searchsorted(odds, drawn * odds[-1], side="right")), len(odds) - 1)
        return torch.stack([points[self._at], self._anchors[self._at]])

    def step(self, gradients: Tensor, rate: float, momentum: float) -> None:
        """Move by gradients (2, d) of one mini-batch at the points that `points` gave.

        rate  the schedule's factor
        """
        now, then = gradients
        self._steps += 1
        reduced = now - then + self._exact[self._at]
        slope = self._preconditioner.see(now[None], reduced[None])
        spread = self._spread[self._highest[self._at]][:, None] * slope
        self._velocity = momentum * self._velocity + (1 - momentum) * spread
        length = rate * self._rate / (1 - momentum**self._steps)
        self._controls[self._inside] -= length * self._velocity
