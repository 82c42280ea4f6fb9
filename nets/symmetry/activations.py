"""Activations of hidden units: tensors that products, convolutions and means take up.

So they are those behind the functions of single units, as the next layer meets them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from nets.symmetry.axes_of_tensors import Axes
from nets.symmetry.axis_factors import Factor, atoms_of, leaves_of, product
from nets.symmetry.propagation import Propagation
from nets.symmetry.units import group_atoms

TAKE_UP = {"mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "convolution", "mean", "sum"}


def activation_rows(propagation: Propagation, parameters: Iterable[Axes]) -> dict[str, Factor]:
    """Rows of units of each activation, by the name of its node."""
    atoms = group_atoms(parameters)
    rows = dict[str, Factor]()
    for node in _activations(propagation):
        leaves = _unit_leaves(propagation, node, atoms)
        if leaves:
            rows[node.name] = product([leaf for _, leaf in leaves])
    return rows


def activation_matrices(
    propagation: Propagation, parameters: Iterable[Axes], values: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Activations (units, ...) by the names of their nodes.

    values  of the nodes
    """
    atoms, matrices = group_atoms(parameters), dict[str, Tensor]()
    for node in _activations(propagation):
        leaves = _unit_leaves(propagation, node, atoms)
        if leaves:
            axes: Any = propagation.labels[node]
            sizes = [leaf.size for factor in axes for leaf in leaves_of(factor)]
            front = [at for at, _ in leaves]
            behind = [at for at in range(len(sizes)) if at not in front]
            rows = int(np.prod([sizes[at] for at in front]))
            value = values[node.name].reshape(sizes).permute(*front, *behind)
            matrices[node.name] = value.reshape(rows, -1)
    return matrices


def _activations(propagation: Propagation) -> list[fx.Node]:
    """Tensors of one label each that are taken up, computed from inputs and parameters."""
    found = dict[fx.Node, None]()
    inputs = set(propagation.inputs)
    for node in propagation.graph.graph.nodes:
        if any(parent in inputs for parent in node.all_input_nodes):
            inputs.add(node)
        name = getattr(getattr(node.target, "_schema", None), "name", "").partition("::")[2]
        if name in TAKE_UP:
            found |= {
                parent: None
                for parent in node.all_input_nodes
                if parent in inputs and isinstance(propagation.labels.get(parent), Axes)
            }
    return list(found)


def _unit_leaves(
    propagation: Propagation, node: fx.Node, atoms: set[Factor]
) -> list[tuple[int, Factor]]:
    """Leaves of a tensor's axes that have units, each with its position among all leaves."""
    axes: Any = propagation.labels[node]
    leaves = [leaf for factor in axes for leaf in leaves_of(factor)]
    return [
        (at, leaf)
        for at, leaf in enumerate(leaves)
        if any(atom in atoms for atom in atoms_of(leaf))
    ]


def node_values(graph: fx.GraphModule, names: set[str], arguments: Sequence[Any]) -> dict[str, Any]:
    """Values of some nodes of a graph."""
    kept = dict[str, Any]()

    class Keeping(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            if n.name in names:
                kept[n.name] = value.clone()  # an operator behind may change it in place
            return value

    with torch.no_grad():
        Keeping(graph).run(*arguments)
    return kept
