"""The inductive builder (section 4): vertices, then edges, then triangles, ... each from its
faces."""

from concurrent.futures import Executor
from hashlib import sha256
from math import comb
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reduction import DataError, DimensionError, OptionError
from reduction.validation import as_bool, as_integer, is_number, short_repr
from simplicial.complex import LossComplex
from simplicial.construction.executors import check_workers
from simplicial.construction.scheduler import TOGETHER, Schedule, record_name
from simplicial.construction.state import Gauge
from simplicial.critical_points.search import with_saddles
from simplicial.display import dimension_name, progress_bar
from simplicial.errors import NotFiniteError
from simplicial.evaluation import MEMORY, evaluate
from simplicial.loss import Loss
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import control_point_count, lay_out, straight
from simplicial.minima import Minima, check_minima
from simplicial.optimizers.algorithm1 import Algorithm1, Stage
from simplicial.optimizers.base import Optimizer
from simplicial.optimizers.nudged_elastic import NudgedElastic
from simplicial.options import byte_count, described
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

ROOM = 4  # what a build may take, over its memory budget


def build_complex(
    minima: Minima,
    max_dim: int = 2,
    *,
    optimizer: Optimizer | None = None,
    simplex_map: SimplexMap | None = None,
    resolution: int = 12,
    tolerance: float | None = 1e-7,
    certify: bool = False,
    saddles: bool = False,
    seed: int = 0,
    memory: int | str = MEMORY,
    store: str | Path | RunFolder | None = None,
    executor: Executor | None = None,
    batch: int | None = None,
    progress: bool = True,
) -> LossComplex:
    """Optimise all simplices on the minima up to dimension max_dim; filter by the loss's maxima.

    minima       n vertices; C(n, r+1) simplices of each dimension r are built
    max_dim      top dimension, 1 <= max_dim <= n - 1; indices 0 .. max_dim - 1 get a barcode
    optimizer    None: `Algorithm1()`, the paper's; or `NudgedElastic()`
    simplex_map  None: the optimizer's own; or `Barycentric()` (eqs. 5 and 6), `Edgewise(segments)`
    resolution   Algorithm 2 looks at the points t with resolution * t integer; at least max_dim + 1
    tolerance    maxima are honest: from the lattice on, every linear piece is refined where the
                 loss may be higher by more than this share of its range. None: they are sampled on
                 the lattice only, Algorithm 2 as printed
    certify      look for the critical point near the highest point of each simplex: its value is
                 the simplex's, and every end of a bar says whether it was certified
    saddles      take critical points of Morse index 1 in as further vertices: `with_saddles`
    seed         non-negative; same seed, same complex
    memory       bytes, or "4GB", for a batch of points, and for the values that are kept for
                 pictures; a build that takes over four times as much, or 8 GiB if that is more, is
                 refused
    store        a run folder: every simplex is stored there as it ends, and one that is stored is
                 not computed again; within a batch it goes on from the last step that was kept; it
                 holds one complex, and other settings are refused
    executor     a `concurrent.futures.Executor` of processes, one thread each, that finish the
                 simplices; the loss goes to them with every batch, so it must be picklable. None:
                 this process does
    batch        simplices that are finished together, never the result; None: all of a dimension,
                 or up to 16 with a store or an executor
    progress     bars on stderr, for what takes over two seconds
    The same seed gives the same bits whatever the batch, the executor and its workers are, and
    whether the build went on from a store, if torch has as many threads
    (`torch.set_num_threads`; workers take as many as this process has), on one machine and its CPU.
    Raises DimensionError, OptionError for arguments out of range, SearchError where saddles are
    wanted and none is found, LossError where the loss is finite on no edge or breaks its contract,
    RunError for a store that another process holds, of other settings, or that cannot be written,
    and where workers die, DataError for a store whose files were changed.
    Warns by LossWarning of simplices on which the loss is not finite: each is trained again with
    smaller steps, and is missing from the filtration where that does not help; with trainable
    sides, training that does not stay finite raises LossError.
    Source: sections 3 and 4, Algorithms 1 and 2. Deviations: all simplices of a dimension are
    trained together; where sides are trainable all are evaluated when all are trained, since
    trainable sides move faces; the honest maximum and the certificates are this library's.
    """
    _check_parts(minima, optimizer, simplex_map)
    optimizer = Algorithm1() if optimizer is None else optimizer
    simplex_map = optimizer.simplex_map if simplex_map is None else simplex_map
    certify, progress = as_bool("certify", certify), as_bool("progress", progress)
    check_options(resolution, seed, tolerance)
    memory = byte_count(memory)
    check_workers(executor, batch)
    minima = with_saddles(minima, seed=seed) if as_bool("saddles", saddles) else minima
    check_build(len(minima), max_dim, resolution, seed, tolerance)
    _check_size(minima, max_dim, simplex_map, resolution, memory)
    layout = lay_out(len(minima), max_dim, simplex_map)
    gauge = Gauge(
        minima,
        straight(minima.points, layout),
        layout,
        resolution=resolution,
        tolerance=tolerance,
        gradients=tolerance is not None or optimizer.takes_gradients,
        seed=seed,
        memory=memory,
        progress=progress,
    )
    optimizer = optimizer.fitted(minima.loss, minima.points)
    with RunFolder.opened(store) as folder:
        if folder is not None:
            settings = _settings(gauge, max_dim, optimizer, simplex_map)
            folder.match_settings("complex", settings, record_name(1))
        schedule = Schedule(optimizer, folder, executor, batch, progress)
        if optimizer.moves_faces:
            _train_with_faces(gauge, max_dim, optimizer, folder)
        for r in range(1, max_dim + 1):
            schedule.run(gauge, r, trains=not optimizer.moves_faces)
        if folder is not None:
            folder.clear_checkpoints()
    parts = (minima, simplex_map, resolution, layout.simplices, gauge.pool, tuple(gauge.interiors))
    return LossComplex(*parts, gauge.certificates() if certify else None)


