"""Results of runs beside each other: W_inf of each index with its bounds, losses at the minima, and
their mean and standard deviation over runs that differ by their seed only.

Runs of other settings, of another loss among them, are shown, and not averaged.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nets.commands.work.settings import BEFORE, MACHINE
from reduction import DataError, OptionError
from reduction.json_values import null_if_infinite
from reduction.validation import as_integer, first_line, is_number
from simplicial import load_run
from simplicial.reports.convergence import lowest_w_inf

OF_THE_LOSS = (
    "name", "dim", "curved", "function_seed", "data", "data_sha256", "subset", "image_size",
    "model", "hidden", "depth", "width", "shortcuts", "factory", "loss", "weights", "objective",
    "batch_norm",
)  # fmt: skip
"""Settings that another loss has otherwise."""
BY_ITSELF = (*MACHINE, "seed", "effort")
"""Settings in which runs that are averaged may differ."""
MINIMA = ("lowest", "mean", "highest")
INDEX = ("W_inf", "lowest", "error")
LEGEND = """\
minima: losses at the minima
lowest: W_inf, if simplices one dimension higher were perfect
error: bound on the bottleneck distance to perfect simplices, whose W_inf
       differs by at most 1.42 times as much, in index 0 upwards only by
       what refined maxima are too low by
