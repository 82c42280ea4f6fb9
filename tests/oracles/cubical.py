"""Barcodes of a sampled function by GUDHI's cubical complex, and how far off they may be.

The complex has the grid's vertices; a cell takes the highest value of its vertices. Every bar
begins and ends at the value of a vertex v whose lower star, the cells with v as their highest
vertex, does not cancel. It cancels if along one axis i all vertices around v rise or all fall: each
cell of the lower star that is flat along i then pairs with the one beside it, down the slope. With
Hessian H near v and spacing h, |df/dx_i| at the vertices around v differs from that at v by at most
sum_j |H_ij| h_j, and a step along i adds |H_ii| h_i / 2. So a bar ends only where, for every i,

    |df/dx_i (v)| <= G_i = sum_j |H_ij| h_j + |H_ii| h_i / 2,

that is near a critical point c, and there f(v) - f(c) = g.H^-1.g / 2, g the gradient at v, is at
most G.|H^-1|.G / 2, to leading order in h. The error is of second order in h, though a cell's value
is off by the first order away from critical points.

Where the function itself is given, each end of a long bar is moved from its vertex to the critical
point beside it. That makes the bar exact, as long as the grid's errors have not changed the order
of critical points of one index, on which alone depends what pairs with what: transposing two
neighbours of different dimension never changes who pairs with whom (Cohen-Steiner, Edelsbrunner &
Morozov, Vines and vineyards by updating persistence in linear time (2006), section 3). Where they
have, the vertices take the critical values, and the barcode is computed again.
"""

from collections.abc import Callable
from typing import NamedTuple

import gudhi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEARBY = 4.0  # diagonals of a grid's cell between a vertex and its critical point, at most
NEWTON_STEPS = 20  # from a cell away five reach rounding
PASSES = 3
CHUNK = 2**16  # points at once, for a gigabyte is soon filled

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Function = Callable[[Tensor], Tensor]


def cubical_barcode(values: Array) -> tuple[Array, ...]:
    """Values (n_1, .., n_d) -> bars of positive length of index 0 .. d-1, (m, 2), ascending."""
    cubes = gudhi.CubicalComplex(vertices=values)
    cubes.compute_persistence(homology_coeff_field=2, min_persistence=0)
    bars = []
    for index in range(values.ndim):
        rows = np.asarray(cubes.persistence_intervals_in_dimension(index)).reshape(-1, 2)
        bars.append(_ascending(rows))
    return tuple(bars)


def grid(box: Array, count: int) -> Array:
    """Vertices of a grid on a box (2, d), corners included, (count, .., count, d)."""
    axes = [np.linspace(low, high, count) for low, high in box.T.tolist()]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def end_error(hessians: Array, spacing: Array) -> float:
    """How far a bar's end may be from the critical value: hessians (m, d, d), spacing (d,).

    Twice the leading order, for the third derivatives, which change H by a share of order h.
    """
    sizes = np.abs(hessians)
    slack = sizes @ spacing + np.diagonal(sizes, axis1=1, axis2=2) * spacing / 2
    inverses = np.abs(np.linalg.inv(hessians))
    return float(np.einsum("mi,mij,mj->m", slack, inverses, slack).max())


def refined_bars(
    function: Function, box: Array, count: int, *, share: float = 0.005
) -> tuple[Array, ...]:
    """Bars of index 0 .. d-1 of a function on a box, exact to rounding: (m, 2), ascending.

    function  torch, points (batch, d) -> values (batch,), rising outward on the box's boundary
    box       (2, d) corners
    count     vertices of the grid along an axis
    share     only bars longer than this share of the range, from the lowest value to the highest
              that ends a bar; on the grid too, so one that hardly is may be missing
    Raises AssertionError where a vertex has no critical point of the right index nearby, where two
    ends have the same one, or where refined values of one index keep another order than the grid's:
    take a finer grid.
    """
    vertices = grid(box, count)
    flat = vertices.reshape(-1, vertices.shape[-1])
    values = _sampled(function, flat)
    reach = NEARBY * float(np.linalg.norm((box[1] - box[0]) / (count - 1)))
    for _ in range(PASSES):
        long = _long_ends(values.reshape(vertices.shape[:-1]), share)
        refined = _critical_values(function, flat[long.at], long.expected, reach)
        if _same_order(values[long.at], refined, long.expected):
            rows = np.vstack([[[refined[0], np.inf]], refined[1:].reshape(-1, 2)])
            still = rows[:, 1] - rows[:, 0] > long.threshold
            return tuple(_ascending(rows[still & (long.of == r)]) for r in range(box.shape[1]))
        values[long.at] = refined  # no further from the function than before, and in its order
    raise AssertionError("the grid is too coarse to order the ends of its bars")


