"""`loss-barcodes analytic`: barcodes of functions, beside the exact ones."""

import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from nets.commands.options import shared_options, write
from nets.commands.settings import AnalyticSettings, record
from reduction import Barcode, bottleneck
from reduction.barcodes.bars import as_text
from simplicial import build_complex, find_minima, with_saddles
from simplicial.errors import SearchError
from simplicial.landscapes import NAMES as LANDSCAPES
from simplicial.landscapes import Landscape, by_name


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
    type=click.Choice(["elastic", "algorithm1"]),
    default="elastic",
    show_default=True,
    help="Nudged elastic simplices, or the paper's.",
)
@click.option("--epochs", type=int, help="Steps of Algorithm 1.  [default: 2000]")
@click.option(
    "--learning-rate",
    type=float,
    help="Of Algorithm 1.  [default: 0.2 over the minima's largest curvature]",
)
@click.option(
    "--samples", type=int, help="Random points in each step of Algorithm 1.  [default: 16]"
)
@click.option("--segments", type=int, help="To an edge.  [default: elastic 12, algorithm1 8]")
@click.option(
    "--resolution",
    default=12,
    show_default=True,
    help="Steps along an edge of the lattice on which maxima are sought first.",
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
    began = time.perf_counter()
    settings = AnalyticSettings(**options)
    settings.check()
    landscape = by_name(settings.name, settings.dim, settings.curved, seed=settings.function_seed)
    minima = find_minima(landscape, starts=settings.starts, seed=settings.seed)
    vertices = with_saddles(minima, seed=settings.seed) if settings.saddles else minima
    if len(vertices) < 2:
        raise SearchError(
            f"a complex needs two vertices or more, the search found one minimum from "
            f"{minima.search}: raise --starts"
        )
    max_dim = settings.top(landscape.dim, len(vertices))
    recipe = settings.recipe(landscape, vertices.points)
    loss_complex = build_complex(vertices, max_dim, **settings.build(recipe))
    barcode = loss_complex.barcode(settings.field)
    click.echo(
        f"{landscape.name} in {landscape.dim} variables: {len(minima)} minima from {minima.search}"
    )
    if settings.saddles:
        click.echo(f"{len(vertices) - len(minima)} saddles as further vertices")
    click.echo(f"{loss_complex.evaluations} evaluations of the loss to find the maxima")
    click.echo("\n" + barcode.table())
    click.echo("\n" + _beside_exact(landscape, barcode))
    if settings.out is not None:
        seconds = time.perf_counter() - began
        written = record(settings, recipe, barcode, seconds)
        write(
            settings.out, loss_complex, barcode, written, goes_on=False, progress=not settings.quiet
        )


def _beside_exact(landscape: Landscape, barcode: Barcode) -> str:
    """Index by index the exact bars, and how far the computed ones are from them."""
    if landscape.exact_bars is None:
        return f"no formula for the exact barcode of {landscape.name} is known"
    exact = [*landscape.exact_bars, *[np.empty((0, 2))] * len(barcode)][: len(barcode)]
    ends = np.concatenate([np.zeros((0, 2)), *exact])
    ends = ends[np.isfinite(ends)]
    scale, spread = float(np.abs(ends).max(initial=0.0)), float(np.ptp(ends)) if ends.size else 0.0
    lines = ["index   bars  exact  error (bottleneck distance)  share of range"]
    for r, bars in enumerate(barcode):
        error = bottleneck(bars, exact[r])
        share = f"{error / spread:.3g}" if spread else "-"
        lines.append(f"{r:5} {len(bars):6} {len(exact[r]):6}  {error:<27.6g}  {share}")
    for r, bars in enumerate(exact):
        lines += ["", f"exact index {r}" + ("" if len(bars) else ": no bars")]
        rows = [[as_text(x, scale) for x in (b, d, d - b)] for b, d in bars.tolist()]
        lines += ["{:>11} {:>11} {:>11}".format(*row) for row in rows]
    return "\n".join(lines)
