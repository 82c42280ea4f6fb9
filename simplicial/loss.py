"""What a loss is to this package: a function of points, and what it may offer besides.

A loss is any callable that takes points `(batch, d)` and returns values `(batch,)`, differentiable
by torch, each value depending on its own point alone. Everything else is optional: a loss over data
may offer cheap random estimates for training (`StochasticLoss`) and a score beside the value
(`ScoredLoss`), may compute its exact gradient itself (`DifferentiatedLoss`), and may say how
much memory a point takes (`SizedLoss`).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.errors import LossError, NotFiniteError
from simplicial.options import byte_count

Loss = Callable[[Tensor], Tensor]
Part = TypeVar("Part")
MEMORY = 2 * 2**30  # bytes that a batch of points may take, unless the caller says otherwise
POWER_STEPS = 30  # of the power iteration
CPU_MEMORY = "can't allocate memory"  # what torch says of a CPU, by no class of its own
SCRATCH = 64  # vectors of length d that a plain loss is taken to need for a point


class Evaluation(NamedTuple):
    """A loss at points: loss (batch,) float64, in the loss's units; accuracy (batch,) or None."""

    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64] | None

    @classmethod
    def joined(cls, parts: "list[Evaluation]") -> Self:
        """One after the other, at least one; all have an accuracy, or none has."""
        scores = [part.accuracy for part in parts if part.accuracy is not None]
        losses = np.concatenate([part.loss for part in parts])
        return cls(losses, np.concatenate(scores) if scores else None)


@runtime_checkable
class StochasticLoss(Protocol):
    """A loss with cheaper random estimates of itself, one for each mini-batch of its data."""

    def __call__(self, points: Tensor) -> Tensor:
        """Exact values (batch,) at points (batch, d)."""
        ...

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        """One pass over the data in random order: a differentiable estimate for each mini-batch."""
        ...


@runtime_checkable
class ScoredLoss(Protocol):
    """A loss that also knows the share of its examples that a point classifies correctly."""

    def evaluate(self, points: Tensor) -> Evaluation:
        """Exact loss and accuracy at points (batch, d), in one pass over the data."""
        ...


@runtime_checkable
class DifferentiatedLoss(Protocol):
    """A loss that computes its exact gradient in less memory than torch would for all its data."""

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Exact values (batch,) and gradients (batch, d) at points (batch, d)."""
        ...


@runtime_checkable
class SizedLoss(Protocol):
    """A loss that knows what a point costs in memory."""

    def point_bytes(self, *, gradients: bool = True) -> int:
        """Bytes that one more point in a batch takes, its gradient included unless left out."""
        ...


def points_at_once(loss: Loss, points: Tensor, memory: int | str, *, gradients: bool = True) -> int:
    """How many points like those of `points`, (batch, d), fit into `memory` bytes: 1 or more.

    With their gradients, unless `gradients` says otherwise.
    Raises OptionError for a budget of no bytes.
    """
    memory = byte_count(memory)
    if isinstance(loss, SizedLoss):
        size = loss.point_bytes(gradients=gradients)
    else:
        size = SCRATCH * points.shape[-1] * points.element_size()
    return max(1, memory // size)


class Portions:
    """So many points at once, and half as many from the time on that memory does not suffice.

    size  of a portion; values do not depend on it
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def of(self, count: int, work: Callable[[slice], Part]) -> list[Part]:
        """What `work` makes of points 0 .. count - 1, portion by portion.

        Raises LossError where one point alone is too much.
        """
        parts, first = [], 0
        while first < count:
            portion = slice(first, min(first + self.size, count))
            try:
                parts.append(work(portion))
            except (RuntimeError, MemoryError) as error:
                self._halve(portion.stop - first, error)
            else:
                first = portion.stop
                continue
            if torch.cuda.is_initialized():  # only now: an error that is handled holds its tensors
                torch.cuda.empty_cache()
        return parts

    def _halve(self, size: int, error: RuntimeError | MemoryError) -> None:
        is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
        is_memory = is_memory or CPU_MEMORY in str(error)
        if not is_memory:
            raise error
        if size == 1:
            raise LossError(
                "the loss at one point must fit into memory, it does not "
                f"({(str(error) or 'MemoryError').splitlines()[0]}): use a device with more "
                "memory, smaller mini-batches or a smaller model"
            ) from error
        self.size = size // 2


