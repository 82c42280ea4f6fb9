"""The folder of a result: barcodes, complex, pictures, and the settings by which it is repeated.

    barcodes.json   the bars of every index with the simplices that begin and end them
    complex.npz     control points, maxima and samples: `LossComplex.load`
    run.json        every setting, seed and version
    convergence.json  W_inf against gradients, where efforts were compared: `Convergence.load`
    *.png           diagram, barcode, barrier tree, the triangle of the longest bar, its sides,
                    convergence

Files are written in a folder of their own and renamed, run.json last: where that is, all is there.
Those of an earlier result in the same folder that the new one has none of are removed.
A run that can be taken up again has its records in the folder `records` (`RunFolder`).
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction import Barcode, plot_barcode, plot_diagram
from simplicial.complex import LossComplex
from simplicial.display import progress_bar
from simplicial.errors import RunError
from simplicial.reports.barrier_tree import plot_barrier_tree
from simplicial.reports.convergence import CONVERGENCE, Convergence
from simplicial.reports.convergence_plot import plot_convergence
from simplicial.reports.plots import plot_edge, plot_triangle
from simplicial.reports.status import RECORDS
from simplicial.run_folder.folder import LOCK
from simplicial.run_folder.records import system_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 130
SOMETIMES = ("triangle.png", CONVERGENCE, "convergence.png")  # files that some results lack
PARTIAL = ".result."


def check_folder(folder: Path, *, goes_on: bool = False) -> None:
    """Raise RunError unless a result can go to this folder: new or empty, and writable.

    goes_on  whether it may be that of a run which is taken up again
    """
    folder = folder.resolve()
    goes_on = goes_on and (folder / RECORDS / LOCK).is_file()
    if folder.is_dir() and any(folder.iterdir()) and not goes_on:
        content = "another run" if (folder / "run.json").exists() else "other files"
        raise RunError(
            f"an output folder must be new or empty, {folder} holds {content}: choose another "
            "folder, or move it away"
        )
    if folder.exists() and not folder.is_dir():
        raise RunError(
            f"an output folder must be a folder, {folder} is a file: choose another folder"
        )
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    try:
        with tempfile.TemporaryDirectory(dir=parent):  # on some systems permissions are no proof
            pass
    except OSError as error:
        raise RunError(
            f"an output folder must be one that can be written, {parent} cannot "
            f"({error.strerror}): choose another folder"
        ) from error


def write_report(
    folder: Path,
    loss_complex: LossComplex,
    barcode: Barcode,
    record: Mapping[str, Any],
    *,
    goes_on: bool = False,
    progress: bool = True,
    convergence: Convergence | None = None,
) -> list[str]:
    """Write a result; returns the names of its files.

    folder    new or empty, or with a run's records where it goes on
    record    settings, seeds, versions: JSON values
    progress  show a bar while the loss is evaluated on the straight lines of the pictures
    convergence  of the barcodes at growing efforts, if these were compared
    Raises RunError as `check_folder` does, and where the disk is full.
    """
    check_folder(folder, goes_on=goes_on)
    with system_errors(folder, is_kept=goes_on):
        return _write(
            folder, loss_complex, barcode, record, progress=progress, convergence=convergence
        )


def _write(
    folder: Path,
    loss_complex: LossComplex,
    barcode: Barcode,
    record: Mapping[str, Any],
    *,
    progress: bool,
    convergence: Convergence | None,
) -> list[str]:
    """Write the files of a result; see `write_report`."""
    from matplotlib.figure import Figure

    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{PARTIAL}*"):  # of a process that was killed
        shutil.rmtree(left)
    partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
    try:
        barcode.save(partial / "barcodes.json")
        loss_complex.save(partial / "complex.npz")
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        (partial / "run.json").write_text(text + "\n", encoding="utf-8")
        figures = _figures(loss_complex, barcode, progress)
        if convergence is not None:
            convergence.save(partial / CONVERGENCE)
            figures["convergence"] = Figure(figsize=(6, 4.5), layout="constrained")
            plot_convergence(convergence, figures["convergence"].subplots())
        for name, figure in figures.items():
            figure.savefig(partial / f"{name}.png", dpi=DPI)
        names = sorted(path.name for path in partial.iterdir())
        for name in set(SOMETIMES).difference(names):
            if (folder / name).is_file() or (folder / name).is_symlink():
                (folder / name).unlink()
        for name in sorted(names, key="run.json".__eq__):  # it says that all is there: the last
            (partial / name).replace(folder / name)
        partial.rmdir()
    except BaseException:
        shutil.rmtree(partial if not is_new else folder, ignore_errors=True)
        raise
    return names


def longest_triangle(loss_complex: LossComplex, barcode: Barcode) -> tuple[int, ...]:
    """The triangle that ends the longest bar of index 1; without one, the lowest triangle."""
    bars = barcode[1]
    lengths = np.where(np.isinf(bars[:, 1]), -np.inf, bars[:, 1] - bars[:, 0])
    if np.isfinite(lengths).any():
        return tuple(int(v) for v in barcode.pairs(1).deaths[int(np.argmax(lengths))])
    lowest = int(np.argmin(loss_complex.values[2]))
    return tuple(int(v) for v in loss_complex.simplices[2].vertices[lowest])


def triangle_figure(loss_complex: LossComplex, triangle: tuple[int, ...]) -> "Figure":
    """Figure 1 for one triangle: the loss above, the accuracy below where there is one."""
    from matplotlib.figure import Figure

    simplex = loss_complex[triangle]
    scored = simplex.samples is not None and simplex.samples.accuracy is not None
    rows = 2 if scored else 1
    figure = Figure(figsize=(5.4, 4.3 * rows), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False)
    plot_triangle(simplex, "loss", axes[0, 0])
    if scored:
        plot_triangle(simplex, "accuracy", axes[1, 0])
    return figure


def _figures(loss_complex: LossComplex, barcode: Barcode, progress: bool) -> "dict[str, Figure]":
    """Pictures of a result by name."""
    from matplotlib.figure import Figure

    names = ["barcode", "diagram", "tree"]
    if len(loss_complex.minima) > 1:
        names.append("edges")
    figures = {name: Figure(figsize=(6, 4.5), layout="constrained") for name in names}
    axes = {name: figure.subplots() for name, figure in figures.items()}
    plot_barcode(barcode, axes["barcode"])
    plot_diagram(barcode, axes["diagram"])
    plot_barrier_tree(loss_complex.filtration, axes["tree"])
    if "edges" not in axes:
        return figures
    first = int(np.argmax(np.isfinite(loss_complex.values[1])))
    edges = [tuple(int(v) for v in loss_complex.simplices[1].vertices[first])]
    if loss_complex.max_dim >= 2 and np.isfinite(loss_complex.values[2]).any():
        triangle = longest_triangle(loss_complex, barcode)
        figures["triangle"] = triangle_figure(loss_complex, triangle)
        edges = list(combinations(triangle, 2))
    with progress_bar("straight lines", len(edges), progress) as bar:
        for edge in edges:
            plot_edge(loss_complex[edge], "loss", axes["edges"], straight=True)
            bar.update()
    return figures
