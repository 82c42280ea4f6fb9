"""Distances between barcodes: bottleneck (W_inf), Wasserstein, and eq. 4 of the paper.

A matching pairs bars of one barcode with bars of the other; a bar left over is matched with the
nearest point of the diagonal. The bottleneck distance is the least possible length of a matching's
longest edge, the q-Wasserstein distance the least q-norm of all its edges' lengths.

Lengths are measured in a p-norm of the plane, `norm`. From a bar (b, d) the diagonal is (d - b) /
2^(1 - 1/p) away: (d - b)/2 in the max-norm, which persistence libraries use, (d - b)/sqrt(2) in the
Euclidean norm, which the paper uses. Bars that never end are matched among themselves, in the order
of their births.

Source: eq. 4 of the paper; Edelsbrunner & Harer (2010), VIII.2 and VIII.4.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.barcodes.bars import Bars, checked_bars, essential_births, finite_bars
from reduction.errors import BarcodeError
from reduction.validation import as_integer, is_number, short_repr

Floats = NDArray[np.float64]


def w_inf(bars: ArrayLike, *, essential: int = 0) -> float:
    """Eq. 4: how far bars (m, 2) are from a convex function's: max (d - b)/sqrt(2).

    essential  how many bars may never end, because a convex function has them too: one in
               index 0, none above. More of them make the distance inf.
    No bars that end: 0.0. Raises ShapeError, BarcodeError, OptionError.
    """
    essential = as_integer("essential", essential, 0)
    checked = checked_bars(bars)
    if essential_births(checked).size > essential:
        return math.inf
    return float(_to_diagonal(finite_bars(checked), 2.0).max(initial=0.0))


def bottleneck(a: ArrayLike, b: ArrayLike, *, norm: float = math.inf) -> float:
    """The bottleneck distance of bars a (m, 2) and b (n, 2), exact: one of their lengths.

    norm  p >= 1 of the ground norm. inf where the numbers of essential bars differ.
    Raises ShapeError, BarcodeError.

    A length is enough if every bar farther than it from the diagonal has a partner within it. By
    the theorem of Mendelsohn & Dulmage (1958) these may be sought for each side alone: a matching
    that covers the far bars of a, and one that covers those of b, contain one that covers both.
    """
    finite_a, finite_b, between = _checked(a, b, norm)
    if between is None:
        return math.inf
    to_a, to_b = _to_diagonal(finite_a, norm), _to_diagonal(finite_b, norm)
    lengths = _lengths(finite_a, finite_b, norm)
    enough = max(to_a.max(initial=0.0), to_b.max(initial=0.0))  # all to the diagonal
    candidates = np.unique(np.concatenate([[0.0], to_a, to_b, lengths[lengths < enough]]))
    low, high = 0, candidates.size - 1
    while low < high:
        middle = (low + high) // 2
        within = lengths <= candidates[middle]
        far_a, far_b = to_a > candidates[middle], to_b > candidates[middle]
        if _covers(within[far_a]) and _covers(within.T[far_b]):
            high = middle
        else:
            low = middle + 1
    return float(max(candidates[low], between.max(initial=0.0)))


def wasserstein(a: ArrayLike, b: ArrayLike, q: float, *, norm: float = math.inf) -> float:
    """The q-Wasserstein distance of bars a (m, 2) and b (n, 2): (sum of lengths^q)^(1/q).

    q >= 1 (inf: the bottleneck distance), norm p >= 1 of the ground norm. inf where the numbers of
    essential bars differ. Raises ShapeError, BarcodeError.
    """
    if not (is_number(q) and q >= 1):
        raise BarcodeError(
            f"a Wasserstein distance has q >= 1, but q is {short_repr(q)}; give 1, 2 or math.inf"
        )
    if q == math.inf:
        return bottleneck(a, b, norm=norm)
    finite_a, finite_b, between = _checked(a, b, norm)
    unit = bottleneck(a, b, norm=norm)
    if between is None or unit == 0:
        return unit
    # In units of W_inf the optimum lies between 1 and the number n of edges. So powers need not
    # overflow or vanish, and what exceeds n is used by no optimal matching, however far it is.
    n = len(finite_a) + len(finite_b)
    to_a, to_b, lengths, between = (
        np.minimum(x / unit, limit ** (1 / q)) ** q
        for x, limit in (
            (_to_diagonal(finite_a, norm), n + 1),
            (_to_diagonal(finite_b, norm), n + 1),
            (_lengths(finite_a, finite_b, norm), 2 * (n + 1)),
            (between, 1),
        )
    )
    from scipy.optimize import linear_sum_assignment

    gains = np.minimum(lengths - to_a[:, None] - to_b, 0.0)
    rows, columns = linear_sum_assignment(gains)
    used = gains[rows, columns] < 0
    rows, columns = rows[used], columns[used]
    # summed from the lengths, since the gains have lost digits: equal barcodes are at distance 0.0
    total = [lengths[rows, columns], np.delete(to_a, rows), np.delete(to_b, columns), between]
    return float(unit * math.fsum(np.concatenate(total)) ** (1 / q))


def _checked(a: ArrayLike, b: ArrayLike, norm: float) -> tuple[Bars, Bars, Floats | None]:
    """Finite bars of both, and lengths between essential ones: None if their numbers differ."""
    if not (is_number(norm) and norm >= 1):
        raise BarcodeError(
            f"a p-norm has p >= 1, but norm is {short_repr(norm)}; give 1, 2 or math.inf"
        )
    a, b = checked_bars(a, "a"), checked_bars(b, "b")
    births_a, births_b = np.sort(essential_births(a)), np.sort(essential_births(b))
    between = np.abs(births_a - births_b) if births_a.size == births_b.size else None
    return finite_bars(a), finite_bars(b), between


def _to_diagonal(bars: Bars, norm: float) -> Floats:
    """(m,) distances to the diagonal; for norm 2 exactly the (d - b)/sqrt(2) of eq. 4."""
    return (bars[:, 1] - bars[:, 0]) / 2 ** (1 - 1 / norm)


def _lengths(a: Bars, b: Bars, norm: float) -> Floats:
    """(m, n) distances between the bars of a and of b."""
    births = np.abs(a[:, None, 0] - b[None, :, 0])
    deaths = np.abs(a[:, None, 1] - b[None, :, 1])
    longer, shorter = np.maximum(births, deaths), np.minimum(births, deaths)
    ratio = np.divide(shorter, longer, out=np.zeros_like(longer), where=longer > 0)
    return longer * (1 + ratio**norm) ** (1 / norm)  # as it stands this holds for norm = inf too


def _covers(within: NDArray[np.bool_]) -> bool:
    """Whether all rows can be matched at once, each with its own column where `within`."""
    if not within.size:
        return not len(within)
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    matched = maximum_bipartite_matching(csr_array(within), perm_type="column")
    return bool((matched >= 0).all())
