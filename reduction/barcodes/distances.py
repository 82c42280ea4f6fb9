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
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.barcodes.bars import Bars, bar_lengths, checked_bars, essential_births, finite_bars
from reduction.barcodes.bottleneck import joined_covers, least_cover
from reduction.errors import BarcodeError
from reduction.memory import require
from reduction.reprs import or_types
from reduction.validation import as_integer, is_number, short_repr

Floats = NDArray[np.float64]

LARGEST = 2.0**1020  # size of values whose lengths are within float64
AT_ONCE = 1 << 22  # lengths of a table


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


class Matching(NamedTuple):
    """A matching of two barcodes of the least distance.

    distance  bottleneck or Wasserstein
    pairs     (k, 2) int64, every bar once: its row in a and in b, -1 for the diagonal
    lengths   (k,) of the pairs, in the ground norm
    """

    distance: float
    pairs: NDArray[np.int64]
    lengths: Floats

    @or_types
    def __repr__(self) -> str:
        matched = int((self.pairs >= 0).all(axis=1).sum())
        to_diagonal = len(self.pairs) - matched
        return f"Matching(distance={self.distance:.6g}, {matched=}, {to_diagonal=})"


def bottleneck(a: ArrayLike, b: ArrayLike, *, norm: float = math.inf) -> float:
    """The bottleneck distance of bars a (m, 2) and b (n, 2), exact: one of their lengths.

    norm  p >= 1 of the ground norm. inf where the numbers of essential bars differ.
    Memory is some 300 bytes for each bar, see `reduction.barcodes.bottleneck`. Raises ShapeError,
    BarcodeError.
    """
    given = _checked(a, b, norm)
    return _bottleneck(given)[0] if given.comparable else math.inf


def wasserstein(a: ArrayLike, b: ArrayLike, q: float, *, norm: float = math.inf) -> float:
    """The q-Wasserstein distance of bars a (m, 2) and b (n, 2): (sum of lengths^q)^(1/q).

    q >= 1 (inf: the bottleneck distance), norm p >= 1 of the ground norm. inf where the numbers of
    essential bars differ. Exact but for rounding; for q < inf a table of the distances is made,
    16 m n bytes, or 24 m n where m > n. Raises ShapeError, BarcodeError, CapacityError.
    """
    q, given = _exponent(q), _checked(a, b, norm)
    return _optimum(given, q)[0] if given.comparable else math.inf


def optimal_matching(
    a: ArrayLike, b: ArrayLike, q: float = math.inf, *, norm: float = math.inf
) -> Matching:
    """A matching of bars a (m, 2) and b (n, 2) whose lengths have the least q-norm.

    q >= 1: the q-Wasserstein distance; inf, by default, the bottleneck distance. There may be
    others of the same distance. Essential bars are matched in the order of their births. Raises
    ShapeError, CapacityError; BarcodeError where their numbers differ.
    """
    q, given = _exponent(q), _checked(a, b, norm)
    if not given.comparable:
        raise BarcodeError(
            f"essential bars are matched with each other, but a has {len(given.births_a)} and b "
            f"{len(given.births_b)}; compare the finite ones alone"
        )
    distance, partners = _optimum(given, q)
    kept = partners >= 0
    rest = np.setdiff1d(np.arange(len(given.rows_b)), partners[kept])
    beside = np.column_stack([given.births_a, given.births_b])
    pairs = np.concatenate(
        [
            np.column_stack(
                [given.rows_a, np.where(kept, given.rows_b[partners], -1)]
                if len(given.rows_b)
                else [given.rows_a, partners]
            ),
            np.column_stack([np.full(rest.size, -1), given.rows_b[rest]]),
            beside,
        ]
    )
    to_a, to_b = given.to_a.copy(), given.to_b[rest]
    to_a[kept] = _pair_lengths(given.a[kept], given.b[partners[kept]], norm)
    lengths = np.concatenate([to_a, to_b, given.between]) * given.unit
    return Matching(distance, pairs, lengths)


class _Given(NamedTuple):
    """Two barcodes, their values in a unit in which no length is beyond float64."""

    a: Bars  # (m, 2) that end
    b: Bars  # (n, 2)
    rows_a: NDArray[np.int64]  # (m,) where they stand in what was given
    rows_b: NDArray[np.int64]
    to_a: Floats  # (m,) to the diagonal
    to_b: Floats
    births_a: NDArray[np.int64]  # rows of the essential bars, by birth
    births_b: NDArray[np.int64]
    between: Floats  # lengths between these, where they are as many
    norm: float
    unit: float

    @property
    def comparable(self) -> bool:
        """Whether both have as many essential bars."""
        return len(self.births_a) == len(self.births_b)


def _bottleneck(given: _Given) -> tuple[float, NDArray[np.int64]]:
    """The bottleneck distance, and the partners (m,) of the bars of a."""
    cover_a = least_cover(given.a, given.to_a, given.b, given.norm, 0.0)
    cover_b = least_cover(given.b, given.to_b, given.a, given.norm, cover_a.length)
    length = max(cover_b.length, float(given.between.max(initial=0.0)))
    return length * given.unit, joined_covers(cover_a, cover_b)


