"""A periodic potential of two torsion angles: nine rotamers, coupled where two groups meet.

V(a, b) = v(a) + v(b) + COUPLING (1 - cos(a - b)) / 2, v(a) = [V1 (1 + cos a) + V2 (1 - cos 2a) + V3
(1 + cos 3a)] / 2 in kcal/mol, angles in radians; a is 2 pi periodic, as b is. It is a function on
the torus: minima have images in all other periods, and the signs of critical points in one period,
(-1)^index, add up to the torus's Euler characteristic, 0. In the plane no sublevel set above the
lowest barriers is bounded.
Source: Jorgensen, Madura & Swenson, J. Am. Chem. Soc. 106, 6638 (1984), for the form and the
constants of butane's torsion; the coupling is ours.
"""

from math import pi

import numpy as np
import torch
from torch import Tensor

from simplicial.landscapes.truth.exhaustive_search import Sought, searched
from simplicial.landscapes.truth.landscape import PeriodicLandscape

TERMS = (1.522, -0.315, 3.207)  # V1, V2, V3
COUPLING = 0.8  # without it all that is exchanged by (a, b) -> (-a, b) would be a tie
BEGIN = -0.5  # of a period without critical points on its boundary


def torsions() -> PeriodicLandscape:
    """The potential of two torsions, one period of which is its domain [-0.5, 2 pi - 0.5]^2.

    Each critical point is listed once. No bars are stated.
    """
    domain = np.outer([BEGIN, BEGIN + 2 * pi], np.ones(2))
    return PeriodicLandscape(
        name="torsions",
        domain=domain,
        formula=_energy,
        stratum=searched("torsions", _energy, domain, Sought(euler=0)),
        bars=None,
        periods=np.full(2, 2 * pi),
    )


def _torsion(angle: Tensor) -> Tensor:
    v1, v2, v3 = TERMS
    waves = v1 * (1 + torch.cos(angle)) + v2 * (1 - torch.cos(2 * angle))
    return (waves + v3 * (1 + torch.cos(3 * angle))) / 2


def _energy(points: Tensor) -> Tensor:
    a, b = points.unbind(dim=1)
    return _torsion(a) + _torsion(b) + COUPLING * (1 - torch.cos(a - b)) / 2