def _train_with_faces(
    gauge: Gauge, max_dim: int, optimizer: Optimizer, store: RunFolder | None
) -> None:
    """Train what moves its faces: all simplices of a dimension at once, and measure none before all
    stand still. A store keeps all control points after each dimension.
    """
    loss, pool, layout = gauge.minima.loss, gauge.pool, gauge.layout
    for r in range(1, max_dim + 1):
        moving = slice(len(gauge.minima), layout.rows(r).stop)
        if store is not None and (record := store.get(TOGETHER, r)) is not None:
            pool[moving] = _points(record, pool[moving], store).to(pool)
            continue
        sides, checkpoint = slice(moving.start, layout.rows(r).start), None
        if store is not None:
            checkpoint = store.checkpoint(f"{TOGETHER}: {r}")
        stage = Stage(
            layout.simplices[r],
            layout.rows(r),
            sides,
            gauge.seed,
            gauge.memory,
            checkpoint=checkpoint,
        )
        rounds = optimizer.rounds(loss, pool, stage)
        with progress_bar(f"{dimension_name(r)}: training", rounds, gauge.progress) as bar:
            optimizer.optimise(loss, pool, stage, bar.update)
        if store is not None:
            store.put(TOGETHER, r, Record({"points": pool[moving].cpu()}, {}))


def _points(record: Record, like: Tensor, store: RunFolder) -> Tensor:
    """The control points of a record. Raises DataError for those of another complex."""
    points = record.tensors.get("points")
    if points is None or points.shape != like.shape:
        raise DataError(
            f"records of {store.folder} must be those of this complex, its {TOGETHER} are not: "
            "choose another folder"
        )
    return points


