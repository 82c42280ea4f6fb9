"""A run as one page of HTML that stands alone: how far it has come, the barcodes of what is
finished, its pictures.
"""

import base64
import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from reduction import Barcode, FilteredComplex, plot_barcode, plot_diagram
from reduction.barcodes.text_table import summary
from reduction.files import write
from simplicial.reports.plots import plot_barrier_tree
from simplicial.reports.status import RECORDS, Progress
from simplicial.run_folder.records import system_errors

SETTING = 200  # characters of a setting that are shown
STATES = {
    "running": "A process works on it",
    "stopped": "It is not finished, and no process works on it: the same command goes on",
    "finished": "It is finished",
    "unknown": "It may only be read here, so whether a process works on it is not known",
}
DRAWN = {  # by `write_report`, beside the records
    "triangle": "Loss inside the triangle of the longest bar, and accuracy if there is one",
    "edges": "Along its sides, and along the straight lines between the same minima",
}


class _Picture(NamedTuple):
    title: str
    url: str  # the picture itself


class _Bar(NamedTuple):
    birth: str
    death: str
    length: str
    born: str
    dies: str


def write_page(progress: Progress, path: Path, field: int | None = None) -> None:
    """Write the page of a run to `path`, in place of what is there.

    field  of the barcode's coefficients; see `Progress.barcode`
    Where all is finished it has the result's pictures too. Raises FieldError, RunError where the
    page cannot be written, DataError for spoilt files.
    """
    whole, filtration = progress.state == "finished", progress.filtration()
    barcode = progress.barcode(field)
    indices = range(0 if barcode is None else len(barcode))
    pictures = [] if filtration is None or barcode is None else _pictures(filtration, barcode)
    if whole and progress.result is not None:
        pictures += _drawn(progress.result)
    template = Environment(
        loader=PackageLoader("simplicial", "reports"), autoescape=True, undefined=StrictUndefined
    ).get_template("page.html")
    page = template.render(
        title=_title(progress.folder),
        state=STATES[progress.state],
        left=None if whole else f"time left: {progress.duration()}",
        at=_as_of(progress),
        turns=progress.turns,
        failed={_name(list(simplex)): why for simplex, why in progress.failed.items()},
        whole=whole,
        barcode=barcode,
        summary=[summary(r, barcode[r]) for r in indices if barcode is not None],
        bars=[_bars(barcode, r) for r in indices if barcode is not None],
        pictures=pictures,
        settings={name: _settings(kept) for name, kept in progress.settings.items()},
    )
    with system_errors(path.parent):
        write(path, page.encode())


def _drawn(result: Path) -> list[_Picture]:
    """Pictures of a result."""
    paths = {title: result / f"{name}.png" for name, title in DRAWN.items()}
    return [
        _Picture(title, _url("png", path.read_bytes()))
        for title, path in paths.items()
        if path.is_file()
    ]


def _pictures(filtration: FilteredComplex, barcode: Barcode) -> list[_Picture]:
    drawn = {
        "Barcode": lambda axes: plot_barcode(barcode, axes),
        "Persistence diagram": lambda axes: plot_diagram(barcode, axes),
        "Minima, and the barriers between them": lambda axes: plot_barrier_tree(filtration, axes),
    }
    pictures = []
    for title, draw in drawn.items():
        figure = Figure(figsize=(6, 4.5), layout="constrained")
        draw(figure.subplots())
        content = BytesIO()
        with mpl.rc_context({"svg.hashsalt": "loss-barcodes"}):  # the same page for the same run
            figure.savefig(content, format="svg", metadata={"Date": None})
        pictures.append(_Picture(title, _url("svg+xml", content.getvalue())))
    return pictures


def _url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _title(folder: Path) -> str:
    """The run's folder, where the records are in one of their own."""
    return folder.parent.name if folder.name == RECORDS else folder.name


def _as_of(progress: Progress) -> str | None:
    times = [turn.at for turn in progress.turns if turn.at is not None]
    if not times:
        return None
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _bars(barcode: Barcode, r: int) -> list[_Bar]:
    """The bars of an index, the longest first."""
    births, deaths = barcode.pairs(r)
    rows = [
        _Bar(
            f"{birth:.6g}",
            f"{death:.6g}",
            f"{death - birth:.6g}",
            _name(born),
            "" if dies[0] < 0 else _name(dies),
        )
        for (birth, death), born, dies in zip(
            barcode[r].tolist(), births.tolist(), deaths.tolist(), strict=True
        )
    ]
    lengths = np.diff(barcode[r], axis=1)[:, 0]
    return [rows[i] for i in np.argsort(-lengths, kind="stable")]


def _name(simplex: list[int]) -> str:
    return f"({', '.join(map(str, simplex))})"


def _settings(kept: dict[str, Any]) -> dict[str, str]:
    """Settings as text, long ones cut."""
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in kept.items()}
    return {
        key: text if len(text) <= SETTING else f"{text[:SETTING]} ..."
        for key, text in texts.items()
    }
