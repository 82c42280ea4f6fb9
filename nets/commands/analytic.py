"""`loss-barcodes analytic`: its options."""

from typing import Any

import click

from nets.commands.options import GroupedCommand, NamedPath, shared_options
from nets.commands.work.interrupts import interruptible, nothing_kept
from nets.commands.work.phases import echo_result, loading

LANDSCAPES = (
    "double-well",
    "rastrigin",
    "styblinski-tang",
    "levy",
    "ackley",
    "griewank",
    "simplex-wells",
    "xor-network",
    "himmelblau",
    "muller-brown",
    "six-hump-camel",
    "torsions",
    "gaussian-mixture",
    "trigonometric",
    "mixture-likelihood",
)
"""`simplicial.landscapes.NAMES`, which help cannot read there without torch."""

GROUPS = {
    "Function": ("list", "dim", "curved", "function_seed"),
    "Minima and further vertices": ("starts", "saddles", "seed"),
    "Simplices": (
        "max_dim", "optimizer", "sides", "segments", "steps", "epochs", "learning_rate", "samples",
    ),
    "Maxima and barcodes": (
        "resolution", "tolerance", "refinement_budget", "sampled", "certify", "field",
    ),
    "Limits": ("tolerance_of_bars", "max_gradients", "max_seconds"),
    "Output": ("out", "quiet", "as_json"),
}  # fmt: skip


def _list(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the landscapes, and end."""
    if not is_asked or context.resilient_parsing:
        return
    from simplicial.landscapes import descriptions

    for name, line in descriptions().items():
        click.echo(f"{name:20}{line}")
    context.exit()


@click.command(
    cls=GroupedCommand,
    groups=GROUPS,
    short_help="Barcodes of an analytic function, beside the exact ones.",
    epilog="\b\nNAME is one of\n" + "\n".join(f"  {name}" for name in LANDSCAPES),
)
@click.argument("name", type=click.Choice(LANDSCAPES), metavar="NAME")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="List the functions with a line on each, and exit.",
)
@click.option(
    "--dim",
    type=int,
    help="Number of variables; the functions of the plane (himmelblau, muller-brown, "
    "six-hump-camel, torsions) have 2, xor-network 9.  [default: 2, and --curved]",
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
    help="Which of the random functions, gaussian-mixture and trigonometric, or of the data of "
    "mixture-likelihood.  [default: 0]",
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
    help="Learning rate of Algorithm 1.  [default: 0.2 over the minima's largest curvature]",
)
@click.option(
    "--samples", type=int, help="Random points in each step of Algorithm 1.  [default: 16]"
)
@click.option(
    "--segments",
    type=int,
    help="Segments of an edge.  [default: elastic 12, others 8]",
)
@click.option(
    "--certify/--no-certify",
    default=True,
    show_default=True,
    help="Look for critical points at the ends of bars.",
)
@click.option("--out", type=NamedPath(), help="Folder for the result.")
@shared_options
def analytic(as_json: bool, **options: Any) -> None:
    """Find the minima of the function NAME, and compute its barcodes beside the exact ones.

    \b
    loss-barcodes analytic himmelblau
    loss-barcodes analytic double-well --dim 3
    """
    with interruptible(nothing_kept) as loaded:
        loading(quiet=options["quiet"])
        from nets.commands.work.analytic_run import compute
        from nets.commands.work.analytic_settings import AnalyticSettings

        loaded()
        settings = AnalyticSettings(**options)
        echo_result(lambda: compute(settings), as_json=as_json, quiet=settings.quiet)