def _optimum(given: _Given, q: float) -> tuple[float, NDArray[np.int64]]:
    """The least q-norm of a matching, and the partners (m,) of the bars of a."""
    distance, partners = _bottleneck(given)
    if q == math.inf or distance == 0:
        return distance, partners
    # In units of W_inf the optimum lies between 1 and the number n of edges. So powers need not
    # overflow or vanish, and what exceeds n is used by no optimal matching, however far it is.
    n, longest = len(given.a) + len(given.b), distance / given.unit
    tables = 2 if len(given.a) <= len(given.b) else 3  # SciPy transposes a tall one in a copy
    require(
        8 * tables * len(given.a) * len(given.b),
        f"a table of {len(given.a)} x {len(given.b)} lengths",
        "give q=math.inf, which needs none, or leave out the shortest bars",
    )
    to_a, to_b, between = (
        np.minimum(x / longest, limit ** (1 / q)) ** q
        for x, limit in ((given.to_a, n + 1), (given.to_b, n + 1), (given.between, 1))
    )
    from scipy.optimize import linear_sum_assignment

    lengths, gains = (np.empty((len(given.a), len(given.b))) for _ in range(2))
    for some in np.array_split(np.arange(len(given.a)), 1 + lengths.size // AT_ONCE):
        rows = _lengths(given.a[some], given.b, given.norm)
        lengths[some] = np.minimum(rows / longest, (2 * (n + 1)) ** (1 / q)) ** q
        gains[some] = np.minimum(lengths[some] - to_a[some, None] - to_b, 0.0)
    rows, columns = linear_sum_assignment(gains)
    used = gains[rows, columns] < 0
    rows, columns = rows[used], columns[used]
    # summed from the lengths, since the gains have lost digits: equal barcodes are at distance 0.0
    total = [lengths[rows, columns], np.delete(to_a, rows), np.delete(to_b, columns), between]
    partners = np.full(len(given.a), -1)
    partners[rows] = columns
    return float(distance * math.fsum(np.concatenate(total)) ** (1 / q)), partners


def _exponent(q: float) -> float:
    if not (is_number(q) and q >= 1):
        raise BarcodeError(
            f"a Wasserstein distance has q >= 1, but q is {short_repr(q)}; give 1, 2 or math.inf"
        )
    return q


def _checked(a: ArrayLike, b: ArrayLike, norm: float) -> _Given:
    """Both barcodes, checked."""
    if not (is_number(norm) and norm >= 1):
        raise BarcodeError(
            f"a p-norm has p >= 1, but norm is {short_repr(norm)}; give 1, 2 or math.inf"
        )
    a, b = checked_bars(a, "a"), checked_bars(b, "b")
    values = np.concatenate([np.zeros(1), a.ravel(), b.ravel()])
    unit = 4.0 if np.abs(values[np.isfinite(values)]).max() > LARGEST else 1.0
    a, b = a / unit, b / unit
    ends_a, ends_b = np.isfinite(a[:, 1]), np.isfinite(b[:, 1])
    births_a, births_b = (
        np.flatnonzero(~ends)[np.argsort(bars[~ends, 0], kind="stable")]
        for bars, ends in ((a, ends_a), (b, ends_b))
    )
    same = births_a.size == births_b.size
    between = np.abs(a[births_a, 0] - b[births_b, 0]) if same else np.empty(0)
    return _Given(
        a[ends_a],
        b[ends_b],
        np.flatnonzero(ends_a),
        np.flatnonzero(ends_b),
        _to_diagonal(a[ends_a], norm),
        _to_diagonal(b[ends_b], norm),
        births_a,
        births_b,
        between,
        norm,
        unit,
    )


def _to_diagonal(bars: Bars, norm: float) -> Floats:
    """(m,) distances to the diagonal; for norm 2 exactly the (d - b)/sqrt(2) of eq. 4."""
    lengths = bar_lengths(bars)
    halves = bars[:, 1] / 2 - bars[:, 0] / 2  # of lengths beyond float64
    with np.errstate(over="ignore"):
        return np.where(lengths < np.inf, lengths / 2 ** (1 - 1 / norm), halves * 2 ** (1 / norm))


def _lengths(a: Bars, b: Bars, norm: float) -> Floats:
    """(m, n) distances between the bars of a and of b."""
    return _norms(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1], norm)


def _pair_lengths(a: Bars, b: Bars, norm: float) -> Floats:
    """(k,) distances between the bars of a and of b, row by row."""
    return _norms(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1], norm)


def _norms(births: Floats, deaths: Floats, norm: float) -> Floats:
    """The p-norms of differences."""
    births, deaths = np.abs(births), np.abs(deaths)
    longer, shorter = np.maximum(births, deaths), np.minimum(births, deaths)
    ratio = np.divide(shorter, longer, out=np.zeros_like(longer), where=longer > 0)
    return longer * (1 + ratio**norm) ** (1 / norm)  # as it stands this holds for norm = inf too
