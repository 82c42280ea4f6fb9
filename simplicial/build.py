"""The inductive builder (section 4): vertices, then edges, then triangles, ... each from its
faces."""

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reduction import DimensionError, OptionError
from reduction.files import digest
from reduction.json_values import null_if_infinite
from reduction.validation import as_bool, as_integer
from simplicial.complex import LossComplex
from simplicial.construction.anytime import RUNGS, AnytimeBuilder
from simplicial.construction.certification import certificates
from simplicial.construction.executors import check_workers
from simplicial.construction.scheduler import Scheduler
from simplicial.construction.serialization import record_name, store_checks
from simplicial.construction.state import ConstructionState
from simplicial.critical_points.certificates import check_second_derivatives
from simplicial.critical_points.search import with_saddles
from simplicial.domains.images import check_images
from simplicial.errors import RunError
from simplicial.evaluation import evaluate, where_finite
from simplicial.loss import Loss
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import (
    clique_simplices,
    complete_counts,
    control_point_count,
    lay_out,
)
from simplicial.minima import Minima, check_minima
from simplicial.neighbor_graphs.edges import Graph, edges_of
from simplicial.optimizers.algorithm1 import Algorithm1
from simplicial.optimizers.base import Optimizer
from simplicial.optimizers.nudged_elastic import NudgedElastic, default_optimizer
from simplicial.optimizers.stochastic_minimax import StochasticMinimax
from simplicial.options import MEMORY, BuildOptions, Limits, byte_count, check_limits, described
from simplicial.run_folder.folder import RunFolder

Ints = NDArray[np.int64]

ALLOWED = 4  # what a build may take, over its memory budget


