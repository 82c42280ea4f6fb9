"""Discrete symmetries, by the nearest of all copies of a point."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray


class Symmetry(ABC):
    """A group that leaves a loss as it is: the images of a point are its copies."""

    @abstractmethod
    def nearest(
        self, point: NDArray[np.float64], target: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The copy (d,) of a point (d,) that is nearest to a target (d,)."""
