"""The string method and the climbing-image nudged elastic band, as their papers print them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from simplicial.landscapes import Landscape

Array = NDArray[np.float64]

SEGMENTS = 12
TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Two minima (2, d) of a landscape and the exact value of the saddle between them."""

    function: str
    name: str
    landscape: Landscape
    ends: Array
    barrier: float
    height: float  # of the barrier above the lower end
    curvature: float  # the largest at the ends


class Found(NamedTuple):
    """A barrier, what it cost, and the images (13, d) it was found on, None if it is refined."""

    evaluations: int
    barrier: float
    images: Array | None


def values_and_slopes(loss: Callable[[Tensor], Tensor], images: Array) -> tuple[Array, Array]:
    x = torch.tensor(images, requires_grad=True)
    values = loss(x)
    return values.detach().numpy(), torch.autograd.grad(values.sum(), x)[0].numpy()


def _line(path: Path) -> Array:
    share = np.linspace(0, 1, SEGMENTS + 1)[:, None]
    return (1 - share) * path.ends[0] + share * path.ends[1]


def string(path: Path, rate: float) -> Iterator[Found]:
    """The simplified string method; one result for each iteration."""
    images, count = _line(path), 0
    floor = float(path.landscape(torch.tensor(path.ends)).max())
    while True:
        values, slopes = values_and_slopes(path.landscape, images[1:-1])
        count += len(values)
        yield Found(count, max(floor, float(values.max())), images.copy())
        images[1:-1] -= rate / path.curvature * slopes
        steps = np.linalg.norm(np.diff(images, axis=0), axis=1)
        arc = np.concatenate([[0.0], np.maximum(steps, 1e-12).cumsum()])
        images = CubicSpline(arc / arc[-1], images)(np.linspace(0, 1, SEGMENTS + 1))
        images[[0, -1]] = path.ends


def climbing_band(path: Path, time: float, spring: float, climbing: float) -> Iterator[Found]:
    """The climbing-image nudged elastic band; one result for each iteration."""
    images, count, iteration = _line(path), 0, 0
    ends = path.landscape(torch.tensor(path.ends)).numpy()
    longest = 0.2 * np.linalg.norm(np.diff(images, axis=0), axis=1).mean()
    first = time / np.sqrt(path.curvature)
    dt, mix, good, velocity = first, 0.1, 0, np.zeros_like(images[1:-1])
    while True:
        values, slopes = values_and_slopes(path.landscape, images[1:-1])
        count += len(values)
        yield Found(count, max(float(ends.max()), float(values.max())), images.copy())
        force = _band_force(images, values, slopes, ends, spring * path.curvature)
        if iteration >= climbing:
            top = int(values.argmax())
            tangent = _tangents(images, values, ends)[top]
            force[top] = -slopes[top] + 2 * (slopes[top] @ tangent) * tangent
        iteration += 1
        if (power := (force * velocity).sum()) > 0:  # FIRE
            speed = np.linalg.norm(velocity) / max(np.linalg.norm(force), TINY)
            velocity = (1 - mix) * velocity + mix * speed * force
            good += 1
            if good > 5:
                dt, mix = min(1.1 * dt, 10 * first), 0.99 * mix
        elif power < 0:
            velocity[:], dt, mix, good = 0.0, 0.5 * dt, 0.1, 0
        velocity = velocity + dt * force
        move = dt * velocity
        move *= min(1.0, longest / max(np.linalg.norm(move, axis=1).max(), TINY))
        images[1:-1] += move


def _band_force(images: Array, values: Array, slopes: Array, ends: Array, spring: float) -> Array:
    """The true force across the band and the springs' force along it, (11, d)."""
    tangents = _tangents(images, values, ends)
    lengths = np.linalg.norm(np.diff(images, axis=0), axis=1)
    across = slopes - (slopes * tangents).sum(axis=1, keepdims=True) * tangents
    return spring * (lengths[1:] - lengths[:-1])[:, None] * tangents - across


def _tangents(images: Array, values: Array, ends: Array) -> Array:
    """Henkelman & Jonsson 2000, eqs. 8 to 11: uphill, smoothed at extrema."""
    height = np.concatenate([ends[:1], values, ends[1:]])
    ahead, behind = np.diff(images, axis=0)[1:], np.diff(images, axis=0)[:-1]
    up, down = np.diff(height)[1:, None], np.diff(height)[:-1, None]
    large, small = np.maximum(abs(up), abs(down)), np.minimum(abs(up), abs(down))
    falls = up + down < 0  # the image behind is higher than the image ahead
    extremum = np.where(falls, small * ahead + large * behind, large * ahead + small * behind)
    rising, falling = (up > 0) & (down > 0), (up < 0) & (down < 0)
    tangents = np.where(rising, ahead, np.where(falling, behind, extremum))
    return tangents / np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), TINY)
