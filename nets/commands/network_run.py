"""The work of `loss-barcodes run`: barcodes of trained networks."""

import time
from concurrent.futures import Executor
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nets.commands.dry_run import plan
from nets.commands.processes import workers
from nets.commands.result import record, write
from nets.commands.settings import NetworkSettings
from nets.data import ImageData, load
from nets.loss import NetworkLoss
from nets.models.building import build
from nets.models.checkpoints import (
    make_model,
    read_checkpoint,
    working_directory_importable,
)
from nets.symmetry import align
from nets.training import train_minima
from reduction import Barcode, w_inf
from simplicial import LossComplex, Minima, build_complex
from simplicial.configuration import torch_threads
from simplicial.evaluation import evaluate
from simplicial.reports.status import RECORDS, RunStatus
from simplicial.run_folder.folder import RunFolder


class Inputs(NamedTuple):
    """Images, an untrained network, and the state dicts of trained ones, if there are any."""

    images: ImageData
    model: nn.Module
    states: list[dict[str, Tensor]]

    @classmethod
    def read(cls, settings: NetworkSettings) -> "Inputs":
        """The data that the settings name. Raises DataError, OptionError, CapacityError."""
        images = load(
            settings.data,
            settings.data_dir,
            settings.download,
            subset=settings.subset,
            image_size=settings.image_size,
        )
        if settings.factory is not None:
            model = make_model(settings.factory)
        else:
            model = build(
                settings.network,
                images.shape,
                images.classes,
                hidden=settings.hidden,
                depth=settings.depth,
                width=settings.width,
                shortcuts=settings.shortcuts,
            )
        return cls(images, model, [read_checkpoint(path) for path in settings.checkpoints])

    def losses(self, settings: NetworkSettings) -> tuple[NetworkLoss, NetworkLoss]:
        """The losses on the training images, and on the test images."""
        images = self.images
        train, test = (
            NetworkLoss(
                self.model,
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
        return train, test


def compute(settings: NetworkSettings, *, dry_run: bool) -> None:
    """Train networks, or read them, and write and print the barcodes of their loss.

    dry_run  print the plan of it instead
    """
    settings.check()
    # workers, too, import a factory's module from the working directory
    with torch_threads(settings.cores), working_directory_importable():
        inputs = Inputs.read(settings)
        if dry_run:
            click.echo(plan(inputs.model, inputs.images, settings).table())
            return
        with (
            RunFolder(settings.out / RECORDS) as folder,
            workers(settings.workers) as executor,
        ):
            _compute(settings, inputs, folder, executor)


def _compute(
    settings: NetworkSettings, inputs: Inputs, folder: RunFolder, executor: Executor | None
) -> None:
    began = time.perf_counter()
    loss, test = inputs.losses(settings)
    memory, digest = settings.memory_budget(loss).batches, inputs.images.digest
    folder.match_settings("run", settings.lasting | {"data_sha256": digest})
    work: dict[str, Any] = {
        "memory": memory,
        "store": folder,
        "executor": executor,
        "batch": settings.batch,
    }
    if inputs.states:
        minima = Minima.from_state_dicts(inputs.states, loss)
        if settings.align:
            minima = align(minima, seed=settings.seed, memory=memory)
    else:
        minima = train_minima(
            loss,
            settings.count,
            recipe=settings.recipe,
            align=settings.align,
            seed=settings.seed,
            progress=not settings.quiet,
            **work,
        )
    loss_complex = build_complex(minima, settings.max_dim, **settings.build, **work)
    barcode = loss_complex.barcode(settings.field)
    scores = evaluate(test, minima.points, memory).accuracy
    _print(settings, len(inputs.images.train_targets), loss_complex, barcode, scores)
    written = record(settings, settings.recipe, barcode, time.perf_counter() - began)
    written |= {"data_sha256": digest, "loss": repr(loss)}
    written |= {"worsened": [list(simplex) for simplex in RunStatus.read(settings.out).worsened]}
    write(settings.out, loss_complex, barcode, written, goes_on=True, progress=not settings.quiet)


def _print(
    settings: NetworkSettings,
    images: int,
    loss_complex: LossComplex,
    barcode: Barcode,
    test_accuracy: ArrayLike | None,
) -> None:
    """Losses and accuracies at the minima, barcodes, and eq. 3, which the paper's Table 1a reports.

    images  number of training images
    """
    minima = loss_complex.minima
    click.echo(f"{len(minima)} minima of {settings.network} on {images} images")
    rows = {"loss": minima.values, "accuracy": minima.accuracy, "test accuracy": test_accuracy}
    for name, values in rows.items():
        span = "unknown" if values is None else f"{np.min(values):.6g} to {np.max(values):.6g}"
        click.echo(f"{name:14} {span}")
    click.echo("\n" + barcode.table())
    if loss_complex.max_dim >= 2:
        bars = loss_complex.triplet_barcode()
        click.echo(
            f"\neq. 3, each triple of minima by itself: {len(bars)} bars, W_inf {w_inf(bars):.6g}"
        )
