"""Algorithm 2 for simplices of every dimension: the largest loss on a lattice of the simplex.

Only points inside a simplex are evaluated; what its faces know is inherited. A sampled maximum is a
lower bound of the true one: between lattice points the loss may be higher. `refined` goes on from
it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from simplicial.evaluation import evaluate, points_at_once
from simplicial.loss import Evaluation, Loss
from simplicial.maps.control_points import Simplices
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import interior_lattice
from simplicial.maxima.maxima import Interior, Maxima
from simplicial.run_folder.checkpoint import SavedStages


def sample_interiors(
    loss: Loss,
    control_points: Tensor,
    simplices: Simplices,
    *,
    resolution: int,
    memory: int,
    keep: bool,
    stages: SavedStages | None = None,
    on_points: Callable[[int], object] = lambda _count: None,
) -> Interior:
    """Evaluate the loss at the interior lattice points of every simplex (Algorithm 2).

    control_points  (K, d)
    memory          bytes for a batch of points, never the result
    keep            keep every value, for pictures
    stages          where values are saved and taken from; None: nowhere
    on_points       called with the number of points of each simplex, for progress
    Raises LossError where the loss is not finite.
    """
    t = interior_lattice(simplices.dim, resolution)
    m = len(simplices.vertices)
    at_once = points_at_once(loss, control_points, memory, gradients=False)
    largest, barycentric = np.full(m, -np.inf), np.zeros((m, simplices.dim + 1))
    kept: list[Evaluation] = []
    stages = stages or SavedStages(None)

    def at_lattice(controls: Tensor, some: slice) -> dict[str, Tensor]:
        return as_tensors(
            evaluate(loss, interpolate(controls, simplices.simplex_map, t[some]), memory)
        )

    for s in range(m):
        controls = control_points[torch.as_tensor(simplices.controls[s])]
        rows = stages.rows(f"lattice {s}", len(t), at_once, partial(at_lattice, controls))
        accuracy = rows.get("accuracy")
        found = Evaluation(rows["loss"].numpy(), None if accuracy is None else accuracy.numpy())
        if len(t):
            top = int(np.argmax(found.loss))
            largest[s], barycentric[s] = found.loss[top], t[top]
        if keep:
            kept.append(found)
        on_points(len(t))
    samples = _stacked(kept, (m, len(t))) if keep else None
    return Interior.sampled(Maxima(largest, barycentric), samples, m * len(t))


def as_tensors(found: Evaluation) -> dict[str, Tensor]:
    """Values by name, as a checkpoint has them."""
    loss, accuracy = found
    named = {"loss": torch.as_tensor(loss)}
    return named if accuracy is None else named | {"accuracy": torch.as_tensor(accuracy)}


def _stacked(parts: list[Evaluation], shape: tuple[int, int]) -> Evaluation:
    if not parts:
        return Evaluation(np.empty(shape), None)
    loss, accuracy = Evaluation.joined(parts)
    return Evaluation(loss.reshape(shape), None if accuracy is None else accuracy.reshape(shape))
