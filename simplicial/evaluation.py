"""Evaluation of a loss at points: values, gradients, products with Hessians, in batches that fit
into memory.

What a loss declares (`simplicial.loss`) is used, and torch does the rest. Values are checked: one
finite number for each point.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.validation import as_integer, first_line, short_repr
from simplicial.errors import LossError, NotFiniteError
from simplicial.functions.outputs import shown_point
from simplicial.functions.own_gradients import (
    hessian_error,
    own_values_and_gradients,
    recorded,
)
from simplicial.loss import (
    DifferentiatedLoss,
    Evaluation,
    Loss,
    ParametrizedLoss,
    ScoredLoss,
    SizedLoss,
    TwiceDifferentiatedLoss,
    ValueAndGradient,
)
from simplicial.options import MEMORY, byte_count

Part = TypeVar("Part")
Floats = NDArray[np.float64]
POWER_STEPS = 30  # of the power iteration
CPU_MEMORY = "can't allocate memory"  # what torch says of a CPU, by no class of its own
NO_ARRAY = "requires grad"  # what torch says of a tensor that is to be an array, likewise
SCRATCH = 64  # vectors of length d that a plain loss is taken to need for a point


def check_callable(loss: Any) -> None:
    """Raise LossError for what cannot be called, and for a class."""
    if not callable(loss) or isinstance(loss, type):
        got = f"the class {loss.__name__}" if isinstance(loss, type) else type(loss).__name__
        raise LossError(
            f"a loss must be callable on points (batch, d), got {got}: pass a function or a "
            "NetworkLoss"
        )


def points_at_once(loss: Loss, points: Tensor, memory: int | str, *, gradients: bool = True) -> int:
    """Number of points like those of `points`, (batch, d), that fit into `memory` bytes: 1 or more.

    With their gradients, unless `gradients` says otherwise.
    Raises OptionError for a budget of no bytes.
    """
    memory = byte_count(memory)
    if isinstance(loss, SizedLoss):
        size = as_integer("point_bytes", loss.point_bytes(gradients=gradients), 1)
    else:
        size = SCRATCH * points.shape[-1] * points.element_size()
    return max(1, memory // size)


def gradient_fits(loss: Loss, memory: int) -> bool:
    """Whether an exact gradient at one point fits into `memory` bytes, as far as the loss tells."""
    return not isinstance(loss, SizedLoss) or loss.point_bytes() <= memory


class AdaptiveBatches:
    """Batches of points of a given size, halved whenever memory does not suffice.

    size  points in a batch; results do not depend on it
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def map(self, work: Callable[[slice], Part], count: int) -> list[Part]:
        """The results of `work` on points 0 .. count - 1, batch by batch.

        Raises LossError where one point alone is too much.
        """
        parts, first = [], 0
        while first < count:
            some = slice(first, min(first + self.size, count))
            try:
                parts.append(work(some))
            except (RuntimeError, MemoryError) as error:
                self._halve(some.stop - first, error)
            else:
                first = some.stop
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
                f"({first_line(error)}): use a device with more memory, smaller mini-batches or a "
                "smaller model"
            ) from error
        self.size = size // 2


def evaluate(loss: Loss, points: Tensor, memory: int = MEMORY) -> Evaluation:
    """The loss, and its accuracy where it has one, at points (batch, d), a memory budget at a time.

    Raises LossError where the loss has the wrong type or shape, or is not finite.
    """

    def evaluated(some: slice) -> Evaluation:
        batch = points[some]
        if not isinstance(loss, ScoredLoss):
            values = loss(_given(loss, batch))
            _check_shape(values, batch)
            return Evaluation(values.double().cpu().numpy(), None)
        found = _declared(loss, "evaluate", loss.evaluate(_given(loss, batch)), Evaluation)
        for values in (found.loss, found.accuracy):
            if values is not None:
                _check_shape(values, batch, (np.ndarray, Tensor))
        return found

    batches = AdaptiveBatches(points_at_once(loss, points, memory, gradients=False))
    with torch.no_grad():
        parts = batches.map(evaluated, len(points))
    together = Evaluation.joined(parts) if parts else Evaluation(np.empty(0), None)
    _check_finite(together.loss, points)
    return together


