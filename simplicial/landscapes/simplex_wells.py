"""Wells at the vertices of a regular simplex, one critical point for each of its faces.

Let u = B x in R^(r+1), where the r columns of B are an orthonormal basis of {sum_i u_i = 0}. The
Landau energy of the Potts model with r+1 states, its three coefficients set to 1,

    g(u) = |u|^4 / 4 - sum_i u_i^3 / 3 - |u|^2 / 2,

has its critical points in closed form. Where its gradient vanishes, all u_i solve one quadratic
equation with roots of opposite signs, so u is the origin or takes one positive value on a set S of
coordinates and one negative value off it: u = s v, v the unit vector towards the barycentre of the
face S. With p = sum_i v_i^3 the radius is s = (p + sqrt(p^2 + 4)) / 2 and the value -s^2 (s^2 + 2)
/ 12. The Hessian is negative within S (|S| - 1 directions), positive within the rest and along v,
so the index is |S| - 1, the dimension of the face; the origin, index r, is the simplex itself. As
|S| grows, p falls, and with it s: the values rise strictly with the index, for every r.

So the function is filtered as the simplex is by dimension, and its bars are [g_k, g_(k+1)) of index
k: the k-skeleton of a simplex on r+1 vertices is a wedge of C(r, k+1) spheres.
Source of the energy: Zia & Wallace, Critical behaviour of the continuous n-component Potts models,
J. Phys. A 8, 1495 (1975). Deviation: a constant is added, so that the wells have value 0.

Curved directions y bend the flat picture: f(x, y) = g(x) + kappa / 2 sum_j (y_j - q_j(x))^2. The
change of coordinates z = y - q(x) shows that critical points (x, q(x)), values, indices and bars
are those of g.
"""

from itertools import combinations
from math import comb, inf, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.errors import DimensionError
from simplicial.landscapes.truth.landscape import CriticalPoints, Landscape, on_points

KAPPA = 4.0  # curvature across the manifold; along it, unbent, 0.5 to 3.5 for r up to 10


def simplex_wells(r: int, curved: int = 0) -> Landscape:
    """r+1 wells on an r-dimensional manifold in R^(r + curved), flat where curved = 0.

    Raises DimensionError for r < 1 or curved < 0.
    """
    if r < 1 or curved < 0:
        raise DimensionError(
            f"simplex wells need r >= 1 and curved >= 0, got r = {r} and curved = {curved}: "
            "ask for r + 1 wells, two at least"
        )
    # every |q_j| <= 1; a box beyond it, and half as far again as the wells
    reach = np.array([1.5 * _radius(r, 1)] * r + [1.5] * curved)
    return Landscape(
        name="simplex-wells",
        domain=np.array([-reach, reach]),
        formula=lambda points: _formula(points, r),
        stratum=lambda index: _stratum(r, curved, index),
        bars=lambda index: _bars(r, index),
    )


def _formula(points: Tensor, r: int) -> Tensor:
    x, y = points[:, :r], points[:, r:]
    u = x @ torch.tensor(_basis(r), dtype=x.dtype, device=x.device).T
    square = u.square().sum(dim=1)
    flat = square.square() / 4 - u.pow(3).sum(dim=1) / 3 - square / 2 + _depth(r, 1)
    return flat + KAPPA / 2 * (y - _bend(x, y.shape[1])).square().sum(dim=1)


def _bend(x: Tensor, curved: int) -> Tensor:
    """Heights q_j(x) = sin(m x_i + j) with i = j mod r and m = 1 + j // r, (batch, curved)."""
    j = torch.arange(curved, device=x.device)
    r = x.shape[1]
    return torch.sin((1 + j // r).to(x.dtype) * x[:, j % r] + j.to(x.dtype))


def _basis(r: int) -> NDArray[np.float64]:
    """Helmert's orthonormal basis of {sum_i u_i = 0} in R^(r+1), (r+1, r)."""
    basis = np.zeros((r + 1, r))
    for j in range(1, r + 1):
        basis[:j, j - 1] = 1.0
        basis[j, j - 1] = -j
        basis[:, j - 1] /= sqrt(j * (j + 1))
    return basis


def _radius(r: int, size: int) -> float:
    """Distance from the origin of the critical point of a face with `size` vertices."""
    n = r + 1
    p = (n - 2 * size) / sqrt(n * size * (n - size))
    return (p + sqrt(p * p + 4)) / 2


def _depth(r: int, size: int) -> float:
    """Depth below the origin of the critical point of a face with `size` vertices."""
    if size == r + 1:
        return 0.0
    square = _radius(r, size) ** 2
    return square * (square + 2) / 12


def _level(r: int, index: int) -> float:
    return _depth(r, 1) - _depth(r, index + 1)


def _stratum(r: int, curved: int, index: int) -> CriticalPoints:
    flat = _flat_points(r, index)
    bent = on_points(lambda x: _bend(x, curved), flat)
    value = _level(r, index) if index <= r else 0.0
    return CriticalPoints.on_level(np.hstack([flat, bent]), value, index)


def _flat_points(r: int, index: int) -> NDArray[np.float64]:
    """Critical points (m, r) of the faces of dimension `index`."""
    if index >= r:
        return np.zeros((1 if index == r else 0, r))
    n, size = r + 1, index + 1
    faces = list(combinations(range(n), size))
    u = np.full((len(faces), n), -sqrt(size / (n * (n - size))))
    for row, face in zip(u, faces, strict=True):
        row[list(face)] = sqrt((n - size) / (n * size))
    return _radius(r, size) * u @ _basis(r)


def _bars(r: int, index: int) -> NDArray[np.float64]:
    if index >= r:
        return np.empty((0, 2))
    finite = np.tile([_level(r, index), _level(r, index + 1)], (comb(r, index + 1), 1))
    return np.vstack([[[0.0, inf]], finite]) if index == 0 else finite
