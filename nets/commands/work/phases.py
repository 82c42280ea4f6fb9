"""What a command says on stderr as it works, and its result."""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import click


def phase(name: str, *, quiet: bool) -> None:
    """Name what begins, on stderr."""
    if not quiet:
        click.echo(name, err=True)


def loading(*, quiet: bool) -> None:
    """Say that the heavy libraries are imported."""
    phase("loading PyTorch", quiet=quiet)


def echo_result(compute: Callable[[], dict[str, Any]], *, as_json: bool, quiet: bool) -> None:
    """Compute a result, which prints itself, or with `as_json` is one JSON document on stdout: what
    it prints goes to stderr then, unless `quiet`.
    """
    if not as_json:
        compute()
        return
    with redirect_stdout(StringIO() if quiet else sys.stderr):
        result = compute()
    echo_json(result)


def echo_json(document: dict[str, Any]) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False))
