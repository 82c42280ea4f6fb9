"""Symmetries of networks: hidden units permuted, and minima aligned."""

from typing import Any

from nets.symmetry.alignment import align, permutation_groups
from nets.symmetry.permutation_group import Axis, PermutationGroup, former, permuted

__all__ = ["Axis", "PermutationGroup", "align", "permutation_groups", "permuted"]


class _Place(Axis):
    """Axis, made by its former keywords."""

    def __new__(cls, name: str, axis: int, block: int = 1) -> Any:
        return Axis(name, axis, block)


class _Units(PermutationGroup):
    """PermutationGroup, made by its former keywords."""

    def __new__(cls, count: int, places: tuple[Axis, ...]) -> Any:
        return PermutationGroup(count, places)


_RENAMED = {
    "Place": (_Place, "Axis"),
    "Units": (_Units, "PermutationGroup"),
    "units_of": (permutation_groups, "permutation_groups"),
}


def __getattr__(name: str) -> Any:
    """Former names, for one release."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value, new = _RENAMED[name]
    return former(name, new, value)
