"""Commands that are interrupted in a phase, in a pseudo-terminal each: what is printed, as JSON.

    python -m tests.nets.commands.terminal.interrupted_phases FOLDER

A phase is a function of ours that is not finished in a minute when it is called: then the terminal
sends what Ctrl-C sends. Libraries are loaded once, and each command is a fork of this process.
"""

import json
import os
import pty
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

from click.testing import CliRunner

from nets.cli import main
from nets.commands.group import loss_barcodes
from tests.nets.cli_runner import QUICK, SMALL

REACHED = "the phase is reached"
RUN = ["run", *SMALL, "--threads", "1", "--out"]
FUNCTION = ["analytic", "double-well", *QUICK]
FINISHED = "finished"  # a folder with the result of a run
PHASES = {
    "reading the data": ("nets.commands.work.run_data.RunData.read", [*RUN, "new"]),
    "plan": ("nets.commands.work.network_run.plan", [*RUN, "new", "--dry-run"]),
    "preparing": ("nets.commands.work.network_run.memory_budget", [*RUN, "new"]),
    "convergence": (
        "nets.commands.work.network_run.convergence",
        [*RUN, FINISHED, "--effort", "1,2"],
    ),
    "pictures": ("simplicial.reports.result_folder.plot_barcode", [*RUN, FINISHED]),
    "status": ("simplicial.reports.status.RunStatus.table", ["status", FINISHED]),
    "report": ("simplicial.reports.html.plot_barcode", ["report", FINISHED]),
    "refined maxima": ("simplicial.construction.finishing.refined_maxima", FUNCTION),
    "certification": ("simplicial.construction.certification.certify", FUNCTION),
    "analytic, minima": ("nets.commands.work.analytic_run.find_minima", ["analytic", "himmelblau"]),
    "analytic, pictures": (
        "simplicial.reports.result_folder.plot_barcode",
        [*FUNCTION, "--out", "functions"],
    ),
}


def interrupted(run: Callable[[], object], arguments: list[str]) -> tuple[int, str]:
    """Exit status, and what is printed behind the interrupt, of a process with these arguments."""
    process, terminal = pty.fork()
    if not process:
        _in_child(run, arguments)
    printed, sent = b"", None
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # its end, on Linux
            break
        if not part:
            break
        printed += part
        if sent is None and REACHED.encode() in printed:
            os.write(terminal, b"\x03")
            sent = printed.index(REACHED.encode()) + len(REACHED)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    text = printed[sent:].decode().replace("\r\n", "\n").removeprefix("\n").removeprefix("^C")
    return os.waitstatus_to_exitcode(status), text


def _in_child(run: Callable[[], object], arguments: list[str]) -> NoReturn:
    """Run, and end this process, as Python does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # perhaps ignored here
    sys.argv[1:] = arguments
    status: object = 70
    try:
        run()
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status if isinstance(status, int) else 0)


def stop(*_arguments: object, **_options: object) -> None:
    """What a phase is here."""
    os.write(2, f"{REACHED}\n".encode())
    time.sleep(60)


def in_phase(function: str) -> None:
    """The command with the arguments of this process, which stops in a function."""
    with patch(function, stop):
        main()


def results(folder: Path) -> dict[str, tuple[int, str]]:
    """Of each phase; the folder is the working directory."""
    os.chdir(folder)
    for work in ("analytic_run", "network_run"):
        import_module(f"nets.commands.work.{work}")
    with patch("simplicial.reports.result_folder._figures", return_value={}):
        CliRunner().invoke(loss_barcodes, [*RUN, FINISHED])
    return {
        name: interrupted(lambda function=function: in_phase(function), arguments)
        for name, (function, arguments) in PHASES.items()
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(results(Path(sys.argv[1]))))