def build_complex(
    minima: Minima,
    max_dim: int = 2,
    *,
    optimizer: Optimizer | None = None,
    simplex_map: SimplexMap | None = None,
    resolution: int = 12,
    tolerance: float | None = 1e-7,
    refinement_budget: int | None = None,
    certify: bool = False,
    saddles: bool = False,
    seed: int = 0,
    memory: int | str = MEMORY,
    store: str | Path | RunFolder | None = None,
    executor: Executor | None = None,
    batch: int | None = None,
    progress: bool = True,
    tolerance_of_bars: float | None = None,
    max_gradients: int | None = None,
    max_seconds: float | None = None,
    graph: "Graph | None" = None,
) -> LossComplex:
    """Optimise all simplices on the minima up to dimension max_dim; filter by the loss's maxima.

    minima       n vertices; C(n, r+1) simplices of each dimension r are built
    max_dim      top dimension, 1 <= max_dim <= n - 1; indices 0 .. max_dim - 1 get a barcode. A
                 single vertex has one bar of index 0, which never ends, whatever it is
    optimizer    None: `NudgedElastic()` for a loss without mini-batches, `Algorithm1()`, the
                 paper's, for one with them; or `StochasticMinimax()`, the one for networks
    simplex_map  None: the optimizer's own; or `Barycentric()` (eqs. 5 and 6), `Edgewise(segments)`
    resolution   Algorithm 2 evaluates the points t with resolution * t integer; max_dim + 1 or more
    tolerance    maxima are refined: from the lattice on, every linear piece is divided where the
                 loss may be higher by more than this share of its range. None: they are sampled on
                 the lattice only, Algorithm 2 as printed
    refinement_budget  gradients at most that the refined maximum of a simplex takes, best first;
                 where they do not suffice, `LossComplex.error_bounds` say what it may be too low
                 by, and a LossWarning does. None: 100 for an edge where the loss is a mean over
                 data, 1,000 where it is a formula, ten times as many for each dimension more, up
                 to 100,000
    certify      look for the critical point near the highest point of each simplex: its value is
                 the simplex's where a map attains it, and every end of a bar says whether it was
                 certified; by torch's second derivatives, or differences of a loss's own gradient
    saddles      take critical points of Morse index 1 in as further vertices: `with_saddles`
    seed         non-negative; same seed, same complex
    memory       bytes, or "4GB", for a batch of points, and for the values that are kept for
                 pictures; a build that takes over four times as much, or 8 GiB if that is more, is
                 refused
    store        a run folder: every simplex is stored there as it ends, and one that is stored is
                 not computed again; within a chunk it goes on from the last step that was kept; it
                 holds one complex, and other settings are refused
    executor     a `concurrent.futures.Executor` of processes, one thread each, that finish the
                 simplices; the loss goes to them with every chunk, so it must be picklable. None:
                 this process does
    batch        simplices that are finished together, never the result; None: all of a dimension,
                 or up to 16 with a store or an executor
    progress     bars on stderr, for what takes over two seconds
    tolerance_of_bars, max_gradients, max_seconds
                 with any of them the build is anytime: every simplex is measured as it starts, and
                 trained at an eighth, a quarter, a half and all of the optimizer's gradients, each
                 anew, as long as that can still change a bar by more than the tolerance of bars (in
                 units of the loss, 0 if it is not given), within so many training gradients, of
                 mini-batches, and seconds; `LossComplex.spent` says what was spent. Measuring does
                 not count as training: a build that was ended has a barcode with its error in every
                 index. With max_seconds, which is looked at between chunks, the result depends on
                 the machine; certificates are sought after it. None of the three: the full build
    graph        a networkx graph of the minima 0 .. n - 1, or its edges (m, 2), as
                 `nearest_neighbors`, `within_radius`, `beta_skeleton` and `delaunay_graph` give
                 them: simplices are the sets of minima that it joins pairwise; of a loss with
                 periods that of `periodic_images`. Bars of index 0 end no lower than by all
                 simplices; in higher indices some may be missing, last longer, or never end. None:
                 all sets
    The same seed gives the same bits whatever the batch, the executor and its workers are, and
    whether the build went on from a store, if torch has as many threads
    (`torch.set_num_threads`; workers take as many as this process has), on one machine and its CPU.
    Raises DimensionError, OptionError for arguments out of range, SearchError where saddles are
    wanted and none is found, LossError where the loss is finite on no edge or breaks its contract,
    RunError for a store that another process holds, of other settings, or that cannot be written,
    and where workers die, DataError for a store whose files were changed.
    Warns by LossWarning of simplices on which the loss is not finite: each is trained again with
    smaller steps, and is missing from the filtration where that does not help; with trainable
    sides, training that does not stay finite raises LossError. Warns likewise of simplices whose
    largest loss is higher after training than before: each keeps its start, the inner control
    points that it had before; of those whose refined maxima the budget ended; and of edges that
    end bars at no pass, as far as was found, so that their values may be too high.
    Source: sections 3 and 4, Algorithms 1 and 2. Deviations: all simplices of a dimension are
    trained together; where sides are trainable all are evaluated when all are trained, since
    trainable sides move faces; the refined maximum and the certificates are this library's.
    """
    check_parts(minima, optimizer, simplex_map)
    optimizer = default_optimizer(minima.loss, simplex_map) if optimizer is None else optimizer
    simplex_map = optimizer.simplex_map if simplex_map is None else simplex_map
    certify, progress = as_bool("certify", certify), as_bool("progress", progress)
    options = BuildOptions(
        resolution=resolution,
        tolerance=tolerance,
        seed=seed,
        memory=byte_count(memory),
        refinement_budget=refinement_budget,
    )
    check_workers(executor, batch)
    began, limits = time.monotonic(), Limits.given(tolerance_of_bars, max_gradients, max_seconds)
    _check_limits(minima, limits, optimizer, graph, saddles=as_bool("saddles", saddles))
    if certify:
        check_second_derivatives(minima.loss, minima.points[0])
    minima = with_saddles(minima, seed=seed) if saddles else minima
    shape = _Shape(max_dim, simplex_map, None if graph is None else edges_of(graph, len(minima)))
    state = _begun(minima, shape, options, optimizer)
    optimizer = optimizer.prepared(minima.loss, minima.points)
    with RunFolder.opened(store) as folder:
        if folder is not None:
            _check_kind(folder, limits)
            settings = _settings(minima, shape, optimizer, options, limits)
            folder.match_settings("complex", settings, _edges(limits))
        scheduler = Scheduler(optimizer, folder, executor, batch, progress)
        spent = None
        if limits is not None and len(minima) > 1:
            state, spent = AnytimeBuilder(scheduler, limits).run(state, max_dim, began)
        if optimizer.moves_faces and len(minima) > 1:
            state = scheduler.train_with_faces(state, max_dim)
        while state.dim <= max_dim:
            state = scheduler.run(state, trains=not optimizer.moves_faces)
        if folder is not None:
            store_checks(state, folder)  # of one vertex: else they are there
            folder.clear_checkpoints()
    found = certificates(state, progress=progress) if certify else None
    return _measured(minima, state, found, spent)


