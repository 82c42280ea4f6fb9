"""Status of a run as JSON values."""

from pathlib import Path
from typing import Any

from reduction import Barcode
from reduction.json_values import null_if_infinite
from simplicial import Convergence
from simplicial.reports.status import RunStatus


def status_record(folder: Path, run: RunStatus, field: int | None) -> dict[str, Any]:
    """What `loss-barcodes status` prints of a run, over Z/field, as JSON values.

    An infinite number, and what is not known yet, is null. Raises what `RunStatus.barcode` raises.
    """
    barcode = run.barcode(field)
    return {
        "folder": str(folder),
        "state": run.state,
        "seconds_left": run.seconds_left(),
        "dimensions": [
            {
                "name": dimension.name,
                "done": dimension.done,
                "total": dimension.total,
                "seconds_each": dimension.seconds_each,
            }
            for dimension in run.dimensions
        ],
        "anytime": run.work(None if barcode is None else barcode.field),
        "missing": [
            {"simplex": list(simplex), "reason": reason} for simplex, reason in run.failed.items()
        ],
        "worsened": [list(simplex) for simplex in run.worsened],
        "exhausted": [
            {"simplex": list(simplex), "error_bound": null_if_infinite(bound)}
            for simplex, bound in run.exhausted.items()
        ],
        "remark": run.checks.remark,
        "barcode": None if barcode is None else _of_barcode(barcode),
        "convergence": None if run.convergence is None else _of_convergence(run.convergence),
    }


def _of_barcode(barcode: Barcode) -> dict[str, Any]:
    """Coefficients, and bars, W_inf and error of each index; no error where there are no bounds."""
    indices = range(len(barcode))
    return {
        "field": barcode.field,
        "bars": [len(bars) for bars in barcode],
        "w_inf": [null_if_infinite(barcode.w_inf(r)) for r in indices],
        "error": [
            None if (bounds := barcode.bounds(r)) is None else null_if_infinite(bounds.error)
            for r in indices
        ],
    }


def _of_convergence(found: Convergence) -> dict[str, Any]:
    """W_inf of each effort and index, with its bounds."""
    arrays = {"w_inf": found.w_inf, "lowest_w_inf": found.lowest, "error": found.errors}
    return {
        "field": found.field,
        "efforts": found.efforts.tolist(),
        "gradients": found.gradients.tolist(),
    } | {
        name: [[null_if_infinite(value) for value in row] for row in array.tolist()]
        for name, array in arrays.items()
    }
