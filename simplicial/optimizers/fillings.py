"""Simplices with given faces, to start from: where inner control points may stand.

Any filling bounds the minimax of eq. 2 from above, so several are tried and the lowest is kept. The
harmonic one is smooth, but spills over the surroundings of a thin or bent boundary. The ruled ones
join one facet to the others by straight lines: where an edge of a triangle runs along the other
two, one of them is as thin as the boundary.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.maps.base import SimplexMap
from simplicial.maps.interpolation import interpolate
from simplicial.maps.mesh import Mesh


def harmonic(controls: Tensor, mesh: Mesh) -> Tensor:
    """Each inner control point the mean of its neighbours, (m, i, d), for controls (m, c, d)."""
    weights = torch.as_tensor(mesh.harmonic, device=controls.device).to(controls)
    # one product for each simplex: in a product for all, their number would change last bits
    return torch.stack([weights @ points for points in controls])


def ruled(controls: Tensor, mesh: Mesh, simplex_map: SimplexMap, apex: int) -> Tensor:
    """Inner control points (m, i, d) on straight lines from the facet opposite a vertex.

    The lines are parallel in the standard simplex: to the vertex from that control point of the
    facet which is nearest to it in parameter space, and so from every point of the facet to the
    point of the other facets that lies above it.
    controls  (m, c, d), of which those on faces count
    apex      position 0 .. r of the vertex
    """
    barycentric = mesh.barycentric
    facet = np.flatnonzero(barycentric[:, apex] == 0)
    top = int(np.flatnonzero(barycentric[:, apex] == 1)[0])
    nearest = (controls[:, facet] - controls[:, [top]]).norm(dim=2).argmin(dim=1).cpu().numpy()
    filled = []
    for corners, foot in zip(controls, facet[nearest], strict=True):
        base, roof, share = _lines(barycentric[mesh.inside], apex, barycentric[foot])
        rise = torch.as_tensor(share, device=controls.device).to(controls)[:, None]
        filled.append(
            (1 - rise) * interpolate(corners, simplex_map, base)
            + rise * interpolate(corners, simplex_map, roof)
        )
    return torch.stack(filled)


def _lines(
    barycentric: NDArray[np.float64], apex: int, foot: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Feet and tops of parallels through points (i, r+1) on the facet and the roof, and shares."""
    direction = -foot
    direction[apex] += 1
    down = barycentric[:, apex]
    falling = np.where(direction < 0, -direction, 1.0)
    up = np.where(direction < 0, barycentric / falling, np.inf).min(axis=1)
    base, roof = (
        np.clip(barycentric + length[:, None] * direction, 0, None) for length in (-down, up)
    )
    return base / base.sum(1, keepdims=True), roof / roof.sum(1, keepdims=True), down / (down + up)
