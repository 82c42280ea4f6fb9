"""Shorter representatives of a homology class, by local search.

A multiple of the boundary of an (r+1)-simplex of the sublevel complex is added to an r-cycle
wherever that makes it lighter, the best such step first, until none does. Every step stays in the
class and takes weight off, so it ends, with a cycle that no single boundary improves. That need not
be the lightest one of its class: to find it is NP-hard over Z/2 (Chen & Freedman 2011, "Hardness
results for homology localization").
"""

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.filtration import Filtration
from reduction.memory import require
from reduction.persistence.boundary_reduction import Terms

FACET = 26  # bytes of a facet of an (r+1)-simplex
ROUNDING = 1e-12  # share of the weights that a step adds and takes, below which it gains nothing


def shortened(
    cycle: Terms,
    filtration: Filtration,
    r: int,
    *,
    level: float,
    weights: NDArray[np.float64],
    p: int,
) -> Terms:
    """A cycle in the class of an r-cycle in the sublevel complex at a level, and no heavier.

    weights  (m_r,) of the r-simplices, not negative
    Raises CapacityError.
    """
    if r == filtration.dim:
        return cycle
    require(
        FACET * (r + 2) * filtration.counts[r + 1],
        f"the facets of {filtration.counts[r + 1]} simplices",
    )
    facets = filtration.facets(r + 1)[filtration.values[r + 1] <= level]
    coefficients = np.zeros(weights.size, np.int64)
    coefficients[cycle.positions] = cycle.coefficients
    while _step(coefficients, facets, weights, p):
        pass
    positions = np.flatnonzero(coefficients)
    return Terms(positions, coefficients[positions])


def _step(
    coefficients: NDArray[np.int64],
    facets: NDArray[np.integer],
    weights: NDArray[np.float64],
    p: int,
) -> bool:
    """Add the multiple of a boundary that takes most weight off; whether there is one."""
    near = facets[(coefficients[facets] != 0).any(axis=1)]
    signs = np.where(np.arange(facets.shape[1]) % 2, p - 1, 1)
    before, heavy = coefficients[near], weights[near]
    least = ROUNDING * heavy.sum(axis=1)
    best, gain = (-1, 0), 0.0
    for k in range(facets.shape[1]):  # the multiple that cancels the k-th facet
        multiple = before[:, [k]] * (p - signs[k]) % p
        after = (before + multiple * signs) % p
        gains = (heavy * (before != 0)).sum(axis=1) - (heavy * (after != 0)).sum(axis=1)
        gains[gains <= least] = 0.0
        if len(gains) and gains.max() > gain:
            best, gain = (k, int(np.argmax(gains))), float(gains.max())
    k, i = best
    if k < 0:
        return False
    multiple = before[i, k] * (p - signs[k]) % p
    coefficients[near[i]] = (before[i] + multiple * signs) % p
    return True