s.d.: standard deviation over runs, divisor n - 1"""
LONGEST = 36  # characters of a folder or a setting in a table
Floats = NDArray[np.float64]


class RunNumbers(NamedTuple):
    """Numbers of a run: a row of `MINIMA`, and one of `INDEX` for each index, (m, 3)."""

    folder: Path
    seed: int
    minima: Floats
    indices: Floats


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that differ by their seed only.

    apart  the settings by which groups differ, JSON values by name
    """

    apart: dict[str, Any]
    runs: tuple[RunNumbers, ...]

    def table(self) -> str:
        """Losses at the minima and the numbers of each index, run by run, and over all runs."""
        names = [_short(run.folder) for run in self.runs]
        seeds = [str(run.seed) for run in self.runs]
        parts = [
            _block("minima", MINIMA, names, np.array([run.minima for run in self.runs]), seeds)
        ]
        values = np.array([run.indices for run in self.runs])
        for r in range(values.shape[1]):
            parts.append(_block(f"index {r}", INDEX, names, values[:, r], seeds))
        return "\n\n".join(parts)

    def as_record(self) -> dict[str, Any]:
        """JSON values; an infinite number is null, as is the deviation of a single run."""
        minima = np.array([run.minima for run in self.runs])
        indices = np.array([run.indices for run in self.runs])
        return {
            "settings": self.apart,
            "runs": [
                {
                    "folder": str(run.folder),
                    "seed": run.seed,
                    "minima": _named(MINIMA, run.minima),
                    "indices": [_named(INDEX, row) for row in run.indices],
                }
                for run in self.runs
            ],
            "mean": _over(minima.mean(axis=0), indices.mean(axis=0)),
            "standard_deviation": _over(_deviation(minima), _deviation(indices)),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs, by groups that differ by their seed only.

    apart  names of the settings by which groups differ
    """

    apart: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def remark(self) -> str | None:
        """What is said of runs that are not averaged; None where all are."""
        if len(self.groups) == 1:
            return None
        others = [name for name in self.apart if name in OF_THE_LOSS]
        if others:
            return f"runs of different losses, by {', '.join(others)}: each loss by itself"
        return f"runs of different settings, {', '.join(self.apart)}: each by itself"

    def text(self) -> str:
        """All groups as text tables."""
        parts = [] if self.remark is None else [self.remark]
        for group in self.groups:
            count = len(group.runs)
            own = ", ".join(f"{name} = {_value(value)}" for name, value in group.apart.items())
            title = f"{count} runs, which differ by their seed only" if count > 1 else "one run"
            parts += [f"{title}; {own}" if own else title, group.table()]
        return "\n\n".join([*parts, LEGEND])

    def as_record(self) -> dict[str, Any]:
        """JSON values."""
        return {"remark": self.remark, "groups": [group.as_record() for group in self.groups]}


def compare(folders: Sequence[Path]) -> Comparison:
    """The finished runs in folders beside each other, in the order given.

    Raises RunError for a folder without a result, DataError for an altered file, OptionError for a
    run that is given twice.
    """
    read = [_read(folder) for folder in folders]
    asked, numbers = [each for each, _ in read], [each for _, each in read]
    kinds = [json.dumps(each, sort_keys=True) for each in asked]
    seen = dict[tuple[str, int], Path]()
    for kind, run in zip(kinds, numbers, strict=True):
        if (kind, run.seed) in seen:
            raise OptionError(
                f"runs that are compared must differ, {seen[kind, run.seed]} and {run.folder} have "
                f"the same settings and seed {run.seed}: leave one of them out"
            )
        seen[kind, run.seed] = run.folder
    names = dict.fromkeys(name for each in asked for name in each)
    apart = tuple(name for name in names if len({json.dumps(each.get(name)) for each in asked}) > 1)
    groups = []
    for kind in dict.fromkeys(kinds):
        its = {name: asked[kinds.index(kind)].get(name) for name in apart}
        runs = (run for other, run in zip(kinds, numbers, strict=True) if other == kind)
        groups.append(Group(its, tuple(runs)))
    return Comparison(apart, tuple(groups))


def _read(folder: Path) -> tuple[dict[str, Any], RunNumbers]:
    """What was asked of a run, but for its seed, and its numbers."""
    run = load_run(folder)
    try:
        settings = {**BEFORE, **run.settings}
        asked = {k: v for k, v in settings.items() if k not in BY_ITSELF}
        asked["data_sha256"] = run.record.get("data_sha256")
        asked |= {name: run.record["versions"][name] for name in ("loss-barcodes", "torch")}
        asked["indices"] = len(run.barcode)
        losses = _losses(run.record["minima"]["loss"])
        seed = as_integer("a seed", run.settings["seed"], -(2**63))
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise DataError(
            f"run.json has the losses, seed and versions of a run, that in {folder} has not "
            f"({type(error).__name__}: {first_line(error)}): take the folder as it was written"
        ) from error
    indices = [
        (run.barcode.w_inf(r), lowest_w_inf(run.barcode, r), run.barcode.error(r))
        for r in range(len(run.barcode))
    ]
    minima = np.array([losses.min(), losses.mean(), losses.max()])
    return asked, RunNumbers(folder, seed, minima, np.array(indices))


def _losses(values: Any) -> Floats:
    """The losses (n,), n >= 1, of a record. Raises ValueError for what is none."""
    if not (isinstance(values, list) and values and all(map(is_number, values))):
        raise ValueError("the losses at minima are numbers, one or more")
    losses = np.array(values, np.float64)
    if not np.isfinite(losses).all():
        raise ValueError("the losses at minima are finite")
    return losses


def _block(
    title: str, columns: Sequence[str], names: list[str], values: Floats, seeds: list[str]
) -> str:
    """A table: a row for each run, and their mean and standard deviation where there are more."""
    rows = list(zip(names, seeds, values, strict=True))
    if len(rows) > 1:
        rows += [("mean", "", values.mean(axis=0)), ("s.d.", "", _deviation(values))]
    width = max(len(title), *(len(name) for name, _, _ in rows))
    lines = [f"{title:{width}}  seed" + "".join(f"{column:>12}" for column in columns)]
    for name, seed, numbers in rows:
        cells = "".join(f"{_cell(number):>12}" for number in numbers.tolist())
        lines.append(f"{name:{width}}  {seed:>4}{cells}")
    return "\n".join(lines)


def _deviation(values: Floats) -> Floats:
    """Standard deviation over runs, divisor n - 1; NaN where it is not finite, or of one run."""
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    finite = np.isfinite(values).all(axis=0)
    return np.where(finite, np.std(np.where(finite, values, 0.0), axis=0, ddof=1), np.nan)


def _cell(number: float) -> str:
    return "-" if number != number else f"{number:.6g}"


def _named(names: Sequence[str], numbers: Floats) -> dict[str, float | None]:
    return {
        name: null_if_infinite(number) for name, number in zip(names, numbers.tolist(), strict=True)
    }


def _over(minima: Floats, indices: Floats) -> dict[str, Any]:
    """Numbers over all runs as JSON values."""
    return {
        "minima": _named(MINIMA, minima),
        "indices": [_named(INDEX, row) for row in indices],
    }


def _value(setting: Any) -> str:
    text = json.dumps(setting)
    return text if len(text) <= LONGEST else f"{text[:9]}..."


def _short(folder: Path) -> str:
    text = str(folder)
    return text if len(text) <= LONGEST else f"...{text[3 - LONGEST :]}"
