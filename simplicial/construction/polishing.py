"""Minima polished: L-BFGS on the exact loss from each, until its gradient is small.

SGD on mini-batches ends near a critical point, not at one. From there the limited-memory BFGS
method of SciPy (Byrd, Lu, Nocedal & Zhu 1995; its line search by Moré & Thuente 1994) lowers the
loss of the filtration itself. A descent ends at a small gradient, at its last evaluation, or where
values are equal up to rounding, so that none is lower: at a gradient of about the square root of
the rounding unit, times the square root of the curvature. No more is claimed than the norm reached:
a point of small gradient may lie near no minimum, as those of a cross-entropy without penalty,
which falls as weights grow.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from warnings import warn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import DataError, OptionError
from reduction.files import digest
from reduction.memory import require
from reduction.validation import as_bool, as_integer, is_number, short_repr
from simplicial.configuration import torch_threads
from simplicial.construction.executors import by_workers, check_workers
from simplicial.display import progress_bar
from simplicial.errors import LossWarning, NotFiniteError
from simplicial.evaluation import values_and_gradients
from simplicial.loss import Loss
from simplicial.minima import Minima, check_minima
from simplicial.options import MEMORY, byte_count, described
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

Floats = NDArray[np.float64]
SETTINGS, POLISHED = "polish", "polished"  # names of settings and records in a run folder
LINE_SEARCH = 40  # evaluations in a search along a line, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Polish:
    """Options of the polishing of minima.

    tolerance    norm of the gradient at which a descent ends; None: the square root of the rounding
                 unit of the points, 1.5e-8 in float64 and 3.5e-4 in float32, about what values in
                 that precision can tell
    evaluations  of the exact loss and its gradient at each minimum, at most
    history      pairs of steps and changes of the gradient that a descent remembers, of 16 bytes
                 for each coordinate
    Raises OptionError for values out of range.
    """

    tolerance: float | None = None
    evaluations: int = 5000
    history: int = 50

    def __post_init__(self) -> None:
        as_integer("evaluations", self.evaluations, 1)
        as_integer("history", self.history, 1)
        tolerance = self.tolerance
        if tolerance is not None and not (is_number(tolerance) and 0 < tolerance < np.inf):
            raise OptionError(
                "tolerance must be the norm of a gradient above 0, or None, got "
                f"{short_repr(tolerance)}: change tolerance"
            )


def as_polish(polish: "bool | Polish") -> Polish | None:
    """Options of polishing, those by default for True, None for False. Raises OptionError."""
    if isinstance(polish, Polish):
        return polish
    if not isinstance(polish, bool):
        raise OptionError(
            f"polish must be True, False or a Polish, got {short_repr(polish)}: pass "
            "Polish(tolerance=1e-6), say"
        )
    return Polish() if polish else None


def polish(
    minima: Minima,
    options: Polish | None = None,
    *,
    memory: int | str = MEMORY,
    store: str | Path | RunFolder | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> Minima:
    """Minima with small gradients, by descents of the exact loss from these.

    options   None: `Polish()`
    memory    bytes, or "4GB", for a batch of points
    store     a run folder: a minimum that is polished is stored there, and not polished again
    executor  whose workers polish, as `build_complex` takes
    progress  a bar on stderr, for what takes over two seconds
    No loss rises. Each descent is alone, and the same bits come of it whatever stands beside it. A
    LossWarning tells of minima that did not reach the tolerance, and of the norm that they did;
    `Minima.gradient_norms` has all. Raises OptionError for arguments out of range, CapacityError
    for a history that does not fit into memory, LossError for a loss that breaks its contract or
    has no gradient, and what `build_complex` raises for a store and for workers.
    """
    check_minima(minima)
    options = Polish() if options is None else options
    if not isinstance(options, Polish):
        raise OptionError(f"options must be a Polish or None, got {short_repr(options)}: leave out")
    progress, memory = as_bool("progress", progress), byte_count(memory)
    check_workers(executor, None)
    d = minima.points.shape[1]
    require(2 * options.history * d * 8, f"a history of {options.history} steps in {d} variables")
    with RunFolder.opened(store) as folder:
        if folder is not None:
            folder.match_settings(SETTINGS, _settings(minima, options), POLISHED)
        found = _all_descents(minima, options, folder, executor, progress)
    points = torch.stack([descent.point for descent in found]).to(minima.points)
    _warn_unconverged(found, _tolerance(options, points.dtype))
    return Minima(points, minima.loss, minima.search, memory)


class Descent(NamedTuple):
    """End of a descent: the point (d,) on the CPU, the gradient's norm, evaluations."""

    point: Tensor
    gradient_norm: float
    evaluations: int


def descend(
    loss: Loss,
    start: Tensor,
    options: Polish,
    threads: int,
    on_evaluation: Callable[[float], object] = lambda _norm: None,
) -> Descent:
    """The end of a descent from a start (d,); its loss is no higher, if its rounding is the same.

    threads        that torch takes
    on_evaluation  called with the norm of each gradient, for progress
    Raises LossError where the loss or its gradient breaks its contract at the start.
    """
    from scipy.optimize import minimize  # heavy, so loaded where it is used

    with torch_threads(threads):
        path = _Path(loss, start, options, on_evaluation)
        limits = {"maxfun": options.evaluations, "maxiter": options.evaluations}
        limits |= {"maxls": LINE_SEARCH, "maxcor": options.history, "ftol": 0.0, "gtol": 0.0}
        try:
            while path.goes_on():  # without history, where the last run ended by rounding
                x = path.point.double().cpu().numpy()
                minimize(path, x, jac=True, method="L-BFGS-B", options=limits)
        except _Ended:
            pass
        except NotFiniteError:
            if not path.evaluations:
                raise
        return Descent(path.point.cpu(), path.norm, path.evaluations)


