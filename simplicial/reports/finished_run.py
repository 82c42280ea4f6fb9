"""The result of a command's run, read again: what was asked, its barcode, and its complex.

Nothing that a folder names is imported or called: files are JSON and a NumPy archive without
pickles, and the loss, which is code and data, is given by the caller.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from reduction import Barcode, DataError
from reduction.files import refusing
from reduction.json_values import as_list, inf_if_null
from reduction.reprs import few
from reduction.validation import as_path
from simplicial.complex import LossComplex
from simplicial.errors import RunError
from simplicial.loss import Loss
from simplicial.reports.convergence import CONVERGENCE, Convergence
from simplicial.reports.status import BARCODES, COMPLEX, RECORDS, RUN

COMMANDS = ("run", "analytic")


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRun:
    """The result of `loss-barcodes run`, or of `analytic --out`.

    folder       of its files
    settings     what was asked, JSON values by name, read-only
    record       all of run.json, read-only: versions, seconds, losses at the minima, ...
    barcode      of the complex
    convergence  at growing efforts; None where they were not compared
    """

    folder: Path
    settings: Mapping[str, Any]
    record: Mapping[str, Any]
    barcode: Barcode
    convergence: Convergence | None

    def __repr__(self) -> str:
        folder, asked = str(self.folder), self.settings
        shown = folder if len(folder) <= 50 else f"...{folder[-47:]}"
        what = (
            asked.get("name") or f"{asked.get('factory') or asked.get('model')} on {asked['data']}"
        )
        counts = few(map(len, self.barcode))
        w_inf = few((self.barcode.w_inf(r) for r in range(len(self.barcode))), ".4g")
        return f"FinishedRun({shown!r}, {str(what)[:50]}, bars={counts}, {w_inf=!s})"

    def complex(self, loss: Loss, device: torch.device | str = "cpu") -> LossComplex:
        """The complex, with the loss that it was built for: `LossComplex.load`, whose errors it
        raises.
        """
        return LossComplex.load(self.folder / COMPLEX, loss, device)


def load_run(folder: str | Path) -> FinishedRun:
    """The finished run in a folder, that which `--out` named.

    Raises RunError for a folder without a result: of a run that is not finished, or of no run;
    DataError for a file that was altered, OptionError for what is no path.
    """
    folder = as_path(folder)
    if not (folder / RUN).is_file():
        if (folder / RECORDS).is_dir():
            raise RunError(
                f"a result is written when a run is finished, that in {folder} is not: give the "
                "same command again, and it goes on"
            )
        raise RunError(
            f"a finished run has a file {RUN}, {folder} has none: name the folder that "
            "`loss-barcodes run --out` was given"
        )
    with refusing(folder / RUN, "record of a run", "loss-barcodes 0.1") as content:
        record = json.loads(content)
        settings, distances = record["settings"], as_list(record["w_inf"])
        if record["command"] not in COMMANDS or not isinstance(settings, dict):
            raise DataError(f"its command is {record['command']!r}")
        distances = [inf_if_null(value) for value in distances]
        _ = settings["name"] if record["command"] == "analytic" else settings["data"]
    for name in (BARCODES, COMPLEX):
        if not (folder / name).is_file():
            raise RunError(
                f"a finished run has a file {name}, {folder} has none: give the same command again"
            )
    barcode = Barcode.load(folder / BARCODES)
    if distances != [barcode.w_inf(r) for r in range(len(barcode))]:
        raise DataError(
            f"{RUN} and {BARCODES} must be of one run, W_inf of {folder} is "
            f"{few(distances, '.6g')} in the one and another in the other: take the folder as it "
            "was written"
        )
    path = folder / CONVERGENCE
    return FinishedRun(
        folder,
        MappingProxyType(settings),
        MappingProxyType(record),
        barcode,
        Convergence.load(path) if path.is_file() else None,
    )
