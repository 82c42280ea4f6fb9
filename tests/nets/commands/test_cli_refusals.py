"""The command line: every input that it refuses, before it trains or writes anything."""

import errno
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from click.testing import Result

from tests.nets.cli_runner import FILES, QUICK, SMALL, content, invoke, succeed


def forbidden(*_arguments: object, **_options: object) -> NoReturn:
    raise AssertionError("nothing may be trained or built before all settings are checked")


def assert_refused(result: Result, sentence: str) -> None:
    """One sentence on stderr, no traceback, nothing on stdout."""
    assert result.exit_code != 0
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert result.stderr.endswith(f"{errors[0]}\n")
    assert re.search(sentence, errors[0]), errors[0]


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "network_run.train_minima",
        "network_run.build_complex",
        "analytic_run.build_complex",
    ):
        monkeypatch.setattr(f"nets.commands.work.{name}", forbidden)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--data cifar", r"'--data': 'cifar' is not one of 'digits', 'fashion-mnist'"),
        ("--model vgg", r"'--model': 'vgg' is not one of 'mlp', 'lenet', 'resnet'"),
        ("--model resnet --depth 21", r"6 n \+ 2 layers, got depth 21: choose 20 or 26"),
        ("--model resnet --width 0", "width must be a whole number of at least 1, got 0"),
        ("--model resnet --hidden 3", r"hidden widths \(3,\) given for resnet"),
        ("--depth 20", "depth 20 given for mlp; leave out `depth`, or build resnet"),
        ("--no-shortcuts", "shortcuts False given for mlp; leave out"),
        ("--model lenet --depth 20", "depth 20 given for lenet; leave out"),
        ("--model lenet --no-shortcuts", "shortcuts False given for lenet; leave out"),
        ("--model resnet --momentum 0", "Nesterov's momentum must be above 0, got 0"),
        ("--factory a", "named as module:function, got 'a'"),
        ("--factory a:b --model mlp", "--factory makes the network, got --model mlp with"),
        ("--factory a:b --hidden 3", r"got --hidden \(3,\) with --factory a:b"),
        ("--checkpoint a.pt b.pt --minima 2", "got --minima 2 with 2 of them: leave out"),
        ("--checkpoint a.pt b.pt c.pt", "there is no checkpoint a.pt"),
        ("a.pt", r"Got unexpected extra argument \(a.pt\)"),
        ("--image-size 0", "image_size must be a whole number of at least 1, got 0"),
        ("--data cifar-10 --data-dir NOWHERE", "no CIFAR-10 in NOWHERE .*--data-dir"),
        ("--model lenet", r"images of at least 12 x 12 .* 8 x 8.*use mlp"),
        ("--model lenet --hidden 3", r"hidden widths \(3,\) given for lenet"),
        ("--hidden 0", "hidden must be a whole number of at least 1, got 0"),
        ("--hidden 3,x", "'3,x' are no widths of hidden layers"),
        ("--data fashion-mnist --data-dir NOWHERE", "no FashionMNIST in NOWHERE .*--data-dir"),
        ("--data-dir NOWHERE", "folder NOWHERE given for digits.*leave out --data-dir"),
        ("--download", "download given for digits.*leave out"),
        ("--subset 0", "subset of 0 .* from 1 to 1437"),
        ("--subset -3", "subset of -3 .* from 1 to 1437"),
        ("--subset 1438", "subset of 1438 .* from 1 to 1437"),
        ("--subset ten", r"'--subset': 'ten' is not a valid integer"),
        ("--field 4", "field is 4; give 2, 3 or another prime"),
        ("--field 1", "field is 1;"),
        ("--field -2", "field is -2;"),
        ("--max-dim 6", "max_dim=6 with 6 minima: give 7 minima, or a lower max_dim"),
        ("--max-dim 0", "max_dim must be a whole number of at least 1, got 0"),
        ("--minima 0", "max_dim=2 with 0 minima"),
        ("--minima -1", "max_dim=2 with -1 minima"),
        ("--resolution 2", "resolution=2 with max_dim=2: raise resolution"),
        ("--resolution -1", "resolution must be a whole number of at least 1, got -1"),
        ("--seed -1", "seed must be a whole number of at least 0, got -1"),
        ("--learning-rate 0", r"learning_rate must be above 0, got 0\.0: change"),
        ("--learning-rate -1", r"learning_rate must be above 0, got -1"),
        ("--learning-rate nan", "learning_rate must be above 0, got nan"),
        ("--learning-rate inf", "learning_rate must be above 0.*, got inf"),
        ("--epochs -1", "epochs must be a whole number of at least 0, got -1: change epochs"),
        ("--batch-size 0", "batch_size must be a whole number of at least 1, got 0"),
        ("--momentum 1", r"momentum must be at least 0 and below 1, got 1\.0"),
        ("--momentum nan", "momentum must be .* got nan"),
        ("--weight-decay -1", r"weight_decay must be 0 or more, got -1\.0"),
        ("--weight-decay nan", "weight_decay must be 0 or more, got nan"),
        ("--segments 0", "segments must be a whole number of at least 1, got 0"),
        ("--memory 0", "positive, finite number of gigabytes, got 0: change --memory"),
        ("--memory -1", "gigabytes, got -1: change --memory"),
        ("--memory nan", "gigabytes, got nan: change --memory"),
        ("--memory inf", "gigabytes, got inf: change --memory"),
        ("--device quantum", r"device 'quantum' cannot be used .*: take cpu"),
        ("--device meta", r"device 'meta' cannot be used .*: take cpu"),
        ("--sides open", "'--sides': 'open' is not one of 'fixed', 'trainable'"),
        ("--sampled --tolerance 1e-3", r"--tolerance is for refined maxima, got 0\.001 with --s"),
        (
            "--sampled --refinement-budget 9",
            "--refinement-budget is for refined maxima, got 9 with",
        ),
        ("--refinement-budget 0", "refinement_budget must be"),
    ],
)
def test_run_refuses_bad_input_before_any_training(options: str, sentence: str, tmp_path: Path):
    assert_refused(invoke("run", *options.split(), "--out", tmp_path / "out"), sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("untrained")
def test_run_refuses_a_device_that_the_machine_has_not(tmp_path: Path):
    missing = f"cuda:{torch.cuda.device_count()}"
    result = invoke("run", "--device", missing, "--out", tmp_path / "out")
    assert_refused(result, f"device '{missing}' cannot be used .*: take cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("untrained")
def test_run_refuses_a_data_folder_without_files(tmp_path: Path):
    (tmp_path / "here").mkdir()
    options = ("--data", "fashion-mnist", "--data-dir", tmp_path / "here")
    result = invoke("run", *options, "--out", tmp_path / "out")
    assert_refused(result, f"no FashionMNIST in {tmp_path}/here .*apt-get install")
    assert [p.name for p in tmp_path.iterdir()] == ["here"]


def test_run_needs_an_output_folder():
    assert_refused(invoke("run"), "Missing option '--out'")


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("bowl", "'bowl' is not one of 'double-well'"),
        ("himmelblau --dim 3", "its dimension is 2, got 3: leave it out"),
        ("double-well --dim 0", "a dimension of at least 1, got 0: ask for 1"),
        ("double-well --curved 1", "curved = 1 for double-well: leave it at 0"),
        ("simplex-wells --dim 2 --curved 2", r"R\^2 .* got 2"),
        ("simplex-wells --curved -1", "got -1"),
        ("double-well --starts 0", "starts must be a whole number of at least 1, got 0"),
        ("double-well --seed -1", "seed must be a whole number of at least 0, got -1"),
        ("double-well --field 4", "field is 4; give"),
        *(
            (f"double-well --optimizer algorithm1 --{option}", sentence)
            for option, sentence in (
                ("epochs -1", "epochs must be a whole number of at least 0, got -1"),
                ("learning-rate 0", r"learning_rate must be above 0, got 0\.0"),
                ("learning-rate nan", "learning_rate must be above 0, got nan"),
                ("samples 0", "samples must be a whole number of at least 1, got 0"),
                ("steps 3", "--steps belongs to --optimizer elastic, got 3"),
            )
        ),
        *(
            (f"double-well --optimizer minimax --{option}", sentence)
            for option, sentence in (
                ("learning-rate 1", "--learning-rate belongs to --optimizer algorithm1, got 1"),
                ("steps 3", "--steps belongs to --optimizer elastic, got 3"),
                ("samples 3", "--samples belongs to --optimizer algorithm1, got 3"),
                ("segments 1", "segments must be a whole number of at least 2, got 1"),
            )
        ),
        ("double-well --segments 0", "segments must be a whole number of at least 2, got 0"),
        ("double-well --epochs 3", "--epochs belongs to --optimizer algorithm1, got 3"),
        ("double-well --tolerance 0", "tolerance must be a share of the loss's range above 0"),
        (
            "double-well --function-seed 1",
            "only gaussian-mixture, trigonometric, mix.* take a seed",
        ),
        ("double-well --sides open", "'--sides': 'open' is not one of"),
        ("double-well --sampled --tolerance 1e-3", "with --sampled: leave one of them out"),
        ("gaussian-mixture --function-seed -1", "--function-seed must be a whole number of at le"),
    ],
)
def test_analytic_refuses_bad_input_before_any_training(
    options: str, sentence: str, tmp_path: Path
):
    result = invoke("analytic", *options.split(), "--out", tmp_path / "out")
    assert_refused(result, sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--max-dim 0", "max_dim must be a whole number of at least 1, got 0"),
        ("--max-dim 4", "max_dim=4 with 4 minima: give 5 minima, or a lower max_dim"),
        ("--resolution 2", "resolution=2 with max_dim=2: raise resolution"),
        ("--dim 5 --max-dim 5", "control points need .* lower max_dim"),
    ],
)
def test_analytic_refuses_what_does_not_fit_the_minima_found(
    options: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("simplicial.optimizers.algorithm1.Algorithm1.optimise", forbidden)
    result = invoke("analytic", "double-well", *options.split(), "--out", tmp_path / "out")
    assert_refused(result, sentence)
    assert not list(tmp_path.iterdir())


def hold_run(folder: Path) -> Path:
    (folder / "out").mkdir()
    (folder / "out" / "run.json").write_text("{}")
    return folder / "out"


def hold_file(folder: Path) -> Path:
    (folder / "out").mkdir()
    (folder / "out" / ".hidden").write_text("mine")
    return folder / "out"


def be_file(folder: Path) -> Path:
    (folder / "out").write_text("mine")
    return folder / "out"


def be_under_file(folder: Path) -> Path:
    (folder / "file").write_text("mine")
    return folder / "file" / "deep" / "out"


TAKEN: list[tuple[Callable[[Path], Path], str]] = [
    (hold_run, "must be new or empty, .*/out holds another run: choose another folder"),
    (hold_file, "must be new or empty, .*/out holds other files"),
    (be_file, "must be a folder, .*/out is a file: choose another folder"),
    (
        be_under_file,
        "must be one that can be written, .*/file cannot .Not a directory.: choose another",
    ),
]


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("command", [("run",), ("analytic", "himmelblau")])
@pytest.mark.parametrize(("take", "sentence"), TAKEN)
def test_an_output_folder_that_is_taken_is_refused_and_left_alone(
    take: Callable[[Path], Path],
    sentence: str,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)  # and back, whatever `take` does
    out = take(tmp_path)
    before = content(tmp_path)
    assert_refused(invoke(*command, "--out", out), sentence)
    assert content(tmp_path) == before


@pytest.mark.usefixtures("untrained")
def test_a_parent_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):  # root may write anywhere

        def refuse(*_: object) -> NoReturn:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    result = invoke("run", "--out", locked / "a" / "out")
    assert_refused(result, "can be written, .*/locked cannot .Permission denied.: choose another")
    assert not list(locked.iterdir())


@pytest.mark.parametrize("command", [("run", *SMALL), ("analytic", "himmelblau", *QUICK)])
def test_the_working_folder_can_be_filled(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """So can a mount point: nothing but the result's own files is replaced."""
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    succeed(*command, "--out", ".")
    assert set(content(tmp_path)) >= FILES
    assert tmp_path.stat().st_ino == before


def test_training_that_diverges_says_so_and_writes_nothing(tmp_path: Path):
    result = invoke("run", *SMALL, "--learning-rate", 1e30, "--out", tmp_path / "out")
    assert_refused(result, "must be finite .* where the loss is defined, or scale it")
    assert not list(tmp_path.iterdir())


def test_a_failure_while_writing_leaves_nothing_but_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simplicial.reports.result_folder._figures", fail)
    result = invoke("run", *SMALL, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert f"the disk of {tmp_path / 'out'} is full: make room" in result.stderr.splitlines()[-1]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["records"]
    monkeypatch.undo()
    monkeypatch.setattr(
        "simplicial.optimizers.algorithm1.gradient", fail
    )  # nothing is trained again
    succeed("run", *SMALL, "--out", tmp_path / "out")
    assert set(content(tmp_path / "out")) >= FILES
