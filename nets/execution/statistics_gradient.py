"""Gradients through batch norm's statistics, which are functions of the point.

Inputs whose graph fits into memory are one batch: torch differentiates the pass that gives the
statistics. Of more inputs the graph of one part is held at a time (an adjoint method): the moments
of a call of a norm are means, over all inputs, of functions of the point and of the moments of the
calls before it. So from the last call to the first, a pass over the parts, up to that call, takes
the product of a gradient by the call's moments, which is known by then, with their derivatives: it
adds to the gradient by the point, and to those by the moments of the calls before. Instance norm's
statistics, on which no call depends, take one pass together. A gradient that is to be
differentiated in its turn has the graph of all inputs.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from nets.data.trees import Tree, joined
from nets.execution.batch_norm import (
    PopulationStatistics,
    Reached,
    StatisticsPass,
    all_moments,
    momentum_of,
)
from nets.execution.modules.functional_calls import KeptGraphs, kept_graphs
from nets.execution.modules.moments import Moments
from nets.execution.modules.norm_functions import DifferentiableMoments, norm_of
from nets.execution.modules.norms_by_hand import statistics_by_hand
from nets.execution.modules.second_derivatives import twice_differentiable
from reduction import DataError

Call = tuple[int, int]  # of a norm, by its number and that of the call in a forward
Part = Callable[[], Tree]
Adjoint = tuple[Tensor, Tensor] | None  # of a norm's mean and variance; None: it is not called
Network = tuple[list[nn.Module], Callable[[Part], None]]


@dataclass(frozen=True)
class StatisticsGradient:
    """The derivatives of statistics over given inputs.

    network  the norms at a point (d,) and the network's evaluation of a part of the inputs, while
             the context lasts
    parts    of the inputs, whose statistics are taken
    graphs   the same inputs in parts whose graphs fit into memory
    reruns   whether parts of the network run again when a gradient is taken
    """

    network: Callable[[Tensor], AbstractContextManager[Network]]
    parts: Sequence[Part]
    graphs: Sequence[Part]
    reruns: bool

    def graph(
        self, point: Tensor, population: StatisticsPass | None
    ) -> list[PopulationStatistics | None]:
        """The statistics of norms at a point (d,), by torch's graph of all inputs.

        population  the moments there, where those are of parts
        """
        kept = KeptGraphs() if self.reruns else nullcontext()
        with torch.enable_grad(), self.network(point) as (norms, forward), kept:
            walk = _GraphPass(norms, whole=True, reruns=self.reruns)
            walk.run(partial(forward, partial(_together, self.graphs)))
            found = walk.statistics()
        if population is not None:
            sizes, others = (
                {call: moments.size for call, moments in each.known.items()}
                for each in (population, walk)
            )
            for call in sizes.keys() | others.keys():
                if sizes.get(call) != others.get(call):
                    raise _partition(norms[call[0]])
        return found

    def population(self, point: Tensor) -> StatisticsPass:
        """The moments of all calls at a point (d,)."""
        with torch.no_grad(), self.network(point.detach()) as (norms, forward):
            return all_moments(norms, forward, self.parts)

    def product(
        self, point: Tensor, adjoints: Sequence[Adjoint], population: StatisticsPass | None
    ) -> Tensor:
        """The gradient (d,) at a point of a function of statistics, from its own by them.

        population  the moments there, if they are known
        """
        if len(self.graphs) > 1:
            population = population or self.population(point)
        with torch.enable_grad():
            leaf = point.detach().requires_grad_()
            kept = KeptGraphs() if self.reruns else nullcontext()
            with self.network(leaf) as (norms, forward), kept:
                if len(self.graphs) > 1 and population is not None:
                    _by_parts(replace(population, norms=norms), forward, self, adjoints)
                else:
                    walk = _GraphPass(norms, whole=True, reruns=self.reruns)
                    walk.run(lambda: _backward(_moved(walk, forward, self.graphs[0]), adjoints))
            return _slope(leaf)


def differentiable_statistics(
    points: Tensor,
    compute: Callable[[Tensor], Sequence[PopulationStatistics | None]],
    gradient: StatisticsGradient,
) -> list[PopulationStatistics | None]:
    """Statistics (batch, ...) of each norm at points (batch, d), one after another; None of a norm
    that is not called.

    compute  statistics at a point (d,); called without gradients
    Differentiable by `torch.autograd` where that records.
    """
    recorded = torch.is_grad_enabled() and points.requires_grad
    populations: list[StatisticsPass | None] = [None] * len(points)
    with torch.no_grad():
        if recorded and len(gradient.parts) > 1:  # as `compute` does, which forgets the moments
            populations = [gradient.population(point) for point in points]
        rows = [
            compute(point) if known is None else known.statistics()
            for point, known in zip(points, populations, strict=True)
        ]
    called = [all(found) for found in zip(*rows, strict=True)]
    flat = [torch.stack(tensors) for tensors in zip(*map(_flat, rows), strict=True)]
    if recorded and flat:
        flat = _Statistics.apply(points, gradient, populations, called, *flat)
    pairs = iter(zip(flat[::2], flat[1::2], strict=True))
    return [PopulationStatistics(*next(pairs)) if known else None for known in called]


def as_leaves(buffers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Buffers as leaves of torch's graph, which carry a gradient if the buffers do."""
    return {
        k: buffer.detach().requires_grad_(buffer.requires_grad) for k, buffer in buffers.items()
    }