def evaluate(loss: Loss, points: Tensor, memory: int = MEMORY) -> Evaluation:
    """The loss, and its accuracy where it has one, at points (batch, d), a memory budget at a time.

    Raises LossError where the loss has the wrong type or shape, or is not finite.
    """

    def seen(portion: slice) -> Evaluation:
        chunk = points[portion]
        if not isinstance(loss, ScoredLoss):
            values = loss(chunk.clone())  # a loss may write into what it is given
            _check_shape(values, chunk)
            return Evaluation(values.double().cpu().numpy(), None)
        found = loss.evaluate(chunk.clone())
        for values in (found.loss, found.accuracy):
            if values is not None:
                _check_shape(values, chunk, (np.ndarray, Tensor))
        return found

    portions = Portions(points_at_once(loss, points, memory, gradients=False))
    with torch.no_grad():
        parts = portions.of(len(points), seen)
    together = Evaluation.joined(parts) if parts else Evaluation(np.empty(0), None)
    _check_finite(together.loss, points)
    return together


def values_and_gradients(
    loss: Loss, points: Tensor, memory: int = MEMORY
) -> tuple[NDArray[np.float64], Tensor]:
    """The loss (batch,) float64 and its gradient (batch, d) at points (batch, d), both exact.

    Raises LossError where either has the wrong shape or is not finite, or torch cannot
    differentiate the loss.
    """

    def seen(portion: slice) -> tuple[NDArray[np.float64], Tensor]:
        chunk = points.detach()[portion]
        if isinstance(loss, DifferentiatedLoss):
            value, gradients = loss.values_and_gradients(chunk.clone())
            _check_shape(value, chunk)
        else:
            _, value, gradients = _differentiate(loss, chunk, twice=False)
        return value.detach().double().cpu().numpy(), gradients.detach()

    portions = Portions(points_at_once(loss, points, memory))
    parts = [(np.empty(0), points[:0]), *portions.of(len(points), seen)]
    value = np.concatenate([part for part, _ in parts])
    gradients = torch.cat([part for _, part in parts])
    _check_finite(value, points)
    steepest = torch.linalg.vector_norm(gradients, torch.inf, dim=1)
    _check_finite(steepest.double().cpu().numpy(), points, "gradient")
    return value, gradients


def gradient(loss: Loss, points: Tensor) -> Tensor:
    """Gradient (batch, d) of a loss, or of an estimate of it, at points (batch, d).

    Raises LossError where the loss has the wrong shape or torch cannot differentiate it.
    """
    return _differentiate(loss, points, twice=False)[2].detach()


class Derivatives(NamedTuple):
    """A loss at points: values (batch,), gradients (batch, d), Hessians (batch, d, d)."""

    values: Tensor
    gradients: Tensor
    hessians: Tensor


def derivatives(loss: Loss, points: Tensor) -> Derivatives:
    """A loss's first two derivatives at points (batch, d); dense, so for few variables.

    Raises LossError where the loss has the wrong shape or torch cannot differentiate it.
    """

    def derived(portion: slice) -> Derivatives:
        x, f, g = _differentiate(loss, points[portion], twice=True)
        axes = torch.eye(x.shape[1]).to(x)
        rows = [_times_hessian(g, x, axis.expand_as(x)) for axis in axes]
        return Derivatives(f.detach(), g.detach(), torch.stack(rows, dim=1))

    parts = Portions(len(points)).of(len(points), derived) or [derived(slice(0))]
    return Derivatives(*map(torch.cat, zip(*parts, strict=True)))


class SecondOrder(NamedTuple):
    """A loss at one point: value, gradient (d,), and the map v -> H v, both (d,)."""

    value: Tensor
    gradient: Tensor
    hessian: Callable[[Tensor], Tensor]


