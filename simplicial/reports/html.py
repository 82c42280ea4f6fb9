"""A run as one page of HTML that stands alone: its status, the barcodes of the simplices that are
finished, and pictures.
"""

import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from reduction import Barcode, FilteredComplex, plot_barcode, plot_diagram
from reduction.barcodes.text_table import summary
from reduction.files import write
from reduction.validation import check_name
from simplicial.errors import RunError
from simplicial.reports.answer import (
    answer,
    asked,
    found_at_the_minima,
    perfect_text,
    slack_of_edges,
)
from simplicial.reports.barrier_tree import plot_barrier_tree
from simplicial.reports.convergence_plot import indices_with_lowest, plot_convergence
from simplicial.reports.status import BARCODES, RECORDS, RunStatus
from simplicial.run_folder.records import system_errors

if TYPE_CHECKING:  # loaded where it is used
    from matplotlib.axes import Axes

GENERATOR = b'<meta name="generator" content="loss-barcodes">'  # in each page
BEGINNING = 1000  # bytes, in which it stands
SETTING = 200  # characters of a setting, at most
STATES = {
    "running": "A process works on it",
    "stopped": "It is not finished, and no process works on it: the same command goes on",
    "finished": "It is finished",
    "unknown": "It may only be read here, so whether a process works on it is not known",
}
PENALTIES = {
    "plain": "The loss is the plain one: a weight decay is in Algorithm 1's training only.",
    "penalised": "The loss holds the penalty, half the weight decay times the weights squared.",
}
CONVERGENCE_TITLE = "W_inf against gradients"
CONVERGENCE_BOUND = ", dotted if simplices one dimension higher were perfect"
DRAWN = {  # by `write_report`, beside the records
    "triangle": "Loss inside the triangle that ends the longest bar, or the lowest where none ends "
    "one, and accuracy if there is one",
    "edges": "Along its sides, and along the straight lines between the same minima",
}


class _Picture(NamedTuple):
    title: str
    url: str  # with the picture as data


class _Bar(NamedTuple):
    birth: str
    death: str
    lowest: str  # death
    length: str
    birth_simplex: str
    death_simplex: str


def write_page(status: RunStatus, path: Path, field: int | None = None) -> None:
    """Write the page of a run to `path`, in place of an earlier page.

    field  of the barcode's coefficients; see `RunStatus.barcode`
    Where all is finished it has the result's pictures too. Raises FieldError, RunError where the
    page cannot be written, or would take the place of another file, DataError for spoilt files.
    """
    check_page(path, status.folder)
    is_finished, filtration = status.state == "finished", status.filtration()
    barcode, slack = status.barcode(field), slack_of_edges(status)
    indices = range(0 if barcode is None else len(barcode))
    pictures = [] if filtration is None or barcode is None else _pictures(filtration, barcode)
    convergence = status.convergence
    if convergence is not None:
        title = f"{CONVERGENCE_TITLE}, over Z/{convergence.field}"
        title += CONVERGENCE_BOUND * bool(indices_with_lowest(convergence))
        pictures.append(_drawn(title, lambda ax: plot_convergence(convergence, ax)))
    if is_finished and status.result is not None:
        pictures += _result_pictures(status.result, field)
    template = Environment(
        loader=PackageLoader("simplicial", "reports"), autoescape=True, undefined=StrictUndefined
    ).get_template("page.html")
    page = template.render(
        title=_title(status.folder),
        state=STATES[status.state],
        left=None if is_finished else f"time left: {status.time_left()}",
        at=_as_of(status),
        answer=None if barcode is None else answer(barcode, slack, is_finished=is_finished),
        asked=asked(status) | found_at_the_minima(status),
        dimensions=status.dimensions,
        anytime=status.work(field if barcode is None else barcode.field),
        failed={_name(list(simplex)): reason for simplex, reason in status.failed.items()},
        worsened=[_name(list(simplex)) for simplex in status.worsened],
        exhausted={_name(list(simplex)): f"{b:.3g}" for simplex, b in status.exhausted.items()},
        loss=_loss(status),
        minima=_minima(status),
        remark=status.checks.remark,
        is_finished=is_finished,
        barcode=barcode,
        summary=[summary(r, barcode[r]) for r in indices if barcode is not None],
        perfect=[perfect_text(barcode, r, slack) for r in indices if barcode is not None],
        errors=[_error(barcode, r) for r in indices if barcode is not None],
        bars=[_bars(barcode, r) for r in indices if barcode is not None],
        pictures=pictures,
        convergence=convergence,
        settings={name: _settings(values) for name, values in status.settings.items()},
    )
    with system_errors(path.parent):
        write(path, page.encode())


