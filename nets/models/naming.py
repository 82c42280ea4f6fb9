"""Names of a saved network, brought to those of a model.

A network is saved under other names where something was wrapped around it: DataParallel puts
"module." before all names, a LightningModule the attribute that holds it, torch.compile has
"_orig_mod" between any two, and peft leaves the adapter's name out. All of them are found by
comparison: names of the model end the saved ones, or the other way round.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nets.parameters import Coordinates

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names by torch's wrappers of modules, anywhere in a name."""
SAVED_MODULES = "modules_to_save"  # by peft, before an adapter's name


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Tensors of a saved network by the names of a model.

    state   by name: all coordinates of the model, frozen parameters and buffers where they are
    label   the dotted path to where the model's names begin, "" for the names as they were saved
    respelt whether names differ otherwise than in what stands before them
    beside  what was saved beside the path
    """

    state: Mapping[str, Any]
    label: str
    respelt: bool
    beside: Mapping[str, Any]

    @property
    def plain(self) -> bool:
        """Whether little was saved beside it: a counter, a criterion's weights, not a network."""
        return _size(self.beside) < _size(self.state)

    def same(self, other: "Fit") -> bool:
        """Whether both have the same tensors."""
        return self.state.keys() == other.state.keys() and all(
            _equal(value, other.state[name]) for name, value in self.state.items()
        )


def fits(coordinates: Coordinates, saved: Mapping[str, Any], path: str) -> list[Fit]:
    """All fits of a saved network to a model, none twice; those of the same shapes, if there are.

    path  to the saved network in its file, dotted
    """
    found = list[Fit]()
    for fit in _by_name(coordinates, saved, path):
        if not any(fit.label == other.label and fit.same(other) for other in found):
            found.append(fit)
    shapes = coordinates.entries()
    return [
        fit
        for fit in found
        if all(
            shape is None or name not in fit.state or _shape(fit.state[name]) == shape
            for name, shape in shapes.items()
        )
    ] or found


def _by_name(coordinates: Coordinates, saved: Mapping[str, Any], path: str) -> Iterator[Fit]:
    names = _spelled({name: name for name in saved}, _unwrapped)
    for respelt, own in _spellings(coordinates):
        longest = max(coordinates.names, key=len)
        group = {longest, *(a for a, name in coordinates.aliases.items() if name == longest)}
        ends = [short for short, name in own.items() if name in group]
        for before, added in sorted(_prefixes(names, ends)):
            state, beside, unknown = dict[str, Any](), dict[str, Any](), False
            for short, name in names.items():
                if not short.startswith(before):
                    beside[name] = saved[name]
                elif added + short.removeprefix(before) in own:
                    state[own[added + short.removeprefix(before)]] = saved[name]
                else:
                    unknown = True
            if unknown or not _complete(coordinates, state):
                continue
            label = ".".join(filter(None, (path, before.removesuffix("."))))
            changed = respelt or bool(added) or any(k != name for k, name in names.items())
            yield Fit(state, label, changed, beside)


def _prefixes(names: Mapping[str, str], ends: list[str]) -> set[tuple[str, str]]:
    """Pairs of prefixes, of saved names and of the model's, by one of the model's names."""
    found = set[tuple[str, str]]()
    for end in ends:
        for name in names:
            if name == end or name.endswith(f".{end}"):
                found.add((name.removesuffix(end), ""))
            elif end.endswith(f".{name}"):
                found.add(("", end.removesuffix(name)))
    return found


def _spellings(coordinates: Coordinates) -> Iterator[tuple[bool, dict[str, str]]]:
    """The model's names by how they may have been saved; whether more than wrappers is left out."""
    own = _spelled({name: name for name in coordinates.entries()}, _unwrapped)
    yield False, own
    parts = [set(name.split(".")[1:]) for name in coordinates.names]
    for adapter in sorted(set.intersection(*parts)):
        short = _spelled(own, lambda name, adapter=adapter: _without(name, adapter))
        if short is not own:
            yield True, short


def _spelled(names: dict[str, str], spell: Any) -> dict[str, str]:
    """Names by another spelling; as they were where that would make two of them one."""
    spelled = {spell(short): name for short, name in names.items()}
    return spelled if len(spelled) == len(names) else names


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _without(name: str, adapter: str) -> str:
    """A name as peft saves it: without the adapter's."""
    parts = name.split(".")
    if adapter not in parts[1:]:
        return name
    at = len(parts) - 1 - parts[::-1].index(adapter)
    first = at - (parts[at - 1] == SAVED_MODULES)
    return ".".join([*parts[:first], *parts[at + 1 :]])


def _complete(coordinates: Coordinates, state: Mapping[str, Any]) -> bool:
    there = {coordinates.aliases.get(name, name) for name in state}
    return there.issuperset(coordinates.names)


def _shape(value: Any) -> torch.Size | None:
    return value.shape if isinstance(value, Tensor) else None


def _size(state: Mapping[str, Any]) -> int:
    return sum(value.numel() for value in state.values() if isinstance(value, Tensor))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one is other or torch.equal(one, other)  # nan is not equal to itself
    return one is other
