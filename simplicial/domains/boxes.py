"""Boxes: closed products of intervals, by their lowest and highest corners."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import OptionError
from reduction.validation import short_repr

Floats = NDArray[np.float64]


def as_box(box: ArrayLike, dim: int | None = None) -> Floats:
    """A box (2, d), checked: finite, lowest coordinates before highest; read-only.

    dim  d, for which (2,) is a box with the same interval in each coordinate; None: any
    Raises OptionError.
    """
    try:
        corners = np.asarray(box)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor that requires a gradient
        corners = np.empty(0)
    if dim is not None and corners.shape == (2,):
        corners = np.repeat(corners[:, None], dim, axis=1)
    width = corners.shape[-1] if dim is None and corners.ndim == 2 else dim
    if not (corners.dtype.kind in "fiu" and corners.shape == (2, width) and _is_box(corners)):
        shape = "(2, d)" if dim is None else f"(2, {dim}) or (2,)"
        remedy = "[[low, ...], [high, ...]]" if dim is None else "(low, high)"
        raise OptionError(
            f"a box must be {shape}, finite, lowest coordinates before highest, got "
            f"{short_repr(box)}: give {remedy}"
        )
    corners = corners.astype(np.float64)
    corners.flags.writeable = False
    return corners


def _is_box(corners: NDArray[np.generic]) -> bool:
    """Whether its edges have finite lengths above 0."""
    low, high = corners.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        edges = high - low
    return bool((np.isfinite(edges) & (edges > 0)).all() and edges.size)
