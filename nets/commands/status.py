"""`loss-barcodes status`: how far a run has come."""

from pathlib import Path

import click

from nets.commands.options import folder_argument, folder_field
from simplicial.reports.status import Progress


@click.command(short_help="Say how far a run has come, and its barcodes so far.")
@folder_argument
@folder_field
def status(folder: Path, field: int | None) -> None:
    """Say how far the run in FOLDER has come, how long the rest may take, and the barcodes of what
    is finished. The run may go on meanwhile.

    \b
    loss-barcodes status runs/digits
    """
    progress = Progress.read(folder)
    barcode = progress.barcode(field)
    left = "" if progress.state == "finished" else f"; time left: {progress.duration()}"
    click.echo(f"{folder}: {progress.state}{left}\n\n{progress.table()}")
    for simplex, reason in progress.failed.items():
        click.echo(f"missing {simplex}, and all with this face: {reason}")
    if barcode is not None:
        click.echo("\n" + barcode.table())