def add_gradients(buffers: Mapping[str, Tensor], leaves: Mapping[str, Tensor]) -> None:
    """Add the gradient of a function of buffers, from its own in their leaves, to the points'."""
    moved = [k for k, leaf in leaves.items() if leaf.grad is not None]
    if moved:
        torch.autograd.backward([buffers[k] for k in moved], [leaves[k].grad for k in moved])


class _Statistics(Function):
    """Statistics whose backward pass computes them again, with a graph."""

    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        gradient: StatisticsGradient,
        populations: list[StatisticsPass | None],
        called: list[bool],
        *flat: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.gradient, ctx.populations, ctx.called = gradient, populations, called
        ctx.save_for_backward(points)
        return tuple(tensor.clone() for tensor in flat)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        (points,) = ctx.saved_tensors
        rest = [None] * (3 + len(outer))
        if not torch.is_grad_enabled():
            rows = zip(points, ctx.populations, *outer, strict=True)
            found = [
                ctx.gradient.product(point, _paired(ctx.called, own), known)
                for point, known, *own in rows
            ]
            return torch.stack(found), *rest
        with twice_differentiable():  # as `nets.execution.value_and_grad` does
            pairs = zip(points, ctx.populations, strict=True)
            rows = [_flat(ctx.gradient.graph(point, known)) for point, known in pairs]
        flat = [torch.stack(tensors) for tensors in zip(*rows, strict=True)]
        moving = [pair for pair in zip(flat, outer, strict=True) if pair[0].requires_grad]
        if not moving:
            return None, *rest
        statistics, slopes = zip(*moving, strict=True)
        return *torch.autograd.grad(statistics, points, slopes, create_graph=True), *rest


