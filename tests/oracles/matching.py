"""Distances between small barcodes by trying every matching."""

import math
from itertools import permutations

Bar = tuple[float, float]


def _ground(a: Bar, b: Bar, norm: float) -> float:
    x, y = abs(a[0] - b[0]), abs(a[1] - b[1])
    return max(x, y) if norm == math.inf else (x**norm + y**norm) ** (1 / norm)


def distance(a: list[Bar], b: list[Bar], q: float, norm: float) -> float:
    """q-Wasserstein distance of finite bars, q = inf for bottleneck; at most about four bars each.

    Both sides are filled up with the diagonal, None, which is at distance zero from itself.
    """

    def cost(x: Bar | None, y: Bar | None) -> float:
        if x is None and y is None:
            return 0.0
        if x is None or y is None:
            birth, death = x or y or (0.0, 0.0)
            middle = (birth + death) / 2
            return _ground((birth, death), (middle, middle), norm)
        return _ground(x, y, norm)

    left = [*a, *[None] * len(b)]
    right = [*b, *[None] * len(a)]
    totals: list[float] = []
    for order in permutations(right):
        costs = [cost(x, y) for x, y in zip(left, order, strict=True)]
        totals.append(
            max(costs, default=0.0) if q == math.inf else math.fsum(c**q for c in costs) ** (1 / q)
        )
    return min(totals)