def with_loss(
    built: LossComplex,
    loss: Loss,
    *,
    resolution: int = 12,
    tolerance: float | None = 1e-7,
    refinement_budget: int | None = None,
    memory: int | str = MEMORY,
    progress: bool = True,
) -> LossComplex:
    """The simplices of a complex as they are, filtered by the maxima of another loss.

    loss  on points of as many coordinates: with the penalty or without, on test data, of another
          task; the other arguments are those of `build_complex`
    Nothing is trained, so each value bounds that of the best simplices of this loss from above: to
    lower it, build a complex on it. Vertices are no minima of it, unless by chance. There are no
    certificates, and `spent` is not kept. Raises LossError where the loss is finite on no edge, or
    breaks its contract, OptionError for arguments out of range.
    Warns by LossWarning of simplices on which the loss is not finite, and of those whose refined
    maxima the budget ended.
    """
    if not isinstance(built, LossComplex):
        raise OptionError(
            f"a loss is taken on the simplices of a LossComplex, got {_kind(built)}: give what "
            "build_complex returned"
        )
    options = BuildOptions(
        resolution=resolution,
        tolerance=tolerance,
        seed=0,
        memory=byte_count(memory),
        refinement_budget=refinement_budget,
    )
    minima, max_dim = Minima(built.minima.points, loss, memory=options.memory), built.max_dim
    shape = _Shape(max_dim, built.simplex_map, built.simplices[1].vertices)
    state = _begun(minima, shape, options, Algorithm1())
    state.control_points.copy_(built.control_points)
    scheduler = Scheduler(Algorithm1(), None, None, None, as_bool("progress", progress))
    while state.dim <= max_dim:
        state = scheduler.run(state, trains=False)
    return _measured(minima, state)


def _measured(minima: Minima, state: ConstructionState, *rest: Any) -> LossComplex:
    """The complex of all simplices, and the rest of what it is made of."""
    parts = state.layout.simplices, state.control_points, state.interiors
    return LossComplex(minima, state.simplex_map, state.options.resolution, *parts, *rest)


def _check_limits(
    minima: Minima, limits: Limits | None, optimizer: Optimizer, graph: Any, *, saddles: bool
) -> None:
    """Refuse limits with faces that move, a graph with limits, or with vertices that it cannot
    name, and periods without one. Raises OptionError.
    """
    check_images(minima.periods, has_graph=graph is not None, moves_faces=optimizer.moves_faces)
    check_limits(limits, moves_faces=optimizer.moves_faces)
    if graph is not None and saddles:
        raise OptionError(
            "a graph joins the vertices that it names, with saddles=True there would be more: call "
            "with_saddles, and give a graph of all that it returns"
        )
    if graph is not None and limits is not None:
        raise OptionError(
            "an anytime build goes by way of the lowest minimum, to which a graph need not lead: "
            "leave out graph, or tolerance_of_bars, max_gradients and max_seconds"
        )


def _edges(limits: Limits | None) -> str:
    """Name of the first records of a build."""
    return record_name(1, None if limits is None else 0)


def _check_kind(folder: RunFolder, limits: Limits | None) -> None:
    """Refuse limits in the folder of a full build, and none in that of an anytime build."""
    names = "tolerance_of_bars, max_gradients or max_seconds"
    if limits is not None and folder.numbers(_edges(None)):
        raise RunError(
            f"a run folder goes on with its own kind of build, {folder.folder} holds a full one, "
            f"now there are limits: leave out {names}, or choose another folder"
        )
    if limits is None and folder.numbers(_edges(Limits())):
        raise RunError(
            f"a run folder goes on with its own kind of build, {folder.folder} holds one within "
            f"limits, now there are none: give {names}, or choose another folder"
        )


class _Shape(NamedTuple):
    """The simplices of a complex: their top dimension, map, and graph's edges; None: all pairs."""

    max_dim: int
    simplex_map: SimplexMap
    edges: Ints | None


def _begun(
    minima: Minima, shape: _Shape, options: BuildOptions, optimizer: Optimizer
) -> ConstructionState:
    """The vertices of a complex, and control points of all. Raises DimensionError, OptionError."""
    n, (max_dim, simplex_map, edges) = len(minima), shape
    check_build(n, max_dim, options)
    counts = complete_counts(n, max_dim)
    edges = edges if n > 1 else None
    if edges is not None:
        counts = [len(of) for of in clique_simplices(n, max_dim, edges)]
        if not counts[-1]:
            raise DimensionError(
                f"a simplex of dimension max_dim needs max_dim + 1 vertices that are joined "
                f"pairwise, the graph of {len(edges)} edges has none for max_dim={max_dim}: add "
                "edges, or lower max_dim"
            )
    _check_size(minima, counts, simplex_map, options)
    layout = lay_out(n, max_dim, simplex_map, edges)
    gradients = options.tolerance is not None or optimizer.takes_gradients
    state = ConstructionState.of_vertices(minima, layout, options, gradients=gradients)
    return state if n > 1 else state.of_one_vertex()


