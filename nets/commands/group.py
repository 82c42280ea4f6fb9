"""The commands of `loss-barcodes`: barcodes of trained networks, and of functions whose barcode is
known.

Nothing heavy is imported here: help and a wrong option load no torch, and the process is configured
before a command imports it.
"""

import warnings
from typing import Any

import click

from nets.commands.analytic import analytic
from nets.commands.compare import compare
from nets.commands.report import report
from nets.commands.run import run
from nets.commands.status import status
from reduction.errors import TopologyError
from simplicial.configuration import configure_process
from simplicial.errors import LossWarning


class _Commands(click.Group):
    """Shows an error of the input as one sentence, without a traceback, and warnings likewise."""

    def invoke(self, ctx: click.Context) -> Any:
        configure_process()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", LossWarning)
                warnings.showwarning = _warn
                return super().invoke(ctx)
        except TopologyError as error:
            raise click.ClickException(str(error)) from error
        except SystemExit as error:  # click itself ends a command in another way
            raise click.ClickException(
                f"a function of a run must return a value, one ended the program ({error!r}): let "
                "it return, or raise an error"
            ) from error
        except BrokenPipeError:  # of `| head`, which click ends without a word
            raise
        except OSError as error:
            raise click.ClickException(
                f"{error.filename or 'standard output'}: {error.strerror or error}"
            ) from error
        except MemoryError as error:
            raise click.ClickException(
                f"a command must fit into memory, this one does not ({error or 'MemoryError'}): "
                "choose a smaller problem, or fewer --samples"
            ) from error


def _warn(message: Warning | str, category: type[Warning], *where: Any) -> None:
    """Show a warning about simplices as a sentence, and the rest as Python does."""
    if issubclass(category, LossWarning):
        click.echo(f"Warning: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, *where[:2]), err=True, nl=False)


@click.group(
    "loss-barcodes", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="loss-barcodes")
def loss_barcodes() -> None:
    """How far is a loss surface from convex?

    Minima of a loss are joined by optimised edges, triangles and higher simplices; the largest loss
    on each gives a filtration, and its persistence barcodes tell which basins and cycles the
    surface has and how long each lives. W_inf, the distance to a convex function, is 0 for a convex
    one.
    """


for _command in (run, analytic, status, report, compare):
    loss_barcodes.add_command(_command)
