"""What an anytime build has spent, and what ended it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reduction import OptionError
from reduction.reprs import few
from reduction.validation import as_float, is_whole, short_repr
from simplicial.display import dimension_name

Floats = NDArray[np.float64]
Ended = Literal["tolerance", "gradients", "seconds"]
REASONS = {
    "tolerance": "no more work was left above the tolerance",
    "gradients": "the gradients left are too few for the next simplex and those trained on it",
    "seconds": "its seconds were over",
}


@dataclass(frozen=True, slots=True, eq=False)
class Spent:
    """Training of an anytime build, for the dimensions 1, 2, ...

    gradients          of mini-batches, by which the simplices of a dimension were trained, also
                       before their faces moved; a simplex that was trained again with smaller
                       steps counts once, measuring does not count
    efforts            (m,) float64 of each dimension: the highest effort of each simplex, over that
                       of the full build, on its faces as they are; 0 where it was not trained;
                       read-only
    ended              "tolerance": no simplex is left that training is to lower: each is within the
                       tolerance, has the full build's effort, is no higher than its faces, so that
                       no map of it is lower, or has a face without a finite loss; "gradients":
                       those that are left are too few for the next simplex, and to train again
                       what stands on it; "seconds": they were over
    tolerance_of_bars  that was asked for, in units of the loss
    max_gradients      that were asked for at most; None: any number
    Arrays are copied. Raises OptionError for what no build gives.
    """

    gradients: tuple[int, ...]
    efforts: tuple[Floats, ...]
    ended: Ended
    tolerance_of_bars: float
    max_gradients: int | None = None

    def __post_init__(self) -> None:
        gradients, efforts = _counts(self.gradients), _efforts(self.efforts)
        tolerance, limit = as_float(self.tolerance_of_bars), self.max_gradients
        if gradients is None or efforts is None or len(gradients) != len(efforts):
            raise OptionError(
                "gradients and efforts must be those of the dimensions of an anytime build, counts "
                f"and rows of numbers from 0 to 1, got {short_repr(self.gradients)} and "
                f"{short_repr(self.efforts)}: take those of `LossComplex.spent`"
            )
        if not isinstance(self.ended, str) or self.ended not in get_args(Ended):
            raise OptionError(
                f"an anytime build is ended by one of {', '.join(get_args(Ended))}, got "
                f"{short_repr(self.ended)}: take that of `LossComplex.spent`"
            )
        if not 0 <= tolerance < np.inf:
            raise OptionError(
                "tolerance_of_bars must be a number that is 0 or more, got "
                f"{short_repr(self.tolerance_of_bars)}: take that of `LossComplex.spent`"
            )
        if limit is not None and not (is_whole(limit) and sum(gradients) <= limit):
            raise OptionError(
                f"max_gradients must be None, or no less than were spent, {sum(gradients)}, got "
                f"{short_repr(limit)}: take that of `LossComplex.spent`"
            )
        for each in efforts:
            each.flags.writeable = False
        object.__setattr__(self, "gradients", gradients)
        object.__setattr__(self, "efforts", efforts)
        object.__setattr__(self, "tolerance_of_bars", tolerance)

    def __repr__(self) -> str:
        trained = few(np.count_nonzero(efforts) for efforts in self.efforts)
        return (
            f"Spent(gradients={few(self.gradients)}, {trained=!s}, ended={self.ended!r}, "
            f"tolerance_of_bars={self.tolerance_of_bars:g}, max_gradients={self.max_gradients})"
        )

    def __str__(self) -> str:
        """One sentence."""
        parts = [
            f"{gradients} for {np.count_nonzero(efforts)} of {efforts.size} {dimension_name(r)}"
            for r, (gradients, efforts) in enumerate(
                zip(self.gradients, self.efforts, strict=True), start=1
            )
        ]
        reason = REASONS[self.ended]
        if self.ended == "gradients" and self.max_gradients is not None:
            left = self.max_gradients - sum(self.gradients)
            reason = (
                f"of {self.max_gradients} gradients {left} are left, too few for the next simplex "
                "and those trained on it"
            )
        return (
            f"{sum(self.gradients)} training gradients ({', '.join(parts)}) at a tolerance of bars "
            f"of {self.tolerance_of_bars:g}; the build ended since {reason}"
        )


def _counts(given: Any) -> tuple[int, ...] | None:
    """Whole numbers that are not negative; None for what are none."""
    if not isinstance(given, Sequence) or not all(is_whole(count) for count in given):
        return None
    return tuple(map(int, given)) if min(given, default=0) >= 0 else None


def _efforts(given: Any) -> tuple[Floats, ...] | None:
    """Copies of rows of numbers from 0 to 1; None for what are none."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return None
    try:
        rows = tuple(np.array(row, np.float64) for row in given)
    except (TypeError, ValueError, OverflowError):
        return None
    right = (row.ndim == 1 and ((row >= 0) & (row <= 1)).all() for row in rows)
    return rows if all(right) else None
