"""`loss-barcodes compare`: results of runs beside each other."""

import sys
from pathlib import Path

import click

from nets.commands.options import NamedPath
from nets.commands.work.interrupts import interruptible, nothing_kept
from nets.commands.work.phases import echo_json, loading


@click.command(short_help="Put the results of runs beside each other, with mean and spread.")
@click.argument("folders", nargs=-1, required=True, type=NamedPath(), metavar="RUN RUN...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compare(folders: tuple[Path, ...], as_json: bool) -> None:
    """Put the results of finished runs beside each other: W_inf of each index with its bounds, and
    the losses at their minima.

    Runs that differ by their seed only have a mean and a standard deviation; others, as those of
    different losses, are shown one group after another, and not averaged.

    \b
    loss-barcodes compare runs/seed-0 runs/seed-1 runs/seed-2
    """
    if len(folders) < 2:
        raise click.UsageError("Runs are compared with others: name two folders or more")
    with interruptible(nothing_kept) as loaded:
        loading(quiet=not sys.stderr.isatty())
        from nets.commands.work.comparison import compare

        loaded()
        found = compare(folders)
        if as_json:
            echo_json(found.as_record())
        else:
            click.echo(found.text())
