"""Ways down: polylines from a saddle to minima on its two sides, nowhere above it.

A step is one of the implicit Euler method for x' = -grad f(x), whose stiffness in a valley that is
steep across and flat along does no harm: s = -sum_i c_i / (|w_i| + mu) v_i, with the Hessian's
eigenvectors v_i, its eigenvalues w_i and c_i = g.v_i. It is as long as it may be with the loss
nowhere on it above the saddle's, by a lattice on it, and lower at its end; so the way has few
pieces, which run through the bends of a valley as straight as its walls allow.
Sources: Milnor (1963), "Morse Theory", section 3; Hairer & Wanner (1996), "Solving Ordinary
Differential Equations II", IV.3. Deviation: |w_i| for w_i, so that every step descends.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.critical_points.lowered_maps import CriticalPoint
from simplicial.critical_points.quadratic_model import DenseModel
from simplicial.errors import NotFiniteError
from simplicial.evaluation import evaluate
from simplicial.loss import Loss

Floats = NDArray[np.float64]

LATTICE = 12  # parts of a step, between which the loss is taken
HALVINGS = 30  # of a step, until it is given up
STEPS = 200  # of a way, at most
NEAR = 1e-4  # length of Newton's step over the reach with which a way arrives


class Ways(NamedTuple):
    """Ways down (k, d) and (l, d) from a saddle, with which both begin, to minima, their ends."""

    saddle: CriticalPoint
    sides: tuple[Tensor, Tensor]


def ways_down(
    loss: Loss, saddle: CriticalPoint, reach: float, tolerance: float, memory: int
) -> Ways | None:
    """Ways down from a saddle of Morse index 1 by at most `DENSE` variables; None where one side
    has none.

    reach      length of a first step
    tolerance  by which the loss on a way may exceed the saddle's
    """
    axis = DenseModel(loss, saddle.point[None], np.array([1]), None).climbed[0][:, 0]
    step = torch.as_tensor(axis).to(saddle.point)
    level, sides = saddle.value + tolerance, []
    for sign in (-1, 1):
        try:
            way = _descended(loss, saddle.point, sign * step, level, reach)
        except NotFiniteError:
            return None
        if way is None:
            return None
        sides.append(way)
    return Ways(saddle, (sides[0], sides[1]))


def _descended(
    loss: Loss, saddle: Tensor, axis: Tensor, level: float, reach: float
) -> Tensor | None:
    """Points (k, d) from a saddle (d,) along an axis (d,) to a minimum; None if none is reached."""
    first = _first(loss, saddle, axis, level, reach)
    if first is None:
        return None
    return _to_minimum(loss, [saddle, first.end], _Bounds(first.value, level, reach), reach)


def way_from(loss: Loss, start: Tensor, reach: float, tolerance: float) -> Tensor | None:
    """The way down (k, d) from a point (d,) that is no minimum; None where there is none.

    reach      length of a first step
    tolerance  by which the loss on the way may exceed that at the start
    """
    value = float(evaluate(loss, start[None]).loss[0])
    try:
        way = _to_minimum(loss, [start], _Bounds(value, value + tolerance, reach), reach)
    except NotFiniteError:
        return None
    return None if way is None or (way[-1] - start).norm() <= NEAR * reach else way


def _to_minimum(loss: Loss, way: list[Tensor], bounds: "_Bounds", reach: float) -> Tensor | None:
    """The way (k, d) gone on with to a minimum, by first steps within bounds."""
    value, level, radius = bounds
    for _ in range(STEPS):
        model = DenseModel(loss, way[-1][None], np.zeros(1, np.int64), None)
        if not model.finite[0]:
            return None
        is_convex = bool((model.lowest() > 0).all())
        whole = model.step(np.zeros(1, np.int64), np.array([np.inf]))
        if is_convex and whole.newton[0] <= NEAR * reach:
            return torch.stack([*way, way[-1] + torch.as_tensor(whole.vectors[0]).to(way[-1])])
        step = _longest(loss, model, way[-1], _Bounds(value, level, radius))
        if step is None:
            return torch.stack(way) if is_convex else None
        way, value = [*way, step.end], step.value
        radius = 2 * step.radius
    return None


class _Step(NamedTuple):
    """The end of a step (d,), the loss there, and the radius within which it is."""

    end: Tensor
    value: float
    radius: float


class _Bounds(NamedTuple):
    """Of a step: the loss at its start, above its end; that which it may not exceed; its length."""

    value: float
    level: float
    radius: float


def _first(loss: Loss, saddle: Tensor, axis: Tensor, level: float, reach: float) -> _Step | None:
    """The longest step along an axis that descends all the way; None where none does."""
    radius = reach
    for _ in range(HALVINGS):
        end = saddle + radius * axis
        values = _on_line(loss, saddle, end)
        if values.max() <= level and (np.diff(values) < 0).all():
            return _Step(end, float(values[-1]), radius)
        radius /= 2
    return None


def _longest(loss: Loss, model: DenseModel, start: Tensor, bounds: _Bounds) -> _Step | None:
    """The longest step within bounds, by halving; None where there is none."""
    radius = bounds.radius
    for _ in range(HALVINGS):
        step = model.step(np.zeros(1, np.int64), np.array([radius])).vectors[0]
        end = start + torch.as_tensor(step).to(start)
        value = float(evaluate(loss, end[None]).loss[0])
        if value < bounds.value and is_below(loss, start, end, bounds.level, LATTICE):
            return _Step(end, value, radius)
        radius = min(radius, float(np.linalg.norm(step))) / 2
        if not radius:  # the loss has no slope there, as beyond a wall
            return None
    return None


def is_below(loss: Loss, start: Tensor, end: Tensor, level: float, parts: int) -> bool:
    """Whether the loss is nowhere above a level between the parts of a straight line (d,), (d,).

    The middle comes first, then the quarters, and so on: a line that is not below takes few points.
    """
    left, step = np.arange(1, parts), parts // 2
    while left.size:
        now = left[left % step == 0]
        share = torch.as_tensor(now / parts, device=start.device).to(start)[:, None]
        if not (evaluate(loss, start + share * (end - start)).loss <= level).all():
            return False
        left, step = np.setdiff1d(left, now), max(1, step // 2)
    return True


def _on_line(loss: Loss, start: Tensor, end: Tensor) -> Floats:
    """The loss (LATTICE,) on a straight line, its start excepted."""
    share = torch.arange(1, LATTICE + 1, device=start.device).to(start)[:, None] / LATTICE
    return evaluate(loss, start + share * (end - start)).loss