def _settings(
    gauge: Gauge, max_dim: int, optimizer: Optimizer, simplex_map: SimplexMap
) -> dict[str, Any]:
    """What the bits of a complex depend on, as JSON values."""
    points = gauge.minima.points.cpu().contiguous()
    ends = gauge.minima.points[[0, -1]], gauge.minima.points[[1, -2]]
    between = (ends[0] + ends[1]) / 2  # minima of two losses may have the same values
    return {
        "minima": sha256(points.numpy().tobytes()).hexdigest(),
        "values between the minima": [_value(gauge.minima.loss, point) for point in between],
        "values at the minima": [float(value) for value in gauge.minima.values],
        "dtype": str(points.dtype),
        "device": str(gauge.minima.points.device),
        "max_dim": max_dim,
        "optimizer": described(optimizer),
        "simplex_map": described(simplex_map),
        "resolution": gauge.resolution,
        "tolerance": gauge.tolerance,
        "seed": gauge.seed,
        "threads": gauge.threads,
        "torch": torch.__version__,
    }


def _value(loss: Loss, point: Tensor) -> float | None:
    """The loss at a point (d,); None where it is not finite."""
    try:
        return float(evaluate(loss, point[None]).loss[0])
    except NotFiniteError:
        return None


def check_build(n: int, max_dim: int, resolution: int, seed: int, tolerance: float | None) -> None:
    """Raise what `build_complex` would for these arguments and n minima, before any are trained."""
    check_options(resolution, seed, tolerance)
    if as_integer("max_dim", max_dim, 1) > n - 1:
        raise DimensionError(
            f"a simplex of dimension max_dim needs max_dim + 1 minima, got max_dim={max_dim} with "
            f"{n} minima: give {max_dim + 1} minima, or a lower max_dim"
        )
    if resolution <= max_dim:
        raise OptionError(
            f"a lattice needs resolution > max_dim to have points inside every simplex, got "
            f"resolution={resolution} with max_dim={max_dim}: raise resolution"
        )


def check_options(resolution: int, seed: int, tolerance: float | None) -> None:
    """Raise OptionError for what `build_complex` takes on no minima, before any are sought."""
    as_integer("seed", seed, 0)
    as_integer("resolution", resolution, 1)
    if tolerance is not None and not (is_number(tolerance) and 0 < tolerance < 1):
        raise OptionError(
            f"tolerance must be a share of the loss's range above 0 and below 1, or None, got "
            f"{short_repr(tolerance)}: change tolerance"
        )


def pool_bytes(simplex_map: SimplexMap, n: int, max_dim: int, point: int) -> int:
    """Bytes of all control points, their gradients and what moves both, `point` for each."""
    return 3 * point * control_point_count(simplex_map, n, max_dim)


def _check_size(
    minima: Minima, max_dim: int, simplex_map: SimplexMap, resolution: int, memory: int
) -> None:
    """Refuse what would run out of memory, by counting, before anything is laid out."""
    n, d = minima.points.shape
    pool = pool_bytes(simplex_map, n, max_dim, d * minima.points.element_size())
    lattice = comb(resolution + max_dim, max_dim) * (max_dim + 1) * 8
    limit = ROOM * max(memory, MEMORY)
    for what, size in (("control points", pool), (f"a lattice of {resolution=}", lattice)):
        if size > limit:
            raise OptionError(
                f"a build may take {limit / 1e9:.3g} GB at memory={memory}, its {what} need "
                f"{size / 1e9:.3g} GB with {n} vertices and max_dim={max_dim}: raise memory, or "
                "lower max_dim, segments or resolution"
            )


def _check_parts(minima: Any, optimizer: Any, simplex_map: Any) -> None:
    check_minima(minima)
    for name, given, method, kind in (
        (
            "optimizer",
            optimizer,
            "optimise",
            "an Optimizer such as Algorithm1() or NudgedElastic()",
        ),
        ("simplex_map", simplex_map, "locate", "a SimplexMap such as Barycentric() or Edgewise(8)"),
    ):
        if given is not None and (isinstance(given, type) or not hasattr(given, method)):
            got = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
            raise OptionError(f"{name} must be {kind}, got {got}: pass one of these, or None")
    if isinstance(optimizer, NudgedElastic) and simplex_map not in (None, optimizer.simplex_map):
        raise OptionError(
            f"simplex_map must be the optimizer's own, {optimizer.simplex_map}, or None, got "
            f"{simplex_map}: leave it out, or give NudgedElastic other segments"
        )
