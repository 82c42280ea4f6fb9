"""The command line as tests call it, and the content of its folders."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from click.testing import CliRunner, Result

from nets.commands.group import loss_barcodes

PROGRAM = 10**9  # bytes that a command's process takes
PICTURES = {"barcode.png", "diagram.png", "edges.png", "tree.png", "triangle.png"}
FILES = {"barcodes.json", "complex.npz", "run.json"}
DIGITS = ["--subset", "200", "--minima", "4", "--resolution", "4", "--epochs", "2"]
SMALL = ["--subset", "40", "--minima", "3", "--resolution", "3", "--epochs", "1"]
SMALL += ["--hidden", "3", "--quiet"]
QUICK = ["--optimizer", "algorithm1", "--epochs", "3", "--samples", "2", "--segments", "3"]
QUICK += ["--resolution", "4", "--quiet"]


def invoke(*arguments: object) -> Result:
    # beside a command the process of the tests holds what other tests left
    with patch("nets.commands.work.memory_budget.resident", return_value=PROGRAM):
        result = CliRunner().invoke(loss_barcodes, [str(a) for a in arguments])
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def content(folder: Path) -> dict[str, bytes]:
    """All files but the records of finished simplices."""
    files = [p for p in folder.rglob("*") if p.is_file() and "records" not in p.parts]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def assert_same_complex(one: Path, other: Path) -> None:
    assert (one / "barcodes.json").read_bytes() == (other / "barcodes.json").read_bytes()
    with np.load(one / "complex.npz") as a, np.load(other / "complex.npz") as b:
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
