"""`loss-barcodes report`: how far a run has come, as a page."""

import sys
from pathlib import Path

import click

from nets.commands.options import NamedPath, folder_argument, folder_field
from nets.commands.work.interrupts import interruptible, nothing_kept
from nets.commands.work.phases import loading


@click.command(short_help="Write the barcodes of a run, so far, as a page of HTML.")
@folder_argument
@folder_field
@click.option(
    "--out",
    type=NamedPath(dir_okay=False),
    help="File of the page.  [default: report.html in FOLDER]",
)
def report(folder: Path, field: int | None, out: Path | None) -> None:
    """Write how far the run in FOLDER has come, with its barcodes and pictures so far, as one
    page of HTML that stands alone. The run may go on meanwhile.

    \b
    loss-barcodes report runs/digits
    """
    with interruptible(nothing_kept) as loaded:
        loading(quiet=not sys.stderr.isatty())
        from simplicial.reports.html import write_page
        from simplicial.reports.status import RunStatus

        loaded()
        path = folder / "report.html" if out is None else out
        write_page(RunStatus.read(folder), path, field)
        click.echo(path)
