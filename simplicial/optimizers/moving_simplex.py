"""A simplex on nested meshes, moved across itself down random gradients near its highest points."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.maps.tangents import TangentSpaces
from simplicial.optimizers.fillings import harmonic
from simplicial.optimizers.nested_meshes import NestedMesh
from simplicial.optimizers.preconditioner import STATE as MOMENTS
from simplicial.optimizers.preconditioner import Preconditioner, recent_count

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOCUS = 3.0  # logarithm of the odds of the highest control point against the lowest
UNFOCUSED = 0.1  # share of the draws that all control points have alike
LATEST = 0.3  # weight of the latest value in a control point's height
SPREAD = 0.5  # share of the way to the mean of the neighbours, along the simplex
COPIES = 6  # of a simplex's control points, at most, in all that is kept of it
STATE = ("controls", "start", "velocity", "heights", "steps", *MOMENTS)


def simplex_bytes(mesh: NestedMesh, like: Tensor) -> int:
    """Memory of one simplex under way, in bytes, at most.

    mesh  the finest
    like  (d,), of the dtype of points
    """
    vectors = COPIES * len(mesh.rows) + recent_count(len(like)) + 1
    return vectors * len(like) * like.element_size()


def _mean_distance(points: Tensor) -> float:
    """Of points (n, d) from each other, in units of the farthest coordinate between them."""
    apart = (points - points[0]).double()
    unit = float(apart.abs().max()) or 1.0
    return unit * float(torch.pdist(apart / unit).mean())


class MovingSimplex:
    """One simplex under way. All is computed for it alone, so that its bits are its own.

    controls  (f, d) control points of the finest mesh, of which those on faces count; the inner
              ones begin at the harmonic filling
    meshes    the coarsest first
    longest   of a first step, over the mean distance of the vertices
    seed      of its random points
    """

    def __init__(
        self,
        controls: Tensor,
        meshes: tuple[NestedMesh, ...],
        longest: float,
        seed: np.random.SeedSequence,
    ) -> None:
        self._finest = meshes[-1].mesh
        self._finest_inside = torch.as_tensor(self._finest.inside)
        self._start = controls.clone()
        self._start[self._finest_inside] = harmonic(controls[None], self._finest)[0]
        vertices = controls[torch.as_tensor((self._finest.barycentric == 1).any(axis=1))]
        self._size = _mean_distance(vertices)
        self.rate = longest * self._size / controls.shape[1] ** 0.5
        self._rng = np.random.Generator(np.random.Philox(seed))
        self._use(meshes[0])
        self._velocity = torch.zeros_like(self._controls[self._inside])
        self.preconditioner = Preconditioner(controls[0])
        self._heights = np.full(self._mesh.inner, np.nan)
        self._steps = 0

    def _use(self, mesh: NestedMesh) -> None:
        """Take the control points of a mesh, and what is the same at all its steps."""
        self._mesh, self._inside = mesh, torch.as_tensor(mesh.mesh.inside)
        self._controls = self._start[torch.as_tensor(mesh.rows)]
        # in units of its size, in which no square overflows
        tangents = torch.as_tensor(mesh.tangents).flatten(0, 1) / (self._size or 1.0)
        self._tangents = tangents.to(self._controls)
        self._spread = torch.as_tensor(mesh.spread).to(self._controls)

    def state(self) -> tuple[Tensor, ...]:
        """The tensors `STATE`, on which the next steps on this mesh depend; they write into it."""
        heights, steps = torch.as_tensor(self._heights), torch.tensor(self._steps)
        own = (self._controls, self._start, self._velocity, heights, steps)
        return (*own, *self.preconditioner.state())

    def restore(self, *state: Tensor) -> None:
        """Go on from what `state` gave on this mesh."""
        self._controls, self._start, self._velocity = state[:3]
        self._heights, self._steps = state[3].cpu().numpy(), int(state[4])
        self.preconditioner.restore(*state[5:])

    def inner(self) -> Tensor:
        """The inner control points of the finest mesh."""
        moved = (
            self._controls[self._inside]
            - self._start[torch.as_tensor(self._mesh.rows)][self._inside]
        )
        return self._start[self._finest_inside] + self._prolonged(moved)

    def finest(self) -> Tensor:
        """All control points of the finest mesh."""
        controls = self._start.clone()
        controls[self._finest_inside] = self.inner()
        return controls

    def _prolonged(self, moved: Tensor) -> Tensor:
        return torch.as_tensor(self._mesh.prolonged, device=moved.device).to(moved) @ moved

    def refine(self, mesh: NestedMesh) -> None:
        """Go on with a finer mesh of the simplex as it is."""
        if mesh is self._mesh:
            return
        inner, velocity = self.inner(), self._prolonged(self._velocity)
        self._start[self._finest_inside] = inner
        seen = self._heights[~np.isnan(self._heights)]
        every = np.full(len(self._mesh.rows), seen.min() if seen.size else np.nan)
        every[self._mesh.mesh.inside] = self._heights
        inside = mesh.mesh.inside
        self._heights = self._mesh.interpolation(mesh.mesh.barycentric[inside]) @ every
        where = np.searchsorted(self._finest.inside, mesh.rows[inside])
        self._velocity = velocity[torch.as_tensor(where)]
        self._use(mesh)

    def draw(self, count: int) -> Ints:
        """Positions (count,) of random inner control points, mostly of the highest, ascending."""
        seen, inner = self._heights[~np.isnan(self._heights)], self._mesh.inner
        odds = np.zeros(inner)
        if seen.size and np.ptp(seen) > 0:
            odds = np.nan_to_num(FOCUS * (self._heights - seen.max()) / np.ptp(seen))
        shares = np.exp(odds)
        shares = (1 - UNFOCUSED) * shares / shares.sum() + UNFOCUSED / inner
        # the largest of logarithms with Gumbel noise: a sample without replacement
        ranks = np.argsort(-np.log(shares) - self._rng.gumbel(size=inner), kind="stable")
        return np.sort(ranks[:count])

    def points(self, drawn: Ints) -> Tensor:
        """These of the inner control points, (q, d)."""
        return self._controls[torch.as_tensor(self._mesh.mesh.inside[drawn])]

    def step(
        self, drawn: Ints, values: Floats, gradients: Tensor, rate: float, momentum: float
    ) -> None:
        """Move by values (q,) and gradients (q, d) of the loss at inner control points (q,).

        rate  the schedule's factor
        """
        self._see(drawn, values)
        share = self._mesh.smoothing[drawn]
        share /= np.maximum(share.sum(axis=0), 1)  # no control point moves by more than a gradient
        spread = torch.as_tensor(share.T, device=gradients.device).to(gradients)
        self._steps += 1
        scaled = self.preconditioner.see(gradients)
        self._velocity = torch.addmm(
            self._velocity, spread, scaled, beta=momentum, alpha=1 - momentum
        )
        length = rate * self.rate / (1 - momentum**self._steps)
        move = -length * self._velocity
        tangents = (self._tangents @ self._relative()).unflatten(0, self._mesh.tangents.shape[:2])
        spaces = TangentSpaces.of(tangents[None])
        self._controls[self._inside] += move - spaces.projected(move[None])[0]
        along = spaces.projected((self._spread @ self._relative())[None])[0]
        self._controls[self._inside] += SPREAD * along

    def _relative(self) -> Tensor:
        """Control points from the first one, as sums of their differences round the least."""
        return self._controls - self._controls[0]

    def _see(self, at: Ints, values: Floats) -> None:
        """Take values (q,) at inner control points (q,) into their heights."""
        before = self._heights[at]
        latest = np.where(np.isnan(before), 1.0, LATEST)
        self._heights[at] = (1 - latest) * np.nan_to_num(before) + latest * values
