"""The progress of an anytime build, in its run folder: whose results stand, and what is at work.

Records of an anytime build are those of all its rungs, and of builds with other limits before it,
maybe on other faces. One file names the rung of which each simplex has its lowest result. It is
removed as a build begins and written after every chunk, when the records that it names are there:
so it never mixes two builds, however one ended. Where a dimension below is trained again, simplices
on faces that moved have no result before they are measured again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from reduction import DataError
from reduction.validation import is_number, is_whole
from simplicial.construction.measured_dimension import MeasuredDimension
from simplicial.construction.spent import REASONS, Ended
from simplicial.display import dimension_name
from simplicial.run_folder.records import read_json, write_json

ANYTIME = "anytime.json"  # in a run folder

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AnytimeProgress:
    """Progress of an anytime build, for its dimensions 1, 2, ... as far as they are begun.

    rungs      (m,) int64 of each dimension: the rung of each simplex's lowest result; -1 before
               there is one, or where a face has no finite loss
    gradients  training gradients that each dimension has taken
    dim        the dimension at work
    effort     of the rung at work, over the full build's; 0 where none is trained
    ended      what ended the build; None before its end
    """

    rungs: tuple[Ints, ...]
    gradients: tuple[int, ...]
    dim: int
    effort: float
    ended: Ended | None = None

    @classmethod
    def of(cls, dimensions: Sequence[MeasuredDimension], dim: int, effort: float) -> Self:
        """The progress of a build of these dimensions that has not ended."""
        rungs, moved = list[Ints](), np.zeros(0, dtype=bool)
        for r, dimension in enumerate(dimensions, start=1):
            own = dimension.rungs
            if r > dim:
                moved = dimension.state.has_moved(moved)
                rungs.append(np.where(moved, -1, own))
            else:
                moved = dimension.moved
                rungs.append(own)
        gradients = tuple(dimension.gradients for dimension in dimensions)
        return cls(tuple(rungs), gradients, dim, effort)

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the progress of the build before, if there was one."""
        (folder / ANYTIME).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The progress in a run folder; None where nothing is measured.

        Raises DataError for a file that was altered.
        """
        values = read_json(folder / ANYTIME)
        if values is None:
            return None
        rungs: Any = values.get("rungs")
        gradients: Any = values.get("gradients")
        dim: Any = values.get("dim")
        effort: Any = values.get("effort")
        ended: Any = values.get("ended")
        right = _are_lists(rungs) and isinstance(gradients, list) and len(rungs) == len(gradients)
        right = right and all(map(is_whole, [dim, *gradients])) and is_number(effort)
        if not right or ended not in (None, *get_args(Ended)):
            raise DataError(
                f"{folder / ANYTIME} must be as an anytime build wrote it, it has other values: "
                "move it away, and run the build again"
            )
        held = tuple(np.array(of_dimension, np.int64) for of_dimension in rungs)
        return cls(held, tuple(gradients), dim, float(effort), ended)

    def write(self, folder: Path) -> None:
        """Write to a run folder, in place of what is there. Raises RunError where it cannot be."""
        values = {
            "rungs": [of_dimension.tolist() for of_dimension in self.rungs],
            "gradients": list(self.gradients),
            "dim": self.dim,
            "effort": self.effort,
            "ended": self.ended,
        }
        write_json(folder / ANYTIME, values)

    def __str__(self) -> str:
        """One sentence."""
        taken = f"anytime build: {sum(self.gradients)} training gradients"
        if self.ended is not None:
            return f"{taken}; it ended since {REASONS[self.ended]}"
        work = f"trained at effort {self.effort:g}" if self.effort else "measured"
        return f"{taken}; it has not ended, {dimension_name(self.dim)} were {work} last"


def _are_lists(rungs: Any) -> bool:
    """Whether these are lists of whole numbers."""
    if not isinstance(rungs, list) or not all(isinstance(one, list) for one in rungs):
        return False
    return all(is_whole(rung) for of_dimension in rungs for rung in of_dimension)