class _Ended(Exception):
    """Raised inside L-BFGS: the gradient is small, or no evaluation is left."""


class _Path:
    """The lowest point of a descent so far, as L-BFGS evaluates the loss.

    Called with x (d,), rounded to the start's dtype: value, and gradient (d,) in double precision.
    Of points with one value the one with the smallest gradient is the lowest; a point of small
    gradient that is no higher than the start ends the descent.
    """

    def __init__(
        self, loss: Loss, start: Tensor, options: Polish, on_evaluation: Callable[[float], object]
    ) -> None:
        self._loss, self._limit, self._told = loss, options.evaluations, on_evaluation
        self._tolerance = _tolerance(options, start.dtype)
        self._highest = np.inf  # value at the start, once it is known
        self._before = (np.inf, np.inf)  # value and norm before the last run of L-BFGS
        self.point, self.value, self.norm, self.evaluations = start, np.inf, np.inf, 0

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        if self.evaluations == self._limit:
            raise _Ended
        point = torch.as_tensor(x).to(self.point)
        found = values_and_gradients(self._loss, point[None])
        value, slope = float(found.values[0]), found.gradients[0].double().cpu().numpy()
        norm = float(np.linalg.norm(slope))
        self._highest = value if not self.evaluations else self._highest
        self.evaluations += 1
        self._told(norm)
        is_end = norm <= self._tolerance and value <= self._highest
        if is_end or (value, norm) < (self.value, self.norm):
            self.point, self.value, self.norm = point.clone(), value, norm
        if is_end:
            raise _Ended
        return value, slope

    def goes_on(self) -> bool:
        """Whether to begin, or to begin again: the last run of L-BFGS lowered the value by more
        than rounding, or halved the gradient's norm.
        """
        (value, norm), self._before = self._before, (self.value, self.norm)
        rounding = torch.finfo(self.point.dtype).eps * abs(self.value)
        return not self.evaluations or self.value < value - rounding or self.norm < norm / 2


def _tolerance(options: Polish, dtype: torch.dtype) -> float:
    """The gradient norm at which descents from points of a dtype end."""
    return torch.finfo(dtype).eps ** 0.5 if options.tolerance is None else options.tolerance


def _all_descents(
    minima: Minima,
    options: Polish,
    folder: RunFolder | None,
    executor: Executor | None,
    progress: bool,
) -> list[Descent]:
    """Ends of the descents from all minima: those that are stored, then the others as they end."""
    n, threads = len(minima), torch.get_num_threads()
    found = {} if folder is None else _stored(folder, minima)
    left = [i for i in range(n) if i not in found]
    calls = [(minima.loss, minima.points[i], options, threads) for i in left]
    title = "minima: polishing"
    with progress_bar(title, options.evaluations * len(left), progress and bool(left)) as bar:

        def tell(norm: float) -> None:
            bar.set_postfix_str(f"gradient norm {norm:.1e}", refresh=False)
            bar.update()

        def here() -> Iterator[tuple[int, Descent]]:
            for row, call in enumerate(calls):
                yield row, descend(*call, on_evaluation=tell)

        for row, end in here() if executor is None else by_workers(executor, descend, calls):
            if executor is not None:
                bar.update(end.evaluations)
            bar.total -= options.evaluations - end.evaluations
            found[left[row]] = end
            if folder is not None:
                numbers = {"gradient_norm": end.gradient_norm, "evaluations": end.evaluations}
                folder.put(POLISHED, left[row], Record({"points": end.point}, numbers))
    return [found[i] for i in range(n)]


def _stored(folder: RunFolder, minima: Minima) -> dict[int, Descent]:
    """Descents that ended before. Raises DataError for those of other minima."""
    found = {}
    for number in folder.numbers(POLISHED):
        record = folder.get(POLISHED, number)
        assert record is not None, "its file was just listed"
        point = record.tensors.get("points")
        if number >= len(minima) or point is None or point.shape != minima.points.shape[1:]:
            raise DataError(
                f"records of {folder.folder} must be those of these minima, number {number} of "
                f"{POLISHED} is not: choose another folder"
            )
        found[number] = Descent(point, record.values["gradient_norm"], record.values["evaluations"])
    return found


def _settings(minima: Minima, options: Polish) -> dict[str, Any]:
    """All that the bits of polished minima depend on, as JSON values."""
    points = minima.points.cpu().contiguous()
    return {
        "minima": digest(points.numpy().tobytes()),
        "values at the minima": [float(value) for value in minima.values],
        "options": described(options),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _warn_unconverged(found: list[Descent], tolerance: float) -> None:
    norms = np.array([descent.gradient_norm for descent in found])
    above = np.flatnonzero(norms > tolerance)
    if above.size:
        worst = int(np.argmax(norms))
        warn(
            f"{above.size} of {len(found)} minima were not polished to a gradient norm of "
            f"{tolerance:.2g}, {worst} reached {norms[worst]:.2g} in {found[worst].evaluations} "
            "evaluations: allow more of them, give a loss that has minima (weight_decay), or "
            "double precision",
            LossWarning,
            stacklevel=3,
        )
