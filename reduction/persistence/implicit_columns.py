"""Columns of a complete complex reduced by cursors, in parts that threads take at the same time.

Of columns in their order each thread reduces a part, as if there were no others. Then the columns
of the second part go on being reduced by those of the first, and so on; with short bars few have
to. Additions go from earlier columns to later ones throughout, so the pivots are those of any other
reduction.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.buffers import enlarged, records
from reduction.kernels.coboundary import NEXT, Coboundary, Scan, write_signs
from reduction.kernels.cursors import (
    COLUMNS_FULL,
    DONE,
    Chains,
    Columns,
    Cursors,
    reduce_columns,
)
from reduction.kernels.heap import Heap
from reduction.threads import even_bounds, paced, spread


class _Share(NamedTuple):
    """The columns that a thread has reduced, those that it has left, and its cursors."""

    columns: Columns
    left: Chains
    cursors: Cursors
    heap: Heap


def reduce_by_cursors(
    d: Coboundary, order: NDArray[np.int64], limit: int, threads: int | None
) -> tuple[Chains, Chains]:
    """Reduced columns of the first simplices in an order, and unreduced ones of the rest.

    limit  of steps, settings and moves of cursors; columns left then stay unreduced
    """
    bounds = even_bounds(order.size, threads)

    def begin(low: int, high: int) -> _Share:
        capacity = order.size if low == 0 else high - low
        cursors, heap = _cursors(d), _heap(d.values.size)
        steps = limit // (len(bounds) - 1)
        begun, columns = _begun(d, order[low:high]), _columns(capacity, d)
        columns, left = _reduce(begun, cursors, heap, columns, d, limit=steps)
        return _Share(columns, left, cursors, heap)

    (columns, left, _, _), *others = spread(begin, bounds)
    for share in others:
        again = first_chains(share.columns.chains, int(share.columns.used[0]))
        if not left.pivot.size:
            columns, again = _reduce(
                again, share.cursors, share.heap, columns, d, limit=limit, apart=True
            )
        left = joined([left, again, share.left])
    return first_chains(columns.chains, int(columns.used[0])), left


def _reduce(
    begun: Chains,
    cursors: Cursors,
    heap: Heap,
    columns: Columns,
    d: Coboundary,
    *,
    limit: int,
    apart: bool = False,
) -> tuple[Columns, Chains]:
    """Append chains to the columns, reduced; those columns, and the chains that are left."""
    reduced, status = 0, DONE
    for begin, end in paced(begun.pivot.size):
        part = first_chains(begun, end)
        reduced, status = reduce_columns(begin, limit, part, apart, cursors, heap, columns, d)
        while status == COLUMNS_FULL:
            chains = columns.chains
            simplices, multiples = enlarged(chains.simplices, chains.multiples)
            chains = chains._replace(simplices=simplices, multiples=multiples)
            columns = columns._replace(chains=chains)
            reduced, status = reduce_columns(reduced, limit, part, apart, cursors, heap, columns, d)
        if status != DONE:
            break
    return columns, _behind(begun, reduced)


# --- chains


def oldest_cofacets(simplices: NDArray[np.int64], d: Coboundary) -> NDArray[np.int64]:
    """The positions of the oldest cofacets of simplices."""
    return (d.first["cofacet"][simplices, 0] >> 1).astype(np.int64)


def _begun(d: Coboundary, order: NDArray[np.int64]) -> Chains:
    """A chain for each simplex: the simplex itself, times the sign of its oldest cofacet."""
    kind, pivot = d.first["cofacet"].dtype, oldest_cofacets(order, d)
    multiples = np.ones(order.size, kind)
    if d.p != 2:
        write_signs(order, pivot, d, multiples)  # their own inverses
    return Chains(pivot, np.arange(order.size + 1), order.astype(kind), multiples)


def first_chains(chains: Chains, count: int) -> Chains:
    """The first `count` chains."""
    end = chains.stop[count]
    return Chains(
        chains.pivot[:count],
        chains.stop[: count + 1],
        chains.simplices[:end],
        chains.multiples[:end],
    )


def _behind(chains: Chains, count: int) -> Chains:
    """All but the first `count` chains."""
    begin = chains.stop[count]
    return Chains(
        chains.pivot[count:],
        chains.stop[count:] - begin,
        chains.simplices[begin:],
        chains.multiples[begin:],
    )


def joined(parts: Sequence[Chains]) -> Chains:
    """The chains of the first part, then those of the next."""
    lengths = np.concatenate([np.diff(part.stop) for part in parts])
    return Chains(
        np.concatenate([part.pivot for part in parts]),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([part.simplices for part in parts]),
        np.concatenate([part.multiples for part in parts]),
    )


# --- workspaces of kernels; pages that are never written to take no memory


def _columns(most: int, d: Coboundary) -> Columns:
    """No columns, and buffers for `most`."""
    kind = d.first["cofacet"].dtype
    return Columns(
        np.zeros(2, np.int64),
        np.full(1 << (2 * most).bit_length(), -1, np.int32),
        Chains(
            np.empty(most, np.int64),
            np.zeros(most + 1, np.int64),
            np.empty(2 * most + 16, kind),
            np.empty(2 * most + 16, kind),
        ),
    )


def _cursors(d: Coboundary) -> Cursors:
    """No cursors, and buffers for one into each simplex's coboundary."""
    m, kind = d.values.size, d.first["cofacet"].dtype.type
    return Cursors(
        used=np.zeros(1, np.int64),
        state=np.zeros((m, 2), kind),
        rows=records(m + 1, 1 + NEXT, kind),
        ahead=np.empty(1, np.int64),
        scan=Scan(np.empty(d.r + 2, np.int64), np.empty(d.n, np.int64)),
    )


def _heap(m: int) -> Heap:
    """An empty heap, and buffers for m simplices."""
    return Heap(
        size=np.zeros(1, np.int64),
        value=np.empty(m),
        cofacet=np.empty(m, np.int64),
        simplex=np.empty(m, np.int64),
        standing=np.empty(m, np.int64),
    )
