"""A command loads torch when it works, and leaves the process as it was."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest
import torch

from nets.commands.analytic import LANDSCAPES
from nets.commands.group import loss_barcodes
from nets.commands.options import GroupedCommand
from simplicial.landscapes import NAMES
from tests.nets.cli_runner import SMALL, invoke, succeed

LIGHT = """
import os, sys
from nets.commands.group import loss_barcodes

for arguments in (
    ["--help"], ["--version"], ["--wrong"], ["wrong"], ["run", "--help"], ["run", "--wrong"],
    ["run"], ["run", "--data", "none"], ["analytic", "--help"], ["analytic", "--wrong"],
    ["analytic", "bowl"], ["status", "--help"], ["status", "--wrong"], ["report", "-h"],
):
    try:
        loss_barcodes(arguments)
    except SystemExit:
        pass
    loaded = {"torch", "numpy", "numba", "scipy", "matplotlib"} & set(sys.modules)
    assert not loaded, (arguments, loaded)
    print(arguments[0], file=sys.stderr)
assert os.environ["MKL_CBWR"] == "AUTO"
"""


def test_help_and_refused_options_load_neither_torch_nor_numpy() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for sentence in ("No such option", "No such command 'wrong'", "'bowl' is not one of"):
        assert sentence in done.stderr
    assert all(f"  {name}\n" in done.stdout for name in LANDSCAPES)


def test_the_landscapes_of_the_command_are_all_that_there_are() -> None:
    assert LANDSCAPES == NAMES


@pytest.mark.usefixtures("no_pictures")
def test_a_command_leaves_threads_paths_and_warnings_as_they_were(tmp_path: Path) -> None:
    def state() -> tuple[object, ...]:
        process = torch.get_num_threads(), list(sys.path), Path.cwd()
        return *process, warnings.showwarning, list(warnings.filters)

    before = state()
    succeed("run", *SMALL, "--threads", torch.get_num_threads() + 1, "--out", tmp_path / "out")
    assert state() == before
    assert invoke("run", "--factory", "nothing:make", "--out", tmp_path / "own").exit_code == 1
    assert state() == before


def test_the_list_of_landscapes_has_a_line_for_each() -> None:
    lines = succeed("analytic", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(LANDSCAPES)
    assert all(len(line) > 40 for line in lines)


@pytest.mark.parametrize("name", ["run", "analytic"])
def test_help_has_each_option_in_one_group_and_fits_a_terminal(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = loss_barcodes.commands[name]
    assert isinstance(command, GroupedCommand)
    listed = [option for group in command.groups.values() for option in group]
    options = [p.name for p in command.params if isinstance(p, click.Option)]
    assert sorted(listed) == sorted(map(str, options))
    monkeypatch.setenv("COLUMNS", "80")
    lines = succeed(name, "--help").stdout.splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == [f"{title}:" for title in command.groups]
    assert max(map(len, lines)) <= 80
    (help_line,) = (line for line in lines if "-h, --help" in line)
    assert lines.index(help_line) > lines.index(titles[-1])
