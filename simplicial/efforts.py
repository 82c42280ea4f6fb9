"""Builds of growing effort: the same complex, its simplices trained by ever more gradients."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from math import comb
from pathlib import Path
from typing import Any

from reduction import Barcode, OptionError
from reduction.persistence.fields import prime
from reduction.validation import as_float, short_repr
from simplicial.build import build_complex, check_build, check_parts
from simplicial.maps.base import SimplexMap
from simplicial.minima import Minima
from simplicial.optimizers.base import Optimizer
from simplicial.optimizers.nudged_elastic import default_optimizer
from simplicial.options import MEMORY, BuildOptions, byte_count
from simplicial.reports.convergence import CONVERGENCE, Convergence
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import system_errors

EFFORTS = (1, 2, 4, 8)


def convergence(
    minima: Minima,
    max_dim: int = 2,
    efforts: Iterable[float] = EFFORTS,
    *,
    optimizer: Optimizer | None = None,
    simplex_map: SimplexMap | None = None,
    resolution: int = 12,
    tolerance: float | None = 1e-7,
    refinement_budget: int | None = None,
    field: int = 2,
    seed: int = 0,
    memory: int | str = MEMORY,
    store: str | Path | RunFolder | None = None,
    executor: Executor | None = None,
    batch: int | None = None,
    progress: bool = True,
) -> Convergence:
    """W_inf of each index, and its bounds, of complexes whose simplices take ever more gradients.

    efforts    ascending multiples of the optimizer's gradients, with a store 1 among them; every
               complex begins anew from straight simplices, so that its W_inf is what a build of
               this length alone finds
    optimizer  None: that of `build_complex`; one that has `with_effort` and `gradient_count`, as
               all of this library have
    field      prime, of the coefficients
    store      a run folder: the complex of effort 1 is stored there, as by `build_complex`, and is
               the first to be built; that of another is stored in a run folder inside, `effort-2`,
               say. After each effort the result so far is written to `convergence.json`, and what
               is stored is not computed again
    All others are those of `build_complex`. What W_inf means here: see
    `simplicial.reports.convergence`. The values are refined maxima, without certificates. Raises
    what `build_complex` raises, FieldError, and OptionError for efforts that are not ascending,
    lack 1 with a store, or come to the same number of gradients, or an optimizer whose effort
    cannot be changed or counted, before anything is trained.
    """
    check_parts(minima, optimizer, simplex_map)
    options = BuildOptions(
        resolution=resolution,
        tolerance=tolerance,
        seed=seed,
        memory=byte_count(memory),
        refinement_budget=refinement_budget,
    )
    check_build(len(minima), max_dim, options)
    prime(field)
    shares = checked_efforts(efforts, stored=store is not None)
    optimizer = default_optimizer(minima.loss, simplex_map) if optimizer is None else optimizer
    optimizer = optimizer.prepared(minima.loss, minima.points)
    optimizers = [optimizer.with_effort(share) for share in shares]
    mini_batches = optimizer.mini_batch_count(minima.loss)
    counts = gradient_counts(shares, optimizers, len(minima), max_dim, mini_batches)
    common: dict[str, Any] = {
        "simplex_map": simplex_map,
        "resolution": resolution,
        "tolerance": tolerance,
        "refinement_budget": refinement_budget,
        "seed": seed,
        "memory": memory,
        "executor": executor,
        "batch": batch,
        "progress": progress,
    }
    barcodes = dict[int, Barcode]()  # of efforts by their position
    with RunFolder.opened(store) as folder:
        # effort 1 first: its settings are those of the folder, which has no status without them
        for row in sorted(range(len(shares)), key=lambda row: (shares[row] != 1, row)):
            share, changed = shares[row], optimizers[row]
            own = folder if share == 1 or folder is None else folder.folder / _name(share)
            found = build_complex(minima, max_dim, optimizer=changed, store=own, **common)
            barcodes[row] = found.barcode(field)
            if folder is not None:
                with system_errors(folder.folder):
                    _compared(shares, counts, barcodes).save(folder.folder / CONVERGENCE)
    return _compared(shares, counts, barcodes)


def _compared(
    efforts: Sequence[float], gradients: Sequence[int], barcodes: Mapping[int, Barcode]
) -> Convergence:
    """The convergence of the efforts that have a barcode, by their positions."""
    rows = sorted(barcodes)
    return Convergence.of(
        [efforts[row] for row in rows],
        [gradients[row] for row in rows],
        [barcodes[row] for row in rows],
    )


def checked_efforts(efforts: Any, name: str = "efforts", *, stored: bool) -> list[float]:
    """Efforts as floats. Raises OptionError unless they are positive, finite and ascending, and
    hold 1 where their complexes are stored.
    """
    try:
        given = list(efforts)
    except TypeError:
        given = []
    numbers = [as_float(e) for e in given]
    ascending = all(a < b for a, b in zip([0.0, *numbers], [*numbers, float("inf")], strict=True))
    if not numbers or not ascending:
        raise OptionError(
            f"{name} must be ascending multiples of an optimizer's gradients above 0, got "
            f"{short_repr(efforts)}: give (1, 2, 4, 8), say"
        )
    if stored and 1.0 not in numbers:
        raise OptionError(
            f"{name} must hold 1, the run itself, with which others are compared, where results "
            f"are stored, got {', '.join(f'{effort:g}' for effort in numbers)}: give 1 among them"
        )
    return numbers


def gradient_counts(
    efforts: Sequence[float],
    optimizers: Sequence[Optimizer],
    n: int,
    max_dim: int,
    mini_batches: int,
) -> list[int]:
    """Gradients by which all simplices on n vertices are trained, at most, at each effort.

    Raises OptionError where two efforts come to the same number, of rounding or since nothing is
    trained, where one comes to 2**63 or more, and of an optimizer that does not count.
    """
    counts = [
        sum(
            comb(n, r + 1) * optimizer.gradient_count(r, mini_batches)
            for r in range(1, max_dim + 1)
        )
        for optimizer in optimizers
    ]
    if counts[-1] >= 2**63:
        raise OptionError(
            f"efforts must come to fewer than 2**63 gradients, {_short(efforts[-1])} comes to "
            f"{counts[-1]:.3g}: give smaller ones"
        )
    for i in range(1, len(counts)):
        if counts[i] <= counts[i - 1]:
            one, other = map(_short, efforts[i - 1 : i + 1])
            raise OptionError(
                f"efforts must differ in gradients, {one} and {other} both "
                "come to the same number for all simplices: choose efforts farther apart, or an "
                "optimizer of more steps"
            )
    return counts


def _name(effort: float) -> str:
    """The name of an effort's run folder."""
    return f"effort-{_short(effort)}"


def _short(effort: float) -> str:
    """An effort as text that tells it from all others."""
    short = f"{effort:g}"
    return short if float(short) == effort else repr(effort)
