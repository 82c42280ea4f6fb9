"""Ctrl-C at any moment of a command: one sentence on stderr, and exit status 130.

This file is imported before all others of a command, so it imports nothing heavy.
"""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130  # exit status, 128 + SIGINT


def asked() -> str:
    """The command as a shell takes it."""
    words = ["loss-barcodes", *sys.argv[1:]]
    if sys.platform == "win32":
        from subprocess import list2cmdline

        return list2cmdline(words)
    from shlex import join

    return join(words)


def kept_in(folder: Path) -> str:
    """Message of an interrupted run with this output folder."""
    if (folder / "records").is_dir():
        return f"stopped: what is finished is kept in {folder}; go on by: {asked()}"
    return f"stopped: nothing was finished, so nothing is kept; begin again by: {asked()}"


def nothing_kept() -> str:
    """Message of an interrupted command that keeps nothing."""
    return f"stopped: nothing is kept; begin again by: {asked()}"


def catch_at_once() -> None:
    """Let an interrupt end the process by a sentence, from here on.

    One that is ignored, as that of a command behind &, stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_early)


def ignore_the_late() -> None:
    """Ignore interrupts of a command that is done, while Python ends, where they were caught."""
    if signal.getsignal(signal.SIGINT) is _end_early:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def interruptible(sentence: Callable[[], str]) -> Generator[Callable[[], None]]:
    """End the command by a sentence and exit status 130 where it is interrupted in this block.

    It gives a function to be called when the heavy libraries are imported: before, where an
    exception would pass through the code of theirs, the process ends at once. Behind it an
    interrupt is a KeyboardInterrupt, and a second one, while what is open is closed or where the
    exception was lost, as in a destructor, ends at once.
    """

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        _end(sentence())

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, end)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    catches = _is_main_thread() and before in (signal.default_int_handler, _end_early)

    def loaded() -> None:
        if catches:
            signal.signal(signal.SIGINT, stop)

    if catches:
        signal.signal(signal.SIGINT, end)
    try:
        yield loaded
    except KeyboardInterrupt:
        if catches:  # the sentence is said once
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        from click import echo
        from click.exceptions import Exit

        echo(f"\n{sentence()}", err=True)
        raise Exit(INTERRUPTED) from None
    finally:
        if catches:
            signal.signal(signal.SIGINT, before)


@contextmanager
def without_interrupts() -> Generator[None]:
    """Ignore interrupts in this block, as do processes that are begun in it."""
    if not _is_main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _is_main_thread() -> bool:
    """Whether this thread may say how signals are handled."""
    from threading import current_thread, main_thread

    return current_thread() is main_thread()


def _end(sentence: str) -> NoReturn:
    """End the process at once, whatever it is doing."""
    os.write(2, f"\n{sentence}\n".encode())
    os._exit(INTERRUPTED)


def _end_early(_signal: int, _frame: FrameType | None) -> NoReturn:
    """The interrupt of a command that has not begun."""
    _end(nothing_kept())
