"""`loss-barcodes run`: barcodes of trained networks."""

import os
import time
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nets.commands.dry_run import plan
from nets.commands.options import shared_options, write
from nets.commands.settings import NetworkSettings, record
from nets.data.images import ImageData
from nets.data.loading import load
from nets.loss import NetworkLoss
from nets.models import build as models
from nets.models.checkpoints import make_model, read_checkpoint
from nets.names import DATA_SETS, MODELS, PRECISIONS
from nets.symmetry import align
from nets.training import train_minima
from reduction import Barcode, w_inf
from simplicial import LossComplex, Minima, build_complex
from simplicial.evaluation import evaluate
from simplicial.reports.status import RECORDS
from simplicial.run_folder.folder import RunFolder


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


@click.command(short_help="Train networks, and compute the barcodes of their loss.")
@click.option(
    "--data",
    type=click.Choice(DATA_SETS),
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
    type=click.Choice(MODELS),
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
    metavar="PATH...",
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
@click.option(
    "--workers",
    type=int,
    help="Processes that train and measure batches of simplices.  [default: this one]",
)
@click.option(
    "--threads",
    type=int,
    help="Threads of each process; other numbers may change last bits."
    "  [default: one for each core, 1 with --workers]",
)
@click.option(
    "--batch",
    type=int,
    help="Simplices that are finished, and stored, together, never the result."
    "  [default: up to 16]",
)
@click.option(
    "--memory",
    default=2.0,
    show_default=True,
    help="Gigabytes for this process, and for each worker: batches of networks fill what is left.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Count what the run takes, time a little of it, and end: nothing is trained or written.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the result."
)
@shared_options
def run(dry_run: bool, **options: Any) -> None:
    """Train networks, join them by edges and triangles, and compute the barcodes of their loss.

    The recipe of mlp is for the digits, that of lenet is the paper's, that of resnet Li et al.'s
    (300 epochs). Writes barcodes, complex, pictures and a record of every setting to the folder
    --out.

    \b
    loss-barcodes run --data digits --model mlp --minima 6 --max-dim 2 --out runs/digits
    loss-barcodes run --data fashion-mnist --model lenet --minima 3 --out runs/lenet
    loss-barcodes run --checkpoint a.pt b.pt c.pt --factory my_module:make_model --out runs/own

    With --epochs 0 nothing is trained between the minima: the plane through any three networks.

    What is finished is kept in --out as it ends: the same command goes on where it stopped.
    """
    settings = NetworkSettings(checkpoints=_checkpoints(options), **options)
    settings.check()
    torch.set_num_threads(settings.cores)
    images = _images(settings)
    model = _model(settings, images)
    states = [read_checkpoint(path) for path in settings.checkpoints]
    if dry_run:
        click.echo(plan(model, images, settings).table())
        return
    with RunFolder(settings.out / RECORDS) as store, _workers(settings.workers) as executor:
        _run(settings, model, images, states, store, executor)


@contextmanager
def _workers(count: int | None) -> Generator[Executor | None]:
    """Processes that begin anew, since torch's threads do not outlive a fork; none lives longer
    than this one, or than what it does with them.
    """
    if count is None:
        yield None
        return
    executor = ProcessPoolExecutor(count, get_context("spawn"), _end_with_parent)
    try:
        yield executor
    except BaseException:
        for process in active_children():
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when the process that began it ends, however that comes."""
    parent = parent_process()
    assert parent is not None, "a worker has been started"

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _images(settings: NetworkSettings) -> ImageData:
    return load(
        settings.data,
        settings.data_dir,
        settings.download,
        subset=settings.subset,
        image_size=settings.image_size,
    )


def _model(settings: NetworkSettings, images: ImageData) -> nn.Module:
    if settings.factory is not None:
        return make_model(settings.factory)
    return models.build(
        settings.network,
        images.shape,
        images.classes,
        hidden=settings.hidden,
        depth=settings.depth,
        width=settings.width,
        shortcuts=settings.shortcuts,
    )


def _run(
    settings: NetworkSettings,
    model: nn.Module,
    images: ImageData,
    states: list[dict[str, Tensor]],
    store: RunFolder,
    executor: Executor | None,
) -> None:
    began = time.perf_counter()
    recipe, build = settings.recipe, settings.build
    loss, test = (
        NetworkLoss(
            model,
            inputs,
            targets,
            device=settings.device,
            precision=settings.precision,
            statistics=images.train_inputs,
        )
        for inputs, targets in (
            (images.train_inputs, images.train_targets),
            (images.test_inputs, images.test_targets),
        )
    )
    memory = settings.room(loss).batches
    store.match_settings("run", settings.lasting | {"data_sha256": images.digest})
    if states:
        minima = Minima.from_state_dicts(states, loss)
        if settings.align:
            minima = align(minima, seed=settings.seed, memory=memory)
    else:
        minima = train_minima(
            loss,
            settings.count,
            recipe=recipe,
            align=settings.align,
            seed=settings.seed,
            memory=memory,
            store=store,
            executor=executor,
            batch=settings.batch,
            progress=not settings.quiet,
        )
    loss_complex = build_complex(
        minima,
        settings.max_dim,
        memory=memory,
        store=store,
        executor=executor,
        batch=settings.batch,
        **build,
    )
    barcode = loss_complex.barcode(settings.field)
    scores = evaluate(test, minima.points, memory).accuracy
    _say(settings, len(images.train_targets), loss_complex, barcode, scores)
    written = record(settings, recipe, barcode, time.perf_counter() - began)
    written |= {"data_sha256": images.digest, "loss": repr(loss)}
    write(settings.out, loss_complex, barcode, written, goes_on=True, progress=not settings.quiet)


def _checkpoints(options: dict[str, Any]) -> tuple[Path, ...]:
    """Those of `--checkpoint a.pt b.pt c.pt`: click takes b.pt and c.pt for arguments."""
    given, more = options.pop("checkpoint"), options.pop("more")
    if more and not given:
        raise click.UsageError(f"Got unexpected extra argument ({more[0]})")
    return (*given, *more)


def _say(
    settings: NetworkSettings,
    images: int,
    loss_complex: LossComplex,
    barcode: Barcode,
    test_accuracy: ArrayLike | None,
) -> None:
    """What a run found."""
    minima = loss_complex.minima
    click.echo(f"{len(minima)} minima of {settings.network} on {images} images")
    rows = {"loss": minima.values, "accuracy": minima.accuracy, "test accuracy": test_accuracy}
    for name, values in rows.items():
        click.echo(f"{name:14} {_span(values)}")
    click.echo("\n" + barcode.table())
    if loss_complex.max_dim >= 2:
        click.echo("\n" + _triplets(loss_complex))


def _triplets(loss_complex: LossComplex) -> str:
    """Eq. 3, which the paper's Table 1a reports."""
    bars = loss_complex.triplet_barcode()
    return f"eq. 3, each triple of minima by itself: {len(bars)} bars, W_inf {w_inf(bars):.6g}"


def _span(values: ArrayLike | None) -> str:
    return "unknown" if values is None else f"{np.min(values):.6g} to {np.max(values):.6g}"
