"""Permutation groups read off the axes of a network's tensors.

Each free atom of the axes is a group of units. An atom may be permuted within each unit of another
by itself, as the numbers of a head of attention are, if every tensor that has units of the one has
them with units of the other: those are the wreath products of symmetric groups.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product as pairs
from math import prod

from nets.symmetry.axes_of_tensors import Axes
from nets.symmetry.axis_factors import Factor, atoms_of, leaves_of, parts_of
from nets.symmetry.permutation_group import Axis, PermutationGroup

Path = tuple[Factor, ...]  # atoms, one inside the other, along one part of an axis
Outer = tuple[tuple[Factor, int], ...]  # atoms around a unit, with the index of each


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Hidden units: their group, and where they lie in activations.

    group        acts on parameters and running statistics
    activations  axes of activations, by the names of their nodes, as rows of units
    """

    group: PermutationGroup
    activations: tuple[Axis, ...]


def found_units(
    parameters: Mapping[str, Axes], activations: Mapping[str, Factor], tensors: Iterable[Axes]
) -> list[Units]:
    """All groups of units of the parameters, in their order; those within units of others first.

    parameters   axes of parameters and of buffers that are permuted along
    activations  rows of units of activations, by name
    tensors      axes of all tensors in the network
    """
    places: dict[Factor, list[_Place]] = {}
    for name, axes in parameters.items():
        for dim, factor in enumerate(axes):
            for place in _places(factor, name, dim):
                places.setdefault(place.atom, []).append(place)
    seen = {name: list(_places(factor, name, 0)) for name, factor in activations.items()}
    carried = _Carried(tensors)
    found = list[tuple[int, Units]]()
    for atom, lying in places.items():
        around = _around(atom, lying, carried)
        also = [place for each in seen.values() for place in each if place.atom is atom]
        by_index: dict[tuple[int, ...], tuple[list[Axis], list[Axis]]] = {}
        for side, several in enumerate((lying, also)):
            for place in several:
                index = tuple(dict(place.outer).get(outer, -1) for outer in around)
                sides = by_index.setdefault(index, ([], []))
                sides[side].append(place.axis)
        for on_parameters, on_activations in by_index.values():
            if on_parameters:
                group = PermutationGroup(atom.size, tuple(on_parameters))
                found.append((len(around), Units(group, tuple(on_activations))))
    return [units for _, units in sorted(found, key=lambda each: -each[0])]


def group_atoms(parameters: Iterable[Axes]) -> set[Factor]:
    """Free atoms of more than one unit on parameters."""
    atoms = (atom for axes in parameters for factor in axes for atom in atoms_of(factor))
    return {atom for atom in atoms if atom.fixed is None and atom.size > 1}


def fixed_axes(parameters: Mapping[str, Axes]) -> dict[str, str]:
    """Parameters along some axis of which units might lie but stay, each with a reason."""
    reasons = dict[str, str]()
    for name, axes in parameters.items():
        for factor in axes:
            for atom in atoms_of(factor):
                if atom.fixed and atom.size > 1:
                    reasons.setdefault(name, atom.fixed)
    return reasons


# --- where an atom lies


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """An axis along which units of an atom lie, for one index of the atoms around them."""

    atom: Factor
    axis: Axis
    outer: Outer


def _places(factor: Factor, name: str, dim: int) -> Iterator[_Place]:
    for atom, start, block, outer in _positions(factor, 1):
        fills = atom.size * block == factor.size
        yield _Place(atom, Axis(name, dim, block, None if fills else start), outer)


def _positions(factor: Factor, block: int) -> Iterator[tuple[Factor, int, int, Outer]]:
    """Free atoms of a factor: first number, numbers of a unit, and the atoms around them."""
    factor = factor.find()
    if factor.is_atom:
        if factor.fixed is None and factor.size > 1:
            yield factor, 0, block, ()
        return
    if factor.product is None:
        offset = 0
        for part in parts_of(factor):
            for atom, start, inner, outer in _positions(part, block):
                yield atom, offset + start, inner, outer
            offset += part.size * block
        return
    leaves = leaves_of(factor)
    for k, leaf in enumerate(leaves):
        inner = block * prod(each.size for each in leaves[k + 1 :])
        found = list(_positions(leaf, inner))
        if not found:
            continue
        for copy in range(prod(each.size for each in leaves[:k])):
            around = _indices(leaves[:k], copy)
            for atom, start, size, outer in found:
                yield atom, copy * leaf.size * inner + start, size, around + outer


def _indices(leaves: Sequence[Factor], position: int) -> Outer:
    """The index of each free atom at a position of a product of leaves."""
    outer: Outer = ()
    for leaf in reversed(leaves):
        position, at = divmod(position, leaf.size)
        outer = _index_in(leaf, at) + outer
    return outer


def _index_in(leaf: Factor, at: int) -> Outer:
    leaf = leaf.find()
    if leaf.is_atom:
        return ((leaf, at),) if leaf.fixed is None else ()
    if leaf.product is not None:
        return _indices(leaves_of(leaf), at)
    for part in parts_of(leaf):
        if at < part.size:
            return _index_in(part, at)
        at -= part.size
    return ()


# --- which atoms are around another everywhere


class _Carried:
    """Axes of all tensors as paths of atoms, by the atoms that they have."""

    def __init__(self, tensors: Iterable[Axes]) -> None:
        self.tensors: dict[Factor, list[list[list[Path]]]] = {}
        known: dict[Factor, list[Path]] = {}
        seen = set[tuple[Factor, ...]]()
        for axes in tensors:
            key = tuple(factor.find() for factor in axes)
            if key in seen:
                continue
            seen.add(key)
            paths = [known.setdefault(f, _paths(f)) for f in key]
            for atom in {atom for each in paths for path in each for atom in path}:
                self.tensors.setdefault(atom, []).append(paths)

    def with_each(self, atom: Factor, outer: Factor) -> bool:
        """Whether every tensor with units of the atom has them once, with those of the outer."""
        return all(_once_within(atom, outer, paths) for paths in self.tensors.get(atom, []))


def _once_within(atom: Factor, outer: Factor, paths: list[list[Path]]) -> bool:
    having = [axis for axis in paths if any(atom in path for path in axis)]
    others = [axis for axis in paths if axis not in having and any(outer in p for p in axis)]
    if len(having) != 1 or len(others) > 1:
        return False
    beside = bool(others) and all(path.count(outer) == 1 for path in others[0])
    return all(
        path.count(atom) == 1 and path.count(outer) == (0 if others else 1)
        for path in having[0]
        if atom in path
    ) and (beside or not others)


def _paths(factor: Factor) -> list[Path]:
    """Free atoms along each part of a factor."""
    factor = factor.find()
    if factor.is_atom:
        return [(factor,) if factor.fixed is None and factor.size > 1 else ()]
    if factor.product is None:
        return list(dict.fromkeys(path for part in parts_of(factor) for path in _paths(part)))
    several = [_paths(leaf) for leaf in leaves_of(factor)]
    return [sum(each, ()) for each in pairs(*several)]


def _around(atom: Factor, lying: Sequence[_Place], carried: _Carried) -> list[Factor]:
    """Atoms around another along all its axes of parameters, and with it in all tensors."""
    first, *others = [[outer for outer, _ in place.outer] for place in lying]
    common = [outer for outer in first if all(outer in each for each in others)]
    return [outer for outer in common if outer is not atom and carried.with_each(atom, outer)]
