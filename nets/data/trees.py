"""Trees of tensors: one tensor, or tensors in tuples and dicts, with a first axis in common.

Inputs of networks and their targets are such trees. A network takes a tensor as its one argument, a
tuple as positional arguments and a dict as keyword arguments, as Hugging Face's take it; a network
whose one argument is itself a tuple or dict takes that in a tuple of one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree

from reduction import DataError
from reduction.validation import short_repr

Tree = Any  # Tensor | tuple[Tree, ...] | dict[str, Tree]


class Examples(NamedTuple):
    """Trees of inputs (n, ...) and targets (n, ...), on one device."""

    inputs: Tree
    targets: Tree


def as_tree(name: str, given: Any) -> Tree:
    """Tensors, detached, in tuples and dicts, of lists and other mappings too; `name` in errors.

    Raises DataError for all else, for no tensor at all, and for tensors without a first axis or
    with several lengths of it.
    """
    tree = _as_tree(name, given)
    lengths = {path: len(tensor) for path, tensor in named(name, tree)}
    if not lengths:
        raise DataError(f"{name} must have at least one tensor, got {short_repr(given)}: give some")
    (path, length), *others = lengths.items()
    other = next((pair for pair in others if pair[1] != length), None)
    if other is not None:
        raise DataError(
            f"tensors of {name} must have one entry for each example along their first axis, got "
            f"{length} of {path}, {other[1]} of {other[0]}: give equally many; what belongs to no "
            "example, the edges of a graph for one, goes into a buffer of a module around the "
            "network"
        )
    return tree


def tensors_of(tree: Any) -> list[Tensor]:
    """The tensors of a tree, or of a network's structured outputs."""
    return [leaf for leaf in _pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def mapped(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """The tree, or structured outputs, with each tensor replaced by a function of it."""
    return _pytree.tree_map_only(Tensor, function, tree)


def rows(tree: Tree, chosen: Any) -> Tree:
    """The examples of a tree that an index or slice of the first axis chooses."""
    return mapped(lambda tensor: tensor[chosen], tree)


def joined(first: Tree, second: Tree) -> Tree:
    """The examples of two trees of the same kind, one after the other."""
    return _pytree.tree_map(lambda *pair: torch.cat(pair), first, second)


def count(tree: Tree) -> int:
    """The number n of examples; of a tree without tensors 0."""
    return next((len(tensor) for tensor in tensors_of(tree)), 0)


def arguments(inputs: Tree) -> tuple[tuple[Tree, ...], dict[str, Tree]]:
    """Copies of inputs as positional and keyword arguments of a network."""
    inputs = mapped(torch.clone, inputs)
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def shapes(tree: Tree) -> str:
    """Shapes of a tree, for messages: of one tensor, or by position or name."""
    if isinstance(tree, Tensor):
        return str(tuple(tree.shape))
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {shapes(branch)}" for k, branch in tree.items()) + "}"
    return f"({', '.join(map(shapes, tree))})"


def types(tree: Tree) -> str:
    """Number types of a tree, each once, for messages."""
    return ", ".join(dict.fromkeys(str(tensor.dtype) for tensor in tensors_of(tree)))


def check_finite(name: str, tree: Tree, first: int = 0) -> None:
    """Raise DataError where a tensor is not finite; its examples are counted from `first`."""
    for path, tensor in named(name, tree):
        if tensor.is_floating_point() or tensor.is_complex():
            finite = tensor.isfinite().reshape(len(tensor), -1).all(dim=1)
            if not finite.all():
                bad = first + int((~finite).nonzero()[0])
                raise DataError(f"{path} must be finite, example {bad} is not: leave it out")


def kinds(tree: Tree) -> list[tuple[str, torch.Size, torch.dtype]]:
    """Path, shape of one example and type of each tensor."""
    return [(path, tensor.shape[1:], tensor.dtype) for path, tensor in named("", tree)]


def named(name: str, tree: Tree) -> list[tuple[str, Tensor]]:
    """Tensors with their paths, as one writes them."""
    if isinstance(tree, Tensor):
        return [(name, tree)]
    branches = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return [pair for key, branch in branches for pair in named(f"{name}[{key!r}]", branch)]


def _as_tree(name: str, given: Any) -> Tree:
    if isinstance(given, Tensor):
        if given.layout != torch.strided:
            raise DataError(
                f"{name} must be dense, got a tensor of layout {given.layout}: pad sequences of "
                "several lengths to one, make sparse tensors dense by to_dense()"
            )
        if given.is_nested or given.is_meta:
            raise DataError(
                f"{name} must hold numbers in one array, got a tensor that is "
                f"{'nested' if given.is_nested else 'on the meta device'}: pad sequences of "
                "several lengths to one, and load the data onto a device"
            )
        if not given.ndim:
            raise DataError(
                f"{name} must have one entry for each example, got a single number: stack them"
            )
        return given.detach()
    if isinstance(given, Mapping):
        if not all(isinstance(key, str) for key in given):
            raise DataError(
                f"a dict of {name} must have the names of arguments as keys, got "
                f"{short_repr(list(given))}: use strings"
            )
        return {key: _as_tree(f"{name}[{key!r}]", branch) for key, branch in given.items()}
    if isinstance(given, list | tuple):
        branches = [_as_tree(f"{name}[{i}]", branch) for i, branch in enumerate(given)]
        return type(given)(*branches) if hasattr(given, "_fields") else tuple(branches)
    raise DataError(
        f"data must be tensors, alone or in tuples and dicts, {name} is a {type(given).__name__}: "
        "convert it by torch.as_tensor, or leave it out"
    )
