"""The work of `loss-barcodes run`: barcodes of trained networks."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from nets.commands.work.dry_run import plan
from nets.commands.work.memory_budget import memory_budget
from nets.commands.work.phases import phase
from nets.commands.work.processes import workers
from nets.commands.work.result import echo_refinement, record, write
from nets.commands.work.run_data import Part, RunData
from nets.commands.work.settings import BEFORE, LIMITS, NetworkSettings
from nets.execution.modules.own_copy import own_copy
from nets.execution.rng import seeded
from nets.loss import NetworkLoss
from nets.models.building import build
from nets.models.checkpoints import find_checkpoint
from nets.models.factories import Factory, working_directory_importable
from nets.penalty import Penalty
from nets.symmetry import align
from nets.training import train_minima
from reduction import Barcode, DataError, w_inf
from reduction.json_values import null_if_infinite
from reduction.validation import as_integer
from simplicial import (
    Convergence,
    LossComplex,
    Minima,
    build_complex,
    convergence,
    polish,
)
from simplicial.configuration import torch_threads
from simplicial.evaluation import evaluate
from simplicial.reports.status import RECORDS, RunStatus
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Records


class Inputs(NamedTuple):
    """Examples, an untrained network, and the state dicts of trained ones, if there are any.

    init  makes further networks to be trained; None: the model's modules are initialised anew
    """

    data: RunData
    model: nn.Module
    init: Callable[[], nn.Module] | None
    states: list[dict[str, Tensor]]

    @classmethod
    def read(cls, settings: NetworkSettings) -> "Inputs":
        """The data that the settings name. Raises DataError, OptionError, CapacityError."""
        data = RunData.read(settings)
        if settings.factory is not None:
            with seeded(torch.device("cpu"), settings.seed % 2**63):  # it may draw a frozen part
                model, init = Factory.named(settings.factory)
        else:
            model, init = _family(data, settings), None
        if settings.init is not None:
            init = Factory.named(settings.init, "an init").make
            if init is None:
                raise DataError(
                    f"an init must be a function that makes new networks, {settings.init!r} is one "
                    "network: name a function, or leave --init out"
                )
        model, states = _trained(model, settings.checkpoints, settings.checkpoint_key)
        return cls(data, model, init, states)

    def losses(self, settings: NetworkSettings) -> tuple[NetworkLoss, NetworkLoss | None]:
        """The losses on the training examples, and on the test examples, if there are any."""
        train, test = self.data.train, self.data.test
        return self._loss(settings, train), None if test is None else self._loss(settings, test)

    def _loss(self, settings: NetworkSettings, part: Part) -> NetworkLoss:
        stored = settings.batch_norm == "stored"
        return NetworkLoss(
            self.model,
            part.data,
            part.targets,
            statistics=None if stored else self.data.train.data,
            stream=settings.stream,
            **settings.loss_options(),
        )


def _family(data: RunData, settings: NetworkSettings) -> nn.Module:
    """A network of a built-in family that fits the images."""
    images = data.images
    if images is None:
        raise DataError(
            f"{settings.network} is built for images with classes, {settings.data!r} gives none: "
            "name your network by --factory, or return nets.ImageData"
        )
    return build(
        settings.network,
        images.shape,
        images.classes,
        hidden=settings.hidden,
        depth=settings.depth,
        width=settings.width,
        shortcuts=settings.shortcuts,
    )


def _trained(
    model: nn.Module, paths: Sequence[Path], key: str | None
) -> tuple[nn.Module, list[dict[str, Tensor]]]:
    """The model with the first file's tensors, buffers and frozen parameters among them, which all
    networks must share, and all files' state dicts.
    """
    if paths:
        model = own_copy(model)
    found = [find_checkpoint(path, model, key) for path in paths]
    remarks = dict[str, list[str]]()
    for path, checkpoint in zip(paths, found, strict=True):
        if checkpoint.remark is not None:
            remarks.setdefault(checkpoint.remark, []).append(str(path))
    for remark, names in remarks.items():
        click.echo(f"{', '.join(names)}: {remark}", err=True)
    states = [checkpoint.state for checkpoint in found]
    if states:
        model.load_state_dict(states[0], strict=False)  # partial, and names of no state dict
    return model, states


def compute(settings: NetworkSettings, *, dry_run: bool) -> dict[str, Any]:
    """Train networks, or read them, and write and print the barcodes of their loss; their record.

    dry_run  print the plan of it instead
    """
    settings.check()
    settings = _with_stored_threads(settings)
    # workers, too, import a factory's module from the working directory
    with torch_threads(settings.cores), working_directory_importable():
        phase(f"reading {settings.data}", quiet=settings.quiet)
        inputs = Inputs.read(settings)
        if dry_run:
            phase("timing a step, a loss and a gradient", quiet=settings.quiet)
            loss, _ = inputs.losses(settings)
            found = plan(loss, inputs.data, settings, init=inputs.init, states=inputs.states)
            click.echo(found.table())
            return found.as_record()
        with (
            RunFolder(settings.out / RECORDS) as folder,
            workers(settings.workers) as executor,
        ):
            return _compute(settings, inputs, folder, executor)


def _with_stored_threads(settings: NetworkSettings) -> NetworkSettings:
    """The settings with the number of threads of the run that is taken up again, if it is not
    given: last bits depend on it.
    """
    records = Records(settings.out / RECORDS)
    for name in ("minima", "complex"):
        stored = records.settings(name)
        if settings.threads is None and stored is not None and "threads" in stored:
            return replace(settings, threads=as_integer("threads", stored["threads"], 1))
    return settings


def _compute(
    settings: NetworkSettings, inputs: Inputs, folder: RunFolder, executor: Executor | None
) -> dict[str, Any]:
    """The result, written and printed, and its record."""
    began = time.perf_counter()
    phase(f"preparing {settings.network}", quiet=settings.quiet)
    loss, test = inputs.losses(settings)
    memory, digest = memory_budget(settings, loss).batches, inputs.data.digest
    lasting = settings.lasting | {"data_sha256": digest}
    folder.match_settings("run", lasting, before=BEFORE)
    work: dict[str, Any] = {
        "memory": memory,
        "store": folder,
        "executor": executor,
        "batch": settings.batch,
    }
    phase("minima", quiet=settings.quiet)
    minima = _minima(settings, inputs, loss, work)
    phase("edges, triangles and higher simplices", quiet=settings.quiet)
    loss_complex = build_complex(minima, settings.max_dim, **settings.build, **work)
    found = _convergence(minima, settings, work)
    barcode, status = loss_complex.barcode(settings.field), RunStatus.read(settings.out)
    scores = None if test is None else evaluate(test, minima.points, memory).accuracy
    examples = f"{inputs.data.size} {inputs.data.noun}"
    rows = _rows(minima, loss.weight_decay, scores, status)
    _print(f"{settings.network} on {examples}", loss_complex, barcode, rows, status.checks.remark)
    if found is not None:
        click.echo(f"\nconvergence, {found.table()}")
    phase("barcodes and pictures", quiet=settings.quiet)
    written = record(settings, settings.recipe, barcode, time.perf_counter() - began)
    written |= {"data_sha256": digest, "loss": repr(loss)}
    gradients = {"gradient_norm": status.checks.norms, "gradient_scale": status.checks.scales}
    known = {name: _known(values) for name, values in gradients.items()}
    known |= {"remark": status.checks.remark}
    for name, values in (("accuracy", minima.accuracy), ("test_accuracy", scores)):
        known[name] = None if values is None else np.asarray(values).tolist()
    written |= {"minima": {"loss": minima.values.tolist(), **known}}
    if loss_complex.max_dim >= 2:
        bars = loss_complex.triplet_barcode()
        written["eq_3"] = {"bars": len(bars), "w_inf": null_if_infinite(w_inf(bars))}
    written |= {"worsened": [list(simplex) for simplex in status.worsened]}
    return write(
        settings.out,
        loss_complex,
        barcode,
        written,
        goes_on=True,
        progress=not settings.quiet,
        convergence=found,
    )


def _minima(
    settings: NetworkSettings, inputs: Inputs, loss: NetworkLoss, work: dict[str, Any]
) -> Minima:
    """The minima of a run: checkpoints, polished and aligned where asked, or networks trained."""
    if inputs.states:
        minima = Minima.from_state_dicts(inputs.states, loss)
        if settings.polishing is not None:
            shared = {name: work[name] for name in ("memory", "store", "executor")}
            minima = polish(minima, settings.polishing, progress=not settings.quiet, **shared)
        if settings.align:
            minima = align(minima, seed=settings.seed, memory=work["memory"])
        return minima
    return train_minima(
        loss,
        settings.count,
        recipe=settings.recipe,
        init=inputs.init,
        polish=settings.polishing or False,
        align=settings.align,
        seed=settings.seed,
        progress=not settings.quiet,
        **work,
    )


def _convergence(
    minima: Minima, settings: NetworkSettings, work: dict[str, Any]
) -> Convergence | None:
    """W_inf at the efforts that the settings name, of which the run's own is stored already."""
    if settings.effort is None:
        return None
    others = ("certify", *LIMITS)
    options = {name: value for name, value in settings.build.items() if name not in others}
    options |= {"field": settings.field, **work}
    return convergence(minima, settings.max_dim, settings.effort, **options)