def _settings(
    minima: Minima,
    shape: _Shape,
    optimizer: Optimizer,
    options: BuildOptions,
    limits: Limits | None,
) -> dict[str, Any]:
    """All that the bits of a complex depend on, as JSON values."""
    points = minima.points.cpu().contiguous()
    n = len(points)
    ends = minima.points[[0, -1]], minima.points[[1 % n, -2 % n]]
    between = (ends[0] + ends[1]) / 2  # minima of two losses may have the same values
    values = where_finite(lambda some: evaluate(minima.loss, some).loss, between)
    return {
        "minima": digest(points.numpy().tobytes()),
        "values between the minima": [null_if_infinite(value) for value in values.tolist()],
        "values at the minima": [float(value) for value in minima.values],
        "dtype": str(points.dtype),
        "device": str(minima.points.device),
        "max_dim": shape.max_dim,
        "optimizer": described(optimizer),
        "simplex_map": described(shape.simplex_map),
        "resolution": options.resolution,
        "tolerance": options.tolerance,
        "refinement_budget": options.refinement_budget,
        "seed": options.seed,
        "threads": options.threads,
        "torch": torch.__version__,
        **({} if limits is None else {"efforts": list(RUNGS)}),
        **({} if shape.edges is None else {"edges": shape.edges.tolist()}),
    }


def check_build(n: int, max_dim: int, options: BuildOptions) -> None:
    """Raise the error of `build_complex` for n minima and these options, before any are trained."""
    if as_integer("max_dim", max_dim, 1) > n - 1 and n != 1:
        raise DimensionError(
            f"a simplex of dimension max_dim needs max_dim + 1 minima, got max_dim={max_dim} with "
            f"{n} minima: give {max_dim + 1} minima, or a lower max_dim"
        )
    if options.resolution <= max_dim:
        raise OptionError(
            f"a lattice needs resolution > max_dim to have points inside every simplex, got "
            f"resolution={options.resolution} with max_dim={max_dim}: raise resolution"
        )


def control_points_bytes(simplex_map: SimplexMap, counts: Sequence[int], point: int) -> int:
    """Bytes of all control points, their gradients and what moves both, `point` for each.

    counts  of simplices, by dimension
    """
    return 3 * point * control_point_count(simplex_map, counts)


def _check_size(
    minima: Minima, counts: list[int], simplex_map: SimplexMap, options: BuildOptions
) -> None:
    """Refuse what would run out of memory, by counting, before it is laid out."""
    (n, d), resolution, memory = minima.points.shape, options.resolution, options.memory
    max_dim = len(counts) - 1
    controls = control_points_bytes(simplex_map, counts, d * minima.points.element_size())
    lattice = comb(resolution + max_dim, max_dim) * (max_dim + 1) * 8
    limit = ALLOWED * max(memory, MEMORY)
    parts = (("control points need", controls), (f"lattice of {resolution=} needs", lattice))
    for part, size in parts:
        if size > limit:
            raise OptionError(
                f"a build may take {limit / 1e9:.3g} GB at memory={memory}, its {part} "
                f"{size / 1e9:.3g} GB with {n} vertices and max_dim={max_dim}: raise memory, or "
                "lower max_dim, segments or resolution, or give a graph with fewer edges"
            )


def check_parts(minima: Any, optimizer: Any, simplex_map: Any) -> None:
    """Raise OptionError for what are no minima, no optimizer, no map, or a map beside its own."""
    check_minima(minima)
    if not isinstance(optimizer, Optimizer | None):
        raise OptionError(
            f"optimizer must be an Optimizer such as Algorithm1() or NudgedElastic(), got "
            f"{_kind(optimizer)}: pass one of these, None, or a subclass's of simplicial.Optimizer"
        )
    is_map = not isinstance(simplex_map, type) and hasattr(simplex_map, "locate")
    if simplex_map is not None and not is_map:
        raise OptionError(
            f"simplex_map must be a SimplexMap such as Barycentric() or Edgewise(8), got "
            f"{_kind(simplex_map)}: pass one of these, or None"
        )
    is_own = isinstance(optimizer, NudgedElastic | StochasticMinimax)
    if is_own and simplex_map not in (None, optimizer.simplex_map):
        raise OptionError(
            f"simplex_map must be the optimizer's own, {optimizer.simplex_map}, or None, got "
            f"{simplex_map}: leave it out, or give {type(optimizer).__name__} other segments"
        )


def _kind(given: Any) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
