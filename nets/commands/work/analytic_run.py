"""The work of `loss-barcodes analytic`: barcodes of functions, beside the exact ones."""

import time
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from nets.commands.work.analytic_settings import AnalyticSettings
from nets.commands.work.phases import phase
from nets.commands.work.result import echo_refinement, record, write
from reduction import Barcode, OptionError, bottleneck
from reduction.barcodes.bars import as_text
from reduction.json_values import null_if_infinite
from simplicial import build_complex, find_minima, periodic_images, with_saddles
from simplicial.landscapes import Landscape, by_name
from simplicial.loss import PeriodicLoss


def compute(settings: AnalyticSettings) -> dict[str, Any]:
    """Find minima, print the barcodes beside the exact ones, write them to a folder where asked.

    returns  the record of the result, JSON values
    """
    began = time.perf_counter()
    settings.check()
    landscape = by_name(settings.name, settings.dim, settings.curved, seed=settings.function_seed)
    if isinstance(landscape, PeriodicLoss) and settings.out is not None:
        raise OptionError(
            f"a folder shows every vertex as a minimum, of {landscape.name} some are images of "
            "others: leave out --out"
        )
    phase("searching minima", quiet=settings.quiet)
    minima = find_minima(landscape, starts=settings.starts, seed=settings.seed)
    vertices = with_saddles(minima, seed=settings.seed) if settings.saddles else minima
    images = periodic_images(vertices) if isinstance(landscape, PeriodicLoss) else None
    points, graph = (vertices, None) if images is None else (images.minima, images.graph)
    max_dim = settings.top_dimension(landscape.dim, len(points))
    recipe = settings.recipe(landscape, vertices.points)
    phase("edges, triangles and higher simplices", quiet=settings.quiet)
    loss_complex = build_complex(points, max_dim, graph=graph, **settings.build(recipe))
    if images is None:
        barcode = loss_complex.barcode(settings.field)
    else:
        barcode = images.filtration(loss_complex).barcode(settings.field)
    click.echo(
        f"{landscape.name} in {landscape.dim} variables: {len(minima)} minima from {minima.search}"
    )
    if settings.saddles:
        click.echo(f"{len(vertices) - len(minima)} saddles as further vertices")
    if images is not None:
        click.echo(f"{len(points) - len(vertices)} images by periods, each one with its minimum")
    click.echo(f"{loss_complex.evaluations} evaluations of the loss to find the maxima")
    click.echo("\n" + barcode.table())
    echo_refinement(loss_complex)
    click.echo("\n" + _beside_exact(landscape, barcode))
    written = record(settings, recipe, barcode, time.perf_counter() - began)
    written |= {
        "landscape": landscape.name,
        "variables": landscape.dim,
        "minima": {"loss": minima.values.tolist(), "search": str(minima.search)},
        "saddles": len(vertices) - len(minima),
        "evaluations": loss_complex.evaluations,
        "exact": None
        if landscape.exact_bars is None
        else [
            {"bars": len(bars), "error": null_if_infinite(bottleneck(own, bars))}
            for own, bars in zip(barcode, _exact(landscape, barcode), strict=True)
        ],
    }
    if settings.out is None:
        return written
    return write(
        settings.out, loss_complex, barcode, written, goes_on=False, progress=not settings.quiet
    )


def _exact(landscape: Landscape, barcode: Barcode) -> list[NDArray[np.float64]]:
    """The exact bars of each index of a computed barcode."""
    return [*(landscape.exact_bars or ()), *[np.empty((0, 2))] * len(barcode)][: len(barcode)]


def _beside_exact(landscape: Landscape, barcode: Barcode) -> str:
    """Index by index the exact bars, and how far the computed ones are from them."""
    if landscape.exact_bars is None:
        return f"no formula for the exact barcode of {landscape.name} is known"
    exact = _exact(landscape, barcode)
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
