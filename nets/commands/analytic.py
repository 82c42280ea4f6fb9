"""`loss-barcodes analytic`: its options."""

from pathlib import Path
from typing import Any

import click

from nets.commands.options import shared_options

LANDSCAPES = (
    "double-well",
    "simplex-wells",
    "himmelblau",
    "muller-brown",
    "six-hump-camel",
    "gaussian-mixture",
    "trigonometric",
)
"""`simplicial.landscapes.NAMES`, which help cannot read there without torch."""


@click.command(
    short_help="Barcodes of an analytic function, beside the exact ones.",
    epilog="\b\nNAME is one of\n" + "\n".join(f"  {name}" for name in LANDSCAPES),
)
@click.argument("name", type=click.Choice(LANDSCAPES), metavar="NAME")
@click.option(
    "--dim",
    type=int,
    help="Number of variables of double-well, simplex-wells, gaussian-mixture and trigonometric; "
    "the other functions have 2.  [default: 2, and --curved]",
)
@click.option("--curved", default=0, show_default=True, help="Curved directions of simplex-wells.")
@click.option(
    "--max-dim",
    type=int,
    help="Top simplex dimension.  [default: variables, at most 3, if the vertices allow]",
)
@click.option(
    "--starts",
    type=int,
    help="Random starts of the search for minima.  [default: 100 for each variable]",
)
@click.option(
    "--function-seed",
    type=int,
    help="Which of the random functions, gaussian-mixture and trigonometric.  [default: 0]",
)
@click.option("--saddles", is_flag=True, help="Take saddles as further vertices.")
@click.option(
    "--optimizer",
    type=click.Choice(["elastic", "algorithm1", "minimax"]),
    default="elastic",
    show_default=True,
    help="Nudged elastic simplices, the paper's, or stochastic minimax.",
)
@click.option(
    "--epochs", type=int, help="Steps of Algorithm 1, gradients of minimax.  [default: 2000]"
)
@click.option(
    "--learning-rate",
    type=float,
    help="Of Algorithm 1.  [default: 0.2 over the minima's largest curvature]",
)
@click.option(
    "--samples", type=int, help="Random points in each step of Algorithm 1.  [default: 16]"
)
@click.option(
    "--segments", type=int, help="To an edge.  [default: elastic 12, algorithm1 and minimax 8]"
)
@click.option(
    "--certify/--no-certify",
    default=True,
    show_default=True,
    help="Look for critical points at the ends of bars.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the result.")
@shared_options
def analytic(**options: Any) -> None:
    """Find the minima of the function NAME, and compute its barcodes beside the exact ones.

    \b
    loss-barcodes analytic himmelblau
    loss-barcodes analytic double-well --dim 3
    """
    from nets.commands.analytic_run import compute
    from nets.commands.analytic_settings import AnalyticSettings

    compute(AnalyticSettings(**options))
