"""`loss-barcodes status`: how far a run has come."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nets.commands.options import folder_argument, folder_field
from nets.commands.work.interrupts import interruptible, nothing_kept
from nets.commands.work.phases import echo_json, loading

if TYPE_CHECKING:
    from simplicial.reports.status import RunStatus


@click.command(short_help="Say how far a run has come, and its barcodes so far.")
@folder_argument
@folder_field
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(folder: Path, field: int | None, as_json: bool) -> None:
    """Say how far the run in FOLDER has come, how long the rest may take, and its barcodes so far.
    The run may go on meanwhile.

    \b
    loss-barcodes status runs/digits
    """
    with interruptible(nothing_kept) as loaded:
        loading(quiet=not sys.stderr.isatty())
        from nets.commands.work.status_record import status_record
        from simplicial.reports.status import RunStatus

        loaded()
        run = RunStatus.read(folder)
        if as_json:
            echo_json(status_record(folder, run, field))
        else:
            _print(folder, run, field)


def _print(folder: Path, run: "RunStatus", field: int | None) -> None:
    barcode = run.barcode(field)
    left = "" if run.state == "finished" else f"; time left: {run.time_left()}"
    click.echo(f"{folder}: {run.state}{left}\n\n{run.table()}")
    if (work := run.work(None if barcode is None else barcode.field)) is not None:
        click.echo(work)
    for simplex, reason in run.failed.items():
        click.echo(f"missing {simplex}, and all with this face: {reason}")
    for simplex in run.worsened:
        kept = "keeps its start" if len(simplex) > 1 else "is no minimum"
        click.echo(f"worse after training {simplex}: it {kept}")
    if run.exhausted:
        click.echo(
            f"the budget ended the refined maxima of {len(run.exhausted)} simplices, which may be "
            f"too low by {max(run.exhausted.values()):.3g} at most"
        )
    if barcode is not None:
        click.echo("\n" + barcode.table())
    if run.checks.remark is not None:
        click.echo(f"\n{run.checks.remark}")
    if run.convergence is not None:
        click.echo(f"\nconvergence, {run.convergence.table()}")
