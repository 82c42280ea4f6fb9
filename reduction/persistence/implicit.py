"""Persistent cohomology of complete complexes, with no boundary matrix and no list of simplices.

Below its top dimension D a complete complex is acyclic, as the simplex is whose skeleton it is. So
in every index r < D each r-simplex either ends a class of index r - 1 or begins a class that ends;
only in index 0 one class is essential, and in index D all are. Index by index:

1. Index 0 is a minimum spanning forest (`pairs.components`). Edges outside it begin the classes of
   index 1; the others are cleared, and so on upwards.
2. One pass over the (r+1)-simplices, in as many threads as there are cores, gives each r-simplex
   its first cofacets; the oldest is the first pivot of its column (`kernels.first_cofacets`).
3. Where an r-simplex is the youngest facet of its oldest cofacet the two are an apparent pair
   (`kernels.coboundary`). Most are, and they are in no table.
4. What is left is reduced, youngest first, by cursors into coboundaries (`kernels.cursors`), in as
   many parts as there are cores (`implicit_columns`).
5. Where columns prove long, ranks are given to the (r+1)-simplices after all, and the reduction
   goes on with blocks of rows (`kernels.blocks`, `implicit_blocks`).

Memory for index r, beside the values, in bytes: 64 for the first cofacets of each r-simplex, 8 for
its state in each thread, 2 for marks; 70 for each column that is not an apparent pair, 8 for each
term of a reduced column, and in each thread 96 for each simplex whose cursor goes beyond the first
cofacets (80, 16, 16 and 128 where positions take 64 bits). In practice that comes to RECORDED for
each r-simplex, and its states. Blocks take RANKED for each (r+1)-simplex besides, and some
BLOCKED times the bytes of a block (256, 2,048, 8,192); they are used only where that is less than
half of what is free, and twice the number of (r+1)-simplices fits into 32 bits. Where they outgrow
their buffers, cursors begin anew and go on to the end. Terms of columns that outgrow the
memory raise CapacityError.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reduction.filtrations.simplices import Complete, index_type
from reduction.filtrations.sorting import filtration_order
from reduction.kernels.blocks import MOST_ROWS
from reduction.kernels.buffers import records
from reduction.kernels.coboundary import Coboundary, mark_apparent
from reduction.kernels.cursors import AT_BITS
from reduction.kernels.first_cofacets import FIRST, first_cofacets
from reduction.kernels.residues import SMALL, empty_blocks
from reduction.memory import available, require
from reduction.persistence.implicit_blocks import reduce_by_blocks
from reduction.persistence.implicit_columns import oldest_cofacets, reduce_by_cursors
from reduction.persistence.pairs import Pairing, components
from reduction.threads import cores, even_bounds, paced, spread, top_bounds

FEWEST_STEPS = 1 << 16  # of cursors, for which ranks do not pay
ENDLESS = 2**62
RECORDED = 112  # bytes for each r-simplex
STATE = 8  # bytes for each r-simplex in each thread
SORTED = 16  # bytes for each edge
RANKED = 32  # bytes for each (r+1)-simplex that gets a rank, lists included
BLOCKED = 1 / 8  # blocks for each (r+1)-simplex


def implicit_pairings(
    simplices: Complete,
    values: Sequence[NDArray[np.float64]],
    p: int,
    max_index: int,
    *,
    threads: int | None = None,
    step_limit: float | None = None,
) -> list[Pairing]:
    """The persistence pairs of a complete complex over Z/p, for the indices 0..max_index.

    threads     by default as many as there are cores, one where there is little to do
    step_limit  of cursors, before the reduction of an index goes on with blocks: 0 at once, inf
                never; by default FEWEST_STEPS, or more by `_steps`. Neither changes the pairs.
    Raises CapacityError.
    """
    reduced = [row.size for row in values[: min(max_index + 1, simplices.dim)]]
    m, edges = max(reduced, default=0), values[1].size if simplices.dim else 0
    at_once = min(threads or cores(), max(m, 1))
    need = (RECORDED + STATE * at_once) * m
    require(max(need, SORTED * edges), f"reducing {m} columns")
    result: list[Pairing] = []
    cleared = np.zeros(simplices.n, np.bool_)  # the r-simplices that are deaths of index r - 1
    for r in range(max_index + 1):
        if r == simplices.dim:
            result.append(Pairing(np.flatnonzero(~cleared), np.empty(0, np.int64)))
        elif r == 0:
            result.append(
                components(partial(simplices.facets_of, 1), values[0], filtration_order(values[1]))
            )
        else:
            d = coboundary(simplices, values, r, p, threads)
            result.append(_pair(d, cleared, step_limit if _fits(d) else np.inf, threads))
        if r + 1 < simplices.dim or max_index == simplices.dim:
            cleared = np.zeros(values[min(r + 1, simplices.dim)].size, np.bool_)
            cleared[result[-1].deaths] = True
    return result


def coboundary(
    simplices: Complete, values: Sequence[NDArray[np.float64]], r: int, p: int, threads: int | None
) -> Coboundary:
    """The coboundary operator of the r-simplices, their first cofacets found, r >= 1."""
    m, binomials = values[r].size, simplices.binomials()
    d = Coboundary(
        r,
        simplices.n,
        p,
        binomials,
        *simplices.guesses(),
        values[r],
        values[r + 1],
        records(m, FIRST, index_type(max(2 * values[r + 1].size, (m + 1) << AT_BITS))),
    )
    bounds = top_bounds(simplices.n, r, values[r + 1].size, threads)

    def find(first: int, last: int) -> None:
        for begin, end in paced(last - first, 1):
            first_cofacets(first + begin, first + end, d)

    spread(find, bounds)
    return d


def _pair(
    d: Coboundary, cleared: NDArray[np.bool_], step_limit: float | None, threads: int | None
) -> Pairing:
    """Pair the r-simplices that are not cleared, r >= 1."""
    m = d.values.size
    apparent = np.zeros(m, np.bool_)
    bounds = even_bounds(m, threads)
    spread(lambda begin, end: mark_apparent(d, begin, end, apparent), bounds)
    assert not (apparent & cleared).any()
    left = np.flatnonzero(~(apparent | cleared))
    order = left[filtration_order(d.values[left])[::-1]]
    if step_limit is None:
        step_limit = max(_steps(d.p) * d.above.size, FEWEST_STEPS)
    at_once = np.flatnonzero(apparent)
    pivots = _pivots(d, order, at_once, int(min(step_limit, ENDLESS)), threads)
    if pivots is None:  # blocks outgrew their buffers: cursors need far less, if more time
        pivots = reduce_by_cursors(d, order, ENDLESS, threads)[0].pivot
    return Pairing(
        np.concatenate([at_once, order]), np.concatenate([oldest_cofacets(at_once, d), pivots])
    )


def _pivots(
    d: Coboundary,
    order: NDArray[np.int64],
    apparent: NDArray[np.int64],
    limit: int,
    threads: int | None,
) -> NDArray[np.int64] | None:
    """The pivots of simplices in an order: by cursors, and by blocks where columns prove long."""
    reduced, unreduced = reduce_by_cursors(d, order, limit, threads)
    if not unreduced.pivot.size:
        return reduced.pivot
    return reduce_by_blocks(reduced, unreduced, apparent, d)


def _steps(p: int) -> float:
    """Steps of cursors for each (r+1)-simplex before blocks pay: more for wider residues."""
    return 0.5 if p == 2 else 16.0 if p < SMALL else 64.0


def _fits(d: Coboundary) -> bool:
    """Whether blocks fit into memory, as far as can be told before."""
    need = (RANKED + BLOCKED * empty_blocks(1, d.p).nbytes) * d.above.size
    return d.above.size <= MOST_ROWS and need < available() / 2
