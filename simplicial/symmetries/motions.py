"""Continuous groups of motions, under which a loss may be invariant."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray


class Motions(ABC):
    """A continuous group of motions of points, such as translations and rotations of atoms."""

    @abstractmethod
    def tangents(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Directions (m, d, k) in which k motions carry points (m, d), of any length."""

    @abstractmethod
    def nearest(
        self, points: NDArray[np.float64], target: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Points (m, d), each moved as near as can be to a target (d,)."""
