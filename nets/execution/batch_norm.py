"""Population statistics of batch norm and its kin: exact over given inputs, in any order.

They are the running statistics that torch's training mode has with momentum 1 when all inputs are
one batch: the mean, and the variance with the divisor n - 1, over all values of a channel in all
inputs and in all calls of a module in a forward; each call normalises by the mean and the variance,
divisor n, of its own values over all inputs. Instance norm's are means over examples.

Inputs in one part take one pass. Inputs in several parts take one pass for each call of a norm, up
to that call, and one more: a layer's values are known once the layers before it have their
statistics. Counts, means and centred squares of parts are summed in float64 (Chan, Golub & LeVeque
1983, eq. 2.1), so that no order and no partition changes statistics but by rounding. torch's own
sums are not taken: those of images with their channels last are off by 6e-4 on two thousand images.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from nets.execution.modules.moments import Moments, MomentsOfParts, sum_of_moments
from nets.execution.modules.norm_functions import is_batch_norm, norm_arguments, norm_of
from reduction import DataError

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
CHUNK = 2**19  # numbers whose squares are summed at a time, in the processor's caches


class PopulationStatistics(NamedTuple):
    """The running statistics of a norm, in the shape of its buffers; float64, or of their type."""

    mean: Tensor
    var: Tensor


def running_modules(model: nn.Module) -> list[nn.Module]:
    """The modules of a model that hold running statistics in buffers, frozen ones included."""
    return [
        module
        for module in model.modules()
        if {"running_mean", "running_var"} <= dict(module.named_buffers(recurse=False)).keys()
    ]


def running_statistics(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The running mean and variance of a norm, its buffers."""
    buffers = vars(norm)["_buffers"]  # get_buffer walks a path, at each norm of every evaluation
    return buffers["running_mean"], buffers["running_var"]


def moving_modules(model: nn.Module) -> list[nn.Module]:
    """Modules whose running statistics follow the inputs in training; sets the model's mode.

    The others are frozen, and their statistics constants of the function: modules that stay in
    evaluation mode when the model is told to train, and those that have no momentum.
    """
    model.train()
    return [
        module
        for module in running_modules(model)
        if module.training
        and hasattr(module, "momentum")
        and getattr(module, "track_running_stats", True)
    ]


@contextmanager
def momentum_of(modules: Sequence[nn.Module], momentum: float) -> Generator[None]:
    """The modules have this momentum.

    A number, since the cumulative mean of torch's momentum=None cannot be batched by vmap.
    """
    before: list[Any] = [module.momentum for module in modules]
    try:
        for module in modules:
            module.momentum = momentum  # pyright: ignore
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            module.momentum = own


def population_statistics(
    norms: Sequence[nn.Module], forward: Callable[[Any], object], parts: Sequence[Any]
) -> list[PopulationStatistics | None]:
    """The statistics of norms over all parts of the inputs; None of a norm that is not called.

    forward  the network in evaluation mode on a part, without gradients; called in one pass for one
             part, in several for more
    parts    of the inputs, as `forward` takes them
    Raises ValueError where a channel has one value, DataError for a norm whose statistics are not
    those of its last call with momentum 1, or are its own and the inputs in several parts, and for
    norms that are called in another order in another part.
    """
    return all_moments(norms, forward, parts).statistics()


def all_moments(
    norms: Sequence[nn.Module], forward: Callable[[Any], object], parts: Sequence[Any]
) -> "StatisticsPass":
    """The moments of every call of norms, as `population_statistics` pools them."""
    walk = StatisticsPass(norms, whole=len(parts) == 1)
    while walk.reaching:
        walk.reaching = False
        for part in parts:
            walk.run(partial(forward, part))
        walk.finish()
    return walk


def statistics_of_training(
    norms: Sequence[nn.Module], forward: Callable[[], object]
) -> list[PopulationStatistics] | None:
    """The statistics of torch's own norms over one batch, as its training mode leaves them.

    forward  the network in evaluation mode, without gradients, with buffers that may change
    None where that is not it: for norms of other kinds, or called more than once or on tensors that
    are not contiguous. The statistics before must be finite.
    """
    if not all(_is_torchs(norm) for norm in norms):
        return None
    contiguous: list[list[bool]] = [[] for _ in norms]  # inputs of each call
    with _training(norms, contiguous):
        forward()
        if any(calls != [True] for calls in contiguous):  # torch sums others not in float64
            return None
        return [PopulationStatistics(*running_statistics(norm)) for norm in norms]


def statistics_agree(one: PopulationStatistics, other: PopulationStatistics | None) -> bool:
    """Whether two computations of a norm's statistics differ by no more than rounding."""
    if other is None:
        return False
    pairs = zip(one, other, strict=True)
    return all(torch.allclose(a.double(), b, rtol=1e-3, atol=1e-5) for a, b in pairs)


