"""Points of simplices from barycentric coordinates: psi(t) = W(t) P."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.maps.base import SimplexMap


def interpolate(controls: Tensor, simplex_map: SimplexMap, t: NDArray[np.float64]) -> Tensor:
    """psi(t), (batch, d), for control points (c, d) and barycentric coordinates (batch, r+1)."""
    corners, weights = simplex_map.locate(t)
    share = torch.as_tensor(weights, dtype=controls.dtype, device=controls.device)
    return torch.einsum("bj,bjd->bd", share, controls[torch.as_tensor(corners)])


def interpolate_each(controls: Tensor, simplex_map: SimplexMap, t: NDArray[np.float64]) -> Tensor:
    """One point psi(t) on each of m simplices, (m, d): controls (m, c, d), t (m, r+1)."""
    corners, weights = simplex_map.locate(t)
    share = torch.as_tensor(weights, dtype=controls.dtype, device=controls.device)
    row = torch.arange(len(controls), device=controls.device)[:, None]
    return torch.einsum("mj,mjd->md", share, controls[row, torch.as_tensor(corners)])
