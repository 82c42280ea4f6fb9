"""Triangles as data, and rows of pictures: networks with shortcuts above those without."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from examples.paper.cell import Cell
from examples.paper.experiment import Network
from reduction import DataError
from simplicial import LossComplex, Samples

DPI = 62
ABOVE = 32  # points between a picture and its title: names of corners and legends stand there
DIGITS = 7  # significant ones that are kept


class Triangle(NamedTuple):
    """A picture of a triangle as numbers, without its networks.

    title    of the picture
    samples  losses and accuracies on the lattice of Algorithm 2
    largest  (3,) barycentric coordinates of the largest loss
    """

    title: str
    samples: Samples
    largest: NDArray[np.float64]

    @classmethod
    def of(cls, title: str, built: LossComplex) -> Self:
        """The triangle of the first three minima."""
        triangle = built[(0, 1, 2)]
        assert triangle.samples is not None  # of few triangles they are always kept
        return cls(title, triangle.samples, triangle.maximum.barycentric)


def write(path: Path, triangles: list[Triangle]) -> None:
    """Write triangles as JSON, with as many digits as a picture can show."""
    records = [
        {"title": t.title, "place": _rounded(t.largest)}
        | {k: None if v is None else _rounded(v) for k, v in t.samples._asdict().items()}
        for t in triangles
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records) + "\n", encoding="utf-8")


def read(path: Path) -> list[Triangle]:
    """Triangles that `write` wrote. Raises DataError for other content."""
    try:
        found = [_triangle(record) for record in json.loads(path.read_text("utf-8"))]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(_NONE.format(path, f"{type(error).__name__}: {error}")) from error
    if not found:
        raise DataError(_NONE.format(path, "it is empty"))
    return found


_NONE = (
    "a picture is drawn from the JSON that was written beside one, {} is none ({}): name another"
)


def _triangle(record: dict[str, Any]) -> Triangle:
    accuracy, title = record["accuracy"], record["title"]
    largest, barycentric, losses = (
        np.array(record[name], dtype=float) for name in ("place", "barycentric", "loss")
    )
    fits = largest.shape == (3,) and barycentric.shape == (len(losses), 3) and losses.ndim == 1
    fits = fits and len(losses) >= 3 and bool(np.isfinite(losses).all())
    if not fits or not isinstance(title, str):
        raise ValueError(
            "a title, a place (3,), points (p, 3) and finite losses (p,) make a triangle"
        )
    scores = None if accuracy is None else np.array(accuracy, dtype=float).reshape(losses.shape)
    return Triangle(title, Samples(barycentric, losses, scores), largest)


def grid(titles: list[str], draw: Callable[[int, Axes], Any], path: Path) -> None:
    """Two rows of pictures, draw(k, ax) the k-th."""
    columns = len(titles) // 2
    figure = Figure(figsize=(4.6 * columns, 8.0), layout="constrained")
    for k, (title, ax) in enumerate(zip(titles, figure.subplots(2, columns).flat, strict=True)):
        draw(k, ax)
        ax.set_title(title, pad=ABOVE)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a picture, and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    print(f"picture: {path}")


def caption(network: Network, cell: Cell) -> str:
    """The network and its test error, a mean over the minima."""
    return f"{network}, test error {100 * cell.test_errors.mean():.1f}%"


def _rounded(numbers: NDArray[np.float64]) -> Any:
    return np.vectorize(lambda x: float(f"{x:.{DIGITS}g}"))(numbers).tolist()
