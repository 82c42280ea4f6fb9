"""Phases of a command on stderr, and the sentence with which an interrupted one ends."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, NoReturn

import click

INTERRUPTED = 130  # exit status, 128 + SIGINT


def asked() -> str:
    """The command as a shell takes it."""
    words = ["loss-barcodes", *sys.argv[1:]]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def kept_in(folder: Path) -> str:
    """Message of an interrupted run with this output folder."""
    if (folder / "records").is_dir():
        return f"stopped: what is finished is kept in {folder}; go on by: {asked()}"
    return f"stopped: nothing was finished, so nothing is kept; begin again by: {asked()}"


def nothing_kept() -> str:
    """Message of an interrupted command that keeps nothing."""
    return f"stopped: nothing is kept; begin again by: {asked()}"


def phase(name: str, *, quiet: bool) -> None:
    """Name what begins, on stderr."""
    if not quiet:
        click.echo(name, err=True)


@contextmanager
def interruptible(sentence: Callable[[], str], *, quiet: bool) -> Generator[Callable[[], None]]:
    """End the command by a sentence and exit status 130 where it is interrupted in this block.

    It gives a function to be called when the heavy libraries are imported: before, where an
    exception would pass through the code of theirs, the process ends at once. `quiet` leaves out
    the line that says that they are imported, on stderr.
    """

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        os.write(2, f"\n{sentence()}\n".encode())
        os._exit(INTERRUPTED)

    before = signal.getsignal(signal.SIGINT)
    catches = current_thread() is main_thread() and before is signal.default_int_handler
    if catches:  # an interrupt that is ignored, as of a command behind &, stays so
        signal.signal(signal.SIGINT, end)

    def loaded() -> None:
        if catches:
            signal.signal(signal.SIGINT, before)

    try:
        phase("loading PyTorch", quiet=quiet)
        yield loaded
    except KeyboardInterrupt:
        click.echo(f"\n{sentence()}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        loaded()


def echo_result(compute: Callable[[], dict[str, Any]], *, as_json: bool, quiet: bool) -> None:
    """Compute a result, which prints itself, or with `as_json` is one JSON document on stdout: what
    it prints goes to stderr then, unless `quiet`.
    """
    if not as_json:
        compute()
        return
    with redirect_stdout(StringIO() if quiet else sys.stderr):
        result = compute()
    click.echo(json.dumps(result, indent=2, ensure_ascii=True, allow_nan=False))


@contextmanager
def without_interrupts() -> Generator[None]:
    """Ignore interrupts in this block, as do processes that are begun in it."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
