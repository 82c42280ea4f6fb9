"""Former names of units and of where they lie, for one release."""

from typing import Any

from nets.symmetry.alignment import permutation_groups
from nets.symmetry.permutation_group import Axis, PermutationGroup


class Place(Axis):
    """Axis, made by its former keywords."""

    def __new__(cls, name: str, axis: int, block: int = 1) -> Any:
        """The axis."""
        return Axis(name, axis, block)


class Units(PermutationGroup):
    """PermutationGroup, made by its former keywords."""

    def __new__(cls, count: int, places: tuple[Axis, ...]) -> Any:
        """The group."""
        return PermutationGroup(count, places)


RENAMED = {
    "Place": (Place, "Axis"),
    "Units": (Units, "PermutationGroup"),
    "units_of": (permutation_groups, "permutation_groups"),
}
