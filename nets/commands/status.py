"""`loss-barcodes status` and `loss-barcodes report`: how far a run has come."""

from pathlib import Path

import click

from simplicial.page import write_page
from simplicial.progress import Progress

FOLDER = click.argument("folder", type=click.Path(path_type=Path))
FIELD = click.option("--field", default=2, show_default=True, help="Coefficients Z/p, p prime.")


@click.command(short_help="Say how far a run has come, and its barcodes so far.")
@FOLDER
@FIELD
def status(folder: Path, field: int) -> None:
    """Say how far the run in FOLDER has come, how long the rest may take, and the barcodes of what
    is finished. Changes nothing; the run may go on meanwhile.

    \b
    loss-barcodes status runs/digits
    """
    progress = Progress.read(folder)
    left = "" if progress.state == "finished" else f"; time left: {progress.duration()}"
    click.echo(f"{folder}: {progress.state}{left}\n\n{progress.table()}")
    for simplex, reason in progress.failed.items():
        click.echo(f"missing {simplex}, and all with this face: {reason}")
    if (filtration := progress.filtration()) is not None:
        click.echo("\n" + filtration.barcode(field).table())


@click.command(short_help="Write the barcodes of a run, so far, as a page of HTML.")
@FOLDER
@FIELD
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the page.  [default: report.html in FOLDER]",
)
def report(folder: Path, field: int, out: Path | None) -> None:
    """Write how far the run in FOLDER has come, and the barcodes and pictures of what is finished,
    as one page of HTML that stands alone. The run may go on meanwhile.

    \b
    loss-barcodes report runs/digits
    """
    path = folder / "report.html" if out is None else out
    write_page(Progress.read(folder), path, field)
    click.echo(path)
