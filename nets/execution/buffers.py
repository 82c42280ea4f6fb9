"""Buffers as a part of the function: those of every network must be the model's.

A loss is one function of the parameters, so what else enters it is the same at all points: a buffer
that differs from the model's, and changes the loss, makes a network one of another function. It is
told by evaluation, with the one and with the other, since step counters and the like differ without
a trace. Running statistics that are computed anew at every point are left aside.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nets.data.trees import Examples
from nets.execution.batch_norm import STATISTICS, running_modules
from nets.execution.functional import EVALUATION, FunctionalModel
from nets.execution.modules.own_copy import own_copy
from reduction import DataError

ROUNDING = 16  # times eps, the relative error of a loss up to which it is the same


def check_buffers(
    model: FunctionalModel, state: Mapping[str, Any], value: Callable[[FunctionalModel], float]
) -> None:
    """Raise DataError where a network's buffers give another loss than the model's.

    state  dict of the network, whose shapes fit
    value  of the loss of a model at the network's point
    """
    names = _differing(model, state)
    if not names:
        return
    own, other = value(model), value(_with_buffers(model, state, names))
    if _same(model, own, other):
        return
    guilty = next(
        (k for k in names if not _same(model, own, value(_with_buffers(model, state, [k])))),
        names[0],  # they change the loss together only
    )
    stored = model.batch_norm == "stored" and guilty.rpartition(".")[2] in STATISTICS
    recomputed = ", or pass batch_norm='recomputed'" if stored else ""
    raise DataError(
        "buffers are no coordinates and must be the model's, "
        f"{guilty!r} differs, the loss is {own:.6g} with the model's buffers and {other:.6g} with "
        "the network's: load those that all networks share into the model first "
        "(model.load_state_dict), or, where each has its own, make them a part of its parameters "
        f"(as parametrize.remove_parametrizations and prune.remove do){recomputed}"
    )


def check_function(
    model: FunctionalModel, network: nn.Module, point: Tensor, examples: Examples
) -> None:
    """Raise DataError where a network is another function of its parameters than the model.

    point     (d,) of the network
    examples  on which the two are compared
    """
    device, dtype = model.execution.device, model.coordinates.dtype
    network = own_copy(network).to(device)
    if {p.dtype for p in network.parameters()} != {dtype}:
        network = network.to(dtype)
    values = [_value(m, point[None], examples) for m in (model, replace(model, model=network))]
    if not _same(model, *values):
        raise DataError(
            f"networks must be one function of their parameters, {model.name} has the loss "
            f"{values[0]:.6g} where another network has {values[1]:.6g} with the same parameters: "
            "let what makes them draw nothing but parameters at random, or build the loss with its "
            "network"
        )


def check_norms(model: FunctionalModel, examples: Examples) -> None:
    """Raise DataError where training moves running statistics that are not recomputed at a point.

    Those of a module without momentum, whose rule cannot be told to take one batch alone.
    """
    model.model.train()
    found = list[str]()
    norms = [
        module
        for module in running_modules(model.model)
        if module.training and all(module is not norm for norm in model.norms)
    ]
    if not norms or model.batch_norm == "stored":
        return

    def compare(module: Any, _inputs: Any, _outputs: Any) -> None:
        if not torch.equal(module.running_mean, own[id(module)]):
            found.append(type(module).__name__)

    own: dict[int, Tensor] = {id(norm): norm.get_buffer("running_mean").clone() for norm in norms}
    hooks = [norm.register_forward_hook(compare) for norm in norms]
    try:
        with torch.no_grad():
            inputs = model.arranged(examples).inputs
            model.outputs(model.tensors(model.own_point), inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if found:
        raise DataError(
            "running statistics are recomputed at every point by a module's momentum, "
            f"{found[0]} updates its own in training and has none: give it an attribute momentum, "
            "as torch's norms have, or pass batch_norm='stored'"
        )


def _value(model: FunctionalModel, points: Tensor, examples: Examples) -> float:
    examples = model.arranged(examples)
    with torch.no_grad():
        buffers = model.statistics(points, [lambda: examples.inputs]) or model.own_buffers(1)
        return float(model.run(points, buffers, examples, EVALUATION)[0])


def _same(model: FunctionalModel, one: float, other: float) -> bool:
    limit = ROUNDING * torch.finfo(model.coordinates.dtype).eps * abs(one)
    return abs(one - other) <= limit or (one != one and other != other)


def _differing(model: FunctionalModel, state: Mapping[str, Any]) -> list[str]:
    """Names of buffers, and of modules' extra states, that are not the model's."""
    aside = {
        f"{prefix}.{name}".removeprefix(".")
        for prefix, module in model.model.named_modules(remove_duplicate=False)
        if any(module is norm for norm in model.norms)
        for name in STATISTICS
    }
    own = model.model.state_dict() | dict(model.model.named_buffers(remove_duplicate=False))
    names = [k for k in model.coordinates.buffers if k in state and k in own and k not in aside]
    return [name for name in names if not _equal(own[name], state[name])]


def _equal(own: Any, value: Any) -> bool:
    if isinstance(own, Tensor) and isinstance(value, Tensor):
        return torch.equal(own, value.to(own))
    return own is value or (type(own) is type(value) and bool(own == value))


def _with_buffers(
    model: FunctionalModel, state: Mapping[str, Any], names: Sequence[str]
) -> FunctionalModel:
    """The model with other buffers of these names."""
    network = own_copy(model.model)
    for name in names:
        owner, _, leaf = name.rpartition(".")
        module = network.get_submodule(owner)
        if leaf == "_extra_state":
            module.set_extra_state(state[name])
        else:
            setattr(module, leaf, state[name].to(getattr(module, leaf)))
    return replace(model, model=network)
