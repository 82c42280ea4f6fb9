"""What commands must not overwrite, folders that they did not write, and what they say of these."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from matplotlib.figure import Figure

from reduction import TopologyError
from reduction.files import sealed, unsealed
from simplicial.reports.status import RunStatus
from tests.nets.cli_runner import QUICK, SMALL, invoke, succeed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "out"
    succeed("run", *SMALL, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def analytic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analytic") / "out"
    succeed("analytic", "himmelblau", *QUICK, "--out", folder)
    return folder


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("barcodes.json", "an earlier page only"),
        ("run.json", "an earlier page only"),
        ("tree.png", "an earlier page only"),
        ("records/run.settings.json", "an earlier page only"),
        ("records/lock", "an earlier page only"),
        ("records/simplices-1/000000.json", "an earlier page only"),
        ("records/simplices-1/000009.json", r"must be named \\*.html"),
    ],
)
def test_a_page_takes_the_place_of_no_file_of_the_run(out: Path, name: str, told: str) -> None:
    path = out / name
    before = path.read_bytes() if path.exists() else None
    result = invoke("report", out, "--out", path)
    assert result.exit_code == 1
    assert told.replace("\\", "") in result.stderr
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_page_takes_the_place_of_an_earlier_page_and_of_no_link(out: Path) -> None:
    for _ in range(2):
        succeed("report", out)
    page, own = out / "report.html", out.parent / "own.html"
    page.unlink()
    page.symlink_to(own)
    assert "an earlier page only" in invoke("report", out).stderr
    own.write_text("<p>of somebody else", encoding="utf-8")
    assert "an earlier page only" in invoke("report", out, "--out", own).stderr
    assert own.read_text(encoding="utf-8") == "<p>of somebody else"


@pytest.mark.parametrize("command", ["status", "report"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/hostname")])
def test_a_pipe_or_a_link_in_a_run_folder_is_refused_at_once(
    out: Path, command: str, make: Callable[[Path], None]
) -> None:
    path = out / "records" / "simplices-1" / "000000.json"
    path.unlink()
    make(path)
    result = invoke(command, out)
    assert result.exit_code == 1
    assert "is neither: move it away" in result.stderr


def test_a_result_without_records_has_a_status_and_a_page(analytic: Path, whole: Path) -> None:
    said = succeed("status", analytic).stdout
    assert said.startswith(f"{analytic}: finished\n")
    assert re.search(r"minima +4 +4 +-\n", said)
    assert "coefficients Z/2" in said
    succeed("report", analytic)
    page = (analytic / "report.html").read_text(encoding="utf-8")
    assert "It is finished" in page
    assert "himmelblau" in page


def test_a_result_whose_records_are_gone_says_the_same(out: Path) -> None:
    before = RunStatus.read(out)
    shutil.rmtree(out / "records")
    after = RunStatus.read(out)
    counts = [[(d.name, d.total, d.done) for d in each.dimensions] for each in (before, after)]
    assert counts[0] == counts[1]
    for one, other in zip(before.values, after.values, strict=True):
        assert one.tolist() == other.tolist()
    one, other = before.barcode(), after.barcode()
    assert one is not None
    assert other is not None
    assert one.table() == other.table()


def test_the_pace_of_a_copied_folder_is_not_that_of_copying(out: Path) -> None:
    """Copies have new times, which say nothing of the run."""
    begun = out / "records" / "begun"
    later = begun.stat().st_mtime + 3600
    for number, path in enumerate(sorted((out / "records").rglob("*"))):
        os.utime(path, (later + number / 1e3, later + number / 1e3))
    (out / "records" / "simplices-2" / "000000.json").unlink()
    status = RunStatus.read(out)
    assert [dimension.seconds_each for dimension in status.dimensions] == [None] * 3
    assert status.time_left() == "unknown"


@pytest.mark.parametrize(
    ("file", "name"),
    [("run", "minima"), ("run", "max_dim"), ("minima", "n"), ("complex", "values at the minima")],
)
@pytest.mark.parametrize("value", ["x", -1, 10**12, {}])
def test_settings_of_another_type_are_refused_by_a_sentence(
    out: Path, file: str, name: str, value: Any
) -> None:
    path = out / "records" / f"{file}.settings.json"
    settings = unsealed(json.loads(path.read_text(encoding="utf-8")))
    for later in {"run": ["minima", "complex"], "minima": ["complex"], "complex": []}[file]:
        (out / "records" / f"{later}.settings.json").unlink()  # it would tell the same
    for records in (out / "records").glob("simplices-*"):
        shutil.rmtree(records)
    path.write_text(json.dumps(sealed({**settings, name: value})), encoding="utf-8")
    with pytest.raises(TopologyError, match="choose another folder"):
        RunStatus.read(out)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--threads 100000", "--threads must be a whole number from 1 to 1024, got 100000"),
        ("--workers 100000", "--workers must be a whole number from 1 to"),
        ("--hidden 999999999", "free; choose fewer inputs or narrower hidden layers"),
        ("--image-size 100000", "free; choose a smaller image size"),
        ("--model resnet --width 1000000000", "free; choose a smaller depth or width"),
        ("--model resnet --depth 100000000000000000004", "free; choose a smaller depth or width"),
        ("--factory builtins:exit", "'builtins:exit' fails (SystemExit: None)"),
        ("--data builtins:exit", "'builtins:exit' fails (SystemExit: None)"),
        ("--init builtins:exit", "'builtins:exit' fails (SystemExit: None)"),
        ("--weights builtins:exit", "one ended the program (SystemExit"),
    ],
)
def test_advice_fits_what_was_asked(options: str, told: str, tmp_path: Path) -> None:
    asked = options.split()
    if "--weights" in asked:
        asked += ["--loss", "torch.nn.functional:cross_entropy"]
    result = invoke("run", "--subset", 40, "--minima", 3, *asked, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert told in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error: ")]) == 1


def test_a_function_of_too_many_variables_is_refused_before_the_search() -> None:
    assert "free; give a lower --dim" in invoke("analytic", "rastrigin", "--dim", 10**9).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--out", ""),
        ("run", "--out", "x", "--data-dir", ""),
        ("run", "--out", "x", "--checkpoint", ""),
        ("analytic", "himmelblau", "--out", ""),
        ("report", "x", "--out", ""),
        ("status", ""),
    ],
)
def test_an_empty_path_is_refused(arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "a path must not be empty: name a file or folder" in result.stderr


@pytest.mark.parametrize(
    ("command", "kept"), [("run", "again; what is finished is kept\n"), ("analytic", "again\n")]
)
def test_a_disk_that_fills_while_pictures_are_written_is_named(
    command: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Figure, "savefig", full)
    options = SMALL if command == "run" else ["himmelblau", *QUICK]
    result = invoke(command, *options, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert f"the disk of {tmp_path / 'out'} is full: make room and run it {kept}" in result.stderr
