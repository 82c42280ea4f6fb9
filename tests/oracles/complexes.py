"""Random filtered complexes, and named triangulations, made without the library."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray


class Arrays(NamedTuple):
    """A filtered complex as FilteredComplex takes it, its rows shuffled."""

    vertices: list[NDArray[np.int64]]
    values: list[NDArray[np.float64]]


def closure(top: Sequence[Sequence[int]]) -> list[NDArray[np.int64]]:
    """All faces of simplices of one dimension, row by row in lexicographic order."""
    rows = np.unique(np.sort(np.array(top), axis=1), axis=0)
    dimensions = [rows]
    while rows.shape[1] > 1:
        rows = np.unique(
            np.concatenate([np.delete(rows, i, axis=1) for i in range(rows.shape[1])]), axis=0
        )
        dimensions.insert(0, rows)
    return dimensions


def joined(*parts: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The union of complexes given by dimension."""
    dim = max(map(len, parts))
    return [
        np.unique(np.concatenate([part[r] for part in parts if r < len(part)]), axis=0)
        for r in range(dim)
    ]


def code(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each row of up to six labels below 1024."""
    return rows @ 1024 ** np.arange(rows.shape[1])[::-1]


def filtered(simplices: list[NDArray[np.int64]], rng: np.random.Generator, levels: int) -> Arrays:
    """Random values, raised to those of the faces; whole numbers if there are `levels` of them."""
    values: list[NDArray[np.float64]] = []
    for r, rows in enumerate(simplices):
        own = rng.integers(0, levels, len(rows)) if levels else rng.random(len(rows)) * (1 + r)
        value = own.astype(np.float64)
        if r:
            for i in range(r + 1):
                face = np.searchsorted(code(simplices[r - 1]), code(np.delete(rows, i, axis=1)))
                value = np.maximum(value, values[r - 1][face])
        values.append(value)
    shuffles = [rng.permutation(len(rows)) for rows in simplices]
    return Arrays(
        [rows[p] for rows, p in zip(simplices, shuffles, strict=True)],
        [value[p] for value, p in zip(values, shuffles, strict=True)],
    )


def full(n: int, dim: int) -> list[NDArray[np.int64]]:
    """All simplices up to a dimension."""
    return [np.array(list(combinations(range(n), r + 1))) for r in range(dim + 1)]


def sparse(n: int, dim: int, count: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """All n vertices, and `count` random simplices of each dimension with their faces."""
    parts = [np.arange(n)[:, None]]
    tops = [
        closure(np.argsort(rng.random((count, n)), axis=1)[:, : r + 1].tolist())
        for r in range(1, dim + 1)
    ]
    return joined(parts, *tops)


@st.composite
def full_complexes(draw: st.DrawFn, most: int = 40) -> Arrays:
    """Complete skeletons of 1 to `most` vertices, dimension 0 to 4, below a thousand simplices."""
    dim = draw(st.integers(0, 4))
    n = draw(st.integers(dim + 1, min(most, (40, 40, 15, 11, 10)[dim])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return filtered(full(n, dim), rng, draw(st.sampled_from([0, 2, 5])))


@st.composite
def sparse_complexes(draw: st.DrawFn, most: int = 40) -> Arrays:
    """Sparse complexes on 5 to `most` vertices, dimension 1 to 4."""
    dim = draw(st.integers(1, 4))
    n = draw(st.integers(5, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    simplices = sparse(n, dim, draw(st.integers(1, 3 * n)), rng)
    return filtered(simplices, rng, draw(st.sampled_from([0, 2, 5])))


PROJECTIVE_PLANE = closure(
    [
        (0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5), (0, 1, 5),
        (1, 2, 4), (2, 4, 5), (2, 3, 5), (1, 3, 5), (1, 3, 4),
    ]
)  # fmt: skip


def _square(i: int, j: int, identify: str) -> list[tuple[int, int, int]]:
    def vertex(a: int, b: int) -> int:
        if a == 4:
            a, b = 0, (-b if identify == "klein" else b)
        return 4 * a + b % 4

    corner = [vertex(i, j), vertex(i + 1, j), vertex(i, j + 1), vertex(i + 1, j + 1)]
    return [(corner[0], corner[1], corner[3]), (corner[0], corner[2], corner[3])]


def surface(identify: str) -> list[NDArray[np.int64]]:
    """A 4 x 4 grid of squares, its opposite sides identified: "torus" or "klein"."""
    return closure([t for i in range(4) for j in range(4) for t in _square(i, j, identify)])