def values_and_gradients(loss: Loss, points: Tensor, memory: int = MEMORY) -> ValueAndGradient:
    """The exact loss and its exact gradient at points (batch, d).

    Raises LossError where either has the wrong shape or is not finite, or torch cannot
    differentiate the loss.
    """

    def evaluated(some: slice) -> ValueAndGradient:
        batch = points.detach()[some]
        if isinstance(loss, DifferentiatedLoss):
            value, gradients = own_values_and_gradients(loss, _given(loss, batch))
            _check_shape(value, batch)
        else:
            _, value, gradients, _ = _differentiate(loss, batch, twice=False)
        return ValueAndGradient(value.detach().double().cpu().numpy(), gradients.detach())

    batches = AdaptiveBatches(points_at_once(loss, points, memory))
    none = ValueAndGradient(np.empty(0), points[:0])
    parts = [none, *batches.map(evaluated, len(points))]
    values = np.concatenate([part.values for part in parts])
    gradients = torch.cat([part.gradients for part in parts])
    _check_finite(values, points)
    steepest = torch.linalg.vector_norm(gradients, torch.inf, dim=1)
    _check_finite(steepest.double().cpu().numpy(), points, "gradient")
    return ValueAndGradient(values, gradients)


def where_finite(
    compute: Callable[[Tensor], Floats], points: Tensor, shape: tuple[int, ...] = ()
) -> Floats:
    """What is computed of points (n, d), an array (n, *shape), NaN for those where it raises
    NotFiniteError.
    """
    try:
        return compute(points)
    except NotFiniteError:
        if len(points) == 1:
            return np.full((1, *shape), np.nan)
        return np.concatenate([where_finite(compute, one, shape) for one in points.split(1)])


def gradient(loss: Loss, points: Tensor) -> Tensor:
    """Gradient (batch, d) of a loss, or of an estimate of it, at points (batch, d).

    A loss's own where it declares one. Raises LossError where the loss has the wrong shape or torch
    cannot differentiate it.
    """
    if isinstance(loss, DifferentiatedLoss):
        values, gradients = own_values_and_gradients(loss, _given(loss, points.detach()))
        _check_shape(values, points)
        return gradients.detach()
    return _differentiate(loss, points, twice=False).gradients.detach()


class Derivatives(NamedTuple):
    """A loss at points: values (batch,), gradients (batch, d), Hessians (batch, d, d).

    error  of Hessians, as a share of their largest |eigenvalue|: an eigenvalue below it may be 0
    """

    values: Tensor
    gradients: Tensor
    hessians: Tensor
    error: float


def derivatives(loss: Loss, points: Tensor) -> Derivatives:
    """A loss's first two derivatives at points (batch, d); dense, so for few variables.

    Raises LossError where the loss has the wrong shape or torch cannot differentiate it.
    """

    def derived(some: slice) -> Derivatives:
        x, f, g, error = _differentiate(loss, points[some], twice=True)
        axes = torch.eye(x.shape[1]).to(x)
        rows = [_times_hessian(g, x, axis.expand_as(x)) for axis in axes]
        return Derivatives(f.detach(), g.detach(), torch.stack(rows, dim=1), error)

    parts = AdaptiveBatches(len(points)).map(derived, len(points)) or [derived(slice(0))]
    values, gradients, hessians, errors = zip(*parts, strict=True)
    return Derivatives(torch.cat(values), torch.cat(gradients), torch.cat(hessians), max(errors))


class SecondOrder(NamedTuple):
    """A loss at one point: value, gradient (d,), the map v -> H v, both (d,), and the error of H as
    that of `Derivatives`.
    """

    value: Tensor
    gradient: Tensor
    hessian: Callable[[Tensor], Tensor]
    error: float


def hessian_operator(loss: Loss, point: Tensor) -> SecondOrder:
    """A loss at a point (d,), with its Hessian as a linear map, for any d.

    What differentiates the gradient is kept for as long as the map is, and each product costs about
    two gradients. Raises LossError where the loss has the wrong shape or torch cannot differentiate
    it.
    """
    x, f, g, error = _differentiate(loss, point[None], twice=True)
    return SecondOrder(
        f.detach()[0], g.detach()[0], lambda v: _times_hessian(g, x, v.to(x)[None])[0], error
    )


