"""Certificates of a finished complex: critical points near the highest points of its simplices."""

import numpy as np

from simplicial.construction.state import ConstructionState
from simplicial.critical_points.certificates import Certificates, certify
from simplicial.display import dimension_name, progress_bar
from simplicial.maxima.refined import rounding_error

RAISED = 1e-3  # share of the loss's range that a maximum on linear pieces may miss of a peak


def certificates(state: ConstructionState, *, progress: bool) -> tuple[Certificates, ...]:
    """Critical points near the highest points of all simplices that are highest inside.

    progress  a bar on stderr for each dimension, for what takes over two seconds
    """
    values = np.concatenate(state.values)
    values = values[np.isfinite(values)]
    spread, noise = float(np.ptp(values)), float(rounding_error(values, state.control_points))
    refined, found = state.options.tolerance is not None, []
    for r, simplices in enumerate(state.layout.simplices):
        m = len(simplices.vertices)
        which, barycentric = np.arange(m), np.ones((m, 1))
        if r:
            maxima = state.interiors[r - 1].maxima
            margin = state.error_bounds[r] if refined else 0.0
            higher = maxima.values > state.face_maxima(r) + margin
            which = np.flatnonzero(higher & np.isfinite(maxima.values))
            barycentric = maxima.barycentric[which]
        above = np.maximum(state.error_bounds[r][which], RAISED * spread if r else noise)
        with progress_bar(f"{dimension_name(r)}: certificates", len(which), progress) as bar:
            found.append(
                certify(
                    state.loss,
                    state.control_points,
                    simplices,
                    which,
                    state.values[r][which],
                    barycentric,
                    top=len(state.values) - 1,
                    spread=spread,
                    above=above,
                    memory=state.options.memory,
                    on_simplices=bar.update,
                )
            )
    return tuple(found)
