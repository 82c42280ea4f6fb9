"""Orientations of a regular cell complex whose boundary matrices are given modulo 2.

In a regular cell complex the faces of codimension 2 of a cell lie in exactly two of its facets, and
its facets are connected through them. So incidence numbers in {-1, 1} that make the boundary of a
boundary zero exist, and are unique up to the sign of each cell: the barcode over any field does not
depend on the choice. Source: Massey, "A Basic Course in Algebraic Topology" (1991), chapter
IX, on regular CW-complexes.
"""

from collections import defaultdict

from reduction.errors import DataError

Signs = dict[int, int]  # of the facets of a cell


def oriented(facets: list[list[int]], dims: list[int]) -> list[Signs]:
    """Incidence numbers of the facets of each cell.

    facets  of each cell, all of a dimension one less and listed before it
    dims    dimension of each cell
    Raises DataError where the cells are not those of a regular cell complex.
    """
    signs: list[Signs] = []
    for j, (below, dim) in enumerate(zip(facets, dims, strict=True)):
        if dim == 1 and len(below) != 2:
            raise DataError(f"an edge has two ends, but column {j} has {len(below)} entries")
        if dim == 0:
            found: Signs = {}
        elif dim == 1:
            found = {below[0]: -1, below[1]: 1}
        else:
            found = _coherent(below, signs)
        zero = dim < 2 or _bounds_nothing(found, signs)
        if len(found) < len(below) or not zero:
            raise DataError(
                "signs follow from the faces of a regular cell complex alone, in which a face of "
                f"codimension 2 lies in two connected facets, and column {j} is no such cell"
            )
        signs.append(found)
    return signs


def _coherent(facets: list[int], signs: list[Signs]) -> Signs:
    """Signs of those facets that are connected with the first one through faces of theirs."""
    around: dict[int, list[int]] = defaultdict(list)  # the facets at a face of codimension 2
    for facet in facets:
        for face in signs[facet]:
            around[face].append(facet)
    found, queue = {facets[0]: 1} if facets else {}, facets[:1]
    while queue:
        facet = queue.pop()
        for face in signs[facet]:
            for other in around[face]:
                if other not in found:
                    found[other] = -found[facet] * signs[facet][face] * signs[other][face]
                    queue.append(other)
    return found


def _bounds_nothing(found: Signs, signs: list[Signs]) -> bool:
    """Whether the boundary of a sum of facets is zero, and there is one."""
    total: dict[int, int] = defaultdict(int)
    for facet, sign in found.items():
        for face, incidence in signs[facet].items():
            total[face] += sign * incidence
    return bool(total) and not any(total.values())
