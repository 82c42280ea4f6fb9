"""The command `loss-barcodes`: barcodes of trained networks, and of functions whose barcode is
known."""

import math
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
import torch

from nets import data as data_sets
from nets import models
from nets.loss import NetworkLoss
from nets.recipes import RECIPES
from nets.train import train_minima
from reduction import Barcode, TopologyError, bottleneck
from reduction.fields import prime
from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    LossComplex,
    Recipe,
    build_complex,
    find_minima,
)
from simplicial.build import check_build
from simplicial.critical import curvatures
from simplicial.landscapes import NAMES as LANDSCAPES
from simplicial.landscapes import Landscape, by_name
from simplicial.report import check_folder, write_report

PACKAGES = ("loss-barcodes", "torch", "torchvision", "numpy", "scipy", "numba", "scikit-learn")
GIGABYTE = 10**9

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
            help="Whether a triangle trains its sides too (Figure 1).",
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
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of FashionMNIST's files.")
@click.option("--download", is_flag=True, help="Download FashionMNIST first.")
@click.option("--subset", type=int, help="Only the first N training images.")
@click.option(
    "--model",
    type=click.Choice(models.NAMES),
    default="mlp",
    show_default=True,
    help="Network; lenet takes images of 12 x 12 pixels or more, so not the digits.",
)
@click.option(
    "--hidden",
    callback=_widths,
    help="Widths of mlp's hidden layers, as 64,32; none: softmax regression.  [default: 32]",
)
@click.option("--minima", default=6, show_default=True, help="Networks to train.")
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
    "--segments", type=int, help="Edgewise map with so many segments.  [default: the paper's map]"
)
@click.option(
    "--resolution",
    default=12,
    show_default=True,
    help="Steps along an edge when maxima are sought.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--memory", default=2.0, show_default=True, help="Gigabytes for a batch of networks.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the result."
)
@_shared
def run(**settings: Any) -> None:
    """Train networks, join them by edges and triangles, and compute the barcodes of their loss.

    The recipe of mlp is for the digits, that of lenet is the paper's. Writes barcodes, complex,
    pictures and a record of every setting to the folder --out.

    \b
    loss-barcodes run --data digits --model mlp --minima 6 --max-dim 2 --out runs/digits
    loss-barcodes run --data fashion-mnist --model lenet --minima 3 --out runs/lenet
    """
    began = time.perf_counter()
    check_folder(settings["out"])
    memory = _bytes(settings["memory"])
    check_build(settings["minima"], settings["max_dim"], settings["resolution"], settings["seed"])
    prime(settings["field"])
    recipe, simplex_map = _recipe(settings), _simplex_map(settings["segments"])
    images = data_sets.load(settings["data"], settings["data_dir"], settings["download"])
    if settings["subset"] is not None:
        images = images.subset(settings["subset"])
    model = models.build(settings["model"], images.shape, images.classes, hidden=settings["hidden"])
    loss = NetworkLoss(
        model, images.train_inputs, images.train_targets, device=_device(settings["device"])
    )
    minima = train_minima(
        loss,
        settings["minima"],
        recipe=recipe,
        seed=settings["seed"],
        memory=memory,
        progress=not settings["quiet"],
    )
    loss_complex = build_complex(
        minima,
        settings["max_dim"],
        optimizer=Algorithm1(recipe=recipe, sides=settings["sides"]),
        simplex_map=simplex_map,
        resolution=settings["resolution"],
        seed=settings["seed"],
        memory=memory,
        progress=not settings["quiet"],
    )
    barcode = loss_complex.barcode(settings["field"])
    accuracy = minima.accuracy
    click.echo(f"{len(minima)} minima of {settings['model']} on {len(images.train_targets)} images")
    click.echo(f"loss      {_span(minima.values)}")
    if accuracy is not None:
        click.echo(f"accuracy  {_span(accuracy)}")
    click.echo("\n" + barcode.table())
    record = _record("run", settings, recipe, barcode, began)
    record["data_sha256"] = images.digest
    record["loss"] = repr(loss)
    _write(settings["out"], loss_complex, barcode, record)


@main.command(short_help="Barcodes of an analytic function, beside the exact ones.")
@click.argument("name", type=click.Choice(LANDSCAPES))
@click.option("--dim", type=int, help="Number of variables, where the function has a choice.")
@click.option("--curved", default=0, show_default=True, help="Curved directions of simplex-wells.")
@click.option(
    "--max-dim", type=int, help="Top simplex dimension.  [default: variables, if minima allow]"
)
@click.option("--starts", type=int, help="Starts of the search for minima.")
@click.option("--epochs", default=2000, show_default=True, help="Steps of Algorithm 1.")
@click.option(
    "--learning-rate", type=float, help="[default: 0.2 over the minima's largest curvature]"
)
@click.option("--samples", default=16, show_default=True, help="Random points in each step.")
@click.option("--segments", default=8, show_default=True, help="Segments to an edge.")
@click.option(
    "--resolution",
    default=64,
    show_default=True,
    help="Steps along an edge when maxima are sought.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the result.")