def check_page(path: Path, folder: Path) -> None:
    """Raise RunError unless `path` is a new file or an earlier page.

    folder  of the run's records, in which a file of another name than *.html is none of a page
    """
    with system_errors(path.parent):
        is_there = os.path.lexists(path)
        if not is_there:
            inside = folder.resolve() in path.resolve().parents
            if path.suffix != ".html" and inside:
                raise RunError(
                    f"a page in the folder of a run must be named *.html, got {path}: name it so, "
                    "or choose another folder"
                )
            return
        is_file = path.is_file() and not path.is_symlink()
        if not is_file or GENERATOR not in path.read_bytes()[:BEGINNING]:
            raise RunError(
                f"a page takes the place of an earlier page only, {path} is none: choose another "
                "file, or move it away"
            )


def _loss(status: RunStatus) -> str | None:
    """The loss in words, where it is that of a command's run."""
    if "run" not in status.settings:
        return None
    objective = status.settings["run"].get("objective", "plain")
    check_name("objective", objective, [*PENALTIES], remedy="choose another folder")
    return PENALTIES[objective]


def _minima(status: RunStatus) -> list[tuple[str, ...]]:
    """Loss, norm of the gradient and its scale of each minimum, where loss and norm are known."""
    values, checks = status.values[0].tolist(), status.checks
    rows = zip(values, checks.norms.tolist(), checks.scales.tolist(), strict=True)
    return [
        (f"{loss:.6g}", f"{norm:.3g}", "" if scale != scale else f"{scale:.3g}")
        for loss, norm, scale in rows
        if loss == loss and norm == norm
    ]


def _result_pictures(result: Path, field: int | None) -> list[_Picture]:
    """Pictures in the folder of a result, which may be of another field than the page."""
    own = Barcode.load(result / BARCODES).field
    other = "" if field in (None, own) else f" (of the result, over Z/{own})"
    paths = {title: result / f"{name}.png" for name, title in DRAWN.items()}
    return [
        _Picture(title + other, _url("png", path.read_bytes()))
        for title, path in paths.items()
        if path.is_file()
    ]


def _pictures(filtration: FilteredComplex, barcode: Barcode) -> list[_Picture]:
    """Pictures of the simplices that are finished."""
    drawn: dict[str, Callable[[Axes], object]] = {
        "Barcode": lambda axes: plot_barcode(barcode, axes),
        "Persistence diagram": lambda axes: plot_diagram(barcode, axes),
        "Minima, and the barriers between them": lambda axes: plot_barrier_tree(filtration, axes),
    }
    return [_drawn(title, draw) for title, draw in drawn.items()]


def _drawn(title: str, draw: "Callable[[Axes], object]") -> _Picture:
    """A picture that is drawn on axes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    draw(figure.subplots())
    content = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "loss-barcodes"}):  # the same page for the same run
        figure.savefig(content, format="svg", metadata={"Date": None})
    return _Picture(title, _url("svg+xml", content.getvalue()))


def _url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _title(folder: Path) -> str:
    """The run's folder, where the records are in one of their own."""
    return folder.parent.name if folder.name == RECORDS else folder.name


def _as_of(status: RunStatus) -> str | None:
    times = [dimension.at for dimension in status.dimensions if dimension.at is not None]
    if not times:
        return None
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _bars(barcode: Barcode, r: int) -> list[_Bar]:
    """The bars of an index, the longest first."""
    (births, deaths), bounds = barcode.pairs(r), barcode.bounds(r)
    rows = [
        _Bar(
            f"{birth:.6g}",
            f"{death:.6g}",
            "" if bounds is None else f"{bounds.lowest_deaths[i]:.6g}",
            f"{death - birth:.6g}",
            _name(birth_simplex),
            "" if death_simplex[0] < 0 else _name(death_simplex),
        )
        for i, ((birth, death), birth_simplex, death_simplex) in enumerate(
            zip(barcode[r].tolist(), births.tolist(), deaths.tolist(), strict=True)
        )
    ]
    lengths = np.diff(barcode[r], axis=1)[:, 0]
    return [rows[i] for i in np.argsort(-lengths, kind="stable")]


def _error(barcode: Barcode, r: int) -> str:
    """The error of an index as text; nothing in results of older versions, that have none."""
    bounds = barcode.bounds(r)
    if bounds is None:
        return ""
    return f"{bounds.error:.6g}" if np.isfinite(bounds.error) else "unknown"


def _name(simplex: list[int]) -> str:
    return f"({', '.join(map(str, simplex))})"


def _settings(settings: dict[str, Any]) -> dict[str, str]:
    """Settings as text of at most `SETTING` characters."""
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in settings.items()}
    return {
        key: text if len(text) <= SETTING else f"{text[:SETTING]} ..."
        for key, text in texts.items()
    }