@contextmanager
def _training(norms: Sequence[nn.Module], contiguous: Sequence[list[bool]]) -> Generator[None]:
    """Norms of torch's in training mode with momentum 1; whether inputs of each call are
    contiguous.
    """

    def watched(norm: nn.Module, calls: list[bool], input: Tensor) -> Tensor:
        calls.append(input.is_contiguous())
        return type(norm).forward(norm, input)

    before = [dict(vars(norm)) for norm in norms]
    try:
        for norm, calls in zip(norms, contiguous, strict=True):
            own = {"forward": partial(watched, norm, calls), "training": True, "momentum": 1.0}
            vars(norm).update(own)
        yield
    finally:
        for norm, own in zip(norms, before, strict=True):
            vars(norm).pop("forward", None)
            vars(norm).update(training=own["training"], momentum=own["momentum"])


def _is_torchs(norm: Any) -> bool:
    own = vars(norm)
    # a momentum that is a property cannot be set for a while as a module's own attribute
    return type(norm).forward is _BatchNorm.forward and "forward" not in own and "momentum" in own


class Reached(BaseException):  # which no network takes for an error of its own
    """The forward has come to a call whose statistics are not known yet."""


@dataclass(eq=False)
class StatisticsPass:
    """Passes over the inputs: moments of each call (norm, number in the forward) of a norm.

    whole      whether the inputs are one part, so that its moments are those of all
    reaching   whether a further pass may come to a call that none has come to
    known      moments of all inputs, by call
    fresh      moments of the parts of this pass, by call
    pooled     whether the variance between parts belongs to a norm's, by norm
    calls      of each norm in this forward, so far
    """

    norms: Sequence[nn.Module]
    whole: bool
    reaching: bool = True
    known: dict[tuple[int, int], Moments] = field(default_factory=dict[tuple[int, int], Moments])
    fresh: dict[tuple[int, int], MomentsOfParts] = field(
        default_factory=dict[tuple[int, int], MomentsOfParts]
    )
    pooled: dict[int, bool] = field(default_factory=dict[int, bool])
    calls: Counter[int] = field(default_factory=Counter[int])

    def run(self, forward: Callable[[], object]) -> None:
        """One forward, as far as statistics are known."""
        self.calls.clear()
        try:
            with ExitStack() as stack:
                stack.enter_context(_NormFunctions(self))
                for index in range(len(self.norms)):
                    stack.enter_context(self._watched(index))
                forward()
        except Reached:
            self.reaching = True

    def finish(self) -> None:
        """Sum the moments that a pass has found."""
        first = [call for call in self.fresh if self.pooled[call[0]]]
        if not self.whole and len(first) > 1:
            raise self.disorder(first[0], first[1])
        for call, found in self.fresh.items():
            self.known[call] = found.sum(between=self.pooled[call[0]])
        self.fresh.clear()

    def disorder(self, first: tuple[int, int], second: tuple[int, int]) -> DataError:
        """The error that some inputs come to one call of a norm first, and others to another."""
        one, other = (type(self.norms[index]).__name__ for index, _ in (first, second))
        return DataError(
            "a network must call its norms in one order for all inputs, where these are too "
            f"many for one batch, it comes to a {one} or to another {other} first: pass fewer "
            "inputs by `statistics`"
        )

    def statistics(self) -> list[PopulationStatistics | None]:
        """The statistics of each norm; None of one that is not called."""
        return [self.of_norm(index) for index in range(len(self.norms))]

    def of_norm(self, index: int) -> PopulationStatistics | None:
        """The statistics of a norm over all of its calls."""
        found = [moments for call, moments in self.known.items() if call[0] == index]
        if not found:
            return None
        total = sum_of_moments(found, between=self.pooled[index])
        if not self.pooled[index]:
            return PopulationStatistics(total.mean, total.var)
        return PopulationStatistics(total.mean, total.var * (total.size / (total.size - 1)))

    def next_call(self, index: int) -> tuple[int, int]:
        """The call of a norm that begins."""
        self.calls[index] += 1
        return index, self.calls[index]

    def batch_norm(self, index: int, inputs: Tensor) -> Moments:
        """Moments by which a call of batch norm normalises; raises Reached if not known yet."""
        call, self.pooled[index] = self.next_call(index), True
        if call in self.known:
            return self.known[call]
        found = self.moments(inputs)
        self.fresh.setdefault(call, MomentsOfParts()).append(found)
        if not self.whole:
            raise Reached
        return found

    def moments(self, inputs: Tensor) -> Moments:
        """Moments of inputs (n, channels, ...) by channel."""
        rows = max(1, CHUNK * len(inputs) // max(1, inputs.numel()))
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        found = list[Moments]()
        for chunk in inputs.split(rows):
            values = chunk.to(torch.promote_types(chunk.dtype, torch.float32))
            mean = values.mean(axes, keepdim=True)
            var = (values - mean).square_().mean(axes)
            count = chunk.numel() // chunk.shape[1]
            found.append(Moments(count, mean.flatten().double(), var.double()))
        return sum_of_moments(found, between=True)

    def instance_norm(self, given: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Instance norm by its arguments, and its mean and variance, means over the examples."""
        mean, var = (torch.zeros_like(given[name]) for name in STATISTICS[:2])
        own = {"running_mean": mean, "running_var": var, "use_input_stats": True, "momentum": 1.0}
        return norm_of(functional.instance_norm, {**given, **own}, differentiable=False), mean, var

    def normed(self, func: Any, index: int, given: Mapping[str, Any]) -> Tensor:
        """A call of a norm by one of torch's functions, with arguments by name."""
        inputs, running = given["input"], given["running_mean"]
        if not is_batch_norm(func):
            outputs, mean, var = self.instance_norm(given)
            self.add_means(index, len(inputs), mean, var)
            return outputs
        if self.whole and inputs.numel() < 2 * inputs.shape[1]:
            raise ValueError(
                f"batch norm needs more than 1 value per channel, inputs {tuple(inputs.shape)}"
            )
        moments = self.batch_norm(index, inputs)
        mean, var = moments.mean.to(running), moments.var.to(running)
        given = {**given, "running_mean": mean, "running_var": var, "training": False}
        return norm_of(func, given, differentiable=mean.requires_grad)

    def add_means(self, index: int, count: int, mean: Tensor, var: Tensor) -> None:
        """Enter statistics of a call that are means over examples."""
        call, self.pooled[index] = self.next_call(index), False
        if call not in self.known:
            moments = Moments(count, mean.double(), var.double())
            self.fresh.setdefault(call, MomentsOfParts()).append(moments)

    @contextmanager
    def _watched(self, index: int) -> Generator[None]:
        """A norm by arithmetic of its own, and not by torch's functions, updates its statistics."""
        norm: Any = self.norms[index]
        own, forward = norm.__dict__.get("forward"), norm.forward

        def watched(*args: Any, **kwargs: Any) -> Any:
            before = self.calls[index]
            outputs = forward(*args, **kwargs)
            if self.calls[index] > before:
                return outputs
            if not self.whole:
                raise DataError(
                    f"statistics of {type(norm).__name__}, which computes them itself, must be "
                    "those of one batch, the inputs are too many for it: pass fewer by "
                    "`statistics`, or normalise by torch.nn.functional.batch_norm"
                )
            outputs, mean, var = self.statistics_of(index, forward, args, kwargs)
            given = [*args, *kwargs.values()]
            count = next((len(each) for each in given if isinstance(each, Tensor)), 1)
            self.add_means(index, count, mean, var)
            return outputs

        norm.forward = watched
        try:
            yield
        finally:
            if own is None:
                del norm.forward
            else:
                norm.forward = own

    def statistics_of(
        self, index: int, forward: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Any, Tensor, Tensor]:
        """Outputs, running mean and variance of a norm that computes them itself: in training mode
        with momentum 1, they are the batch's.
        """
        norm: Any = self.norms[index]
        found: list[tuple[Tensor, Tensor]] = []
        outputs: Any = None
        with momentum_of([norm], 1.0):
            norm.training = True
            for start in (1.0, 0.0):
                norm.running_mean.fill_(start)
                norm.running_var.fill_(start)
                outputs = forward(*args, **kwargs)
                found.append((norm.running_mean.clone(), norm.running_var.clone()))
            norm.training = False
        for one, other in zip(*found, strict=True):
            if not torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True):
                raise DataError(
                    "running statistics must be those of the last batch where momentum is 1, as "
                    f"torch's are, {type(norm).__name__} updates its own otherwise: compute "
                    "(1 - momentum) * running + momentum * batch, or pass batch_norm='stored'"
                )
        return outputs, *found[-1]


class _NormFunctions(TorchFunctionMode):
    """A mode in which torch's norms with the running statistics of norms take population's."""

    def __init__(self, walk: StatisticsPass) -> None:
        super().__init__()
        self.walk = walk

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = norm_arguments(func, args, kwargs)
        norms = enumerate(self.walk.norms) if given is not None else ()
        running = None if given is None else given["running_mean"]
        index = next((i for i, norm in norms if norm.running_mean is running), None)
        if given is None or index is None:
            return func(*args, **kwargs)
        return self.walk.normed(func, index, given)
