"""Permutations of a network's units that bring them near those of another.

Group by group the permutation is taken for which the units are most similar to those of the other
network, until the sum over all groups grows no more: a local optimum, since groups depend on each
other. Similar are weights around units with a large inner product, or activations that correlate.
Where groups lie inside the units of another, as the numbers of a head of attention, two heads are
as similar as their best permutation inside makes them.

Source: S. Ainsworth, J. Hayase, S. Srinivasa, "Git Re-Basin: merging models modulo permutation
symmetries" (2023), section 3.2 and algorithm 1; the groups inside units are our addition.
Assignment problems are solved by SciPy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nets.symmetry.permutation_group import Axis, Order, PermutationGroup, unit_around

GAIN = 1e-9  # relative gain of inner products below which a permutation is no better


class Similarity(Protocol):
    """How similar the units of a network are to those of another."""

    def between(
        self, axes: Sequence[Axis], others: Sequence[Axis], count: int
    ) -> NDArray[np.float64]:
        """(count, count): units along some axes in one network, along others in the second."""
        ...

    def total(self) -> float:
        """Similarity of all units as they stand."""
        ...

    def scale(self) -> float:
        """The largest total that there may be, about."""
        ...

    def after(self, steps: Sequence["Step"]) -> "Similarity":
        """The same once units of the second network are permuted."""
        ...


class Step(NamedTuple):
    """A group, and a permutation of its units."""

    matched: "MatchedGroup"
    order: Order


@dataclass(frozen=True, slots=True, eq=False)
class MatchedGroup:
    """A group of units, and the groups inside each of them.

    axes    by which units are compared, as axes of parameters or of activations
    inside  for each unit its groups, one after another the same kinds; none
    """

    group: PermutationGroup
    axes: tuple[Axis, ...]
    inside: tuple[tuple["MatchedGroup", ...], ...] = ()

    def best(self, similarity: Similarity) -> list[Step]:
        """Permutations of the units, and inside of them, that make them most similar."""
        from scipy.optimize import linear_sum_assignment

        similar = similarity.between(self._own_axes, self._own_axes, self.group.count)
        inner: dict[tuple[int, int], list[Order]] = {}
        for i, groups in enumerate(self.inside):
            for j, others in enumerate(self.inside):
                for a, b in zip(groups, others, strict=True):
                    within = similarity.between(a.axes, b.axes, a.group.count)
                    rows, order = linear_sum_assignment(within, maximize=True)
                    similar[i, j] += within[rows, order].sum()
                    inner.setdefault((i, j), []).append(order)
        order = linear_sum_assignment(similar, maximize=True)[1]
        steps = [
            Step(b, inside)
            for i, j in enumerate(order)
            for b, inside in zip(self.inside[j] if self.inside else (), inner.get((i, j), ()),
                                 strict=True)
        ]  # fmt: skip
        return [*steps, Step(self, order)]

    @property
    def _own_axes(self) -> tuple[Axis, ...]:
        """Axes that have no groups inside."""
        inner = [(axis, g.group.count) for g in (self.inside[0] if self.inside else ())
                 for axis in g.axes]  # fmt: skip
        return tuple(
            axis
            for axis in self.axes
            if not any(_within(axis, self.group.count, *each) for each in inner)
        )


def _within(axis: Axis, count: int, inner: Axis, number: int) -> bool:
    same = (axis.parameter, axis.dim) == (inner.parameter, inner.dim)
    return same and unit_around(axis, count, inner, number) is not None


def nested(
    groups: Sequence[PermutationGroup], compared: Sequence[tuple[Axis, ...]]
) -> list[MatchedGroup]:
    """The groups by which networks are matched, each with those inside its units.

    compared  axes of each, along which its units are compared
    """
    inside: dict[int, dict[int, list[int]]] = {}
    for k, outer in enumerate(groups):
        for m, group in enumerate(groups):
            unit = _unit_of(outer, group) if m != k else None
            if unit is not None:
                inside.setdefault(k, {}).setdefault(unit, []).append(m)
    result = list[MatchedGroup]()
    for k, group in enumerate(groups):
        units = inside.get(k, {})
        # in each unit the same kinds, else they are matched apart
        kinds = {tuple(groups[m].count for m in units.get(i, ())) for i in range(group.count)}
        inner: tuple[tuple[MatchedGroup, ...], ...] = ()
        if units and len(kinds) == 1:
            inner = tuple(
                tuple(MatchedGroup(groups[m], compared[m]) for m in units[i])
                for i in range(group.count)
            )
        result.append(MatchedGroup(group, compared[k], inner))
    return result


def _unit_of(outer: PermutationGroup, group: PermutationGroup) -> int | None:
    """The unit of one group in which another lies with all its axes."""
    found = set[int | None]()
    for axis in group.axes:
        around = (
            unit_around(each, outer.count, axis, group.count)
            for each in outer.axes
            if (each.parameter, each.dim) == (axis.parameter, axis.dim)
        )
        found.add(next((unit for unit in around if unit is not None), None))
    return found.pop() if len(found) == 1 else None


# --- weights


class WeightSimilarity:
    """Inner products of the weights around units.

    target, weights  parameters by name
    """

    def __init__(self, target: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
        self.target = {name: tensor.double() for name, tensor in target.items()}
        self.weights = {name: tensor.double() for name, tensor in weights.items()}

    def between(
        self, axes: Sequence[Axis], others: Sequence[Axis], count: int
    ) -> NDArray[np.float64]:
        """(count, count): units along some axes in the target, along others in the second."""
        total = torch.zeros(count, count, dtype=torch.float64)
        for axis, other in zip(axes, others, strict=True):
            a = axis.units(self.target[axis.parameter], count)
            b = other.units(self.weights[other.parameter], count)
            total += (a @ b.T).cpu()
        return total.numpy()

    def total(self) -> float:
        """Inner product of all weights."""
        return float(sum((t * self.weights[name]).sum() for name, t in self.target.items()))

    def scale(self) -> float:
        """Product of the norms."""
        sides = self.target.values(), self.weights.values()
        return float(np.prod([sum(float(t.square().sum()) for t in side) ** 0.5 for side in sides]))

    def after(self, steps: Sequence[Step]) -> "WeightSimilarity":
        """The same with other weights."""
        weights = dict(self.weights)
        for matched, order in steps:
            for axis in matched.axes:
                weights[axis.parameter] = axis.permuted(weights[axis.parameter], order)
        return WeightSimilarity(self.target, weights)


def match(
    similarity: Similarity, groups: Sequence[MatchedGroup], rng: np.random.Generator
) -> list[Step]:
    """Permutations, one after another, that make units similar: algorithm 1.

    rng  of the order in which groups are taken
    """
    least, largest = GAIN * similarity.scale(), similarity.total()
    steps = list[Step]()
    better = True
    while better:
        better = False
        for k in rng.permutation(len(groups)):
            found = groups[k].best(similarity)
            # units that feed themselves, as an LSTM's, are compared as they stand: it may not grow
            changed = similarity.after(found)
            if changed.total() > largest + least:
                better, similarity, largest = True, changed, changed.total()
                steps += found
    return steps
