"""What a cycle and a canonical form are, checked simplex by simplex in dense vectors modulo p.

Simplices are tuples of labels; all of them stand in one list, in the order of value, dimension,
colexicographic position, and a chain is a vector of coefficients over that list.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Simplex = tuple[int, ...]
Vector = NDArray[np.int64]


class Span:
    """Vectors modulo p that grow in number; each kept with 1 at its first non-zero place."""

    def __init__(self, p: int) -> None:
        self.p = p
        self.basis: dict[int, Vector] = {}

    def rest(self, vector: Vector) -> Vector:
        """What is left of a vector, zero if and only if it is in the span."""
        rest = vector % self.p
        for place in range(rest.size):
            if rest[place] and place in self.basis:
                rest = (rest - rest[place] * self.basis[place]) % self.p
        return rest

    def __contains__(self, vector: Vector) -> bool:
        return not self.rest(vector).any()

    def add(self, vector: Vector) -> bool:
        """Whether the span has grown."""
        rest = self.rest(vector)
        if not rest.any():
            return False
        place = int(np.flatnonzero(rest)[0])
        self.basis[place] = rest * pow(int(rest[place]), -1, self.p) % self.p
        return True

    def copy(self) -> "Span":
        twin = Span(self.p)
        twin.basis = dict(self.basis)
        return twin

    def __len__(self) -> int:
        return len(self.basis)


class Bar(NamedTuple):
    """A bar of index r, and the cycle that is claimed to represent it."""

    r: int
    birth: Simplex
    death: Simplex | None
    terms: dict[Simplex, int]


def total_order(
    vertices: list[NDArray[np.int64]], values: list[NDArray[np.float64]]
) -> list[Simplex]:
    """All simplices, in order."""
    keyed = [
        (value, len(row), tuple(row[::-1]), tuple(row))
        for rows, heights in zip(vertices, values, strict=True)
        for row, value in zip(rows.tolist(), heights.tolist(), strict=True)
    ]
    return [row for _, _, _, row in sorted(keyed)]


def boundary(simplex: Simplex, place: dict[Simplex, int], p: int) -> Vector:
    """The alternated sum of the facets of a simplex."""
    found = np.zeros(len(place), np.int64)
    if len(simplex) > 1:
        for i in range(len(simplex)):
            found[place[simplex[:i] + simplex[i + 1 :]]] = (-1) ** i % p
    return found


def check_cycles(order: list[Simplex], bars: list[Bar], p: int) -> None:
    """All that makes chains the cycles of the bars of a complex, zero-length ones among them.

    Each is a sum of r-simplices whose boundary is zero; the latest of them begins its bar, with
    coefficient 1; it is in the span of the boundaries of the simplices up to the one that ends
    the bar, and not of those before that. After each simplex, the cycles of index r alive are a
    basis of cycles modulo boundaries.
    """
    place = {simplex: i for i, simplex in enumerate(order)}
    vectors: list[Vector] = []
    for bar in bars:
        vector = np.zeros(len(order), np.int64)
        for simplex, coefficient in bar.terms.items():
            assert len(simplex) == bar.r + 1
            assert 0 < coefficient < p
            vector[place[simplex]] = coefficient
        total = np.zeros(len(order), np.int64)
        for simplex, coefficient in bar.terms.items():
            total = (total + coefficient * boundary(simplex, place, p)) % p
        assert not total.any(), "it has a boundary"
        latest = int(np.flatnonzero(vector)[-1])
        assert order[latest] == bar.birth, "it is not born with its bar"
        assert vector[latest] == 1, "it is not scaled"
        vectors.append(vector)
    dim = max(map(len, order))
    boundaries = [Span(p) for _ in range(dim)]  # of index r: images of the (r+1)-simplices
    counts = [0] * dim
    for simplex in order:
        r = len(simplex) - 1
        counts[r] += 1
        if r:
            for bar, vector in zip(bars, vectors, strict=True):
                if bar.r == r - 1 and place[bar.birth] < place[simplex]:
                    dead = bar.death is not None and place[bar.death] < place[simplex]
                    assert (vector in boundaries[r - 1]) == dead, "it bounds too soon"
            boundaries[r - 1].add(boundary(simplex, place, p))
        for index in (r - 1, r) if r else (0,):
            alive = [
                vector
                for bar, vector in zip(bars, vectors, strict=True)
                if bar.r == index
                and place[bar.birth] <= place[simplex]
                and (bar.death is None or place[bar.death] > place[simplex])
            ]
            cycles = counts[index] - (len(boundaries[index - 1]) if index else 0)
            assert len(alive) == cycles - len(boundaries[index]), "it is no Betti number"
            together = boundaries[index].copy()
            assert all(together.add(vector) for vector in alive), "they are dependent"
    for bar, vector in zip(bars, vectors, strict=True):
        assert (vector in boundaries[bar.r]) == (bar.death is not None), "it never bounds"
