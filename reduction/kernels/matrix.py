"""The reduction of a coboundary matrix over Z/p.

The columns of R = D V are never written out (D the coboundary matrix, see `reduction.boundary`).
The working column is a set of simplices with coefficients, the working column of V, and each of
them has a cursor into its own sorted coboundary: the first cofacet that may still count. Whatever
lies before the current pivot cancels in total, so a simplex enters at its first cofacet from the
pivot on, and one whose cursor runs off the end is forgotten.
"""

from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import njit, njit_step

Integers = NDArray[np.integer]


@njit_step
def inverse(a: np.int64, p: int) -> np.int64:
    """The b in 0..p-1 with a b = 1 modulo the prime p, for a in 1..p-1 (extended Euclid)."""
    r, r_next, s, s_next = np.int64(p), a, np.int64(0), np.int64(1)
    while r_next:
        q = r // r_next
        r, r_next = r_next, r - q * r_next
        s, s_next = s_next, s - q * s_next
    return s % p


@njit
def enlarged(array: NDArray[np.int64]) -> NDArray[np.int64]:
    """A copy with twice the room; the second half is unset."""
    larger = np.empty(2 * array.size, array.dtype)
    larger[: array.size] = array
    return larger


@njit
def enter(
    simplex: np.int64,
    row: np.int64,
    heap: list[np.int64],
    cursor: NDArray[np.int64],
    indptr: Integers,
    indices: Integers,
) -> None:
    """Put a simplex on the heap at its first cofacet from `row` on, if it has one."""
    first, last = indptr[simplex], indptr[simplex + 1]
    k = first + np.searchsorted(indices[first:last], row)
    if k < last:
        cursor[simplex] = k
        heappush(heap, np.int64(indices[k]) * cursor.size + simplex)


@njit
def find_pivot(
    heap: list[np.int64],
    cursor: NDArray[np.int64],
    coefficient: NDArray[np.int64],
    indptr: Integers,
    indices: Integers,
    signs: NDArray[np.int8],
    p: int,
) -> tuple[np.int64, np.int64]:
    """The pivot of the working column, its earliest non-zero row, and its value; -1, 0 for none.

    All cursors that stand at the earliest cofacet are taken together. Where they cancel they move
    on; at the pivot they stay, since the next addition may change or remove any of them.
    """
    m = cursor.size
    while heap:
        row, total = heap[0] // m, np.int64(0)
        standing = [row for _ in range(0)]  # an empty list whose type Numba can tell
        while heap and heap[0] // m == row:
            simplex = heappop(heap) % m
            if coefficient[simplex]:
                total += coefficient[simplex] * signs[cursor[simplex]]
                standing.append(simplex)
            else:
                cursor[simplex] = -1
        total %= p
        for simplex in standing:
            cursor[simplex] += total == 0
            if cursor[simplex] < indptr[simplex + 1]:
                heappush(heap, np.int64(indices[cursor[simplex]]) * m + simplex)
            else:
                cursor[simplex], coefficient[simplex] = -1, 0
        if total:
            return row, total
    return np.int64(-1), np.int64(0)


@njit
def reduce_coboundary(
    indptr: Integers,
    indices: Integers,
    signs: NDArray[np.int8],
    cofacets: int,
    skip: NDArray[np.bool_],
    p: int,
) -> NDArray[np.int64]:
    """Reduce the coboundary matrix of the r-simplices, latest column first: who owns each pivot.

    indptr    (m + 1,)     column j has its entries at indptr[j]:indptr[j + 1]
    indices   (nnz,)       the cofacets of j, ascending; simplices are numbered in filtration order
    signs     (nnz,)       +1 or -1
    cofacets               the number of (r+1)-simplices
    skip      (m,)         columns known to reduce to zero (clearing)
    p                      a prime below 2**31: no product or sum below reaches 2**63
    returns   (cofacets,)  the r-simplex whose reduced column has its pivot there, or -1

    While another column owns the pivot of column j, a multiple of it is added to cancel that. The
    columns of V are scaled to have 1 at their pivots; that of j stands in `simplices` and
    `multiples` at start[j]:stop[j], at first as j alone, which is all that most ever need.
    """
    m, owner = indptr.size - 1, np.full(cofacets, -1, np.int64)
    start, stop = np.arange(m), np.arange(1, m + 1)
    simplices, multiples, used = np.arange(m), np.ones(m, np.int64), m
    coefficient = np.zeros(m, np.int64)  # the working column of V
    cursor = np.full(m, -1, np.int64)  # where in `indices` its simplices stand, -1 off the heap
    for j in np.arange(m)[::-1]:
        if skip[j] or indptr[j] == indptr[j + 1]:
            continue
        pivot, value = np.int64(indices[indptr[j]]), np.int64(signs[indptr[j]]) % p
        if owner[pivot] < 0:  # free at once: nothing to add (and 1 and -1 are their own inverses)
            owner[pivot], multiples[j] = j, value
            continue
        heap = [pivot * m + j]
        coefficient[j], cursor[j] = 1, indptr[j]
        while pivot >= 0 and owner[pivot] >= 0:
            for k in range(start[owner[pivot]], stop[owner[pivot]]):
                simplex = simplices[k]
                if cursor[simplex] < 0:
                    enter(simplex, pivot, heap, cursor, indptr, indices)
                if cursor[simplex] >= 0:
                    coefficient[simplex] += (p - value) * multiples[k] % p
                    coefficient[simplex] %= p
            pivot, value = find_pivot(heap, cursor, coefficient, indptr, indices, signs, p)
        if pivot < 0:  # all cancelled, and the heap with it
            continue
        owner[pivot], start[j], scale = j, used, inverse(value, p)
        for key in heap:
            simplex = key % m
            cursor[simplex] = -1
            if used == simplices.size:
                simplices, multiples = enlarged(simplices), enlarged(multiples)
            if coefficient[simplex]:
                simplices[used], multiples[used] = simplex, coefficient[simplex] * scale % p
                coefficient[simplex] = 0
                used += 1
        stop[j] = used
    return owner
