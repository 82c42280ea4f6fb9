"""Axes of all tensors of a traced forward, found from its first operator to its last."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_arg

from nets.symmetry.axes_of_tensors import Axes, Call, Label, Stack
from nets.symmetry.axis_factors import STRUCTURE
from nets.symmetry.operators import RULES, Rule, pointwise, unknown
from nets.symmetry.views import VIEWS

_THROUGH = {"permute", "transpose", "unsqueeze", "squeeze", "clone", "alias", "detach", "_to_copy"}


@dataclass(eq=False)
class Propagation:
    """The axes of tensors in a graph.

    tensors  parameters and buffers, the first placeholders; inputs are the others
    shared   names of those that are the same numbers in every network, as frozen parameters are
    labels   axes of each node's output; of several outputs a list
    """

    graph: fx.GraphModule
    tensors: Mapping[str, Tensor]
    shared: frozenset[str]
    labels: dict[fx.Node, Label] = field(init=False, default_factory=dict)
    _constants: dict[fx.Node, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        names = iter(self.tensors)
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                self.labels[node] = self._placeholder(node, next(names, None))
            elif node.op == "get_attr":
                self._constants[node] = _attribute(self.graph, str(node.target))
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                for axes in _tensors_of(self.labels.get(each) for each in node.all_input_nodes):
                    axes.fix(STRUCTURE)

    @property
    def named(self) -> dict[str, Axes]:
        """Axes of the parameters and buffers, by name."""
        placeholders = (node for node in self.graph.graph.nodes if node.op == "placeholder")
        pairs = zip(self.tensors, placeholders, strict=False)
        return {name: _axes(self.labels[node]) for name, node in pairs}

    @property
    def inputs(self) -> list[fx.Node]:
        """Placeholders of inputs."""
        placeholders = [node for node in self.graph.graph.nodes if node.op == "placeholder"]
        return placeholders[len(self.tensors) :]

    @property
    def every(self) -> Iterator[Axes]:
        """Axes of all tensors; of a Stack those of its slices."""
        return _tensors_of(self.labels.values())

    def _placeholder(self, node: fx.Node, name: str | None) -> Label:
        value = node.meta.get("val")
        if name is None:
            is_tensor = isinstance(value, Tensor)
            return Axes.of_shape(value.shape, STRUCTURE) if is_tensor else None
        tensor = self.tensors[name]
        if name in self.shared:
            return Axes.of_constant(tensor, f"{name}, which all networks share")
        return Axes.of_shape(tensor.shape)

    def _call(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            source, index = node.args
            assert isinstance(source, fx.Node), "an output of several"
            store = self._constants if source in self._constants else self.labels
            several: Any = store[source]
            store[node] = several[index]
        elif all(parent in self._constants for parent in node.all_input_nodes):
            self._constants[node] = _evaluated(node, self._constants)
        else:
            self.labels[node] = self._labelled(node)

    def _labelled(self, node: fx.Node) -> Label:
        """Axes of the outputs of a call with tensors that depend on placeholders."""
        target: Any = node.target
        value = node.meta.get("val")
        outputs = value if isinstance(value, list | tuple) else [value]
        shapes = [tuple(each.shape) if isinstance(each, Tensor) else () for each in outputs]
        if not isinstance(target, torch._ops.OpOverload):  # one that calls functions
            for axes in _tensors_of(self.labels.get(each) for each in node.all_input_nodes):
                axes.fix(f"the operator {target}")
            fixed = [Axes.of_shape(shape, STRUCTURE) for shape in shapes]
            return fixed if isinstance(value, list | tuple) else fixed[0]
        name = target._schema.name.partition("::")[2].split(".")[0]
        name = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        schema = target._schema.arguments
        given = dict(zip((each.name for each in schema), node.args, strict=False)) | dict(
            node.kwargs
        )
        arguments = {
            each.name: self._label_of(given.get(each.name, each.default_value)) for each in schema
        }
        call = Call(name, arguments, shapes, lambda dim: _enumerated(node, dim))
        label = _rule(name, torch.Tag.pointwise in target.tags)(call)
        if isinstance(value, list | tuple) and not isinstance(label, list):
            return [label]
        return label

    def _label_of(self, argument: Any) -> Any:
        """An argument, with labels for tensors."""
        if isinstance(argument, fx.Node):
            if argument not in self._constants:
                return self.labels[argument]
            value = self._constants[argument]
            if not isinstance(value, Tensor):
                return value
            return Axes.of_constant(value, "numbers that differ along an axis, as positions do")
        if isinstance(argument, list | tuple):
            return [self._label_of(each) for each in argument]
        return argument


def _tensors_of(labels: Iterable[Label]) -> Iterator[Axes]:
    for label in labels:
        if isinstance(label, Stack):
            yield from label.slices
        elif isinstance(label, Axes):
            yield label
        elif label is not None:
            yield from _tensors_of(label)


def _rule(name: str, is_pointwise: bool) -> Rule:
    """The rule of an operator; copies are pointwise too, and keep a Stack."""
    if name in VIEWS:
        return VIEWS[name]
    return pointwise if is_pointwise else RULES.get(name, unknown)


def _axes(label: Label) -> Axes:
    if isinstance(label, Stack):
        return label.merged()
    assert isinstance(label, Axes), "one tensor"
    return label


def _attribute(module: fx.GraphModule, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _evaluated(node: fx.Node, constants: Mapping[fx.Node, Any]) -> Any:
    """The value of a call whose arguments are known numbers."""
    target: Any = node.target
    args: Any = map_arg(node.args, constants.__getitem__)
    kwargs: Any = map_arg(node.kwargs, constants.__getitem__)
    with torch.no_grad():
        return target(*args, **kwargs)


def _enumerated(node: fx.Node, dim: int) -> bool:
    """Whether an axis of a node's output is only ever taken apart, index by index."""
    return bool(node.users) and all(_takes_apart(user, node, dim) for user in node.users)


def _takes_apart(user: fx.Node, node: fx.Node, dim: int) -> bool:
    target: Any = user.target
    if not isinstance(target, torch._ops.OpOverload) or user.args[0] is not node:
        return False
    name = target._schema.name.partition("::")[2]
    shape: Any = node.meta["val"].shape
    number = len(shape)
    rest: Any = user.args[1:]
    if name in ("select", "unbind"):
        return (rest[0] if rest else 0) % number == dim
    if name not in _THROUGH:
        return False
    if not user.users:  # left over from tracing
        return True
    if name == "permute":
        return _enumerated(user, [k % number for k in rest[0]].index(dim))
    if name == "transpose":
        first, second = (k % number for k in rest)
        return _enumerated(user, {first: second, second: first}.get(dim, dim))
    if name == "unsqueeze":
        return _enumerated(user, dim + (rest[0] % (number + 1) <= dim))
    if name == "squeeze":
        named = range(number) if not rest else [rest[0]] if isinstance(rest[0], int) else rest[0]
        gone = {k % number for k in named if shape[k] == 1}
        return _enumerated(user, dim - sum(k < dim for k in gone))
    return _enumerated(user, dim)
