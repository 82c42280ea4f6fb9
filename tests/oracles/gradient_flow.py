"""Barcodes in the plane from steepest descent and ascent at the saddles: who meets whom, and when.

Index 0: from each saddle two paths run down to minima; union-find over the saddles in ascending
order ends the younger component. Index 1 is index 0 of -f, with the point at infinity for its
lowest minimum (Alexander duality): two paths run up, and over the saddles in descending order the
lower peak is joined at the saddle that began its class.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STEP = 4e-3  # paths zigzag by so much, far less than the distance between wells
STEPS = 5_000  # together longer than any path in the box


def flow_barcode(
    gradient: Callable[[Array], Array],
    domain: Array,
    *,
    minima: tuple[Array, Array],
    saddles: tuple[Array, Array, Array],
    maxima: tuple[Array, Array],
) -> tuple[Array, Array]:
    """Bars of index 0 and 1 from points (m, 2), values (m,) and Hessians (m, 2, 2) of saddles."""
    points, heights, hessians = saddles
    axes = np.linalg.eigh(hessians)[1]
    down = _ends(lambda p: -gradient(p), domain, points, axes[:, :, 0], minima[0])
    up = _ends(gradient, domain, points, axes[:, :, 1], maxima[0])
    assert (down >= 0).all(), "what falls stays in the box"
    falling = _merge(down, heights, minima[1])
    # the last label, -1 from below, is infinity: the eldest of them all
    rising = _merge(up, -heights, np.append(-maxima[1], -np.inf))
    essential = [(minima[1].min(), np.inf)]
    zero = np.array(essential + falling)
    one = np.array([(-death, -birth) for birth, death in rising]).reshape(-1, 2)
    return _ascending(zero), _ascending(one)


def _ends(
    direction: Callable[[Array], Array], domain: Array, saddles: Array, axes: Array, targets: Array
) -> NDArray[np.int64]:
    """Which target the two paths from each saddle reach, (m, 2): a label, -1 out of the box."""
    paths = np.concatenate([saddles + STEP * axes, saddles - STEP * axes])
    for _ in range(STEPS):
        inside = ((paths > domain[0]) & (paths < domain[1])).all(axis=1)
        slope = direction(paths)
        moving = inside & ~_near(paths, targets).any(axis=1)
        if not moving.any():
            break
        step = STEP * slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-300)
        paths[moving] += step[moving]
    else:
        raise AssertionError("a path has reached neither a critical point nor the end of the box")
    near = _near(paths, targets)
    labels = np.where(near.any(axis=1), near.argmax(axis=1) if targets.size else -1, -1)
    return labels.reshape(2, -1).T


def _near(paths: Array, targets: Array) -> NDArray[np.bool_]:
    return np.linalg.norm(paths[:, None] - targets[None], axis=2) < 10 * STEP


def _merge(ends: NDArray[np.int64], heights: Array, births: Array) -> list[tuple[float, float]]:
    """Elder rule: a saddle that joins two components ends the one born later."""
    eldest = list(range(len(births)))
    bars = []
    for saddle in np.argsort(heights):
        a, b = (_root(eldest, int(label) % len(births)) for label in ends[saddle])
        if a != b:
            old, young = (a, b) if births[a] <= births[b] else (b, a)
            eldest[young] = old
            bars.append((float(births[young]), float(heights[saddle])))
    return bars


def _root(eldest: list[int], label: int) -> int:
    while eldest[label] != label:
        label = eldest[label]
    return label


def _ascending(rows: Array) -> Array:
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]