class _Ends(NamedTuple):
    """Vertices of the ends of b long bars: the essential birth, then birth and death by turns."""

    at: Rows  # (2b - 1,) flat positions
    expected: Rows  # (2b - 1,) indices of the critical points there
    of: Rows  # (b,) indices of the bars
    threshold: float


def _long_ends(values: Array, share: float) -> _Ends:
    pairs, lowest = paired_vertices(values)
    ends = values.ravel()[pairs[:, 1:]]
    bottom = values.min()
    threshold = share * float(ends.max(initial=bottom) - bottom)
    of, births, deaths = pairs[ends[:, 1] - ends[:, 0] > threshold].T
    return _Ends(
        at=np.insert(np.stack([births, deaths], axis=1).ravel(), 0, lowest),
        expected=np.insert(np.stack([of, of + 1], axis=1).ravel(), 0, 0),
        of=np.insert(of, 0, 0),
        threshold=threshold,
    )


def _same_order(before: Array, after: Array, index: Rows) -> bool:
    slack = 1e-12 * np.abs(after).max()
    return all(
        (np.diff(after[index == r][np.argsort(before[index == r])]) >= -slack).all()
        for r in set(index.tolist())
    )


def paired_vertices(values: Array) -> tuple[Rows, int]:
    """Finite pairs as rows (index, birth, death) of flat positions, and where the lowest value is.

    GUDHI numbers vertices in Fortran's order.
    """
    cubes = gudhi.CubicalComplex(vertices=values)
    cubes.compute_persistence(homology_coeff_field=2, min_persistence=0)
    finite, essential = cubes.vertices_of_persistence_pairs()
    ends = [np.asarray(rows, dtype=np.int64).reshape(-1, 2) for rows in finite]
    rows = np.concatenate([np.insert(pair, 0, r, axis=1) for r, pair in enumerate(ends)])
    positions = np.arange(values.size).reshape(values.shape).ravel(order="F")
    rows[:, 1:] = positions[rows[:, 1:]]
    return rows, int(positions[essential[0][0]])


def _critical_values(function: Function, at: Array, expected: Rows, reach: float) -> Array:
    """Values (m,) at the critical points of index `expected` (m,) within `reach` of at (m, d).

    Newton's step in absolute value, uphill along the `expected` lowest axes of the Hessian: at a
    critical point of that index, and only there, it is Newton's step itself.
    """
    points, steps = at.copy(), np.full_like(at, np.inf)
    for _ in range(NEWTON_STEPS):
        slopes, hessians = _slopes_and_hessians(function, points)
        curvatures, axes = np.linalg.eigh(hessians)
        along = np.einsum("mij,mi->mj", axes, slopes) / np.abs(curvatures)
        along[np.arange(at.shape[1]) >= expected[:, None]] *= -1
        steps = np.einsum("mij,mj->mi", axes, along)
        sizes = np.linalg.norm(steps, axis=1, keepdims=True)
        steps *= np.minimum(1, reach / NEARBY / np.maximum(sizes, 1e-300))
        points += steps
    assert np.abs(steps).max() < 1e-6 * reach, "Newton has not come to rest: take a finer grid"
    far = np.linalg.norm(points - at, axis=1) / reach
    assert far.max() < 1, f"a critical point {far.max():.1f} times too far: take a finer grid"
    found = (np.linalg.eigvalsh(_slopes_and_hessians(function, points)[1]) < 0).sum(axis=1)
    np.testing.assert_array_equal(found, expected)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) / reach
    alone = apart[~np.eye(len(points), dtype=bool)].min(initial=1.0) > 1e-4
    assert alone, "a critical point at two ends, one of them noise: take a finer grid"
    return _sampled(function, points)


def _slopes_and_hessians(function: Function, points: Array) -> tuple[Array, Array]:
    at = torch.tensor(points, requires_grad=True)
    (slopes,) = torch.autograd.grad(function(at).sum(), at, create_graph=True)
    rows = [
        torch.autograd.grad(slope.sum(), at, retain_graph=True)[0] for slope in slopes.unbind(dim=1)
    ]
    return slopes.detach().numpy(), torch.stack(rows, dim=1).numpy()


def _sampled(function: Function, points: Array) -> Array:
    with torch.no_grad():
        chunks = [function(chunk) for chunk in torch.tensor(points).split(CHUNK)]
    return torch.cat(chunks).numpy()


def _ascending(rows: Array) -> Array:
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]
