"""The level at which the boundary of a simplex bounds without it, by ranks over Z/2."""

import math
from itertools import combinations


def bounding_level(values: dict[tuple[int, ...], float], simplex: tuple[int, ...]) -> float:
    """That level among values by simplex; inf where the boundary never bounds."""
    others = sorted((v, s) for s, v in values.items() if len(s) == len(simplex) and s != simplex)
    pivots: dict[int, int] = {}
    faces = {s: i for i, s in enumerate(s for s in values if len(s) == len(simplex) - 1)}

    def reduced(of: tuple[int, ...]) -> int:
        column = 0
        for face in combinations(of, len(of) - 1):
            column ^= 1 << faces[face]
        while column and (top := column.bit_length()) in pivots:
            column ^= pivots[top]
        return column

    for value, other in others:
        if column := reduced(other):
            pivots[column.bit_length()] = column
        if not reduced(simplex):
            return value
    return math.inf
