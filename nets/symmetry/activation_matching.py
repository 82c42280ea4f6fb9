"""Permutations by which the units of networks correlate most with those of the first one.

The correlation of two units is over all examples, and all places of an image or a sequence.

Source: Y. Li, J. Yosinski, J. Clune, H. Lipson, J. Hopcroft, "Convergent learning: do different
neural networks learn the same representations?" (2015), section 3; S. Ainsworth, J. Hayase,
S. Srinivasa, "Git Re-Basin" (2023), section 3.1, which takes inner products without means and
scales instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nets.data.sources import ExampleSource
from nets.data.trees import count
from nets.symmetry.activations import activation_matrices, node_values
from nets.symmetry.matching import Step, match, nested
from nets.symmetry.permutation_group import Axis
from nets.symmetry.propagation import Propagation
from nets.symmetry.traced_network import TracedNetwork, first_examples
from reduction import DataError

AT_ONCE = 64  # examples, at most, whose activations are kept at a time


def match_activations(
    states: Sequence[Mapping[str, Tensor]],
    examples: ExampleSource,
    network: TracedNetwork,
    rng: np.random.Generator,
) -> list[list[Step]]:
    """For each network but the first the permutations that bring its activations near.

    states  state dicts of all of them, with running statistics of their own
    rng     of the order in which groups are taken
    Raises DataError for a forward that runs otherwise with more examples.
    """
    networks = [
        [state.get(name, own).cpu() for name, own in network.tensors.items()] for state in states
    ]
    names = {axis.parameter for units in network.units for axis in units.activations}
    sums = [Correlations() for _ in networks[1:]]
    traced = dict[int, Propagation]()  # by the number of examples
    for part in examples.parts(AT_ONCE):
        inputs, number = first_examples(part.inputs, AT_ONCE), count(part.inputs)
        if number not in traced:
            traced = {number: network.propagation(inputs)}
        propagation = traced[number]
        named = [axes for name, axes in propagation.named.items() if name not in network.shared]
        first, *others = (
            activation_matrices(
                propagation, named, node_values(propagation.graph, names, [tensors, inputs])
            )
            for tensors in networks
        )
        if not names <= first.keys():
            raise DataError(
                "activations are compared where the forward does the same for every number of "
                f"examples, that of {network.name} does not for {number}: pass method='weights'"
            )
        for correlations, other in zip(sums, others, strict=True):
            for name in names:
                correlations.add(name, first[name], other[name])
    groups = nested(network.groups, [units.activations for units in network.units])
    return [match(ActivationSimilarity(each.matrices()), groups, rng) for each in sums]


class Correlations:
    """Sums over examples, of which correlations of the units of two networks are made."""

    def __init__(self) -> None:
        self._sums: dict[str, list[Tensor]] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, a: Tensor, b: Tensor) -> None:
        """Activations (units, m) of two networks on the same examples."""
        a, b = a.double(), b.double()
        new = [a.sum(1), b.sum(1), a.square().sum(1), b.square().sum(1), a @ b.T]
        old = self._sums.get(name)
        self._sums[name] = new if old is None else [x + y for x, y in zip(old, new, strict=True)]
        self._counts[name] = self._counts.get(name, 0) + a.shape[1]

    def matrices(self) -> dict[str, Tensor]:
        """Correlations (units, units) by name; 0 of units that never change."""
        return {name: self._of(name) for name in self._sums}

    def _of(self, name: str) -> Tensor:
        n = self._counts[name]
        a, b, a2, b2, ab = (x / n for x in self._sums[name])
        spread = torch.outer((a2 - a**2).clamp(min=0), (b2 - b**2).clamp(min=0)).sqrt()
        least = 1e-12 * torch.outer(a2, b2).sqrt()  # of rounding alone
        moves = spread > least
        covariance = ab - torch.outer(a, b)
        return torch.where(moves, covariance / spread.where(moves, 1.0), 0.0)


class ActivationSimilarity:
    """Correlations of units, summed over all activations in which they lie."""

    def __init__(self, correlations: Mapping[str, Tensor]) -> None:
        self.correlations = correlations

    def between(
        self, axes: Sequence[Axis], others: Sequence[Axis], count: int
    ) -> NDArray[np.float64]:
        """(count, count): units along some axes in one network, along others in the second."""
        total = np.zeros((count, count))
        for axis, other in zip(axes, others, strict=True):
            matrix = self.correlations[axis.parameter]
            rows, columns = axis.rows(count), other.rows(count)
            part = matrix[rows.start : rows.stop, columns.start : columns.stop]
            blocks = part.reshape(count, axis.block, count, axis.block)
            total += blocks.diagonal(dim1=1, dim2=3).sum(-1).numpy()
        return total

    def total(self) -> float:
        """Sum of the correlations of all units, each with the one in its place."""
        return float(sum(matrix.trace() for matrix in self.correlations.values()))

    def scale(self) -> float:
        """Number of units."""
        return float(sum(len(matrix) for matrix in self.correlations.values()))

    def after(self, steps: Sequence[Step]) -> "ActivationSimilarity":
        """The same with units of the second network permuted."""
        changed = dict(self.correlations)
        for matched, order in steps:
            for axis in matched.axes:
                columns = replace(axis, dim=1)
                changed[axis.parameter] = columns.permuted(changed[axis.parameter], order)
        return ActivationSimilarity(changed)
