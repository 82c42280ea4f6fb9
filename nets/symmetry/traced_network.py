"""Hidden units of a network, found by tracing its forward, and tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nets.data.trees import Tree, mapped, tensors_of
from nets.execution.batch_norm import moving_modules
from nets.execution.modules.own_copy import own_copy
from nets.execution.rng import all_undisturbed
from nets.loss import NetworkLoss
from nets.symmetry.activations import activation_rows
from nets.symmetry.permutation_group import PermutationGroup
from nets.symmetry.propagation import Propagation
from nets.symmetry.tracing import REMEDY, Forward, basic_operators, functional, traced
from nets.symmetry.units import Units, fixed_axes, found_units
from reduction import DataError

TRACED = 2  # examples on which a forward is traced
TRIED = 8  # examples, at most, on which permutations are tried
ERROR = 1e-5  # of outputs of a permuted network, relative to the largest


@dataclass(frozen=True, slots=True, eq=False)
class TracedNetwork:
    """A network as a function, and its hidden units.

    forward  outputs from parameters and buffers, and inputs, in evaluation mode on the CPU
    tensors  its own parameters and buffers, by name
    shared   names of those that are the same in every network
    units    groups that leave the function as it is
    fixed    parameters along which units might lie but stay where they are, with reasons
    """

    name: str
    forward: Forward
    tensors: Mapping[str, Tensor]
    shared: frozenset[str]
    units: tuple[Units, ...] = ()
    fixed: Mapping[str, str] | None = None

    @classmethod
    def of_loss(cls, loss: NetworkLoss) -> "TracedNetwork":
        """The network of a loss; units lie in its coordinates, traced on its examples."""
        model, (own, examples) = loss.model().cpu(), loss.functional
        forward = replace(own, model=model).outputs
        model.eval()  # the line before may have set modes
        norms = [model.get_submodule(name) for name, module in own.model.named_modules()
                 if any(module is norm for norm in own.norms)]  # fmt: skip
        inputs = examples.between(0, min(TRIED, len(loss))).inputs
        network = cls._of(model, forward, frozenset(loss.coordinates.names), norms)
        return network._with_units(inputs)

    @classmethod
    def of_model(cls, model: nn.Module, inputs: Tree) -> "TracedNetwork":
        """A module; units lie in the parameters that require a gradient."""
        model = own_copy(model).cpu().eval()
        trained = frozenset(name for name, p in model.named_parameters() if p.requires_grad)
        norms = moving_modules(model)
        return cls._of(model, functional(model), trained, norms)._with_units(inputs)

    @classmethod
    def _of(
        cls, model: nn.Module, forward: Forward, trained: frozenset[str], norms: Sequence[Any]
    ) -> "TracedNetwork":
        """A network; running statistics of the norms belong to each network, as parameters do."""
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        names = {id(tensor): name for name, tensor in tensors.items()}
        running = {
            names[id(statistic)]
            for module in norms
            for statistic in (module.running_mean, module.running_var)
            if id(statistic) in names
        }
        detached = {name: tensor.detach() for name, tensor in tensors.items()}
        shared = frozenset(tensors.keys() - trained - running)
        return cls(type(model).__name__, forward, detached, shared)

    def _with_units(self, inputs: Tree) -> "TracedNetwork":
        propagation = self.propagation(first_examples(inputs, TRACED))
        named = {k: axes for k, axes in propagation.named.items() if k not in self.shared}
        rows = activation_rows(propagation, named.values())
        units = found_units(named, rows, propagation.every)
        kept = self._tried(units, first_examples(inputs, TRIED))
        fixed = fixed_axes(named)
        for each in units:
            if each not in kept:
                names = (axis.parameter for axis in each.group.axes)
                fixed |= dict.fromkeys(names, "a permutation that changes the outputs")
        return replace(self, units=tuple(kept), fixed=fixed)

    def propagation(self, inputs: Tree) -> Propagation:
        """The axes of all tensors for these inputs. Raises DataError where tracing fails."""
        with all_undisturbed(torch.device("cpu")):
            graph = traced(self.forward, self.tensors, inputs, self.name)
        return Propagation(graph, self.tensors, self.shared)

    @property
    def groups(self) -> tuple[PermutationGroup, ...]:
        """The groups of the units."""
        return tuple(units.group for units in self.units)

    def _tried(self, units: Sequence[Units], inputs: Tree) -> list[Units]:
        """Units of which a random permutation leaves outputs as they are, at random parameters."""
        rng = np.random.default_rng(0)
        orders = [rng.permutation(each.group.count) for each in units]
        try:
            return self._unchanged(units, orders, inputs, torch.float64)
        except Exception:  # a forward may ask for the numbers that it was made with
            return self._unchanged(units, orders, inputs, None)

    def _unchanged(
        self, units: Sequence[Units], orders: Sequence[Any], inputs: Tree, dtype: torch.dtype | None
    ) -> list[Units]:
        inputs = _converted(inputs, dtype)
        tensors = {name: _converted(tensor, dtype) for name, tensor in self.tensors.items()}
        moved = _moved(tensors, self.shared)
        before = self._outputs(moved, inputs)
        if not np.isfinite(before).all():
            moved, before = tensors, self._outputs(tensors, inputs)

        def same(tried: Sequence[int]) -> bool:
            changed = moved
            for k in tried:
                changed = units[k].group.act(changed, orders[k])
            after = self._outputs(changed, inputs)
            return bool(np.abs(after - before).max() <= ERROR * np.abs(before).max())

        if not units or same(range(len(units))):
            return list(units)
        kept = [k for k in range(len(units)) if same([k])]
        return [units[k] for k in kept] if same(kept) else []

    def _outputs(self, tensors: Mapping[str, Tensor], inputs: Tree) -> Any:
        """All numbers of the outputs (n,), float64."""
        with all_undisturbed(torch.device("cpu")), basic_operators():
            torch.manual_seed(0)
            outputs = self.forward(tensors, inputs)
        leaves = [tensor.detach().reshape(-1).double() for tensor in tensors_of(outputs)]
        return torch.cat(leaves).numpy()


def first_examples(inputs: Tree, count: int) -> Tree:
    """The first examples of inputs, on the CPU."""
    return mapped(lambda tensor: tensor[:count].detach().cpu(), inputs)


def guessed_inputs(model: nn.Module) -> Tensor:
    """Inputs that the first layer of a network of numbers or images takes.

    Raises DataError where none of the usual sizes fits.
    """
    model = own_copy(model).cpu().eval()
    layers = (m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d))
    first = next(layers, None)
    shapes = list[tuple[int, ...]]()
    if isinstance(first, nn.Linear):
        shapes = [(first.in_features,)]
    elif first is not None:
        sizes = (*range(8, 65, 4), 96, 128, 160, 192, 224, 256, 299, 384)
        dims = 2 if isinstance(first, nn.Conv2d) else 1
        shapes = [(first.in_channels, *[size] * dims) for size in sizes]
    generator = torch.Generator().manual_seed(0)
    for shape in shapes:
        inputs = torch.randn(TRACED, *shape, generator=generator)
        try:
            with torch.no_grad(), all_undisturbed(torch.device("cpu")):
                model(inputs)
        except Exception:  # not this size
            continue
        return inputs
    raise DataError(
        "units are found by tracing the forward on examples, none could be made for "
        f"{type(model).__name__}: pass some, permutation_groups(model, inputs)"
    )


def check_units(network: TracedNetwork) -> None:
    """Raise DataError for a network none of whose units may be permuted."""
    if not network.units:
        reasons = [f"{name} by {reason}" for name, reason in (network.fixed or {}).items()]
        fixed = f" ({', '.join(reasons[:3])})" if reasons else ""
        raise DataError(
            f"networks are aligned by their hidden units, {network.name} has none that may be "
            f"permuted{fixed}: leave out align, or {REMEDY}"
        )


def _converted(inputs: Tree, dtype: torch.dtype | None) -> Tree:
    return mapped(lambda x: x.to(dtype) if dtype and x.is_floating_point() else x, inputs)


def _moved(tensors: Mapping[str, Tensor], shared: frozenset[str]) -> dict[str, Tensor]:
    """Tensors with noise, so that no two units are alike; variances stay positive."""
    generator, moved = torch.Generator().manual_seed(0), dict(tensors)
    for name, tensor in tensors.items():
        if name in shared or not tensor.is_floating_point():
            continue
        noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
        size = tensor.square().mean().sqrt().clamp(min=0.1)
        moved[name] = tensor + 0.3 * size * noise
    return moved
