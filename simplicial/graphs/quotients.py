"""Quotients of complexes by translations: simplices that differ by one are glued.

A vertex is (label, shift), its class and the translation of the class's own point by which it is
reached. Translations keep the order by label, then shift, so that the translate of a simplex of
which the first vertex is not shifted stands for its class. Two edges of the quotient may have the
same ends, and both ends of an edge may be one vertex: glued simplices are no simplicial complex,
but their barycentric subdivision has a vertex for each of them, and that of the subdivision is
simplicial. Every new simplex gets the value of the old one inside of which it lies, so that
sublevel complexes are the same spaces as before, and the barcode is that of the glued simplices.
Source: Hatcher, Algebraic Topology (2002), 2.1, exercise 23: the second barycentric subdivision of
a Delta-complex is a simplicial complex.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TypeAlias

from reduction import FilteredComplex

Shift: TypeAlias = tuple[int, ...]
Vertex: TypeAlias = tuple[int, Shift]
Simplex: TypeAlias = tuple[Vertex, ...]


def quotient(values: dict[Simplex, float]) -> FilteredComplex:
    """The glued simplices, subdivided as often as it takes: twice, once, or not at all.

    values  of each class, of all faces too, named as `representative` does
    """
    while not _is_simplicial(values):
        values = _subdivided(values)
    return FilteredComplex.from_simplices(
        {tuple(label for label, _ in simplex): value for simplex, value in values.items()}
    )


def representative(vertices: Iterable[Vertex]) -> tuple[Simplex, Shift]:
    """The translate that stands for the class of a simplex, and the shift from there to it."""
    ordered = sorted(vertices)
    shift = ordered[0][1]
    return tuple((label, minus(own, shift)) for label, own in ordered), shift


def minus(a: Shift, b: Shift) -> Shift:
    """The difference of two shifts."""
    return tuple(i - j for i, j in zip(a, b, strict=True))


def _is_simplicial(values: dict[Simplex, float]) -> bool:
    """Whether no simplex has a label twice, and no two have the same labels."""
    labels = [tuple(label for label, _ in simplex) for simplex in values]
    return len(set(labels)) == len(labels) and all(len(set(of)) == len(of) for of in labels)


def _subdivided(values: dict[Simplex, float]) -> dict[Simplex, float]:
    """The barycentric subdivision: chains of faces of each simplex, up to itself."""
    number, after = {simplex: k for k, simplex in enumerate(sorted(values))}, {}
    for simplex, value in values.items():
        for chain in _chains(simplex):
            named = (representative(face) for face in chain)
            after[representative((number[of], shift) for of, shift in named)[0]] = value
    return after


def _chains(simplex: Simplex) -> Iterator[tuple[Simplex, ...]]:
    """Chains of faces, each a face of the next, of which the last is the simplex."""
    yield (simplex,)
    for size in range(1, len(simplex)):
        for face in combinations(simplex, size):
            for chain in _chains(face):
                yield (*chain, simplex)
