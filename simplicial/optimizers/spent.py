"""What an anytime build has spent, and what ended it."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reduction import OptionError
from simplicial.display import dimension_name

Ended = Literal["tolerance", "gradients", "seconds"]
REASONS = {
    "tolerance": "no more work was left above the tolerance",
    "gradients": "a dimension had spent its share of the gradients",
    "seconds": "its seconds were over",
}


@dataclass(frozen=True, slots=True, eq=False)
class Spent:
    """Training of an anytime build, for the dimensions 1, 2, ...

    gradients          of mini-batches, by which the simplices of a dimension were trained; a
                       simplex that was trained again with smaller steps counts once, measuring
                       does not count
    efforts            (m,) float64 of each dimension: the highest effort of each simplex, over that
                       of the full build; 0 where it was not trained; read-only
    ended              "tolerance": every simplex is within the tolerance or has the full build's
                       effort; "gradients", "seconds": the build was ended earlier
    tolerance_of_bars  that was asked for, in units of the loss
    max_gradients      that were asked for at most; None: any number
    Arrays are copied. Raises OptionError for what no build gives.
    """

    gradients: tuple[int, ...]
    efforts: tuple[NDArray[np.float64], ...]
    ended: Ended
    tolerance_of_bars: float
    max_gradients: int | None = None

    def __post_init__(self) -> None:
        right = len(self.gradients) == len(self.efforts) and self.ended in get_args(Ended)
        right = right and min(self.gradients, default=0) >= 0
        right = right and 0 <= self.tolerance_of_bars < np.inf
        limit = self.max_gradients
        right = right and (limit is None or sum(self.gradients) <= limit)
        if not right or not all(((e >= 0) & (e <= 1)).all() for e in self.efforts):
            raise OptionError(
                "gradients and efforts must be those of the dimensions of an anytime build, and an "
                f"end one of {', '.join(get_args(Ended))}, got {self.gradients} and "
                f"{self.ended!r}: take those of `LossComplex.spent`"
            )
        efforts = tuple(np.array(each, np.float64) for each in self.efforts)
        for each in efforts:
            each.flags.writeable = False
        object.__setattr__(self, "efforts", efforts)

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
                f"a dimension had spent its share of {self.max_gradients} gradients, of which "
                f"{left} are left"
            )
        return (
            f"{sum(self.gradients)} training gradients ({', '.join(parts)}) at a tolerance of bars "
            f"of {self.tolerance_of_bars:g}; the build ended since {reason}"
        )
