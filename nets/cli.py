"""The command `loss-barcodes`: barcodes of trained networks, and of functions whose barcode is
known."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from numpy.typing import ArrayLike

from nets import data as data_sets
from nets import models
from nets.checkpoints import make_model, read_checkpoint
from nets.execution import PRECISIONS
from nets.loss import NetworkLoss
from nets.settings import AnalyticSettings, NetworkSettings, record
from nets.symmetry import align
from nets.train import train_minima
from reduction import Barcode, TopologyError, bottleneck, w_inf
from reduction.bars import as_text
from simplicial import LossComplex, Minima, build_complex, find_minima, with_saddles
from simplicial.errors import SearchError
from simplicial.landscapes import NAMES as LANDSCAPES
from simplicial.landscapes import Landscape, by_name
from simplicial.loss import evaluate
from simplicial.report import write_report

Command = TypeVar("Command", bound=Callable[..., None])


class _Refusing(click.Group):
    """Shows what is wrong with the input as one sentence, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TopologyError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(
                f"{error.filename or 'a file'}: {error.strerror or error}"
            ) from error


@click.group(cls=_Refusing, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loss-barcodes")
def main() -> None:
    """How far is a loss surface from convex?

    Minima of a loss are joined by optimised edges, triangles and higher simplices; the largest loss
    on each gives a filtration, and its persistence barcodes tell which basins and cycles the
    surface has and how long each lives. W_inf, the distance to a convex function, is 0 for a convex
    one.
    """


def _widths(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """Widths of hidden layers: None if not given, () for "none"."""
    if text is None:
        return None
    try:
        return () if text == "none" else tuple(int(width) for width in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} are no widths of hidden layers: give whole numbers, as 64,32, or none"
        ) from None


def _shared(command: Command) -> Command:
    """Options of both commands."""
    for option in (
        click.option("--seed", default=0, show_default=True, help="Same seed, same result."),
        click.option("--field", default=2, show_default=True, help="Coefficients Z/p, p prime."),
        click.option(
            "--sides",
            type=click.Choice(["fixed", "trainable"]),
            default="fixed",
            show_default=True,
            help="Algorithm 1: whether a triangle trains its sides too (Figure 1).",
        ),
        click.option(
            "--steps",
            type=int,
            help="Most steps of each relaxation of the elastic optimizer.  [default: 200]",
        ),
        click.option(
            "--tolerance",
            type=float,
            help="How far below the true one a maximum may be, as a share of the loss's range."
            "  [default: 1e-7]",
        ),
        click.option(
            "--sampled",
            is_flag=True,
            help="Maxima by Algorithm 2 as printed: the lattice only, so without --tolerance.",
        ),
        click.option("--quiet", is_flag=True, help="No progress bars."),
    ):
        command = option(command)
    return command


@main.command(short_help="Train networks, and compute the barcodes of their loss.")
@click.option(
    "--data",
    type=click.Choice(data_sets.NAMES),
    default="digits",
    show_default=True,
    help="Images.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of FashionMNIST's or CIFAR-10's files.",
)
@click.option("--download", is_flag=True, help="Download FashionMNIST or CIFAR-10 first.")
@click.option("--subset", type=int, help="Only the first N training images.")
@click.option("--image-size", type=int, help="Images resized to N x N pixels.")
@click.option(
    "--model",
    type=click.Choice(models.NAMES),
    help="Network; lenet takes images of 12 x 12 pixels or more, so not the digits."
    "  [default: mlp]",
)
@click.option(
    "--hidden",
    callback=_widths,
    help="Widths of mlp's hidden layers, as 64,32; none: softmax regression.  [default: 32]",
)
@click.option("--depth", type=int, help="Layers of resnet, 6 n + 2.  [default: 20]")
@click.option("--width", type=int, help="Times 16, 32 and 64 filters of resnet.  [default: 1]")
@click.option(
    "--shortcuts/--no-shortcuts",
    default=None,
    help="resnet as it is, or NS, without them.  [default: with]",
)
@click.option(
    "--factory", help="Your own network: module:function, which returns an untrained nn.Module."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Files of networks that are trained already: the minima.",
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="")
@click.option("--minima", type=int, help="Networks to train.  [default: 6]")
@click.option(
    "--align", is_flag=True, help="Permute their hidden units, so that they come near the first."
)
@click.option(
    "--max-dim", default=2, show_default=True, help="2: edges and triangles; 3: and so on."
)
@click.option(
    "--epochs", type=int, help="For each minimum, edge, triangle.  [default: the recipe's]"
)
@click.option("--batch-size", type=int, help="Images in a mini-batch.  [default: the recipe's]")
@click.option("--learning-rate", type=float, help="Of SGD.  [default: the recipe's]")
@click.option("--momentum", type=float, help="Of SGD.  [default: the recipe's]")
@click.option("--weight-decay", type=float, help="Of the training loss.  [default: the recipe's]")
@click.option(
    "--optimizer",
    type=click.Choice(["algorithm1", "elastic"]),
    default="algorithm1",
    show_default=True,
    help="The paper's, or nudged elastic simplices on the exact loss.",
)
@click.option(
    "--segments",
    type=int,
    help="Edgewise map with so many segments.  [default: the paper's map; elastic: 12]",
)
@click.option(
    "--resolution",
    default=12,
    show_default=True,
    help="Steps along an edge of the lattice on which maxima are sought first.",
)
@click.option("--certify", is_flag=True, help="Look for critical points at the ends of bars.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="full",
    show_default=True,
    help="Training's arithmetic; evaluation is always in full.",
)
@click.option("--memory", default=2.0, show_default=True, help="Gigabytes for a batch of networks.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the result."
)
@_shared
def run(**options: Any) -> None:
    """Train networks, join them by edges and triangles, and compute the barcodes of their loss.

    The recipe of mlp is for the digits, that of lenet is the paper's, that of resnet Li et al.'s
    (300 epochs). Writes barcodes, complex,
    pictures and a record of every setting to the folder --out.

    \b
    loss-barcodes run --data digits --model mlp --minima 6 --max-dim 2 --out runs/digits
    loss-barcodes run --data fashion-mnist --model lenet --minima 3 --out runs/lenet
    loss-barcodes run --checkpoint a.pt b.pt c.pt --factory my_module:make_model --out runs/own

    With --epochs 0 nothing is trained between the minima: the plane through any three networks.
    """
    began = time.perf_counter()
    settings = NetworkSettings(checkpoints=_checkpoints(options), **options)
    settings.check()
    recipe, build = settings.recipe, settings.build
    images = data_sets.load(settings.data, settings.data_dir, settings.download)
    if settings.subset is not None:
        images = images.subset(settings.subset)
    if settings.image_size is not None:
        images = images.resized(settings.image_size)
    states = [read_checkpoint(path) for path in settings.checkpoints]
    if settings.factory is not None:
        model = make_model(settings.factory)
    else:
        model = models.build(
            settings.network,
            images.shape,
            images.classes,
            hidden=settings.hidden,
            depth=settings.depth,
            width=settings.width,
            shortcuts=settings.shortcuts,
        )
    loss, test = (
        NetworkLoss(model, inputs, targets, device=settings.device, precision=settings.precision)
        for inputs, targets in (
            (images.train_inputs, images.train_targets),
            (images.test_inputs, images.test_targets),
        )
    )
    if states:
        minima = Minima.from_state_dicts(states, loss)
        if settings.align:
            minima = align(minima, seed=settings.seed, memory=settings.bytes)
    else:
        minima = train_minima(
            loss,
            settings.count,
            recipe=recipe,
            align=settings.align,
            seed=settings.seed,
            memory=settings.bytes,
            progress=not settings.quiet,
        )
    loss_complex = build_complex(minima, settings.max_dim, memory=settings.bytes, **build)
    barcode = loss_complex.barcode(settings.field)
    click.echo(f"{len(minima)} minima of {settings.network} on {len(images.train_targets)} images")
    rows = {"loss": minima.values, "accuracy": minima.accuracy}
    rows["test accuracy"] = evaluate(test, minima.points, settings.bytes).accuracy
    for name, values in rows.items():
        click.echo(f"{name:14} {_span(values)}")
    click.echo("\n" + barcode.table())
    if loss_complex.max_dim >= 2:
        click.echo("\n" + _triplets(loss_complex))
    written = record(settings, recipe, barcode, time.perf_counter() - began)
    written |= {"data_sha256": images.digest, "loss": repr(loss)}
    _write(settings.out, loss_complex, barcode, written, not settings.quiet)


@main.command(short_help="Barcodes of an analytic function, beside the exact ones.")
@click.argument("name", type=click.Choice(LANDSCAPES))
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
@_shared
def analytic(**options: Any) -> None:
    """Find the minima of an analytic function, and compute its barcodes beside the exact ones.

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
        _write(settings.out, loss_complex, barcode, written, not settings.quiet)


def _checkpoints(options: dict[str, Any]) -> tuple[Path, ...]:
    """Those of `--checkpoint a.pt b.pt c.pt`: click takes b.pt and c.pt for arguments."""
    given, more = options.pop("checkpoint"), options.pop("more")
    if more and not given:
        raise click.UsageError(f"Got unexpected extra argument ({more[0]})")
    return (*given, *more)


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


def _triplets(loss_complex: LossComplex) -> str:
    """Eq. 3, which the paper's Table 1a reports."""
    bars = loss_complex.triplet_barcode()
    return f"eq. 3, each triple of minima by itself: {len(bars)} bars, W_inf {w_inf(bars):.6g}"


def _write(
    folder: Path,
    loss_complex: LossComplex,
    barcode: Barcode,
    written: dict[str, Any],
    progress: bool,
) -> None:
    names = write_report(folder, loss_complex, barcode, written, progress=progress)
    click.echo(f"\n{folder}: {', '.join(names)}")


def _span(values: ArrayLike | None) -> str:
    return "unknown" if values is None else f"{np.min(values):.6g} to {np.max(values):.6g}"


if __name__ == "__main__":
    main()