def _known(values: NDArray[np.float64]) -> list[float] | None:
    """Numbers at the minima; None where they are not known: a gradient may not fit into memory."""
    return None if np.isnan(values).any() else values.tolist()


Rows = dict[str, ArrayLike | None]


def _rows(
    minima: Minima,
    weight_decay: float,
    test_accuracy: ArrayLike | None,
    status: RunStatus,
) -> Rows:
    """Numbers of the minima by name, (n,) each; None: unknown.

    The loss is that of the filtration; where it holds a penalty its name says so, and a row has the
    penalty alone.
    """
    rows: Rows = {"penalised loss" if weight_decay else "loss": minima.values}
    if weight_decay:
        rows["penalty in it"] = Penalty(weight_decay).values(minima.points).cpu().numpy()
    rows |= {"accuracy": minima.accuracy, "test accuracy": test_accuracy}
    return rows | {
        "gradient norm": _known(status.checks.norms),
        "over its noise": _known(status.checks.ratios),
    }


def _print(
    networks: str, loss_complex: LossComplex, barcode: Barcode, rows: Rows, remark: str | None
) -> None:
    """Numbers of the minima, barcodes, and eq. 3, which the paper's Table 1a reports.

    networks  of which family or factory, on which data
    remark   what is to be said of vertices that are no minima
    """
    click.echo(f"{len(loss_complex.minima)} minima of {networks}")
    for name, values in rows.items():
        span = "unknown" if values is None else f"{np.min(values):.6g} to {np.max(values):.6g}"
        click.echo(f"{name:14} {span}")
    click.echo("\n" + barcode.table())
    if remark is not None:
        click.echo(f"\n{remark}")
    echo_refinement(loss_complex)
    if loss_complex.max_dim >= 2:
        bars = loss_complex.triplet_barcode()
        click.echo(
            f"\neq. 3, each triple of minima by itself: {len(bars)} bars, W_inf {w_inf(bars):.6g}"
        )
