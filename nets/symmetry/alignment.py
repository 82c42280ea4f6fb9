"""Networks aligned: of the equivalent copies of each minimum the one near the first network.

There are as many copies of each minimum as permutations of its units, and the barrier between two
networks depends on which copies are taken.
"""

import warnings
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from nets.data.trees import Tree
from nets.loss import NetworkLoss
from nets.symmetry.activation_matching import match_activations
from nets.symmetry.matching import Step, WeightSimilarity, match, nested
from nets.symmetry.permutation_group import Axis, PermutationGroup, check_groups, permuted
from nets.symmetry.traced_network import TracedNetwork, check_units, guessed_inputs
from reduction import DataError, OptionError
from reduction.validation import as_integer, short_repr
from simplicial import Minima
from simplicial.minima import check_minima
from simplicial.options import MEMORY, byte_count

Method = Literal["weights", "activations"]


def permutation_groups(
    model: nn.Module | NetworkLoss, inputs: Tree | None = None
) -> tuple[PermutationGroup, ...]:
    """Permutations of hidden units that leave a network's function as it is.

    model   any module, or a NetworkLoss, which brings its own inputs
    inputs  some examples (n, ...) on which the forward is traced; None: random numbers, or images
            of the smallest usual size, that the first layer takes
    Units are found by following each axis of each parameter through the forward. Groups within the
    units of others, as inside heads of attention, come first. Each group is tried: a random
    permutation leaves the outputs as they are, to 1e-5. Units that an operator not known here
    touches stay where they are. Raises DataError for a forward that cannot be traced.
    """
    if isinstance(model, NetworkLoss):
        return TracedNetwork.of_loss(model).groups
    if not isinstance(model, nn.Module):
        raise DataError(
            f"units are those of a torch.nn.Module or a NetworkLoss, got {short_repr(model)}: "
            "pass a network"
        )
    inputs = guessed_inputs(model) if inputs is None else inputs
    return TracedNetwork.of_model(model, inputs).groups


def check_alignable(loss: NetworkLoss) -> None:
    """Raise DataError for a network without units that may be permuted, before it is trained."""
    check_units(TracedNetwork.of_loss(loss))


def align(
    minima: Minima,
    *,
    units: Sequence[PermutationGroup] | None = None,
    method: Method = "weights",
    seed: int = 0,
    memory: int | str = MEMORY,
) -> Minima:
    """The minima with their hidden units permuted so that they come near the first one.

    units   PermutationGroups; None: those that `permutation_groups` finds by tracing the network
    method  "weights": the weights around units have the largest inner product with those of the
            first network; "activations": units correlate most with those of the first network, over
            all examples
    seed    of the order in which groups are matched, one by one until nothing grows
    memory  bytes, or "4GB", for a batch of networks when the loss is evaluated at them anew
    What is found is a local optimum, since groups depend on each other. The functions stay the same
    up to rounding. A UserWarning tells of parameters whose units stay where they are, since an
    operator is not known. Raises OptionError for what is no Minima and for a method that is not
    there, DataError for minima of another loss than a NetworkLoss, for a network that cannot be
    traced or has no units that may be permuted, and for units that do not fit its parameters or
    change the function.
    """
    check_minima(minima)
    loss = minima.loss
    if not isinstance(loss, NetworkLoss):
        raise DataError(
            f"networks can be aligned, got minima of a {type(loss).__name__}: leave out align, or "
            "pass minima of a NetworkLoss"
        )
    memory = byte_count(memory)
    _check_method(method)
    rng = np.random.default_rng(as_integer("seed", seed, 0))
    if units is None:
        network = TracedNetwork.of_loss(loss)
        _tell_fixed(network)
        check_units(network)
    elif method == "activations":
        raise DataError(
            "units are matched by their activations where tracing finds them, got a list of "
            "units: leave out units, or pass method='weights'"
        )
    else:
        network = None
    groups = network.groups if network is not None else units
    check_groups(groups, loss)
    assert groups is not None, "a list, as checked"
    if method == "activations":
        assert network is not None, "traced"
        states = [loss.state_dict(point) for point in minima.points]
        steps = match_activations(states, loss.functional[1], network, rng)
    else:
        steps = _match_weights(minima.points, loss, groups, rng)
    points = [minima.points[0]]
    for point, taken in zip(minima.points[1:], steps, strict=True):
        acting = [step.matched.group for step in taken]
        points.append(permuted(point, loss, acting, [step.order for step in taken]))
    return _evaluated(torch.stack(points), minima, memory)


def _check_method(method: Method) -> None:
    """Raise OptionError for a method that is not there."""
    if not isinstance(method, str) or method not in get_args(Method):
        raise OptionError(
            f"method must be one of {get_args(Method)}, got {short_repr(method)}: pass 'weights' "
            "or 'activations'"
        )


def _match_weights(
    points: Tensor, loss: NetworkLoss, groups: Sequence[PermutationGroup], rng: np.random.Generator
) -> list[list[Step]]:
    """For each point (n, d) but the first the permutations that bring its weights near."""
    matched = nested(groups, [_compared(group, loss) for group in groups])
    first, *others = (loss.coordinates.views(point) for point in points)
    return [match(WeightSimilarity(first, other), matched, rng) for other in others]


def _evaluated(points: Tensor, minima: Minima, memory: int) -> Minima:
    """Minima at permuted points. Raises DataError where a loss is another."""
    aligned = Minima(points, minima.loss, minima.search, memory)
    changed = np.flatnonzero(~np.isclose(aligned.values, minima.values, rtol=1e-4, atol=1e-6))
    if changed.size:
        k = changed[0]
        raise DataError(
            f"permuted units must leave a network's function as it is, the loss of network {k} "
            f"went from {minima.values[k]:.6g} to {aligned.values[k]:.6g}: name the units that "
            "may change axes, units=[...]"
        )
    return aligned


def _compared(group: PermutationGroup, loss: NetworkLoss) -> tuple[Axis, ...]:
    """Axes of a group on coordinates; buffers are computed anew."""
    return tuple(axis for axis in group.axes if axis.parameter not in loss.coordinates.buffers)


def _tell_fixed(network: TracedNetwork) -> None:
    if network.fixed and network.units:
        reasons = [f"{name} ({reason})" for name, reason in network.fixed.items()]
        more = f" and {len(reasons) - 5} others" if len(reasons) > 5 else ""
        warnings.warn(
            f"some units of {network.name} are not aligned, along axes of "
            f"{', '.join(reasons[:5])}{more}",
            stacklevel=3,
        )
