"""Certificates of a finished complex: critical points near the highest points of its simplices."""

import numpy as np
from numpy.typing import NDArray

from simplicial.construction.state import ConstructionState
from simplicial.critical_points.certificates import Acceptance, Certificates, certify
from simplicial.display import dimension_name, progress_bar
from simplicial.maxima.maxima import Maxima, maximum_over_facets
from simplicial.maxima.refined import rounding_error

TOLERANCE = 1e-7  # of the maxima of maps that are made, as a share of the loss's range


def certificates(state: ConstructionState, *, progress: bool) -> tuple[Certificates, ...]:
    """Critical points near the highest points of all simplices that are highest inside.

    progress  show a bar for each dimension
    """
    values = np.concatenate(state.values)
    values = values[np.isfinite(values)]
    noise = float(rounding_error(values, state.control_points))
    value_range = max(float(np.ptp(values)), 10 * noise)  # of a single vertex it is 0
    tolerance = max(TOLERANCE * value_range, noise)
    found = []
    for r, simplices in enumerate(state.layout.simplices):
        which, maxima = _highest_inside(state, r)
        error_bounds = np.maximum(state.error_bounds[r][which], noise)
        title = f"{dimension_name(r)}: certificates"
        with progress_bar(title, len(which), progress) as bar:
            found.append(
                certify(
                    state.loss,
                    state.control_points,
                    simplices,
                    which,
                    maxima,
                    acceptance=Acceptance(
                        len(state.values) - 1,
                        value_range,
                        state.values[r],
                        error_bounds,
                        tolerance,
                    ),
                    memory=state.options.memory,
                    on_simplices=bar.update,
                )
            )
    return tuple(found)


def _highest_inside(state: ConstructionState, r: int) -> tuple[NDArray[np.int64], Maxima]:
    """Ranks (k,) of r-simplices that are higher inside than on their faces, and their maxima."""
    if not r:
        m = len(state.values[0])
        return np.arange(m), Maxima(state.values[0].copy(), np.ones((m, 1)))
    maxima = state.interiors[r - 1].maxima
    margin = _tolerances(state, r) if state.options.tolerance is not None else 0.0
    vertices, facets = state.layout.simplices[r].vertices, state.layout.facets(r)
    faces = maximum_over_facets(state.values[r - 1], vertices, facets)
    higher = maxima.values > faces + margin
    which = np.flatnonzero(higher & np.isfinite(maxima.values))
    return which, maxima.part(which)


def _tolerances(state: ConstructionState, r: int) -> NDArray[np.float64]:
    """Error bounds (m,) of r-simplices; 0 of those whose refinement the budget ended: the value
    that was found is attained, and the faces are measured against that alone.
    """
    if not r:
        return state.error_bounds[0]
    return np.where(state.interiors[r - 1].exhausted, 0.0, state.error_bounds[r])
