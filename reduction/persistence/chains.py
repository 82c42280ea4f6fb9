"""Chains: sums of oriented simplices of one dimension."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chain:
    """An r-chain with coefficients in Z/p: the sum of coefficients[i] times simplices[i].

    simplices     (k, r+1) int64, vertex labels, ascending in each row; rows in colexicographic
                  order
    coefficients  (k,) int64, in 1..p-1
    field         the prime p

    A simplex is oriented by the order of its labels. Arrays are read-only.
    """

    simplices: NDArray[np.int64]
    coefficients: NDArray[np.int64]
    field: int

    def __post_init__(self) -> None:
        for array in (self.simplices, self.coefficients):
            array.flags.writeable = False

    def __len__(self) -> int:
        """The number of simplices."""
        return len(self.coefficients)

    def __repr__(self) -> str:
        return (
            f"Chain(dim={self.simplices.shape[1] - 1}, simplices={len(self)}, field={self.field})"
        )
