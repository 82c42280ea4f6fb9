"""Exhaustive search for critical points that no formula gives, by Newton's method on grad f = 0.

From every start each index r is sought: uphill along the r eigenvectors of least curvature,
downhill along the others, by the size of Newton's step. Only critical points of index r are stable
ends of that, and they are reached from further away than by Newton's method, which takes whichever
it meets.
Source: Cerjan & Miller, On finding transition states, J. Chem. Phys. 75, 2800 (1981).

The starts are the points of Sobol's sequence, which fill a box evenly in any dimension. They are
taken in rounds, each twice as many as the one before, until a round finds nothing new and the Euler
characteristic is that of R^d, sum (-1)^index = 1, as Morse theory asks where f grows without bound
in every direction. Nothing is random: the same function has the same critical points. Nothing is
proven either: points of opposite signs, both missed by two rounds, would go unnoticed. No code is
shared with `simplicial.critical_points.eigenvector_following`, which is judged by these points.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.errors import SearchError
from simplicial.landscapes.truth.landscape import CriticalPoints, on_points

STARTS = 1_000  # of the first round: 32 along each side of a square
ROUNDS = 5
STEPS = 60  # most starts converge after 10 to 30, some run to and fro for ever
LONGEST = 0.05  # of the box's shortest side: so far at most Newton's step is trusted
CONVERGED = 1e-9  # of that side: Newton's last step, after which only rounding is left
MERGED = 1e-6  # of that side: what is nearer is the same point

Array = NDArray[np.float64]


class Sought(NamedTuple):
    """What a search is for, and which sum must come out.

    highest  Morse index; None: all
    euler    sum of (-1)^index over the critical points in the box, if it is known
    """

    highest: int | None = None
    euler: int | None = 1


ALL = Sought()


def searched(
    name: str,
    formula: Callable[[Tensor], Tensor],
    domain: Array,
    sought: Sought = ALL,
) -> Callable[[int], CriticalPoints]:
    """Strata, Morse index -> critical points of that index, searched at the first call.

    name     of the function, for messages
    formula  points (batch, d) -> values (batch,)
    domain   (2, d), corners of a box that holds every critical point, or those of interest
    sought   indices that are sought, and the sum that they must have
    A stratum raises SearchError where the rounds have not ended in agreement, or of an index that
    is not sought.
    """
    highest = domain.shape[1] if sought.highest is None else sought.highest

    @cache
    def found() -> CriticalPoints:
        return _search(name, formula, domain, sought)

    def stratum(index: int) -> CriticalPoints:
        if index > highest:
            raise SearchError(
                f"critical points of {name} are known up to Morse index {highest}, got {index}: "
                "take its minima, or find_critical_points"
            )
        return found().of_index(index)

    return stratum


def newton_steps(formula: Callable[[Tensor], Tensor], points: Array) -> Array:
    """Steps -H^-1 grad f at points (m, d) close to non-degenerate critical points, (m, d)."""
    gradients, hessians = _derivatives(formula, points)
    steps: Array = -np.linalg.solve(hessians, gradients[:, :, None]).astype(np.float64)
    return steps[:, :, 0]


def morse_indices(formula: Callable[[Tensor], Tensor], points: Array) -> NDArray[np.int64]:
    """Number of negative eigenvalues of the Hessian at points (m, d), (m,)."""
    _, hessians = _derivatives(formula, points)
    return (np.linalg.eigvalsh(hessians) < 0).sum(axis=1)


def _search(
    name: str, formula: Callable[[Tensor], Tensor], domain: Array, sought: Sought
) -> CriticalPoints:
    dim = domain.shape[1]
    highest = dim if sought.highest is None else sought.highest
    sequence = torch.quasirandom.SobolEngine(dim)
    points, euler, total = np.empty((0, dim)), 0, 0
    for count in (STARTS * 2**k for k in range(ROUNDS)):
        total += count
        shares = sequence.draw(count, dtype=torch.float64).numpy()
        starts = domain[0] + (domain[1] - domain[0]) * shares
        known = len(points)
        points = _distinct(
            np.concatenate([points, _converged(formula, domain, starts, highest)]), domain
        )
        if len(points):
            indices = morse_indices(formula, points)
            euler = int(((-1) ** indices).sum())
            if len(points) == known and sought.euler in (None, euler):
                return CriticalPoints(points, on_points(formula, points), indices)
    wanted = "" if sought.euler is None else f"sum (-1)^index = {sought.euler} and "
    raise SearchError(
        f"a search must end with {wanted}a round that finds nothing new, {name} in "
        f"{dim} variables has {len(points)} critical points of sum {euler} after {total} starts: "
        "take another seed, or fewer variables"
    )


def _converged(
    formula: Callable[[Tensor], Tensor], domain: Array, starts: Array, highest: int
) -> Array:
    """Critical points (m, d) in the box, with repetitions, from starts (s, d) for each index."""
    count = len(starts)
    side = (domain[1] - domain[0]).min()
    ends = [starts[:0]]
    at = np.repeat(starts, highest + 1, axis=0)
    sought = np.tile(np.arange(highest + 1), count)
    for _ in range(STEPS):
        steps = _seeking_steps(formula, at, sought)
        sizes = np.linalg.norm(steps, axis=1)
        at = at + steps * np.minimum(1, LONGEST * side / np.maximum(sizes, 1e-300))[:, None]
        inside = ((at > domain[0]) & (at < domain[1])).all(axis=1)
        converged = sizes <= CONVERGED * side
        ends.append(at[inside & converged])
        at, sought = at[inside & ~converged], sought[inside & ~converged]
        if not len(at):
            break
    return np.concatenate(ends)


def _seeking_steps(
    formula: Callable[[Tensor], Tensor], points: Array, sought: NDArray[np.int64]
) -> Array:
    """Steps (m, d) from points (m, d) towards critical points of the indices sought (m,)."""
    gradients, hessians = _derivatives(formula, points)
    curvatures, axes = np.linalg.eigh(hessians)
    slopes = np.einsum("mij,mi->mj", axes, gradients)
    uphill = np.arange(points.shape[1]) < sought[:, None]
    sizes = slopes / np.maximum(np.abs(curvatures), 1e-300)
    return np.einsum("mij,mj->mi", axes, np.where(uphill, sizes, -sizes))


def _distinct(points: Array, domain: Array) -> Array:
    """The first point of each cluster."""
    radius = MERGED * (domain[1] - domain[0]).min()
    first = [points[:0]]
    while len(points):
        first.append(points[:1])
        points = points[np.linalg.norm(points - points[0], axis=1) > radius]
    return np.concatenate(first)


def _derivatives(formula: Callable[[Tensor], Tensor], points: Array) -> tuple[Array, Array]:
    """Gradients (m, d) and Hessians (m, d, d), also inside of `torch.no_grad`."""
    at = torch.tensor(points, dtype=torch.float64, device="cpu", requires_grad=True)
    with torch.enable_grad():
        (gradients,) = torch.autograd.grad(formula(at).sum(), at, create_graph=True)
        rows = [
            torch.autograd.grad(gradients[:, i].sum(), at, retain_graph=True)[0]
            for i in range(at.shape[1])
        ]
    return gradients.detach().numpy(), torch.stack(rows, dim=1).numpy()
