"""Symmetries of networks: hidden units permuted, and minima aligned."""

from typing import Any

from nets.symmetry.alignment import align, permutation_groups
from nets.symmetry.former_names import RENAMED
from nets.symmetry.permutation_group import Axis, PermutationGroup, former, permuted

__all__ = ["Axis", "PermutationGroup", "align", "permutation_groups", "permuted"]


def __getattr__(name: str) -> Any:
    """Former names, for one release."""
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value, new = RENAMED[name]
    return former(name, new, value)
