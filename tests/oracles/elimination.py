"""Persistence by textbook Gaussian elimination on the dense boundary matrix of all simplices.

Cohen-Steiner, Edelsbrunner & Morozov (2006): columns from left to right, each reduced by those on
its left until its lowest non-zero row is its own. No cohomology, no clearing, no sparse storage.
"""

import numpy as np
from numpy.typing import NDArray

Simplex = tuple[int, ...]


def pairs(
    vertices: list[NDArray[np.int64]], values: list[NDArray[np.float64]], p: int
) -> set[tuple[Simplex, Simplex | None]]:
    """Who ends whom, or None does; in the order of value, dimension, colexicographic position."""
    simplices = sorted(
        (
            (value, len(row), tuple(row))
            for rows, heights in zip(vertices, values, strict=True)
            for row, value in zip(rows.tolist(), heights.tolist(), strict=True)
        ),
        key=lambda entry: (entry[0], entry[1], entry[2][::-1]),
    )
    names = [row for _, _, row in simplices]
    place = {row: i for i, row in enumerate(names)}
    reduced = np.zeros((len(names), len(names)), dtype=np.int64)
    for j, row in enumerate(names):
        if len(row) > 1:
            for i in range(len(row)):
                reduced[place[row[:i] + row[i + 1 :]], j] = (-1) ** i % p
    column_of: dict[int, int] = {}
    for j in range(len(names)):
        while reduced[:, j].any():
            low = int(np.flatnonzero(reduced[:, j])[-1])
            if low not in column_of:
                column_of[low] = j
                break
            other = reduced[:, column_of[low]]
            factor = int(reduced[low, j]) * pow(int(other[low]), -1, p) % p
            reduced[:, j] = (reduced[:, j] - factor * other) % p
    ends = set(column_of.values())
    return {
        (row, names[column_of[i]] if i in column_of else None)
        for i, row in enumerate(names)
        if i not in ends
    }
