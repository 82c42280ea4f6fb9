"""Algorithm 2 for simplices of every dimension: the largest loss seen on a lattice of the simplex.

Only points inside a simplex are evaluated; what its faces know is inherited, so no point of the
complex is evaluated twice and f(simplex) is never below f(face). A sampled maximum is a lower bound
of the true one: between lattice points the loss may be higher.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.loss import Evaluation, Loss, evaluate, points_at_once
from simplicial.optimise import Simplices
from simplicial.sampling import interior_lattice
from simplicial.simplex import interpolate


@dataclass(frozen=True, slots=True, eq=False)
class Interior:
    """What Algorithm 2 saw inside the simplices of one dimension.

    largest  (m,) float64, the largest loss inside; -inf where the lattice has no point inside
    place    (m, r+1) float64, where that is, barycentric; zeros where there is none
    samples  every loss seen, (m, p), and accuracy where the loss has one; None if not kept
    """

    largest: NDArray[np.float64]
    place: NDArray[np.float64]
    samples: Evaluation | None

    def __post_init__(self) -> None:
        self.largest.flags.writeable = False
        self.place.flags.writeable = False


def sample_interiors(
    loss: Loss,
    pool: Tensor,
    simplices: Simplices,
    *,
    resolution: int,
    memory: int,
    keep: bool,
    on_points: Callable[[int], object] = lambda _count: None,
) -> Interior:
    """Evaluate the loss at the interior lattice points of every simplex (Algorithm 2).

    pool       (K, d) control points
    memory     bytes for a batch of points, never the result
    keep       keep every value, for pictures
    on_points  called with the number of points just evaluated, for progress
    Raises LossError where the loss is not finite.
    """
    t = interior_lattice(simplices.dim, resolution)
    m = len(simplices.vertices)
    at_once = points_at_once(loss, pool, memory)
    largest = np.full(m, -np.inf)
    place = np.zeros((m, simplices.dim + 1))
    kept: list[Evaluation] = []
    for s in range(m):
        controls = pool[torch.as_tensor(simplices.controls[s])]
        for first in range(0, len(t), at_once):
            part = t[first : first + at_once]
            seen = evaluate(loss, interpolate(controls, simplices.simplex_map, part), memory)
            top = int(np.argmax(seen.loss))
            if seen.loss[top] > largest[s]:
                largest[s], place[s] = seen.loss[top], part[top]
            if keep:
                kept.append(seen)
            on_points(len(part))
    return Interior(largest, place, _stack(kept, (m, len(t))) if keep else None)


def _stack(parts: list[Evaluation], shape: tuple[int, int]) -> Evaluation:
    if not parts:
        return Evaluation(np.empty(shape), None)
    loss = np.concatenate([part.loss for part in parts]).reshape(shape)
    scores = [part.accuracy for part in parts if part.accuracy is not None]
    return Evaluation(loss, np.concatenate(scores).reshape(shape) if scores else None)
