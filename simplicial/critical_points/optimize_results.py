"""Minima from results of SciPy's optimisers."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from reduction import OptionError, ShapeError
from reduction.validation import short_repr
from simplicial.errors import LossError
from simplicial.loss import Loss
from simplicial.minima import Minima

MERGED = 1e-4  # distance over the spread of all points below which two results are one minimum
AGREED = 1e-6  # difference of a result's value and the loss's, over the largest


def from_optimize_result(results: Any, loss: Loss) -> Minima:
    """Minima that optimisers of SciPy found, the lowest of those that are the same.

    results  a list of `scipy.optimize.OptimizeResult`, one for each start, or a single one; of one
             with local minima (`xl`, as of shgo) those
    loss     the function that was minimised, on torch points: `from_numpy(fun, jac)`, say
    returns  Minima in float64, by value; of results within 1e-4 of the spread of all of them (the
             diagonal of the smallest box around them) the lowest
    An optimiser's minimum is one to its tolerance: `Minima.gradient_norms` tells, `polish` helps.
    Raises OptionError for what are no results, and for results without success, whose places and
    message it names, ShapeError for points of different dimensions, LossError where the loss has
    other values than the results, and for a loss that breaks its contract.
    """
    given = _as_results(results)
    failed = [row for row, result in enumerate(given) if not result.get("success", False)]
    if failed:
        lines = str(given[failed[0]].get("message", "")).strip().splitlines() or ["no message"]
        raise OptionError(
            f"results must have success, {len(failed)} of {len(given)} have not, result "
            f"{failed[0]} first ({lines[0].rstrip('.')}): leave them out, [r for r in results if "
            "r.success], or run the optimiser for longer"
        )
    points, values = _points(given)
    order = np.argsort(values, kind="stable")
    points, values = points[order], values[order]
    kept = _distinct(points)
    minima = Minima(torch.as_tensor(points[kept]), loss)
    off = np.abs(minima.values - values[kept])
    worst = int(np.argmax(off))
    if off[worst] > AGREED * max(1.0, float(np.abs(values).max())):
        raise LossError(
            "a loss must have the values that the results have, it has "
            f"{minima.values[worst]:.10g} where a result has {values[kept][worst]:.10g}: give the "
            "function that was minimised, not its negative"
        )
    return minima


def _as_results(results: Any) -> list[Any]:
    from scipy.optimize import OptimizeResult  # heavy, so loaded where it is used

    single = isinstance(results, OptimizeResult)
    given = [results] if single else list(results) if isinstance(results, Iterable) else [results]
    wrong = [one for one in given if not isinstance(one, OptimizeResult) or "x" not in one]
    if wrong or not given:
        got = short_repr(wrong[0]) if wrong else "none"
        raise OptionError(
            f"results must be a list of scipy.optimize.OptimizeResult with x, got {got}: give what "
            "scipy.optimize.minimize returned, once for each start"
        )
    return given


def _points(results: list[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (m, d) and values (m,) of results."""
    rows, values = [], []
    for result in results:
        several = "xl" in result and len(np.atleast_1d(result["funl"])) > 0
        rows += list(np.atleast_2d(result["xl"])) if several else [np.atleast_1d(result["x"])]
        values += list(np.ravel(result["funl"] if several else result["fun"]))
    shapes = {np.shape(row) for row in rows}
    if len(shapes) > 1 or len(rows) != len(values) or np.ndim(rows[0]) != 1:
        raise ShapeError(
            "results must be points (d,) of one function with a value each, got shapes "
            f"{', '.join(map(str, sorted(shapes)))} and {len(values)} values for {len(rows)} "
            "points: give results of one function"
        )
    return np.array(rows, dtype=np.float64), np.array(values, dtype=np.float64)


def _distinct(points: NDArray[np.float64]) -> list[int]:
    """Rows of points (m, d) that are near none before them."""
    radius = MERGED * float(np.linalg.norm(np.ptp(points, axis=0)))
    near = KDTree(points).query_ball_point(points, radius)
    kept: list[int] = []
    for row, others in enumerate(near):
        if not set(others) & set(kept):
            kept.append(row)
    return kept