@dataclass(eq=False)
class _GraphPass(StatisticsPass):
    """Passes whose moments torch differentiates.

    reruns  whether parts of the network run again when a gradient is taken
    """

    reruns: bool = False

    def next_call(self, index: int) -> Call:
        """The call of a norm that begins."""
        if self.reruns and not torch.is_grad_enabled():
            raise DataError(
                "gradients go through running statistics, for which torch must record, it does not "
                f"where {type(self.norms[index]).__name__} is called: use "
                "torch.utils.checkpoint(..., use_reentrant=False), or pass batch_norm='stored'"
            )
        return super().next_call(index)

    def moments(self, inputs: Tensor) -> Moments:
        """Moments of inputs (n, channels, ...) by channel."""
        with kept_graphs() if self.reruns else nullcontext():
            mean, var = DifferentiableMoments.apply(inputs, super().moments)
        return Moments(inputs.numel() // inputs.shape[1], mean, var)

    def instance_norm(self, given: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Instance norm by its arguments, and its mean and variance, means over the examples."""
        own = {"running_mean": None, "running_var": None, "use_input_stats": True}
        outputs = norm_of(functional.instance_norm, {**given, **own}, differentiable=False)
        axes = list(range(2, outputs.ndim))
        var, mean = torch.var_mean(given["input"], axes, correction=1)
        return outputs, mean.mean(dim=0), var.mean(dim=0)

    def statistics_of(
        self, index: int, forward: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Any, Tensor, Tensor]:
        """Outputs, running mean and variance of a norm that computes them itself."""
        with momentum_of([self.norms[index]], 1.0):
            return statistics_by_hand(self.norms[index], forward, args, kwargs)

    def statistics(self) -> list[PopulationStatistics | None]:
        """Those of each norm, from the moments that a pass has found."""
        self.finish()
        return super().statistics()


@dataclass(eq=False)
class _CallPass(_GraphPass):
    """A pass over a part, up to one call of batch norm, or to the end for instance norm.

    known   moments of all inputs, of the calls before
    target  that call; None: all calls whose statistics are means over examples
    found   moments of the part, by call
    """

    target: Call | None = None
    found: dict[Call, Moments] = field(default_factory=dict[Call, Moments])

    def batch_norm(self, index: int, inputs: Tensor) -> Moments:
        """Moments by which a call of batch norm normalises."""
        call = self.next_call(index)
        if call == self.target:
            self.found[call] = self.moments(inputs)
            raise Reached
        if call not in self.known:
            raise self.disorder(call, self.target or call)
        return self.known[call]

    def add_means(self, index: int, count: int, mean: Tensor, var: Tensor) -> None:
        """Enter statistics of a call that are means over examples."""
        call = self.next_call(index)
        if self.target is None:
            self.found[call] = Moments(count, mean.double(), var.double())


def _by_parts(
    population: StatisticsPass,
    forward: Callable[[Part], None],
    gradient: StatisticsGradient,
    adjoints: Sequence[Adjoint],
) -> None:
    """Add the gradient of a function of statistics, from its own by them, to the point's.

    population  the moments of all inputs, which leaves of the graph have here
    """
    pooled, leaves = population.pooled, dict[Call, Moments]()
    for call, moments in population.known.items():
        mean, var = (tensor.detach().requires_grad_() for tensor in moments[1:])
        leaves[call] = Moments(moments.size, mean, var)
    _backward(replace(population, known=leaves).statistics(), adjoints)
    calls = [call for call in leaves if pooled[call[0]]]
    means = [None] if len(calls) < len(leaves) else []
    for target in [*means, *reversed(calls)]:
        before = calls if target is None else calls[: calls.index(target)]
        known = {call: leaves[call] for call in before}
        counted = dict.fromkeys([target] if target else set(leaves) - set(calls), 0)
        for part in gradient.graphs:
            walk = _CallPass(population.norms, whole=False, known=known, target=target)
            walk.reruns = gradient.reruns
            walk.run(lambda part=part, walk=walk: _add_part(walk, forward, part, leaves))
            for call, found in walk.found.items():
                counted[call] = counted.get(call, 0) + found.size
        for call, size in counted.items():
            if call not in leaves or size != leaves[call].size:
                raise _partition(population.norms[call[0]])


def _add_part(
    walk: _CallPass, forward: Callable[[Part], None], part: Part, leaves: dict[Call, Moments]
) -> None:
    """Add the share of a part in the gradient by moments of calls, times their adjoints."""
    with suppress(Reached):
        forward(part)
    total: Any = 0.0
    for call, found in walk.found.items():
        if call not in leaves:
            raise _partition(walk.norms[call[0]])
        size, mean, var = leaves[call]
        share, pooled = found.size / size, walk.target is not None
        spread = (found.mean - mean.detach()).square() if pooled else 0.0
        total = total + share * (_slope(mean) * found.mean).sum()
        total = total + share * (_slope(var) * (found.var + spread)).sum()
    if isinstance(total, Tensor) and total.requires_grad:
        total.backward()


def _slope(leaf: Tensor) -> Tensor:
    """The gradient that has been added up in a leaf."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _partition(norm: nn.Module) -> DataError:
    return DataError(
        "where inputs of statistics are too many for one batch, their gradient takes them in "
        f"parts, calls of {type(norm).__name__} are others in parts than in all inputs: pass fewer "
        "inputs by `statistics`"
    )


def _moved(
    walk: _GraphPass, forward: Callable[[Part], None], part: Part
) -> list[PopulationStatistics | None]:
    forward(part)
    return walk.statistics()


def _backward(
    statistics: Sequence[PopulationStatistics | None], adjoints: Sequence[Adjoint]
) -> None:
    """Add the gradients by leaves, from those by statistics; not by torch.autograd.grad, which the
    reentrant torch.utils.checkpoint does not allow.
    """
    pairs = [
        (tensor, slope.to(tensor))
        for found, adjoint in zip(statistics, adjoints, strict=True)
        if found is not None and adjoint is not None
        for tensor, slope in zip(found, adjoint, strict=True)
        if tensor.requires_grad
    ]
    if pairs:
        torch.autograd.backward([tensor for tensor, _ in pairs], [slope for _, slope in pairs])


def _together(parts: Sequence[Part]) -> Tree:
    return reduce(joined, (part() for part in parts))


def _flat(statistics: Sequence[PopulationStatistics | None]) -> list[Tensor]:
    return [tensor for found in statistics if found is not None for tensor in found]


def _paired(called: Sequence[bool], flat: Sequence[Tensor]) -> list[Adjoint]:
    pairs = iter(zip(flat[::2], flat[1::2], strict=True))
    return [next(pairs) if known else None for known in called]