@_shared
def analytic(**settings: Any) -> None:
    """Find the minima of an analytic function, and compute its barcodes beside the exact ones.

    \b
    loss-barcodes analytic himmelblau
    loss-barcodes analytic double-well --dim 3
    """
    began = time.perf_counter()
    if settings["out"] is not None:
        check_folder(settings["out"])
    prime(settings["field"])
    landscape = by_name(settings["name"], settings["dim"], settings["curved"])
    minima = find_minima(landscape, starts=settings["starts"], seed=settings["seed"])
    max_dim, learning_rate = settings["max_dim"], settings["learning_rate"]
    if max_dim is None:
        max_dim = min(landscape.dim, len(minima) - 1)
    if learning_rate is None:
        learning_rate = 0.2 / float(np.abs(curvatures(landscape, minima.points)).max())
    recipe = Recipe(epochs=settings["epochs"], learning_rate=learning_rate, weight_decay=0.0)
    loss_complex = build_complex(
        minima,
        max_dim,
        optimizer=Algorithm1(recipe=recipe, sides=settings["sides"], samples=settings["samples"]),
        simplex_map=Edgewise(settings["segments"]),
        resolution=settings["resolution"],
        seed=settings["seed"],
        progress=not settings["quiet"],
    )
    barcode = loss_complex.barcode(settings["field"])
    click.echo(
        f"{landscape.name} in {landscape.dim} variables: {len(minima)} minima from {minima.search}"
    )
    click.echo("\n" + barcode.table())
    click.echo("\n" + _beside_exact(landscape, barcode))
    if settings["out"] is not None:
        _write(
            settings["out"],
            loss_complex,
            barcode,
            _record("analytic", settings, recipe, barcode, began),
        )


def _beside_exact(landscape: Landscape, barcode: Barcode) -> str:
    """Index by index the exact bars, and how far the computed ones are from them."""
    lines = ["index   bars  exact  bottleneck distance"]
    for r, bars in enumerate(barcode):
        exact = landscape.barcode[r] if r < landscape.dim else np.empty((0, 2))
        lines.append(f"{r:5} {len(bars):6} {len(exact):6}  {bottleneck(bars, exact):.6g}")
    for r in range(min(len(barcode), landscape.dim)):
        lines += ["", f"exact index {r}" + ("" if len(landscape.barcode[r]) else ": no bars")]
        lines += [f"{b:11.6g} {d:11.6g} {d - b:11.6g}" for b, d in landscape.barcode[r].tolist()]
    return "\n".join(lines)


def _recipe(settings: dict[str, Any]) -> Recipe:
    """The model's recipe, with what the command line changes in it."""
    names = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay")
    given = {name: settings[name] for name in names if settings[name] is not None}
    return RECIPES[settings["model"]].changed(**given)


def _simplex_map(segments: int | None) -> Barycentric | Edgewise:
    return Barycentric() if segments is None else Edgewise(segments)


def _bytes(gigabytes: float) -> int:
    if not 1 <= gigabytes * GIGABYTE < math.inf:
        raise click.BadParameter(
            f"{gigabytes:g} gigabytes hold no network: give a positive, finite number",
            param_hint="--memory",
        )
    return int(gigabytes * GIGABYTE)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise click.BadParameter(
            f"{name!r} cannot be used ({reason}): take cpu, or a device that torch sees",
            param_hint="--device",
        ) from error
    return device


def _record(
    command: str, settings: dict[str, Any], recipe: Recipe, barcode: Barcode, began: float
) -> dict[str, Any]:
    """What repeats the run, and what it gave: JSON values."""
    return {
        "command": command,
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()},
        "recipe": recipe.as_record(),
        "w_inf": [barcode.w_inf(r) for r in range(len(barcode))],
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
        },
        "seconds": round(time.perf_counter() - began, 1),
    }


def _write(
    folder: Path, loss_complex: LossComplex, barcode: Barcode, record: dict[str, Any]
) -> None:
    names = write_report(folder, loss_complex, barcode, record)
    click.echo(f"\n{folder}: {', '.join(names)}")


def _span(values: Any) -> str:
    return f"{np.min(values):.6g} to {np.max(values):.6g}"


if __name__ == "__main__":
    sys.exit(main())
