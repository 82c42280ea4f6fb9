"""The record of a command, and the folder that it writes."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import torch

from nets.commands.work.analytic_settings import AnalyticSettings
from nets.commands.work.settings import NetworkSettings
from reduction import Barcode
from reduction.json_values import null_if_infinite
from simplicial import Convergence, LossComplex, Recipe
from simplicial.reports.result_folder import write_report

PACKAGES = (
    "loss-barcodes", "matplotlib", "networkx", "numba", "numpy", "scikit-learn", "scipy",
    "torchvision",
)  # fmt: skip


def record(
    settings: NetworkSettings | AnalyticSettings,
    recipe: Recipe | None,
    barcode: Barcode,
    seconds: float,
) -> dict[str, Any]:
    """Settings, versions and W_inf by index, as JSON values.

    recipe  None where nothing was trained
    An infinite W_inf or error is None.
    """
    return {
        "command": settings.command,
        "settings": settings.as_record(),
        "recipe": None if recipe is None else recipe.as_record(),
        "max_dim": len(barcode),
        "w_inf": [null_if_infinite(barcode.w_inf(r)) for r in range(len(barcode))],
        "error": [null_if_infinite(barcode.error(r)) for r in range(len(barcode))],
        "versions": {name: version(name) for name in PACKAGES}
        | {"torch": torch.__version__, "python": platform.python_version()},
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "cuda": torch.version.cuda if torch.cuda.is_available() else None,
            "gpu": settings.gpu,
        },
        "seconds": round(seconds, 1),
    }


def refinement(loss_complex: LossComplex) -> dict[str, Any]:
    """Simplices whose refined maxima the budget ended, and by how much any of these, or of those
    with such a face, may be too low at most: JSON values.
    """
    exhausted = [simplex.tolist() for of in loss_complex.exhausted for simplex in of]
    bounds = [
        float(interior.error_bounds[interior.exhausted].max(initial=0.0))
        for interior in loss_complex.interiors
    ]
    return {"exhausted": exhausted, "largest_error_bound": max(bounds)}


def echo_refinement(loss_complex: LossComplex) -> None:
    """Print what an anytime build spent, and how many refined maxima the budget ended, if any."""
    if loss_complex.spent is not None:
        click.echo(f"\n{loss_complex.spent}")
    found = refinement(loss_complex)
    if found["exhausted"]:
        click.echo(
            f"\nthe budget ended the refined maxima of {len(found['exhausted'])} simplices, which "
            f"may be too low by {found['largest_error_bound']:.3g} at most, by the rule of refined "
            "maxima: raise --refinement-budget"
        )


def write(
    folder: Path,
    loss_complex: LossComplex,
    barcode: Barcode,
    written: dict[str, Any],
    *,
    goes_on: bool,
    progress: bool,
    convergence: Convergence | None = None,
) -> dict[str, Any]:
    """Write a result to the folder, and print its files and the number of missing simplices; its
    whole record.

    See `write_report`.
    """
    missing = [simplex.tolist() for of in loss_complex.missing for simplex in of]
    if missing:
        click.echo(
            f"\n{len(missing)} simplices are missing, since the loss is not finite on them or on a "
            "face: bars that only they could end have no end, as with these simplices at +inf"
        )
    written = written | {"missing": missing, "refinement": refinement(loss_complex)}
    if (spent := loss_complex.spent) is not None:
        efforts = [each.tolist() for each in spent.efforts]
        gradients = list(spent.gradients)
        written["spent"] = {"gradients": gradients, "efforts": efforts, "ended": spent.ended}
    names = write_report(
        folder,
        loss_complex,
        barcode,
        written,
        goes_on=goes_on,
        progress=progress,
        convergence=convergence,
    )
    click.echo(f"\n{folder}: {', '.join(names)}")
    return written
