"""A cell of table 1a as numbers, without its networks: what the table and the figures read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import comb
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from reduction import Barcode, DataError, FilteredComplex
from simplicial import LossComplex, Samples

Floats = NDArray[np.float64]

DIGITS = 7  # significant ones of what only pictures show


class Way(NamedTuple):
    """How simplices between minima were found, and by which loss they are filtered.

    optimizer  "algorithm-1", the paper's, or "minimax"
    objective  "plain" cross-entropy, or "penalised": with the penalty of the weights
    aligned    whether the minima were permuted first, so that they come near the first one
    """

    optimizer: str
    objective: str = "plain"
    aligned: bool = False

    def __str__(self) -> str:
        return f"{self.optimizer}-{self.objective}{'-aligned' if self.aligned else ''}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """Numbers of a complex on the minima of one network and seed.

    name         of the network, the way and the seed
    settings     of the experiment, those of data, recipe and lattice
    values       f on the simplices of each dimension, all on n minima, in colexicographic order
    train_errors, test_errors  (n,) shares of the images that the minima classify wrongly
    hours        that its minima, and the simplices on them, took to train and to evaluate
    samples      on the lattice of the triangle of the first three minima
    largest      (3,) barycentric coordinates of its largest loss
    """

    name: str
    settings: dict[str, Any]
    values: tuple[Floats, ...]
    train_errors: Floats
    test_errors: Floats
    hours: tuple[float, float]
    samples: Samples
    largest: Floats

    def __post_init__(self) -> None:
        n = len(self.values[0]) if self.values else 0
        counts = [comb(n, r + 1) for r in range(len(self.values))]
        rows = [self.train_errors, self.test_errors]
        fits = len(counts) >= 3 and [v.shape for v in self.values] == [(m,) for m in counts]
        fits = fits and all(row.shape == (n,) for row in rows) and self.largest.shape == (3,)
        fits = fits and self.samples.barycentric.shape == (len(self.samples.loss), 3)
        fits = fits and all(bool(np.isfinite(v).all()) for v in (*self.values, *rows))
        if not fits:
            raise ValueError("finite values of all simplices on its minima make a cell")

    @classmethod
    def of(
        cls, name: str, settings: dict[str, Any], built: LossComplex, test_errors: Floats,
        hours: tuple[float, float],
    ) -> Self:  # fmt: skip
        """The numbers of a complex. Raises DataError for one on which the loss is not finite."""
        triangle, accuracy = built[(0, 1, 2)], built.minima.accuracy
        if any(len(missing) for missing in built.missing) or triangle.samples is None:
            raise DataError(
                f"a cell needs a finite loss on all simplices, {name} has none on some: lower the "
                "learning rate of its scale"
            )
        assert accuracy is not None, "networks that classify have one"
        return cls(
            name=name,
            settings=settings,
            values=built.values,
            train_errors=1 - accuracy,
            test_errors=test_errors,
            hours=hours,
            samples=triangle.samples,
            largest=triangle.maximum.barycentric,
        )

    @property
    def losses(self) -> Floats:
        """The loss (n,) at the minima."""
        return self.values[0]

    def first(self, n: int) -> Self:
        """The part on the first n minima, with all its dimensions up to n - 1."""
        values = [v[: comb(n, r + 1)] for r, v in enumerate(self.values[:n])]
        errors = self.train_errors[:n], self.test_errors[:n]
        return replace(self, values=tuple(values), train_errors=errors[0], test_errors=errors[1])

    def barcode(self) -> Barcode:
        """The barcode in every index below the top dimension, each bar with its lowest death."""
        built = FilteredComplex.complete(len(self.losses), self.values)
        lower = [self.losses[vertices].max(axis=1) for vertices in built.vertices]
        return built.barcode(lower=lower)

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        record = asdict(self) | {"samples": self.samples._asdict()}
        record = {k: _rounded(v) if k in ("samples", "largest") else v for k, v in record.items()}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(record, default=_as_list) + "\n", encoding="utf-8")
        partial.rename(path)

    @classmethod
    def read(cls, path: Path, name: str, settings: dict[str, Any]) -> Self:
        """The cell of a name and settings that `write` wrote. Raises DataError for others."""
        try:
            record = json.loads(path.read_text("utf-8"))
            for key, value in {"name": name, "settings": settings}.items():
                if record[key] != value:
                    raise ValueError(f"its {key} is {record[key]}, now {value}")
            samples = Samples(**{k: _as_array(v) for k, v in record.pop("samples").items()})
            rows = {k: _as_array(record.pop(k)) for k in ("train_errors", "test_errors", "largest")}
            values = tuple(np.array(v, dtype=float) for v in record.pop("values"))
            of_minima, of_simplices = map(float, record.pop("hours"))
            hours = of_minima, of_simplices
            return cls(**record, **rows, values=values, hours=hours, samples=samples)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"a cell is read from the JSON that was written of it, {path} is none of {name} "
                f"({type(error).__name__}: {error}): remove it, or name another folder"
            ) from error


def spread(numbers: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds."""
    if len(numbers) == 1:
        return f"{numbers[0]:.3f}"
    return f"{np.mean(numbers):.3f} ± {np.std(numbers, ddof=1):.3f}"


def _as_array(values: Any) -> Any:
    return None if values is None else np.array(values, dtype=float)


def _as_list(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no number")


def _rounded(numbers: Any) -> Any:
    if isinstance(numbers, dict):
        return {k: _rounded(v) for k, v in numbers.items()}
    if numbers is None:
        return None
    return np.vectorize(lambda x: float(f"{x:.{DIGITS}g}"))(numbers).tolist()
