"""Constraints of a search: directions in which no step is taken, and no curvature is counted.

Two kinds. The walls of a box hold a coordinate which has come to one of them as long as the loss
falls outwards: what is stationary in the rest, with a Hessian there, is a critical point of the
loss on the box (the Karush-Kuhn-Tucker conditions; of index 0, a local minimum of it). And along
the motions under which a loss is invariant there is no slope and no curvature.
Sources: Nocedal & Wright (2006), 12.3 and 16.7 (active sets); Goresky & MacPherson (1988),
"Stratified Morse Theory", I.1, for the index on a wall; Wales (2003), 6.2, for motions.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from simplicial.loss import Loss, Motions, motions_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

ROUNDING = 32 * float(np.finfo(np.float64).eps)


class SecondOrder(Protocol):
    """A loss at m points to second order."""

    gradients: Floats  # (m, d)
    hessians: Floats  # (m, d, d)


class Constraints(Protocol):
    """What holds points back."""

    def held(self, points: Floats, model: SecondOrder) -> Floats:
        """Projectors (m, d, d) on the directions that are held at points (m, d)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Walls:
    """The walls of a box, (2, d) its lowest and highest corner, infinite where there is no wall."""

    box: Floats

    def held(self, points: Floats, model: SecondOrder) -> Floats:
        """Projectors on the coordinates that `holds` tells."""
        return projectors(self.holds(points, model, np.arange(len(points))))

    def holds(self, points: Floats, model: SecondOrder, rows: Ints) -> Mask:
        """Coordinates (n, d) on a wall towards which the loss falls, by more than rounding.

        points  (n, d), those of `rows` of the model
        """
        width = np.where(np.isfinite(self.box).all(axis=0), self.box[1] - self.box[0], 0.0)
        curvature = np.abs(np.diagonal(model.hessians[rows], axis1=1, axis2=2))
        return self.leaves(points, -model.gradients[rows], ROUNDING * curvature * width)

    def leaves(self, points: Floats, steps: Floats, least: Floats | float = 0.0) -> Mask:
        """Coordinates (m, d) of points on a wall that steps lead out by more than `least`."""
        low, high = self.box
        return ((points <= low) & (steps < -least)) | ((points >= high) & (steps > least))

    def shortened(self, points: Floats, steps: Floats) -> Floats:
        """Steps (m, d) up to the first wall."""
        low, high = self.box
        room = np.where(steps < 0, low - points, high - points)
        moves = steps != 0
        share = np.where(moves, room / np.where(moves, steps, 1.0), np.inf)
        return steps * np.clip(share.min(axis=1), 0.0, 1.0)[:, None]

    def within(self, points: Any) -> Any:
        """Points (m, d), a torch tensor, on the wall where they are beside it by rounding only."""
        low, high = (torch.tensor(corner).to(points) for corner in self.box)
        near = ROUNDING * (high - low)  # inf where there is no wall: no comparison with nan holds
        points = torch.where(points <= low + near, low, points)
        return torch.where(points >= high - near, high, points)


@dataclass(frozen=True, slots=True, eq=False)
class Invariance:
    """The directions of motions under which a loss is invariant."""

    motions: Motions

    @classmethod
    def of(cls, loss: Loss) -> "Invariance | None":
        """That which a loss declares, if it does."""
        motions = motions_of(loss)
        return None if motions is None else cls(motions)

    def held(self, points: Floats, model: SecondOrder) -> Floats:
        """The span of the tangents."""
        axes = self.axes(points)
        return axes @ axes.transpose(0, 2, 1)

    def axes(self, points: Floats) -> Floats:
        """Orthonormal axes (m, d, k) of the tangents; 0 beyond their rank, as at atoms in a row."""
        u, s, _ = np.linalg.svd(self.motions.tangents(points), full_matrices=False)
        there = s > ROUNDING * len(u[0]) * s.max(axis=1, keepdims=True, initial=0.0)
        return u * there[:, None, :]


def projectors(coordinates: Mask) -> Floats:
    """Projectors (m, d, d) on coordinates (m, d)."""
    return coordinates[:, :, None] * np.eye(coordinates.shape[1])