def hessian_operator(loss: Loss, point: Tensor) -> SecondOrder:
    """A loss at a point (d,), with its Hessian as a linear map, for any d.

    What differentiates the gradient is kept for as long as the map is, and each product costs about
    two gradients. Raises LossError where the loss has the wrong shape or torch cannot differentiate
    it.
    """
    x, f, g = _differentiate(loss, point[None], twice=True)
    return SecondOrder(
        f.detach()[0], g.detach()[0], lambda v: _times_hessian(g, x, v.to(x)[None])[0]
    )


def steepest_curvature(loss: Loss, points: Tensor) -> float:
    """The largest |eigenvalue| of the loss's Hessians at points (batch, d), for any d.

    By power iteration from one fixed direction, so from below, and within a factor that a learning
    rate does not feel. Raises LossError where it is 0 or not finite.
    """
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(points.shape, generator=generator, dtype=points.dtype).to(points.device)
    tiny = torch.finfo(points.dtype).tiny  # where the Hessian is 0, v is 0 and stays so

    def sizes(portion: slice) -> Tensor:
        x, _, g = _differentiate(loss, points[portion], twice=True)
        v = start[portion]
        for _ in range(POWER_STEPS):
            v = _times_hessian(g, x, v / v.norm(dim=1, keepdim=True).clamp(min=tiny))
        return v.norm(dim=1)

    largest = float(torch.cat(Portions(len(points)).of(len(points), sizes)).max())
    if not 0 < largest < float("inf"):
        raise LossError(
            f"a learning rate is made from the loss's curvature, which is {largest} at the "
            "vertices: give the recipe, Algorithm1(recipe=Recipe(...))"
        )
    return largest


def _differentiate(loss: Loss, points: Tensor, *, twice: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Points as leaves, values and gradients there; the latter differentiable again if `twice`."""
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        values = loss(x.clone())
        _check_shape(values, x)
        if not values.requires_grad:
            raise LossError(
                "a loss must be differentiable by torch, but its values at points "
                f"{tuple(points.shape)} carry no gradient: compute them from the points with torch "
                "operations, outside torch.no_grad()"
            )
        return x, values, torch.autograd.grad(values.sum(), x, create_graph=twice)[0]


def _times_hessian(g: Tensor, x: Tensor, v: Tensor) -> Tensor:
    """H v (batch, d), from gradients g (batch, d) at x; zero where g does not depend on x."""
    if not g.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad((g * v).sum(), x, retain_graph=True, materialize_grads=True)[
        0
    ].detach()


def check_callable(loss: Any) -> None:
    """Raise LossError for what cannot be called, and for a class."""
    if not callable(loss) or isinstance(loss, type):
        got = f"the class {loss.__name__}" if isinstance(loss, type) else type(loss).__name__
        raise LossError(
            f"a loss must be callable on points (batch, d), got {got}: pass a function or a "
            "NetworkLoss"
        )


def _check_shape(values: Any, points: Tensor, kinds: tuple[type, ...] = (Tensor,)) -> None:
    if not isinstance(values, kinds):
        raise LossError(
            f"a loss must return a torch tensor, got {type(values).__name__}: compute the values "
            "from the points with torch operations"
        )
    if isinstance(values, Tensor) and not values.is_floating_point():
        raise LossError(
            f"a loss must be floating, its values are {values.dtype}: convert what it computes"
        )
    if isinstance(values, Tensor) and values.dtype.itemsize < 4:
        raise LossError(
            f"a loss must be at least float32, its values are {values.dtype}: compute it in float32"
        )
    if tuple(values.shape) != tuple(points.shape[:1]):
        raise LossError(
            f"a loss must return one value for each point: points {tuple(points.shape)} gave "
            f"values of shape {tuple(values.shape)}, need {tuple(points.shape[:1])}: sum over the "
            "last axis only"
        )


def _check_finite(values: NDArray[np.float64], points: Tensor, what: str = "loss") -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise NotFiniteError(
            f"a {what} must be finite on every simplex: it is {values[bad[0]]} at point "
            f"{_show(points[int(bad[0])])} ({bad.size} of {values.size} points): choose "
            "points where the loss is defined, or scale it"
        )


def _show(point: Tensor) -> str:
    shown = ", ".join(f"{x:.4g}" for x in point[:4].tolist())
    return f"[{shown}{', ...' if len(point) > 4 else ''}]"
