"""Algorithm 2 for simplices of every dimension: the largest loss seen on a lattice of the simplex.

Only points inside a simplex are evaluated; what its faces know is inherited, and f(simplex) is
never below f(face). A sampled maximum is a lower bound of the true one: between lattice points the
loss may be higher. `refined` goes on from it to the honest maximum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.filtrations.colex import complete_positions
from simplicial.evaluation import evaluate, points_at_once
from simplicial.loss import Evaluation, Loss
from simplicial.maps.control_points import Simplices
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import interior_lattice
from simplicial.maps.mesh import Mesh
from simplicial.maxima.refined import Highest, Lattice, Seen, highest


@dataclass(frozen=True, slots=True, eq=False)
class Interior:
    """What was seen inside the simplices of one dimension.

    largest      (m,) float64, the largest loss inside; -inf where no point inside was looked at,
                 inf where the loss was not finite
    place        (m, r+1) float64, where that is, barycentric; zeros where there is none
    samples      every loss on the lattice, (m, p), and accuracy where the loss has one; None if not
                 kept
    evaluations  how often the loss was evaluated
    """

    largest: NDArray[np.float64]
    place: NDArray[np.float64]
    samples: Evaluation | None
    evaluations: int

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
    at_once = points_at_once(loss, pool, memory, gradients=False)
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
    samples = _stack(kept, (m, len(t))) if keep else None
    return Interior(largest, place, samples, m * len(t))


def refined(
    loss: Loss,
    pool: Tensor,
    seen: Seen,
    simplices: Simplices,
    interior: Interior,
    floor: NDArray[np.float64],
    *,
    resolution: int,
    tolerance: NDArray[np.float64],
    memory: int,
    on_points: Callable[[int], object] = lambda _count: None,
) -> Highest:
    """The honest maximum inside every simplex, where it exceeds the lattice's and the faces'.

    seen        the loss and its gradient at the pool's points
    interior    what was seen on the lattice, samples included
    floor       (m,) the largest loss on the simplices' faces
    resolution  of that lattice
    tolerance   (m,) what the loss may still be higher by, in its units
    The evaluations are those of the lattice, too. Raises LossError where the loss is not finite.
    """
    assert interior.samples is not None
    lattice = Lattice(interior_lattice(simplices.dim, resolution), interior.samples.loss)
    found = highest(
        loss,
        pool,
        seen,
        simplices.controls,
        Mesh.of(simplices.simplex_map, simplices.dim),
        known=np.maximum(interior.largest, floor),
        tolerance=tolerance,
        memory=memory,
        on_evaluations=on_points,
        lattice=lattice,
    )
    higher = found.largest > interior.largest
    return Highest(
        np.where(higher, found.largest, interior.largest),
        np.where(higher[:, None], found.place, interior.place),
        len(lattice.places) + found.evaluations,
    )


def on_facets(values: NDArray[np.float64], vertices: NDArray[np.int64]) -> NDArray[np.float64]:
    """The largest of the facets' values, (m,), of simplices (m, r+1) of a complete complex.

    values  of all (r-1)-simplices, in colexicographic order
    """
    facets = [np.delete(vertices, i, axis=1) for i in range(vertices.shape[1])]
    return values[complete_positions(np.stack(facets, axis=1))].max(axis=1)


def _stack(parts: list[Evaluation], shape: tuple[int, int]) -> Evaluation:
    if not parts:
        return Evaluation(np.empty(shape), None)
    loss, accuracy = Evaluation.joined(parts)
    return Evaluation(loss.reshape(shape), None if accuracy is None else accuracy.reshape(shape))