def steepest_curvature(loss: Loss, points: Tensor) -> float:
    """The largest |eigenvalue| of the loss's Hessians at points (batch, d), for any d.

    By power iteration from one fixed direction, so from below, and within a factor that a learning
    rate does not feel. Raises LossError where it is 0 or not finite.
    """
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(points.shape, generator=generator, dtype=points.dtype).to(points.device)
    tiny = torch.finfo(points.dtype).tiny  # where the Hessian is 0, v is 0 and stays so

    def sizes(some: slice) -> Tensor:
        x, _, g, _ = _differentiate(loss, points[some], twice=True)
        v = start[some]
        for _ in range(POWER_STEPS):
            v = _times_hessian(g, x, v / v.norm(dim=1, keepdim=True).clamp(min=tiny))
        return v.norm(dim=1)

    largest = float(torch.cat(AdaptiveBatches(len(points)).map(sizes, len(points))).max())
    if not 0 < largest < float("inf"):
        raise LossError(
            f"a learning rate is made from the loss's curvature, which is {largest} at the "
            "vertices: give the recipe, Algorithm1(recipe=Recipe(...))"
        )
    return largest


class _Differentiated(NamedTuple):
    """Points as leaves, values (batch,) and gradients (batch, d) there, the error of Hessians."""

    points: Tensor
    values: Tensor
    gradients: Tensor
    error: float


def _differentiate(loss: Loss, points: Tensor, *, twice: bool) -> _Differentiated:
    """A loss at points (batch, d), gradients differentiable again if `twice`: by torch, or else by
    the loss's own gradient.
    """
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        values, error = _by_torch(loss, x), float(torch.finfo(x.dtype).eps) ** (2 / 3)
        if values is None:
            assert isinstance(loss, DifferentiatedLoss), "all others are differentiated by torch"
            values = recorded(loss, x)
            _check_shape(values, x)
            error = max(error, hessian_error(loss, x.dtype))
        elif isinstance(loss, TwiceDifferentiatedLoss):
            error = max(error, hessian_error(loss, x.dtype))
        if not values.requires_grad:
            raise LossError(
                "a loss must be differentiable by torch, but its values at points "
                f"{tuple(points.shape)} carry no gradient: compute them from the points with torch "
                "operations, outside torch.no_grad(), or make a loss by simplicial.from_numpy"
            )
        slopes = torch.autograd.grad(values.sum(), x, create_graph=twice)[0]
        return _Differentiated(x, values, slopes, error)


def _by_torch(loss: Loss, x: Tensor) -> Tensor | None:
    """Values (batch,) at leaves x (batch, d); None for a loss that has its own gradient, and none
    of torch's.
    """
    try:
        values = loss(x.clone())
    except RuntimeError as error:
        if NO_ARRAY not in str(error):
            raise
        if isinstance(loss, DifferentiatedLoss):
            return None
        raise LossError(
            "a loss must be differentiable by torch, this one makes NumPy arrays of its points "
            f"({first_line(error)}): make a loss of it by simplicial.from_numpy"
        ) from error
    _check_shape(values, x)
    is_own = isinstance(loss, DifferentiatedLoss) and not values.requires_grad
    return None if is_own else values


def _times_hessian(g: Tensor, x: Tensor, v: Tensor) -> Tensor:
    """H v (batch, d), from gradients g (batch, d) at x; zero where g does not depend on x."""
    if not g.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad((g * v).sum(), x, retain_graph=True, materialize_grads=True)[
        0
    ].detach()


def _given(loss: Loss, points: Tensor) -> Tensor:
    """Points for a loss, which may write into them; a loss of networks does not, whose parameters
    take as long to copy as images to read.
    """
    return points if isinstance(loss, ParametrizedLoss) else points.clone()


def _declared(loss: Loss, ability: str, given: Any, kind: type[Part]) -> Part:
    """The result of a method that a loss declares. Raises LossError for another type."""
    if not isinstance(given, kind):
        raise LossError(
            f"{ability} of a loss that declares it must return a {kind.__name__}, that of "
            f"{type(loss).__name__} gives {short_repr(given)}: see simplicial.loss"
        )
    return given


def _check_shape(values: Any, points: Tensor, kinds: tuple[type, ...] = (Tensor,)) -> None:
    if not isinstance(values, kinds):
        raise LossError(
            f"a loss must return a torch tensor, got {type(values).__name__}: compute the values "
            "from the points with torch operations, or make a loss by simplicial.from_numpy"
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
            f"{shown_point(points[int(bad[0])])} ({bad.size} of {values.size} points): choose "
            "points where the loss is defined, or scale it"
        )
