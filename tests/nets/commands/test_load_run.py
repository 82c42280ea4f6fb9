"""A finished run, read again in Python."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nets import MLP, NetworkLoss, load_digits
from reduction import DataError
from simplicial import RunError, load_run
from simplicial.errors import LossError
from simplicial.landscapes import double_well
from tests.nets.cli_runner import QUICK, SMALL, record_of, succeed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("runs") / "digits"
    succeed("run", *SMALL, "--out", made)
    return made


def test_a_run_has_its_barcode_settings_and_complex(folder: Path) -> None:
    run = load_run(folder)
    assert run.settings["minima"] == 3
    assert run.record["seconds"] == record_of(folder)["seconds"]
    assert [run.barcode.w_inf(r) for r in range(2)] == record_of(folder)["w_inf"]
    assert run.convergence is None
    data = load_digits().subset(40)
    loss = NetworkLoss(MLP(64, (3,)), data.train_inputs, data.train_targets)
    built = run.complex(loss)
    for bars, again in zip(run.barcode, built.barcode(), strict=True):
        assert np.array_equal(bars, again)
    with pytest.raises(LossError):
        run.complex(NetworkLoss(MLP(64, (3,)), data.test_inputs, data.test_targets))
    assert repr(run).startswith("FinishedRun(")
    assert ", mlp on digits, bars=(1, " in repr(run)
    assert len(repr(run)) <= 200
    with pytest.raises(TypeError):
        run.settings["minima"] = 4  # pyright: ignore[reportIndexIssue]


def test_an_analytic_result_is_read_too(tmp_path: Path) -> None:
    succeed("analytic", "double-well", *QUICK, "--out", tmp_path / "out")
    run = load_run(str(tmp_path / "out"))
    assert ", double-well, bars=(4, " in repr(run)
    assert run.complex(double_well(2)).filtration.counts == (4, 6, 4)


def test_what_is_no_finished_run_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has a file run\.json, .* has none: name the folder"):
        load_run(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "run.json").unlink()
    with pytest.raises(RunError, match=r"is not: give the same command again"):
        load_run(copy)
    for text in ("", "[]", '{"command": "rm"}', json.dumps({**record_of(folder), "command": 3})):
        (copy / "run.json").write_text(text)
        with pytest.raises(DataError, match=r"run\.json is no record of a run"):
            load_run(copy)
    (copy / "run.json").write_text(json.dumps({**record_of(folder), "w_inf": [9.0, None]}))
    with pytest.raises(DataError, match="must be of one run"):
        load_run(copy)
    (copy / "run.json").write_text(json.dumps(record_of(folder)))
    load_run(copy)
    (copy / "complex.npz").unlink()
    with pytest.raises(RunError, match=r"has a file complex\.npz, .* has none"):
        load_run(copy)
